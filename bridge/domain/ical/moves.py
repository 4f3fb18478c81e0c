"""A series that is given other times: where each of its single times goes, and its rule with them.

Single times are told apart by their keys, when each was to begin. A series that begins an hour later has other keys,
and whatever EXDATE or RECURRENCE-ID say of one of its times would be said of nothing.
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
    """From the times that a series had to those that it has."""

    before: Pattern
    after: Pattern

    def key(self, key: int) -> int | None:
        """The key that one of its times has now; None where there is no such time any more."""
        was, now = self.before.start, self.after.start
        day = at(key, was).local.date()
        # It may just begin at another of its days, and those that both have are what they were.
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
    """The rule of a series whose start moved: weekdays of a weekly one turn with it, and its last time moves, too."""
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
    """Whether the rule yields the start."""
    return _yields(rule, start, start.local.date())


def _yields(rule: Rule, start: Moment, day: dt.date) -> bool:
    there = dt.datetime.combine(day, start.local.time())
    found = recurrence.starts(replace(rule, count=None), start.local, there, there, until_of(rule, start))
    return next(found, None) is not None


def _of_day(moment: Moment) -> dt.timedelta:
    return dt.timedelta(hours=moment.local.hour, minutes=moment.local.minute, seconds=moment.local.second)
