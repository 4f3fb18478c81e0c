"""Free-busy: the attributes that Radicale reads from parsed events, provided from stored occurrences.

Radicale's free-busy report reads times from `item.vobject_item`. Parsing an event takes milliseconds. Besides, vobject
takes all-day and floating times as UTC, and keeps time zones by name for the whole process. The stored occurrences are
exact, and need no parsing. So the objects here have just the attributes that Radicale reads
(`radicale.item.filter.visit_time_ranges`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from radicale.item import Item

from bridge.domain.ical import content
from bridge.domain.model import Interval


class BusyItem(Item):  # type: ignore[misc] # Radicale is not typed for others
    """An item that is known to match a time range. Beside its text, Radicale only asks for its times in that range."""

    def __init__(self, times: Callable[[], Iterable[Interval]], **facts: Any) -> None:
        super().__init__(**facts)
        self._times = times

    @property
    def vobject_item(self) -> BusyTimes:
        """Its times. Raises `ValueError` where they can't be computed, which Radicale answers with 400."""
        return BusyTimes(self._times())


class BusyTimes:
    """Has the attributes of a VCALENDAR whose VEVENTs are the given times, all but the first as overrides."""

    def __init__(self, times: Iterable[Interval]) -> None:
        self.vevent_list = [_event(number, time) for number, time in enumerate(times)]


def _event(number: int, time: Interval) -> SimpleNamespace:
    start, end = (
        SimpleNamespace(value=dt.datetime.fromtimestamp(instant, dt.UTC)) for instant in (time.start, time.end)
    )
    event = SimpleNamespace(dtstart=start, dtend=end, rruleset=None)
    if number:
        event.recurrence_id = start
    return event


def with_busy(answer: str, busy: Iterable[Interval]) -> bytes:
    """Radicale's empty answer to a free-busy query, with these times added."""
    lines = "".join(f"FREEBUSY;FBTYPE=BUSY:{content.utc(time.start)}/{content.utc(time.end)}\r\n" for time in busy)
    return answer.replace("END:VFREEBUSY", f"{lines}END:VFREEBUSY", 1).encode()
