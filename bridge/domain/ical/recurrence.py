"""Expanding recurrence rules, in local time.

Expansion starts near the span that is asked for rather than at DTSTART. It goes day by day, so that a rule that counts
in seconds costs no more than what it yields. And it is bounded: no rule takes unlimited time, however absurd it is.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from bridge.domain.ical import scales
from bridge.domain.ical.rules import LISTS, SECONDS, Freq, Rule, Skip
from bridge.domain.ical.scales import Month, Scale

#: Rules yield nothing after this local time: no booking is that far ahead.
LAST = dt.datetime(2201, 1, 1)
#: A rule that yields nothing for this long yields nothing at all: even 29 February on a given weekday recurs within 40
#: years.
_BARREN = dt.timedelta(days=366 * 60)
#: COUNT is counted from DTSTART on. After this many periods counting stops, and the rule goes on without limit.
_COUNTED_PERIODS = 100_000
#: SKIP moves a day out of its period by no more than this.
_SKIPPED = dt.timedelta(days=31)
#: An hourly to secondly rule that yields nothing in this many candidates in a row yields nothing at all.
_FRUITLESS = 300_000


def starts(
    rule: Rule, start: dt.datetime, low: dt.datetime, high: dt.datetime, until: dt.datetime | None = None
) -> Iterator[dt.datetime]:
    """What the rule yields within [low, high], in order. All times are local; `until` is the rule's UNTIL.

    `start` is DTSTART; it is yielded only if the rule yields it.
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
    """The first time that the rule yields; None for a rule that yields nothing, such as one for 30 February."""
    begin = dt.datetime.combine(scales.named(rule.scale).within(start.date()), start.time())
    try:
        far = begin + max(_BARREN, dt.timedelta(seconds=2 * rule.interval * SECONDS[rule.freq]))
    except OverflowError:
        far = LAST
    return next(starts(replace(rule, count=None), start, begin, far, until), None)


def is_known(rule: Rule, start: dt.datetime) -> bool:
    """Whether the rule can be expanded: its RSCALE's tables reach to DTSTART.

    They need not where the rule names its days completely, so that nothing is counted from DTSTART.
    """
    says_all = rule.bymonthday and (rule.freq == Freq.MONTHLY or rule.bymonth or rule.leapmonths)
    anywhere = bool(says_all) and rule.interval == 1 and rule.count is None
    return anywhere or scales.named(rule.scale).reaches(start.date())


def last(rule: Rule, start: dt.datetime, until: dt.datetime | None) -> dt.datetime | None:
    """A local time after which the rule yields nothing: exact with COUNT, otherwise UNTIL. None: it has no end."""
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
    """An upper bound for what the rule yields from start to high: a COUNT above it is no limit there."""
    periods = int((high - start).total_seconds() // (SECONDS[rule.freq] * rule.interval)) + 2
    times = max(1, len(rule.bysecond))
    if rule.freq < Freq.MINUTELY:
        times *= max(1, len(rule.byminute))
    if rule.freq < Freq.HOURLY:
        times *= max(1, len(rule.byhour))
    days = {Freq.YEARLY: 366, Freq.MONTHLY: 31, Freq.WEEKLY: 7}.get(rule.freq, 1) if _chooses_days(rule) else 1
    return periods * times * days


def _chooses_days(rule: Rule) -> bool:
    return bool(rule.byday or rule.bymonthday or rule.byyearday or rule.byweekno or rule.bymonth or rule.leapmonths)


def _periods(rule: Rule, start: dt.datetime, low: dt.datetime, high: dt.datetime) -> Iterator[list[dt.datetime]]:
    """What the rule yields, period by period, from the period of `low` on. Some of it may lie before low or start."""
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
            fits = _Limits(rule, with_days=True)
            for ordinal in range(start.toordinal() + behind, high.toordinal() + 1, rule.interval):
                day = dt.date.fromordinal(ordinal)
                yield (day,) if fits(day) else ()
        case Freq.WEEKLY:
            yield from _weeks(rule, start, low, high)
        case _ if rule.skip == Skip.OMIT:
            yield from _long_periods(rule, start, low, high)
        case _:
            yield from _each_once(_long_periods(rule, start, max(low - _SKIPPED, start), high + _SKIPPED))


def _each_once(periods: Iterable[Sequence[dt.date]]) -> Iterator[Sequence[dt.date]]:
    """The days of each period without those of earlier periods: SKIP may move a day onto one of the next period."""
    last = dt.date.min
    for days in periods:
        found = [d for d in days if d > last]
        last = max([last, *found])
        yield found


def _long_periods(rule: Rule, start: dt.date, low: dt.date, high: dt.date) -> Iterator[Sequence[dt.date]]:
    scale = scales.named(rule.scale)
    start, low, high = scale.within(start), scale.within(low), scale.within(high)
    fits = _Limits(replace(rule, bymonth=(), leapmonths=(), bymonthday=(), byday=()), with_days=False)
    begins = scale.month_of(start)
    of_month = start.toordinal() - begins.first + 1
    if rule.freq == Freq.MONTHLY:
        for month in scale.every(rule.interval, start, low, high):
            if (rule.bymonth or rule.leapmonths) and not _is_named(rule, month):
                yield ()
            else:
                yield [d for d in _month(rule, month, of_month) if fits(d)]
        return
    origin = scale.year_of(start)
    behind = (scale.year_of(low) - origin) // rule.interval * rule.interval
    for year in range(origin + behind, scale.year_of(high) + 1, rule.interval):
        yield _year(rule, scale, year, begins, of_month)


def _weeks(rule: Rule, start: dt.date, low: dt.date, high: dt.date) -> Iterator[Sequence[dt.date]]:
    origin = start.toordinal() - (start.weekday() - rule.wkst) % 7
    chosen = {day for _, day in rule.byday}
    # Other parts that choose days are not allowed in a weekly rule. Where they stand, they choose from the whole week.
    weekdays = chosen or (range(7) if rule.bymonthday or rule.byyearday or rule.byweekno else {start.weekday()})
    offsets = sorted((day - rule.wkst) % 7 for day in weekdays)
    step = 7 * rule.interval
    fits = _Limits(rule, with_days=False)
    unlimited = not (rule.bymonth or rule.bymonthday or rule.byyearday or rule.byweekno)
    first_week = origin + (low.toordinal() - origin) // step * step
    for week in range(first_week, high.toordinal() + 1, step):
        days = [dt.date.fromordinal(week + offset) for offset in offsets if week + offset > 0]
        yield days if unlimited else [d for d in days if fits(d)]


def _month(rule: Rule, month: Month, of_month: int) -> list[dt.date]:
    """The days of one month that BYMONTHDAY and BYDAY choose; without either, the day of DTSTART (`of_month`)."""
    size = month.size
    if rule.bymonthday or not (rule.byday or rule.byyearday or rule.byweekno):
        wanted = rule.bymonthday or (of_month,)
        days = {d if d > 0 else size + 1 + d for d in wanted}
        if rule.skip == Skip.BACKWARD:
            days = {max(min(d, size), 0) for d in days}
        elif rule.skip == Skip.FORWARD:
            days = {max(min(d, size + 1), 1) for d in days}
    else:
        days = set(range(1, size + 1))
    if rule.byday:
        weekday = (month.first - 1) % 7
        chosen: set[int] = set()
        for ordinal, day in rule.byday:
            all_of_them = range(1 + (day - weekday) % 7, size + 1, 7)
            if ordinal == 0:
                chosen.update(all_of_them)
            elif abs(ordinal) <= len(all_of_them):
                chosen.add(all_of_them[ordinal - 1 if ordinal > 0 else ordinal])
        days &= chosen
    low, high = (1, size) if rule.skip == Skip.OMIT else (0, size + 1)
    return [dt.date.fromordinal(month.first + d - 1) for d in sorted(days) if low <= d <= high]


def _year(rule: Rule, scale: Scale, year: int, begins: Month, of_month: int) -> list[dt.date]:
    months = scale.months(year)
    named = bool(rule.bymonth or rule.leapmonths)
    if rule.byyearday or rule.byweekno or (rule.byday and not named):
        return _chosen_in_year(rule, months, begins, of_month)
    if named:
        chosen = _named_months(rule, months)
    elif rule.bymonthday:
        chosen = list(months)
    else:
        number = (begins.number,)
        of_start = replace(rule, bymonth=() if begins.leap else number, leapmonths=number if begins.leap else ())
        chosen = _named_months(of_start, months)
    found = [d for month in chosen for d in _month(rule, month, of_month)]
    return found if rule.skip == Skip.OMIT else sorted(set(found))


def _is_named(rule: Rule, month: Month) -> bool:
    return month.number in (rule.leapmonths if month.leap else rule.bymonth)


def _named_months(rule: Rule, months: Sequence[Month]) -> list[Month]:
    """The months of a year that BYMONTH names. For a leap month that this year lacks, the one that SKIP chooses."""
    found = {month for month in months if _is_named(rule, month)}
    if rule.skip != Skip.OMIT:
        leap = {month.number for month in months if month.leap}
        missing = {number + (rule.skip == Skip.FORWARD) for number in rule.leapmonths if number not in leap}
        found |= {month for month in months if not month.leap and month.number in missing}
    return sorted(found, key=lambda month: month.first)


def _chosen_in_year(rule: Rule, months: Sequence[Month], begins: Month, of_month: int) -> list[dt.date]:
    byday = rule.byday
    if rule.byweekno and not (byday or rule.bymonthday or rule.byyearday):
        # RFC 5545 section 3.3.10: the weekday is derived from DTSTART
        byday = ((0, (begins.first + of_month - 2) % 7),)
    weekdays = {day for ordinal, day in byday if ordinal == 0}
    fits = _Limits(rule, with_days=False)
    days = [d for d in map(dt.date.fromordinal, _ordinals(months)) if fits(d)]
    if not byday:
        return days
    numbered: set[dt.date] = set()
    named = [_ordinals([month]) for month in months if _is_named(rule, month)]
    for ordinal, weekday in byday:
        if ordinal:
            for ordinals in named or [_ordinals(months)]:
                those = [d for d in map(dt.date.fromordinal, ordinals) if d.weekday() == weekday]
                if abs(ordinal) <= len(those):
                    numbered.add(those[ordinal - 1 if ordinal > 0 else ordinal])
    return [d for d in days if d.weekday() in weekdays or d in numbered]


def _ordinals(months: Sequence[Month]) -> range:
    return range(months[0].first, months[-1].first + months[-1].size)


class _Limits:
    """A predicate: whether a day passes BYMONTH, BYMONTHDAY, BYYEARDAY, BYWEEKNO and, if `with_days`, BYDAY."""

    __slots__ = ("by_month", "rule", "scale", "weekdays")

    def __init__(self, rule: Rule, *, with_days: bool) -> None:
        self.rule = rule
        self.scale = scales.named(rule.scale)
        self.by_month = bool(rule.bymonth or rule.leapmonths or rule.bymonthday)
        self.weekdays = {day for _, day in rule.byday} if with_days else set()

    def __call__(self, day: dt.date) -> bool:
        rule, scale = self.rule, self.scale
        if self.weekdays and day.weekday() not in self.weekdays:
            return False
        if (self.by_month or rule.byyearday) and not scale.reaches(day):
            return False
        if self.by_month:
            month = scale.month_of(day)
            if (rule.bymonth or rule.leapmonths) and not _is_named(rule, month):
                return False
            of_month = day.toordinal() - month.first + 1
            if rule.bymonthday and not {of_month, of_month - month.size - 1} & set(rule.bymonthday):
                return False
        if rule.byyearday:
            ordinals = _ordinals(scale.months(scale.year_of(day)))
            number = day.toordinal() - ordinals.start + 1
            if not {number, number - len(ordinals) - 1} & set(rule.byyearday):
                return False
        return not rule.byweekno or bool(_week_numbers(day, rule.wkst) & set(rule.byweekno))


def _week_numbers(day: dt.date, wkst: int) -> set[int]:
    """The number of the day's week, counted from both ends of the year. A week is in the year of its fourth day."""
    fourth = day.toordinal() - (day.weekday() - wkst) % 7 + 3
    if not 0 < fourth <= dt.date.max.toordinal():
        return set()
    middle = dt.date.fromordinal(fourth)
    yday, size = middle.timetuple().tm_yday, 366 if calendar.isleap(middle.year) else 365
    number = (yday - 1) // 7 + 1
    return {number, -((size - yday) // 7 + 1)}


def _parts_of_days(rule: Rule, start: dt.datetime, low: dt.datetime, high: dt.datetime) -> Iterator[list[dt.datetime]]:
    """The periods (hours, minutes or seconds) of an hourly to secondly rule, and an empty list after each day."""
    unit = SECONDS[rule.freq]
    step = unit * rule.interval
    origin = start.replace(minute=0 if unit == 3600 else start.minute, second=0 if unit > 1 else start.second)
    fits = _Limits(rule, with_days=True)
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
    """The stretches of a day, in seconds from midnight, that BYHOUR and (in a secondly rule) BYMINUTE leave."""
    if rule.freq == Freq.SECONDLY and rule.byminute:
        begins = [hour * 3600 + minute * 60 for hour in rule.byhour or range(24) for minute in rule.byminute]
        return [(begin, begin + 60) for begin in begins]
    if rule.byhour:
        return [(hour * 3600, hour * 3600 + 3600) for hour in rule.byhour]
    return [(0, 86_400)]


def is_long(rule: Rule, start: dt.datetime, until: dt.datetime, periods: int) -> bool:
    """Whether more than this many periods of the rule lie between two local times."""
    return (until - start).total_seconds() > periods * SECONDS[rule.freq] * rule.interval
