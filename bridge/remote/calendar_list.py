"""Reading an account's list of calendars: the answer to a PROPFIND at Depth 1 on its calendar home."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote, urljoin, urlsplit

from lxml import etree

from bridge.remote.base import RemoteCalendar
from bridge.remote.multistatus import C, D, Multistatus, Row

#: The properties to ask for.
PROPERTIES = (
    "<D:resourcetype/><D:displayname/><I:calendar-color/><C:supported-calendar-component-set/>"
    "<D:current-user-privilege-set/><CS:getctag/><D:sync-token/>"
)
_CS = "{http://calendarserver.org/ns/}"
_ICAL = "{http://apple.com/ns/ical/}"


def calendars_of(listed: Multistatus) -> tuple[RemoteCalendar, ...]:
    """The calendars that can hold events. Their URLs get the host that listed them: iCloud's hrefs may name another."""
    return tuple(
        _calendar(directory(urljoin(listed.url, row.href)), row)
        for row in listed.rows
        if row.href and row.ok and _holds_events(row.properties)
    )


def _holds_events(properties: Mapping[str, etree._Element]) -> bool:
    kind = properties.get(f"{D}resourcetype")
    if kind is None or kind.find(f"{C}calendar") is None:
        return False
    components = properties.get(f"{C}supported-calendar-component-set")
    names = [] if components is None else [c.get("name", "").upper() for c in components.iter(f"{C}comp")]
    return not names or "VEVENT" in names


def _calendar(url: str, row: Row) -> RemoteCalendar:
    colour = re.match(r"#[0-9A-Fa-f]{6}", row.text(f"{_ICAL}calendar-color"))
    privileges = row.properties.get(f"{D}current-user-privilege-set")
    writable = None
    if privileges is not None:
        names = {child.tag for privilege in privileges.iter(f"{D}privilege") for child in privilege}
        writable = bool(names & {f"{D}write", f"{D}write-content", f"{D}all"})
    return RemoteCalendar(
        url=url,
        name=row.text(f"{D}displayname") or unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]),
        colour=colour.group(0) if colour else None,
        writable=writable,
        ctag=row.text(f"{_CS}getctag") or None,
        sync_token=row.text(f"{D}sync-token") or None,
    )


def directory(url: str) -> str:
    """The URL of a collection, which ends in a slash."""
    return url if url.endswith("/") else f"{url}/"
