"""Published objects: their lines, and what is known of them without reading them again."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.domain.ical import content
from bridge.domain.ical.events import Length, Moment
from bridge.domain.ical.zones import local, tzid_of
from bridge.domain.model import Interval, Occurrence


@dataclass(frozen=True, slots=True)
class Rendered:
    """A published object, and when it takes time."""

    ics: str
    etag: str
    #: The first instant covered, and the first instant after all of it (or somewhat later); None: it has no end.
    first_start: int
    last_end: int | None
    #: By start; what a client shows as two is two.
    occurrences: tuple[Occurrence, ...]
    #: The span for which the occurrences are complete; None: they are all of them.
    expanded: Interval | None
    #: The same for objects that take the same times.
    same_times: str


def rendered(
    ics: str, first_start: int, last_end: int | None, found: tuple[Occurrence, ...], expanded: Interval | None
) -> Rendered:
    """With what follows from the rest."""
    times = repr((first_start, last_end, [(o.start, o.end) for o in found]))
    return Rendered(ics, f'"{_digest(ics)}"', first_start, last_end, found, expanded, _digest(times))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def within(found: Iterable[Occurrence], span: Interval) -> tuple[Occurrence, ...]:
    """Those that take time within the span, by start, each once."""
    touching = {o for o in found if o.start < o.end and o.start < span.end and o.end > span.start}
    return tuple(sorted(touching, key=lambda o: (o.start, o.end, o.all_day)))


def value(moment: Moment) -> str:
    """What follows the name of a property that holds this moment."""
    if moment.is_date:
        return f";VALUE=DATE:{content.day(moment.local)}"
    tzid = tzid_of(moment.zone)
    if tzid is None:
        return f":{content.stamp(moment.local)}Z"
    return f";TZID={tzid}:{content.stamp(moment.local)}"


def values(moments: Sequence[Moment]) -> str:
    """The same for a list, all of one kind and zone."""
    head, _, first = value(moments[0]).partition(":")
    return f"{head}:{','.join([first, *(value(m).partition(':')[2] for m in moments[1:])])}"


def end_line(start: Moment, length: Length) -> str:
    """DTEND, or DURATION where the length has exact hours or reaches past the calendar's end."""
    try:
        if not length.exact:
            return f"DTEND{value(start._replace(local=start.local + length.wall))}"
    except OverflowError:
        pass
    days, seconds = length.wall.days, length.wall.seconds + length.exact
    return f"DURATION:P{days}DT{seconds}S" if days else f"DURATION:PT{seconds}S"


def until_value(until: dt.datetime | None, start: Moment) -> str | None:
    """UNTIL for a rule with this DTSTART: a date, or UTC (RFC 5545 3.3.10)."""
    if until is None:
        return None
    return content.day(until) if start.is_date else content.utc(start._replace(local=until).instant)


def at(key: int, start: Moment) -> Moment:
    """An instant as a value like DTSTART: of its kind, in its zone."""
    there = local(key, start.zone)
    return start._replace(local=there.replace(hour=0, minute=0, second=0) if start.is_date else there)
