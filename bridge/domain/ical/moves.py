"""Moving a series: what becomes of its single times and of its rule when its start or rule changes.

A single time is identified by its key: the instant at which it begins by the rule. When a series starts an hour later,
all of its keys change, and EXDATE and RECURRENCE-ID have to change with them, or they would refer to nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from bridge.domain.ical import recurrence
from bridge.domain.ical.events import Moment, until_of
from bridge.domain.ical.rendering import at, until_value
from bridge.domain.ical.rules import Freq, Rule
from bridge.domain.ical.series import Pattern


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a series, given by its patterns before and after."""

    before: Pattern
    after: Pattern

    def key(self, key: int) -> int | None:
        """The key after the change of the time that had `key` before; None where the series no longer has that time."""
        was, now = self.before.start, self.after.start
        day = at(key, was).local.date()
        # Only the first day may have changed to another day of the same series. Days that both have keep their times.
        if self.before.has(_on(was, now.local.date())) or self.after.has(_on(now, was.local.date())):
            if self.after.has(key):
                return key
        else:
            day += now.local.date() - was.local.date()
        there = _on(now, day)
        return there if self.after.has(there) else None


def _on(start: Moment, day: dt.date) -> int:
    return start._replace(local=dt.datetime.combine(day, start.local.time())).instant


def along(rule: Rule, was: Moment, now: Moment) -> Rule:
    """The rule of a series whose start moved: the weekdays of a weekly rule move with it, and so does UNTIL."""
    turn, clock = 0, _of_day(now) - _of_day(was)
    if not (_yields(rule, was, now.local.date()) or _yields(rule, now, was.local.date())):
        turn = (now.local.date() - was.local.date()).days
    if turn and rule.freq == Freq.WEEKLY:
        byday = ((ordinal, (day + turn) % 7) for ordinal, day in rule.byday)
        rule = replace(rule, byday=tuple(sorted(byday, key=lambda chosen: (chosen[1], chosen[0]))))
    until = until_of(rule, was)
    if until is None or (not turn and not clock and (was.zone, was.is_date) == (now.zone, now.is_date)):
        return rule
    return replace(rule, until=until_value(until + clock + dt.timedelta(days=turn), now))


def fits(rule: Rule, start: Moment) -> bool:
    """Whether the rule yields the start of the series."""
    return _yields(rule, start, start.local.date())


def _yields(rule: Rule, start: Moment, day: dt.date) -> bool:
    there = dt.datetime.combine(day, start.local.time())
    found = recurrence.starts(replace(rule, count=None), start.local, there, there, until_of(rule, start))
    return next(found, None) is not None


def _of_day(moment: Moment) -> dt.timedelta:
    return dt.timedelta(hours=moment.local.hour, minutes=moment.local.minute, seconds=moment.local.second)
