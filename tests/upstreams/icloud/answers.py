"""Who answers what."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.upstreams.icloud import reads, writes
from tests.upstreams.icloud.calls import Answer, Call
from tests.upstreams.icloud.xml import Asked

_DAV = {"DAV": "1, access-control, calendar-access, calendar-schedule, calendar-auto-schedule, calendarserver-sharing"}


def answer(call: Call) -> Answer:
    """The answer to a request with good credentials."""
    if call.method == "OPTIONS":
        return Answer(200, headers=_DAV)
    match call.segments:
        case (".well-known", "caldav"):
            return Answer(501) if call.quirks.no_well_known else Answer(301, headers={"Location": "/"})
        case () | (_, "principal"):
            return _principal(call)
        case (dsid, "calendars", *rest) if dsid == call.account.dsid:
            if call.host != call.account.partition:
                return _elsewhere(call)
            return _calendars(call, *rest)
        case (dsid, *_) if dsid in call.state.accounts and dsid != call.account.dsid:
            return Answer(403)
        case _:
            return Answer(404)


def _elsewhere(call: Call) -> Answer:
    """The account lives on another host."""
    if call.quirks.wrong_partition == 403:
        return Answer(403)
    target = call.urls[call.account.partition].rstrip("/") + urlsplit(call.target).path
    return Answer(301, headers={"Location": target})


def _principal(call: Call) -> Answer:
    asked = Asked.read(call.body)
    if call.method != "PROPFIND" or asked is None:
        return Answer(400 if asked is None else 405)
    if call.segments and call.quirks.principal_at_depth_0_only and call.headers.get("depth", "infinity") != "0":
        return Answer(400)
    return reads.principal(call, asked)


def _calendars(call: Call, slug: str = "", name: str = "", *deeper: str) -> Answer:
    if call.method in {"PUT", "DELETE", "GET"}:
        return _object(call, slug, name, *deeper)
    asked = Asked.read(call.body)
    if call.method not in {"PROPFIND", "REPORT"}:
        return Answer(403)  # MKCALENDAR, PROPPATCH, MOVE and the like
    if asked is None:
        return Answer(400)
    if not slug:
        return reads.home(call, asked) if call.method == "PROPFIND" else Answer(403)
    place = call.account.calendars.get(slug)
    if place is None or deeper:
        return Answer(404)
    if name:
        stored = place.collection.objects.get(name)
        return Answer(404) if stored is None or call.method != "PROPFIND" else reads.single(call, asked, stored)
    return reads.calendar(call, asked, place) if call.method == "PROPFIND" else reads.report(call, asked, place)


def _object(call: Call, slug: str, name: str, *deeper: str) -> Answer:
    place = call.account.calendars.get(slug)
    if place is None or deeper:
        return Answer(404)
    if call.method == "DELETE":
        return writes.delete(call, place, name)
    if not name:
        return Answer(405)
    if call.method == "PUT":
        return writes.put(call, place, name)
    stored = place.collection.objects.get(name)
    return Answer(404) if stored is None else reads.get(stored)
