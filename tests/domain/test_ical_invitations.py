"""The contact whom an event invites: written, recognised, taken back; everybody else is the person's business."""

from dataclasses import replace

import icalendar
import pytest

from bridge.domain import ical
from tests.domain.test_ical_appointments import FIELDS, NOW, booked, lines

SENDER = "ada@icloud.example"
INVITED = replace(FIELDS, invitee="Grace@Example.com")
CONTACT = {"contact": {"name": 'Grace "Amazing" Example; Ltd\n', "email": "Grace@Example.com"}}


def written(fields, onto=None, **changes):
    return ical.upstream_event(booked(fields, extra=CONTACT, **changes), now=NOW, onto=onto, sender=SENDER)


def people(text):
    return [line for line in lines(text) if line.startswith(("ORGANIZER", "ATTENDEE"))]


def test_a_new_event_invites_the_contact():
    text = written(INVITED)
    assert people(text) == [
        "ORGANIZER:mailto:ada@icloud.example",
        "ATTENDEE;CN=\"Grace 'Amazing' Example; Ltd\";CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION"
        ";RSVP=TRUE:mailto:Grace@Example.com",
    ]
    (read,) = icalendar.Calendar.from_ical(text).walk("VEVENT")
    assert not read.errors
    assert read["ATTENDEE"].params["CN"] == "Grace 'Amazing' Example; Ltd"


def test_nobody_is_invited_who_was_not_asked_for_or_by_nobody():
    assert people(written(FIELDS)) == []
    assert people(ical.upstream_event(booked(INVITED), now=NOW, onto=None)) == []


def test_written_and_read_it_is_the_same():
    text = written(INVITED)
    assert ical.upstream_fields(text, like=INVITED) == INVITED
    assert written(INVITED, onto=text, agreed=INVITED) == text, "what says so already is not written again"


@pytest.mark.parametrize("address", ["o'neil+x@example.com", "50%off@example.com", "a&b=c?d#e@example.com"])
def test_strange_addresses(address):
    assert ical.can_be_invited(address)
    fields = replace(FIELDS, invitee=address)
    text = written(fields)
    assert ical.upstream_fields(text, like=fields).invitee == address
    assert written(fields, onto=text, agreed=fields) == text


@pytest.mark.parametrize(
    "text", ["", "grace", "@example.com", "grace@", "a b@example.com", "a@b@c", "a@example.com\nX:y", 'a"b@example.com']
)
def test_what_is_no_address(text):
    assert not ical.can_be_invited(text)


@pytest.mark.parametrize(
    ("params", "answer"),
    [
        (";PARTSTAT=ACCEPTED", "accepted"),
        (";PARTSTAT=declined", "declined"),
        (";PARTSTAT=NEEDS-ACTION;RSVP=TRUE", None),
        ("", None),
    ],
)
def test_the_answer(params, answer):
    text = written(FIELDS).replace("END:VEVENT", f"ATTENDEE{params}:MAILTO:grace@example.COM\r\nEND:VEVENT")
    assert ical.answer(text, "Grace@Example.com") == answer
    by_principal = f"ATTENDEE{params};EMAIL=grace@example.com:/1234/principal/\r\nEND:VEVENT"
    assert ical.answer(written(FIELDS).replace("END:VEVENT", by_principal), "grace@example.com") == answer


def test_nobody_answers_where_nobody_is_invited():
    assert ical.answer(written(FIELDS), None) is None
    assert ical.answer(written(FIELDS), "grace@example.com") is None
    assert ical.answer("nothing", "grace@example.com") is None


ANSWERED = written(INVITED).replace("PARTSTAT=NEEDS-ACTION", "SCHEDULE-STATUS=2.0;PARTSTAT=ACCEPTED")
GUEST = (
    'ATTENDEE;CN="A colleague whose name is so long that whoever wrote it folded the line"\r\n'
    " ;PARTSTAT=ACCEPTED:mailto:guest@example.com\r\n"
)


def test_a_change_leaves_the_answer_and_the_persons_own_guests():
    onto = ANSWERED.replace("END:VEVENT", f"{GUEST}END:VEVENT")
    text = written(replace(INVITED, title="Other"), onto=onto, agreed=INVITED)
    assert text != onto
    assert people(text) == people(onto)
    assert GUEST in text, "byte for byte"


def test_the_invitation_taken_back():
    onto = ANSWERED.replace("END:VEVENT", f"{GUEST}END:VEVENT")
    text = written(FIELDS, onto=onto, agreed=INVITED)
    assert [line[:10] for line in people(text)] == ["ORGANIZER:", "ATTENDEE;C"]
    assert GUEST in text and "Grace" not in text


def test_another_contact_in_place_of_the_first():
    other = replace(FIELDS, invitee="joan@example.com")
    text = written(other, onto=ANSWERED, agreed=INVITED)
    assert [line.rpartition(":")[2] for line in people(text)] == ["ada@icloud.example", "joan@example.com"]
    assert ical.answer(text, "joan@example.com") is None


def test_invited_afterwards_all_of_its_times_invite():
    series = replace(FIELDS, rrule="RRULE:FREQ=WEEKLY;COUNT=3")
    moved = (
        "BEGIN:VEVENT\r\nUID:apt_1@bridge.local\r\nRECURRENCE-ID;TZID=Europe/Berlin:20270308T100000\r\n"
        "DTSTART;TZID=Europe/Berlin:20270308T140000\r\nDTEND;TZID=Europe/Berlin:20270308T143000\r\nEND:VEVENT\r\n"
    )
    onto = written(series).replace("END:VCALENDAR", f"{moved}END:VCALENDAR")
    invited = replace(series, invitee="grace@example.com")
    text = written(invited, onto=onto, agreed=series)
    assert [line[:8] for line in people(text)] == 2 * ["ATTENDEE", "ORGANIZE"]
    assert "ATTENDEE" not in written(series, onto=text, agreed=invited)


def test_whom_the_person_uninvited_is_not_invited_again():
    onto = written(FIELDS)
    assert ical.upstream_fields(onto, like=INVITED, sent=INVITED).invitee is None


def test_one_who_was_invited_before_is_told_from_the_persons_guests():
    assert ical.upstream_fields(ANSWERED, like=FIELDS).invitee is None
    assert ical.upstream_fields(ANSWERED, like=FIELDS, sent=INVITED).invitee == INVITED.invitee


def test_put_somewhere_else_another_invites():
    onto = ANSWERED.replace("END:VEVENT", f"{GUEST}END:VEVENT").replace("ada@icloud", "old@icloud")
    carried = ical.unsigned(onto, INVITED.invitee)
    assert [line.rpartition(":")[2] for line in people(carried)] == ["guest@example.com"]
    text = written(INVITED, onto=carried, carried=carried, agreed=INVITED)
    assert sorted(line.rpartition(":")[2] for line in people(text)) == [
        "Grace@Example.com",
        "ada@icloud.example",
        "guest@example.com",
    ]
    assert ical.answer(text, "grace@example.com") is None
    assert [line.rpartition(":")[2] for line in people(written(FIELDS, onto=carried, carried=carried))] == [
        "guest@example.com",
        "ada@icloud.example",
    ]
