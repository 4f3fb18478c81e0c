"""The demo's sample week, on any day that somebody may start it."""

from __future__ import annotations

import datetime as dt
import json
import re
import zoneinfo

import icalendar
import pytest
import recurring_ical_events

from bridge.demo import announce, sample

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
#: Each day of the weeks in which clocks change on either side of the Atlantic, of a leap day, and of a new year.
STARTS = [dt.date(2027, 3, 8), dt.date(2027, 3, 22), dt.date(2027, 10, 25), dt.date(2028, 2, 28), dt.date(2026, 12, 28)]
DAYS = [start + dt.timedelta(days=day) for start in STARTS for day in range(7)]


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_what_the_demo_tells_people_to_book_is_free(day: dt.date) -> None:
    now = dt.datetime.combine(day, dt.time(23, 30), BERLIN)
    text = announce.text(_FACTS, "Europe/Berlin", now)
    booked = [json.loads(body) for body in re.findall(r"-d '(.*)'", text)]
    assert len(booked) == 2

    monday = day - dt.timedelta(days=day.weekday())
    private, work = sample.calendars(monday, "ada@icloud.example", "ada@work.example")
    read = [calendar for calendar in (*private, *work) if calendar.slug in {"home", "family", "work"}]
    for calendar in read:
        for ics in calendar.events.values():
            for body in booked:
                start, end = (
                    dt.datetime.fromisoformat(body[name]).replace(tzinfo=BERLIN) for name in ("startTime", "endTime")
                )
                assert start > now
                at_the_time = recurring_ical_events.of(icalendar.Calendar.from_ical(ics)).between(start, end)
                assert not at_the_time, (calendar.name, at_the_time)


def test_the_week_is_this_week() -> None:
    monday = dt.date(2027, 3, 22)
    private, work = sample.calendars(monday, "ada@icloud.example", "ada@work.example")
    end = monday + dt.timedelta(days=7)
    found = {
        str(one["SUMMARY"])
        for calendar in (*private, *work)
        for ics in calendar.events.values()
        for one in recurring_ical_events.of(icalendar.Calendar.from_ical(ics)).between(monday, end)
    }
    assert {"Dentist", "Gym", "Piano lesson (moved)", "Flight to New York", "Stand-up", "Budget review"} <= found


_FACTS = {
    **dict.fromkeys(
        ("caldav_url", "user", "password", "api_url", "api_token", "location_id", "calendar_id", "user_id"), "x"
    ),
    "settings_url": "http://127.0.0.1/",
    "upstream": [{"user": "ada", "password": "x", "primary": "http://127.0.0.1/ada/home/"}],
}
