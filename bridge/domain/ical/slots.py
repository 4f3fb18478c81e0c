"""Blocked slots: the object that clients get for what blocks of an upstream object, or for a CRM's own BlockedSlot.

What is published is made of parts that every client expands alike: one series with the exceptions it needs, and single
stretches of time, added to it as RDATEs with overrides. Whatever can't be said so (RANGE=THISANDFUTURE, a travel time
that crosses midnight, a second series in one object) is added stretch by stretch, for the years around now.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bridge.domain.ical import content, recurrence, rendering
from bridge.domain.ical.content import Component
from bridge.domain.ical.events import Length, Moment, event
from bridge.domain.ical.judge import BUSY, Judge
from bridge.domain.ical.rendering import Rendered
from bridge.domain.ical.series import Instance, Pattern, Series, read, single
from bridge.domain.ical.zones import Zones, local, vtimezones
from bridge.domain.model import BlockedSlot, Interval, Occurrence, SlotSettings

#: Equal input, equal bytes: when a slot was rendered says nothing about it.
_DTSTAMP = "DTSTAMP:20000101T000000Z"
#: Single stretches in one object, at most; what is more becomes one stretch.
_MOST_STRETCHES = 2_000
_EVER = Interval(-(2**36), 2**38)
_DAY = 86_400


class Stretch(NamedTuple):
    """A single stretch of time and what it is called."""

    start: int
    end: int
    all_day: bool
    summary: str


@dataclass(slots=True)
class Slot:
    """What is published: a Pattern, less `excluded`, with overrides. Instances are told apart by their instants."""

    pattern: Pattern
    summary: str
    excluded: set[int] = field(default_factory=set)
    overrides: dict[int, Stretch] = field(default_factory=dict)
    #: RDATEs besides those of the pattern.
    added: dict[int, Moment] = field(default_factory=dict)


def blocked_slot(
    ics: str, *, uid: str, settings: SlotSettings, time_zone: str, addresses: frozenset[str], horizon: Interval
) -> Rendered | None:
    """The blocked slot of an upstream object, under the given UID. None where it takes no time from its owner.

    `time_zone` is the User's: it gives floating times and all-day events their place. `addresses` are the owner's, in
    lower case. What has no length (a DATE-TIME without an end) blocks nothing and is not published: it is a mark in the
    owner's calendar, and "Busy" for no time would only puzzle. Recurrences are expanded within `horizon`.
    """
    root = content.read(ics)
    zones = zones_of(root, time_zone)
    judge = Judge(settings, addresses)
    components = list(root.walk("VEVENT"))
    if len(components) == 1 and not components[0].lines.keys() & {"RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"}:
        found = event(components[0], zones)
        if found is None or not judge.blocks(found):
            return None
        only = _stretch(judge.with_travel(single(found)), judge.title(found))
        return _rendered_single(uid, only, zones.user) if only.start < only.end else None
    slot = _assemble(root, zones, judge, _years_around(horizon))
    return None if slot is None else _rendered(slot, uid, zones, horizon)


def crm_slot(slot: BlockedSlot) -> Rendered:
    """The published object of a CRM BlockedSlot, under its id."""
    only = Stretch(slot.start, slot.end, False, content.clean(slot.title).strip() or BUSY)
    return _rendered_single(slot.id, only, dt.UTC)


def occurrences(ics: str, span: Interval, *, time_zone: str) -> tuple[Occurrence, ...]:
    """The stretches of time of a published object that touch the span, by start; all-day ones in the User's zone."""
    root = content.read(ics)
    several, orphans = read(root, zones_of(root, time_zone), _EVER.start)
    found = [single(orphan) for orphan in orphans]
    for series in several:
        found += series.instances(span)
    return rendering.within((Occurrence(i.start, i.end, i.all_day) for i in found), span)


def zones_of(root: Component, time_zone: str) -> Zones:
    """The zones of an object of a User whose own zone this is."""
    return Zones(root, Zones(root, dt.UTC).of(time_zone))


def _years_around(horizon: Interval) -> Interval:
    """The horizon in whole years, with some to spare: what is listed one by one then changes once a year, not daily."""
    first, last = (local(at, dt.UTC).year for at in (horizon.start, horizon.end))
    begin, end = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (max(first - 1, 2), min(last + 2, 9998)))
    return Interval(int(begin.timestamp()), int(end.timestamp()))


# --- From an upstream object to what is published ------------------------------------------------------------------


def _assemble(root: Component, zones: Zones, judge: Judge, years: Interval) -> Slot | None:
    several, orphans = read(root, zones, years.start)
    native = [series for series in several if judge.blocks(series.master) and _can_be_said(series, judge)]
    main = next((series for series in native if series.pattern.rules), native[0] if native else None)
    stretches = [_stretch(judge.with_travel(single(o)), judge.title(o)) for o in orphans if judge.blocks(o)]
    for series in several:
        if series is not main:
            stretches += _listed(series, judge, years)
    slot = None if main is None else _slot_of(main, judge)
    for stretch in _bounded(stretches):
        if slot is None:
            slot = _slot_from(stretch, zones)
        else:
            _add(slot, stretch)
    return slot


def _can_be_said(series: Series, judge: Judge) -> bool:
    """Whether every client expands it right from one master and its overrides."""
    made = series.pattern
    travel = judge.travel(series.master)
    if series.futures or (made.length.is_none and not travel):
        return False
    if not travel or not made.rules:
        return not (travel and (made.rdates or series.overrides))
    # The travel is put before the start, which must not change the day or hour that the rule speaks of.
    since_midnight = (made.start.local - made.start.local.replace(hour=0, minute=0, second=0)).total_seconds()
    return (
        since_midnight >= travel
        and not made.coarse
        and not made.rdates
        and not any(r.byhour or r.byminute or r.bysecond or r.freq > recurrence.Freq.DAILY for r, _ in made.rules)
    )


def _slot_of(series: Series, judge: Judge) -> Slot:
    """The series as it is published: with travel, less what does not block."""
    master, made = series.master, series.pattern
    earlier = dt.timedelta(seconds=judge.travel(master))
    own = judge.title(master)
    kept = {key: override for key, override in series.overrides.items() if judge.blocks(override)}
    excluded = set() if made.coarse else (series.excluded | series.overrides.keys()) - kept.keys()

    def moved(key: int) -> int:
        at = rendering.at(key, made.start)
        return at._replace(local=at.local - earlier).instant if earlier else key

    slot = Slot(
        replace(
            made,
            start=made.start._replace(local=made.start.local - earlier),
            length=made.length.longer(int(earlier.total_seconds())),
            rules=tuple((rule, until - earlier if until is not None else None) for rule, until in made.rules),
            rdates=tuple((m, None) for m, length in made.rdates if length in {None, made.length}),
        ),
        own,
        {moved(key) for key in excluded},
    )
    loose: list[Stretch] = []
    for key, override in kept.items():
        stretch = _stretch(judge.with_travel(single(override)), judge.title(override, master))
        if made.coarse or not made.has(key):
            loose.append(stretch)
        elif stretch.start < stretch.end:
            slot.overrides[moved(key)] = stretch
        else:
            slot.excluded.add(moved(key))
    for moment, length in made.rdates:
        key = moment.instant
        if length not in {None, made.length} and key not in series.excluded | series.overrides.keys():
            assert length is not None  # noqa: S101
            loose.append(Stretch(key, length.end(moment.local, moment.zone, key), moment.is_date, own))
    for stretch in _bounded(loose):
        _add(slot, stretch)
    return slot


def _listed(series: Series, judge: Judge, years: Interval) -> list[Stretch]:
    """What blocks of a series, stretch by stretch: all of it if it ends, else in these years."""
    span = _EVER if series.pattern.last is not None else years
    found: list[Stretch] = []
    answers: dict[int, bool] = {}
    for instance in series.instances(span):
        owner = instance.event
        if answers.setdefault(id(owner), judge.blocks(owner)):
            found.append(_stretch(judge.with_travel(instance), judge.title(owner, series.master)))
    return found


def _stretch(instance: Instance, summary: str) -> Stretch:
    return Stretch(instance.start, instance.end, instance.all_day, summary)


def _bounded(stretches: Iterable[Stretch]) -> list[Stretch]:
    found = sorted({s for s in stretches if s.start < s.end})
    if len(found) <= _MOST_STRETCHES:
        return found
    rest = found[_MOST_STRETCHES - 1 :]
    return [*found[: _MOST_STRETCHES - 1], Stretch(rest[0].start, max(s.end for s in rest), False, BUSY)]


def _slot_from(stretch: Stretch, zones: Zones) -> Slot:
    zone = zones.user if stretch.all_day else dt.UTC
    start, end = (local(at, zone) for at in (stretch.start, stretch.end))
    if stretch.all_day:
        start, end = (at.replace(hour=0, minute=0, second=0) for at in (start, end))
    return Slot(Pattern(Moment(start, zone, stretch.all_day), Length(end - start), (), ()), stretch.summary)


def _add(slot: Slot, stretch: Stretch) -> None:
    """Add a stretch: an RDATE, with an override unless the series' own length and name fit.

    An RDATE only has to be unlike the others: where its place is taken, the next free one stands for it.
    """
    made = slot.pattern
    place = rendering.at(stretch.start, made.start)
    step = dt.timedelta(days=1) if place.is_date else dt.timedelta(seconds=1)
    while (key := place.instant) in slot.added or key in slot.excluded or made.has(key):
        place = place._replace(local=place.local + step)
    as_it_is = Stretch(key, made.length.end(place.local, place.zone, key), place.is_date, slot.summary)
    slot.added[key] = place
    if as_it_is != stretch:
        slot.overrides[key] = stretch


# --- From what is published to its text ----------------------------------------------------------------------------


def _rendered_single(uid: str, only: Stretch, zone: dt.tzinfo) -> Rendered:
    lines = [*_begin(uid, only.summary), *_when(only, zone), "END:VEVENT"]
    found = (Occurrence(only.start, only.end, only.all_day),)
    return rendering.rendered(content.calendar(lines), only.start, only.end, found, None)


def _rendered(slot: Slot, uid: str, zones: Zones, horizon: Interval) -> Rendered | None:
    times = measured(slot, horizon)
    if times.expanded is None and not times.occurrences:
        return None
    made = slot.pattern
    if not (made.rules or made.rdates or slot.added or slot.overrides):
        only = times.occurrences[0]
        return _rendered_single(uid, Stretch(only.start, only.end, only.all_day, slot.summary), zones.user)
    return rendering.rendered(content.calendar(_lines(slot, uid, zones.user)), *times)


class Times(NamedTuple):
    """When a Slot takes time: as in Rendered."""

    first_start: int
    last_end: int | None
    occurrences: tuple[Occurrence, ...]
    expanded: Interval | None


def measured(slot: Slot, horizon: Interval) -> Times:
    """When a Slot takes time: all of it where it ends within the horizon or does not recur by rule."""
    made = slot.pattern
    singles = [*slot.overrides.values(), *(_as_added(slot, key) for key in slot.added.keys() - slot.overrides.keys())]
    first_start = min([made.start.instant, *(m.instant for m, _ in made.rdates), *(s.start for s in singles)])
    last_end = None
    if (last := made.last) is not None:
        end = made.length.end(last, made.start.zone, made.start._replace(local=last).instant)
        last_end = max([end, *(s.end for s in singles)])
        if not made.rules or (horizon.start <= first_start - _DAY and last_end + _DAY <= horizon.end):
            every = _occurrences(slot, singles, Interval(first_start - _DAY, last_end + _DAY))
            return Times(first_start, last_end, every, None)
    return Times(first_start, last_end, _occurrences(slot, singles, horizon), horizon)


def _as_added(slot: Slot, key: int) -> Stretch:
    made, place = slot.pattern, slot.added[key]
    return Stretch(key, made.length.end(place.local, place.zone, key), place.is_date, slot.summary)


def _occurrences(slot: Slot, singles: Iterable[Stretch], span: Interval) -> tuple[Occurrence, ...]:
    placed, complete = slot.pattern.placed(span, slot.excluded | slot.overrides.keys())
    found = [
        Occurrence(key, length.end(moment.local, moment.zone, key), moment.is_date)
        for key, (moment, length) in placed.items()
    ]
    if not complete:
        found[-1] = replace(found[-1], end=max(found[-1].end, span.end))
    found += [Occurrence(s.start, s.end, s.all_day) for s in singles]
    return rendering.within(found, span)


def _lines(slot: Slot, uid: str, user_zone: dt.tzinfo) -> list[str]:
    made = slot.pattern
    start = made.start
    master = [*_begin(uid, slot.summary), f"DTSTART{rendering.value(start)}", rendering.end_line(start, made.length)]
    added = {moment.instant for moment, _ in made.rdates} | slot.added.keys()
    for rule, until in made.rules:
        first = recurrence.first(rule, start.local, until)
        if first != start.local:
            added.add(start.instant)  # what no rule yields, not every client shows
        if rule.count is not None and (first != start.local or until is not None):
            # Whether DTSTART counts, and what COUNT with UNTIL means, is read differently.
            end = recurrence.last(rule, start.local, until)
            if end is not None:
                rule, until = replace(rule, count=None), end  # noqa: PLW2901
        master.append(f"RRULE:{replace(rule, until=None).text(rendering.until_value(until, start))}")
    for name, keys in (("RDATE", added), ("EXDATE", slot.excluded)):
        if keys:
            master.append(name + rendering.values([rendering.at(key, start) for key in sorted(keys)]))
    lines = [*master, "END:VEVENT"]
    for key, stretch in sorted(slot.overrides.items()):
        lines += [*_begin(uid, stretch.summary), f"RECURRENCE-ID{rendering.value(rendering.at(key, start))}"]
        lines += [*_when(stretch, user_zone), "END:VEVENT"]
    if start.is_date:
        return lines
    earliest = min([start.instant, *added, *slot.excluded, *slot.overrides])
    return [*vtimezones([start.zone], local(earliest, start.zone).year), *lines]


def _begin(uid: str, summary: str) -> list[str]:
    return ["BEGIN:VEVENT", f"UID:{uid}", _DTSTAMP, f"SUMMARY:{content.escape(summary)}", "TRANSP:OPAQUE"]


def _when(stretch: Stretch, user_zone: dt.tzinfo) -> list[str]:
    """DTSTART and DTEND of a single stretch: in UTC, so that nobody needs a VTIMEZONE; or as days of the User."""
    if stretch.all_day:
        first, after = (content.day(local(at, user_zone)) for at in (stretch.start, stretch.end))
        return [f"DTSTART;VALUE=DATE:{first}", f"DTEND;VALUE=DATE:{after}"]
    return [f"DTSTART:{content.utc(stretch.start)}", f"DTEND:{content.utc(stretch.end)}"]
