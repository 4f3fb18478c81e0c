"""`bridge explain`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.cli.test_accounts import EVENT, connect

if TYPE_CHECKING:
    from tests.cli.conftest import Command
    from tests.upstreams import Login


def test_why_a_time_is_blocked_and_what_became_of_an_event(anna: Command, home: Login) -> None:
    work = home.make_calendar("Work")
    home.make_calendar("Hobby")
    home.put(work, "dentist.ics", EVENT)
    connect(anna, home)
    anna.done("calendars", "set", "anna", "--conflict", "Work")

    said = anna.done("explain", "2027-03-01T11:30", "anna")
    assert "Anna (anna) is blocked at 2027-03-01T11:30+01:00." in said
    assert '"Busy" in Work, 2027-03-01T11:00+01:00 to 2027-03-01T12:00+01:00: blocks. It takes this time.' in said
    assert "Work (conflict) was last read" in said

    told = anna.json("explain", "2027-03-01T10:30:00Z", "anna")
    assert (told["blocked"], told["findings"][0]["uid"]) == (True, "dentist")
    assert not anna.json("explain", "2027-03-01T12:30")["blocked"], "the only user need not be named"

    home.put(work, "dentist.ics", EVENT.replace("SUMMARY", "TRANSP:TRANSPARENT\r\nSUMMARY"))
    anna.done("sync")
    said = anna.done("explain", "2027-03-01T11:30")
    assert "is free" in said
    assert "does not block. It is marked as free." in said
    assert "TRANSP:TRANSPARENT" in said

    said = anna.done("explain", "dentist")
    assert "merged calendar" in said
    assert "removed in revision 2" in said
    (thing,) = anna.json("explain", "dentist")
    assert thing["change"]["removed"]

    assert "is in one that is not read: Hobby (anna)" in anna.refused("explain", "climbing", "anna")


def test_an_event_is_told_in_the_time_zone_of_its_user(anna: Command, home: Login) -> None:
    work = home.make_calendar("Work")
    home.put(work, "dentist.ics", EVENT)
    all_day = "DTSTART;VALUE=DATE:20270306\r\nDTEND;VALUE=DATE:20270307"
    home.put(work, "fair.ics", re.sub(r"DTSTART.*DTEND[^\r]*", all_day, EVENT.replace("dentist", "fair"), flags=re.S))
    connect(anna, home)
    anna.done("calendars", "set", "anna", "--conflict", "Work")

    said = anna.done("explain", "dentist")
    assert "2027-03-01T11:00+01:00 to 2027-03-01T12:00+01:00: blocks" in said
    assert "blocks next      2027-03-01T11:00+01:00 to 2027-03-01T12:00+01:00" in said
    assert "all day from 2027-03-06 to 2027-03-06: blocks" in anna.done("explain", "fair")


def test_what_is_not_there(anna: Command) -> None:
    assert "or is in one that is not read." in anna.refused("explain", "never")
    for wrong in ("2027-13-01T10:00", "2027-03-09 25:00", "09.03.2027"):
        assert "A time is like 2027-03-09T10:00" in anna.refused("explain", wrong)
    assert anna("explain", "2027-03-01T10:30", "nobody").exit_code == 1
    anna.done("user", "add", "bea", "--location", "loc_1", "--time-zone", "Europe/Berlin")
    assert anna("explain", "2027-03-01T10:30").exit_code == 2, "whose time?"
