"""Series: recurring events with their overrides and exceptions, and their instances within a span."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

from bridge.domain.ical import harmless, recurrence
from bridge.domain.ical.content import Component
from bridge.domain.ical.events import Event, Length, Moment, event, same_kind, until_of
from bridge.domain.ical.rules import Rule
from bridge.domain.ical.zones import Zones, local
from bridge.domain.model import Interval

#: At most this many instances are listed for a span. The last one then lasts to the end of the span.
CAP = 50_000
#: A series with more periods than this before the span of interest is cut to begin at that span.
_OLD = 36_600
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a series. `key` is the instant of its RECURRENCE-ID; `event` is the VEVENT that describes it."""

    key: int
    start: int
    end: int
    all_day: bool
    event: Event


@dataclass(frozen=True)
class Pattern:
    """When a master recurs, without rules that yield nothing, and with rules coarsened that are too dense to list.

    DTSTART is always an instance, even where no rule yields it (RFC 5545 section 3.8.5.3).
    """

    start: Moment
    length: Length
    rules: tuple[tuple[Rule, dt.datetime | None], ...]
    rdates: tuple[tuple[Moment, Length | None], ...]
    #: Whether a rule was coarsened: then its instances cover those of the event, but are others.
    coarse: bool = False

    @cached_property
    def last(self) -> dt.datetime | None:
        """The local time of the last start, or a time after it; None: it has no end."""
        found = max([self.start.local, *(local(m.instant, self.start.zone) for m, _ in self.rdates)])
        for rule, until in self.rules:
            end = recurrence.last(rule, self.start.local, until)
            if end is None:
                return None
            found = max(found, end)
        return found

    def within(self, low: dt.datetime, high: dt.datetime) -> Iterator[tuple[Moment, Length]]:
        """The starts within [low, high] of local time, in no particular order, and possibly some of them twice."""
        start = self.start
        if low <= start.local <= high:
            yield start, self.length
        for rule, until in self.rules:
            for found in recurrence.starts(rule, start.local, low, high, until):
                yield Moment(found, start.zone, start.is_date), self.length
        low, high = _shifted(low, -_DAY), _shifted(high, _DAY)  # RDATEs may be in other zones
        for moment, length in self.rdates:
            if low <= moment.local <= high:
                yield moment, length or self.length

    def has(self, key: int) -> bool:
        """Whether this instant is one of the starts."""
        at = local(key, self.start.zone)
        return any(m.instant == key for m, _ in self.within(at - _DAY, at + _DAY))

    def placed(
        self, span: Interval, without: Container[int], slack: dt.timedelta = dt.timedelta()
    ) -> tuple[dict[int, tuple[Moment, Length]], bool]:
        """The starts that may touch the span, by instant, and whether these are all of them.

        No more than `CAP` are listed. `without` are left out. `slack` widens the span on both sides.
        """
        longest = max(_at_most(length) for length in [self.length, *(length for _, length in self.rdates if length)])
        low = _shifted(local(span.start, self.start.zone), -(_DAY + slack + longest))
        high = _shifted(local(span.end, self.start.zone), _DAY + slack)
        found: dict[int, tuple[Moment, Length]] = {}
        for moment, length in self.within(low, high):
            key = moment.instant
            if key in without:
                continue
            known = found.get(key)
            if known is None or _at_most(known[1]) < _at_most(length):
                found[key] = (moment, length)
            if len(found) >= CAP:
                return found, False
        return found, True


def pattern(master: Event, frozen_from: int) -> Pattern:
    """The Pattern of a master. Starts more than `_OLD` periods before the instant `frozen_from` may be cut off."""
    start, length = master.start, master.length
    rules: list[tuple[Rule, dt.datetime | None]] = []
    coarse = False
    for rule in (*master.rules, *master.stand_ins):
        until = until_of(rule, start)
        vast = harmless.is_vast(rule)
        if not vast and recurrence.first(rule, start.local, until) is None:
            continue
        coarser = None if length.is_none else harmless.coarsened(rule, start.local, until)
        if coarser is not None:
            until = until if vast else recurrence.last(rule, start.local, until)
            coarse = True
            rule, floor, longer = coarser  # noqa: PLW2901
            start = start._replace(local=min(floor, start.local))
            length = length.longer(longer)
        if vast and (length.is_none or recurrence.first(rule, start.local, until) is None):
            continue
        rules.append((rule, until))
    made = Pattern(start, length, tuple(rules), tuple(master.rdates), coarse)
    return _cut(made, frozen_from)


def _cut(made: Pattern, frozen_from: int) -> Pattern:
    """The Pattern without a past that takes clients long to expand, such as every day since the year 1."""
    if len(made.rules) != 1 or made.rules[0][0].count is not None:
        return made
    rule, until = made.rules[0]
    begin = local(frozen_from, made.start.zone)
    if not recurrence.is_long(rule, made.start.local, begin, _OLD):
        return made
    first = next(recurrence.starts(rule, made.start.local, begin, recurrence.LAST, until), None)
    if first is None:
        return made
    return replace(
        made, start=made.start._replace(local=first), rdates=tuple(r for r in made.rdates if r[0].local > first)
    )


@dataclass(frozen=True, slots=True)
class Series:
    """A master with its overrides and exclusions, identified by the instant of their RECURRENCE-ID."""

    master: Event
    pattern: Pattern
    overrides: dict[int, Event] = field(default_factory=dict)
    #: Overrides with RANGE=THISANDFUTURE, ordered by the instant from which they hold.
    futures: tuple[tuple[int, Event], ...] = ()
    excluded: frozenset[int] = frozenset()

    def instances(self, span: Interval) -> list[Instance]:
        """The instances that touch the span, ordered by start, whether they block or not; at most `CAP` by rule."""
        slack = max((abs(_moved(e)) + _at_most(e.length) for _, e in self.futures), default=dt.timedelta())
        without = self.overrides.keys() if self.pattern.coarse else self.overrides.keys() | self.excluded
        placed, complete = self.pattern.placed(span, without, slack)
        out = self._ruled_out(placed.keys() if complete else [*placed][:-1])
        found = [self._placed(key, moment, length) for key, (moment, length) in placed.items() if key not in out]
        if not complete and not self._only_marks:
            # The instances that are not listed must not count as free time.
            found[-1] = replace(found[-1], end=max(found[-1].end, span.end))
        # An override counts at its own time, even if the series does not have the instance that it replaces.
        found += [replace(single(event), key=key) for key, event in self.overrides.items()]
        return sorted(
            (i for i in found if i.start < span.end and i.end > span.start), key=lambda i: (i.start, i.end, i.key)
        )

    @property
    def _only_marks(self) -> bool:
        """Whether none of its instances has a length."""
        lengths = (length for _, length in self.pattern.rdates if length is not None)
        return all(length.is_none for length in (self.pattern.length, *lengths, *(e.length for _, e in self.futures)))

    def at(self, key: int) -> Instance | None:
        """The instance with this key, even if it was moved; None where there is none, or it is excluded."""
        if (override := self.overrides.get(key)) is not None:
            return replace(single(override), key=key)
        around = local(key, self.pattern.start.zone)
        for moment, length in self.pattern.within(_shifted(around, -_DAY), _shifted(around, _DAY)):
            if moment.instant == key and key not in self.excluded and not self._ruled_out([key]):
                return self._placed(key, moment, length)
        return None

    @property
    def is_called_off(self) -> bool:
        """Whether each of its instances is excluded by EXDATE, or its override is cancelled."""
        last = self.pattern.last
        if last is None or self.pattern.coarse:
            return False
        starts = self.pattern.within(self.pattern.start.local, last)
        without = self.excluded | self.overrides.keys()
        return all(one.is_cancelled for one in self.overrides.values()) and all(
            moment.instant in without for moment, _ in starts
        )

    def taken_out(self, span: Interval) -> set[int]:
        """The keys of all instances excluded by EXDATE, and of those excluded by EXRULE in or near the span."""
        placed, _ = self.pattern.placed(span, ()) if self.master.exrules else ({}, True)
        return self._ruled_out(placed.keys()) | self.excluded

    def _ruled_out(self, keys: Collection[int]) -> set[int]:
        """Those of the keys that an EXRULE yields. What one yields beyond `CAP` is not excluded, so it blocks."""
        if not self.master.exrules or not keys or self.pattern.coarse:
            return set()
        start = self.master.start
        low, high = local(min(keys), start.zone), local(max(keys), start.zone)
        found: set[int] = set()
        for rule in self.master.exrules:
            yielded = recurrence.starts(rule, start.local, low, high, until_of(rule, start))
            found.update(Moment(at, start.zone, start.is_date).instant for at in islice(yielded, CAP))
        return found.intersection(keys)

    def _placed(self, key: int, moment: Moment, length: Length) -> Instance:
        owner = self.master
        for since, override in self.futures:
            if since <= key:
                owner = override
        if owner is not self.master:
            # Its zone need not be that of the series: programs also write RECURRENCE-ID and DTSTART in UTC.
            was = moment.local if moment.is_date or owner.start.is_date else local(moment.instant, owner.start.zone)
            there = _shifted(was, _moved(owner))
            if owner.start.is_date:
                there = dt.datetime.combine(there.date(), dt.time())
            moment, length = owner.start._replace(local=there), owner.length
        start = moment.instant
        return Instance(key, start, length.end(moment.local, moment.zone, start), moment.is_date, owner)


def _at_most(length: Length) -> dt.timedelta:
    return length.wall + dt.timedelta(seconds=min(length.exact, 10**10))


def _moved(override: Event) -> dt.timedelta:
    """The time by which a THISANDFUTURE override moves the instances that follow, on its own wall clock."""
    assert override.recurrence_id is not None  # noqa: S101
    origin = same_kind(override.recurrence_id, override.start)
    return override.start.local - origin.local


def _shifted(at: dt.datetime, by: dt.timedelta) -> dt.datetime:
    try:
        return at + by
    except OverflowError:
        return dt.datetime.max if by > dt.timedelta() else dt.datetime.min


def single(event: Event) -> Instance:
    """The only instance of an event that does not recur."""
    at = event.start.instant
    return Instance(at, at, event.length.end(event.start.local, event.start.zone, at), event.start.is_date, event)


def read(root: Component, zones: Zones, frozen_from: int) -> tuple[list[Series], list[Event]]:
    """Every series of an object, and the overrides whose master is not in the object.

    Each UID is a series of its own, and so is each further master with the same UID. For `frozen_from` see `pattern`.
    """
    masters: dict[str, list[Event]] = {}
    overrides: dict[str, list[Event]] = {}
    for component in root.walk("VEVENT"):
        found = event(component, zones)
        if found is not None:
            of_kind = masters if found.recurrence_id is None else overrides
            of_kind.setdefault(component.value("UID").strip(), []).append(found)
    made: list[Series] = []
    for uid, of_uid in masters.items():
        for number, master in enumerate(of_uid):
            its = overrides.pop(uid, []) if number == 0 else []
            made.append(_series(master, its, frozen_from))
    return made, [orphan for of_uid in overrides.values() for orphan in of_uid]


def _series(master: Event, overrides: Sequence[Event], frozen_from: int) -> Series:
    made = pattern(master, frozen_from)
    if not (overrides or master.exdates):
        return Series(master, made)
    ordinary: dict[int, Event] = {}
    futures: list[tuple[int, Event]] = []
    for override in overrides:
        if override.guessed or override.recurrence_id is None:
            continue  # its new time is not known, so the instance stays at its old one
        for key in _keys(made, override.recurrence_id):
            if override.future:
                futures.append((key, override))
            else:
                ordinary[key] = override
    excluded: set[int] = set()
    if master.recurs:
        on_days = {m.local.date() for m in master.exdates if m.is_date} if not master.start.is_date else set()
        excluded.update(key for day in on_days for key in _on_day(made, day))
    excluded.update(same_kind(m, master.start).instant for m in master.exdates if not m.is_date or master.start.is_date)
    futures.sort(key=lambda pair: pair[0])
    return Series(master, made, ordinary, tuple(futures), frozenset(excluded))


def _keys(made: Pattern, recurrence_id: Moment) -> list[int]:
    """The keys that a RECURRENCE-ID means. A DATE, where DTSTART is a DATE-TIME, means every instance of that day."""
    meant = same_kind(recurrence_id, made.start)
    if not meant.is_date or made.start.is_date:
        return [meant.instant]
    at = meant._replace(local=dt.datetime.combine(meant.local.date(), made.start.local.time()), zone=made.start.zone)
    return sorted(_on_day(made, meant.local.date())) or [at.instant]


def _on_day(made: Pattern, day: dt.date) -> set[int]:
    begin = dt.datetime.combine(day, dt.time())
    return {m.instant for m, _ in made.within(begin, begin + _DAY - dt.timedelta(seconds=1)) if m.local.date() == day}
