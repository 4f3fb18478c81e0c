"""Writing a VTIMEZONE for any zone (RFC 5545 section 3.6.5)."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from zoneinfo import ZoneInfo

from bridge.domain.ical import recurrence, rules
from bridge.domain.ical.content import stamp
from bridge.domain.ical.observances import Observed

#: Clock changes are looked for in steps of this length: no zone changes its clocks twice within ten days.
_STRIDE = dt.timedelta(days=10)
#: Up to this year clock changes are listed one by one, unless two yearly rules describe them all.
_LISTED_UNTIL = 2038


def tzid_of(zone: dt.tzinfo) -> str | None:
    """The TZID to write for a zone; None for UTC. One without an IANA name is named by a hash of its clock changes."""
    if zone is dt.UTC:
        return None
    if isinstance(zone, ZoneInfo):
        return None if zone.key in {"UTC", "Etc/UTC", "Etc/GMT", "GMT", "Zulu", "UCT"} else zone.key
    said = repr(zone._changes if isinstance(zone, Observed) else zone)
    return f"Zone/{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def vtimezones(zones: Iterable[dt.tzinfo], first_year: int) -> list[str]:
    """The lines of one VTIMEZONE for each of these zones (none for UTC), valid for times from `first_year` on."""
    wanted = {tzid: zone for zone in zones if (tzid := tzid_of(zone)) is not None}
    return [line for tzid in sorted(wanted) for line in _vtimezone(wanted[tzid], tzid, max(first_year, 1900))]


@lru_cache(maxsize=1024)
def _vtimezone(zone: dt.tzinfo, tzid: str, first_year: int) -> tuple[str, ...]:
    """As short as possible: two yearly rules where these suffice, one observance for a zone that never changes."""
    begin = dt.datetime(
        first_year - 1, 1, 1
    )  # a year early, since its last change decides the offset at the start of `first_year`
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
    """The two yearly rules that describe every change from some year on, each with its first onset; None if none do."""
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
    """Both rules, starting in the year in which the later one begins, so that they repeat no change listed before."""
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
