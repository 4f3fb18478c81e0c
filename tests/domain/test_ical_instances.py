"""Single times of a series, as a person's program changes them in the text of its event."""

import datetime as dt
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.domain import ical
from bridge.domain.model import Interval
from tests.domain.test_ical_appointments import FIELDS, NOW, booked
from tests.ical_samples import BERLIN, at

#: Each Monday and Wednesday at ten.
SERIES = replace(FIELDS, rrule="RRULE:FREQ=WEEKLY;COUNT=6;BYDAY=MO,WE")
PLAIN = ical.upstream_event(booked(SERIES), now=NOW, onto=None)
SPAN = Interval(at("2027-01-01"), at("2028-01-01"))
KEYS = [key for key, _ in ical.instances(booked(SERIES), SPAN, time_zone=BERLIN, upstream=None)]
OVERRIDE = re.compile(r"BEGIN:VEVENT\r\n(?:(?!END:VEVENT).)*?RECURRENCE-ID.*?END:VEVENT\r\n", re.DOTALL)


def stamp(instant):
    return dt.datetime.fromtimestamp(instant, dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def override(key, hours=0, title="Intro call", *, cancelled=False):
    """One of its times, so many hours later."""
    start = key + hours * 3600
    return (
        f"BEGIN:VEVENT\r\nUID:{booked(SERIES).uid}\r\nRECURRENCE-ID:{stamp(key)}\r\nDTSTART:{stamp(start)}\r\n"
        f"DTEND:{stamp(start + 1800)}\r\nSUMMARY:{title}\r\n{'STATUS:CANCELLED' if cancelled else 'CLASS:PUBLIC'}\r\n"
        "END:VEVENT\r\n"
    )


def having(*overrides, of=PLAIN):
    return of.replace("END:VCALENDAR", "".join(overrides) + "END:VCALENDAR")


def changed(was, now):
    return ical.changed_singly(booked(SERIES), booked(SERIES), time_zone=BERLIN, was=was, now=now)


def test_what_was_moved_renamed_or_taken_out_is_named_with_what_it_was():
    first, second, third = changed(
        PLAIN, having(override(KEYS[1], 2), override(KEYS[2], title="By hand"), override(KEYS[4], cancelled=True))
    )
    assert (first.key, first.before.start, first.after.start) == (KEYS[1], KEYS[1], KEYS[1] + 7200)
    assert (second.key, second.before.title, second.after.title) == (KEYS[2], SERIES.title, "By hand")
    assert (third.key, third.before.start, third.after) == (KEYS[4], KEYS[4], None)
    assert [one.takes_other_time for one in (first, second, third)] == [True, False, True]


def test_what_is_as_it_was_is_no_change():
    there = having(override(KEYS[1], 2))
    assert changed(there, there.replace("CLASS:PUBLIC", "COMMENT:bring cake")) == []
    assert changed(None, PLAIN) == changed(PLAIN, PLAIN) == []
    assert [one.after.start for one in changed(there, PLAIN)] == [KEYS[1]], "put back"
    single = replace(SERIES, rrule=None)
    assert ical.changed_singly(booked(single), booked(single), time_zone=BERLIN, was=PLAIN, now=there) == []


def test_a_change_of_all_later_times_is_one():
    later = having(override(KEYS[2], 1).replace("RECURRENCE-ID:", "RECURRENCE-ID;RANGE=THISANDFUTURE:"))
    assert [(one.key, one.after.start) for one in changed(PLAIN, later)] == [(KEYS[2], KEYS[2] + 3600)]


OVERRIDES = st.lists(
    st.builds(
        override,
        st.sampled_from(KEYS),
        st.integers(0, 40),
        st.sampled_from(["Intro call", "By hand"]),
        cancelled=st.booleans(),
    ),
    max_size=4,
    unique_by=lambda text: text.splitlines()[2],
)


@given(mine=OVERRIDES, theirs=OVERRIDES)
def test_single_times_of_another_text_replace_these_and_nothing_else(mine, theirs):
    noted = PLAIN.replace("END:VEVENT", "COMMENT:bring cake\r\nEND:VEVENT")
    now, before = having(*mine, of=noted), having(*theirs)
    back = ical.with_single_times_of(booked(SERIES), now, before)
    assert changed(before, back) == []
    assert OVERRIDE.sub("", back) == noted
    assert ical.with_single_times_of(booked(SERIES), now, None) == noted


def test_single_times_bring_the_zone_that_only_their_own_text_defines():
    tokyo = (
        "BEGIN:VTIMEZONE\r\nTZID:Customized\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\n"
        "TZOFFSETFROM:+0900\r\nTZOFFSETTO:+0900\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    )
    moved = re.sub(r"(RECURRENCE-ID|DTSTART|DTEND):(\w+)Z", r"\1;TZID=Customized:\2", override(KEYS[1] + 9 * 3600, 2))
    there = having(moved).replace("BEGIN:VEVENT", tokyo + "BEGIN:VEVENT", 1)
    assert [(one.key, one.after.start) for one in changed(PLAIN, there)] == [(KEYS[1], KEYS[1] + 7200)]
    back = ical.with_single_times_of(booked(SERIES), PLAIN, there)
    assert changed(there, back) == []
    assert ical.with_single_times_of(booked(SERIES), back, there) == back, "which is defined once"


def test_events_are_found_however_their_lines_are_written():
    there = having(override(KEYS[1], 2).replace("BEGIN:VEVENT", "begin: Vevent").replace("END:VEVENT", "End:vevent "))
    assert ical.with_single_times_of(booked(SERIES), there, None) == PLAIN
    cut = there[: there.index("End:vevent")]
    assert ical.with_single_times_of(booked(SERIES), cut, None).rstrip() == PLAIN.replace("END:VCALENDAR", "").rstrip()


def test_where_only_single_times_are_left_the_series_comes_back_whole():
    left = PLAIN[: PLAIN.index("BEGIN:VEVENT")] + override(KEYS[1], 2) + "END:VCALENDAR\r\n"
    assert ical.with_single_times_of(booked(SERIES), left, PLAIN) == PLAIN
    assert ical.with_single_times_of(booked(SERIES), left, None) == left
