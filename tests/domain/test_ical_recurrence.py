# ruff: noqa: DTZ001, DTZ007 - rules speak of wall clocks, which are naive
"""When series block: rules, exceptions, absurd rules; and against other implementations."""

import datetime as dt
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events
from dateutil.rrule import rrulestr
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bridge.domain import ical
from bridge.domain.ical import recurrence
from bridge.domain.ical.rules import parse
from bridge.domain.model import Interval, SlotSettings
from tests.ical_samples import BERLIN, HORIZON, at, blocked, calendar, event, sample, slot, titled

START = "DTSTART;TZID=Europe/Berlin:20270301T100000"
HOUR = "DTEND;TZID=Europe/Berlin:20270301T110000"


def series(rule, *more, start=START, end=HOUR):
    return blocked(calendar(event(start, end, f"RRULE:{rule}", *more)))


def days(rule, *more, **kwargs):
    """The days on which it blocks, of a series that is an hour from 10:00."""
    found = series(rule, *more, **kwargs)
    assert all(one.endswith("10:00 +60") for one in found)
    return [one[:10] for one in found]


# Each with DTSTART on Monday, 1 March 2027, 10:00 in Berlin.
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY;COUNT=3", "03-01 03-02 03-03"),
        ("FREQ=DAILY;INTERVAL=10;COUNT=3", "03-01 03-11 03-21"),
        ("FREQ=DAILY;BYDAY=MO,FR;COUNT=3", "03-01 03-05 03-08"),
        ("FREQ=WEEKLY;COUNT=3", "03-01 03-08 03-15"),
        ("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4", "03-01 03-03 03-08 03-10"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=MO;COUNT=4", "03-01 03-07 03-15 03-21"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU;COUNT=4", "03-01 03-14 03-15 03-28"),
        ("FREQ=MONTHLY;COUNT=3", "03-01 04-01 05-01"),
        ("FREQ=MONTHLY;BYDAY=1MO;COUNT=3", "03-01 04-05 05-03"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,-1;COUNT=4", "03-01 03-31 04-01 04-30"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-1;COUNT=4", "03-01 03-31 04-01 04-30"),
        ("FREQ=YEARLY;BYMONTH=3,4;BYMONTHDAY=1;COUNT=2", "03-01 04-01"),
        ("FREQ=YEARLY;BYYEARDAY=60,100;COUNT=2", "03-01 04-10"),
        ("FREQ=YEARLY;BYWEEKNO=9,11;COUNT=2", "03-01 03-15"),
        ("FREQ=YEARLY;BYWEEKNO=-44,-43;COUNT=2", "03-01 03-08"),
        ("FREQ=YEARLY;BYWEEKNO=-1;BYDAY=MO;COUNT=1", "03-01 12-27"),
        ("FREQ=YEARLY;BYDAY=9MO;COUNT=1", "03-01"),
        ("FREQ=DAILY;UNTIL=20270303", "03-01 03-02 03-03"),
        ("FREQ=DAILY;UNTIL=20270303T090000Z", "03-01 03-02 03-03"),
        ("FREQ=DAILY;UNTIL=20270303T085959Z", "03-01 03-02"),
        ("FREQ=DAILY;UNTIL=20270303T100000", "03-01 03-02 03-03"),
        ("FREQ=DAILY;UNTIL=20270305;COUNT=2", "03-01 03-02"),
        ("freq=daily;count=2;x-odd=1;byday=mo,tu,", "03-01 03-02"),
        ("FREQ=DAILY;COUNT=2;BYMONTH=99", "03-01 03-02"),
    ],
)
def test_rules(rule, expected):
    assert days(rule) == [f"2027-{day}" for day in expected.split()]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=HOURLY;INTERVAL=5;COUNT=3", "10:00 15:00 20:00"),
        ("FREQ=HOURLY;BYHOUR=10,12;BYMINUTE=0,30;COUNT=4", "10:00 10:30 12:00 12:30"),
        ("FREQ=MINUTELY;INTERVAL=90;COUNT=3", "10:00 11:30 13:00"),
        ("FREQ=SECONDLY;INTERVAL=3600;COUNT=3", "10:00 11:00 12:00"),
        ("FREQ=DAILY;BYHOUR=10,14;COUNT=2", "10:00 14:00"),
    ],
)
def test_rules_of_hours_and_less(rule, expected):
    assert [one[11:16] for one in series(rule, end="DURATION:PT10M")] == expected.split()


def test_the_wall_clock_rules_across_changes_of_clocks():
    found = slot(calendar(event(START, HOUR, "RRULE:FREQ=WEEKLY;COUNT=6"))).occurrences
    assert [dt.datetime.fromtimestamp(o.start, ZoneInfo(BERLIN)).hour for o in found] == [10] * 6
    assert found[4].start - found[3].start == 7 * 86_400 - 3600


def test_a_night_shift_ends_when_the_clock_says():
    """Clients show what DTSTART and DTEND show, also in the night that is an hour shorter."""
    found = series("FREQ=DAILY;COUNT=2", start="DTSTART;TZID=Europe/Berlin:20270327T220000",
                   end="DTEND;TZID=Europe/Berlin:20270328T060000")  # fmt: skip
    assert found == ["2027-03-27 22:00 +420", "2027-03-28 22:00 +480"]


def test_a_series_through_the_skipped_hour():
    found = series("FREQ=DAILY;COUNT=3", start="DTSTART;TZID=Europe/Berlin:20270327T023000",
                   end="DTEND;TZID=Europe/Berlin:20270327T030000")  # fmt: skip
    assert found == ["2027-03-27 02:30 +30", "2027-03-28 03:30 +30", "2027-03-29 02:30 +30"]


def test_all_day_series_with_an_end_in_utc():
    """UNTIL as other programs write it: the day itself, or its midnight in UTC."""
    day = {"start": "DTSTART;VALUE=DATE:20270301", "end": "DTEND;VALUE=DATE:20270302"}
    for until in ("20270303", "20270303T000000", "20270303T235959Z", "20270302T230000Z"):
        assert len(series(f"FREQ=DAILY;UNTIL={until}", **day)) == 3


def test_dates_added():
    assert series("FREQ=DAILY;COUNT=1", "RDATE;TZID=Europe/Berlin:20270305T150000,20270301T100000") == [
        "2027-03-01 10:00 +60",
        "2027-03-05 15:00 +60",
    ]
    assert series(
        "FREQ=DAILY;COUNT=1", "RDATE;VALUE=PERIOD:20270305T140000Z/PT2H,20270306T140000Z/20270306T143000Z"
    ) == [
        "2027-03-01 10:00 +60",
        "2027-03-05 15:00 +120",
        "2027-03-06 15:00 +30",
    ]
    assert blocked(calendar(event(START, HOUR, "RDATE:20270302T090000Z"))) == [
        "2027-03-01 10:00 +60",
        "2027-03-02 10:00 +60",
    ]


@pytest.mark.parametrize(
    "exdate",
    [
        "EXDATE;TZID=Europe/Berlin:20270302T100000",
        "EXDATE:20270302T090000Z",
        "EXDATE:20270302T100000",
        "EXDATE;TZID=America/New_York:20270302T040000",
        "EXDATE;VALUE=DATE:20270302",
        "EXDATE:20270302",
        "EXDATE;TZID=Europe/Berlin:20270302T100000,20270102T100000,nonsense",
        "EXDATE;X-ODD=1;TZID=/freeassociation.sourceforge.net/Europe/Berlin:20270302T100000",
    ],
)
def test_dates_taken_out(exdate):
    assert days("FREQ=DAILY;COUNT=3", exdate) == ["2027-03-01", "2027-03-03"]


def test_dates_taken_out_of_all_day_series():
    for exdate in ("EXDATE;VALUE=DATE:20270302", "EXDATE:20270302T000000", "EXDATE;TZID=Europe/Berlin:20270302T000000"):
        found = series("FREQ=DAILY;COUNT=3", exdate, start="DTSTART;VALUE=DATE:20270301", end="DURATION:P1D")
        assert found == ["2027-03-01 all day", "2027-03-03 all day"]


def test_the_first_one_taken_out():
    assert days("FREQ=DAILY;COUNT=2", "EXDATE:20270301T090000Z") == ["2027-03-02"]
    assert slot(calendar(event(START, HOUR, "RRULE:FREQ=DAILY;COUNT=1", "EXDATE:20270301T090000Z"))) is None


def test_what_was_taken_out_counts_too():
    assert days("FREQ=DAILY;COUNT=3", "EXDATE:20270302T090000Z,20270303T090000Z") == ["2027-03-01"]


def test_29_february_comes_in_leap_years():
    leap_day = {"start": "DTSTART;VALUE=DATE:20240229", "end": "DURATION:P1D"}
    assert series("FREQ=YEARLY", **leap_day) == ["2028-02-29 all day"]


def test_two_masters_of_one_uid_are_two_series():
    """Their overrides are those of the first."""
    ics = calendar(
        event(START, HOUR, "RRULE:FREQ=WEEKLY;COUNT=2"),
        event("DTSTART:20270302T080000Z", "DURATION:PT30M", "RRULE:FREQ=WEEKLY;COUNT=2"),
        override("20270308T100000", "DTSTART;TZID=Europe/Berlin:20270308T150000", "DURATION:PT1H"),
    )
    assert blocked(ics) == [
        "2027-03-01 10:00 +60", "2027-03-02 09:00 +30", "2027-03-08 15:00 +60", "2027-03-09 09:00 +30"]  # fmt: skip


def test_a_start_that_the_rule_does_not_yield_blocks_too():
    assert days("FREQ=WEEKLY;BYDAY=TU;COUNT=2") == ["2027-03-01", "2027-03-02", "2027-03-09"]


def test_every_kind_of_override():
    assert blocked(sample("weekly_with_every_kind_of_override")) == [
        "2027-03-01 10:00 +60",
        "2027-03-09 15:00 +30",
        "2027-04-05 all day",
        "2027-04-12 10:00 +60",
        "2027-04-19 10:00 +60",
    ]
    text = titled(sample("weekly_with_every_kind_of_override")).ics
    assert "SUMMARY:Renamed" in text and "SUMMARY:Cancelled" not in text


def test_overrides_without_a_master():
    assert blocked(sample("overrides_without_a_master")) == ["2027-03-01 10:00 +60", "2027-03-08 13:00 +30"]


def override(recurrence_id, *lines):
    return event(f"RECURRENCE-ID;TZID=Europe/Berlin:{recurrence_id}", *lines)


def test_an_override_that_blocks_in_a_series_that_does_not():
    ics = calendar(
        event(START, HOUR, "RRULE:FREQ=DAILY", "TRANSP:TRANSPARENT"),
        override("20270305T100000", "DTSTART;TZID=Europe/Berlin:20270305T120000", "DURATION:PT1H"),
    )
    assert blocked(ics) == ["2027-03-05 12:00 +60"]


def test_an_override_of_an_instance_that_there_is_not():
    ics = calendar(
        event(START, HOUR, "RRULE:FREQ=DAILY;COUNT=2"),
        override("20270310T100000", "DTSTART;TZID=Europe/Berlin:20270311T100000", "DURATION:PT1H"),
    )
    assert blocked(ics) == ["2027-03-01 10:00 +60", "2027-03-02 10:00 +60", "2027-03-11 10:00 +60"]


def test_an_override_whose_time_can_not_be_read_changes_nothing():
    ics = calendar(event(START, HOUR, "RRULE:FREQ=DAILY;COUNT=2"), override("20270302T100000", "DTSTART:later"))
    assert blocked(ics) == ["2027-03-01 10:00 +60", "2027-03-02 10:00 +60"]


def test_this_and_future():
    ics = calendar(
        event(START, HOUR, "RRULE:FREQ=WEEKLY;COUNT=4", "EXDATE:20270315T090000Z"),
        event(
            "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20270308T100000",
            "DTSTART;TZID=Europe/Berlin:20270309T120000",
            "DURATION:PT2H",
        ),
    )
    assert blocked(ics) == ["2027-03-01 10:00 +60", "2027-03-09 12:00 +120", "2027-03-23 12:00 +120"]


@pytest.mark.parametrize(
    ("recurrence_id", "start"),
    [
        (":20270308T090000Z", ":20270309T110000Z"),
        (";TZID=Europe/Berlin:20270308T100000", ":20270309T110000Z"),
        (":20270308T090000Z", ";TZID=Europe/Berlin:20270309T120000"),
        (":20270308T090000Z", ";TZID=America/New_York:20270309T060000"),
    ],
)
def test_this_and_future_in_another_zone_than_the_series(recurrence_id, start):
    ics = calendar(
        event(START, HOUR, "RRULE:FREQ=WEEKLY;COUNT=3"),
        event(f"RECURRENCE-ID;RANGE=THISANDFUTURE{recurrence_id}", f"DTSTART{start}", HOUR),
    )
    # New York has summer time before Berlin: the series goes by its own clock.
    assert blocked(ics) == ["2027-03-01 10:00 +60", "2027-03-09 12:00 +60", "2027-03-16 12:00 +60"]


def this_and_future(recurrence_id, *lines):
    return event(f"RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:{recurrence_id}", *lines)


def test_this_and_future_again_and_a_single_one_beside():
    ics = calendar(
        event(START, HOUR, "RRULE:FREQ=WEEKLY;COUNT=5"),
        this_and_future("20270308T100000", "DTSTART;TZID=Europe/Berlin:20270308T120000", "DURATION:PT1H"),
        this_and_future("20270322T100000", "DTSTART;TZID=Europe/Berlin:20270322T080000", "DURATION:PT2H"),
        override("20270315T100000", "DTSTART;TZID=Europe/Berlin:20270316T100000", "DURATION:PT1H"),
    )
    assert blocked(ics) == [
        "2027-03-01 10:00 +60", "2027-03-08 12:00 +60", "2027-03-16 10:00 +60", "2027-03-22 08:00 +120",
        "2027-03-29 08:00 +120"]  # fmt: skip


def test_this_and_future_cancelled():
    ics = calendar(
        event(START, HOUR, "RRULE:FREQ=WEEKLY"),
        this_and_future("20270315T100000", "DTSTART;TZID=Europe/Berlin:20270315T100000", "STATUS:CANCELLED"),
    )
    assert blocked(ics) == ["2027-03-01 10:00 +60", "2027-03-08 10:00 +60"]


# --- Rules that are not understood, and rules for what is taken out ---------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=FORTNIGHTLY",
        "nonsense",
        "FREQ=WEEKLY;BYDAY=MO,XX",
        "FREQ=MONTHLY;BYMONTHDAY=first",
        "FREQ=WEEKLY;BYDAY=MO;BYDAY=TU",
        "FREQ=YEARLY;BYEASTER=0",
        "FREQ=YEARLY;RSCALE=KLINGON",
        "FREQ=YEARLY;RSCALE=GREGORIAN;SKIP=SIDEWAYS",
        "FREQ=YEARLY;RSCALE=HEBREW;BYWEEKNO=3",
    ],
)
def test_a_rule_that_nobody_understands_blocks_its_time_of_every_day(rule):
    """It may be any day: never free. Its end counts, and so does what was taken out or moved."""
    assert days(f"{rule};UNTIL=20270304", "EXDATE:20270303T090000Z") == ["2027-03-01", "2027-03-02", "2027-03-04"]
    found = verdicts(calendar(event(START, HOUR, f"RRULE:{rule}")), "2027-08-17")
    assert [v.reason for v in found] == ["unclear"]


def test_a_rule_that_nobody_understands_beside_one_that_is():
    assert days("FREQ=WEEKLY;COUNT=2", "RRULE:WEEKLY;UNTIL=20270302") == ["2027-03-01", "2027-03-02", "2027-03-08"]


def verdicts(ics, day):
    span = Interval(at(f"{day} 00:00"), at(f"{day} 23:59"))
    return ical.verdicts(ics, span=span, settings=SlotSettings(), time_zone=BERLIN, addresses=frozenset())


def test_what_an_exrule_yields_is_taken_out():
    """RFC 2445 4.8.5.2: gone since RFC 5545, and still in old calendars."""
    assert days("FREQ=DAILY;COUNT=9", "EXRULE:FREQ=WEEKLY;BYDAY=SA,SU") == [
        f"2027-03-0{day}" for day in (1, 2, 3, 4, 5, 8, 9)
    ]
    assert days("FREQ=DAILY;COUNT=4", "EXRULE:FREQ=DAILY;UNTIL=20270302", "RDATE:20270310T090000Z") == [
        "2027-03-03", "2027-03-04", "2027-03-10"]  # fmt: skip
    ics = calendar(event(START, HOUR, "RRULE:FREQ=DAILY", "EXRULE:FREQ=WEEKLY;BYDAY=SA,SU"))
    assert [v.reason for v in verdicts(ics, "2027-03-06")] == ["deleted"]
    assert [v.reason for v in verdicts(ics, "2027-03-08")] == ["blocks"]
    assert slot(ics).last_end is None


def test_an_override_stays_whatever_an_exrule_says():
    ics = calendar(
        event(START, HOUR, "RRULE:FREQ=DAILY;COUNT=3", "EXRULE:FREQ=DAILY;INTERVAL=2"),
        override("20270303T100000", "DTSTART;TZID=Europe/Berlin:20270303T150000", "DURATION:PT1H"),
    )
    assert blocked(ics) == ["2027-03-02 10:00 +60", "2027-03-03 15:00 +60"]


@pytest.mark.parametrize("exrule", ["nonsense", "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", ""])
def test_an_exrule_that_says_nothing_takes_nothing_out(exrule):
    assert days("FREQ=DAILY;COUNT=2", f"EXRULE:{exrule}") == ["2027-03-01", "2027-03-02"]


def test_an_absurd_exrule_is_no_trouble():
    assert slot(calendar(event(START, HOUR, "RRULE:FREQ=DAILY", "EXRULE:FREQ=SECONDLY"))) is not None
    assert days("FREQ=DAILY;COUNT=2", "EXRULE:FREQ=MINUTELY") == []


# --- Other calendars than the Gregorian (RFC 7529) --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "rule", "expected"),
    [
        # iCloud's "last day of the month", and birthdays on 29 February.
        ("20270131", "FREQ=MONTHLY;SKIP=BACKWARD;COUNT=4", "2027-01-31 2027-02-28 2027-03-31 2027-04-30"),
        ("20270131", "FREQ=MONTHLY;SKIP=FORWARD;COUNT=4", "2027-01-31 2027-03-01 2027-03-31 2027-05-01"),
        ("20270131", "FREQ=MONTHLY;SKIP=OMIT;COUNT=3", "2027-01-31 2027-03-31 2027-05-31"),
        ("20270101", "FREQ=MONTHLY;BYMONTHDAY=1,31;SKIP=FORWARD;UNTIL=20270301",
         "2027-01-01 2027-01-31 2027-02-01 2027-03-01"),
        ("20270130", "FREQ=MONTHLY;BYMONTHDAY=30,31;SKIP=BACKWARD;COUNT=3", "2027-01-30 2027-01-31 2027-02-28"),
        ("20270131", "FREQ=MONTHLY;BYMONTHDAY=-1,-31;SKIP=BACKWARD;COUNT=3", "2027-01-31 2027-02-28 2027-03-01"),
        ("20240229", "FREQ=YEARLY;SKIP=BACKWARD", "2026-02-28 2027-02-28 2028-02-29"),
        ("20240229", "FREQ=YEARLY;SKIP=FORWARD", "2026-03-01 2027-03-01 2028-02-29"),
        ("20240229", "FREQ=YEARLY;RSCALE=BUDDHIST", "2028-02-29"),
        # New year's and mid-autumn days as printed calendars have them.
        ("20250129", "FREQ=YEARLY;RSCALE=CHINESE", "2026-02-17 2027-02-06 2028-01-26"),
        ("16040815", "FREQ=YEARLY;RSCALE=CHINESE;BYMONTH=8;BYMONTHDAY=15", "2026-09-25 2027-09-15 2028-10-03"),
        ("20250129", "FREQ=YEARLY;RSCALE=CHINESE;INTERVAL=2", "2027-02-06"),
        ("20250129", "FREQ=MONTHLY;RSCALE=CHINESE;COUNT=3", "2025-01-29 2025-02-28 2025-03-29"),
        ("20250725", "FREQ=YEARLY;RSCALE=CHINESE;BYMONTH=6L;SKIP=OMIT", ""),
        ("20250725", "FREQ=YEARLY;RSCALE=CHINESE;BYMONTH=6L;SKIP=BACKWARD", "2026-07-14 2027-07-04 2028-07-22"),
        ("20250129", "FREQ=YEARLY;RSCALE=DANGI", "2026-02-17 2027-02-07 2028-01-27"),
        ("20250923", "FREQ=YEARLY;RSCALE=HEBREW", "2026-09-12 2027-10-02 2028-09-21"),
        ("20240225", "FREQ=YEARLY;RSCALE=HEBREW;BYMONTH=5L;BYMONTHDAY=16;SKIP=FORWARD",
         "2026-03-05 2027-02-23 2028-03-14"),
        ("20250330", "FREQ=YEARLY;RSCALE=ISLAMIC-UMALQURA", "2026-03-20 2027-03-09 2028-02-26"),
        ("20250330", "FREQ=DAILY;RSCALE=ISLAMIC-CIVIL;BYMONTH=10;BYMONTHDAY=1", "2026-03-20 2027-03-10 2028-02-27"),
    ],
)  # fmt: skip
def test_other_calendars(start, rule, expected):
    rule = rule if "RSCALE" in rule else f"RSCALE=GREGORIAN;{rule}"
    found = [one[:10] for one in series(rule, start=f"DTSTART;VALUE=DATE:{start}", end="DURATION:P1D")]
    assert found == expected.split()
    assert parse(parse(rule).text()) == parse(rule)


def test_clients_get_days_in_place_of_what_they_would_not_understand():
    ics = calendar(event("DTSTART;VALUE=DATE:20250129", "RRULE:FREQ=YEARLY;RSCALE=CHINESE"))
    assert "RSCALE" not in slot(ics).ics
    assert slot(ics).last_end is None
    ics = calendar(event("DTSTART;VALUE=DATE:20250128", "RRULE:RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=FORWARD"))
    assert "RRULE:FREQ=YEARLY\r\n" in slot(ics).ics


# --- Absurd rules ---------------------------------------------------------------------------------------------------


def covered(rendered, text):
    moment = at(text)
    return any(o.start <= moment < o.end for o in rendered.occurrences)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=SECONDLY;COUNT=1000000000",
        "FREQ=MINUTELY;UNTIL=99991231T235959Z",
        "FREQ=MINUTELY;BYSECOND=" + ",".join(map(str, range(60))),
        "FREQ=DAILY;BYHOUR={};BYMINUTE={};BYSECOND={}".format(*(",".join(map(str, range(n))) for n in (24, 60, 60))),
        "FREQ=SECONDLY;INTERVAL=7",
        "FREQ=YEARLY;BYYEARDAY=-366,366," + ",".join(map(str, range(1, 366))) + ";BYHOUR="
        + ",".join(map(str, range(24))) + ";BYMINUTE=" + ",".join(map(str, range(60))),
    ],
)  # fmt: skip
def test_rules_too_dense_to_list_block_without_a_gap(rule):
    rendered = slot(calendar(event(START, "DURATION:PT1S", f"RRULE:{rule}")))
    assert all(covered(rendered, text) for text in ("2027-03-01 10:00", "2027-08-01 03:17", "2028-12-31 12:00"))
    assert len(rendered.occurrences) < 1_000
    assert len(rendered.ics) < 5_000


def test_a_dense_rule_blocks_no_more_than_its_hours_and_days():
    rendered = slot(calendar(event(START, "DURATION:PT1S", "RRULE:FREQ=SECONDLY;BYDAY=MO;BYHOUR=9")))
    assert covered(rendered, "2027-03-08 09:30")
    assert not covered(rendered, "2027-03-08 11:30")
    assert not covered(rendered, "2027-03-09 09:30")


@pytest.mark.parametrize("rule", ["FREQ=MINUTELY;INTERVAL=4", "FREQ=SECONDLY"])
def test_marks_block_nothing_however_dense(rule):
    """As KAlarm writes its alarms: no end, every four minutes."""
    assert slot(calendar(event(START, f"RRULE:{rule}"))) is None


def test_a_dense_rule_that_ends_stays_as_it_is():
    assert len(slot(calendar(event(START, "DURATION:PT1S", "RRULE:FREQ=SECONDLY;COUNT=50"))).occurrences) == 50


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30;COUNT=3",
        "FREQ=SECONDLY;INTERVAL=2;BYSECOND=1,3,5",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=11",
        "FREQ=YEARLY;BYWEEKNO=1;BYMONTH=7;BYDAY=MO",
        "FREQ=WEEKLY;UNTIL=20200101T000000Z",
        "FREQ=YEARLY;RSCALE=CHINESE;BYMONTH=2;BYMONTHDAY=31",
    ],
)
def test_a_rule_that_never_matches_leaves_the_event_itself(rule):
    rendered = slot(calendar(event(START, HOUR, f"RRULE:{rule}")))
    assert [o.start for o in rendered.occurrences] == [at("2027-03-01 10:00")]
    assert "RRULE" not in rendered.ics


@pytest.mark.parametrize(
    "rule", ["FREQ=DAILY", "FREQ=DAILY;COUNT=1000000000", "FREQ=DAILY;BYDAY=MO,TU;COUNT=999999999"]
)
def test_a_start_in_the_year_1(rule):
    start = {"start": "DTSTART:00010101T100000Z", "end": "DURATION:PT1H"}
    assert "2027-03-01 11:00 +60" in series(rule, **start)


def test_endless_days_since_the_year_1_are_published_from_now():
    rendered = slot(calendar(event("DTSTART;VALUE=DATE:00010101", "RRULE:FREQ=DAILY;INTERVAL=2")))
    assert "DTSTART;VALUE=DATE:2024" in rendered.ics


def test_birthdays_since_1604():
    assert series("FREQ=YEARLY", start="DTSTART;VALUE=DATE:16040301", end="DURATION:P1D") == [
        "2026-03-01 all day", "2027-03-01 all day", "2028-03-01 all day"]  # fmt: skip


def test_megabytes_of_exceptions():
    every = ",".join(f"2027{m:02}{d:02}T{h:02}{mi:02}00Z" for m in range(1, 13) for d in range(1, 29)
                     for h in range(24) for mi in range(60))  # fmt: skip
    rendered = slot(calendar(event(START, HOUR, "RRULE:FREQ=DAILY", f"EXDATE:{every}")))
    assert covered(rendered, "2028-03-01 10:30")


def test_too_many_added_dates_block_their_days():
    every = ",".join(f"2027{m:02}{d:02}T{h:02}{mi:02}00Z" for m in range(1, 3) for d in range(1, 29)
                     for h in range(24) for mi in range(60))  # fmt: skip
    rendered = slot(calendar(event(START, HOUR, f"RDATE:{every}")))
    assert covered(rendered, "2027-01-05 17:23")
    assert not covered(rendered, "2027-06-01 10:30")


def test_a_span_that_no_list_could_fill_ends_in_one_stretch():
    found = ical.occurrences(
        calendar(event(START, "DURATION:PT1M", "RRULE:FREQ=HOURLY")), Interval(at("2027-01-01"), at("2080-01-01")),
        time_zone=BERLIN,
    )  # fmt: skip
    assert len(found) < 60_000
    assert found[-1].end == at("2080-01-01")


def test_a_series_that_leaves_no_day_free_and_others_beside_it():
    """Each needs a day of its own to stand for it, and there is none."""
    others = [event(f"DTSTART;VALUE=DATE:202703{day:02}", "DURATION:P3D", uid=f"other {day}") for day in range(1, 29)]
    every_day = event("DTSTART;VALUE=DATE:20270227", "RRULE:FREQ=DAILY")
    found = slot(calendar(every_day, *others))
    assert {o.end - o.start for o in found.occurrences if o.start == at("2027-03-10")} == {86_400, 3 * 86_400}
    assert covered(found, "2028-12-31 12:00") and not covered(found, "2027-02-26 12:00")
    assert ical.occurrences(found.ics, HORIZON, time_zone=BERLIN) == found.occurrences
    assert slot(calendar(event("DTSTART;VALUE=DATE:20270227", "RRULE:FREQ=WEEKLY"), *others)).last_end is None


def test_an_added_date_in_the_skipped_hour():
    assert blocked(calendar(event(START, "DURATION:PT3H", "RDATE;TZID=Europe/Berlin:20270328T023000"))) == [
        "2027-03-01 10:00 +180", "2027-03-28 03:30 +180"]  # fmt: skip


# --- Against other implementations ---------------------------------------------------------------------------------

WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def numbers(low, high, *, both=False):
    each = st.integers(low, high)
    each = each | each.map(lambda n: -n) if both else each
    return st.lists(each, min_size=1, max_size=3, unique=True).map(lambda values: ",".join(map(str, values)))


@st.composite
def rules(draw):
    freq = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY"]))
    parts = [f"FREQ={freq}"]
    part = {
        "INTERVAL": st.integers(1, 5),
        "COUNT": st.integers(1, 40),
        "BYMONTH": numbers(1, 12),
        "BYMONTHDAY": numbers(1, 31, both=True),
        "WKST": st.sampled_from(WEEKDAYS),
        "BYHOUR": numbers(0, 23),
    }
    if freq == "YEARLY":
        part["BYYEARDAY"] = numbers(1, 366, both=True)
    for name, values in part.items():
        if draw(st.integers(0, 3)) == 0:
            parts.append(f"{name}={draw(values)}")
    if draw(st.booleans()):
        numbered = freq in {"YEARLY", "MONTHLY"} and draw(st.booleans())
        chosen = draw(st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=3, unique=True))
        ordinal = st.sampled_from([1, 2, -1, 5]) if numbered else st.just("")
        parts.append("BYDAY=" + ",".join(f"{draw(ordinal)}{day}" for day in chosen))
    if len(parts) > 1 and draw(st.integers(0, 5)) == 0 and any(p.startswith("BY") for p in parts):
        parts.append(f"BYSETPOS={draw(numbers(1, 4, both=True))}")
    return ";".join(parts)


STARTS = st.datetimes(dt.datetime(2025, 1, 1), dt.datetime(2028, 1, 1)).map(
    lambda d: d.replace(minute=0, second=0, microsecond=0)
)


@settings(deadline=None, max_examples=100)
@given(rules(), STARTS)
@example("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", dt.datetime(2025, 2, 1))
def test_rules_as_dateutil_reads_them(rule, start):
    low, high = dt.datetime(2026, 6, 1), dt.datetime(2027, 6, 1)
    read = parse(rule)
    assume(recurrence.first(read, start, None) is not None)  # dateutil would look for it until the year 9999
    theirs = rrulestr(rule, dtstart=start)
    assert list(recurrence.starts(read, start, low, high)) == theirs.between(low, high, inc=True)
    assert parse(read.text()) == read


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(["GREGORIAN", "CHINESE", "DANGI", "HEBREW", "ISLAMIC", "ISLAMIC-CIVIL"]),
    st.sampled_from(["OMIT", "BACKWARD", "FORWARD"]),
    st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY"]),
    st.integers(1, 4),
    st.sampled_from(["", ";BYMONTHDAY=1,30", ";BYMONTHDAY=-30,-1", ";BYDAY=-1MO", ";BYYEARDAY=1,-1"]),
    st.sampled_from(["", ";BYMONTH=1,7"]),
    STARTS,
    st.integers(0, 1500),
)
def test_in_the_middle_is_found_what_is_found_from_the_start(scale, skip, freq, interval, chosen, months, start, later):
    """In any calendar: each day once, in order, wherever one begins to look."""
    read = parse(f"RSCALE={scale};FREQ={freq};INTERVAL={interval};SKIP={skip}{chosen}{months}")
    high = start + dt.timedelta(days=2500)
    every = list(recurrence.starts(read, start, start, high))
    assert every == sorted(set(every))
    low = start + dt.timedelta(days=later)
    assert list(recurrence.starts(read, start, low, high)) == [one for one in every if one >= low]
    assert parse(read.text()) == read


@st.composite
def objects(draw):
    """A series in some zone with exceptions of many kinds."""
    zone = draw(st.sampled_from([BERLIN, "America/New_York", "Asia/Kolkata", "UTC", "DATE"]))
    start = draw(STARTS)
    minutes = draw(st.sampled_from([30, 60, 600, 1500]))

    def value(moment):
        if zone == "DATE":
            return f";VALUE=DATE:{moment:%Y%m%d}"
        return f":{moment:%Y%m%dT%H%M%S}Z" if zone == "UTC" else f";TZID={zone}:{moment:%Y%m%dT%H%M%S}"

    length = dt.timedelta(days=1 + minutes // 600) if zone == "DATE" else dt.timedelta(minutes=minutes)
    rule = draw(rules())
    if zone == "DATE":
        rule = ";".join(part for part in rule.split(";") if not part.startswith("BYHOUR"))
    lines = [f"DTSTART{value(start)}", f"DTEND{value(start + length)}", f"RRULE:{rule}"]
    offsets = st.lists(st.sampled_from([0, 1, 2, 7, 14, 28, 30, 31, 365]), max_size=2, unique=True)
    lines += [f"EXDATE{value(start + dt.timedelta(days=n))}" for n in draw(offsets)]
    lines += [f"RDATE{value(start + dt.timedelta(days=n + 3))}" for n in draw(offsets)]
    parts = [event(*lines)]
    for n in draw(offsets):
        here = start + dt.timedelta(days=n)
        there = here + dt.timedelta(hours=draw(st.integers(-30, 30)))
        kind = draw(st.sampled_from([[], ["TRANSP:TRANSPARENT"], ["STATUS:CANCELLED"]]))
        parts.append(
            event(f"RECURRENCE-ID{value(here)}", f"DTSTART{value(there)}", f"DTEND{value(there + length)}", *kind)
        )
    return calendar(*parts)


@settings(deadline=None, max_examples=60)
@given(objects())
def test_series_as_another_implementation_expands_them(ics):
    """What blocks upstream is what `recurring_ical_events` says, less what is free or cancelled."""
    span = Interval(at("2026-06-01"), at("2027-03-01"))
    rule = parse(ics.partition("RRULE:")[2].partition("\r\n")[0])
    begin = dt.datetime.strptime(ics.partition("DTSTART")[2].partition(":")[2][:8], "%Y%m%d")
    assume(recurrence.first(rule, begin, None) is not None)
    assume("BYHOUR" not in ics or "EXDATE" not in ics)  # it takes out whole days
    assume("RECURRENCE-ID" not in ics)  # where overrides hit no instance, the two differ on purpose
    zone = ZoneInfo(BERLIN)
    found = recurring_ical_events.of(icalendar.Calendar.from_ical(ics)).between(
        dt.datetime.fromtimestamp(span.start, zone), dt.datetime.fromtimestamp(span.end, zone)
    )
    theirs = set()
    for one in found:
        start, end = (
            int((m if isinstance(m, dt.datetime) else dt.datetime.combine(m, dt.time(), zone)).timestamp())
            for m in (one.start, one.end)
        )
        if start < span.end and end > span.start:
            theirs.add((start, end))
    mine = {(o.start, o.end) for o in ical.occurrences(ics, span, time_zone=BERLIN)}
    assert mine == theirs


@settings(deadline=None, max_examples=100)
@given(objects())
def test_what_is_published_is_what_was_found(ics):
    """The text alone, expanded, says the same; parts of a span say what the whole does; all of it in order."""
    rendered = slot(ics)
    if rendered is None:
        return
    assert slot(ics) == rendered
    span = rendered.expanded or Interval(rendered.first_start - 1, rendered.last_end + 1)
    assert ical.occurrences(rendered.ics, span, time_zone=BERLIN) == rendered.occurrences
    starts = [(o.start, o.end) for o in rendered.occurrences]
    assert starts == sorted(set(starts))
    assert all(o.start < o.end and o.start < span.end and o.end > span.start for o in rendered.occurrences)
    assert rendered.first_start <= rendered.occurrences[0].start if rendered.occurrences else True
    assert rendered.last_end is None or all(o.end <= rendered.last_end for o in rendered.occurrences)
    middle = at("2027-01-15 10:30")
    parts = {
        o
        for part in (Interval(HORIZON.start, middle), Interval(middle, HORIZON.end))
        for o in ical.occurrences(rendered.ics, part, time_zone=BERLIN)
    }
    assert parts == set(ical.occurrences(rendered.ics, HORIZON, time_zone=BERLIN))


SCRAPS = [
    *("", "0", "9", "-1", "T", "Z", ";", ":", ",", "=", "\n", "\r\n", "\\", "\x00", "\ud800", "/", "P", "PT"),
    *("20270301", "99991231T235959Z", "00010101T000000", "FREQ=SECONDLY", "INTERVAL=999999999", "UNTIL=00010101"),
    *("\ufeff", "\r", "\udcc3", "RSCALE=CHINESE;", "RSCALE=HEBREW;BYMONTH=5L;", "SKIP=FORWARD;", "EXRULE:FREQ=DAILY"),
    *("COUNT=5", "BYDAY=", "BYSETPOS=-1", "RDATE:", "EXDATE:", "RRULE:", "RANGE=THISANDFUTURE", "DURATION:P999999999D"),
]
NAMES = ["several_unrelated_events", "weekly_with_every_kind_of_override", "windows_zone_with_vtimezone"]


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(NAMES), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), st.sampled_from(SCRAPS)), max_size=9)
)
def test_no_damage_is_an_accident(name, damages):
    """Whatever is broken in an object: it is read as far as it goes, and what is published of it is consistent."""
    text = sample(name)
    for place, length, scrap in damages:
        at_ = int(place * len(text))
        text = text[:at_] + scrap + text[at_ + length :]
    rendered = slot(text)
    ical.summary(text)
    if rendered is not None:
        ical.identify(text)
        span = rendered.expanded or Interval(rendered.first_start - 1, rendered.last_end + 1)
        assert ical.occurrences(rendered.ics, span, time_zone=BERLIN) == rendered.occurrences
        rendered.ics.encode()
