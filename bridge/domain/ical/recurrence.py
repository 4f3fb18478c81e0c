"""What a recurrence rule yields, in local time.

Expansion jumps to where it is asked for, works day by day (so a rule of seconds costs no more than its results), and
is bounded: no rule, however absurd, keeps a process busy.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from bridge.domain.ical.rules import LISTS, SECONDS, Freq, Rule

#: Nothing recurs beyond this, in local time: no booking reaches there.
LAST = dt.datetime(2201, 1, 1)
#: A rule that matches nothing for so long matches nothing: even 29 February on a given weekday comes every 40 years.
_BARREN = dt.timedelta(days=366 * 60)
#: COUNT is honoured by counting from the start; after so many periods it is taken as no limit.
_COUNTED_PERIODS = 100_000
#: An hourly to secondly rule that found nothing in so many looks in a row finds nothing.
_FRUITLESS = 300_000


def starts(
    rule: Rule, start: dt.datetime, low: dt.datetime, high: dt.datetime, until: dt.datetime | None = None
) -> Iterator[dt.datetime]:
    """What the rule yields within [low, high], in order. All local; `until` is the rule's UNTIL in local time.

    `start` is DTSTART; it is yielded only where the rule matches it.
    """
    high = min(high, LAST, until or LAST)
    low = max(low, start)
    if high < low:
        return
    if rule.count is None or rule.count >= _at_most(rule, start, high):
        yield from _within(_periods(rule, start, low, high), low, high)
        return
    left = rule.count
    for number, period in enumerate(_periods(rule, start, start, high)):
        if number > _COUNTED_PERIODS:
            yield from _within(_periods(rule, start, max(low, (period or [low])[0]), high), low, high)
            return
        for found in period:
            if found < start:
                continue
            if found > high or left == 0:
                return
            left -= 1
            if found >= low:
                yield found


def _within(periods: Iterator[list[dt.datetime]], low: dt.datetime, high: dt.datetime) -> Iterator[dt.datetime]:
    for period in periods:
        for found in period:
            if found > high:
                return
            if found >= low:
                yield found


def first(rule: Rule, start: dt.datetime, until: dt.datetime | None) -> dt.datetime | None:
    """The first thing the rule yields; None for a rule that never matches, such as one for 30 February."""
    try:
        far = start + max(_BARREN, dt.timedelta(seconds=2 * rule.interval * SECONDS[rule.freq]))
    except OverflowError:
        far = LAST
    return next(starts(replace(rule, count=None), start, start, far, until), None)


def last(rule: Rule, start: dt.datetime, until: dt.datetime | None) -> dt.datetime | None:
    """An instant after which the rule yields nothing: exact for COUNT, UNTIL itself otherwise. None: it has no end."""
    if rule.count is None:
        return until
    end = until or LAST
    if not (rule.byday or any(getattr(rule, name) for name in LISTS)) and rule.freq >= Freq.WEEKLY:
        seconds = (rule.count - 1) * rule.interval * SECONDS[rule.freq]
        return min(end, start + dt.timedelta(seconds=seconds)) if seconds < (LAST - start).total_seconds() else until
    if rule.count > _COUNTED_PERIODS:
        return until
    every = list(islice(starts(rule, start, start, end), rule.count))
    return every[-1] if len(every) == rule.count else until


def _at_most(rule: Rule, start: dt.datetime, high: dt.datetime) -> int:
    """No more than so many occurrences fall between start and high: to see that a huge COUNT is no limit."""
    periods = int((high - start).total_seconds() // (SECONDS[rule.freq] * rule.interval)) + 2
    times = max(1, len(rule.bysecond))
    if rule.freq < Freq.MINUTELY:
        times *= max(1, len(rule.byminute))
    if rule.freq < Freq.HOURLY:
        times *= max(1, len(rule.byhour))
    days = {Freq.YEARLY: 366, Freq.MONTHLY: 31, Freq.WEEKLY: 7}.get(rule.freq, 1) if _chooses_days(rule) else 1
    return periods * times * days


def _chooses_days(rule: Rule) -> bool:
    return bool(rule.byday or rule.bymonthday or rule.byyearday or rule.byweekno or rule.bymonth)


def _periods(rule: Rule, start: dt.datetime, low: dt.datetime, high: dt.datetime) -> Iterator[list[dt.datetime]]:
    """The occurrences period by period, from the period that holds `low`: some may lie before it, or before start."""
    if rule.freq > Freq.DAILY:
        yield from _parts_of_days(rule, start, low, high)
        return
    times = [
        dt.time(hour, minute, second)
        for hour in rule.byhour or (start.hour,)
        for minute in rule.byminute or (start.minute,)
        for second in rule.bysecond or (start.second,)
    ]
    if len(times) == 1 and not rule.bysetpos:
        time = times[0]
        for days in _days(rule, start.date(), low.date(), high.date()):
            yield [dt.datetime.combine(d, time) for d in days]
        return
    for days in _days(rule, start.date(), low.date(), high.date()):
        yield _at_positions(rule, [dt.datetime.combine(d, time) for d in days for time in times])


def _at_positions(rule: Rule, found: list[dt.datetime]) -> list[dt.datetime]:
    if not rule.bysetpos:
        return found
    size = len(found)
    wanted = {position - 1 if position > 0 else size + position for position in rule.bysetpos}
    return [found[index] for index in sorted(wanted) if 0 <= index < size]


def _days(rule: Rule, start: dt.date, low: dt.date, high: dt.date) -> Iterator[Sequence[dt.date]]:
    """The days of each period of a daily to yearly rule."""
    match rule.freq:
        case Freq.DAILY:
            behind = (low - start).days // rule.interval * rule.interval
            fits = _limits(rule, with_days=True)
            for ordinal in range(start.toordinal() + behind, high.toordinal() + 1, rule.interval):
                day = dt.date.fromordinal(ordinal)
                yield (day,) if fits(day) else ()
        case Freq.WEEKLY:
            yield from _weeks(rule, start, low, high)
        case Freq.MONTHLY:
            origin = start.year * 12 + start.month - 1
            behind = (low.year * 12 + low.month - 1 - origin) // rule.interval * rule.interval
            fits = _limits(replace(rule, bymonth=(), bymonthday=(), byday=()), with_days=False)
            for month in range(origin + behind, high.year * 12 + high.month, rule.interval):
                year, number = divmod(month, 12)
                if rule.bymonth and number + 1 not in rule.bymonth:
                    yield ()
                    continue
                yield [d for d in _month(rule, start, year, number + 1) if fits(d)]
        case _:
            behind = (low.year - start.year) // rule.interval * rule.interval
            for year in range(start.year + behind, high.year + 1, rule.interval):
                yield _year(rule, start, year)


def _weeks(rule: Rule, start: dt.date, low: dt.date, high: dt.date) -> Iterator[Sequence[dt.date]]:
    origin = start.toordinal() - (start.weekday() - rule.wkst) % 7
    chosen = {day for _, day in rule.byday}
    # Other parts that choose days have no place in a weekly rule; where they are, they choose among all of the week.
    weekdays = chosen or (range(7) if rule.bymonthday or rule.byyearday or rule.byweekno else {start.weekday()})
    offsets = sorted((day - rule.wkst) % 7 for day in weekdays)
    step = 7 * rule.interval
    fits = _limits(rule, with_days=False)
    unlimited = not (rule.bymonth or rule.bymonthday or rule.byyearday or rule.byweekno)
    first_week = origin + (low.toordinal() - origin) // step * step
    for week in range(first_week, high.toordinal() + 1, step):
        days = [dt.date.fromordinal(week + offset) for offset in offsets if week + offset > 0]
        yield days if unlimited else [d for d in days if fits(d)]


def _month(rule: Rule, start: dt.date, year: int, month: int) -> list[dt.date]:
    """The days of one month that BYMONTHDAY and BYDAY choose; without them, the day of DTSTART."""
    weekday, size = calendar.monthrange(year, month)
    if rule.bymonthday:
        days = {d if d > 0 else size + 1 + d for d in rule.bymonthday}
    elif rule.byday or rule.byyearday or rule.byweekno:
        days = set(range(1, size + 1))
    else:
        days = {start.day}
    if rule.byday:
        chosen: set[int] = set()
        for ordinal, day in rule.byday:
            all_of_them = range(1 + (day - weekday) % 7, size + 1, 7)
            if ordinal == 0:
                chosen.update(all_of_them)
            elif abs(ordinal) <= len(all_of_them):
                chosen.add(all_of_them[ordinal - 1 if ordinal > 0 else ordinal])
        days &= chosen
    return [dt.date(year, month, d) for d in sorted(days) if 1 <= d <= size]


def _year(rule: Rule, start: dt.date, year: int) -> list[dt.date]:
    if rule.byyearday or rule.byweekno or (rule.byday and not rule.bymonth):
        return _chosen_in_year(rule, start, year)
    if rule.bymonth:
        months: Sequence[int] = rule.bymonth
    elif rule.bymonthday:
        months = range(1, 13)
    else:
        months = (start.month,)
    return [d for month in months for d in _month(rule, start, year, month)]


def _chosen_in_year(rule: Rule, start: dt.date, year: int) -> list[dt.date]:
    byday = rule.byday
    if rule.byweekno and not (byday or rule.bymonthday or rule.byyearday):
        byday = ((0, start.weekday()),)  # "derived from DTSTART": the same weekday of those weeks
    weekdays = {day for ordinal, day in byday if ordinal == 0}
    fits = _limits(rule, with_days=False)
    days = [d for d in map(dt.date.fromordinal, _ordinals(year)) if fits(d)]
    if not byday:
        return days
    numbered: set[dt.date] = set()
    for ordinal, weekday in byday:
        if ordinal:
            months: Sequence[Sequence[int]] = [_ordinals(year, month) for month in rule.bymonth] or [_ordinals(year)]
            for ordinals in months:
                those = [d for d in map(dt.date.fromordinal, ordinals) if d.weekday() == weekday]
                if abs(ordinal) <= len(those):
                    numbered.add(those[ordinal - 1 if ordinal > 0 else ordinal])
    return [d for d in days if d.weekday() in weekdays or d in numbered]


def _ordinals(year: int, month: int | None = None) -> range:
    begin = dt.date(year, month or 1, 1).toordinal()
    if month is None:
        return range(begin, begin + (366 if calendar.isleap(year) else 365))
    return range(begin, begin + calendar.monthrange(year, month)[1])


class _limits:  # noqa: N801 - used as a function: whether a day passes the rule's limits
    """Whether a day passes BYMONTH, BYMONTHDAY, BYYEARDAY, BYWEEKNO and, where they only limit, weekdays."""

    __slots__ = ("rule", "weekdays")

    def __init__(self, rule: Rule, *, with_days: bool) -> None:
        self.rule = rule
        self.weekdays = {day for _, day in rule.byday} if with_days else set()

    def __call__(self, day: dt.date) -> bool:
        rule = self.rule
        if self.weekdays and day.weekday() not in self.weekdays:
            return False
        if rule.bymonth and day.month not in rule.bymonth:
            return False
        if rule.bymonthday:
            size = calendar.monthrange(day.year, day.month)[1]
            if day.day not in rule.bymonthday and day.day - size - 1 not in rule.bymonthday:
                return False
        if rule.byyearday:
            number, size = day.timetuple().tm_yday, 366 if calendar.isleap(day.year) else 365
            if number not in rule.byyearday and number - size - 1 not in rule.byyearday:
                return False
        return not rule.byweekno or bool(_week_numbers(day, rule.wkst) & set(rule.byweekno))


def _week_numbers(day: dt.date, wkst: int) -> set[int]:
    """The number of the day's week, from the front and from the back; a week is in the year of its fourth day."""
    fourth = day.toordinal() - (day.weekday() - wkst) % 7 + 3
    if not 0 < fourth <= dt.date.max.toordinal():
        return set()
    middle = dt.date.fromordinal(fourth)
    yday, size = middle.timetuple().tm_yday, 366 if calendar.isleap(middle.year) else 365
    number = (yday - 1) // 7 + 1
    return {number, -((size - yday) // 7 + 1)}


def _parts_of_days(rule: Rule, start: dt.datetime, low: dt.datetime, high: dt.datetime) -> Iterator[list[dt.datetime]]:
    """The periods (hours, minutes or seconds) of an hourly to secondly rule; one empty list for a day without any."""
    unit = SECONDS[rule.freq]
    step = unit * rule.interval
    origin = start.replace(minute=0 if unit == 3600 else start.minute, second=0 if unit > 1 else start.second)
    fits = _limits(rule, with_days=True)
    inner = [
        minute * 60 + second
        for minute in (rule.byminute or (start.minute,) if unit == 3600 else (0,))
        for second in (rule.bysecond or (start.second,) if unit > 1 else (0,))
    ]
    blocks = _blocks(rule)
    fruitless = 0
    for ordinal in range(low.toordinal(), high.toordinal() + 1):
        midnight = dt.datetime.fromordinal(ordinal)
        if not fits(midnight.date()):
            yield []
            continue
        since = (midnight - origin).days * 86_400 + (midnight - origin).seconds
        fruitless += len(blocks)
        for begin, end in blocks:
            for second in range(begin + -(since + begin) % step, end, step):
                if (unit == 60 and rule.byminute and second // 60 % 60 not in rule.byminute) or (
                    unit == 1 and rule.bysecond and second % 60 not in rule.bysecond
                ):
                    fruitless += 1
                    continue
                fruitless = 0
                yield _at_positions(rule, [midnight + dt.timedelta(seconds=second + i) for i in inner])
        if fruitless > _FRUITLESS:
            return
        yield []


def _blocks(rule: Rule) -> list[tuple[int, int]]:
    """The stretches of a day, in seconds, that BYHOUR and (for seconds) BYMINUTE leave."""
    if rule.freq == Freq.SECONDLY and rule.byminute:
        begins = [hour * 3600 + minute * 60 for hour in rule.byhour or range(24) for minute in rule.byminute]
        return [(begin, begin + 60) for begin in begins]
    if rule.byhour:
        return [(hour * 3600, hour * 3600 + 3600) for hour in rule.byhour]
    return [(0, 86_400)]


def is_long(rule: Rule, start: dt.datetime, until: dt.datetime, periods: int) -> bool:
    """Whether more than so many periods lie between two local times."""
    return (until - start).total_seconds() > periods * SECONDS[rule.freq] * rule.interval
