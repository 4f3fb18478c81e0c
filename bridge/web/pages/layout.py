"""Where the entries of an agenda stand in a day, a week and a month. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bridge.service.agenda import Entry
from bridge.web.pages.conventions import Conventions
from bridge.web.pages.render import LANES, QUARTERS

#: What is shown of a day at least, and the least height of an event, in quarters of an hour.
MORNING, EVENING, LEAST = 8 * 4, 18 * 4, 2


@dataclass(frozen=True, slots=True)
class Block:
    """A timed entry within one day: from which quarter of an hour, for how many, in which of the lanes side by side."""

    entry: Entry
    at: int
    quarters: int
    lane: int = 0
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the agenda. `more` entries are left out, so that no page grows without bounds."""

    date: dt.date
    all_day: tuple[Entry, ...]
    blocks: tuple[Block, ...]
    more: int = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything that is shown of the day, all-day entries first."""
        return (*self.all_day, *(block.entry for block in self.blocks))


def day_of(entries: Iterable[Entry], date: dt.date, reads: Conventions, *, most: int) -> Day:
    """What of these entries is on a day, up to `most` of them."""
    first, last = reads.midnight(date), reads.midnight(date + dt.timedelta(days=1))
    touching = [e for e in entries if e.start < last and (e.end > first or e.start == e.end == first)]
    touching = [e for e in touching if e.start == e.end or e.end > first]
    shown = touching[:most]
    whole = [entry for entry in shown if entry.all_day or (entry.start <= first and entry.end >= last)]
    timed = [entry for entry in shown if entry not in whole]
    blocks = [_block(entry, first, last, reads) for entry in timed]
    return Day(date, tuple(whole), tuple(_side_by_side(blocks)), len(touching) - len(shown))


def hours(days: Sequence[Day]) -> range:
    """The hours to show: those of an office, and whatever else something happens in."""
    blocks = [block for day in days for block in day.blocks]
    first = min([MORNING, *(block.at for block in blocks)])
    last = max([EVENING, *(block.at + block.quarters for block in blocks)])
    return range(first // 4, -(-last // 4))


def _block(entry: Entry, first: int, last: int, reads: Conventions) -> Block:
    # By the clock on the wall: on the day that has 23 or 25 hours, ten o'clock is still where ten o'clock is.
    start, end = reads.local(entry.start), reads.local(entry.end)
    at = 0 if entry.start < first else start.hour * 4 + start.minute // 15
    until = QUARTERS if entry.end >= last else end.hour * 4 - (-end.minute // 15)
    at = min(at, QUARTERS - LEAST)
    return Block(entry, at, max(until - at, LEAST))


def _side_by_side(blocks: Sequence[Block]) -> list[Block]:
    """Blocks that overlap stand side by side, each in the first lane that is free."""
    placed: list[Block] = []
    cluster: list[Block] = []
    ends: list[int] = []
    for block in sorted(blocks, key=lambda b: (b.at, -b.quarters)):
        if cluster and block.at >= max(ends):
            placed += _widened(cluster, len(ends))
            cluster, ends = [], []
        lane = next((lane for lane, end in enumerate(ends) if end <= block.at), len(ends))
        lane = min(lane, LANES - 1)
        if lane == len(ends):
            ends.append(0)
        ends[lane] = max(ends[lane], block.at + block.quarters)
        cluster.append(replace(block, lane=lane))
    return placed + _widened(cluster, len(ends))


def _widened(cluster: Sequence[Block], lanes: int) -> list[Block]:
    return [replace(block, lanes=lanes) for block in cluster]
