"""What Radicale's free-busy asks of a parsed event, answered from occurrences.

Its free-busy report walks `item.vobject_item` for times. Parsing an event takes milliseconds, and vobject takes all-day
and floating times as UTC and keeps time zones by name for the whole process; the stored occurrences are exact and there
already. So they are dressed as the few attributes that are walked (`radicale.item.filter.visit_time_ranges`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from types import SimpleNamespace

from bridge.domain.model import Occurrence


class BusyTimes:
    """Looks like a VCALENDAR whose VEVENTs are the given occurrences, the second and later ones as overrides."""

    def __init__(self, occurrences: Iterable[Occurrence]) -> None:
        self.vevent_list = [_event(number, occurrence) for number, occurrence in enumerate(occurrences)]


def _event(number: int, occurrence: Occurrence) -> SimpleNamespace:
    start, end = (
        SimpleNamespace(value=dt.datetime.fromtimestamp(instant, dt.UTC))
        for instant in (occurrence.start, occurrence.end)
    )
    event = SimpleNamespace(dtstart=start, dtend=end, rruleset=None)
    if number:
        event.recurrence_id = start
    return event
