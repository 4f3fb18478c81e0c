"""PUT and DELETE, and what they set off."""

from __future__ import annotations

import re

from icalendar import Calendar

from tests.upstreams.icloud import xml
from tests.upstreams.icloud.calls import Answer, Call
from tests.upstreams.icloud.state import Mail, Notice, Place
from tests.upstreams.icloud.xml import C


def put(call: Call, place: Place, name: str) -> Answer:
    """Create or replace an object."""
    quirks, collection = call.quirks, place.collection
    if not place.writable:
        return Answer(403)
    if not _holds(call, collection.objects[name].etag if name in collection.objects else None):
        return Answer(412)
    ics = call.body.decode()
    refusal = _refusal(call, place, name, ics)
    if refusal is not None:
        return refusal
    created = name not in collection.objects
    stored = collection.store(name, _rewritten(ics) if quirks.put_rewrites else ics, late=quirks.late_after_put)
    _mail(call, ics, "REQUEST")
    _tell(call, place)
    return Answer(201 if created else 204, headers={} if quirks.put_without_etag else {"ETag": stored.etag})


def delete(call: Call, place: Place, name: str) -> Answer:
    """Remove an object; with no name, leave or delete the calendar."""
    if call.quirks.delete_without_depth and "depth" in call.headers:
        return Answer(400)
    if not name:
        del call.account.calendars[call.segments[2]]
        return Answer(204)
    if not place.writable:
        return Answer(403)
    stored = place.collection.objects.get(name)
    if stored is None:
        return Answer(404)
    if not _holds(call, stored.etag):
        return Answer(412)
    place.collection.remove(name)
    _mail(call, stored.ics, "CANCEL")
    _tell(call, place)
    return Answer(204)


def _holds(call: Call, etag: str | None) -> bool:
    """Whether If-Match and If-None-Match hold (RFC 9110 section 13)."""
    match, none_match = call.headers.get("if-match"), call.headers.get("if-none-match")
    if match == "*":
        if (etag is None) != call.quirks.if_match_any_inverted:
            return False
    elif match is not None and match != etag:
        return False
    return not (etag is not None and none_match in {"*", etag})


def _refusal(call: Call, place: Place, name: str, ics: str) -> Answer | None:
    """What iCloud holds against an object."""
    quirks = call.quirks
    try:
        calendar = Calendar.from_ical(ics)
    except ValueError:
        return Answer.xml(403, xml.error(f"{C}valid-calendar-data"))
    if "METHOD" in calendar and quirks.method_refused:
        return Answer.xml(403, xml.error(f"{C}valid-calendar-object-resource"))
    events = calendar.walk("VEVENT")
    if not events or "VEVENT" not in place.collection.components:
        return Answer.xml(403, xml.error(f"{C}supported-calendar-component"))
    if quirks.no_dtend is not None and any("DTEND" not in event and "DURATION" not in event for event in events):
        return Answer(quirks.no_dtend)
    if quirks.attendee_needs_organizer and any("ATTENDEE" in event and "ORGANIZER" not in event for event in events):
        return Answer(403)
    if quirks.duplicate_uid is not None:
        for other in call.account.calendars.values():
            for there, stored in other.collection.objects.items():
                same = other.collection is place.collection and there == name
                if not same and _uid(stored.ics) == _uid(ics):
                    return Answer(quirks.duplicate_uid)
    return None


def _rewritten(ics: str) -> str:
    """What is stored of what was sent."""
    ics = re.sub(r"(?m)^DTSTAMP:.*?(\r?)$", r"DTSTAMP:20261124T120000Z\1", ics)
    return ics.replace("END:VEVENT", "X-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC\r\nEND:VEVENT")


def _mail(call: Call, ics: str, method: str) -> None:
    """Invite, or uninvite, everybody but the account's owner."""
    if not call.quirks.sends_invitations:
        return
    own = {call.account.username.lower(), *(alias.lower() for alias in call.account.aliases)}
    unfolded = re.sub(r"\r?\n[ \t]", "", ics)
    people = set(re.findall(r"(?im)^ATTENDEE\b.*?mailto:([^\s;]+)\s*$", unfolded))
    for person in sorted(people):
        if person.lower() not in own:
            call.state.mails.append(Mail(person, "REQUEST" if method == "REQUEST" else "CANCEL", _uid(ics)))


def _tell(call: Call, place: Place) -> None:
    if call.quirks.notifies_sharers:
        for person in call.state.sharers(place.collection, other_than=call.account):
            call.state.notices.append(Notice(person, place.collection.name, call.method))


def _uid(ics: str) -> str:
    found = re.search(r"(?m)^UID:(.*?)\r?$", re.sub(r"\r?\n[ \t]", "", ics))
    return found.group(1) if found else ""
