"""The `Remote` for real CalDAV servers, built on the caldav library's async client."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urljoin
from xml.sax.saxutils import escape

from caldav.async_davclient import AsyncDAVClient
from caldav.response import DAVResponse
from lxml import etree

from bridge.errors import (
    BadAnswer,
    Forbidden,
    NotFound,
    PreconditionFailed,
    Refused,
    RemoteError,
    ServerFault,
    TokenRejected,
)
from bridge.remote.base import Changes, Home, RemoteCalendar, RemoteObject, member_path, path_of
from bridge.remote.calendar_list import PROPERTIES, calendars_of, directory
from bridge.remote.multistatus import C, D, Listing, Member, Multistatus, expect, hrefs, precondition, text
from bridge.remote.policy import ProviderPolicy, without_query
from bridge.remote.session import Answer, Session

_NAMESPACES = (
    'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/"'
    ' xmlns:I="http://apple.com/ns/ical/"'
)
_XML = {"Content-Type": 'application/xml; charset="utf-8"'}
#: The statuses by which servers reject an unknown sync-token. RFC 6578 asks for 403 with a precondition.
_TOKEN_REFUSALS = frozenset({400, 405, 409, 410, 412, 415, 422, 501, 507})
#: Statuses of a write that mean: try again later.
_NOT_NOW = frozenset({408, 423, 425, 507})
#: Preconditions about the object itself (RFC 4791 section 5.3.2.1). Xandikos answers these with 412, too.
_OF_THE_OBJECT = frozenset(
    {
        "supported-calendar-data",
        "valid-calendar-data",
        "valid-calendar-object-resource",
        "supported-calendar-component",
        "no-uid-conflict",
        "max-resource-size",
        "min-date-time",
        "max-date-time",
        "max-instances",
        "max-attendees-per-instance",
    }
)
_WHOLE = re.compile(rb"BEGIN:VCALENDAR.*END:VCALENDAR", re.DOTALL | re.IGNORECASE)
_LINE_END = re.compile(r"\r?\n")
_MAX_PAGES = 1000


class CaldavRemote:
    """One Account's connection to its server. Its password appears in no log or error."""

    def __init__(self, policy: ProviderPolicy, username: str, password: str) -> None:
        self._policy = policy
        self._username = username
        self._session = Session(policy, username, password)
        # The library's own session is replaced by ours, which keeps to the policy. Ours also limits the size of
        # answers, so the XML parser need not.
        self._client = AsyncDAVClient(url=policy.url, enable_rfc6764=False, rate_limit_handle=False, huge_tree=True)
        self._client.session = self._session

    def __repr__(self) -> str:
        return f"CaldavRemote({self._policy.name}, {self._username})"

    async def discover(self) -> Home:
        """Find principal, home and calendars. Raises `NotFound` when nothing there speaks CalDAV."""
        principal = await self._principal()
        answer = await self._propfind(principal, "<C:calendar-home-set/><C:calendar-user-address-set/>", depth="0")
        properties = _own(answer)
        home = next(iter(hrefs(properties.get(f"{C}calendar-home-set"))), None)
        if home is None:
            raise NotFound(without_query(principal), "the account has no calendar home")
        listed = await self._list_home(directory(_joined(answer.url, home)))
        return Home(listed.url, self._addresses(properties), calendars_of(listed))

    def _addresses(self, properties: Mapping[str, etree._Element]) -> tuple[str, ...]:
        """The owner's e-mail addresses: the one that the server prefers, if any, then the login's, then all others."""
        login = self._username.lower()
        told = properties.get(f"{C}calendar-user-address-set")
        found = [
            (href.get("preferred") != "1", address != login, address)
            for href in (() if told is None else told.iter(f"{D}href"))
            for scheme, _, address in [unquote((href.text or "").strip()).lower().partition(":")]
            if scheme == "mailto"
        ]
        if "@" in login:
            found.append((True, False, login))
        return tuple(dict.fromkeys(address for _, _, address in sorted(found, key=lambda one: one[:2])))

    async def calendars(self, home_url: str) -> tuple[RemoteCalendar, ...]:
        """The calendars that can hold events: one PROPFIND at Depth 1."""
        return calendars_of(await self._list_home(home_url))

    async def changes(self, url: str, sync_token: str | None) -> Changes:
        """What changed since `sync_token` (RFC 6578 section 3.2), page after page."""
        changed: dict[str, str] = {}
        removed: set[str] = set()
        token = sync_token
        for _ in range(_MAX_PAGES):
            page = await self._sync_collection(url, token)
            more = False
            for member in page.members:
                if member.is_own and member.status == 507:
                    more = True
                elif member.status in {404, 410} and not member.is_own:
                    removed.add(_href(member, url))
                    changed.pop(member.href, None)
                elif not member.ok:
                    raise BadAnswer(without_query(url), f"status {member.status} among the changes")
                elif not member.is_own and not member.is_collection:
                    changed[_href(member, url)] = _etag(member, url)
                    removed.discard(member.href)
            if not page.sync_token:
                raise BadAnswer(without_query(url), "no sync-token came with the changes")
            if not more:
                return Changes(changed, frozenset(removed), page.sync_token, complete=sync_token is None)
            if page.sync_token == token:
                break
            token = page.sync_token
        raise BadAnswer(without_query(url), "the server never comes to the end of the changes")

    async def listing(self, url: str) -> Mapping[str, str]:
        """Every object, href to etag: one PROPFIND at Depth 1."""
        answer = await self._list("PROPFIND", url, _properties("<D:getetag/><D:resourcetype/>"), depth="1")
        listed = _listing(answer, url)
        if not any(member.is_own for member in listed.members):
            raise BadAnswer(without_query(url), "the listing lacks the calendar itself")
        for member in listed.members:
            if not member.ok:
                raise BadAnswer(without_query(url), f"status {member.status} for a member")
        objects = (member for member in listed.members if not member.is_own and not member.is_collection)
        return {_href(member, url): _etag(member, url) for member in objects}

    async def multiget(self, url: str, hrefs: Iterable[str]) -> tuple[RemoteObject, ...]:
        """Objects by calendar-multiget (RFC 4791 section 7.9).

        Objects that do not exist, and responses without an href or data, are left out.
        """
        wanted = "".join(f"<D:href>{escape(href)}</D:href>" for href in hrefs)
        body = (
            f'<?xml version="1.0" encoding="utf-8"?><C:calendar-multiget {_NAMESPACES}>'
            f"<D:prop><D:getetag/><C:calendar-data/></D:prop>{wanted}</C:calendar-multiget>"
        )
        answer = Multistatus(await self._request("REPORT", url, body, depth="1"), url)
        found = []
        for row in answer.rows:
            etag, data = row.text(f"{D}getetag"), row.text(f"{C}calendar-data")
            if row.href and etag and data:
                # XML parsers turn line ends into LF; calendar data has CRLF (RFC 5545 section 3.1).
                found.append(RemoteObject(row.href, etag, _LINE_END.sub("\r\n", f"{data}\n")))
        return tuple(found)

    async def get(self, url: str, href: str) -> RemoteObject:
        """One object. Raises `NotFound`."""
        address = urljoin(url, path_of(href))
        shown = without_query(address)
        # Uncompressed: servers that compress answers change the ETag.
        headers = {"Accept": "text/calendar", "Accept-Encoding": "identity"}
        answer = await self._session.request("GET", address, headers=headers)
        if answer.status_code in {404, 410}:
            raise NotFound(shown)
        if answer.status_code != 200:
            raise BadAnswer(shown, f"status {answer.status_code}")
        if not _WHOLE.search(answer.content):
            raise BadAnswer(shown, "the answer is no calendar object, or not all of it")
        etag = answer.headers.get("ETag")
        if not etag:
            etag = text(_own(await self._propfind(address, "<D:getetag/>", depth="0")).get(f"{D}getetag"))
        if not etag:
            raise BadAnswer(shown, "the object has no ETag")
        return RemoteObject(path_of(href), etag, _decoded(answer.content))

    async def put(self, url: str, href: str, ics: str, *, etag: str | None) -> None:
        """Create an object (`If-None-Match: *`), or replace the version with this etag (`If-Match`).

        `If-Match: *` is never used: iCloud inverts its meaning.
        """
        address = urljoin(url, member_path(url, href))
        condition = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
        headers = {"Content-Type": "text/calendar; charset=utf-8", **condition}
        try:
            response = await self._client.put(address, ics, headers)
        except Forbidden as error:
            if error.detail in _OF_THE_OBJECT:
                raise Refused(error.url, error.detail) from error
            raise
        if etag is None and response.status in {404, 405, 409, 410}:
            # iCloud answers 404 to an event that it does not accept, such as one without DTEND. Otherwise the calendar
            # does not exist, for which DAViCal answers 405.
            await self._propfind(url, "<D:resourcetype/>", depth="0")
            # A 404 may also be a temporary fault of the server, so it is not final at once.
            refused = Forbidden if response.status == 404 else Refused
            raise refused(without_query(address), f"status {response.status}")
        _check_write(response, address)

    async def delete(self, url: str, href: str, *, etag: str | None) -> None:
        """Delete one object directly inside the calendar. Without a Depth header, which iCloud refuses."""
        address = urljoin(url, member_path(url, href))
        _check_write(await self._client.delete(address, {} if etag is None else {"If-Match": etag}), address)

    async def close(self) -> None:
        """Give up connections."""
        await self._client.close()

    async def _principal(self) -> str:
        """The principal's address, from the root or else the well-known address (RFC 6764 section 5)."""
        root = self._policy.url
        problem: RemoteError = NotFound(without_query(root), "nothing here speaks CalDAV")
        try:
            found = await self._principal_at(root)
        except (NotFound, BadAnswer):
            found = None  # a web site may live at the root
        except (Forbidden, ServerFault) as error:
            found, problem = None, error
        if found is None:
            try:
                found = await self._principal_at(urljoin(root, "/.well-known/caldav"))
            except (NotFound, BadAnswer, Forbidden, ServerFault):
                found = None  # iCloud answers 501 there; what counts is the answer from the root
        if found is None:
            raise problem
        return found

    async def _principal_at(self, url: str) -> str | None:
        answer = await self._propfind(url, "<D:current-user-principal/><D:resourcetype/>", depth="0")
        properties = _own(answer)
        href = next(iter(hrefs(properties.get(f"{D}current-user-principal"))), None)
        if href is not None:
            return _joined(answer.url, href)
        kind = properties.get(f"{D}resourcetype")
        return answer.url if kind is not None and kind.find(f"{D}principal") is not None else None

    async def _list_home(self, home_url: str) -> Multistatus:
        answer = await self._propfind(home_url, PROPERTIES, depth="1")
        if not answer.rows:
            raise BadAnswer(without_query(home_url), "the listing lacks the home itself")
        return answer

    async def _sync_collection(self, url: str, token: str | None) -> Listing:
        body = (
            f'<?xml version="1.0" encoding="utf-8"?><D:sync-collection {_NAMESPACES}>'
            f"<D:sync-token>{escape(token or '')}</D:sync-token><D:sync-level>1</D:sync-level>"
            "<D:prop><D:getetag/></D:prop></D:sync-collection>"
        )
        shown = without_query(url)
        try:
            answer = await self._list("REPORT", url, body, depth="0")
        except Forbidden as error:
            if error.detail != "valid-sync-token":
                await self._propfind(url, "<D:resourcetype/>", depth="0")  # the calendar exists: it was the token
            raise TokenRejected(shown, error.detail) from error
        if answer.status_code in {404, 410}:
            # This may be about the token or about the calendar: ask for the calendar.
            await self._propfind(url, "<D:resourcetype/>", depth="0")
        if answer.status_code in _TOKEN_REFUSALS | {404}:
            raise TokenRejected(shown, f"status {answer.status_code}")
        return _listing(answer, url)

    async def _propfind(self, url: str, names: str, *, depth: str) -> Multistatus:
        """Request properties. Depth 0 except for listings: iCloud refuses Depth 1 on a principal."""
        return Multistatus(await self._request("PROPFIND", url, _properties(names), depth=depth), url)

    async def _request(self, method: str, url: str, body: str, *, depth: str) -> DAVResponse:
        return await self._client.request(url, method, body, {"Depth": depth, **_XML})

    async def _list(self, method: str, url: str, body: str, *, depth: str) -> Answer:
        """A request whose answer may list any number of objects. It is parsed while it arrives.

        The library would hold all of it in memory, several times over.
        """
        headers = {"Depth": depth, **_XML}
        return await self._session.request(method, url, headers=headers, data=body.encode(), listing=True)


def _properties(names: str) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?><D:propfind {_NAMESPACES}><D:prop>{names}</D:prop></D:propfind>'


def _listing(answer: Answer, asked: str) -> Listing:
    expect(answer.status_code, asked)
    assert answer.listing is not None, "asked for, of a multistatus"  # noqa: S101
    return answer.listing


def _own(answer: Multistatus) -> dict[str, etree._Element]:
    """The response about the resource that was asked for."""
    own = next((row for row in answer.rows if row.is_own), None) or next(iter(answer.rows), None)
    if own is None:
        raise BadAnswer(without_query(answer.url), "an empty answer")
    return own.properties


def _href(member: Member, url: str) -> str:
    if not member.href:
        raise BadAnswer(without_query(url), "a member without an href")
    return member.href


def _etag(member: Member, url: str) -> str:
    """The etag of a response, which every calendar object has (RFC 4791 section 5.3.4). Raises `BadAnswer`."""
    if not member.etag:
        raise BadAnswer(without_query(url), "an object without an ETag")
    return member.etag


def _check_write(response: DAVResponse, address: str) -> None:
    status, shown = response.status, without_query(address)
    named = precondition(response.tree)
    if 200 <= status < 300:
        return
    if status == 412 and named not in _OF_THE_OBJECT:
        raise PreconditionFailed(shown)
    if status in {404, 410}:
        raise NotFound(shown)
    if status in _NOT_NOW:
        raise ServerFault(shown, f"status {status}")
    raise Refused(shown, named or f"status {status}")


def _decoded(body: bytes) -> str:
    """Decode calendar data: UTF-8 (RFC 5545 section 3.1.4), else Windows-1252, which some programs write."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("cp1252", errors="replace")


def _joined(url: str, href: str) -> str:
    try:
        return urljoin(url, href)
    except ValueError:
        raise BadAnswer(without_query(url), "an href that is none") from None
