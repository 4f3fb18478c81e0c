"""Time zones: which zone a TZID means, and conversion between local times and instants.

A TZID that is an IANA name (area and place) means that IANA zone, even where the object has a VTIMEZONE of that name:
the VTIMEZONEs that vendors write often leave out years. Any other TZID means, in this order: the object's own VTIMEZONE
of that name; what the name itself suggests, such as a Windows zone, a city or an offset; the User's zone.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from bridge.domain.ical.content import Component
from bridge.domain.ical.observances import observed

_EPOCH = dt.datetime(1970, 1, 1)
_OFFSET = re.compile(r"(?:GMT|UTC|UT|Z)?\s*([+-])(\d{1,2})(?:[:.]?(\d{2}))?(?::?\d{2})?", re.IGNORECASE)
_DISPLAY = re.compile(r"\((?:GMT|UTC)\s*([+-]\d{1,2}[:.]?\d{2})?\)\s*(.*)", re.IGNORECASE)
#: No more observances than this are read from one VTIMEZONE.
_OBSERVANCES = 400


def instant(local: dt.datetime, zone: dt.tzinfo) -> int:
    """A local time as Unix seconds (RFC 5545 section 3.3.5).

    A local time that the clocks skip is read with the offset before the change; of one that occurs twice, the first
    occurrence is meant.
    """
    return int(local.replace(tzinfo=zone).timestamp())


def local(at: int, zone: dt.tzinfo) -> dt.datetime:
    """An instant (Unix seconds) as naive local time; the first or last one that `datetime` can express, if beyond."""
    try:
        return (_EPOCH + dt.timedelta(seconds=at)).replace(tzinfo=dt.UTC).astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        return dt.datetime.max.replace(microsecond=0) if at > 0 else dt.datetime.min


class Zones:
    """The time zones of one iCalendar object. `user` is the zone of the User whose calendar it is in."""

    def __init__(self, root: Component, user_zone: dt.tzinfo) -> None:
        self._root = root
        self.user = user_zone
        self._known: dict[str, dt.tzinfo] = {}

    def of(self, tzid: str) -> dt.tzinfo:
        """The zone that a TZID of this object means."""
        zone = self._known.get(tzid)
        if zone is None:
            zone = self._known[tzid] = named(tzid) or self._defined(tzid) or hinted(tzid) or self.user
        return zone

    def _defined(self, tzid: str) -> dt.tzinfo | None:
        for component in self._root.walk("VTIMEZONE"):
            if component.value("TZID").strip().strip('"') == tzid:
                found = observed(
                    tuple(
                        (part.name, tuple(line for lines in part.lines.values() for line in lines))
                        for part in component.parts[:_OBSERVANCES]
                    )
                )
                if found is not None:
                    return found
        return None


@lru_cache(maxsize=4096)
def named(tzid: str) -> dt.tzinfo | None:
    """The IANA zone that a TZID names by area and place, or UTC; None for any other TZID.

    The name may follow a vendor's prefix, as in `/freeassociation.sourceforge.net/Europe/Berlin`.
    """
    parts = tzid.strip().strip('"').split("/")
    for size in (3, 2):
        if len(parts) >= size and (zone := _iana("/".join(parts[-size:]))) is not None:
            return zone
    return dt.UTC if parts[-1].upper() in {"UTC", "GMT", "Z", "ZULU"} else None


@lru_cache(maxsize=4096)
def hinted(tzid: str) -> dt.tzinfo | None:
    """The zone that a TZID without a VTIMEZONE suggests: a Windows zone, an IANA abbreviation, a city or an offset."""
    name = tzid.strip().strip('"')
    display = _DISPLAY.fullmatch(name)
    windows = WINDOWS_TO_OLSON.get(name) or _folded_windows().get(name.lower())
    if windows is not None:
        return ZoneInfo(windows)
    if (zone := _iana(name)) is not None:
        return zone
    if display is not None:
        for city in re.split(r"\s*[,/]\s*", display[2]):
            if (place := _cities().get(city.replace(" ", "_").lower())) is not None:
                return ZoneInfo(place)
        name = display[1] or "+00"
    offset = _OFFSET.fullmatch(name)
    if offset is None or int(offset[2]) > 14 or int(offset[3] or 0) > 59:
        return None
    shift = dt.timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
    return dt.timezone(shift if offset[1] == "+" else -shift)


def _iana(name: str) -> ZoneInfo | None:
    exact = _folded_iana().get(name.lower().replace(" ", "_"))
    return ZoneInfo(exact) if exact is not None else None


@lru_cache(maxsize=1)
def _folded_iana() -> dict[str, str]:
    return {name.lower(): name for name in sorted(available_timezones())}


@lru_cache(maxsize=1)
def _folded_windows() -> dict[str, str]:
    return {name.lower(): place for name, place in WINDOWS_TO_OLSON.items()}


@lru_cache(maxsize=1)
def _cities() -> dict[str, str]:
    return {name.rpartition("/")[2].lower(): name for name in sorted(available_timezones()) if "/" in name}
