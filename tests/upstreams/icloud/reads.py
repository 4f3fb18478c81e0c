"""PROPFIND, REPORT and GET."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.upstreams.icloud import xml
from tests.upstreams.icloud.calls import Answer, Call
from tests.upstreams.icloud.state import Collection, Place, Stored
from tests.upstreams.icloud.xml import CS, ICAL, OK, Asked, C, D, element, hrefs

#: What the home holds besides calendars: last part of the address, resource type, components.
_OTHERS = (
    ("inbox", element(f"{C}schedule-inbox"), ()),
    ("outbox", element(f"{C}schedule-outbox"), ()),
    ("notification", element(f"{CS}notification"), ()),
    ("tasks", element(f"{C}calendar"), ("VTODO",)),
)


def principal(call: Call, asked: Asked) -> Answer:
    """PROPFIND on the root and on the principal."""
    own = f"/{call.account.dsid}/principal/"
    home = f"{call.urls[call.account.partition].rstrip('/')}{call.account.home}"
    addresses = [f"mailto:{address}" for address in (call.account.username, *call.account.aliases)]
    found = {f"{D}current-user-principal": hrefs(own)}
    if call.segments:
        found |= {
            f"{D}resourcetype": element(f"{D}principal"),
            f"{C}calendar-home-set": hrefs(home),
            f"{C}calendar-user-address-set": hrefs(*addresses, own),
        }
    return _multistatus([_row(call, urlsplit(call.target).path, found, asked)])


def home(call: Call, asked: Asked) -> Answer:
    """PROPFIND on the home: at Depth 1, every calendar of the account in one request."""
    path = call.account.home
    collection = {f"{D}resourcetype": element(f"{D}collection"), f"{D}current-user-privilege-set": _privileges(True)}
    rows = [_row(call, path, collection, asked)]
    if call.headers.get("depth", "infinity") != "0":
        rows += [
            _row(call, f"{path}{quote(slug, safe='')}/", _properties(call, place), asked)
            for slug, place in call.account.calendars.items()
        ]
        if call.quirks.lists_everything:
            for slug, kind, components in _OTHERS:
                found = {f"{D}resourcetype": element(f"{D}collection") + kind}
                if components:
                    found[f"{C}supported-calendar-component-set"] = _components(components)
                rows.append(_row(call, f"{path}{slug}/", found, asked))
    return _multistatus(rows)


def calendar(call: Call, asked: Asked, place: Place) -> Answer:
    """PROPFIND on a calendar: at Depth 1, every object's properties."""
    path = _directory(call)
    rows = [_row(call, path, _properties(call, place), asked)]
    if call.headers.get("depth", "infinity") != "0":
        for name, stored in place.collection.objects.items():
            rows.append(_row(call, path + quote(name, safe=""), _of_object(call, stored), asked))
    return _multistatus(rows)


def single(call: Call, asked: Asked, stored: Stored) -> Answer:
    """PROPFIND on an object."""
    return _multistatus([_row(call, urlsplit(call.target).path, _of_object(call, stored), asked)])


def get(stored: Stored) -> Answer:
    """GET. An object whose data is late is as good as not there, or as it was before."""
    there = _visible(stored)
    if there is None:
        return Answer(404)
    return Answer(200, there.ics.encode(), "text/calendar; charset=utf-8", {"ETag": there.etag})


def report(call: Call, asked: Asked, place: Place) -> Answer:
    """REPORT on a calendar."""
    match asked.kind:
        case "sync-collection":
            return _sync(call, asked, place.collection)
        case "calendar-multiget":
            return _multistatus(_multiget(call, asked, place.collection))
        case "calendar-query":
            if asked.by_property and call.quirks.uid_query_refused:
                return Answer(412)
            if asked.component != "VEVENT":
                return Answer(400)
            path = _directory(call)
            return _multistatus(
                _row(call, path + quote(name, safe=""), _of_object(call, stored, data=True), asked)
                for name, stored in place.collection.objects.items()
            )
        case "free-busy-query":
            return Answer(400 if call.quirks.free_busy_refused else 501)
        case _:
            return Answer(403)


def _sync(call: Call, asked: Asked, collection: Collection) -> Answer:
    """sync-collection (RFC 6578)."""
    quirks, path = call.quirks, _directory(call)
    since = collection.since(asked.token) if asked.token else 0
    everything = not asked.token
    if since is None:
        if quirks.forgotten_token != "everything":
            named = quirks.forgotten_token == 403 and quirks.token_precondition
            return Answer.xml(quirks.forgotten_token, xml.error(f"{D}valid-sync-token") if named else "")
        since, everything = 0, True
    touched = [name for name, at in sorted(collection.log.items(), key=lambda item: item[1]) if at > since]
    if everything:
        touched = [name for name in touched if name in collection.objects]
    limits = [quirks.page_size, None if quirks.limit_ignored else asked.limit]
    size = min((limit for limit in limits if limit is not None), default=len(touched))
    page, more = touched[:size], touched[size:]
    rows = []
    if quirks.lists_itself:
        rows.append(_row(call, path, {f"{D}getetag": escape(collection.token)}, asked, status=OK))
    for name in page:
        href = path + quote(name, safe="")
        if name in collection.objects:
            status = OK if quirks.member_status else None
            rows.append(_row(call, href, _of_object(call, collection.objects[name]), asked, status=status))
        else:
            rows.append(xml.bare(call.spelled(href), xml.NOT_FOUND))
    if more:
        rows.append(xml.bare(call.spelled(path), "HTTP/1.1 507 Insufficient Storage"))
    return _multistatus(rows, collection.token_at(collection.log[page[-1]]) if more else collection.token)


def _multiget(call: Call, asked: Asked, collection: Collection) -> Iterator[str]:
    for number, href in enumerate(asked.hrefs):
        name = unquote(urlsplit(href).path.rpartition("/")[2])
        stored = collection.objects.get(name)
        there = _visible(stored) if stored is not None else None
        if call.quirks.multiget == "leaves_out" and number % 2:
            continue
        path = _directory(call) + quote(name, safe="")
        if there is None:
            yield xml.bare(call.spelled(path), xml.NOT_FOUND)
        elif call.quirks.multiget == "empty_hrefs":
            yield xml.response("", _of_object(call, there, data=True), asked.names, empty_not_found=True)
        else:
            yield _row(call, path, _of_object(call, there, data=True), asked)


def _visible(stored: Stored) -> Stored | None:
    """What somebody who asks for the data gets."""
    if stored.late:
        stored.late -= 1
        return stored.before
    return stored


def _properties(call: Call, place: Place) -> dict[str, str]:
    collection = place.collection
    kinds = element(f"{D}collection")
    if collection.kind == "calendar" or call.quirks.subscribed_is_a_calendar:
        kinds += element(f"{C}calendar")
    if collection.kind == "subscribed":
        kinds += element(f"{CS}subscribed")
    if place.shared:
        kinds += element(f"{CS}shared")
    found = {
        f"{D}resourcetype": kinds,
        f"{D}displayname": escape(collection.name),
        f"{C}supported-calendar-component-set": _components(collection.components),
        f"{CS}getctag": escape(collection.token),
        f"{D}sync-token": escape(collection.token),
    }
    if collection.colour:
        found[f"{ICAL}calendar-color"] = collection.colour
    if not call.quirks.privileges_missing:
        found[f"{D}current-user-privilege-set"] = _privileges(place.writable)
    return found


def _of_object(call: Call, stored: Stored, *, data: bool = False) -> dict[str, str]:
    found = {f"{D}getetag": escape(stored.etag), f"{D}resourcetype": ""}
    if not call.quirks.no_content_type:
        found[f"{D}getcontenttype"] = "text/calendar; charset=utf-8"
    if data:
        found[f"{C}calendar-data"] = escape(stored.ics, {"\r": "&#13;"})
    return found


def _components(names: Sequence[str]) -> str:
    return "".join(f'<C:comp name="{name}"/>' for name in names)


def _privileges(writable: bool) -> str:
    names = ("read", "write-content", "write-properties") if writable else ("read",)
    return "".join(f"<privilege>{element(f'{D}{name}')}</privilege>" for name in names)


def _directory(call: Call) -> str:
    return "/" + "".join(f"{quote(segment, safe='')}/" for segment in call.segments[:3])


def _row(call: Call, path: str, found: dict[str, str], asked: Asked, *, status: str | None = None) -> str:
    if asked.names is None and call.quirks.allprop_without_resourcetype:
        found = {name: value for name, value in found.items() if name != f"{D}resourcetype"}
    empty = call.quirks.empty_not_found
    return xml.response(call.spelled(path), found, asked.names, empty_not_found=empty, status=status)


def _multistatus(rows: Iterator[str] | Sequence[str], token: str | None = None) -> Answer:
    return Answer.xml(207, xml.multistatus(rows, token))
