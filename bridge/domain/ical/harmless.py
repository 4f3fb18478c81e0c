"""Making rules harmless: those that are too dense to list, and those that clients expand in different ways."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace

from bridge.domain.ical.recurrence import last
from bridge.domain.ical.rules import LISTS, SECONDS, Freq, Rule, Skip
from bridge.domain.ical.scales import GREGORIAN

#: A rule with no more occurrences than this is taken as it is, however dense.
_FEW = 5_000
#: A rule with more occurrences a day than this is not even listed for one period.
_VAST = 1_440
#: A rule with more occurrences a day than this is coarsened, unless it has few altogether.
_DENSE = 24


def coarsened(rule: Rule, start: dt.datetime, until: dt.datetime | None) -> tuple[Rule, dt.datetime, int] | None:
    """A rule and start to use instead of ones that are too dense to list, and the seconds to add to the event's length.

    None for a rule that is fine as it is. The new ones cover all of the time that the old ones do: every minute (or
    hour, or day) in which the old rule has an occurrence is covered from its first second to its last.
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
    """Whether even one period of the rule may have too many occurrences to hold in memory."""
    return rule.freq <= Freq.DAILY and _per_day(rule) > _VAST


def _per_day(rule: Rule) -> int:
    """An upper bound for the occurrences on one day."""
    if rule.freq <= Freq.DAILY:
        return max(1, len(rule.byhour)) * max(1, len(rule.byminute)) * max(1, len(rule.bysecond))
    periods = math.ceil(86_400 / (SECONDS[rule.freq] * rule.interval))
    chosen = (len(rule.byhour) or 24) * (len(rule.byminute) or (60 if rule.freq > Freq.HOURLY else 1))
    if rule.freq == Freq.HOURLY:
        return min(periods * (len(rule.byminute) or 1), chosen) * (len(rule.bysecond) or 1)
    if rule.freq == Freq.MINUTELY:
        return min(periods, chosen) * (len(rule.bysecond) or 1)
    return min(periods, chosen * (len(rule.bysecond) or 60))


def portable(rule: Rule, start: dt.datetime) -> Rule | None:
    """The rule in a form that every client expands in the same way; None where there is no such form.

    What goes wrong was measured with ical.js 2 (Thunderbird). It puts lists of hours out of order and miscounts them.
    It yields other days for BYMONTH in a monthly rule, days that some months lack, numbered weekdays of a year, and
    week numbers. A daily rule with days counted from the end of the month never returns. A weekly rule with BYMONTHDAY
    is an error for the whole object. And hardly any client knows RSCALE and SKIP (RFC 7529).
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
