"""Slots: which times are offered, and whether a booking is accepted. Pure, and one decision for both.

What `refusal` lets pass on the grid is what `offered` offers: both go through the same checks, in the same order. All
instants are Unix seconds, UTC; all lengths are seconds.
"""

from __future__ import annotations

import calendar
import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from zoneinfo import ZoneInfo

from bridge.domain.hours import Opening, common, merged
from bridge.domain.model import Interval


class Unit(StrEnum):
    """What lengths of time are counted in, as CRMs spell it."""

    MINS = "mins"
    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"


_SECONDS = {Unit.MINS: 60, Unit.HOURS: 3600, Unit.DAYS: 86_400, Unit.WEEKS: 604_800}


@dataclass(frozen=True, slots=True)
class Ahead:
    """So many units from now. A month leads to the same day of another month, or to its last."""

    count: int
    unit: Unit

    def after(self, now: int, time_zone: str) -> int:
        """The instant that lies so far ahead."""
        if self.unit != Unit.MONTHS:
            return now + self.count * _SECONDS[self.unit]
        local = dt.datetime.fromtimestamp(now, ZoneInfo(time_zone))
        year, month = divmod(local.year * 12 + local.month - 1 + self.count, 12)
        day = min(local.day, calendar.monthrange(year, month + 1)[1])
        return int(local.replace(year=year, month=month + 1, day=day).timestamp())


@dataclass(frozen=True, slots=True)
class SlotRules:
    """How a booking calendar may be booked."""

    duration: int = 1800
    interval: int = 1800
    #: Free time that a booking needs before and after it.
    before: int = 0
    after: int = 0
    #: The shortest notice, and how far ahead at most; None: any.
    notice: Ahead | None = None
    horizon: Ahead | None = None
    #: How many appointments of the calendar one User can have at the same time, and on one day.
    per_slot: int = 1
    per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Booked:
    """An appointment's time, and the free time that its own calendar wants before and after it."""

    start: int
    end: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Columns:
    """Stretches of time that are apart and in order, as two columns: what `bisect` searches."""

    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, stretches: Iterable[tuple[int, int]]) -> Columns:
        """Of stretches in any order, that may overlap."""
        apart = merged(stretches)
        return cls([start for start, _ in apart], [end for _, end in apart])

    def pairs(self) -> list[tuple[int, int]]:
        """The stretches, one by one."""
        return list(zip(self.starts, self.ends, strict=True))


@dataclass(frozen=True, slots=True)
class Person:
    """One User, as the rules of a booking calendar see them over some span. Made by `person`."""

    user_id: str
    openings: Sequence[Opening]
    open: Columns
    #: Where a slot may not reach into: taken time with the buffers around it.
    taken: Columns
    #: Days on which the User has enough appointments of the calendar.
    full: Columns
    #: The times of appointments that others may still join, and what else is taken.
    joinable: frozenset[tuple[int, int]] = frozenset()
    beside: Columns = field(default_factory=lambda: Columns([], []))


def person(
    user_id: str,
    openings: Sequence[Opening],
    taken: Iterable[tuple[int, int]],
    rules: SlotRules,
    *,
    booked: Iterable[Booked] = (),
    shared: Mapping[tuple[int, int], int] | None = None,
    full_days: Iterable[Interval] = (),
) -> Person:
    """A User as the rules see them, from all that takes their time.

    Appointments that want buffers of their own come as `booked`; the calendar's own, where several may share a slot, as
    `shared`: how many there are at each time. Everything else is `taken`.
    """
    shared = shared or {}
    around = [(start - rules.after, end + rules.before) for start, end in taken]
    around += [(b.start - max(rules.after, b.before), b.end + max(rules.before, b.after)) for b in booked]
    gap = max(rules.before, rules.after)
    return Person(
        user_id,
        openings,
        open=Columns.of(openings),
        taken=Columns.of([*around, *((start - gap, end + gap) for start, end in shared)]),
        full=Columns.of((day.start, day.end) for day in full_days),
        joinable=_joinable(shared, gap, rules.per_slot),
        beside=Columns.of(around) if shared else Columns([], []),
    )


def _joinable(shared: Mapping[tuple[int, int], int], gap: int, per_slot: int) -> frozenset[tuple[int, int]]:
    """The times that have room left and no other appointment of the calendar too near."""
    found = set()
    reach = -FAR
    times = sorted(shared)
    for number, (start, end) in enumerate(times):
        next_start = times[number + 1][0] if number + 1 < len(times) else FAR
        if shared[start, end] < per_slot and reach + gap <= start and end + gap <= next_start:
            found.add((start, end))
        reach = max(reach, end)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Group:
    """People of whom at least so many (one or more) have to be free."""

    people: Sequence[Person]
    needed: int

    @property
    def everyone(self) -> bool:
        """Whether none of them can be done without."""
        return self.needed >= len(self.people)


class Refusal(StrEnum):
    """Why a time can't be booked. The first that applies is told."""

    TAKEN = "taken"
    SHORT_NOTICE = "short_notice"
    TOO_FAR_AHEAD = "too_far_ahead"
    OUTSIDE_HOURS = "outside_hours"
    #: Not a start that is offered.
    OFF_GRID = "off_grid"
    #: Neither one slot nor several in a row.
    BAD_LENGTH = "bad_length"
    DAY_FULL = "day_full"


#: Later than anything.
FAR = 2**40
#: How many starts are looked at before the first of them is offered.
AT_ONCE = 64


def window(rules: SlotRules, now: int, time_zone: str) -> Interval:
    """The first and the last instant at which a slot may start now; the last one is included."""
    earliest = rules.notice.after(now, time_zone) if rules.notice else now
    return Interval(earliest, rules.horizon.after(now, time_zone) if rules.horizon else FAR)


def anchors(groups: Iterable[tuple[Sequence[Sequence[Opening]], bool]]) -> list[Opening]:
    """The openings from whose starts slots are counted, given each group's openings and whether it needs everyone.

    Those who can't be done without have to be open together; where nobody is indispensable, each one's openings count.
    """
    known = list(groups)
    indispensable = [openings for group, everyone in known if everyone for openings in group]
    if indispensable:
        together = list(indispensable[0])
        for openings in indispensable[1:]:
            together = common(together, openings)
        return together
    return sorted({opening for group, _ in known for openings in group for opening in openings})


def grid(anchored: Sequence[Opening], span: Interval, interval: int) -> list[int]:
    """Where slots start within the span: every so often from the start of each opening."""
    starts: list[int] = []
    apart = True
    for start, end in anchored:
        first = start if start >= span.start else start - (start - span.start) // interval * interval
        apart = apart and not (starts and first <= starts[-1])
        starts += range(first, min(end, span.end), interval)
    return starts if apart else sorted(set(starts))


def offered(
    groups: Sequence[Group], starts: Sequence[int], length: int, allowed: Interval
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Of these starts (in order) those that can be booked for so long, each with the Users who are free then.

    No more are looked at than are asked for, give or take a few.
    """
    inside = starts[bisect_left(starts, allowed.start) : bisect_right(starts, allowed.end)]
    for first in range(0, len(inside), AT_ONCE):
        yield from _offered(groups, inside[first : first + AT_ONCE], length)


def _offered(groups: Sequence[Group], starts: Sequence[int], length: int) -> list[tuple[int, tuple[str, ...]]]:
    if len(groups) == 1 and len(groups[0].people) == 1:
        (alone,) = groups[0].people
        return [(start, (alone.user_id,)) for start in _free(alone, starts, length)]
    free: dict[int, list[tuple[str, ...]]] = {start: [] for start in starts}
    for group in groups:
        at: dict[int, list[str]] = {}
        left = sorted(free)
        for member in group.people:
            for start in _free(member, left, length):
                at.setdefault(start, []).append(member.user_id)
        free = {start: [*free[start], tuple(users)] for start, users in at.items() if len(users) >= group.needed}
    return [(start, tuple(dict.fromkeys(user for users in free[start] for user in users))) for start in sorted(free)]


def possible(
    groups: Sequence[Group], starts: Sequence[int], span: Interval, length: int, allowed: Interval
) -> list[int]:
    """The starts (in order) without those that can't be offered for a booking within the span.

    It is told by what takes people's time, however many starts there are: a few that can't be offered may be left.
    """
    joinable = {start for g in groups for p in g.people for start, end in p.joinable if end - start == length}
    found: list[int] = []
    reached = 0
    for period in periods(groups, span, length, allowed):
        first, after = bisect_left(starts, period.start, reached), bisect_right(starts, period.end - length, reached)
        found += (start for start in starts[reached:first] if start in joinable) if joinable else ()
        found += starts[first:after]
        reached = after
    return [*found, *((start for start in starts[reached:] if start in joinable) if joinable else ())]


def refusal(
    group: Group,
    slot: Interval,
    rules: SlotRules,
    allowed: Interval,
    anchored: Sequence[Opening],
    *,
    any_free_time: bool = False,
) -> tuple[Refusal | None, tuple[str, ...]]:
    """Why a booking is refused; or None, and the Users of the group who are free for it, in its order.

    With `any_free_time` it may lie outside working hours and off the grid, and have any length.
    """
    one, length = [slot.start], slot.end - slot.start
    people = [p for p in group.people if _untaken(p, one, length)]
    if len(people) < group.needed:
        return Refusal.TAKEN, ()
    if slot.start < allowed.start:
        return Refusal.SHORT_NOTICE, ()
    if slot.start > allowed.end:
        return Refusal.TOO_FAR_AHEAD, ()
    if not any_free_time:
        people = [p for p in people if _open(p, one, length)]
        if len(people) < group.needed:
            return Refusal.OUTSIDE_HOURS, ()
        if not grid(anchored, Interval(slot.start, slot.start + 1), rules.interval):
            return Refusal.OFF_GRID, ()
        if length % rules.duration:
            return Refusal.BAD_LENGTH, ()
    people = [p for p in people if _not_full(p, one)]
    if len(people) < group.needed:
        return Refusal.DAY_FULL, ()
    return None, tuple(p.user_id for p in people)


def periods(groups: Sequence[Group], span: Interval, length: int, allowed: Interval) -> list[Interval]:
    """The longest stretches of the span in which a booking of so long may lie anywhere."""
    first, last = max(span.start, allowed.start), min(span.end - length, allowed.end)
    #: Half-open stretches of starts.
    starts = [(first, last + 1)] if first <= last else []
    for group in groups:
        steps: list[tuple[int, int]] = []
        for member in group.people:
            for start, end in free_starts(member, span, length).pairs():
                steps += [(start, 1), (end, -1)]
        enough: list[tuple[int, int]] = []
        count = since = 0
        for at, step in sorted(steps):
            if step > 0 and count + 1 == group.needed:
                since = at
            elif step < 0 and count == group.needed:
                enough.append((since, at))
            count += step
        starts = common(starts, merged(enough))
    return [Interval(start, end - 1 + length) for start, end in starts]


def free_starts(p: Person, span: Interval, length: int) -> Columns:
    """When a booking of so long, within the span, may start: half-open stretches of instants.

    One that is joined is not among them.
    """
    gaps = common(_between(p.taken, span), p.open.pairs())
    starts = [(start, end - length + 1) for start, end in gaps if end - start >= length]
    return Columns.of(common(starts, _between(p.full, span)))


def free_throughout(starts: Columns, period: Interval, length: int) -> bool:
    """Whether it can be the person with these `free_starts`, wherever in the period the booking lies."""
    n = bisect_right(starts.starts, period.start)
    return n > 0 and starts.ends[n - 1] > period.end - length


def _free(p: Person, starts: Sequence[int], length: int) -> Sequence[int]:
    return _not_full(p, _untaken(p, _open(p, starts, length), length))


def _open(p: Person, starts: Sequence[int], length: int) -> Sequence[int]:
    opens, closes = p.open.starts, p.open.ends
    return [s for s in starts if (n := bisect_right(opens, s)) and closes[n - 1] >= s + length]


def _untaken(p: Person, starts: Sequence[int], length: int) -> Sequence[int]:
    free = _clear(p.taken, starts, length)
    if not p.joinable:
        return free
    joined = _clear(p.beside, [s for s in starts if (s, s + length) in p.joinable], length)
    return sorted({*free, *joined})


def _clear(taken: Columns, starts: Sequence[int], length: int) -> Sequence[int]:
    froms, untils = taken.starts, taken.ends
    return [s for s in starts if not ((n := bisect_left(froms, s + length)) and untils[n - 1] > s)]


def _not_full(p: Person, starts: Sequence[int]) -> Sequence[int]:
    if not p.full.starts:
        return starts
    return [s for s in starts if not ((n := bisect_right(p.full.starts, s)) and p.full.ends[n - 1] > s)]


def _between(shut: Columns, span: Interval) -> list[tuple[int, int]]:
    """What these stretches leave of the span."""
    left, since = [], span.start
    for start, end in shut.pairs():
        if start > since:
            left.append((since, min(start, span.end)))
        since = max(since, end)
        if since >= span.end:
            return left
    return [*left, (since, span.end)]
