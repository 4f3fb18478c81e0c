"""Recurrences one by one: of items past the horizon up to which they are stored, and as clients ask to see them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bridge.domain import ical
from bridge.domain.ical import content
from bridge.domain.ical.events import Moment, event
from bridge.domain.ical.slots import zones_of
from bridge.domain.ical.zones import local
from bridge.domain.model import Interval, PublishedItem

#: Nobody looks at more than this at once, in seconds; to expand rules without end over more would take minutes.
_LONGEST = 10 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Expansion:
    """The occurrences of one item in a span of which not all are stored, computed from its text."""

    item: PublishedItem
    span: Interval
    time_zone: str

    @property
    def _clipped(self) -> Interval:
        end = self.span.end if self.item.last_end is None else min(self.span.end, self.item.last_end)
        return Interval(max(self.span.start, self.item.first_start), end)

    @property
    def _too_long(self) -> bool:
        return self._clipped.end - self._clipped.start > _LONGEST

    def touches(self) -> bool:
        """Whether there is one. Over more than ten years, which a rule hardly skips, taken for granted."""
        return self._too_long or any(True for _ in self.times())

    def times(self) -> Iterator[Interval]:
        """All of them. Raises `ValueError` over more than ten years."""
        if self._too_long:
            raise ValueError("recurring events are not expanded over more than ten years")
        for occurrence in ical.occurrences(self.item.ics, self._clipped, time_zone=self.time_zone):
            yield Interval(occurrence.start, occurrence.end)


def expanded(ics: str, times: Iterable[Interval], time_zone: str) -> tuple[str, int]:
    """A published object with each of these occurrences of it as an event of its own, and how many they are.

    Times are in UTC, so that nobody needs a VTIMEZONE; all-day ones are days of the User's (RFC 4791 section 9.6.5).
    """
    root = content.read(ics)
    zones = zones_of(root, time_zone)
    master: _Kind | None = None
    overrides: dict[Interval, _Kind] = {}
    for component, kept in zip(root.walk("VEVENT"), _kept(ics), strict=True):
        found = event(component, zones)
        if found is None:
            continue
        at = found.start.instant
        takes = Interval(at, found.length.end(found.start.local, found.start.zone, at))
        made = _Kind(kept, found.start.is_date, found.recurrence_id, found.recurs)
        if found.recurrence_id is None:
            master = made
        else:
            overrides[takes] = made
    lines: list[str] = []
    count = 0
    for time in times:
        kind = overrides.get(time, master)
        if kind is not None:
            lines += kind.lines(time, zones.user)
            count += 1
    return content.calendar(lines), count


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the occurrences of one event have in common."""

    kept: list[str]
    all_day: bool
    #: Which occurrence of the series it stands for, if it stands for one.
    instead_of: Moment | None
    recurs: bool

    def lines(self, time: Interval, zone: dt.tzinfo) -> Iterator[str]:
        yield "BEGIN:VEVENT"
        yield from self.kept
        yield f"DTSTART{_value(time.start, zone, self.all_day)}"
        if time.end > time.start:
            yield f"DTEND{_value(time.end, zone, self.all_day)}"
        if self.instead_of is not None:
            yield f"RECURRENCE-ID{_value(self.instead_of.instant, zone, self.instead_of.is_date)}"
        elif self.recurs:
            yield f"RECURRENCE-ID{_value(time.start, zone, self.all_day)}"
        yield "END:VEVENT"


def _value(instant: int, zone: dt.tzinfo, is_date: bool) -> str:
    return f";VALUE=DATE:{content.day(local(instant, zone))}" if is_date else f":{content.utc(instant)}"


_WHEN = frozenset({"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"})


def _kept(ics: str) -> Iterator[list[str]]:
    """Of each event the lines that do not say when it is."""
    lines: list[str] | None = None
    for line in content.unfold(ics).split("\n"):
        if line == "BEGIN:VEVENT":
            lines = []
        elif line == "END:VEVENT" and lines is not None:
            yield lines
            lines = None
        elif lines is not None and line.partition(":")[0].partition(";")[0] not in _WHEN:
            lines.append(line)
