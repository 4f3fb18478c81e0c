"""Published objects: what goes into one, its text, and the facts about it that are stored beside the text."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bridge.domain.ical import content
from bridge.domain.ical.events import Length, Moment
from bridge.domain.ical.series import Pattern
from bridge.domain.ical.vtimezones import tzid_of, vtimezones
from bridge.domain.ical.zones import local
from bridge.domain.model import Interval, Occurrence

#: A fixed stamp, so that equal input gives equal bytes.
_DTSTAMP = "DTSTAMP:20000101T000000Z"
_DAY = 86_400
#: The RDATE that stands for a stretch is no further away from it than this: see `add`.
_NEAR = dt.timedelta(days=100)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A published object, and when it takes time. Instants are Unix seconds, UTC."""

    ics: str
    etag: str
    #: The first instant covered, and the first instant after all of it (or somewhat later); None: it has no end.
    first_start: int
    last_end: int | None
    #: Ordered by start. Occurrences that touch or overlap are not joined.
    occurrences: tuple[Occurrence, ...]
    #: The span for which the occurrences are complete; None: the object has no others.
    expanded: Interval | None
    #: A digest that is equal for objects that take the same times.
    same_times: str


class Stretch(NamedTuple):
    """A single stretch of time (Unix seconds, UTC) and its title."""

    start: int
    end: int
    all_day: bool
    summary: str


@dataclass(slots=True)
class Slot:
    """What is published: a Pattern without `excluded`, with overrides. Instances are identified by their instants."""

    pattern: Pattern
    summary: str
    excluded: set[int] = field(default_factory=set)
    overrides: dict[int, Stretch] = field(default_factory=dict)
    #: RDATEs in addition to those of the pattern.
    added: dict[int, Moment] = field(default_factory=dict)
    #: Whether it goes on after the instances that are listed here.
    goes_on: bool = False
    #: For a taken place the next one that may be free, so that `add` need not search from the start each time.
    taken: dict[int, Moment] = field(default_factory=dict)
    #: Further content lines for each of its VEVENTs.
    details: tuple[str, ...] = ()


class Crowded(Exception):
    """There is no free place for an RDATE near a stretch."""


def slot_from(stretch: Stretch, days_in: dt.tzinfo | None) -> Slot:
    """A Slot of one stretch, to which others can be added.

    `days_in`: an all-day stretch is identified by its day in this zone; with None, every stretch by its second.
    """
    if stretch.all_day and days_in is not None:
        start, end = (local(at, days_in).replace(hour=0, minute=0, second=0) for at in (stretch.start, stretch.end))
        place = Moment(start, days_in, True)
    else:
        start, end = (local(at, dt.UTC) for at in (stretch.start, stretch.end))
        place = Moment(start, dt.UTC, False)
    slot = Slot(Pattern(place, Length(end - start), (), ()), stretch.summary)
    if _as_it_is(slot, place) != stretch:
        slot.overrides[place.instant] = stretch
    return slot


def add(slot: Slot, stretch: Stretch) -> None:
    """Add a stretch as an RDATE, with an override unless it has the length and title of the series. Raises `Crowded`.

    With an override, the RDATE itself is just an identifier: where its place is taken, the next free one is used.
    """
    made = slot.pattern
    step = dt.timedelta(days=1) if made.start.is_date else dt.timedelta(seconds=1)
    place = at(max(stretch.start, made.start.instant), made.start)
    far = place.local + _NEAR
    passed: list[int] = []
    while (key := place.instant) in slot.added or key in slot.excluded or made.has(key):
        if _as_it_is(slot, place) == stretch and key not in slot.excluded and key not in slot.overrides:
            return  # it is there already
        passed.append(key)
        place = slot.taken.get(key) or place._replace(local=place.local + step)
        if place.local > far:
            raise Crowded
    slot.taken.update(dict.fromkeys(passed, place))
    slot.added[key] = place
    if _as_it_is(slot, place) != stretch:
        slot.overrides[key] = stretch


# --- Its text --------------------------------------------------------------------------------------------------------


def single_stretch(uid: str, only: Stretch, user_zone: dt.tzinfo, details: tuple[str, ...] = ()) -> Rendered:
    """The published object of one stretch of time."""
    lines = [*_begin(uid, only.summary, details), *_when(only, user_zone), "END:VEVENT"]
    found = (Occurrence(only.start, only.end, only.all_day),) if only.start < only.end else ()
    return _rendered(content.calendar(lines), only.start, only.end, found, None)


def published(slot: Slot, uid: str, user_zone: dt.tzinfo, horizon: Interval) -> Rendered | None:
    """The published object of a Slot; None when nothing of it takes time."""
    times = _measured(slot, horizon)
    if times.expanded is None and not times.occurrences:
        return None
    made = slot.pattern
    if not (made.rules or made.rdates or slot.added or slot.overrides):
        key = made.start.instant
        if key in slot.excluded:
            return None
        end = made.length.end(made.start.local, made.start.zone, key)
        only = single_stretch(uid, Stretch(key, end, made.start.is_date, slot.summary), user_zone, slot.details)
        return replace(only, last_end=times.last_end, occurrences=times.occurrences, expanded=times.expanded)
    return _rendered(content.calendar(_lines(slot, uid, user_zone)), *times)


class _Times(NamedTuple):
    """When a Slot takes time: as in Rendered."""

    first_start: int
    last_end: int | None
    occurrences: tuple[Occurrence, ...]
    expanded: Interval | None


def _measured(slot: Slot, horizon: Interval) -> _Times:
    """When a Slot takes time: always, if it has no rule or ends within the horizon; otherwise within the horizon."""
    made = slot.pattern
    singles = [
        *slot.overrides.values(),
        *(_as_it_is(slot, place) for key, place in slot.added.items() if key not in slot.overrides),
    ]
    first_start = min([made.start.instant, *(m.instant for m, _ in made.rdates), *(s.start for s in singles)])
    last_end = None
    if (last := made.last) is not None and not slot.goes_on:
        end = made.length.end(last, made.start.zone, made.start._replace(local=last).instant)
        last_end = max([end, *(s.end for s in singles)])
        if not made.rules or (horizon.start <= first_start - _DAY and last_end + _DAY <= horizon.end):
            every = _occurrences(slot, singles, Interval(first_start - _DAY, last_end + _DAY))
            return _Times(first_start, last_end, every, None)
    return _Times(first_start, last_end, _occurrences(slot, singles, horizon), horizon)


def _as_it_is(slot: Slot, place: Moment) -> Stretch:
    """The instance at this place, with the length and title of the series."""
    key = place.instant
    return Stretch(key, slot.pattern.length.end(place.local, place.zone, key), place.is_date, slot.summary)


def _occurrences(slot: Slot, singles: Iterable[Stretch], span: Interval) -> tuple[Occurrence, ...]:
    placed, complete = slot.pattern.placed(span, slot.excluded | slot.overrides.keys())
    found = [
        Occurrence(key, length.end(moment.local, moment.zone, key), moment.is_date)
        for key, (moment, length) in placed.items()
    ]
    if not complete:
        found[-1] = replace(found[-1], end=max(found[-1].end, span.end))
    found += [Occurrence(s.start, s.end, s.all_day) for s in singles]
    return within(found, span)


def _lines(slot: Slot, uid: str, user_zone: dt.tzinfo) -> list[str]:
    made = slot.pattern
    start = made.start
    master = [*_begin(uid, slot.summary, slot.details), f"DTSTART{value(start)}", end_line(start, made.length)]
    added = {moment.instant for moment, _ in made.rdates} | slot.added.keys()
    for rule, until in made.rules:
        master.append(f"RRULE:{replace(rule, until=None).text(until_value(until, start))}")
    if not made.rules:
        master.append("RRULE:FREQ=YEARLY;COUNT=1")  # with RDATEs alone, some clients would leave DTSTART out
    for name, keys in (("RDATE", added), ("EXDATE", slot.excluded)):
        if keys:
            master.append(name + values([at(key, start) for key in sorted(keys)]))
    lines = [*master, "END:VEVENT"]
    for key, stretch in sorted(slot.overrides.items()):
        lines += [*_begin(uid, stretch.summary, slot.details), f"RECURRENCE-ID{value(at(key, start))}"]
        lines += [*_when(stretch, user_zone), "END:VEVENT"]
    if start.is_date:
        return lines
    earliest = min([start.instant, *added, *slot.excluded, *slot.overrides])
    return [*vtimezones([start.zone], local(earliest, start.zone).year), *lines]


def _begin(uid: str, summary: str, details: tuple[str, ...]) -> list[str]:
    return ["BEGIN:VEVENT", f"UID:{uid}", _DTSTAMP, f"SUMMARY:{content.escape(summary)}", *details, "TRANSP:OPAQUE"]


def _when(stretch: Stretch, user_zone: dt.tzinfo) -> list[str]:
    """DTSTART and DTEND of a single stretch: in UTC, which needs no VTIMEZONE; if all-day, as days in `user_zone`."""
    if stretch.all_day:
        first, after = (content.day(local(at, user_zone)) for at in (stretch.start, stretch.end))
        return [f"DTSTART;VALUE=DATE:{first}", f"DTEND;VALUE=DATE:{after}"]
    return [f"DTSTART:{content.utc(stretch.start)}", f"DTEND:{content.utc(stretch.end)}"]


def _rendered(
    ics: str, first_start: int, last_end: int | None, found: tuple[Occurrence, ...], expanded: Interval | None
) -> Rendered:
    """A Rendered, with its ETag and digest."""
    times = repr((first_start, last_end, [(o.start, o.end) for o in found]))
    return Rendered(ics, f'"{_digest(ics)}"', first_start, last_end, found, expanded, _digest(times))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def within(found: Iterable[Occurrence], span: Interval) -> tuple[Occurrence, ...]:
    """The occurrences that take time within the span, ordered by start, without duplicates."""
    touching = {o for o in found if o.start < o.end and o.start < span.end and o.end > span.start}
    return tuple(sorted(touching, key=lambda o: (o.start, o.end, o.all_day)))


def value(moment: Moment) -> str:
    """The part of a content line after the property name, for a property whose value is this moment."""
    if moment.is_date:
        return f";VALUE=DATE:{content.day(moment.local)}"
    tzid = tzid_of(moment.zone)
    if tzid is None:
        return f":{content.stamp(moment.local)}Z"
    return f";TZID={tzid}:{content.stamp(moment.local)}"


def values(moments: Sequence[Moment]) -> str:
    """As `value`, for a list of moments that all have the same kind and zone."""
    head, _, first = value(moments[0]).partition(":")
    return f"{head}:{','.join([first, *(value(m).partition(':')[2] for m in moments[1:])])}"


def end_line(start: Moment, length: Length) -> str:
    """A DTEND line; a DURATION line where the length has an exact part, or the end can't be expressed as a time."""
    try:
        if not length.exact:
            return f"DTEND{value(start._replace(local=start.local + length.wall))}"
    except OverflowError:
        pass
    days, seconds = length.wall.days, length.wall.seconds + length.exact
    return f"DURATION:P{days}DT{seconds}S" if days else f"DURATION:PT{seconds}S"


def until_value(until: dt.datetime | None, start: Moment) -> str | None:
    """UNTIL for a rule with this DTSTART: a DATE, or a DATE-TIME in UTC (RFC 5545 section 3.3.10)."""
    if until is None:
        return None
    return content.day(until) if start.is_date else content.utc(start._replace(local=until).instant)


def at(key: int, start: Moment) -> Moment:
    """An instant as a moment of the same kind (DATE or DATE-TIME) and zone as DTSTART."""
    there = local(key, start.zone)
    return start._replace(local=there.replace(hour=0, minute=0, second=0) if start.is_date else there)
