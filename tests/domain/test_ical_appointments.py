"""Appointments in the merged calendar, written upstream, and read back."""

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain import ical
from bridge.domain.model import Appointment, AppointmentFields, SyncState
from bridge.errors import Unreadable
from tests.ical_samples import BERLIN, HORIZON, at, calendar, event, spoken

NOW = at("2027-02-01 12:00")
FIELDS = AppointmentFields(
    title="Intro call: Ada, Example",
    start=at("2027-03-01 10:00"),
    end=at("2027-03-01 10:30"),
    time_zone=BERLIN,
    all_day=False,
    description="Agenda;\nsecond line",
    address="Hauptstr. 1, Berlin",
    rrule=None,
    status="confirmed",
)


def booked(fields=FIELDS, **changes):
    made = Appointment(
        id="apt_1",
        location_id="loc",
        booking_calendar_id="cal",
        user_id="ada",
        contact_id="contact_7",
        external_id=None,
        fields=fields,
        utc_offset=3600,
        extra={"meetingLocationType": "custom"},
        version=1,
        created_at=at("2027-01-01 12:00"),
        updated_at=at("2027-01-02 12:00"),
        deleted_at=None,
        uid="apt_1@bridge.local",
        sync_state=SyncState.PENDING,
        sync_error=None,
        synced_at=None,
        calendar_id=None,
        href=None,
        agreed=None,
    )
    return replace(made, **changes)


def written(fields=FIELDS, onto=None):
    return ical.upstream_event(booked(fields), now=NOW, onto=onto)


def lines(text):
    return text.replace("\r\n ", "").split("\r\n")


def shown(fields):
    return ical.appointment(booked(fields), time_zone=BERLIN, horizon=HORIZON)


# --- A new event ----------------------------------------------------------------------------------------------------


def test_a_new_event():
    text = written()
    body = lines(text)
    assert body[body.index("BEGIN:VEVENT") : body.index("END:VEVENT")] == [
        "BEGIN:VEVENT",
        "UID:apt_1@bridge.local",
        "DTSTAMP:20270201T110000Z",
        "CREATED:20270101T110000Z",
        "LAST-MODIFIED:20270102T110000Z",
        "SEQUENCE:0",
        "SUMMARY:Intro call: Ada\\, Example",
        "DTSTART;TZID=Europe/Berlin:20270301T100000",
        "DTEND;TZID=Europe/Berlin:20270301T103000",
        "DESCRIPTION:Agenda\\;\\nsecond line",
        "LOCATION:Hauptstr. 1\\, Berlin",
        "STATUS:CONFIRMED",
        "TRANSP:OPAQUE",
        "X-CRM-APPOINTMENT-ID:apt_1",
        "X-CRM-CONTACT-ID:contact_7",
        "X-CRM-MEETING-TYPE:custom",
        "X-CRM-SOURCE:api",
    ]
    assert "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin" in text
    assert not {"METHOD", "ORGANIZER", "ATTENDEE"} & {line.partition(":")[0].partition(";")[0] for line in body}
    read = icalendar.Calendar.from_ical(text)
    assert not [e.errors for e in read.walk() if e.errors]


def test_it_says_where_it_came_from():
    text = ical.upstream_event(booked(source="highlevel"), now=NOW, onto=None)
    assert "X-CRM-SOURCE:highlevel\r\n" in text


def test_a_new_event_without_a_zone_is_in_utc():
    text = written(replace(FIELDS, time_zone=None))
    assert "DTSTART:20270301T090000Z\r\nDTEND:20270301T093000Z" in text
    assert "VTIMEZONE" not in text


def test_a_new_event_of_days():
    fields = replace(FIELDS, all_day=True, start=at("2027-03-01"), end=at("2027-03-03"))
    assert "DTSTART;VALUE=DATE:20270301\r\nDTEND;VALUE=DATE:20270303" in written(fields)


def test_a_meeting_link_is_a_url_too():
    text = written(replace(FIELDS, address="https://meet.example.com/a,b"))
    assert "LOCATION:https://meet.example.com/a\\,b\r\nURL:https://meet.example.com/a,b" in text


@pytest.mark.parametrize(
    ("status", "word"),
    [("new", "TENTATIVE"), ("confirmed", "CONFIRMED"), ("active", "CONFIRMED"), ("showed", "CONFIRMED"),
     ("completed", "CONFIRMED"), ("noshow", "CONFIRMED")],
)  # fmt: skip
def test_the_status_outward(status, word):
    text = written(replace(FIELDS, status=status))
    assert f"STATUS:{word}" in text and "TRANSP:OPAQUE" in text


def test_a_cancelled_one_marked():
    text = written(replace(FIELDS, status="cancelled"))
    assert "STATUS:CANCELLED" in text and "TRANSP:TRANSPARENT" in text


def test_a_recurring_event():
    text = written(replace(FIELDS, rrule="RRULE:FREQ=WEEKLY;UNTIL=20270401\nEXDATE:20270308T090000Z"))
    assert "RRULE:FREQ=WEEKLY;UNTIL=20270401T215959Z\r\n" in text
    assert "EXDATE;TZID=Europe/Berlin:20270308T100000\r\n" in text


# --- A change to an event that is there -----------------------------------------------------------------------------

THEIRS = (
    "BEGIN:VCALENDAR\r\nCALSCALE:GREGORIAN\r\nPRODID:-//Apple Inc.//iOS 18.5//EN\r\nVERSION:2.0\r\n"
    'X-ODD;A="b:c":1\r\n'
    "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nBEGIN:STANDARD\r\nDTSTART:19961027T030000\r\nTZOFFSETFROM:+0200\r\n"
    "TZOFFSETTO:+0100\r\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r\nEND:STANDARD\r\nBEGIN:DAYLIGHT\r\n"
    "DTSTART:19810329T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r\n"
    "END:DAYLIGHT\r\nEND:VTIMEZONE\r\n"
    "BEGIN:VEVENT\r\nSEQUENCE:4\r\nDTEND;X-P=1;TZID=Europe/Berlin:20270301T103000\r\nUID:apt_1@bridge.local\r\n"
    "DTSTAMP:20270115T000000Z\r\nDTSTAMP:20270116T000000Z\r\nLOCATION:Hauptstr. 1\\, Berlin\r\n"
    "SUMMARY;LANGUAGE=de:Intro call\\: Ada\\,\r\n  Example\r\nX-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-TITLE=\"a:b\r\n"
    " c\":geo:1,2\r\nDTSTART;TZID=Europe/Berlin:20270301T100000\r\nDESCRIPTION:Agenda\\;\\Nsecond line\r\n"
    "CATEGORIES:Öde,Blau\r\nSTATUS:CONFIRMED\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT15M\r\n"
    "DESCRIPTION:Soon\r\nDURATION:PT5M\r\nREPEAT:2\r\nEND:VALARM\r\nATTACH:https://example.com/x.pdf\r\nEND:VEVENT\r\n"
    "END:VCALENDAR\r\n"
)  # fmt: skip


def changed(text, fields):
    """The lines that a change takes away and brings, besides the time stamps and hints that come with any."""
    before, after = lines(text), lines(written(fields, onto=text))
    hints = ("X-CRM-", "DTSTAMP", "LAST-MODIFIED")
    gone = [line for line in before if line not in after and not line.startswith(hints)]
    new = [line for line in after if line not in before and not line.startswith(hints)]
    return gone, new


def test_nothing_changed_nothing_written():
    assert written(onto=THEIRS) == THEIRS
    assert written(onto=THEIRS.replace("\r\n", "\n")) == THEIRS.replace("\r\n", "\n")


def test_a_server_may_say_the_same_otherwise():
    """Times in UTC, a DURATION, no STATUS: nothing to write."""
    for ours, theirs in (
        ("DTSTART;TZID=Europe/Berlin:20270301T100000", "DTSTART:20270301T090000Z"),
        ("DTEND;X-P=1;TZID=Europe/Berlin:20270301T103000", "DURATION:PT30M"),
        ("STATUS:CONFIRMED\r\n", ""),
        ("TZID=Europe/Berlin:2027", "TZID=/freeassociation.sourceforge.net/Europe/Berlin:2027"),
    ):
        text = THEIRS.replace(ours, theirs)
        assert text != THEIRS
        assert written(onto=text) == text
        assert ical.upstream_fields(text, like=FIELDS) == FIELDS


def test_only_what_the_crm_changed_is_rewritten():
    gone, new = changed(THEIRS, replace(FIELDS, title="Renamed"))
    assert gone == ["SUMMARY;LANGUAGE=de:Intro call\\: Ada\\, Example"]
    assert new == ["SUMMARY;LANGUAGE=de:Renamed"]


def test_a_move_is_a_new_sequence():
    gone, new = changed(THEIRS, replace(FIELDS, start=at("2027-03-02 10:00"), end=at("2027-03-02 11:00")))
    assert new == [
        "SEQUENCE:5",
        "DTEND;X-P=1;TZID=Europe/Berlin:20270302T110000",
        "DTSTART;TZID=Europe/Berlin:20270302T100000",
    ]
    assert len(gone) == 3


def test_everything_else_survives_byte_for_byte():
    fields = replace(FIELDS, title="New", description="New", address="New", start=FIELDS.start + 60, status="new")
    text = written(fields, onto=THEIRS)
    for kept in (
        THEIRS[: THEIRS.index("BEGIN:VEVENT")],
        THEIRS[THEIRS.index("BEGIN:VALARM") : THEIRS.index("END:VALARM")],
        'X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-TITLE="a:b\r\n c":geo:1,2\r\n',
        "CATEGORIES:Öde,Blau\r\n",
        "ATTACH:https://example.com/x.pdf\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    ):
        assert kept in text
    assert ical.upstream_fields(text, like=fields) == fields
    assert written(fields, onto=text) == text


def test_the_objects_line_ends_are_kept():
    text = written(replace(FIELDS, title="x" * 200), onto=THEIRS.replace("\r\n", "\n"))
    assert "\r" not in text


def test_a_new_zone_brings_its_definition():
    text = written(replace(FIELDS, time_zone="America/New_York", start=FIELDS.start + 60), onto=THEIRS)
    assert text.count("BEGIN:VTIMEZONE") == 2
    assert text.index("TZID:America/New_York") < text.index("BEGIN:VEVENT")
    assert "DTSTART;TZID=America/New_York:20270301T040100" in text


def test_a_field_taken_away_and_one_that_was_not_there():
    gone, new = changed(THEIRS, replace(FIELDS, address="", description=""))
    assert gone == ["LOCATION:Hauptstr. 1\\, Berlin", "DESCRIPTION:Agenda\\;\\Nsecond line"] and new == []
    bare = THEIRS.replace("LOCATION:Hauptstr. 1\\, Berlin\r\n", "")
    assert changed(bare, FIELDS) == ([], ["LOCATION:Hauptstr. 1\\, Berlin"])


def test_a_meeting_link_changes_its_url_and_leaves_the_persons():
    link = replace(FIELDS, address="https://meet.example.com/1")
    with_link = written(link, onto=THEIRS)
    assert "URL:https://meet.example.com/1\r\n" in with_link
    assert "URL:https://meet.example.com/2\r\n" in written(
        replace(link, address="https://meet.example.com/2"), onto=with_link
    )
    assert "URL:" not in written(replace(link, address="Room 2"), onto=with_link)
    own = THEIRS.replace("STATUS:", "URL:https://example.com/own\r\nSTATUS:")
    assert "URL:https://example.com/own\r\n" in written(replace(FIELDS, address="Room 2"), onto=own)


SERIES = replace(FIELDS, rrule="RRULE:FREQ=WEEKLY;COUNT=5")
OVERRIDE = event(
    "RECURRENCE-ID;TZID=Europe/Berlin:20270308T100000",
    "DTSTART;TZID=Europe/Berlin:20270309T100000",
    "DTEND;TZID=Europe/Berlin:20270309T103000",
    "SUMMARY:Just this one",
    uid="apt_1@bridge.local",
)


def test_overrides_survive():
    text = written(SERIES).replace("END:VCALENDAR", OVERRIDE + "END:VCALENDAR")
    assert written(SERIES, onto=text) == text
    renamed = written(replace(SERIES, title="Renamed"), onto=text)
    assert OVERRIDE in renamed and "SUMMARY:Renamed" in renamed


def test_the_master_is_meant_wherever_it_stands():
    text = written(SERIES)
    text = text.replace("BEGIN:VEVENT", OVERRIDE + "BEGIN:VEVENT", 1)
    assert ical.upstream_fields(text, like=SERIES) == SERIES
    assert OVERRIDE in written(replace(SERIES, title="Renamed"), onto=text)


def test_a_changed_rule_replaces_rule_and_exceptions():
    before = written(replace(FIELDS, rrule="RRULE:FREQ=WEEKLY;COUNT=5\nEXDATE:20270308T090000Z"))
    text = written(replace(FIELDS, rrule="RRULE:FREQ=DAILY;COUNT=5"), onto=before)
    assert "RRULE:FREQ=DAILY;COUNT=5\r\n" in text and "EXDATE" not in text and "SEQUENCE:1\r\n" in text
    assert "RRULE:FREQ=DAILY" not in written(FIELDS, onto=text).partition("BEGIN:VEVENT")[2]


@pytest.mark.parametrize("there", ["", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", calendar(event("DTSTART:soon"))])
def test_where_there_is_no_event_to_change_a_new_one_is_written(there):
    assert written(onto=there) == written()


def test_single_times_of_an_event_that_can_not_be_read_stay_with_a_series_only():
    there = written(SERIES).replace("DTSTART;", "X-WAS;").replace("DTEND;", "X-END;")
    there = there.replace("END:VCALENDAR", OVERRIDE + "END:VCALENDAR")
    assert written(SERIES, onto=there) == written(SERIES).replace("END:VCALENDAR", OVERRIDE + "END:VCALENDAR")
    assert written(FIELDS, onto=there) == written()


# --- Reading back ---------------------------------------------------------------------------------------------------


def read(text, like=FIELDS):
    return ical.upstream_fields(text, like=like)


def test_what_a_person_changed_comes_back():
    moved = read(THEIRS.replace("20270301T1", "20270302T1"))
    assert moved == replace(FIELDS, start=FIELDS.start + 86_400, end=FIELDS.end + 86_400)
    renamed = read(THEIRS.replace("SUMMARY;LANGUAGE=de:Intro", "SUMMARY;LANGUAGE=de:My intro"))
    assert renamed.title == "My intro call: Ada, Example"
    assert read(THEIRS.replace("STATUS:CONFIRMED", "STATUS:CANCELLED")).status == "cancelled"
    assert read(THEIRS.replace("LOCATION:Hauptstr. 1\\, Berlin\r\n", "")).address == ""


def test_the_outcome_stays_with_the_crm():
    for status in ("showed", "noshow", "new", "active"):
        assert read(THEIRS, replace(FIELDS, status=status)).status == status
    assert read(THEIRS.replace("CONFIRMED", "CANCELLED"), replace(FIELDS, status="invalid")).status == "invalid"


def test_moved_to_another_zone_or_to_a_whole_day():
    new_york = "DTSTART;TZID=America/New_York:20270301T100000\r\nDTEND;TZID=America/New_York:20270301T103000"
    ours = "DTSTART;TZID=Europe/Berlin:20270301T100000\r\nDTEND;TZID=Europe/Berlin:20270301T103000"
    moved = read(written().replace(ours, new_york))
    assert (moved.time_zone, moved.start) == ("America/New_York", at("2027-03-01 10:00", "America/New_York"))
    day = read(written().replace(ours, "DTSTART;VALUE=DATE:20270301\r\nDTEND;VALUE=DATE:20270302"))
    assert (day.all_day, day.time_zone, day.start, day.end) == (True, BERLIN, at("2027-03-01"), at("2027-03-02"))


def test_a_series_in_icloud():
    assert read(written(SERIES), SERIES) == SERIES
    made = read(written().replace("STATUS:", "RRULE:FREQ=WEEKLY;UNTIL=20270401T080000Z\r\nSTATUS:"))
    assert made.rrule == "RRULE:FREQ=WEEKLY;UNTIL=20270401T080000Z"
    assert made.time_zone == BERLIN


def test_an_instance_deleted_in_icloud():
    """As an EXDATE, or as a cancelled override: both take it out."""
    as_exdate = written(SERIES).replace("STATUS:", "EXDATE;TZID=Europe/Berlin:20270308T100000\r\nSTATUS:")
    cancelled = event(
        "RECURRENCE-ID;TZID=Europe/Berlin:20270308T100000", "DTSTART:20270308T090000Z", "STATUS:CANCELLED"
    )
    as_override = written(SERIES).replace("END:VCALENDAR", cancelled + "END:VCALENDAR")
    for text in (as_exdate, as_override):
        fields = read(text, SERIES)
        assert fields.rrule == "RRULE:FREQ=WEEKLY;COUNT=5\nEXDATE:20270308T090000Z"
        assert written(fields, onto=text) == text
        assert "2027-03-08 10:00 +30" not in list(spoken(shown(fields).occurrences))


def test_an_event_that_can_not_be_read():
    for text in ("", calendar(event("DTSTART:soon")), calendar(event("DTSTART:soon", "DTEND:20270301T100000Z"))):
        with pytest.raises(Unreadable):
            read(text)


TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
RRULES = st.sampled_from(
    [
        None,
        "RRULE:FREQ=DAILY;COUNT=3",
        "RRULE:FREQ=WEEKLY;UNTIL=20300101",
        "RRULE:FREQ=WEEKLY;UNTIL=20300101T120000",
        "RRULE:FREQ=MONTHLY;UNTIL=20300101T120000Z;BYDAY=-1FR",
        "RRULE:FREQ=YEARLY;INTERVAL=2",
        "RRULE:FREQ=DAILY\nEXDATE:20280101T100000,20280102T100000\nEXDATE:20280103T090000Z",
        "RRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:20280101",
    ]
)


@st.composite
def fields_of_appointments(draw):
    zone = draw(st.sampled_from([None, BERLIN, "America/New_York", "Asia/Kolkata", "UTC", "Australia/Lord_Howe"]))
    all_day = zone is not None and draw(st.booleans())
    start = draw(st.integers(at("2027-01-01"), at("2029-12-31")))
    end = start + draw(st.integers(1, 10 * 86_400))
    if all_day:
        day = dt.datetime.fromtimestamp(start, ZoneInfo(zone)).replace(hour=0, minute=0, second=0)
        start = int(day.timestamp())
        end = int((day + dt.timedelta(days=draw(st.integers(1, 5)))).timestamp())
    return AppointmentFields(
        title=draw(TEXT),
        start=start,
        end=end,
        time_zone=zone,
        all_day=all_day,
        description=draw(TEXT),
        address=draw(TEXT | st.just("https://meet.example.com/x?a=1;b=2")),
        rrule=draw(RRULES),
        status=draw(
            st.sampled_from(["new", "confirmed", "active", "showed", "noshow", "completed", "cancelled", "invalid"])
        ),
    )


@settings(deadline=None, max_examples=150)
@given(fields_of_appointments(), fields_of_appointments())
def test_what_is_written_is_what_is_read(one, other):
    """For new events and for changes to events; and writing again changes nothing."""
    text = written(one)
    assert ical.upstream_fields(text, like=one) == one
    assert written(one, onto=text) == text
    after = written(other, onto=text)
    assert ical.upstream_fields(after, like=other) == other
    assert written(other, onto=after) == after
    assert all(len(line.encode()) <= 75 for line in after.split("\r\n"))
    theirs = ical.upstream_fields(text, like=other)
    assert (theirs.start, theirs.end, theirs.all_day) == (one.start, one.end, one.all_day) or one.all_day


# --- In the merged calendar -----------------------------------------------------------------------------------------


def test_an_appointment_as_clients_see_it():
    rendered = shown(replace(FIELDS, address="https://meet.example.com/1"))
    assert list(spoken(rendered.occurrences)) == ["2027-03-01 10:00 +30"]
    assert "UID:apt_1\r\n" in rendered.ics and "SUMMARY:Intro call: Ada\\, Example\r\n" in rendered.ics
    assert "DESCRIPTION:" in rendered.ics and "URL:https://meet.example.com/1" in rendered.ics
    assert "X-CRM" not in rendered.ics and "SEQUENCE" not in rendered.ics


def test_a_recurring_appointment_as_clients_see_it():
    rendered = shown(replace(FIELDS, rrule="RRULE:FREQ=WEEKLY;COUNT=3\nEXDATE:20270308T090000Z"))
    assert list(spoken(rendered.occurrences)) == ["2027-03-01 10:00 +30", "2027-03-15 10:00 +30"]
    assert rendered.ics.count("DESCRIPTION:") == 1 and "TZID:Europe/Berlin" in rendered.ics
    assert shown(replace(FIELDS, rrule="RRULE:FREQ=DAILY;COUNT=1\nEXDATE;VALUE=DATE:20270301")) is None


def test_an_appointment_without_length_is_shown_and_takes_no_time():
    rendered = shown(replace(FIELDS, end=FIELDS.start))
    assert rendered.occurrences == () and rendered.expanded is None
    assert "DTSTART:20270301T090000Z\r\nDTEND:20270301T090000Z" in rendered.ics


# --- A CRM's rules --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rrule",
    [
        "FREQ=WEEKLY",
        "RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=10",
        "rrule:freq=daily;interval=2;until=20301231T235959Z\r\nexdate:20270308T090000Z",
        "RRULE:FREQ=MONTHLY;BYDAY=-1FR\nEXDATE;TZID=Europe/Berlin:20270326T100000\nEXDATE;VALUE=DATE:20270430",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
    ],
)
def test_good_rules(rrule):
    assert ical.rrule_problem(rrule) is None
    canonical = ical.normalise_rrule(rrule)
    assert ical.rrule_problem(canonical) is None and ical.normalise_rrule(canonical) == canonical


@pytest.mark.parametrize(
    "rrule",
    [
        "",
        "hello",
        "FREQ=SOMETIMES",
        "FREQ=HOURLY",
        "FREQ=MINUTELY;COUNT=2",
        "FREQ=SECONDLY",
        "FREQ=DAILY;COUNT=3;UNTIL=20300101",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=1000000",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=99999",
        "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=DAILY;UNTIL=20300231",
        "FREQ=DAILY;UNTIL=20301332T000000Z",
        "FREQ=DAILY;UNTIL=00010101T000000Z",
        "FREQ=DAILY;BYHOUR=9,10",
        "FREQ=WEEKLY;BYDAY=MONDAY",
        "FREQ=WEEKLY;BYDAY=2MO",
        "FREQ=YEARLY;BYMONTH=13",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;DTSTART=20270301T100000Z",
        "DTSTART:20270301T100000Z\nRRULE:FREQ=DAILY",
        "RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY",
        "RRULE:FREQ=DAILY\nEXDATE:soon",
        "RRULE:FREQ=DAILY\nEXDATE;TZID=Narnia:20270301T100000",
        "RRULE:FREQ=DAILY\nRDATE:20270301T100000Z",
        "EXDATE:20270301T100000Z",
        "FREQ=DAILY;FREQ=WEEKLY",
        "FREQ=DAILY;ODD=1",
    ],
)
def test_bad_rules(rrule):
    problem = ical.rrule_problem(rrule)
    assert problem is not None and problem.endswith(".")


def test_a_rule_in_canonical_form():
    assert ical.normalise_rrule("count=3;byday=we,mo;freq=weekly\nEXDATE:20270315T090000Z,20270308T090000Z") == (
        "RRULE:FREQ=WEEKLY;COUNT=3;BYDAY=MO,WE\nEXDATE:20270308T090000Z,20270315T090000Z"
    )
    assert ical.normalise_rrule("FREQ=DAILY\nEXDATE;TZID=Europe/Berlin:20270301T100000") == (
        "RRULE:FREQ=DAILY\nEXDATE:20270301T090000Z"
    )


@pytest.mark.parametrize("until", ["99991231T235959Z", "99991231", "22010101T000000"])
def test_an_end_after_all_appointments_is_none(until):
    rrule = f"FREQ=WEEKLY;UNTIL={until}\nEXDATE:20270308T090000Z,99990101T000000Z\nEXDATE;VALUE=DATE:00010101"
    assert ical.rrule_problem(rrule) is None
    kept = ical.normalise_rrule(rrule)
    assert kept == "RRULE:FREQ=WEEKLY\nEXDATE:20270308T090000Z"
    text = written(replace(FIELDS, rrule=kept))
    assert "RRULE:FREQ=WEEKLY\r\n" in text
    theirs = text.replace("RRULE:FREQ=WEEKLY", f"RRULE:FREQ=WEEKLY;UNTIL={until}")
    assert read(theirs, like=replace(FIELDS, rrule=kept)).rrule == kept
    other = written(replace(FIELDS, rrule=kept, title="Other"), onto=theirs)
    assert f"UNTIL={until}" in other, "what says the same is not written anew"
