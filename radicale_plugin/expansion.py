"""Computing occurrences outside the stored horizon, and expanding recurring events for clients (CALDAV:expand)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bridge.domain import ical
from bridge.domain.ical import content
from bridge.domain.ical.events import Moment, event
from bridge.domain.ical.slots import zones_of
from bridge.domain.ical.zones import local, named
from bridge.domain.model import Interval, Occurrence, PublishedItem

#: The longest span to expand, in seconds: expanding endless rules over more would take minutes.
_LONGEST = 10 * 366 * 86_400
#: Seconds that the first search for an occurrence looks ahead.
_FIRST_LOOK = 32 * 86_400
#: At most this many occurrences are computed for one request; each takes about 50 microseconds.
_MOST_COMPUTED = 50_000


class TooMuch(ValueError):
    """Computing the answer would take too long."""


class Effort:
    """Counts the occurrences that were computed for one request."""

    def __init__(self) -> None:
        self._spent = 0

    def spend(self, occurrences: int) -> None:
        """Add to the count. Raises `TooMuch` once it is too high."""
        self._spent += occurrences
        if self._spent > _MOST_COMPUTED:
            raise TooMuch(f"more than {_MOST_COMPUTED} recurrences past those that are stored")


@dataclass(frozen=True, slots=True)
class Expansion:
    """The occurrences of one item in a span for which not all are stored, computed from its text."""

    item: PublishedItem
    span: Interval
    time_zone: str
    effort: Effort

    @property
    def _clipped(self) -> Interval:
        end = self.span.end if self.item.last_end is None else min(self.span.end, self.item.last_end)
        return Interval(max(self.span.start, self.item.first_start), end)

    @property
    def _too_long(self) -> bool:
        return self._clipped.end - self._clipped.start > _LONGEST

    def touches(self) -> bool:
        """Whether there is an occurrence. Assumed for more than ten years, as hardly any rule pauses for so long."""
        if self._too_long:
            return True
        span, reach = self._clipped, _FIRST_LOOK
        while span.start + reach < span.end:
            if self._within(Interval(span.start, span.start + reach)):
                return True
            span, reach = Interval(span.start + reach, span.end), 8 * reach
        return bool(self._within(span))

    def times(self) -> Iterator[Interval]:
        """All occurrences. Raises `TooMuch` for a span of more than ten years."""
        if self._too_long:
            raise TooMuch("recurring events are not expanded over more than ten years")
        found = self._within(self._clipped)
        self.effort.spend(len(found))
        for occurrence in found:
            yield Interval(occurrence.start, occurrence.end)

    def _within(self, span: Interval) -> tuple[Occurrence, ...]:
        return ical.occurrences(self.item.ics, span, time_zone=self.time_zone)


def expanded(ics: str, times: Iterable[Interval], time_zone: str) -> tuple[str, int]:
    """A published object with each of these occurrences as an event of its own, and the number of occurrences.

    Times are in UTC, which needs no VTIMEZONE; all-day ones are days in the User's zone (RFC 4791 section 9.6.5).
    """
    blocks = [found[1] for found in _EVENT.finditer(ics)]
    if len(blocks) == 1 and "\nRECURRENCE-ID" not in blocks[0]:
        kinds = _Kinds(_kind(blocks[0]), {}, named(time_zone) or dt.UTC)
    else:
        kinds = _several(ics, blocks, time_zone)
    events = [event for time in times if (event := kinds.event(time)) is not None]
    return f"{_BEGIN}{''.join(events)}{_END}", len(events)


_BEGIN, _END = content.calendar(["?"]).split("?\r\n")
_EVENT = re.compile(r"^(BEGIN:VEVENT\r\n.*?)^END:VEVENT\r\n", re.DOTALL | re.MULTILINE)
#: The lines that say when an event is, with their continuation lines.
_WHEN = re.compile(r"^(?:DTSTART|DTEND|DURATION|RRULE|RDATE|EXDATE|RECURRENCE-ID)[:;].*\r\n(?: .*\r\n)*", re.MULTILINE)
_ALL_DAY = re.compile(r"^DTSTART;VALUE=DATE:", re.MULTILINE)
_RECURS = re.compile(r"^(?:RRULE|RDATE)[:;]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the occurrences of one event have in common. `lines` are its lines without those that say when it is."""

    lines: str
    all_day: bool
    recurs: bool
    #: For an override: which occurrence of the series it replaces.
    instead_of: Moment | None = None


def _kind(block: str) -> _Kind:
    return _Kind(_WHEN.sub("", block), _ALL_DAY.search(block) is not None, _RECURS.search(block) is not None)


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The events of one object: the series, and its overrides by their times."""

    master: _Kind | None
    overrides: dict[Interval, _Kind]
    zone: dt.tzinfo

    def event(self, time: Interval) -> str | None:
        """The occurrence at this time, as an event of its own."""
        kind = self.overrides.get(time, self.master) if self.overrides else self.master
        if kind is None:
            return None
        start = self._value(time.start, kind.all_day)
        end = f"DTEND{self._value(time.end, kind.all_day)}\r\n" if time.end > time.start else ""
        which = ""
        if kind.instead_of is not None:
            which = f"RECURRENCE-ID{self._value(kind.instead_of.instant, kind.instead_of.is_date)}\r\n"
        elif kind.recurs:
            which = f"RECURRENCE-ID{start}\r\n"
        return f"{kind.lines}DTSTART{start}\r\n{end}{which}END:VEVENT\r\n"

    def _value(self, instant: int, is_date: bool) -> str:
        if is_date:
            return f";VALUE=DATE:{content.day(local(instant, self.zone))}"
        return f":{content.utc(instant)}"


def _several(ics: str, blocks: list[str], time_zone: str) -> _Kinds:
    """The events of an object with several: the times of overrides have to be read from them."""
    root = content.read(ics)
    zones = zones_of(root, time_zone)
    kinds = _Kinds(None, {}, zones.user)
    for component, block in zip(root.walk("VEVENT"), blocks, strict=True):
        found = event(component, zones)
        if found is None:
            continue
        kind = replace(_kind(block), instead_of=found.recurrence_id)
        if found.recurrence_id is None:
            kinds = replace(kinds, master=kind)
        else:
            at = found.start.instant
            kinds.overrides[Interval(at, found.length.end(found.start.local, found.start.zone, at))] = kind
    return kinds
