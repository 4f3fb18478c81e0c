"""Slots: which times are offered, and whether a booking is accepted. Pure.

Both are decided by the same checks, in the same order: `offered` offers exactly those times on the grid that `refusal`
accepts. All instants are Unix seconds, UTC; all lengths are seconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.domain.hours import Opening, common, merged
from bridge.domain.model import Interval
from bridge.domain.slot_rules import SlotRules


@dataclass(frozen=True, slots=True)
class Booked:
    """The time of an appointment, and the seconds that its own booking calendar wants free before and after it."""

    start: int
    end: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Columns:
    """Stretches of time in order that neither touch nor overlap, as two lists, which `bisect` can search."""

    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, stretches: Iterable[tuple[int, int]]) -> Columns:
        """Columns of these stretches, which may be in any order and may overlap."""
        apart = merged(stretches)
        return cls([start for start, _ in apart], [end for _, end in apart])

    def pairs(self) -> list[tuple[int, int]]:
        """The stretches as (start, end)."""
        return list(zip(self.starts, self.ends, strict=True))


@dataclass(frozen=True, slots=True)
class Person:
    """One User over some span, with everything that the rules of a booking calendar depend on. Made by `person`."""

    user_id: str
    openings: Sequence[Opening]
    open: Columns
    #: Time that a slot must not overlap: taken time, with the buffers around it.
    taken: Columns
    #: Days on which the User already has `per_day` appointments of the calendar.
    full: Columns
    #: For calendars with several appointments per slot: the times of appointments that others may still join, and all
    #: other taken time.
    joinable: frozenset[tuple[int, int]] = frozenset()
    not_joinable: Columns = field(default_factory=lambda: Columns([], []))


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
    """A Person, made from everything that takes the User's time.

    `booked` are appointments whose booking calendars want buffers. `shared` are, if several appointments of the
    calendar may share a slot, its own appointments: how many there are at each time. `taken` is everything else.
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
        not_joinable=Columns.of(around) if shared else Columns([], []),
    )


def _joinable(shared: Mapping[tuple[int, int], int], gap: int, per_slot: int) -> frozenset[tuple[int, int]]:
    """The times at which there is room left, and no other appointment of the calendar within the gap."""
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
    """People of whom at least `needed` (one or more) have to be free."""

    people: Sequence[Person]
    needed: int

    @property
    def everyone(self) -> bool:
        """Whether all of them are needed."""
        return self.needed >= len(self.people)


class Refusal(StrEnum):
    """Why a time can't be booked: the first of these that applies."""

    TAKEN = "taken"
    SHORT_NOTICE = "short_notice"
    TOO_FAR_AHEAD = "too_far_ahead"
    OUTSIDE_HOURS = "outside_hours"
    #: It does not begin at a start that is offered.
    OFF_GRID = "off_grid"
    #: It is not as long as one slot, or several in a row.
    BAD_LENGTH = "bad_length"
    DAY_FULL = "day_full"


#: Later than anything.
FAR = 2**40
#: `offered` looks at this many starts at a time.
AT_ONCE = 64


def window(rules: SlotRules, now: int, time_zone: str) -> Interval:
    """The first and the last instant at which a slot may start; the last one is included."""
    earliest = rules.notice.after(now, time_zone) if rules.notice else now
    return Interval(earliest, rules.horizon.after(now, time_zone) if rules.horizon else FAR)


def anchors(groups: Iterable[tuple[Sequence[Sequence[Opening]], bool]]) -> list[Opening]:
    """The openings from whose starts slots are counted.

    Each group is given by the openings of its people, and whether it needs all of them. With groups that need everyone,
    these are the openings that all their people have in common; otherwise those of each person.
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
    """The starts of slots within the span: every `interval` seconds from the start of each opening."""
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
    """Those of these starts (in order) at which `length` seconds can be booked, each with the Users who are free then.

    The starts are looked at only as far as the result is consumed, `AT_ONCE` at a time.
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
    """The starts (in order) without most of those that can't be offered for a booking within the span.

    This depends on how much takes people's time rather than on the number of starts, so it is quick for fine grids.
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
    """Why a booking is refused; or None, and the Users of the group who are free for it, in the order of the group.

    With `any_free_time`, working hours, grid and slot length are not checked.
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
    """The longest stretches of the span within which a booking of `length` seconds may lie anywhere."""
    first, last = max(span.start, allowed.start), min(span.end - length, allowed.end)
    # Half-open stretches of possible starts.
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
    """When a booking of `length` seconds within the span may start: half-open stretches of instants.

    Joining the appointment of others is not included.
    """
    gaps = common(_between(p.taken, span), p.open.pairs())
    starts = [(start, end - length + 1) for start, end in gaps if end - start >= length]
    return Columns.of(common(starts, _between(p.full, span)))


def free_throughout(starts: Columns, period: Interval, length: int) -> bool:
    """Whether the person with these `free_starts` is free wherever in the period the booking lies."""
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
    joined = _clear(p.not_joinable, [s for s in starts if (s, s + length) in p.joinable], length)
    return sorted({*free, *joined})


def _clear(taken: Columns, starts: Sequence[int], length: int) -> Sequence[int]:
    froms, untils = taken.starts, taken.ends
    return [s for s in starts if not ((n := bisect_left(froms, s + length)) and untils[n - 1] > s)]


def _not_full(p: Person, starts: Sequence[int]) -> Sequence[int]:
    if not p.full.starts:
        return starts
    return [s for s in starts if not ((n := bisect_right(p.full.starts, s)) and p.full.ends[n - 1] > s)]


def _between(shut: Columns, span: Interval) -> list[tuple[int, int]]:
    """The parts of the span outside these stretches."""
    left, since = [], span.start
    for start, end in shut.pairs():
        if start > since:
            left.append((since, min(start, span.end)))
        since = max(since, end)
        if since >= span.end:
            return left
    return [*left, (since, span.end)]
