"""Where the entries of an agenda are drawn in a day, a week and a month. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from bridge.service.agenda import Agenda, Entry
from bridge.web.pages.conventions import Conventions
from bridge.web.pages.render import LANES, QUARTERS

#: In quarters of an hour: the part of a day that is always shown, and the least height of an event.
MORNING, EVENING, LEAST = 8 * 4, 18 * 4, 2


@dataclass(frozen=True, slots=True)
class Stretch:
    """Working hours within one day: instants, the quarter of an hour at which they begin, and how many they last."""

    start: int
    end: int
    at: int
    quarters: int


@dataclass(frozen=True, slots=True)
class WholeDay:
    """One day of an entry that takes whole days. An entry of several days is drawn as one bar, in one row."""

    entry: Entry
    #: Which of its days this is, and how many it has; 1 of 1 where it does not consist of whole days.
    number: int = 1
    of: int = 1
    row: int = 0
    #: On how many days the bar is drawn from this one on, and whether it continues from the day before.
    days: int = 1
    joined: bool = False
    #: Whether an earlier day shows the entry too, so that the keyboard need not stop here again.
    again: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A timed entry within one day: the quarter of an hour at which it begins, how many it lasts, and its lane.

    Entries that overlap are drawn side by side, in lanes.
    """

    entry: Entry
    at: int
    quarters: int
    #: Whether it began before this day, and whether it goes on after it.
    before: bool = False
    after: bool = False
    lane: int = 0
    lanes: int = 1
    #: Whether there is no lane left for it: it is counted in a Crowd.
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class Crowd:
    """A place in the last lane for `more` entries that are not drawn, as there is no lane for them."""

    at: int
    quarters: int
    lanes: int
    more: int


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the agenda. `more` entries are left out, to limit the size of the page."""

    date: dt.date
    #: Working hours.
    working: tuple[Stretch, ...]
    all_day: tuple[WholeDay, ...]
    blocks: tuple[Block, ...]
    crowds: tuple[Crowd, ...] = ()
    more: int = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything that is shown of the day, all-day entries first."""
        return (*(one.entry for one in self.all_day), *(block.entry for block in self.blocks))


def days_of(
    agenda: Agenda, dates: Sequence[dt.date], reads: Conventions, *, most: int, lanes: int = LANES
) -> list[Day]:
    """The days of an agenda. An entry of several whole days is one bar within each row of seven days."""
    days = [day_of(agenda, date, reads, most=most, lanes=lanes) for date in dates]
    found: list[Day] = []
    shown: set[tuple[str, int]] = set()
    for day in (day for at in range(0, len(days), 7) for day in _joined(days[at : at + 7])):
        all_day = tuple(replace(one, again=_occurrence(one) in shown) for one in day.all_day)
        shown |= {_occurrence(one) for one in all_day}
        found.append(replace(day, all_day=all_day))
    return found


def day_of(agenda: Agenda, date: dt.date, reads: Conventions, *, most: int, lanes: int = LANES, skip: int = 0) -> Day:
    """A day of an agenda: up to `most` entries after the first `skip`, of which up to `lanes` are side by side."""
    first, last = reads.midnight(date), reads.midnight(date + dt.timedelta(days=1))
    touching = [e for e in agenda.entries if e.start < last and (e.end > first or e.start == e.end == first)][skip:]
    whole = [entry for entry in touching[:most] if _fills_day(entry, first, last)]
    blocks = [_block(entry, first, last, reads) for entry in touching[:most] if not _fills_day(entry, first, last)]
    left_out = [_block(entry, first, last, reads) for entry in touching[most:] if not _fills_day(entry, first, last)]
    working = [(max(start, first), min(end, last)) for start, end in agenda.working if start < last and end > first]
    stretches = [Stretch(start, end, *_quarters(start, end, first, last, reads)) for start, end in working]
    placed, crowds = _side_by_side(blocks, lanes)
    if left_out:
        crowds = _with_left_out(crowds, left_out, lanes)
    return Day(
        date,
        tuple(stretches),
        tuple(_whole_day(entry, date, reads, row) for row, entry in enumerate(whole)),
        tuple(placed),
        tuple(crowds),
        max(len(touching) - most, 0),
    )


def hours(days: Sequence[Day]) -> range:
    """The hours to show: from `MORNING` to `EVENING`, and others in which there are entries or working hours."""
    shown: list[Block | Stretch] = []
    for day in days:
        shown += [*day.blocks, *day.working]
    first = min([MORNING, *(part.at for part in shown)])
    last = max([EVENING, *(part.at + part.quarters for part in shown)])
    return range(first // 4, -(-last // 4))


def _fills_day(entry: Entry, first: int, last: int) -> bool:
    """Whether an entry takes the whole day between two instants."""
    return entry.all_day or (entry.start <= first and entry.end >= last)


def _whole_day(entry: Entry, date: dt.date, reads: Conventions, row: int) -> WholeDay:
    if not entry.all_day:
        return WholeDay(entry, row=row)
    begins, ends = reads.local(entry.start).date(), reads.local(max(entry.end - 1, entry.start)).date()
    return WholeDay(entry, (date - begins).days + 1, (ends - begins).days + 1, row)


def _joined(days: Sequence[Day]) -> list[Day]:
    """The days of one row, with each entry of several whole days in the same place of each day."""
    found: list[Day] = []
    rows: dict[tuple[str, int], int] = {}
    for day in days:
        before = rows
        rows = {_occurrence(one): before[_occurrence(one)] for one in day.all_day if _occurrence(one) in before}
        taken = set(rows.values())
        free = (row for row in count() if row not in taken)
        rows |= {_occurrence(one): next(free) for one in day.all_day if _occurrence(one) not in before}
        whole = [replace(one, row=rows[_occurrence(one)], joined=_occurrence(one) in before) for one in day.all_day]
        found.append(replace(day, all_day=tuple(sorted(whole, key=lambda one: one.row))))
    lasts: dict[tuple[str, int], int] = {}
    for at, day in reversed(list(enumerate(found))):
        lasts = {_occurrence(one): lasts.get(_occurrence(one), 0) + 1 for one in day.all_day}
        found[at] = replace(day, all_day=tuple(replace(one, days=lasts[_occurrence(one)]) for one in day.all_day))
    return found


def _occurrence(one: WholeDay) -> tuple[str, int]:
    """Identifies one occurrence of an item."""
    return one.entry.href, one.entry.start


def _block(entry: Entry, first: int, last: int, reads: Conventions) -> Block:
    at, quarters = _quarters(entry.start, entry.end, first, last, reads)
    at = min(at, QUARTERS - LEAST)
    return Block(entry, at, max(quarters, LEAST), before=entry.start < first, after=entry.end > last)


def _quarters(begins: int, ends: int, first: int, last: int, reads: Conventions) -> tuple[int, int]:
    # By local time, so that on a day of 23 or 25 hours, 10:00 is drawn at the same height as on other days.
    start, end = reads.local(begins), reads.local(ends)
    at = 0 if begins < first else start.hour * 4 + start.minute // 15
    until = QUARTERS if ends >= last else end.hour * 4 - (-end.minute // 15)
    return at, max(until - at, 1)


def _side_by_side(blocks: Sequence[Block], most: int) -> tuple[list[Block], list[Crowd]]:
    """Put blocks that overlap side by side, each into the first lane that is free."""
    placed: list[Block] = []
    crowds: list[Crowd] = []
    cluster: list[Block] = []
    ends: list[int] = []
    for block in sorted(blocks, key=lambda b: (b.at, -b.quarters)):
        if cluster and block.at >= max(ends):
            _finish(cluster, min(len(ends), most), placed, crowds)
            cluster, ends = [], []
        lane = next((lane for lane, end in enumerate(ends) if end <= block.at), len(ends))
        if lane == len(ends):
            ends.append(0)
        ends[lane] = block.at + block.quarters
        cluster.append(replace(block, lane=lane))
    _finish(cluster, min(len(ends), most), placed, crowds)
    return placed, crowds


def _finish(cluster: Sequence[Block], lanes: int, placed: list[Block], crowds: list[Crowd]) -> None:
    """Finish a cluster of overlapping blocks, once the number of its lanes is known."""
    left_over = any(block.lane >= lanes for block in cluster)
    free = lanes - 1 if left_over else lanes
    crowded = [block for block in cluster if block.lane >= free]
    placed += [replace(block, lanes=lanes, crowded=block.lane >= free) for block in cluster]
    if crowded:
        at = min(block.at for block in crowded)
        end = max(block.at + block.quarters for block in crowded)
        crowds.append(Crowd(at, end - at, lanes, len(crowded)))


def _with_left_out(crowds: Sequence[Crowd], left_out: Sequence[Block], lanes: int) -> list[Crowd]:
    """Add the blocks that are left out as one more crowd, so that their time does not look free."""
    at, end, more = min(b.at for b in left_out), max(b.at + b.quarters for b in left_out), len(left_out)
    apart = [crowd for crowd in crowds if crowd.at + crowd.quarters <= at or crowd.at >= end]
    for crowd in crowds:
        if crowd not in apart:
            at, end, more = min(at, crowd.at), max(end, crowd.at + crowd.quarters), more + crowd.more
    return [*apart, Crowd(at, end - at, lanes, more)]
