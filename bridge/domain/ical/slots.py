"""Blocked slots: the object that clients get for what blocks of an upstream object, or for a CRM's own BlockedSlot.

What is published is made of parts that every client expands alike: one series with the exceptions it needs, and single
stretches of time, added to it as RDATEs with overrides. Whatever can't be said so (RANGE=THISANDFUTURE, a travel time
that crosses midnight, a second series in one object) is added stretch by stretch, for the years around now.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from bridge.domain.ical import content, harmless, recurrence, rendering
from bridge.domain.ical.content import Component
from bridge.domain.ical.events import Moment, event
from bridge.domain.ical.judge import BUSY, Judge
from bridge.domain.ical.rendering import Rendered, Slot, Stretch
from bridge.domain.ical.rules import Freq
from bridge.domain.ical.series import Instance, Pattern, Series, read, single
from bridge.domain.ical.zones import Zones, local
from bridge.domain.model import BlockedSlot, Interval, Occurrence, SlotSettings

#: Single stretches in one object, at most; what is more becomes one stretch.
_MOST_STRETCHES = 2_000
#: Dates listed in place of a rule, at most.
_MOST_LISTED = 10_000
#: A DTSTART that its rule does not yield is an exception of the first one that it does, if that is so near.
_NEAR = dt.timedelta(days=366)
_EVER = Interval(-(2**36), 2**38)


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
        return rendering.single_stretch(uid, only, zones.user) if only.start < only.end else None
    slot = _assemble(root, zones, judge, years_around(horizon))
    return None if slot is None else rendering.published(slot, uid, zones.user, horizon)


def crm_slot(slot: BlockedSlot) -> Rendered:
    """The published object of a CRM BlockedSlot, under its id."""
    only = Stretch(slot.start, slot.end, False, content.clean(slot.title).strip() or BUSY)
    return rendering.single_stretch(slot.id, only, dt.UTC)


def occurrences(ics: str, span: Interval, *, time_zone: str) -> tuple[Occurrence, ...]:
    """The stretches of time of a published object that touch the span, by start; all-day ones in the User's zone."""
    found = _instances(ics, span, time_zone)
    return rendering.within((Occurrence(i.start, i.end, i.all_day) for i in found), span)


def titles(ics: str, span: Interval, *, time_zone: str) -> dict[int, str]:
    """What each of those stretches is called, by its start: one that was changed may have a title of its own."""
    found = _instances(ics, span, time_zone)
    return {i.start: content.unescape(i.event.component.value("SUMMARY")) for i in found}


def _instances(ics: str, span: Interval, time_zone: str) -> list[Instance]:
    root = content.read(ics)
    several, orphans = read(root, zones_of(root, time_zone), _EVER.start)
    return [*map(single, orphans), *(instance for series in several for instance in series.instances(span))]


def zones_of(root: Component, time_zone: str) -> Zones:
    """The zones of an object of a User whose own zone this is."""
    return Zones(root, Zones(root, dt.UTC).of(time_zone))


def years_around(horizon: Interval) -> Interval:
    """The horizon in whole years, with some to spare: what is listed one by one then changes once a year, not daily."""
    first, last = (local(at, dt.UTC).year for at in (horizon.start, horizon.end))
    begin, end = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (max(first - 1, 2), min(last + 2, 9998)))
    return Interval(int(begin.timestamp()), int(end.timestamp()))


# --- From an upstream object to what is published ------------------------------------------------------------------


def _assemble(root: Component, zones: Zones, judge: Judge, years: Interval) -> Slot | None:
    several, orphans = read(root, zones, years.start)
    native = [series for series in several if judge.blocks(series.master) and _can_be_said(series, judge)]
    main = next((series for series in native if series.pattern.rules), native[0] if native else None)
    alone = [_stretch(judge.with_travel(single(o)), judge.title(o)) for o in orphans if judge.blocks(o)]
    rest = [series for series in several if series is not main]
    try:
        return _joined(main, rest, alone, judge, years, days_in=zones.user)
    except rendering.Crowded:
        return _joined(None, several, alone, judge, years, days_in=None)


def _joined(
    main: Series | None,
    rest: list[Series],
    alone: list[Stretch],
    judge: Judge,
    years: Interval,
    *,
    days_in: dt.tzinfo | None,
) -> Slot | None:
    """One series as it is, all others stretch by stretch. Raises `Crowded`, unless `days_in` is None."""
    stretches = [*alone, *(stretch for series in rest for stretch in _listed(series, judge, years))]
    slot = None if main is None else slot_of(main, judge, years)
    for stretch in _bounded(stretches):
        if slot is None:
            slot = rendering.slot_from(stretch, days_in)
        else:
            rendering.add(slot, stretch)
    if slot is not None and any(series.pattern.last is None for series in rest):
        slot.goes_on = True
    return slot


def _can_be_said(series: Series, judge: Judge) -> bool:
    """Whether every client expands it right from one master and its overrides."""
    made = series.pattern
    travel = judge.travel(series.master)
    if series.futures or series.master.exrules or (made.length.is_none and not travel):
        return False
    if not travel or not made.rules:
        return not (travel and (made.rdates or series.overrides))
    # The travel is put before the start, which must not change the day or hour that the rule speaks of.
    since_midnight = (made.start.local - made.start.local.replace(hour=0, minute=0, second=0)).total_seconds()
    return (
        since_midnight >= travel
        and not made.coarse
        and not made.rdates
        and not any(r.byhour or r.byminute or r.bysecond or r.freq > Freq.DAILY for r, _ in made.rules)
    )


def slot_of(series: Series, judge: Judge, years: Interval) -> Slot:
    """The series as it is published: with travel, less what does not block."""
    master = series.master
    earlier = dt.timedelta(seconds=judge.travel(master))
    own = judge.title(master)
    kept = {key: override for key, override in series.overrides.items() if judge.blocks(override)}
    taken = frozenset() if series.pattern.coarse else series.excluded | series.overrides.keys()
    gone = set(taken - kept.keys())
    made, goes_on = _as_clients_expand(series.pattern, years)
    start = made.start._replace(local=made.start.local - earlier)

    def moved(key: int) -> int:
        at = rendering.at(key, made.start)
        return at._replace(local=at.local - earlier).instant if earlier else key

    rdates = _besides_rules(made)
    # An EXDATE of nothing makes some clients miss the one after it.
    gone = _instances_of(made, gone)
    if not made.rules:
        rdates = tuple((m, None) for m, _ in rdates if m.instant not in gone)
        gone &= {made.start.instant}
    slot = Slot(
        replace(
            made,
            start=start,
            length=made.length.longer(int(earlier.total_seconds())),
            rules=tuple((rule, until - earlier if until is not None else None) for rule, until in made.rules),
            rdates=rdates,
        ),
        own,
        {moved(key) for key in gone},
        goes_on=goes_on,
    )
    loose: list[Stretch] = []
    there = set() if made.coarse else _instances_of(made, set(kept))
    for key, override in kept.items():
        stretch = _stretch(judge.with_travel(single(override)), judge.title(override, master))
        if key not in there:
            loose.append(stretch)
        elif stretch.start < stretch.end:
            slot.overrides[moved(key)] = stretch
        else:
            slot.excluded.add(moved(key))
    lone = [(moment, length) for moment, length in made.rdates if length not in {None, made.length}]
    if made.start != series.pattern.start:
        lone.append((series.pattern.start, made.length))
    for moment, length in lone:
        key = moment.instant
        if length is not None and key not in taken:
            end = length.end(moment.local, moment.zone, key)
            loose.append(Stretch(moved(key), end, moment.is_date, own))
    for stretch in _bounded(loose):
        rendering.add(slot, stretch)
    return slot


def _instances_of(made: Pattern, keys: set[int]) -> set[int]:
    if not keys:
        return keys
    placed, complete = made.placed(Interval(min(keys) - 1, max(keys) + 1), ())
    return keys & placed.keys() if complete else {key for key in keys if made.has(key)}


def _as_clients_expand(made: Pattern, years: Interval) -> tuple[Pattern, bool]:
    """The Pattern in a form that all clients expand alike, and whether it goes on after what that form says.

    A DTSTART that its rule does not yield is left out (to be added by itself), and a rule that clients read differently
    is replaced by its dates.
    """
    if not made.rules:
        return made, False
    (rule, until), start = made.rules[0], made.start
    high = local(years.end, start.zone)
    plain = harmless.plain(rule, start.local) if len(made.rules) == 1 else None
    first = recurrence.first(rule, start.local, until) or start.local
    if plain is not None and first - start.local <= _NEAR:
        if plain.count is not None and until is not None:
            # COUNT with UNTIL is an error; what ends first, ends it.
            until, plain = recurrence.last(plain, start.local, until), replace(plain, count=None)
        return replace(made, start=start._replace(local=first), rules=((plain, until),)), False
    last = made.last
    ends = last is not None and last <= high
    low = start.local if ends else max(start.local, local(years.start, start.zone))
    bare = replace(made, rdates=())
    listed = sorted({m for m, _ in islice(bare.within(low, high), _MOST_LISTED + 1)})
    if len(listed) > _MOST_LISTED:
        return made, False
    dates = tuple((moment, None) for moment in listed if moment != start)
    return replace(made, rules=(), rdates=(*dates, *made.rdates)), not ends


def _besides_rules(made: Pattern) -> tuple[tuple[Moment, None], ...]:
    """The RDATEs of the series' own length that its rules don't yield: some clients would show those twice."""
    by_rule = replace(made, rdates=())
    own = (moment for moment, length in made.rdates if length in {None, made.length})
    return tuple((m, None) for m in own if not (made.rules and by_rule.has(m.instant)))


def _listed(series: Series, judge: Judge, years: Interval) -> list[Stretch]:
    """What blocks of a series, stretch by stretch: all of it if it ends, else in these years."""
    master = series.master
    if not (master.recurs or series.overrides or series.excluded or series.futures):
        return [_stretch(judge.with_travel(single(master)), judge.title(master))] if judge.blocks(master) else []
    span = _EVER if series.pattern.last is not None else years
    found: list[Stretch] = []
    answers: dict[int, bool] = {}
    for instance in series.instances(span):
        owner = instance.event
        if answers.setdefault(id(owner), judge.blocks(owner)):
            found.append(_stretch(judge.with_travel(instance), judge.title(owner, master)))
    return found


def _stretch(instance: Instance, summary: str) -> Stretch:
    return Stretch(instance.start, instance.end, instance.all_day, summary)


def _bounded(stretches: Iterable[Stretch]) -> list[Stretch]:
    found = sorted({s for s in stretches if s.start < s.end})
    if len(found) <= _MOST_STRETCHES:
        return found
    rest = found[_MOST_STRETCHES - 1 :]
    return [*found[: _MOST_STRETCHES - 1], Stretch(rest[0].start, max(s.end for s in rest), False, BUSY)]
