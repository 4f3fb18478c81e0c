"""Availability over a real store: what is read, how far ahead it is right, and racing bookings in several processes."""

import multiprocessing
from pathlib import Path

import pytest

from bridge.domain import ical
from bridge.domain.booking_calendars import BookingCalendar
from bridge.domain.model import Interval
from bridge.domain.publish import HORIZON_AHEAD
from bridge.domain.schedules import Schedule
from bridge.errors import BridgeError, CalendarsStale, NotBookable, SlotUnavailable
from bridge.service import availability, book, mirror
from bridge.service.availability import Participants, Question
from bridge.store import booking_calendars, schedules
from bridge.store.db import Db

from .conftest import NOW, event

DAY = 86_400
WEEK = Interval(NOW - NOW % DAY, NOW - NOW % DAY + 7 * DAY)
RULES = ({"type": "wday", "day": "tuesday", "intervals": [{"from": "09:00", "to": "12:00"}]},)


async def poll(world):
    await mirror.mirror_account(world.context, world.account_id)


def starts(world, span=WEEK, **rest):
    arguments = {"locations": None, "now": world.now(), "stale_seconds": 900, **rest}
    return availability.free_slots(world.db, world.booking_calendar_id, span, **arguments).starts


def work_on_tuesdays(world):
    schedule = Schedule("sch_1", "loc", "ada", "Work", "Europe/Berlin", RULES, (world.booking_calendar_id,), NOW, NOW)
    with world.db.write() as tx:
        schedules.put(tx, schedule)


def weekly(uid, start):
    return event(uid, start=start, end=start[:9] + "110000", extra="RRULE:FREQ=WEEKLY\r\n")


async def test_a_question_within_the_horizon_reads_no_calendar_data(world, monkeypatch):
    world.server.edit(world.urls["Work"], "a.ics", weekly("a", "20270308T100000"))
    await poll(world)
    monkeypatch.setattr(ical, "occurrences", lambda *_, **__: pytest.fail("calendar data was read"))
    found = starts(world)
    assert NOW + 3600 not in found
    assert NOW + 3 * 3600 in found


async def test_a_question_beyond_the_horizon_is_answered_rightly(world):
    world.server.edit(world.urls["Work"], "a.ics", weekly("a", "20270308T100000"))
    await poll(world)
    monday = WEEK.start + 7 * DAY * 150
    assert monday > NOW + HORIZON_AHEAD
    found = starts(world, Interval(monday, monday + DAY))
    hours = {(start - monday) // 1800 for start in found}
    assert {18, 19} & hours == set(), "ten to eleven in Berlin"
    assert len(found) == 14


async def test_a_hold_frees_its_time_when_it_expires(world):
    ten = NOW + DAY + 3600
    world_slot = book.NewBlockedSlot(
        location_id="loc",
        user_id="ada",
        booking_calendar_id=None,
        title="",
        start=ten,
        end=ten + 1800,
        time_zone=None,
        utc_offset=0,
        expires_at=NOW + 60,
    )
    book.create_blocked_slot(world.db, world_slot, now=NOW)
    assert ten not in starts(world)
    world.later(61)
    assert book.create_appointment(world.db, world.new(start=ten, end=ten + 1800), now=world.now())


async def test_a_calendar_that_was_never_read_is_never_free(world):
    with world.db.write() as tx:
        tx.execute("UPDATE calendars SET last_success_at = NULL WHERE role = 'conflict'")
    with pytest.raises(CalendarsStale):
        starts(world)
    with pytest.raises(CalendarsStale):
        book.create_appointment(world.db, world.new(), now=world.now())
    assert starts(world, stale_seconds=None)


async def test_who_shares_no_hours_has_no_slots_together(world):
    work_on_tuesdays(world)
    question = Question(participants=(Participants(("ada",)),), spans=(WEEK,), length=3600)
    found = availability.availability(world.db, question, locations=None, now=NOW, stale_seconds=900)
    assert found.offers, "a schedule that names a calendar does not hold for meetings without one"
    with world.db.write() as tx:
        schedules.put(tx, Schedule("sch_2", "loc", "ada", "All", "Europe/Berlin", RULES, (), NOW, NOW))
    found = availability.availability(world.db, question, locations=None, now=NOW, stale_seconds=900)
    assert [(o.end - o.start) for o in found.offers] == [3600] * 3


async def test_an_accepted_booking_is_one_that_was_offered(world):
    world.server.edit(world.urls["Work"], "a.ics", event("a", start="20270309T100000", end="20270309T101500"))
    await poll(world)
    work_on_tuesdays(world)
    tuesday = Interval(WEEK.start + DAY, WEEK.start + 2 * DAY)
    offered = starts(world, tuesday)
    accepted = []
    for start in range(tuesday.start, tuesday.end, 900):
        try:
            made = book.create_appointment(world.db, world.new(start=start, end=start + 1800), now=world.now())
        except (NotBookable, SlotUnavailable):
            continue
        accepted.append(start)
        book.delete_event(world.db, made.appointment.id, locations=None, expected_version=None, now=world.now())
    assert tuple(accepted) == offered


def _book(path: Path, new, ready, results) -> None:
    db = Db(path)
    ready.wait()
    try:
        results.put(book.create_appointment(db, new, now=NOW).appointment.id)
    except BridgeError as error:
        results.put(type(error).__name__)
    db.close()


async def test_of_several_processes_that_race_for_a_slot_one_gets_it(world):
    path = world.db.path
    world.db.close()
    fork = multiprocessing.get_context("fork")
    racers = 4
    ready, results = fork.Barrier(racers), fork.Queue()
    processes = [fork.Process(target=_book, args=(path, world.new(), ready, results)) for _ in range(racers)]
    for process in processes:
        process.start()
    answers = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    refused = [answer for answer in answers if not answer.startswith("apt_")]
    assert refused == ["SlotUnavailable"] * (racers - 1)
    with world.db.read() as tx:
        assert tx.execute("SELECT COUNT(*) FROM appointments").fetchone()[0] == 1


async def test_in_a_race_for_a_team_s_slot_nobody_is_booked_twice(world):
    with world.db.write() as tx:
        team = BookingCalendar("cal_team", "loc", "Team", ("ada",), 30, NOW, NOW, any_free_time=False)
        booking_calendars.put(tx, team)
    made = book.create_appointment(world.db, world.new(booking_calendar_id="cal_team"), now=NOW)
    assert made.appointment.user_id == "ada"
    with pytest.raises(SlotUnavailable):
        book.create_appointment(world.db, world.new(booking_calendar_id="cal_team"), now=NOW)
