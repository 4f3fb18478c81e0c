"""Working hours: when somebody can be booked, by weekday and by date, in a time zone. Pure.

An opening is one stretch of working time `(start, end)`, Unix seconds, half-open. It begins where its rule says so and
not where a question happens to begin, so that the slots counted from it are the same in every answer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from bridge.domain.model import Interval

DAY_MINUTES = 1440

#: From one minute after local midnight to another; an end past 1440 is on the next day.
Stretch = tuple[int, int]
Opening = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hours:
    """When somebody works. A date that has its own stretches (or none: closed) does not have its weekday's."""

    time_zone: str
    #: Seven of them, Monday first.
    weekdays: tuple[tuple[Stretch, ...], ...]
    #: By date, as in 2030-01-31.
    dates: tuple[tuple[str, tuple[Stretch, ...]], ...] = ()


def office_hours(time_zone: str) -> Hours:
    """Monday to Friday, nine to five: what is offered where nobody said when."""
    return Hours(time_zone, (*((((9 * 60, 17 * 60),),) * 5), (), ()))


@lru_cache(maxsize=4096)
def openings(hours: Hours, span: Interval) -> tuple[Opening, ...]:
    """The openings that touch the span, whole, by start. Those of one day never overlap."""
    by_date = dict(hours.dates)
    # An opening of the day before may reach past midnight.
    first = _date_at(span.start, hours.time_zone) - 1
    last = _date_at(span.end, hours.time_zone)
    found = []
    for day in range(first, last + 1):
        date = dt.date.fromordinal(day)
        for begins, ends in merged(by_date.get(date.isoformat(), hours.weekdays[date.weekday()])):
            start, end = instant(hours.time_zone, day, begins), instant(hours.time_zone, day, ends)
            if start < end and end > span.start and start < span.end:
                found.append((start, end))
    return tuple(found)


def merged(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ordered, and those that overlap or touch made one."""
    result: list[tuple[int, int]] = []
    last_start = last_end = 0
    for start, end in sorted(stretches):
        if result and start <= last_end:
            if end > last_end:
                last_end = end
                result[-1] = (last_start, end)
        else:
            last_start, last_end = start, end
            result.append((start, end))
    return result


def common(first: Sequence[Opening], second: Sequence[Opening]) -> list[Opening]:
    """The stretches that lie in one of each, by start."""
    both = []
    position = 0
    for start, end in first:
        while position < len(second) and second[position][1] <= start:
            position += 1
        number = position
        while number < len(second) and second[number][0] < end:
            other = second[number]
            if other[1] > start:
                both.append((max(start, other[0]), min(end, other[1])))
            number += 1
    return sorted(both)


def instant(time_zone: str, day: int, minutes: int) -> int:
    """The instant at which clocks show so many minutes after the midnight of a day (a date's ordinal).

    A time that occurs twice is the earlier one; one that is skipped is the instant of the skip.
    """
    day, minutes = day + minutes // DAY_MINUTES, minutes % DAY_MINUTES
    midnight, regular = _day(time_zone, day)
    return midnight + minutes * 60 if regular else _clock(time_zone, day, minutes)


def day_of(at: int, time_zone: str) -> Interval:
    """The local day that an instant lies in."""
    day = _date_at(at, time_zone)
    return Interval(instant(time_zone, day, 0), instant(time_zone, day + 1, 0))


@lru_cache(maxsize=65_536)
def _day(time_zone: str, day: int) -> tuple[int, bool]:
    """When a day begins, and whether its clocks run through without a jump."""
    midnight, next_midnight = _clock(time_zone, day, 0), _clock(time_zone, day + 1, 0)
    noon = _clock(time_zone, day, 720)
    # A jump and its reverse in one day would cancel out over the whole of it.
    return midnight, next_midnight - midnight == 86_400 and noon - midnight == 43_200


def _clock(time_zone: str, day: int, minutes: int) -> int:
    zone = ZoneInfo(time_zone)
    naive = dt.datetime.combine(dt.date.fromordinal(day), dt.time(minutes // 60, minutes % 60))
    earlier = int(naive.replace(tzinfo=zone).timestamp())
    if dt.datetime.fromtimestamp(earlier, zone).replace(tzinfo=None) == naive:
        return earlier
    # Skipped: the jump lies between the two readings of it.
    low, high = int(naive.replace(tzinfo=zone, fold=1).timestamp()), earlier
    after = _offset(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(middle, zone) == after else (middle, high)
    return high


def _offset(at: int, zone: ZoneInfo) -> dt.timedelta | None:
    return dt.datetime.fromtimestamp(at, zone).utcoffset()


def _date_at(at: int, time_zone: str) -> int:
    return dt.datetime.fromtimestamp(at, ZoneInfo(time_zone)).toordinal()
