"""Where events stand in a day, and how dates are written. Pure."""

from __future__ import annotations

import datetime as dt
import plistlib

import pytest

from bridge.domain.model import ItemKind
from bridge.service.agenda import Agenda, Entry
from bridge.web.pages import layout
from bridge.web.pages.conventions import conventions
from bridge.web.pages.mobileconfig import profile

BERLIN = conventions("de-DE", "Europe/Berlin")
DAY = dt.date(2027, 3, 10)


def at(hour, minute=0, day=DAY):
    return int(dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=BERLIN.zone).timestamp())


def entry(start, end, *, all_day=False, href="x.ics"):
    return Entry(start, end, all_day, "Busy", ItemKind.ICLOUD, href, None)


def days(number, *entries):
    """Bars of so many days from the tenth of March, by their item's name."""
    dates = [DAY + dt.timedelta(day) for day in range(number)]
    agenda = Agenda(sorted(entries, key=lambda e: e.start), ())
    return [{one.entry.href: one for one in day.all_day} for day in layout.days_of(agenda, dates, BERLIN, most=4)]


def whole(first, last, href):
    """An all-day entry over days of March, the last one included."""
    begins, ends = (at(0, day=dt.date(2027, 3, day)) for day in (first, last + 1))
    return entry(begins, ends, all_day=True, href=href)


def blocks(*entries, day=DAY):
    return layout.day_of(Agenda(list(entries), ()), day, BERLIN, most=100).blocks


def test_an_event_stands_where_its_time_is():
    (block,) = blocks(entry(at(10), at(11, 30)))
    assert (block.at, block.quarters, block.lanes) == (40, 6, 1)


def test_times_between_the_quarters_are_covered_whole():
    (block,) = blocks(entry(at(10, 10), at(11, 5)))
    assert (block.at, block.quarters) == (40, 5)


@pytest.mark.parametrize("end", [at(10), at(10, 1)])
def test_even_the_shortest_event_can_be_seen(end):
    (block,) = blocks(entry(at(10), end))
    assert block.quarters == layout.LEAST


def test_an_event_at_the_very_end_of_the_day_stays_within_it():
    (block,) = blocks(entry(at(23, 55), at(23, 59)))
    assert block.at + block.quarters == 96


def test_an_event_over_midnight_is_on_both_days():
    night = entry(at(23), at(2, day=DAY + dt.timedelta(1)))
    (evening,), (morning,) = blocks(night), blocks(night, day=DAY + dt.timedelta(1))
    assert (evening.at, evening.quarters, evening.after, evening.before) == (92, 4, True, False)
    assert (morning.at, morning.quarters, morning.after, morning.before) == (0, 8, False, True)


def test_what_ends_at_midnight_is_not_on_the_next_day():
    assert blocks(entry(at(22), at(0, day=DAY + dt.timedelta(1))), day=DAY + dt.timedelta(1)) == ()


def test_what_takes_the_whole_day_stands_above_it():
    day = layout.day_of(
        Agenda([entry(at(0, day=dt.date(2027, 3, 8)), at(5, day=dt.date(2027, 3, 12)))], ()), DAY, BERLIN, most=9
    )
    assert (len(day.all_day), day.blocks) == (1, ())


def test_what_lasts_for_days_is_one_bar_in_the_same_row():
    found = days(7, whole(8, 11, "trip"), whole(11, 13, "fair"), whole(12, 12, "feast"), whole(13, 20, "leave"))
    assert [{href: one.row for href, one in day.items()} for day in found] == [
        {"trip": 0},
        {"trip": 0, "fair": 1},
        {"feast": 0, "fair": 1},
        {"leave": 0, "fair": 1},
        *[{"leave": 0}] * 3,
    ]
    assert [(day["fair"].joined, day["fair"].days) for day in found[1:4]] == [(False, 3), (True, 2), (True, 1)]
    assert [(day["trip"].number, day["trip"].of) for day in found[:2]] == [(3, 4), (4, 4)]
    assert [day["leave"].days for day in found[3:]] == [4, 3, 2, 1]


def test_a_bar_begins_anew_with_each_week_of_a_month():
    found = days(14, whole(8, 30, "leave"))
    assert [(day["leave"].joined, day["leave"].days) for day in found] == [
        *[(bool(day), 7 - day) for day in range(7)],
        *[(bool(day), 7 - day) for day in range(7)],
    ]


def test_the_keyboard_stops_where_a_bar_is_shown_first():
    assert [day["leave"].again for day in days(14, whole(8, 30, "leave"))] == [False, *[True] * 13]
    # On its first day, there is no room for the feast.
    found = days(5, *(whole(8, 12, f"trip{n}") for n in range(4)), whole(12, 14, "feast"))
    assert ["feast" in day for day in found] == [False, False, False, True, True]
    assert [day["feast"].again for day in found[3:]] == [False, True]


def test_a_timed_event_over_days_is_a_bar_between_its_first_and_its_last():
    found = days(4, entry(at(15), at(10, day=DAY + dt.timedelta(3)), href="ferry"))
    assert [list(day) for day in found] == [[], ["ferry"], ["ferry"], []]
    assert (found[1]["ferry"].of, found[1]["ferry"].days, found[2]["ferry"].joined) == (1, 2, True)


def test_events_that_overlap_stand_side_by_side_and_others_do_not_shrink():
    first, second, third, later = blocks(
        entry(at(9), at(11)), entry(at(9, 30), at(10)), entry(at(10), at(12)), entry(at(14), at(15))
    )
    assert [(b.lane, b.lanes) for b in (first, second, third)] == [(0, 2), (1, 2), (1, 2)]
    assert (later.lane, later.lanes) == (0, 1)


def test_of_more_than_fit_side_by_side_the_last_lane_says_how_many_are_left():
    several = [entry(at(9), at(10, minute)) for minute in range(0, 50, 10)]
    day = layout.day_of(Agenda([*several, entry(at(14), at(15))], ()), DAY, BERLIN, most=100, lanes=4)
    drawn = [block for block in day.blocks if not block.crowded]
    assert [(block.lane, block.lanes) for block in drawn] == [(0, 4), (1, 4), (2, 4), (0, 1)]
    (crowd,) = day.crowds
    assert (crowd.at, crowd.quarters, crowd.lanes, crowd.more) == (36, 5, 4, 2)
    assert len(day.entries) == 6  # where there is no grid, all are listed


def test_as_many_as_fit_side_by_side_are_all_drawn():
    day = layout.day_of(Agenda([entry(at(9), at(10))] * 4, ()), DAY, BERLIN, most=100, lanes=4)
    assert (day.crowds, [block.lane for block in day.blocks]) == ((), [0, 1, 2, 3])


@pytest.mark.parametrize("day", [dt.date(2027, 3, 28), dt.date(2027, 10, 31)])
def test_ten_o_clock_is_where_ten_o_clock_is_on_days_of_23_and_25_hours(day):
    (block,) = blocks(entry(at(10, day=day), at(11, day=day)), day=day)
    assert (block.at, block.quarters) == (40, 4)


def test_a_full_day_says_how_much_it_leaves_out():
    day = layout.day_of(Agenda([entry(at(9), at(10))] * 30, ()), DAY, BERLIN, most=24)
    assert (len(day.entries), day.more) == (24, 6)
    rest = layout.day_of(Agenda([entry(at(9), at(10))] * 30, ()), DAY, BERLIN, most=24, skip=24)
    assert (len(rest.entries), rest.more) == (6, 0)


def test_the_time_of_what_is_left_out_does_not_look_free():
    hourly = [entry(at(8 + hour), at(9 + hour), href=str(hour)) for hour in range(8)]
    day = layout.day_of(Agenda(hourly, ()), DAY, BERLIN, most=5, lanes=3)
    (crowd,) = day.crowds
    assert (crowd.at, crowd.quarters, crowd.more) == (13 * 4, 3 * 4, 3)
    # Where others have no room side by side at that time, it is one crowd with them.
    at_once = [entry(at(12), at(14), href=f"at once {number}") for number in range(4)]
    day = layout.day_of(Agenda(sorted([*hourly, *at_once], key=lambda e: e.start), ()), DAY, BERLIN, most=8, lanes=3)
    (crowd,) = day.crowds
    assert (crowd.at, crowd.at + crowd.quarters) == (12 * 4, 16 * 4)
    assert crowd.more + sum(not block.crowded for block in day.blocks) == 12


def test_hours_are_those_of_an_office_and_whatever_else_happens():
    def hours(*entries):
        return layout.hours([layout.day_of(Agenda(list(entries), ()), DAY, BERLIN, most=9)])

    assert hours() == range(8, 18)
    assert hours(entry(at(6, 30), at(7))) == range(6, 18)
    assert hours(entry(at(19), at(20, 15))) == range(8, 21)


def test_working_hours_are_cut_at_midnight():
    over_midnight = (at(20), at(3, day=DAY + dt.timedelta(1)))
    first = layout.day_of(Agenda([], (over_midnight,)), DAY, BERLIN, most=9)
    second = layout.day_of(Agenda([], (over_midnight,)), DAY + dt.timedelta(1), BERLIN, most=9)
    assert [(s.at, s.quarters) for s in first.working] == [(80, 16)]
    assert [(s.at, s.quarters) for s in second.working] == [(0, 12)]


@pytest.mark.parametrize(
    ("language", "time", "day", "first"),
    [
        ("de", "14:30", "Wed, 10 Mar", 0),
        ("de-CH,fr;q=0.5", "14:30", "Wed, 10 Mar", 0),
        ("en-US,en;q=0.9", "2:30 PM", "Wed, Mar 10", 6),
        ("en-GB", "14:30", "Wed 10 Mar", 0),
        ("ar-EG", "2:30 pm", "Wed, 10 Mar", 5),
        ("th", "14:30", "Wed, 10 Mar", 6),
        ("fr;q=0.1, en-US", "2:30 PM", "Wed, Mar 10", 6),
        ("", "14:30", "Wed, 10 Mar", 0),
        ("*", "14:30", "Wed, 10 Mar", 0),
        ("xx-YY, ;q=, en;q=x, \x00", "14:30", "Wed, 10 Mar", 0),
        ("x" * 100_000, "14:30", "Wed, 10 Mar", 0),
    ],
)
def test_dates_and_times_as_the_reader_writes_them(language, time, day, first):
    reads = conventions(language, "Europe/Berlin")
    assert (reads.time(at(14, 30)), reads.day(DAY), reads.first_week_day) == (time, day, first)


@pytest.mark.parametrize(
    ("language", "hours", "times"),
    [
        ("de", ["00:00", "08:00", "13:00"], "11:30 – 12:00"),
        ("en-US", ["12 AM", "8 AM", "1 PM"], "11:30 AM – 12:00 PM"),
    ],
)
def test_hours_and_spans_as_the_reader_writes_them(language, hours, times):
    reads = conventions(language, "Europe/Berlin")
    assert [reads.hour(hour) for hour in (0, 8, 13)] == hours
    assert reads.times(at(11, 30), at(12)) == times
    assert conventions("en-US", "Europe/Berlin").times(at(9), at(10)) == "9:00 – 10:00 AM"


def test_how_long_ago():
    assert BERLIN.ago(None, 0) == "never"
    assert BERLIN.ago(1000, 1030) == "just now"
    assert BERLIN.ago(1000, 1000 + 7200) == "2 hours ago"


def test_a_profile_for_a_server_behind_https_below_a_path():
    def made(password_id):
        return plistlib.loads(
            profile(
                address="https://dav.example.com/calendars/",
                user_id="ada",
                user_name="Ada & Co <x>",
                calendar_name="CRM calendar",
                password="p&<w",
                password_id=password_id,
            )
        )

    first, second = made("pwd_1"), made("pwd_2")
    (account,) = first["PayloadContent"]
    assert account["CalDAVPort"] == 443
    assert account["CalDAVUseSSL"] is True
    assert account["CalDAVPrincipalURL"] == "/calendars/ada/"
    assert account["CalDAVPassword"] == "p&<w"
    # The same identifier: a second one on the same device replaces the first.
    assert first["PayloadIdentifier"] == second["PayloadIdentifier"]
    assert first["PayloadUUID"] != second["PayloadUUID"]
