"""Why a time is blocked or free: what is told agrees with what is served, and names the event and the rule."""

from __future__ import annotations

import random

import pytest

from bridge.domain import explain as decide
from bridge.domain import ical
from bridge.domain.explain import WORDS, Why
from bridge.domain.ical import Part
from bridge.domain.model import Interval, SlotSettings, Titles
from bridge.errors import Unknown
from bridge.service import book, explain, mirror, publish, push, roles
from bridge.service.status import status
from bridge.store import users

from .conftest import NOW, event

DAY = 86_400
#: Tuesday, 09:00 in Berlin.
AT = NOW + DAY
TUESDAY = {"start": "20270309T090000", "end": "20270309T100000"}


async def poll(world):
    await mirror.mirror_account(world.context, world.account_id)


async def put(world, text, name="event.ics", calendar="Work"):
    world.server.edit(world.urls[calendar], name, text)
    await poll(world)


def told(world, at=AT):
    return explain.time(world.db, "ada", at, now=world.now())


def whys(world, at=AT):
    return [finding.why for finding in told(world, at).findings]


def settings(world, calendar="Work", **changes):
    roles.set_slot_settings(world.context, "ada", world.ids[calendar], SlotSettings(**changes))


def stamp(text):
    return f"TZID=Europe/Berlin:{text}"


async def test_a_plain_event(world):
    await put(world, event("dentist", **TUESDAY))
    settings(world, titles=Titles.TITLE)
    answer = told(world)
    (finding,) = answer.findings
    assert (answer.blocked, finding.blocks, finding.why) == (True, True, Why.BLOCKS)
    assert (finding.title, finding.uid, finding.calendar.name) == ("Dentist", "dentist", "Work")
    assert (finding.start, finding.end) == (AT, AT + 3600)
    assert answer.not_read == ("Hobby",)
    assert {source.name for source in answer.sources} == {"Home", "Work"}
    assert not told(world, AT - 1).blocked
    assert told(world, AT + 3600).findings == ()


async def test_a_title_is_told_only_where_the_calendar_shows_titles(world):
    await put(world, event("dentist", **TUESDAY))
    assert told(world).findings[0].title == "Busy"
    settings(world, titles=Titles.TITLE)
    await put(world, event("dentist", **TUESDAY, extra="CLASS:PRIVATE\r\n"))
    assert told(world).findings[0].title == "Busy"


INVITED = "ORGANIZER:mailto:boss@example.com\r\nATTENDEE;PARTSTAT={}:mailto:ada@example.com\r\n"


@pytest.mark.parametrize(
    ("extra", "why", "lets_pass"),
    [
        ("TRANSP:TRANSPARENT\r\n", Why.TRANSPARENT, {}),
        ("STATUS:CANCELLED\r\n", Why.CANCELLED, {}),
        ("STATUS:TENTATIVE\r\n", Why.TENTATIVE, {"tentative_blocks": False}),
        (INVITED.format("TENTATIVE"), Why.TENTATIVE, {"tentative_blocks": False}),
        (INVITED.format("DECLINED"), Why.DECLINED, {}),
        (INVITED.format("NEEDS-ACTION"), Why.UNANSWERED, {"unanswered_blocks": False}),
    ],
)
async def test_an_event_that_does_not_block(world, extra, why, lets_pass):
    await put(world, event("meeting", **TUESDAY, extra=extra))
    if lets_pass:
        assert whys(world) == [Why.BLOCKS], "by the settings there are"
        settings(world, **lets_pass)
    answer = told(world)
    assert (answer.blocked, [f.why for f in answer.findings]) == (False, [why])
    assert not answer.findings[0].blocks
    assert answer.findings[0].rule


async def test_all_day_events_by_setting(world):
    day = event("day").replace("DTSTART;TZID=Europe/Berlin:20270308T100000", "DTSTART;VALUE=DATE:20270309")
    await put(world, day.replace("DTEND;TZID=Europe/Berlin:20270308T110000", "DTEND;VALUE=DATE:20270310"))
    assert whys(world) == [Why.BLOCKS]
    settings(world, all_day_blocks=False)
    assert whys(world) == [Why.ALL_DAY]


async def test_an_event_without_length(world):
    await put(world, event("mark", start="20270309T090000", end="20270309T090000"))
    answer = told(world)
    assert (answer.blocked, [f.why for f in answer.findings]) == (False, [Why.NO_LENGTH])


async def test_the_way_to_an_event(world):
    extra = "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT30M\r\n"
    await put(world, event("far", start="20270309T092000", end="20270309T100000", extra=extra))
    answer = told(world)
    assert (answer.blocked, [f.why for f in answer.findings]) == (True, [Why.TRAVEL])
    assert whys(world, AT + 1200) == [Why.BLOCKS]
    settings(world, travel_blocks=False)
    assert told(world).findings == ()


async def test_single_instances_of_a_series(world):
    series = event(
        "weekly",
        start="20270302T090000",
        end="20270302T100000",
        extra=f"RRULE:FREQ=WEEKLY;COUNT=6\r\nEXDATE;{stamp('20270316T090000')}\r\n",
    )
    changed = "".join(
        f"BEGIN:VEVENT\r\nUID:weekly\r\nDTSTAMP:20270301T000000Z\r\nRECURRENCE-ID;{stamp(was)}\r\nDTSTART;{stamp(start)}\r\n"
        f"DTEND;{stamp(end)}\r\nSUMMARY:Other\r\n{extra}END:VEVENT\r\n"
        for was, start, end, extra in (
            ("20270323T090000", "20270324T140000", "20270324T150000", ""),
            ("20270330T090000", "20270330T090000", "20270330T100000", "STATUS:CANCELLED\r\n"),
        )
    )
    await put(world, series.replace("END:VCALENDAR", f"{changed}END:VCALENDAR"))
    assert [(f.why, f.part) for f in told(world).findings] == [(Why.BLOCKS, Part.SERIES)]
    assert [(f.why, f.blocks) for f in told(world, AT + 7 * DAY).findings] == [(Why.DELETED, False)]
    (moved,) = told(world, AT + 14 * DAY).findings
    assert (moved.why, moved.moved_to) == (Why.MOVED, AT + 15 * DAY + 5 * 3600)
    assert [(f.why, f.part) for f in told(world, moved.moved_to).findings] == [(Why.BLOCKS, Part.OVERRIDE)]
    assert whys(world, AT + 21 * DAY - 3600) == [Why.CANCELLED], "an hour earlier in UTC: summer time"


async def test_an_invitation_in_two_calendars_counts_once(world):
    await put(world, event("meeting", **TUESDAY), calendar="Home")
    await put(world, event("meeting", **TUESDAY), calendar="Work")
    answer = told(world)
    assert [(f.calendar.name, f.why) for f in answer.findings] == [("Home", Why.BLOCKS), ("Work", Why.DUPLICATE)]


async def test_what_can_not_be_read(world):
    await put(world, event("dentist", **TUESDAY))
    await put(world, "BEGIN:VCALENDAR\r\nrubbish")
    (finding,) = told(world).findings
    assert (finding.why, finding.blocks) == (Why.LAST_KNOWN, True)
    assert finding.trouble
    await put(world, "rubbish", name="other.ics")
    answer = told(world)
    assert len(answer.findings) == 1
    assert [f.why for f in answer.unreadable] == [Why.UNREADABLE]


async def test_one_event_among_others_that_can_not_be_read(world):
    """It is counted and told, hides none of the others, and takes the time that was last known of it."""
    weekly = event("standup", **TUESDAY, extra="RRULE:FREQ=WEEKLY;COUNT=3\r\n")
    moved = (
        "BEGIN:VEVENT\r\nUID:standup\r\nDTSTAMP:20270301T000000Z\r\nRECURRENCE-ID;TZID=Europe/Berlin:20270316T090000\r\n"
        "DTSTART;TZID=Europe/Berlin:20270316T140000\r\nDTEND;TZID=Europe/Berlin:20270316T150000\r\nEND:VEVENT\r\n"
    )
    both = weekly.replace("END:VCALENDAR", f"{moved}END:VCALENDAR")
    await put(world, both)
    there = [AT, AT + 7 * DAY + 5 * 3600, AT + 14 * DAY]
    # The series itself is damaged, the changed time is moved on.
    damaged = both.replace(":20270309T", ":whenever").replace("20270316T140000", "20270316T143000")
    world.server.edit(world.urls["Work"], "event.ics", damaged)
    _, run = await mirror.mirror_account(world.context, world.account_id)
    assert (run.fetched, run.unreadable) == (1, 1)
    assert [whys(world, at) for at in there] == [[Why.LAST_KNOWN], [], [Why.LAST_KNOWN]]
    assert whys(world, there[1] + 1800) == [Why.LAST_KNOWN]
    assert not told(world, AT + 7 * DAY).blocked
    (user,) = status(world.db, "ada")
    (work,) = [c for a in user.accounts for c in a.calendars if c.name == "Work"]
    assert (work.objects, work.unreadable) == (1, 1)
    assert "One of its events" in told(world).findings[0].trouble
    # Never readable: nobody knows when it is, and that is told at any time.
    await put(
        world,
        event("one", start="20270310T090000", end="20270310T100000").replace(
            "END:VCALENDAR", "BEGIN:VEVENT\r\nUID:two\r\nDTSTART:whenever\r\nEND:VEVENT\r\nEND:VCALENDAR"
        ),
        name="two.ics",
    )
    assert told(world, AT + DAY).blocked
    assert [one.why for one in told(world, AT + 20 * DAY).unreadable] == [Why.UNREADABLE]
    # Mended, it is like any other.
    await put(world, both)
    await put(world, event("one", start="20270310T090000", end="20270310T100000"), name="two.ics")
    assert whys(world) == [Why.BLOCKS]
    assert told(world).unreadable == ()


async def test_appointments_and_blocked_slots_of_the_crm(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    assert whys(world) == [Why.APPOINTMENT]
    await push.push_due(world.context)
    await poll(world)
    assert [(f.why, f.blocks) for f in told(world).findings] == [(Why.APPOINTMENT, True), (Why.ECHO, False)]
    world.cancel(made)
    await push.push_due(world.context)
    answer = told(world)
    assert (answer.blocked, [f.why for f in answer.findings]) == (False, [Why.NOT_WANTED])


async def test_a_hold(world):
    new = book.NewBlockedSlot(
        location_id="loc",
        user_id="ada",
        booking_calendar_id=None,
        title="Held",
        start=AT,
        end=AT + 1800,
        time_zone=None,
        utc_offset=0,
        expires_at=NOW + 600,
    )
    slot = book.create_blocked_slot(world.db, new, now=world.now())
    assert whys(world) == [Why.CRM_SLOT]
    world.later(600)
    book.expire_holds(world.db, now=world.now())
    assert whys(world) == [Why.EXPIRED]
    assert not told(world).blocked
    (thing,) = explain.thing(world.db, slot.id, now=world.now())
    assert (thing.change.removed, [f.why for f in thing.findings]) == (True, [Why.EXPIRED])


async def test_an_event_by_its_uid_and_by_its_slot_s_id(world):
    await put(world, event("weekly", **TUESDAY, extra="RRULE:FREQ=WEEKLY;COUNT=3\r\n"))
    (thing,) = explain.thing(world.db, "weekly", now=world.now())
    assert [(f.why, f.part) for f in thing.findings] == [(Why.BLOCKS, Part.SERIES)]
    assert [one.start for one in thing.next_times] == [AT, AT + 7 * DAY, AT + 14 * DAY]
    assert not thing.change.removed
    (href,) = world.merged()
    for key in (href.removesuffix(".ics"), f"{href.removesuffix('.ics')}_{AT}"):
        assert explain.thing(world.db, key, now=world.now()) == [thing]
    with pytest.raises(Unknown):
        explain.thing(world.db, "never heard of", now=world.now())


async def test_an_appointment_s_pushes(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    (thing,) = explain.thing(world.db, made.id, now=world.now())
    assert [push.entry.state for push in thing.pushes] == ["ready"]
    await push.push_due(world.context)
    (thing,) = explain.thing(world.db, made.uid, now=world.now())
    assert [push.entry.state for push in thing.pushes] == ["done"]
    assert thing.appointment.id == made.id
    assert [f.why for f in thing.findings] == [Why.APPOINTMENT, Why.ECHO]


async def test_another_location_s_users_and_events_do_not_exist(world):
    await put(world, event("dentist", **TUESDAY))
    made = book.create_appointment(world.db, world.new(check_slot=False), now=world.now()).appointment
    elsewhere = frozenset({"other"})
    for key in ("dentist", made.id):
        with pytest.raises(Unknown):
            explain.thing(world.db, key, now=world.now(), locations=elsewhere)
    with pytest.raises(Unknown):
        explain.time(world.db, "ada", AT, now=world.now(), locations=elsewhere)


async def test_events_at_other_times_are_not_read_for_it(world, monkeypatch):
    for number in range(20):
        day = event(f"e{number}", start=f"202703{number + 10}T090000", end=f"202703{number + 10}T100000")
        world.server.edit(world.urls["Work"], f"{number}.ics", day)
    await put(world, event("dentist", **TUESDAY))
    read = []
    monkeypatch.setattr(decide, "verdicts", lambda item, *_, **__: read.append(item.uid) or [])
    told(world)
    assert read == ["dentist"]


async def test_what_is_told_agrees_with_what_is_served(world, monkeypatch):
    """At any time: blocked where, and only where, something is told that blocks; and nothing is left out."""
    chance = random.Random(7)
    extras = ["", "", "", "TRANSP:TRANSPARENT\r\n", "STATUS:CANCELLED\r\n", "RRULE:FREQ=DAILY;INTERVAL=2;COUNT=5\r\n"]
    extras += [
        f"RRULE:FREQ=WEEKLY;BYDAY=MO,TH;COUNT=4\r\nEXDATE;{stamp('20270311T090000')}\r\n",
        "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT45M\r\n",
        INVITED.format("DECLINED"),
        INVITED.format("NEEDS-ACTION"),
    ]
    for number in range(40):
        day, hour, length = chance.randint(8, 19), chance.randint(7, 18), chance.randint(0, 3)
        text = event(
            f"e{number % 30}",
            start=f"202703{day:02}T{hour:02}0000",
            end=f"202703{day:02}T{hour + length:02}0000",
            extra=chance.choice(extras),
        )
        world.server.edit(world.urls[chance.choice(("Home", "Work"))], f"{number}.ics", text)
    await poll(world)
    for _ in range(3):
        start = NOW + chance.randint(0, 10) * DAY + chance.randint(0, 20) * 1800
        book.create_appointment(world.db, world.new(start=start, end=start + 1800, check_slot=False), now=world.now())
    await push.push_due(world.context)
    await poll(world)
    with world.db.read() as tx:
        user = users.get(tx, "ada")
        instants = [NOW + 900 + n * 3600 for n in range(12 * 24)]
        busy = publish.busy(tx, user, Interval(NOW, NOW + 13 * DAY))
    both = 0
    for at in instants:
        answer = told(world, at)
        assert answer.blocked == any(one.start <= at < one.end for one in busy)
        assert answer.blocked == any(finding.blocks for finding in answer.findings), at
        if at % 7 == 0:
            with monkeypatch.context() as patch:
                patch.setattr(ical, "is_plain", lambda _: False)
                assert told(world, at) == answer, "as if every event had been read"
        both += bool(answer.findings)
    assert both > 50


def test_everything_that_can_be_told_has_words():
    assert WORDS.keys() == set(Why)
