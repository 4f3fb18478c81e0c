"""Series that are given other times, ended or split: what was done to single times of them goes along."""

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain import ical
from bridge.domain.model import Interval
from tests.domain.test_ical_appointments import FIELDS, NOW, booked
from tests.ical_samples import BERLIN, at

DAY = 86_400
#: Each Monday and Wednesday at ten.
SERIES = replace(FIELDS, rrule="RRULE:FREQ=WEEKLY;COUNT=6;BYDAY=MO,WE")
SPAN = Interval(at("2027-01-01"), at("2028-01-01"))


def times(fields, upstream=None):
    """When the series is, as `MM-DD hh:mm` in Berlin."""
    found = ical.instances(booked(fields), SPAN, time_zone=BERLIN, upstream=upstream)
    return [said(one.start) for _, one in found]


def said(instant):
    return dt.datetime.fromtimestamp(instant, dt.UTC).astimezone(ZONE).strftime("%m-%d %H:%M")


ZONE = ZoneInfo(BERLIN)


def without(fields, *whens):
    for when in whens:
        fields = replace(fields, rrule=ical.leave_out(fields, key(when)))
    return fields


def key(when):
    return at(f"2027-{when}")


# --- Its fields ----------------------------------------------------------------------------------------------------


def test_the_rest_of_a_series():
    fields = without(SERIES, "03-03 10:00", "03-15 10:00")
    assert times(fields) == ["03-01 10:00", "03-08 10:00", "03-10 10:00", "03-17 10:00"]
    rest = ical.rest_from(fields, key("03-10 10:00"))
    assert times(rest) == ["03-10 10:00", "03-17 10:00"]
    assert rest.rrule == "RRULE:FREQ=WEEKLY;COUNT=3;BYDAY=MO,WE\nEXDATE:20270315T090000Z"
    before = replace(fields, rrule=ical.end_before(fields, key("03-10 10:00")))
    assert times(before) == ["03-01 10:00", "03-08 10:00"]


@pytest.mark.parametrize("strange", ["03-10 11:00", "03-09 10:00", "04-10 10:00"])
def test_there_is_no_rest_from_what_is_none_of_its_times(strange):
    assert ical.rest_from(SERIES, key(strange)) is None


def test_a_series_is_not_split_where_the_clocks_skip_its_time():
    fields = replace(FIELDS, start=key("03-27 02:30"), end=key("03-27 03:00"), rrule="RRULE:FREQ=DAILY;COUNT=5")
    (_, skipped, *_) = ical.instances(booked(fields), SPAN, time_zone=BERLIN, upstream=None)
    assert said(skipped[0]) == "03-28 03:30"
    assert ical.rest_from(fields, skipped[0]) is None
    assert times(ical.rest_from(fields, key("03-29 02:30"))) == ["03-29 02:30", "03-30 02:30", "03-31 02:30"]


RULES = st.sampled_from(
    [
        "FREQ=DAILY;COUNT=9",
        "FREQ=DAILY;INTERVAL=3;UNTIL=20270601T080000Z",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,SU;COUNT=12",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU;COUNT=12",
        "FREQ=WEEKLY",
        "FREQ=MONTHLY;BYDAY=1MO;COUNT=7",
        "FREQ=MONTHLY;BYMONTHDAY=1,-1",
        "FREQ=MONTHLY;INTERVAL=2;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1",
        "FREQ=YEARLY;BYMONTH=3,9;BYDAY=1MO;COUNT=4",
    ]
)


@given(RULES, st.integers(0, 30), st.sets(st.integers(0, 30), max_size=4))
def test_the_two_parts_of_a_series_are_the_series(rule, where, without):
    whole = replace(FIELDS, rrule=f"RRULE:{rule}")
    keys = [k for k, _ in ical.instances(booked(whole), SPAN, time_zone=BERLIN, upstream=None)]
    for number in sorted(without):
        if number < len(keys):
            whole = replace(whole, rrule=ical.leave_out(whole, keys[number]))
    left = times(whole)
    keys = [k for k, _ in ical.instances(booked(whole), SPAN, time_zone=BERLIN, upstream=None)]
    if not keys:
        return
    split = keys[where % len(keys)]
    rest = ical.rest_from(whole, split)
    assert rest is not None
    first = [] if split <= whole.start else times(replace(whole, rrule=ical.end_before(whole, split)))
    assert [*first, *times(rest)] == left


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        # an hour later
        ({"start": key("03-01 11:00")}, ["03-01 11:00", "03-08 11:00", "03-10 11:00", "03-15 11:00", "03-17 11:00"]),
        # to Tuesdays and Thursdays
        ({"start": key("03-02 10:00")}, ["03-02 10:00", "03-09 10:00", "03-11 10:00", "03-16 10:00", "03-18 10:00"]),
        # it just begins a week later: what is left out is of a time that there is no longer
        (
            {"start": key("03-08 10:00")},
            ["03-08 10:00", "03-10 10:00", "03-15 10:00", "03-17 10:00", "03-22 10:00", "03-24 10:00"],
        ),
        # earlier, and it is still that Wednesday
        (
            {"start": key("02-24 10:00")},
            ["02-24 10:00", "03-01 10:00", "03-08 10:00", "03-10 10:00", "03-15 10:00"],
        ),
        # the same hour of New York
        (
            {"time_zone": "America/New_York", "start": key("03-01 16:00")},
            ["03-01 16:00", "03-08 16:00", "03-10 16:00", "03-15 15:00", "03-17 15:00"],
        ),
    ],
)
def test_what_was_left_out_stays_left_out_where_the_series_moves(change, moved):
    before = without(SERIES, "03-03 10:00")
    start = change["start"]
    after = ical.moved_along(before, replace(before, **change, end=start + 1800), ())
    assert times(after) == moved


def test_its_last_time_goes_along():
    before = replace(FIELDS, rrule="RRULE:FREQ=WEEKLY;UNTIL=20270315T090000Z")
    after = ical.moved_along(before, replace(before, start=key("03-02 12:00"), end=key("03-02 12:30")), ())
    assert times(after) == ["03-02 12:00", "03-09 12:00", "03-16 12:00"]
    later = ical.moved_along(before, replace(before, start=key("03-08 10:00"), end=key("03-08 10:30")), ())
    assert times(later) == ["03-08 10:00", "03-15 10:00"], "it just begins later"


def test_days():
    before = replace(
        FIELDS, all_day=True, start=at("2027-03-01"), end=at("2027-03-02"), rrule="RRULE:FREQ=DAILY;UNTIL=20270304"
    )
    before = without(before, "03-02")
    timed = replace(before, all_day=False, start=key("03-01 09:00"), end=key("03-01 10:00"))
    after = ical.moved_along(before, timed, ())
    assert times(after) == ["03-01 09:00", "03-03 09:00", "03-04 09:00"]
    back = ical.moved_along(after, replace(after, all_day=True, start=before.start, end=before.end), ())
    assert times(back) == ["03-01 00:00", "03-03 00:00", "03-04 00:00"]


def test_a_rule_that_does_not_fit_its_new_start_is_refused():
    before = replace(FIELDS, rrule="RRULE:FREQ=MONTHLY;BYDAY=1MO")
    assert ical.moved_along(before, replace(before, start=key("03-02 10:00")), ()) is None
    assert ical.moved_along(before, replace(before, start=key("04-05 10:00")), ()) is not None
    odd = replace(FIELDS, start=key("03-02 10:00"), rrule="RRULE:FREQ=MONTHLY;BYDAY=1MO")
    assert ical.moved_along(odd, replace(odd, start=key("03-03 10:00")), ()) is not None, "nor did it before"


def test_a_new_rule_leaves_out_what_goes_on_by_itself_and_nothing_else():
    before = without(SERIES, "03-03 10:00", "03-08 10:00")
    after = ical.moved_along(before, replace(before, rrule="RRULE:FREQ=WEEKLY;COUNT=2"), [key("03-08 10:00")])
    assert times(after) == ["03-01 10:00"]


def test_what_does_not_move_is_not_written_again():
    before = replace(SERIES, rrule=SERIES.rrule + "\nEXDATE:20270303T100000")
    after = replace(before, end=before.end + 60)
    assert ical.moved_along(before, after, ()) is after


# --- Its event upstream --------------------------------------------------------------------------------------------


def override(when, *, start=None, more=""):
    stamp = key(when)
    start = start or when
    begin, end = (
        dt.datetime.fromtimestamp(at, dt.UTC).astimezone(ZONE).strftime("%Y%m%dT%H%M%S")
        for at in (key(start), key(start) + 1800)
    )
    named = dt.datetime.fromtimestamp(stamp, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    return (
        f"BEGIN:VEVENT\r\nUID:apt_1@bridge.local\r\nRECURRENCE-ID:{named}\r\nDTSTART;TZID={BERLIN}:{begin}\r\n"
        f"DTEND;TZID={BERLIN}:{end}\r\n{more}SUMMARY:By hand {when}\r\nEND:VEVENT\r\n"
    )


def event(*overrides, fields=SERIES):
    text = ical.upstream_event(booked(fields), now=NOW, onto=None)
    return text.replace("END:VCALENDAR", "".join(overrides) + "END:VCALENDAR")


def rewritten(fields, onto):
    return ical.upstream_event(booked(fields), now=NOW, onto=onto)


ALL = event(override("03-03 10:00"), override("03-10 10:00", start="03-11 15:00"), override("03-15 10:00"))


def test_a_series_that_ends_earlier_takes_its_changed_times_along():
    ended = replace(SERIES, rrule=ical.end_before(SERIES, key("03-10 10:00")))
    text = rewritten(ended, ALL)
    assert "By hand 03-03" in text and "By hand 03-10" not in text and "By hand 03-15" not in text
    assert times(ended, text) == ["03-01 10:00", "03-03 10:00", "03-08 10:00"]


def test_a_series_that_moves_takes_its_changed_times_along():
    moved = ical.moved_along(SERIES, replace(SERIES, start=key("03-01 11:00"), end=key("03-01 11:30")), ())
    text = rewritten(moved, ALL)
    assert times(moved, text) == [
        "03-01 11:00",
        "03-03 11:00",
        "03-08 11:00",
        "03-11 15:00",
        "03-15 11:00",
        "03-17 11:00",
    ]
    assert text.count("By hand") == 3
    assert rewritten(moved, text) == text


def test_a_series_that_becomes_one_event_has_no_changed_times():
    text = rewritten(replace(SERIES, rrule=None), ALL)
    assert "RECURRENCE-ID" not in text and text.count("BEGIN:VEVENT") == 1


def test_other_changes_leave_them_byte_for_byte():
    text = rewritten(replace(SERIES, title="Other"), ALL)
    assert text[text.index("RECURRENCE-ID") :] == ALL[ALL.index("RECURRENCE-ID") :]
    left_out = without(SERIES, "03-17 10:00")
    text = rewritten(left_out, ALL)
    assert text[text.index("RECURRENCE-ID") :] == ALL[ALL.index("RECURRENCE-ID") :]


def test_the_rest_of_an_event_has_the_changed_times_that_are_left():
    onto = ALL.replace("END:VEVENT", "BEGIN:VALARM\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\nEND:VEVENT", 1)
    rest = ical.rest_from(SERIES, key("03-10 10:00"))
    text = ical.rest_of_event(booked(SERIES), key("03-10 10:00"), onto)
    assert "TRIGGER:-PT5M" in text
    assert "By hand 03-03" not in text and "By hand 03-10" in text and "By hand 03-15" in text
    assert times(rest, text) == ["03-11 15:00", "03-15 10:00", "03-17 10:00"]
    later = ical.moved_along(rest, replace(rest, start=key("03-10 12:00"), end=key("03-10 12:30")), ())
    assert times(later, rewritten(later, text)) == ["03-11 15:00", "03-15 12:00", "03-17 12:00"]
