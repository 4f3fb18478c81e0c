"""A life with the bridge, at every server and in every single way of the stand-in for iCloud."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields

from bridge.domain.model import SyncState
from bridge.service import roles
from bridge.service.status import status
from tests.service.conftest import event
from tests.upstreams.icloud import Quirks

from .conftest import (
    DAY,
    FIRST,
    WAYS,
    assert_both_sides_equal,
    blocked,
    busy,
    events_of,
    fill,
    poll,
    rewrite,
    settle,
    the_event,
    writes,
)

SECOND = FIRST + 7 * DAY


def stamp(instant):
    return dt.datetime.fromtimestamp(instant, dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def nothing_is_wrong(world):
    (user,) = status(world.db)
    assert [c.trouble for a in user.accounts for c in a.calendars] == [None, None]
    assert (user.waiting, user.failed, user.advice) == (0, (), ())


def test_every_switch_is_tried_in_more_than_one_way():
    for field in fields(Quirks):
        assert len({getattr(quirks, field.name) for quirks in WAYS.values()}) > 1, field.name


async def test_what_a_person_does_with_their_events(every):
    """New, changed, deleted and moved events, series and single instances; and a server that forgets its tokens."""
    world, person = every, every.person
    fill(world, 12)
    series = event("standup", start="20270308T083000", end="20270308T084500", extra="RRULE:FREQ=WEEKLY;COUNT=5\r\n")
    person.put(world.urls["Work"], "standup.ics", series)
    await settle(world)
    assert (blocked(world), len(busy(world, FIRST - DAY - 3600))) == (13, 5 + 5), "8th to 12th, and five of a series"
    assert_both_sides_equal(world)
    nothing_is_wrong(world)

    person.put(world.urls["Work"], "8.ics", event("Work-8", start="20270309T100000", end="20270309T123000"))
    person.put(world.urls["Work"], "9.ics", event("Work-9", extra="TRANSP:TRANSPARENT\r\n"))
    person.delete(world.urls["Work"], "10.ics")
    person.delete(world.urls["Work"], "11.ics")
    person.put(world.urls["Home"], "11.ics", event("Work-11", start="20270312T100000", end="20270312T110000"))
    moved = (
        "BEGIN:VEVENT\r\nUID:standup\r\nDTSTAMP:20270301T000000Z\r\nRECURRENCE-ID;TZID=Europe/Berlin:20270315T083000\r\n"
        "DTSTART;TZID=Europe/Berlin:20270316T140000\r\nDTEND;TZID=Europe/Berlin:20270316T141500\r\nSUMMARY:Late\r\n"
        "END:VEVENT\r\n"
    )
    changed = series.replace("RRULE:", "EXDATE;TZID=Europe/Berlin:20270322T083000\r\nRRULE:")
    person.put(world.urls["Work"], "standup.ics", changed.replace("END:VCALENDAR", f"{moved}END:VCALENDAR"))
    await settle(world)
    assert_both_sides_equal(world)
    assert blocked(world) == 11
    monday = FIRST - DAY - 30 * 60  # 08:30 in Berlin is half an hour before `FIRST`'s time of day
    starts = [start for start, _ in busy(world, monday)]
    assert monday in starts
    assert monday + 7 * DAY not in starts, "moved"
    assert monday + 8 * DAY + 5 * 3600 + 1800 in starts, "to here"
    assert monday + 14 * DAY not in starts, "deleted"

    if hasattr(person, "forget_tokens"):
        person.forget_tokens()
    person.delete(world.urls["Work"], "8.ics")
    person.put(world.urls["Work"], "new.ics", event("new"))
    await settle(world)
    assert_both_sides_equal(world)
    assert blocked(world) == 11
    nothing_is_wrong(world)
    assert writes(world) + writes(world, "Work") + writes(world, "Hobby") == []

    await poll(world)
    world.later(60)
    world.server.requests.clear()
    await poll(world)
    asked = [request.method for request in world.server.requests if request.username == person.username]
    assert asked == ["PROPFIND"], "one request where nothing changed"


async def test_an_appointment_goes_out_once_in_place_and_follows_its_owner(every):
    """Out, changed from either side, single instances too, and cancelled from either side."""
    world, person = every, every.person
    fill(world, 3)
    others = person.texts(world.urls["Work"])
    once = world.make()
    weekly = world.make(start=FIRST + 7200, end=FIRST + 9000, rrule="RRULE:FREQ=WEEKLY;COUNT=3", title="Coaching")
    await settle(world)
    name, text = the_event(world, once)
    assert "ATTENDEE" not in text
    assert "ORGANIZER" not in text
    assert_both_sides_equal(world)
    nothing_is_wrong(world)
    assert {href for href in world.merged() if href.startswith("apt_")} == {f"{once.id}.ics", f"{weekly.id}.ics"}

    # The person's own additions survive what the CRM changes, and the event stays where it is.
    rewrite(world, once, "END:VEVENT", "X-MINE:keep me\r\nCOMMENT:bring cake\r\nEND:VEVENT")
    await settle(world)
    world.change(once, title="Second call", start=FIRST + 3600, end=FIRST + 5400)
    await settle(world)
    assert the_event(world, once)[0] == name
    assert all(words in the_event(world, once)[1] for words in ("Second call", "X-MINE:keep me", "COMMENT:bring cake"))
    assert world.stored(once).sync_state == SyncState.SYNCED

    # The person renames one, and moves a single instance of the other.
    rewrite(world, once, "SUMMARY:Second call", "SUMMARY:By hand")
    override = (
        f"BEGIN:VEVENT\r\nUID:{world.stored(weekly).uid}\r\nDTSTAMP:20270301T000000Z\r\n"
        f"RECURRENCE-ID:{stamp(SECOND + 7200)}\r\nDTSTART:{stamp(SECOND + 14_400)}\r\n"
        f"DTEND:{stamp(SECOND + 16_200)}\r\nSUMMARY:Coaching\r\nEND:VEVENT\r\n"
    )
    rewrite(world, weekly, "END:VCALENDAR", f"{override}END:VCALENDAR".replace("\\", r"\\"))
    await settle(world)
    assert world.stored(once).fields.title == "By hand"
    assert (SECOND + 14_400, SECOND + 16_200) in busy(world)
    assert (SECOND + 7200, SECOND + 9000) not in busy(world)
    assert_both_sides_equal(world)
    nothing_is_wrong(world)
    before = (person.texts(world.urls["Home"]), len(writes(world)))
    await settle(world)
    assert (person.texts(world.urls["Home"]), len(writes(world))) == before, "what is settled is not written again"

    # Cancelled by the CRM, and by the person.
    world.cancel(once)
    person.delete(world.urls["Home"], the_event(world, weekly)[0])
    await settle(world)
    assert world.stored(weekly).fields.status == "cancelled"
    assert events_of(world, once) + events_of(world, weekly) == []
    assert not any(href.startswith("apt_") for href in world.merged())
    assert person.texts(world.urls["Work"]) == others
    assert writes(world, "Work") + writes(world, "Hobby") == []
    assert writes(world).count("DELETE") <= 2, "the one that was cancelled, once more at most"
    if hasattr(world.server, "mails"):
        assert world.server.mails == []


async def test_another_primary(every):
    """Upcoming appointments move along, whatever the server thinks of a UID that it has seen before."""
    world = every
    once, weekly = world.make(), world.make(start=FIRST + 7200, end=FIRST + 9000, rrule="RRULE:FREQ=WEEKLY;COUNT=3")
    await settle(world)
    rewrite(world, weekly, "END:VEVENT", "X-MINE:keep me\r\nEND:VEVENT")
    await settle(world)
    await roles.choose(world.context, "ada", primary=world.ids["Hobby"], conflicts=[world.ids["Home"]])
    await settle(world)
    assert world.person.texts(world.urls["Home"]) == {}
    assert len(world.person.texts(world.urls["Hobby"])) == 2
    assert "X-MINE:keep me" in the_event(world, weekly, "Hobby")[1]
    assert sorted(world.merged()) == sorted([f"{once.id}.ics", f"{weekly.id}.ics"])
    assert_both_sides_equal(world, read=("Home", "Hobby"))
    nothing_is_wrong(world)
