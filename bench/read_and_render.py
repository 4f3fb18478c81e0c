"""Reading and rendering of events, against what parsing them with `icalendar` alone takes. Run by hand.

    python bench/read_and_render.py [events]

A tenth of the events recur, as in the calendars that the other benchmarks use.
"""

from __future__ import annotations

import random
import sys
import time

import icalendar
import recurring_ical_events

from bridge.domain import ical
from bridge.domain.model import Interval, SlotSettings

DAY = 86_400
NOW = 1_800_000_000
HORIZON = Interval(NOW - 400 * DAY, NOW + 800 * DAY)
ZONE = """BEGIN:VTIMEZONE\r
TZID:Europe/Berlin\r
BEGIN:DAYLIGHT\r
DTSTART:19810329T020000\r
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r
TZNAME:GMT+2\r
TZOFFSETFROM:+0100\r
TZOFFSETTO:+0200\r
END:DAYLIGHT\r
BEGIN:STANDARD\r
DTSTART:19961027T030000\r
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r
TZNAME:GMT+1\r
TZOFFSETFROM:+0200\r
TZOFFSETTO:+0100\r
END:STANDARD\r
END:VTIMEZONE\r
"""
RULES = [
    "FREQ=WEEKLY;BYDAY=MO,TH",
    "FREQ=DAILY;COUNT=20",
    "FREQ=MONTHLY;BYDAY=2TU",
    "FREQ=YEARLY",
    "FREQ=WEEKLY;INTERVAL=2",
]


def sample(number: int, chance: random.Random) -> str:
    """An ordinary event as a phone writes it."""
    month, day, hour = chance.randint(1, 12), chance.randint(1, 28), chance.randint(7, 18)
    start = f"{chance.randint(2026, 2028)}{month:02}{day:02}T{hour:02}"
    rule = f"RRULE:{chance.choice(RULES)}\r\n" if number % 10 == 0 else ""
    return (
        f"BEGIN:VCALENDAR\r\nCALSCALE:GREGORIAN\r\nPRODID:-//Apple Inc.//iOS 18.5//EN\r\nVERSION:2.0\r\n{ZONE}"
        f"BEGIN:VEVENT\r\nCREATED:20260101T100000Z\r\nUID:{number:08}-4A1B-43F0-9C11-3F5D3C0E1B5A\r\n"
        f"DTEND;TZID=Europe/Berlin:{start}4500\r\nTRANSP:OPAQUE\r\nX-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC\r\n"
        f"SUMMARY:Meeting number {number}\\, with people\r\nLAST-MODIFIED:20260101T100000Z\r\n"
        "DTSTAMP:20260101T100000Z\r\n"
        f"DTSTART;TZID=Europe/Berlin:{start}0000\r\nLOCATION:Some street {number}\\nSome town\r\nSEQUENCE:1\r\n{rule}"
        "DESCRIPTION:A few words about it\\, over more than one line of text so th\r\n at it has to be fold"
        "ed at least once\r\n"
        "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Reminder\r\nTRIGGER:-PT15M\r\nUID:A\r\nX-WR-ALARMUID:A\r\n"
        "END:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def ours(text: str) -> None:
    """What the mirror does with an object: its UID, and its blocked slot."""
    ical.identify(text)
    ical.blocked_slot(
        text,
        uid="slot",
        settings=SlotSettings(),
        time_zone="Europe/Berlin",
        addresses=frozenset({"ada@example.com"}),
        horizon=HORIZON,
    )


def parse(text: str) -> None:
    """The peer's parsing alone."""
    icalendar.Calendar.from_ical(text)


def parse_and_expand(text: str) -> None:
    """The peer's parsing, and the expansion that would come on top."""
    recurring_ical_events.of(icalendar.Calendar.from_ical(text)).between((2026, 1, 1), (2029, 1, 1))


def main() -> None:
    """Time all on the same events, in turns."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    chance = random.Random(1)
    events = [sample(number, chance) for number in range(count)]
    plain = [text for text in events if "\r\nRRULE:" not in text.partition("BEGIN:VEVENT")[2]]
    seconds = {}
    for name, work, texts in (
        ("icalendar.from_ical", parse, events),
        ("ours: identify and blocked_slot", ours, events),
        ("icalendar and recurring_ical_events", parse_and_expand, events[: max(count // 10, 1)]),
        (
            "ours, events that do not recur",
            ours,
            plain,
        ),
    ):
        begin = time.perf_counter()
        for text in texts:
            work(text)
        seconds[name] = (time.perf_counter() - begin) / len(texts)
        share = seconds[name] / seconds["icalendar.from_ical"]
        print(f"{name:40} {seconds[name] * 1e6:9.1f} µs an event, {share:.2f} of parsing")


if __name__ == "__main__":
    main()
