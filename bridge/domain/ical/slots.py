"""Blocked slots: the published object for an upstream object that takes time, or for a CRM BlockedSlot.

A published object uses only what every client expands in the same way: one series with its exceptions, and single
stretches of time, which are added to it as RDATEs with overrides. What can't be expressed like this
(RANGE=THISANDFUTURE, travel time that crosses midnight, a second series in the object) is listed as single stretches
for the years around now.
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

#: At most this many single stretches are put into one object. The rest is joined into one stretch.
_MOST_STRETCHES = 2_000
#: At most this many dates are listed instead of a rule.
_MOST_LISTED = 10_000
#: Where a rule does not yield DTSTART, the series begins with what it does yield, if that is no further away than this.
_NEAR = dt.timedelta(days=366)
_EVER = Interval(-(2**36), 2**38)


def blocked_slot(
    ics: str, *, uid: str, settings: SlotSettings, time_zone: str, addresses: frozenset[str], horizon: Interval
) -> Rendered | None:
    """The blocked slot of an upstream object, under the given UID. None where it takes no time from its owner.

    `time_zone` is the User's, for floating times and all-day events. `addresses` are the owner's e-mail addresses, in
    lower case. Occurrences are listed within `horizon`.

    An event without length (a DATE-TIME without an end) only marks a time in the owner's calendar. It blocks nothing,
    and is not published: "Busy" for no time would only be confusing.
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
    """The occurrences of a published object that touch the span, ordered by start.

    `time_zone` is the User's, for all-day events.
    """
    found = _instances(ics, span, time_zone)
    return rendering.within((Occurrence(i.start, i.end, i.all_day) for i in found), span)


def titles(ics: str, span: Interval, *, time_zone: str) -> dict[int, str]:
    """The titles of these occurrences, by their starts: an override may have a title of its own."""
    found = _instances(ics, span, time_zone)
    return {i.start: content.unescape(i.event.component.value("SUMMARY")) for i in found}


def _instances(ics: str, span: Interval, time_zone: str) -> list[Instance]:
    root = content.read(ics)
    several, orphans = read(root, zones_of(root, time_zone), _EVER.start)
    return [*map(single, orphans), *(instance for series in several for instance in series.instances(span))]


def zones_of(root: Component, time_zone: str) -> Zones:
    """The time zones of an object. `time_zone` is the zone of the User whose calendar it is in."""
    return Zones(root, Zones(root, dt.UTC).of(time_zone))


def years_around(horizon: Interval) -> Interval:
    """The horizon extended to whole years: so what is listed as single stretches changes once a year, not every day."""
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
    """A Slot of the series `main`, and all others as single stretches. Raises `Crowded`, unless `days_in` is None."""
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
    """Whether the series can be published as one master with overrides that every client expands correctly."""
    made = series.pattern
    travel = judge.travel(series.master)
    if series.futures or series.master.exrules or (made.length.is_none and not travel):
        return False
    if not travel or not made.rules:
        return not (travel and (made.rdates or series.overrides))
    # Travel time moves the start. That must not change the day or the hours that the rule names.
    since_midnight = (made.start.local - made.start.local.replace(hour=0, minute=0, second=0)).total_seconds()
    return (
        since_midnight >= travel
        and not made.coarse
        and not made.rdates
        and not any(r.byhour or r.byminute or r.bysecond or r.freq > Freq.DAILY for r, _ in made.rules)
    )


def slot_of(series: Series, judge: Judge, years: Interval) -> Slot:
    """The series as it is published: with travel time, without what does not block."""
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
    # Some clients ignore an EXDATE that follows one which excludes nothing.
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
    """The Pattern in a form that all clients expand in the same way, and whether it goes on after the end of that form.

    A DTSTART that its rule does not yield is left out: the caller adds it as a single stretch. A rule that clients
    expand in different ways is replaced by its dates.
    """
    if not made.rules:
        return made, False
    (rule, until), start = made.rules[0], made.start
    high = local(years.end, start.zone)
    portable = harmless.portable(rule, start.local) if len(made.rules) == 1 else None
    first = recurrence.first(rule, start.local, until) or start.local
    if portable is not None and first - start.local <= _NEAR:
        if portable.count is not None and until is not None:
            # COUNT with UNTIL is an error: whichever ends the rule earlier becomes its UNTIL.
            until, portable = recurrence.last(portable, start.local, until), replace(portable, count=None)
        return replace(made, start=start._replace(local=first), rules=((portable, until),)), False
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
    """The RDATEs of the series' own length, without those that its rules yield: some clients would show these twice."""
    by_rule = replace(made, rdates=())
    own = (moment for moment, length in made.rdates if length in {None, made.length})
    return tuple((m, None) for m in own if not (made.rules and by_rule.has(m.instant)))


def _listed(series: Series, judge: Judge, years: Interval) -> list[Stretch]:
    """The instances of a series that block, as single stretches: all of them if it ends, else those in `years`."""
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
