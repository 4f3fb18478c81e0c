"""Rules made harmless: absurd ones coarsened, and ones that clients read differently found."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace

from bridge.domain.ical.recurrence import last
from bridge.domain.ical.rules import LISTS, SECONDS, Freq, Rule, Skip
from bridge.domain.ical.scales import GREGORIAN

#: A rule of up to so many occurrences is taken as it is, however dense.
_FEW = 5_000
#: More times a day than this are not even listed for a day.
_VAST = 1_440
#: More occurrences a day than this, on and on, are coarsened.
_DENSE = 24


def coarsened(rule: Rule, start: dt.datetime, until: dt.datetime | None) -> tuple[Rule, dt.datetime, int] | None:
    """A rule and start in place of ones too dense to list, and by how many seconds the event must be longer with them.

    None for a rule that is fine as it is. What the new ones cover includes all that the old ones do: every minute (or
    hour, or day) in which the old rule has an occurrence is taken from its first second to its last.
    """
    if _per_day(rule) <= _DENSE:
        return None
    if not is_vast(rule):
        end = last(rule, start, until)
        few = end is not None and _per_day(rule) * ((end - start).total_seconds() / 86_400 + 1) <= _FEW
        if few or (rule.count or _FEW + 1) <= _FEW:
            return None
    hours = rule.byhour or (range(24) if rule.freq >= Freq.HOURLY else (start.hour,))
    minutes = rule.byminute or (range(60) if rule.freq >= Freq.MINUTELY else (start.minute,))
    if len(hours) * len(minutes) < _DENSE:
        longer, byhour, byminute = 60, tuple(hours), tuple(minutes)
    elif len(hours) < _DENSE:
        longer, byhour, byminute = 3600, tuple(hours), (0,)
    else:
        longer, byhour, byminute = 86_400, (0,), (0,)
    daily = replace(
        rule,
        freq=min(rule.freq, Freq.DAILY),
        interval=rule.interval if rule.freq <= Freq.DAILY else 1,
        count=None,
        until=None,
        byhour=byhour,
        byminute=byminute,
        bysecond=(0,),
        bysetpos=(),
    )
    floor = dt.datetime.combine(start.date(), dt.time())
    return daily, start - (start - floor) % dt.timedelta(seconds=longer), longer


def is_vast(rule: Rule) -> bool:
    """Whether a single period of the rule may be too much to hold."""
    return rule.freq <= Freq.DAILY and _per_day(rule) > _VAST


def _per_day(rule: Rule) -> int:
    """No more than so many occurrences fall on one day."""
    if rule.freq <= Freq.DAILY:
        return max(1, len(rule.byhour)) * max(1, len(rule.byminute)) * max(1, len(rule.bysecond))
    periods = math.ceil(86_400 / (SECONDS[rule.freq] * rule.interval))
    chosen = (len(rule.byhour) or 24) * (len(rule.byminute) or (60 if rule.freq > Freq.HOURLY else 1))
    if rule.freq == Freq.HOURLY:
        return min(periods * (len(rule.byminute) or 1), chosen) * (len(rule.bysecond) or 1)
    if rule.freq == Freq.MINUTELY:
        return min(periods, chosen) * (len(rule.bysecond) or 1)
    return min(periods, chosen * (len(rule.bysecond) or 60))


def plain(rule: Rule, start: dt.datetime) -> Rule | None:
    """The rule as every client expands it alike, or None for one that they don't.

    Where it goes wrong was measured with ical.js 2 (Thunderbird): lists of hours come out of order and are miscounted,
    a month as a limit of a monthly rule, days that some months lack, numbered weekdays of a year and week numbers give
    other days, a daily rule with days from the month's end never returns, a weekly one with days of the month is an
    error for the whole object. Other calendars and SKIP (RFC 7529) hardly any client knows.
    """
    if rule.scale != GREGORIAN or (
        rule.skip != Skip.OMIT and any(abs(d) > 28 for d in rule.bymonthday or (start.day,))
    ):
        return None
    rule = replace(
        rule,
        skip=Skip.OMIT,
        byhour=() if rule.byhour == (start.hour,) else rule.byhour,
        byminute=() if rule.byminute == (start.minute,) else rule.byminute,
        bysecond=() if rule.bysecond == (start.second,) else rule.bysecond,
    )
    parts = {name for name in (*LISTS, "byday") if getattr(rule, name)}
    numbered = any(ordinal for ordinal, _ in rule.byday)
    match rule.freq:
        case Freq.YEARLY:
            short = all(0 < day <= 28 for day in rule.bymonthday) or rule.bymonthday == (start.day,)
            fits = (
                parts <= {"bymonth"}
                or parts == {"byyearday"}
                or (parts == {"byday"} and not numbered)
                or parts == {"bymonth", "byday"}
                or (parts == {"bymonth", "byday", "bysetpos"} and len(rule.bymonth) == 1 and not numbered)
                or (parts == {"bymonth", "bymonthday"} and short)
            )
        case Freq.MONTHLY:
            fits = parts in (set(), {"bymonthday"}, {"byday"}) or (parts == {"byday", "bysetpos"} and not numbered)
        case Freq.WEEKLY:
            fits = parts <= {"byday", "bymonth"}
        case Freq.DAILY:
            fits = parts <= {"byday", "bymonth", "bymonthday"} and all(day > 0 for day in rule.bymonthday)
        case _:
            fits = not parts
    return rule if fits else None
