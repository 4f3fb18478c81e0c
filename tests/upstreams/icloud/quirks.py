"""iCloud's ways, one switch each, with the evidence and its grade.

M: measured, or shipped in a production client. R: a user's report with a trace. C: a code comment or design document.
?: conflicting, or nobody knows; such a switch is here so that every answer is tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Quirks:
    """What is on. The defaults are iCloud's."""

    # --- Discovery -----------------------------------------------------------------------------------------------

    #: /.well-known/caldav answers 501. R: DAV-4-TbSync #95.
    no_well_known: bool = True
    #: A PROPFIND at Depth 1 on the principal answers 400. M: python-caldav hints, 2026-10-14.
    principal_at_depth_0_only: bool = True
    #: How hrefs are spelled: a path, or an address that names the root's host, or that host with `:443`.
    #: M: python-caldav hints (the root's host); C: vdirsyncer #931 (`:443`).
    hrefs: Literal["path", "root", "443"] = "root"
    #: What a host answers to requests for an account of another partition: to be redirected, or not allowed.
    #: ?: 403 in kdw2060/hassio-addons #19; redirects are assumed.
    wrong_partition: Literal[301, 403] = 403
    #: Properties that are not there come as empty elements in a propstat with status 404, or else not at all.
    #: R: AndroidCaldavSyncAdapater #186.
    empty_not_found: bool = True
    #: allprop leaves resourcetype out. M: python-caldav hints.
    allprop_without_resourcetype: bool = True

    #: A 401 offers X-MobileMe-AuthToken before Basic, in one header. M: python-caldav hints.
    two_challenges: bool = True

    # --- Collections ---------------------------------------------------------------------------------------------

    #: current-user-privilege-set is not given. C: source files of several clients.
    privileges_missing: bool = False
    #: A subscribed calendar has the resource type of a calendar. ?: no evidence either way.
    subscribed_is_a_calendar: bool = False
    #: The tasks' list, the inbox, the outbox and the notifications are listed with the calendars. M: several clients.
    lists_everything: bool = True

    # --- Reading -------------------------------------------------------------------------------------------------

    #: sync-collection lists the collection as a member of itself. M: python-caldav hints; Thunderbird.
    lists_itself: bool = True
    #: Each changed member carries a status beside its propstat. M: Thunderbird.
    member_status: bool = True
    #: DAV:limit is ignored. M: python-caldav hints (nidaro says that paging works).
    limit_ignored: bool = True
    #: Changes come in pages of this size, the last row of each but the last being a 507. ?: no evidence for iCloud.
    page_size: int | None = None
    #: What a sync-token that is not known any more gets: everything, as if it were new, and no error; or a status.
    #: C: python-caldav #122 ("everything"). ?: no other status is known to have been seen.
    forgotten_token: Literal["everything"] | int = "everything"
    #: A 403 for a token says so (RFC 6578 section 3.2). ?: nobody knows.
    token_precondition: bool = False
    #: getcontenttype is not given. M: Thunderbird.
    no_content_type: bool = True
    #: A query for a UID answers 412. M: Home Assistant PR 176565, 2026-07-27.
    uid_query_refused: bool = True
    #: free-busy-query answers 400. M: python-caldav hints.
    free_busy_refused: bool = True
    #: What a multiget does: its work (M: Compass, keeper.sh, 2026); leave out every second object (R: vdirsyncer #800,
    #: for shared calendars, 2019); or forget the hrefs (C: evolution-data-server, 2017).
    multiget: Literal["works", "leaves_out", "empty_hrefs"] = "works"
    #: So many times a new or changed object is asked for in vain after it was listed. C: KashCal's live tests.
    late_data: int = 0
    #: So many times what a program has written is asked for in vain afterwards. ?: nobody knows.
    late_after_put: int = 0

    # --- Writing -------------------------------------------------------------------------------------------------

    #: What an event without DTEND or DURATION gets. M: python-caldav hints (404, or 403); davx5-ose #1859.
    no_dtend: int | None = 404
    #: `If-Match: *` is refused where there is an object, and creates one where there is none. M: python-caldav hints.
    if_match_any_inverted: bool = True
    #: A PUT answers without an ETag. R: Compass #3260.
    put_without_etag: bool = True
    #: What is stored is not what was sent: X-APPLE- properties come, DTSTAMP changes. R: source files of clients.
    put_rewrites: bool = True
    #: What a UID that another object of the account has gets. M: python-caldav hints (refused); ?: with which status.
    duplicate_uid: int | None = 403
    #: METHOD is refused. C: QuickMail, cal.com.
    method_refused: bool = True
    #: A DELETE with a Depth header is refused. C: Calendar Relay.
    delete_without_depth: bool = True
    #: People named as ATTENDEE get mail. C: Compass, an iCloud MCP server.
    sends_invitations: bool = True
    #: ATTENDEE without ORGANIZER is refused. C: one source file.
    attendee_needs_organizer: bool = True
    #: Everybody who shares a calendar is told of each write. R: keeper.sh #875.
    notifies_sharers: bool = True


#: A server that keeps to the RFCs.
BY_THE_BOOK = Quirks(
    no_well_known=False,
    principal_at_depth_0_only=False,
    hrefs="path",
    wrong_partition=301,
    empty_not_found=False,
    allprop_without_resourcetype=False,
    two_challenges=False,
    lists_everything=False,
    lists_itself=False,
    member_status=False,
    limit_ignored=False,
    forgotten_token=403,
    token_precondition=True,
    no_content_type=False,
    uid_query_refused=False,
    free_busy_refused=False,
    no_dtend=None,
    if_match_any_inverted=False,
    put_without_etag=False,
    put_rewrites=False,
    duplicate_uid=None,
    method_refused=False,
    delete_without_depth=False,
    sends_invitations=False,
    attendee_needs_organizer=False,
    notifies_sharers=False,
)
