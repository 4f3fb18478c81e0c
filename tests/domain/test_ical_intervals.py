"""When events block: time zones, kinds of values, lengths, damage."""

import pytest

from bridge.domain import ical
from bridge.domain.model import Interval
from bridge.errors import Unreadable
from tests.ical_samples import BERLIN, at, blocked, calendar, event, one, sample, slot

VTIMEZONE = (
    "BEGIN:VTIMEZONE\r\nTZID:{}\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0300\r\n"
    "TZOFFSETTO:+0300\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
)


@pytest.mark.parametrize(
    "tzid",
    [
        "Europe/Berlin",
        "europe/berlin",
        '"Europe/Berlin"',
        "/freeassociation.sourceforge.net/Tzfile/Europe/Berlin",
        "/freeassociation.sourceforge.net/Europe/Berlin",
        "/mozilla.org/20070129_1/Europe/Berlin",
        "/softwarestudio.org/Olson_20011030_5/Europe/Berlin",
        "W. Europe Standard Time",
        "w. europe standard time",
        "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna",
        "CET",
    ],
)
def test_a_zone_is_known_by_any_of_its_names(tzid):
    """In July, so that a mere offset of an hour would be wrong."""
    assert one(f"DTSTART;TZID={tzid}:20270705T100000", f"DTEND;TZID={tzid}:20270705T110000") == ["2027-07-05 10:00 +60"]


@pytest.mark.parametrize(
    ("tzid", "utc"),
    [
        ("America/Argentina/Buenos_Aires", "13:00"),
        ("/mozilla.org/20070129_1/America/Argentina/Buenos_Aires", "13:00"),
        ("UTC", "10:00"),
        ("Etc/UTC", "10:00"),
        ("tzone://Microsoft/Utc", "10:00"),
        ("GMT+01:00", "09:00"),
        ("GMT+0100", "09:00"),
        ("UTC-05:30", "15:30"),
        ("+02:00", "08:00"),
        ("Etc/GMT+1", "11:00"),
        ("(GMT-05.00) Nowhere", "15:00"),
    ],
)
def test_other_zones_and_offsets(tzid, utc):
    assert one(f"DTSTART;TZID={tzid}:20270105T100000", "DURATION:PT1H", show="UTC") == [f"2027-01-05 {utc} +60"]


def test_a_zone_of_area_and_place_is_itself_whatever_the_vtimezone_says():
    ics = calendar(
        VTIMEZONE.format("Europe/Berlin"), event("DTSTART;TZID=Europe/Berlin:20270105T100000", "DURATION:PT1H")
    )
    assert blocked(ics) == ["2027-01-05 10:00 +60"]


@pytest.mark.parametrize("tzid", ["Our office", "EST", "GMT+01:00", "W. Europe Standard Time"])
def test_any_other_name_means_its_vtimezone(tzid):
    ics = calendar(VTIMEZONE.format(tzid), event(f"DTSTART;TZID={tzid}:20270105T100000", "DURATION:PT1H"))
    assert blocked(ics) == ["2027-01-05 08:00 +60"]


def test_an_unknown_zone_is_the_users():
    assert one("DTSTART;TZID=Narnia:20270105T100000", "DURATION:PT1H") == ["2027-01-05 10:00 +60"]
    assert one("DTSTART;TZID=Narnia:20270105T100000", "DURATION:PT1H", zone="Asia/Tokyo") == ["2027-01-05 02:00 +60"]


def test_a_vtimezone_that_says_nothing_useful_is_as_none():
    broken = "BEGIN:VTIMEZONE\r\nTZID:Office\r\nBEGIN:STANDARD\r\nTZOFFSETTO:later\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    assert blocked(calendar(broken, event("DTSTART;TZID=Office:20270105T100000", "DURATION:PT1H"))) == [
        "2027-01-05 10:00 +60"
    ]


def test_a_vtimezone_with_summer_time_and_an_ancient_start():
    assert blocked(sample("windows_zone_with_vtimezone")) == [
        "2027-03-26 09:00 +60",
        "2027-04-02 09:00 +60",
        "2027-04-09 09:00 +60",
    ]


def test_floating_times_and_days_are_the_users():
    assert one("DTSTART:20270105T100000", "DTEND:20270105T110000", zone="Asia/Tokyo") == ["2027-01-05 02:00 +60"]
    assert one("DTSTART;VALUE=DATE:20270105", zone="Asia/Tokyo", show="Asia/Tokyo") == ["2027-01-05 all day"]


@pytest.mark.parametrize(
    "day",
    ["DTSTART;VALUE=DATE:20270105", "DTSTART:20270105", "DTSTART;VALUE=DATE:20270105T000000", "dtstart:2027-01-05"],
)
def test_a_day_however_it_is_written(day):
    assert one(day) == ["2027-01-05 all day"]


@pytest.mark.parametrize(
    "value",
    ["20270105T090000Z", "2027-01-05T09:00:00Z", "20270105t0900z", "20270105T100000+0100", "20270105T090000.000Z"],
)
def test_a_time_however_it_is_written(value):
    assert one(f"DTSTART:{value}", "DURATION:PT1H") == ["2027-01-05 10:00 +60"]


def test_midnight_as_24_o_clock():
    assert one("DTSTART:20270105T220000", "DTEND:20270105T240000") == ["2027-01-05 22:00 +120"]


def test_days_that_last():
    assert one("DTSTART;VALUE=DATE:20270105", "DTEND;VALUE=DATE:20270108") == ["2027-01-05 all day x3"]
    assert one("DTSTART;VALUE=DATE:20270105", "DURATION:P2D") == ["2027-01-05 all day x2"]
    assert one("DTSTART;VALUE=DATE:20270105", "DTEND;VALUE=DATE:20270105") == ["2027-01-05 all day"]
    assert one("DTSTART;VALUE=DATE:20270105", "DURATION:PT30H") == ["2027-01-05 all day x2"]


def test_the_day_of_the_change_of_clocks_is_shorter():
    rendered = slot(calendar(event("DTSTART;VALUE=DATE:20270328")))
    assert rendered.occurrences[0].end - rendered.occurrences[0].start == 23 * 3600


def test_a_day_that_begins_at_one_o_clock():
    """In Beirut the clocks skip midnight."""
    rendered = slot(calendar(event("DTSTART;VALUE=DATE:20270328")), zone="Asia/Beirut")
    assert (rendered.first_start, rendered.last_end) == (
        at("2027-03-28 01:00", "Asia/Beirut"),
        at("2027-03-29", "Asia/Beirut"),
    )


def test_skipped_and_doubled_times():
    """RFC 5545 3.3.5: a skipped time counts by the offset before; a doubled one is the first."""
    assert one("DTSTART;TZID=Europe/Berlin:20270328T023000", "DURATION:PT1H") == ["2027-03-28 03:30 +60"]
    assert one("DTSTART;TZID=Europe/Berlin:20271031T023000", "DURATION:PT1H", show="UTC") == ["2027-10-31 00:30 +60"]


def test_days_of_a_duration_are_nominal_and_hours_exact():
    start = "DTSTART;TZID=Europe/Berlin:20270327T120000"
    assert one(start, "DURATION:P1D") == [f"2027-03-27 12:00 +{23 * 60}"]
    assert one(start, "DURATION:PT24H") == [f"2027-03-27 12:00 +{24 * 60}"]
    assert one(start, "DURATION:P1DT2H") == [f"2027-03-27 12:00 +{25 * 60}"]
    assert one(start, "DURATION:P1W") == [f"2027-03-27 12:00 +{(7 * 24 - 1) * 60}"]


def test_start_and_end_in_different_zones():
    assert one("DTSTART;TZID=Europe/Berlin:20270105T100000", "DTEND;TZID=America/New_York:20270105T120000") == [
        "2027-01-05 10:00 +480"
    ]


def test_what_has_no_length_blocks_nothing():
    assert one("DTSTART:20270105T100000") == []
    assert one("DTSTART:20270105T100000", "DTEND:20270105T100000") == []
    assert one("DTSTART:20270105T100000", "RRULE:FREQ=DAILY") == []


def test_what_has_an_impossible_length_blocks_an_hour():
    """Its start is certain; how long it takes nobody knows."""
    for end in ("DTEND:20270105T090000", "DTEND:tomorrow", "DURATION:-PT1H", "DURATION:long"):
        assert one("DTSTART:20270105T100000", end) == ["2027-01-05 10:00 +60"]
    assert one("DTSTART;VALUE=DATE:20270105", "DTEND;VALUE=DATE:20270103") == ["2027-01-05 all day"]


def test_a_date_with_a_time_as_its_end():
    assert one("DTSTART;VALUE=DATE:20270105", "DTEND:20270105T120000") == ["2027-01-05 00:00 +720"]
    assert one("DTSTART:20270105T120000", "DTEND;VALUE=DATE:20270106") == ["2027-01-05 12:00 +720"]


def test_an_unreadable_start_with_a_readable_end():
    assert one("DTSTART:soon", "DTEND:20270105T110000") == ["2027-01-05 10:00 +60"]


def test_damage_that_does_not_matter():
    """Doubled and empty properties, vendor parameters, wrong values, an alarm with times of its own."""
    assert blocked(sample("two_dtstamps_and_a_tzid_property")) == ["2027-03-01 10:00 +90"]


def test_doubled_and_empty_properties():
    assert one("DTSTART:", "DTSTART:20270105T100000", "DTEND:20270105T110000", "DTEND:20270105T120000", "RRULE:") == [
        "2027-01-05 10:00 +60"
    ]


@pytest.mark.parametrize(
    "change", [lambda t: "\ufeff" + t, lambda t: t.replace("\r\n", "\n"), lambda t: t.replace("\r\n", "\r")]
)
def test_marks_and_line_ends(change):
    text = calendar(event("DTSTART:20270105T100000", "DTE\r\n ND:20270105T11\r\n\t0000", "SUMMARY:Ä"))
    assert blocked(change(text)) == ["2027-01-05 10:00 +60"]


def test_a_character_folded_in_two():
    raw = calendar(event("DTSTART:20270105T100000Z", "DURATION:PT1H")).replace("UID:upstream", "UID:X").encode()
    raw = raw.replace(b"UID:X", "UID:Ü".encode()[:5] + b"\r\n " + "UID:Ü".encode()[5:])
    assert ical.identify(raw.decode(errors="surrogateescape")) == "Ü"


def test_without_a_calendar_around_it():
    assert blocked(event("DTSTART:20270105T100000", "DURATION:PT1H")) == ["2027-01-05 10:00 +60"]


def test_what_is_cut_short_blocks_as_far_as_it_is_known():
    assert blocked(sample("cut_short")) == ["2027-03-01 10:00 +60"]


def test_unrelated_events_in_one_object():
    """Each blocks by itself, and the unreadable one hides none of the others."""
    assert blocked(sample("several_unrelated_events")) == [
        "2027-03-01 10:00 +60",
        "2027-03-02 09:00 +30",
        "2027-03-05 all day",
        "2027-03-09 09:00 +30",
        "2027-03-16 09:00 +30",
    ]


def test_events_that_can_not_be_read_are_counted_and_what_was_known_of_them_is_kept():
    text = sample("several_unrelated_events")
    assert (ical.unread(text), ical.unread(sample("weekly_with_every_kind_of_override"))) == (1, 0)
    before = text.replace("DTSTART:sometime soon", "DTSTART:20270320T100000Z\nDURATION:PT1H")
    known = ical.with_last_known(text, before)
    assert "2027-03-20 11:00 +60" in blocked(known)
    assert ical.unread(known) == 0
    assert ical.with_last_known(before, text) == before
    assert ical.with_last_known(text, sample("cut_short")) == text, "nothing is known of it"


def test_a_changed_time_that_can_not_be_read_stays_where_it_was_last_known():
    weekly = event("DTSTART:20270104T090000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=2")
    moved = event("RECURRENCE-ID:20270111T090000Z", "DTSTART:20270112T140000Z", "DURATION:PT1H")
    broken = calendar(weekly, moved.replace("20270112T140000Z", "soon"))
    assert ical.unread(broken) == 1
    assert blocked(broken) == ["2027-01-04 10:00 +60", "2027-01-11 10:00 +60"], "nobody knows where it went"
    known = ical.with_last_known(broken, calendar(weekly, moved))
    assert blocked(known) == ["2027-01-04 10:00 +60", "2027-01-12 15:00 +60"]


def test_a_series_that_only_says_when_it_ends():
    assert one("DTSTART:soon", "DTEND:20270105T110000Z", "RRULE:FREQ=WEEKLY;COUNT=2") == [
        "2027-01-05 11:00 +60",
        "2027-01-12 11:00 +60",
    ]


def test_two_endless_series_in_one_object():
    ics = calendar(
        event("DTSTART:20270104T090000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY", uid="one"),
        event("DTSTART:20270105T090000Z", "DURATION:PT2H", "RRULE:FREQ=WEEKLY", uid="two"),
    )
    rendered = slot(ics)
    assert len(rendered.occurrences) == 2 * 104
    assert rendered.last_end is None


@pytest.mark.parametrize(
    "text", ["", "hello", "BEGIN:VCALENDAR\nEND:VCALENDAR", "BEGIN:VTODO\nUID:1\nEND:VTODO", "\x00\xff"]
)
def test_what_holds_no_event_is_unreadable(text):
    with pytest.raises(Unreadable):
        ical.identify(text)
    assert slot(text) is None


def test_the_reason_quotes_nothing():
    with pytest.raises(Unreadable) as caught:
        ical.identify(calendar(event("DTSTART:secret place", "SUMMARY:secret")))
    assert "secret" not in caught.value.reason


def test_a_uid_is_made_where_there_is_none():
    text = calendar(event("DTSTART:20270105T100000Z", "DURATION:PT1H")).replace("UID:upstream\r\n", "")
    assert ical.identify(text) == ical.identify(text) != ""
    assert ical.identify(sample("several_unrelated_events")) == "one"


def test_the_title_is_unescaped():
    assert ical.summary(calendar(event('SUMMARY:A\\, B\\; C\\nD\\\\E: "F"'))) == 'A, B; C\nD\\E: "F"'
    assert ical.summary(sample("two_dtstamps_and_a_tzid_property")) == "Zahnarzt; Dr. Weiß, wichtig"
    assert ical.summary("nothing") == ""


def test_the_years_at_the_ends_of_time():
    assert one("DTSTART:00010101T000000Z", "DURATION:PT1H", zone="Asia/Tokyo") != []
    assert one("DTSTART:99991230T100000", "DURATION:PT1H", zone="Asia/Tokyo") != []
    assert one("DTSTART:20270101T000000Z", "DURATION:P9999999D") != []
    assert one("DTSTART:99991231T235900Z", "DTEND:99991231T235959Z") != []
    assert one("DTSTART;VALUE=DATE:99991231") != []
    assert (
        one("DTSTART:00010101T000000Z", "DTEND:00010101T010000Z", "X-APPLE-TRAVEL-DURATION:PT2H", zone="Asia/Tokyo")
        != []
    )
    weekly = ("DTSTART:20281225T090000Z", "DTEND:20281225T100000Z", "RRULE:FREQ=WEEKLY;UNTIL=99991231T235959Z")
    assert one(*weekly, "EXDATE:99991227T090000Z") == ["2028-12-25 10:00 +60"], "within the horizon"
    assert one("DTSTART:20281225T090000Z", "DURATION:PT1H", "RDATE:99991231T235959Z")[0] == "2028-12-25 10:00 +60"


@pytest.mark.parametrize(
    "lines",
    [
        ["DTSTART:20270101T100000Z", "DTEND:99991231T235959Z"],
        ["DTSTART;VALUE=DATE:20270101", "DTEND;VALUE=DATE:99991231"],
        ["DTSTART:17000101T100000Z", "DTEND:21000101T100000Z"],
        ["DTSTART;VALUE=DATE:17000101", "DTEND;VALUE=DATE:21000101"],
        ["DTSTART:19000101T100000Z", "DTEND:23000101T110000Z", "RRULE:FREQ=YEARLY"],
        ["DTSTART;VALUE=DATE:17000101", "DTEND;VALUE=DATE:21000101", "RRULE:FREQ=DAILY"],
        ["DTSTART:18000101T100000Z", "DTEND:22000101T110000Z", "RRULE:FREQ=DAILY;UNTIL=19500101T000000Z"],
        ["DTSTART:19000101T100000Z", "DTEND:23000101T110000Z", "RRULE:FREQ=HOURLY"],
        ["DTSTART:20260101T100000Z", "DURATION:P146000D", "RRULE:FREQ=SECONDLY"],
        ["DTSTART:17000101T100000Z", "DURATION:PT1H", "RDATE;VALUE=PERIOD:17000201T000000Z/21000101T000000Z"],
    ],
)
def test_what_lasts_for_centuries_leaves_no_gap_and_is_no_endless_list(lines):
    text = calendar(event(*lines))
    rendered = slot(text)
    assert len(rendered.occurrences) <= 50_000
    day = Interval(at("2028-06-01"), at("2028-06-01") + 86_400)
    for found in (rendered.occurrences, ical.occurrences(rendered.ics, day, time_zone=BERLIN)):
        assert any(o.start <= day.start and o.end >= day.end for o in found)
