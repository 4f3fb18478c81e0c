"""Time zones: which one a TZID means, what a VTIMEZONE says, and a VTIMEZONE for any zone.

A TZID that names an IANA zone by area and place means that zone, whatever VTIMEZONE comes with it: vendors' VTIMEZONEs
are often cut short. Else the object's VTIMEZONE holds, then what else the name may tell, then the User's zone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from bridge.domain.ical import recurrence, rules
from bridge.domain.ical.content import Component, Line, stamp

_EPOCH = dt.datetime(1970, 1, 1)
#: Clock changes are looked for this far apart: no zone changes its clocks twice in ten days.
_STRIDE = dt.timedelta(days=10)
#: VTIMEZONEs that we write list clock changes up to here one by one, unless a yearly rule says them all.
_LISTED_UNTIL = 2038
_OFFSET = re.compile(r"(?:GMT|UTC|UT|Z)?\s*([+-])(\d{1,2})(?:[:.]?(\d{2}))?(?::?\d{2})?", re.IGNORECASE)
_DISPLAY = re.compile(r"\((?:GMT|UTC)\s*([+-]\d{1,2}[:.]?\d{2})?\)\s*(.*)", re.IGNORECASE)
#: Limits for the VTIMEZONEs of others: onsets of one observance and of one zone, observances of one zone.
_ONSETS, _ALL_ONSETS, _OBSERVANCES = 2_000, 5_000, 400
#: Rules for clock changes are expanded from here on; there were hardly any before.
_FIRST_CHANGES = dt.datetime(1900, 1, 1)


def instant(local: dt.datetime, zone: dt.tzinfo) -> int:
    """A local time as Unix seconds. A skipped one is read by the offset before it, a doubled one is the first.

    RFC 5545 3.3.5.
    """
    return int(local.replace(tzinfo=zone).timestamp())


def local(at: int, zone: dt.tzinfo) -> dt.datetime:
    """An instant as local time, naive; beyond the calendar's ends, its ends."""
    try:
        return (_EPOCH + dt.timedelta(seconds=at)).replace(tzinfo=dt.UTC).astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        return dt.datetime.max.replace(microsecond=0) if at > 0 else dt.datetime.min


class Zones:
    """The zones of one object."""

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
    """The IANA zone that a TZID names by area and place, alone or at its end after a vendor's prefix; also UTC."""
    parts = tzid.strip().strip('"').split("/")
    for size in (3, 2):
        if len(parts) >= size and (zone := _iana("/".join(parts[-size:]))) is not None:
            return zone
    return dt.UTC if parts[-1].upper() in {"UTC", "GMT", "Z", "ZULU"} else None


@lru_cache(maxsize=4096)
def hinted(tzid: str) -> dt.tzinfo | None:
    """What a name without a definition may tell: a Windows zone, an IANA abbreviation, a city, an offset."""
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


# --- What a VTIMEZONE says -----------------------------------------------------------------------------------------


class Observed(dt.tzinfo):
    """A zone by its clock changes: (instant, offset before, offset after, name after), in order."""

    def __init__(self, changes: list[tuple[int, int, int, str]]) -> None:
        self._changes = changes
        self._instants = [change[0] for change in changes]
        # A local time is after a change once it can't be before it: skipped and doubled times are still before.
        self._locals = [at + max(before, after) for at, before, after, _ in changes]

    def _offset(self, index: int) -> int:
        return self._changes[index - 1][2] if index else self._changes[0][1]

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        """The offset at a local time."""
        since = when.replace(tzinfo=None) - _EPOCH if when is not None else dt.timedelta()
        index = bisect_right(self._locals, since.days * 86_400 + since.seconds)
        if when is not None and when.fold and index < len(self._changes):
            at, before, after, _ = self._changes[index]
            if before > after and at + after <= since.days * 86_400 + since.seconds:
                index += 1
        return dt.timedelta(seconds=self._offset(index))

    def fromutc(self, when: dt.datetime) -> dt.datetime:
        """Local time of an instant."""
        since = when.replace(tzinfo=None) - _EPOCH
        at = since.days * 86_400 + since.seconds
        index = bisect_right(self._instants, at)
        here = when + dt.timedelta(seconds=self._offset(index))
        if index and self._changes[index - 1][1] > self._changes[index - 1][2]:
            doubled = self._changes[index - 1][1] - self._changes[index - 1][2]
            here = here.replace(fold=int(at - self._instants[index - 1] < doubled))
        return here

    def dst(self, when: dt.datetime | None) -> dt.timedelta | None:
        """Not known."""
        return None

    def tzname(self, when: dt.datetime | None) -> str | None:
        """The TZNAME of the observance."""
        if when is None:
            return None
        offset = self.utcoffset(when).total_seconds()
        return next((name for _, _, after, name in self._changes if after == offset and name), None)


@lru_cache(maxsize=512)
def observed(observances: tuple[tuple[str, tuple[Line, ...]], ...]) -> Observed | None:
    """The zone of a VTIMEZONE's STANDARD and DAYLIGHT parts; None when nothing in them can be used."""
    found: list[tuple[dt.datetime, int, int, str]] = []
    for name, lines in observances:
        if name in {"STANDARD", "DAYLIGHT"} and len(found) < _ALL_ONSETS:
            found += _onsets(lines)
    if not found:
        return None
    found.sort()
    # What it says it came from may be odd; what the clocks showed before is the observance before.
    changes: list[tuple[int, int, int, str]] = []
    for onset, before, after, label in found:
        previous = changes[-1][2] if changes else before
        since = onset - _EPOCH
        at = since.days * 86_400 + since.seconds - before
        if not changes or at > changes[-1][0]:
            changes.append((at, previous, after, label))
    return Observed(changes)


def _onsets(lines: tuple[Line, ...]) -> list[tuple[dt.datetime, int, int, str]]:
    values: dict[str, str] = {}
    for line in lines:
        values.setdefault(line.name, line.value.strip())
    after = _offset_value(values.get("TZOFFSETTO", ""))
    before = _offset_value(values.get("TZOFFSETFROM", ""))
    start = _onset(values.get("DTSTART", ""))
    if after is None or start is None:
        return []
    before = after if before is None else before
    onsets = [start]
    for line in lines:
        if line.name == "RDATE":
            onsets += [o for o in map(_onset, line.value.split(",")[:_ONSETS]) if o is not None]
        elif line.name == "RRULE" and (rule := rules.parse(line.value)) is not None:
            onsets += _recurring(rule, start, before)
    label = values.get("TZNAME", "")
    return [(onset, before, after, label) for onset in onsets]


def _recurring(rule: rules.Rule, start: dt.datetime, before: int) -> list[dt.datetime]:
    if rule.freq > rules.Freq.MONTHLY:
        return []
    until = _onset(rule.until or "")
    if until is not None and (rule.until or "").endswith("Z"):
        until += dt.timedelta(seconds=before)
    found: list[dt.datetime] = []
    for onset in recurrence.starts(rule, start, _FIRST_CHANGES, recurrence.LAST, until):
        found.append(onset)
        if len(found) == _ONSETS:
            break
    return found


def _onset(text: str) -> dt.datetime | None:
    match = re.match(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d))?", text.strip())
    if match is None:
        return None
    try:
        return dt.datetime(*(int(group or 0) for group in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None


def _offset_value(text: str) -> int | None:
    match = re.fullmatch(r"([+-]?)(\d\d):?(\d\d)(?::?(\d\d))?", text)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        return None
    seconds = int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4] or 0)
    return -seconds if match[1] == "-" else seconds


# --- A VTIMEZONE of our own ----------------------------------------------------------------------------------------


def tzid_of(zone: dt.tzinfo) -> str | None:
    """The TZID to write for a zone: None for UTC; a name made from its content for one without an IANA name."""
    if zone is dt.UTC:
        return None
    if isinstance(zone, ZoneInfo):
        return None if zone.key in {"UTC", "Etc/UTC", "Etc/GMT", "GMT", "Zulu", "UCT"} else zone.key
    said = repr(zone._changes if isinstance(zone, Observed) else zone)
    return f"Zone/{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def vtimezones(zones: Iterable[dt.tzinfo], first_year: int) -> list[str]:
    """The lines of the VTIMEZONEs of these zones, each once, for times from `first_year` on."""
    wanted = {tzid: zone for zone in zones if (tzid := tzid_of(zone)) is not None}
    return [line for tzid in sorted(wanted) for line in _vtimezone(wanted[tzid], tzid, max(first_year, 1900))]


@lru_cache(maxsize=1024)
def _vtimezone(zone: dt.tzinfo, tzid: str, first_year: int) -> tuple[str, ...]:
    """As short as it can be: two yearly rules where they say all, one observance where clocks never change."""
    begin = dt.datetime(first_year - 1, 1, 1)  # a year early: its last change says how the first year begins
    end = max(_LISTED_UNTIL, first_year + 12)
    changes = _changes(zone, begin, dt.datetime(end, 1, 1))
    lines = ["BEGIN:VTIMEZONE", f"TZID:{tzid}"]
    tail = _yearly_tail(changes) if changes and changes[-1][0].year == end - 1 else None
    listed = [change for change in changes if tail is None or change[0] < tail[0][0]]
    if tail is None or listed:
        offset = _shift(zone, begin)
        lines += _observance(begin, offset, offset, zone, onset=begin)
    for at, before, after in listed:
        lines += _observance(at, before, after, zone, onset=at)
    for at, before, after, rule in tail or ():
        lines += _observance(at, before, after, zone, onset=at, rule=rule)
    return (*lines, "END:VTIMEZONE")


def _changes(zone: dt.tzinfo, begin: dt.datetime, end: dt.datetime) -> list[tuple[dt.datetime, int, int]]:
    """Every clock change in [begin, end) of UTC: (local time before it, offset before, offset after), in order."""
    found: list[tuple[dt.datetime, int, int]] = []
    at, offset = begin, _shift(zone, begin)
    while at < end:
        step = at + _STRIDE
        after = _shift(zone, step)
        if after != offset:
            low, high = 0, int(_STRIDE.total_seconds())
            while high - low > 1:
                middle = (low + high) // 2
                if _shift(zone, at + dt.timedelta(seconds=middle)) == offset:
                    low = middle
                else:
                    high = middle
            found.append((at + dt.timedelta(seconds=high + offset), offset, after))
        at, offset = step, after
    return found


def _shift(zone: dt.tzinfo, at: dt.datetime) -> int:
    offset = at.replace(tzinfo=dt.UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


_Tail = list[tuple[dt.datetime, int, int, str]]


def _yearly_tail(changes: list[tuple[dt.datetime, int, int]]) -> _Tail | None:
    """The two yearly rules that say every change from some year on, each with its first onset; None: no such rules."""
    if len(changes) < 8:
        return None
    tail: _Tail = []
    for parity in (0, 1):
        series = changes[len(changes) - 1 - parity :: -2]
        at, before, after = series[0]
        for ordinal in (-1, (at.day - 1) // 7 + 1):
            rule = rules.Rule(rules.Freq.YEARLY, bymonth=(at.month,), byday=((ordinal, at.weekday()),))
            first = at
            for earlier, was, became in series[1:]:
                same = next(recurrence.starts(rule, earlier, earlier, earlier), None) is not None
                alike = (was, became, earlier.time()) == (before, after, at.time())
                if not (same and alike) or earlier.year != first.year - 1:
                    break
                first = earlier
            if at.year - first.year >= 3:
                tail.append((first, before, after, rule.text()))
                break
    return _from_together(tail) if len(tail) == 2 else None


def _from_together(tail: _Tail) -> _Tail:
    """Both rules from the year in which the younger begins, so that what is listed and what they say do not overlap."""
    year = max(first.year for first, *_ in tail)
    moved: _Tail = []
    for first, before, after, text in tail:
        rule = rules.parse(text)
        assert rule is not None, "we wrote it"  # noqa: S101
        begin = first.replace(year=year, month=1, day=1) if first.year < year else first
        onset = next(recurrence.starts(rule, begin, begin, begin + dt.timedelta(days=366)))
        moved.append((onset, before, after, text))
    return sorted(moved)


def _observance(
    at: dt.datetime, before: int, after: int, zone: dt.tzinfo, *, onset: dt.datetime, rule: str | None = None
) -> list[str]:
    kind = "DAYLIGHT" if after > before else "STANDARD"
    label = (onset + dt.timedelta(seconds=after - before, hours=6)).replace(tzinfo=zone).tzname()
    lines = [f"BEGIN:{kind}", f"DTSTART:{stamp(at)}"]
    if rule is not None:
        lines.append(f"RRULE:{rule}")
    lines += [f"TZOFFSETFROM:{_offset_text(before)}", f"TZOFFSETTO:{_offset_text(after)}"]
    if label and re.fullmatch(r"[A-Za-z0-9+-]+", label):
        lines.append(f"TZNAME:{label}")
    return [*lines, f"END:{kind}"]


def _offset_text(seconds: int) -> str:
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{sign}{hours:02}{minutes:02}" + (f"{rest:02}" if rest else "")
