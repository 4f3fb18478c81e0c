"""What Radicale's free-busy asks of a parsed event, answered from occurrences.

Its free-busy report walks `item.vobject_item` for times. Parsing an event takes milliseconds, and vobject takes all-day
and floating times as UTC and keeps time zones by name for the whole process; the stored occurrences are exact and there
already. So they are dressed as the few attributes that are walked (`radicale.item.filter.visit_time_ranges`).
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
    """An item that is known to match a time range: what it is asked for beyond its text are its times in that range."""

    def __init__(self, times: Callable[[], Iterable[Interval]], **facts: Any) -> None:
        super().__init__(**facts)
        self._times = times

    @property
    def vobject_item(self) -> BusyTimes:
        """Its times. Raises `ValueError` where they are not to be had, which Radicale answers with 400."""
        return BusyTimes(self._times())


class BusyTimes:
    """Looks like a VCALENDAR whose VEVENTs are the given times, the second and later ones as overrides."""

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
    """Radicale's answer to a free-busy-query, in which there was nothing, with these times."""
    lines = "".join(f"FREEBUSY;FBTYPE=BUSY:{content.utc(time.start)}/{content.utc(time.end)}\r\n" for time in busy)
    return answer.replace("END:VFREEBUSY", f"{lines}END:VFREEBUSY", 1).encode()
