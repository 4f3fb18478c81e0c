"""Where the entries of an agenda stand in a day, a week and a month. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.service.agenda import Agenda, Entry
from bridge.web.pages.conventions import Conventions
from bridge.web.pages.render import LANES, QUARTERS

#: What is shown of a day at least, and the least height of an event, in quarters of an hour.
MORNING, EVENING, LEAST = 8 * 4, 18 * 4, 2


@dataclass(frozen=True, slots=True)
class Stretch:
    """Working hours within one day: instants, and from which quarter of an hour, for how many."""

    start: int
    end: int
    at: int
    quarters: int


@dataclass(frozen=True, slots=True)
class Block:
    """A timed entry within one day: from which quarter of an hour, for how many, in which of the lanes side by side."""

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
    """Where more overlaps than fits side by side: `more` entries that the last of the lanes stands for."""

    at: int
    quarters: int
    lanes: int
    more: int


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the agenda. `more` entries are left out, so that no page grows without bounds."""

    date: dt.date
    #: Working hours.
    working: tuple[Stretch, ...]
    all_day: tuple[Entry, ...]
    blocks: tuple[Block, ...]
    crowds: tuple[Crowd, ...] = ()
    more: int = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything that is shown of the day, all-day entries first."""
        return (*self.all_day, *(block.entry for block in self.blocks))


def day_of(agenda: Agenda, date: dt.date, reads: Conventions, *, most: int, lanes: int = LANES) -> Day:
    """What of an agenda is on a day, up to `most` entries, of which up to `lanes` stand side by side."""
    first, last = reads.midnight(date), reads.midnight(date + dt.timedelta(days=1))
    touching = [e for e in agenda.entries if e.start < last and (e.end > first or e.start == e.end == first)]
    shown = touching[:most]
    whole = [entry for entry in shown if entry.all_day or (entry.start <= first and entry.end >= last)]
    timed = [entry for entry in shown if entry not in whole]
    blocks = [_block(entry, first, last, reads) for entry in timed]
    working = [(max(start, first), min(end, last)) for start, end in agenda.working if start < last and end > first]
    stretches = [Stretch(start, end, *_quarters(start, end, first, last, reads)) for start, end in working]
    placed, crowds = _side_by_side(blocks, lanes)
    return Day(date, tuple(stretches), tuple(whole), tuple(placed), tuple(crowds), len(touching) - len(shown))


def hours(days: Sequence[Day]) -> range:
    """The hours to show: those of an office, and whatever else something happens in."""
    shown: list[Block | Stretch] = []
    for day in days:
        shown += [*day.blocks, *day.working]
    first = min([MORNING, *(part.at for part in shown)])
    last = max([EVENING, *(part.at + part.quarters for part in shown)])
    return range(first // 4, -(-last // 4))


def _block(entry: Entry, first: int, last: int, reads: Conventions) -> Block:
    at, quarters = _quarters(entry.start, entry.end, first, last, reads)
    at = min(at, QUARTERS - LEAST)
    return Block(entry, at, max(quarters, LEAST), before=entry.start < first, after=entry.end > last)


def _quarters(begins: int, ends: int, first: int, last: int, reads: Conventions) -> tuple[int, int]:
    # By the clock on the wall: on the day that has 23 or 25 hours, ten o'clock is still where ten o'clock is.
    start, end = reads.local(begins), reads.local(ends)
    at = 0 if begins < first else start.hour * 4 + start.minute // 15
    until = QUARTERS if ends >= last else end.hour * 4 - (-end.minute // 15)
    return at, max(until - at, 1)


def _side_by_side(blocks: Sequence[Block], most: int) -> tuple[list[Block], list[Crowd]]:
    """Blocks that overlap stand side by side, each in the first lane that is free."""
    placed: list[Block] = []
    crowds: list[Crowd] = []
    cluster: list[Block] = []
    ends: list[int] = []
    for block in sorted(blocks, key=lambda b: (b.at, -b.quarters)):
        if cluster and block.at >= max(ends):
            _close(cluster, min(len(ends), most), placed, crowds)
            cluster, ends = [], []
        lane = next((lane for lane, end in enumerate(ends) if end <= block.at), len(ends))
        if lane == len(ends):
            ends.append(0)
        ends[lane] = block.at + block.quarters
        cluster.append(replace(block, lane=lane))
    _close(cluster, min(len(ends), most), placed, crowds)
    return placed, crowds


def _close(cluster: Sequence[Block], lanes: int, placed: list[Block], crowds: list[Crowd]) -> None:
    """Now that it is known how many blocks stand side by side at most: how wide each is, and what is left over."""
    left_over = any(block.lane >= lanes for block in cluster)
    free = lanes - 1 if left_over else lanes
    crowded = [block for block in cluster if block.lane >= free]
    placed += [replace(block, lanes=lanes, crowded=block.lane >= free) for block in cluster]
    if crowded:
        at = min(block.at for block in crowded)
        end = max(block.at + block.quarters for block in crowded)
        crowds.append(Crowd(at, end - at, lanes, len(crowded)))
