"""The rules by which a booking calendar can be booked. Pure. Lengths without a `Unit` are seconds."""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo


class Unit(StrEnum):
    """A unit of time, under HighLevel's name."""

    MINS = "mins"
    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"


_SECONDS = {Unit.MINS: 60, Unit.HOURS: 3600, Unit.DAYS: 86_400, Unit.WEEKS: 604_800}


@dataclass(frozen=True, slots=True)
class Ahead:
    """An instant given relative to now. Months lead to the same day of the month, or to its last day."""

    count: int
    unit: Unit

    def after(self, now: int, time_zone: str) -> int:
        """The instant that is so far ahead of `now`. Months are counted in this time zone."""
        if self.unit != Unit.MONTHS:
            return now + self.count * _SECONDS[self.unit]
        local = dt.datetime.fromtimestamp(now, ZoneInfo(time_zone))
        year, month = divmod(local.year * 12 + local.month - 1 + self.count, 12)
        day = min(local.day, calendar.monthrange(year, month + 1)[1])
        return int(local.replace(year=year, month=month + 1, day=day).timestamp())


@dataclass(frozen=True, slots=True)
class SlotRules:
    """The rules of a booking calendar."""

    duration: int = 1800
    interval: int = 1800
    #: Seconds that have to be free before and after a booking.
    before: int = 0
    after: int = 0
    #: The earliest and the latest start that can be booked; None: no limit.
    notice: Ahead | None = None
    horizon: Ahead | None = None
    #: How many appointments of the calendar one User can have at the same time, and on one day; None: no limit.
    per_slot: int = 1
    per_day: int | None = None
