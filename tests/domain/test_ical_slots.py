"""What becomes a blocked slot, and what clients get for it."""

import datetime as dt

import icalendar
import pytest

from bridge.domain import ical
from bridge.domain.model import BlockedSlot, Interval, SlotSettings
from tests.ical_samples import HORIZON, at, blocked, calendar, event, one, sample, slot, spoken, titled

TIMES = ("DTSTART;TZID=Europe/Berlin:20270301T100000", "DTEND;TZID=Europe/Berlin:20270301T110000")
DAY = ("DTSTART;VALUE=DATE:20270301",)
ME = "mailto:ada@example.com"


def answered(partstat):
    return f"ATTENDEE;PARTSTAT={partstat};CN=Ada:{ME}"


# --- What blocks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "TRANSP:TRANSPARENT",
        "transp:transparent",
        "STATUS:CANCELLED",
        answered("DECLINED"),
        'ATTENDEE;CN="Ada: me; or so";PARTSTAT="DECLINED":MAILTO:Ada@Example.COM',
        "ATTENDEE;PARTSTAT=DECLINED;EMAIL=ada@example.com:/123456/principal/",
    ],
)
def test_what_does_not_block(line):
    assert one(*TIMES, line) == []


@pytest.mark.parametrize(
    "line",
    [
        "TRANSP:OPAQUE",
        "TRANSP:",
        "STATUS:CONFIRMED",
        "STATUS:TENTATIVE",
        answered("ACCEPTED"),
        answered("NEEDS-ACTION"),
        answered("TENTATIVE"),
        answered("X-ODD"),
        "ATTENDEE;PARTSTAT=DECLINED:mailto:bob@example.com",
    ],
)
def test_what_blocks(line):
    assert one(*TIMES, line) == ["2027-03-01 10:00 +60"]


def test_settings_say_what_blocks():
    assert one(*TIMES, answered("NEEDS-ACTION"), unanswered_blocks=False) == []
    assert one(*TIMES, f"ATTENDEE:{ME}", unanswered_blocks=False) == []
    assert one(*TIMES, answered("ACCEPTED"), unanswered_blocks=False) != []
    assert one(*TIMES, answered("TENTATIVE"), tentative_blocks=False) == []
    assert one(*TIMES, "STATUS:TENTATIVE", tentative_blocks=False) == []
    assert one(*DAY, all_day_blocks=False) == []
    assert one(*TIMES, all_day_blocks=False) != []


def test_the_organiser_has_not_to_answer():
    assert one(*TIMES, f"ORGANIZER:{ME}", f"ATTENDEE:{ME}", unanswered_blocks=False) != []


def test_invited_under_two_addresses_the_firmer_answer_counts():
    """One of the addresses is not the owner's here, so only theirs counts; twice theirs: the firmer."""
    assert one(*TIMES, answered("DECLINED"), answered("ACCEPTED")) != []


@pytest.mark.parametrize(
    ("answers", "waits", "takes_time"),
    [
        ({"ada@icloud.example": "DECLINED"}, True, False),
        ({"ada@icloud.example": "DECLINED", "ada@work.example": "DECLINED"}, True, False),
        ({"ada@icloud.example": "DECLINED", "ada@work.example": "ACCEPTED"}, True, True),
        ({"ada@icloud.example": "DECLINED", "ada@work.example": "NEEDS-ACTION"}, True, True),
        ({"ada@icloud.example": "DECLINED", "ada@work.example": "NEEDS-ACTION"}, False, False),
        ({"ada@icloud.example": 'NEEDS-ACTION;DELEGATED-FROM="mailto:bob@example.com"'}, True, True),
        ({"ada@icloud.example": 'NEEDS-ACTION;DELEGATED-FROM="mailto:bob@example.com"'}, False, False),
        # Given to somebody else, and perhaps given back: nobody but the owner knows whether they are there.
        ({"ada@icloud.example": 'DELEGATED;DELEGATED-TO="mailto:bob@example.com"'}, False, True),
        ({"team@example.com": "DECLINED", "bob@example.com": "DECLINED"}, False, True),
    ],
)
def test_an_owner_of_several_addresses(answers, waits, takes_time):
    lines = [f"ATTENDEE;PARTSTAT={answer}:mailto:{address}" for address, answer in answers.items()]
    found = ical.blocked_slot(
        calendar(event(*TIMES, "ORGANIZER:mailto:boss@example.com", *lines)),
        uid="slot",
        settings=SlotSettings(unanswered_blocks=waits),
        time_zone="Europe/Berlin",
        addresses=frozenset({"ada@example.com", "ada@icloud.example", "ada@work.example"}),
        horizon=HORIZON,
    )
    assert (found is not None) is takes_time


def test_an_instance_that_was_declined():
    ics = calendar(
        event(*TIMES, "RRULE:FREQ=DAILY;COUNT=3", answered("ACCEPTED")),
        event("RECURRENCE-ID;TZID=Europe/Berlin:20270302T100000", "DTSTART:20270302T090000Z", "DURATION:PT1H",
              answered("DECLINED")),
    )  # fmt: skip
    assert blocked(ics) == ["2027-03-01 10:00 +60", "2027-03-03 10:00 +60"]


def test_travel_blocks_by_setting():
    travel = "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT45M"
    assert one(*TIMES, travel) == ["2027-03-01 09:15 +105"]
    assert one(*TIMES, travel, travel_blocks=False) == ["2027-03-01 10:00 +60"]
    assert one(*TIMES, travel, "RRULE:FREQ=WEEKLY;COUNT=2") == ["2027-03-01 09:15 +105", "2027-03-08 09:15 +105"]
    assert one(*TIMES, "X-APPLE-TRAVEL-DURATION:much") == ["2027-03-01 10:00 +60"]
    assert one("DTSTART:20270301T100000", travel) == ["2027-03-01 09:15 +45"]


def test_travel_across_midnight_in_a_series():
    """The rule speaks of Mondays; the travel begins on Sundays."""
    assert one("DTSTART;TZID=Europe/Berlin:20270301T003000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=3",
               "EXDATE;TZID=Europe/Berlin:20270308T003000", "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT1H") == [
        "2027-02-28 23:30 +120", "2027-03-14 23:30 +120"]  # fmt: skip


def test_travel_of_single_instances():
    ics = calendar(
        event(*TIMES, "RRULE:FREQ=DAILY;COUNT=3", "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT30M"),
        event("RECURRENCE-ID;TZID=Europe/Berlin:20270302T100000", "DTSTART:20270302T110000Z", "DURATION:PT1H"),
        event("RECURRENCE-ID;TZID=Europe/Berlin:20270303T100000", "DTSTART:20270303T110000Z", "DURATION:PT1H",
              "STATUS:CANCELLED"),
    )  # fmt: skip
    assert blocked(ics) == ["2027-03-01 09:30 +90", "2027-03-02 12:00 +60"]


# --- What clients get -----------------------------------------------------------------------------------------------


def test_a_slot_shows_nothing_but_its_time():
    text = slot(sample("two_dtstamps_and_a_tzid_property")).ics
    assert text.splitlines() == [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//CRM calendar bridge//EN", "BEGIN:VEVENT", "UID:slot",
        "DTSTAMP:20000101T000000Z", "SUMMARY:Busy", "TRANSP:OPAQUE", "DTSTART:20270301T090000Z",
        "DTEND:20270301T103000Z", "END:VEVENT", "END:VCALENDAR"]  # fmt: skip


def test_places_and_ways_as_apple_writes_them_hide_nothing():
    """Parameters with colons, commas, line breaks and dates of their own."""
    place = 'VALUE=URI;X-ADDRESS="Gasse 1: Hof, 10115";X-TITLE="Caf\\n:é; DTSTART:20270101T000000Z"'
    assert one(
        f"X-APPLE-STRUCTURED-LOCATION;{place}:geo:52.5,13.4",
        *TIMES,
        f"X-APPLE-TRAVEL-START;ROUTING=CAR;{place}:geo:52.5,13.4",
        "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT30M",
        "X-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC",
    ) == ["2027-03-01 09:30 +90"]


def test_the_title_by_setting():
    text = titled(sample("two_dtstamps_and_a_tzid_property")).ics
    assert "SUMMARY:Zahnarzt\\; Dr. Weiß\\, wichtig\r\n" in text
    assert ical.summary(text) == "Zahnarzt; Dr. Weiß, wichtig"


@pytest.mark.parametrize("kind", ["PRIVATE", "CONFIDENTIAL", "private", "X-SECRET"])
def test_private_events_never_show_their_title(kind):
    assert "SUMMARY:Busy" in titled(calendar(event(*TIMES, "SUMMARY:Secret", f"CLASS:{kind}"))).ics
    assert "SUMMARY:Open" in titled(calendar(event(*TIMES, "SUMMARY:Open", "CLASS:PUBLIC"))).ics


def test_private_is_private_instance_by_instance():
    instance = ("RECURRENCE-ID;TZID=Europe/Berlin:20270302T100000", "DTSTART:20270302T110000Z", "DURATION:PT1H")
    series = (*TIMES, "RRULE:FREQ=DAILY;COUNT=3")
    one_private = titled(
        calendar(event(*series, "SUMMARY:Open"), event(*instance, "SUMMARY:Secret", "CLASS:PRIVATE"))
    ).ics
    assert "SUMMARY:Open" in one_private and "Secret" not in one_private
    all_private = titled(
        calendar(event(*series, "SUMMARY:Secret", "CLASS:PRIVATE"), event(*instance, "SUMMARY:Secret 2"))
    ).ics
    assert "Secret" not in all_private


def test_a_title_is_one_line_of_text():
    text = titled(calendar(event(*TIMES, "SUMMARY:A\\nBEGIN:VALARM\x00\x07\\, " + "ä" * 100))).ics
    assert "\r\nBEGIN:VALARM" not in text
    assert ical.summary(text) == "A\nBEGIN:VALARM, " + "ä" * 100
    assert "SUMMARY:Busy" in titled(calendar(event(*TIMES, "SUMMARY: "))).ics


KEPT = {"UID", "DTSTAMP", "SUMMARY", "TRANSP", "DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE"}
KEPT |= {"RECURRENCE-ID"}
SAMPLES = [
    "several_unrelated_events",
    "overrides_without_a_master",
    "weekly_with_every_kind_of_override",
    "windows_zone_with_vtimezone",
    "two_dtstamps_and_a_tzid_property",
]


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_published_is_valid(name):
    """RFC 5545: lines and folds, one UID, every zone defined, nothing but what a blocked slot needs."""
    text = titled(sample(name)).ics
    lines = text.encode().split(b"\r\n")
    assert lines[-1] == b"" and all(len(line) <= 75 for line in lines) and b"\n" not in b"".join(lines)
    read = icalendar.Calendar.from_ical(text)
    assert "METHOD" not in read and read["VERSION"] == "2.0" and read["PRODID"]
    zones = {str(zone["TZID"]) for zone in read.walk("VTIMEZONE")}
    used = set()
    events = list(read.walk("VEVENT"))
    assert len([e for e in events if "RECURRENCE-ID" not in e]) == 1
    for one_event in events:
        assert not one_event.errors and not one_event.subcomponents
        assert set(one_event) <= KEPT
        assert one_event["UID"] == "slot" and one_event["TRANSP"] == "OPAQUE"
        for value in one_event.values():
            used |= {value.params["TZID"]} if "TZID" in getattr(value, "params", {}) else set()
    assert used == zones


@pytest.mark.parametrize("name", SAMPLES)
def test_equal_input_gives_equal_bytes(name):
    assert slot(sample(name)) == slot(sample(name))
    later = Interval(HORIZON.start + 86_400, HORIZON.end + 86_400)
    assert slot(sample(name)).etag == slot(sample(name), horizon=later).etag
    assert slot(sample(name)).etag == slot(sample(name).replace("DTSTAMP:2027", "DTSTAMP:2028")).etag


def test_a_zone_without_a_name_is_defined_as_it_is():
    """A recurring event in a zone of the object's own keeps its summer time, under a name that means nothing else."""
    text = slot(sample("windows_zone_with_vtimezone")).ics
    assert "Customized" not in text and "TZID:Zone/" in text
    assert list(spoken(ical.occurrences(text, HORIZON, time_zone="Asia/Tokyo"))) == blocked(
        sample("windows_zone_with_vtimezone")
    )


@pytest.mark.parametrize(
    "zone",
    [
        *("Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Mexico_City", "Asia/Tokyo", "Asia/Gaza"),
        *("Africa/Casablanca", "Australia/Lord_Howe"),
    ],
)
def test_the_zones_we_write_are_the_zones_that_are(zone):
    """Read by another implementation, under a name that it does not know, so that it has to read the VTIMEZONE."""
    ics = calendar(event(f"DTSTART;TZID={zone}:20270104T100000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=700"))
    text = slot(ics, horizon=Interval(at("2020-01-01"), at("2035-01-01"))).ics.replace(zone, zone.replace("/", "-"))
    read = icalendar.Calendar.from_ical(text)
    there = next(iter(read.walk("VTIMEZONE"))).to_tz()
    found = slot(ics).occurrences
    start = next(iter(read.walk("VEVENT"))).start.replace(tzinfo=None)
    theirs = [int((start + dt.timedelta(days=n)).replace(tzinfo=there).timestamp()) for n in range(len(found))]
    assert [o.start for o in found] == theirs


def test_floating_times_are_published_in_the_users_zone():
    """So that a client elsewhere shows them when availability says they are."""
    text = slot(calendar(event("DTSTART:20270301T100000", "DURATION:PT1H", "RRULE:FREQ=DAILY"))).ics
    assert "DTSTART;TZID=Europe/Berlin:20270301T100000" in text
    assert "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin" in text


def test_days_stay_days():
    text = slot(calendar(event("DTSTART;VALUE=DATE:20270301", "DTEND;VALUE=DATE:20270303", "RRULE:FREQ=YEARLY"))).ics
    assert "DTSTART;VALUE=DATE:20270301\r\nDTEND;VALUE=DATE:20270303\r\nRRULE:FREQ=YEARLY\r\n" in text


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTHDAY=-7",
        "FREQ=WEEKLY;BYMONTHDAY=1,2",
        "FREQ=MONTHLY;BYMONTH=3,4;BYMONTHDAY=1",
        "FREQ=YEARLY;BYWEEKNO=9;BYDAY=MO",
        "FREQ=YEARLY;BYDAY=20MO",
        "FREQ=DAILY;BYHOUR=10,12",
    ],
)
def test_rules_that_clients_trip_over_are_published_as_dates(rule):
    """Thunderbird's library never returns from the first, and refuses the whole object for the second."""
    rendered = slot(calendar(event(*TIMES, f"RRULE:{rule}")))
    body = rendered.ics.partition("BEGIN:VEVENT")[2]
    assert "RRULE:FREQ=YEARLY;COUNT=1" in body and "RDATE" in body
    assert rendered.last_end is None and rendered.expanded == HORIZON


def test_a_start_that_no_rule_yields_is_published_by_itself():
    rendered = slot(calendar(event(*TIMES, "RRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=2")))
    assert "DTSTART;TZID=Europe/Berlin:20270302T100000" in rendered.ics
    assert list(spoken(rendered.occurrences)) == [
        "2027-03-01 10:00 +60",
        "2027-03-02 10:00 +60",
        "2027-03-09 10:00 +60",
    ]


def test_an_exdate_of_nothing_is_not_published():
    """Some clients miss the one after it."""
    text = slot(calendar(event(*TIMES, "RRULE:FREQ=WEEKLY", "EXDATE:20270302T090000Z,20270308T090000Z"))).ics
    assert "EXDATE;TZID=Europe/Berlin:20270308T100000\r\n" in text


# --- What is known of a published object ----------------------------------------------------------------------------


def test_what_does_not_recur_is_known_in_full():
    rendered = slot(calendar(event(*TIMES)))
    assert rendered.expanded is None
    assert (rendered.first_start, rendered.last_end) == (at("2027-03-01 10:00"), at("2027-03-01 11:00"))
    long_ago = slot(calendar(event("DTSTART:19990101T100000Z", "DURATION:PT1H")))
    assert long_ago.expanded is None and len(long_ago.occurrences) == 1


def test_a_series_within_the_horizon_is_known_in_full():
    rendered = slot(calendar(event(*TIMES, "RRULE:FREQ=WEEKLY;COUNT=3")))
    assert rendered.expanded is None and rendered.last_end == at("2027-03-15 11:00")


def test_an_endless_series_is_known_within_the_horizon():
    rendered = slot(calendar(event(*TIMES, "RRULE:FREQ=WEEKLY")))
    assert (rendered.expanded, rendered.last_end, rendered.first_start) == (HORIZON, None, at("2027-03-01 10:00"))
    later = Interval(at("2031-01-01"), at("2031-02-01"))
    assert len(ical.occurrences(rendered.ics, later, time_zone="Europe/Berlin")) == 4


def test_a_series_that_is_over():
    rendered = slot(
        calendar(event("DTSTART:20100101T100000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;UNTIL=20110101T000000Z"))
    )
    assert rendered.occurrences == () and rendered.expanded == HORIZON
    assert rendered.last_end < HORIZON.start


def test_the_same_times_are_known_as_the_same():
    invitation = calendar(event(*TIMES, "RRULE:FREQ=WEEKLY", "SUMMARY:One"))
    same = calendar(event("DTSTART:20270301T090000Z", "DURATION:PT1H", "SUMMARY:Two"))
    assert slot(invitation).same_times == titled(invitation).same_times
    assert slot(calendar(event(*TIMES))).same_times == slot(same).same_times
    assert slot(invitation).same_times != slot(same).same_times
    assert slot(invitation).etag != titled(invitation).etag


def test_a_crm_slot():
    made = BlockedSlot(
        id="slot_1",
        location_id="l",
        user_id="u",
        booking_calendar_id=None,
        title="Lunch, long",
        start=at("2027-03-01 12:00"),
        end=at("2027-03-01 13:00"),
        time_zone="Europe/Berlin",
        utc_offset=3600,
        expires_at=None,
        version=1,
        created_at=0,
        updated_at=0,
        deleted_at=None,
    )
    rendered = ical.crm_slot(made)
    assert list(spoken(rendered.occurrences)) == ["2027-03-01 12:00 +60"]
    assert "UID:slot_1" in rendered.ics and "SUMMARY:Lunch\\, long" in rendered.ics


def test_too_much_at_once_is_one_stretch_in_the_end():
    """More series in one object than anybody could list."""
    many = "".join(
        event(
            f"DTSTART:2027{1 + n // 700:02}{1 + n // 25 % 28:02}T{n % 24:02}{n % 60:02}00Z",
            "DURATION:PT1M",
            uid=f"u{n}",
        )
        for n in range(4_000)
    )
    rendered = slot(calendar(many))
    assert len(rendered.occurrences) <= 2_001
    assert rendered.last_end >= at("2027-06-20")
