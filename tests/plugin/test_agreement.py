"""What is stored, what is computed, and what an expander of another make says of the upstream events agree."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events

from bridge.domain import ical
from bridge.domain import publish as decide
from bridge.domain.model import Interval

from .conftest import BERLIN, NOW, World, at, ics, override, utc

DAY = 86_400
NEW_YORK = "America/New_York"
LOCAL = f";TZID={BERLIN}:"
EVENTS = {
    "single": (LOCAL + "20270310T100000", LOCAL + "20270310T113000"),
    "utc": (":20270310T230000Z", ":20270311T003000Z"),
    "abroad": (f";TZID={NEW_YORK}:20270312T090000", f";TZID={NEW_YORK}:20270312T100000"),
    "floating": (":20270311T083000", ":20270311T091500"),
    "weekly": (LOCAL + "20260105T101500", LOCAL + "20260105T111500", "RRULE:FREQ=WEEKLY;BYDAY=MO,TH"),
    "abroad-weekly": (
        f";TZID={NEW_YORK}:20270301T170000",
        f";TZID={NEW_YORK}:20270301T180000",
        "RRULE:FREQ=WEEKLY;UNTIL=20270601T000000Z",
    ),
    "last-friday": (LOCAL + "20270129T160000", LOCAL + "20270129T170000", "RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=20"),
    "nightly": (LOCAL + "20270320T233000", LOCAL + "20270321T013000", "RRULE:FREQ=DAILY;COUNT=20"),
    "day": (";VALUE=DATE:20270313", ";VALUE=DATE:20270314"),
    "days": (";VALUE=DATE:20270220", ";VALUE=DATE:20270308"),
    "yearly-day": (";VALUE=DATE:20200315", ";VALUE=DATE:20200316", "RRULE:FREQ=YEARLY"),
    "every-other-day": (";VALUE=DATE:20270325", ";VALUE=DATE:20270326", "RRULE:FREQ=DAILY;INTERVAL=2;COUNT=8"),
    "listed": (LOCAL + "20270301T120000", LOCAL + "20270301T123000", f"RDATE{LOCAL}20270303T120000,20270307T140000"),
    "holes": (
        LOCAL + "20270302T090000",
        LOCAL + "20270302T093000",
        "RRULE:FREQ=DAILY;COUNT=30",
        f"EXDATE{LOCAL}20270310T090000",
        f"EXDATE{LOCAL}20270328T090000,20270329T090000",
    ),
}


def text_of(uid: str) -> str:
    start, end, *more = EVENTS[uid]
    extra = ""
    if uid == "weekly":
        extra = override(
            uid, LOCAL + "20270308T101500", LOCAL + "20270309T200000", LOCAL + "20270309T210000"
        ) + override(uid, LOCAL + "20270405T101500", LOCAL + "20270401T101500", LOCAL + "20270401T104500")
    return ics(uid, start, end, *more, extra=extra)


def upstream(uid: str, span: Interval) -> list[Interval]:
    """The occurrences of the upstream event that touch a span, by recurring_ical_events, in Berlin."""
    zone = ZoneInfo(BERLIN)

    def instant(value: dt.date) -> int:
        if not isinstance(value, dt.datetime):
            value = dt.datetime.combine(value, dt.time())
        return int((value if value.tzinfo else value.replace(tzinfo=zone)).timestamp())

    wide = [dt.datetime.fromtimestamp(edge, dt.UTC) for edge in (span.start - 2 * DAY, span.end + 2 * DAY)]
    found = (
        Interval(instant(event.start), instant(event.end))
        for event in recurring_ical_events.of(icalendar.Calendar.from_ical(text_of(uid))).between(*wide)
    )
    return sorted(one for one in found if one.start < span.end and one.end > span.start)


@pytest.fixture
def full(world: World) -> World:
    for uid in EVENTS:
        world.publish(uid, text_of(uid))
    return world


@pytest.mark.parametrize("uid", EVENTS)
def test_stored_and_computed_are_the_same(world: World, uid: str) -> None:
    """Past the horizon, and when it moves, occurrences are computed from the published text."""
    (item,) = world.rendered(uid, text_of(uid))
    span = item.expanded or Interval(at("2020-01-01T00:00"), at("2035-01-01T00:00"))
    assert tuple(ical.occurrences(item.ics, span, time_zone=BERLIN)) == item.occurrences
    # In pieces as well: nothing is lost or doubled at their edges, but for what lies across one.
    edges = [span.start, *range(at("2027-02-01T00:00"), at("2027-05-01T00:00"), 10 * DAY + 3601), span.end]
    pieces = [Interval(*edge) for edge in itertools.pairwise(edges)]
    whole = {one for piece in pieces for one in ical.occurrences(item.ics, piece, time_zone=BERLIN)}
    assert whole == set(item.occurrences)


def spans(count: int, seed: int, first: int, last: int) -> Iterator[Interval]:
    chance = random.Random(seed)
    for _ in range(count):
        start = chance.randrange(first, last) // 900 * 900
        yield Interval(start, start + chance.choice((900, 3600, DAY, 7 * DAY, 40 * DAY)))


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [
        (60, at("2027-02-15T00:00"), at("2027-05-01T00:00")),
        (15, decide.horizon(NOW).end - 30 * DAY, decide.horizon(NOW).end + 30 * DAY),
        (15, at("2031-01-01T00:00"), at("2036-01-01T00:00")),
    ],
    ids=["around now", "at the horizon", "far ahead"],
)
def test_requests_say_what_upstream_says(full: World, no_parsing: None, count: int, first: int, last: int) -> None:
    hrefs = {uid: full.rendered(uid, text_of(uid))[0].href for uid in EVENTS}
    for span in spans(count, 7, first, last):
        times = {uid: upstream(uid, span) for uid in EVENTS}
        asked = utc(span.start), utc(span.end)
        assert full.ada.within(*asked) == {hrefs[uid] for uid, found in times.items() if found}, asked
        assert full.ada.free_busy(*asked) == union([one for found in times.values() for one in found], span), asked


def union(times: list[Interval], span: Interval) -> list[tuple[str, str]]:
    """Cut to the span, overlapping and touching ones made one, as a free-busy answer spells them."""
    merged: list[Interval] = []
    for one in sorted(times):
        start, end = max(one.start, span.start), min(one.end, span.end)
        if merged and start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(end, merged[-1].end))
        elif end > start:
            merged.append(Interval(start, end))
    return [(utc(one.start), utc(one.end)) for one in merged]
