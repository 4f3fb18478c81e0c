"""Working hours: when somebody can be booked, by weekday and by date, in a time zone. Pure.

An opening is one stretch of working time `(start, end)`, in Unix seconds, half-open. An opening is never cut to the
span that was asked for: slots are counted from its start, and must be the same whatever span is asked for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from bridge.domain.model import Interval

DAY_MINUTES = 1440

#: Start and end in minutes after local midnight. An end above 1440 is on the next day.
Stretch = tuple[int, int]
Opening = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hours:
    """When somebody works. For a date in `dates` its own stretches hold instead of its weekday's; none means closed."""

    time_zone: str
    #: Seven entries, Monday first.
    weekdays: tuple[tuple[Stretch, ...], ...]
    #: Stretches by date, such as 2030-01-31.
    dates: tuple[tuple[str, tuple[Stretch, ...]], ...] = ()


def office_hours(time_zone: str) -> Hours:
    """Monday to Friday, nine to five: the default where no working hours are set."""
    return Hours(time_zone, (*((((9 * 60, 17 * 60),),) * 5), (), ()))


@lru_cache(maxsize=4096)
def openings(hours: Hours, span: Interval) -> tuple[Opening, ...]:
    """The openings that touch the span, uncut, ordered by start. Those of one day never overlap."""
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
    """The stretches in order, with those that overlap or touch joined into one."""
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
    """The intersection of two lists of openings, ordered by start."""
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
    """The instant (Unix seconds) of a local time. `day` is a date's ordinal, `minutes` are counted from its midnight.

    Of a local time that occurs twice, the first occurrence is meant; one that the clocks skip means the instant at
    which they do.
    """
    day, minutes = day + minutes // DAY_MINUTES, minutes % DAY_MINUTES
    midnight, regular = _day(time_zone, day)
    return midnight + minutes * 60 if regular else _clock(time_zone, day, minutes)


def day_of(at: int, time_zone: str) -> Interval:
    """The local day in which an instant lies, as an interval."""
    day = _date_at(at, time_zone)
    return Interval(instant(time_zone, day, 0), instant(time_zone, day + 1, 0))


@lru_cache(maxsize=65_536)
def _day(time_zone: str, day: int) -> tuple[int, bool]:
    """When a local day begins (Unix seconds), and whether the clocks run through it without a change."""
    midnight, next_midnight = _clock(time_zone, day, 0), _clock(time_zone, day + 1, 0)
    noon = _clock(time_zone, day, 720)
    # Noon is looked at too: two changes on one day might cancel each other out.
    return midnight, next_midnight - midnight == 86_400 and noon - midnight == 43_200


def _clock(time_zone: str, day: int, minutes: int) -> int:
    zone = ZoneInfo(time_zone)
    naive = dt.datetime.combine(dt.date.fromordinal(day), dt.time(minutes // 60, minutes % 60))
    earlier = int(naive.replace(tzinfo=zone).timestamp())
    if dt.datetime.fromtimestamp(earlier, zone).replace(tzinfo=None) == naive:
        return earlier
    # The clocks skip it. The instant at which they do lies between its two readings (before and after the change).
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
