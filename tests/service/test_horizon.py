"""The horizon: occurrences are stored for some years around today, and today moves."""

from __future__ import annotations

import asyncio

import pytest

from bridge import worker
from bridge.domain import publish as decide
from bridge.domain.booking_calendars import COLLECTIVE, BookingCalendar
from bridge.domain.model import Interval
from bridge.errors import SlotUnavailable
from bridge.service import book, mirror, publish, users
from bridge.store import booking_calendars, occurrences, published

from .conftest import NOW, event

DAY = 86_400


async def weekly(world, count=1):
    for number in range(count):
        text = event(f"weekly-{number}", extra="RRULE:FREQ=WEEKLY\r\n")
        world.server.edit(world.urls["Home"], f"w{number}.ics", text)
    await mirror.mirror_account(world.context, world.account_id)


def stored(world, span):
    with world.db.read() as tx:
        hrefs = published.all_hrefs(tx, "ada")
        return {href: sorted(times) for href, times in occurrences.of_items(tx, "ada", hrefs, span).items()}


def revision(world):
    with world.db.read() as tx:
        return published.head(tx, "ada").revision


def all_moved(world, now, limit=100):
    moved = 0
    while step := publish.move_horizon(world.db, now=now, limit=limit):
        moved += step
    return moved


async def test_years_later_occurrences_are_still_stored_ahead(world):
    await weekly(world)
    before = revision(world)
    for years in range(1, 6):
        now = NOW + years * 365 * DAY
        assert all_moved(world, now) == 1
        (times,) = stored(world, Interval(now + 700 * DAY, now + 707 * DAY)).values()
        assert len(times) == 1
        assert stored(world, Interval(now - 500 * DAY, now - 450 * DAY)) == {}, "what is long over is let go"
    assert revision(world) == before, "clients are told nothing: the event is the same"


async def test_nothing_to_do_until_it_lags(world):
    await weekly(world)
    assert all_moved(world, NOW) == 0
    assert all_moved(world, NOW + 59 * DAY) == 0
    assert all_moved(world, NOW + 62 * DAY) == 1
    assert all_moved(world, NOW + 62 * DAY) == 0


async def test_a_few_at_a_time(world):
    await weekly(world, count=5)
    later = NOW + 100 * DAY
    assert [publish.move_horizon(world.db, now=later, limit=2) for _ in range(4)] == [2, 2, 1, 0]


async def test_single_events_are_left_alone(world):
    world.server.edit(world.urls["Home"], "once.ics", event("once"))
    await mirror.mirror_account(world.context, world.account_id)
    assert all_moved(world, NOW + 1000 * DAY) == 0


async def test_series_that_are_over_are_left_alone(world):
    text = event("years", start="20260308T100000", end="20260308T110000", extra="RRULE:FREQ=WEEKLY;COUNT=150\r\n")
    world.server.edit(world.urls["Home"], "years.ics", text)
    await mirror.mirror_account(world.context, world.account_id)
    now, moves = NOW, 0
    while now < NOW + 3000 * DAY:
        moves += all_moved(world, now)
        now += 100 * DAY
    assert moves < 20, "no more often than it went on"


async def test_removed_series_are_left_alone(world):
    await weekly(world)
    world.server.edit(world.urls["Home"], "w0.ics", None)
    await mirror.mirror_account(world.context, world.account_id)
    assert all_moved(world, NOW + 1000 * DAY) == 0


async def test_what_changed_while_it_was_expanded_is_not_overwritten(world):
    await weekly(world)
    later = NOW + 100 * DAY
    with world.db.read() as tx:
        found = published.least_expanded(tx, before=decide.horizon(later).end, limit=10)
    (item,) = found["ada"]
    moved = event("weekly-0", start="20270308T150000", end="20270308T160000", extra="RRULE:FREQ=WEEKLY\r\n")
    world.server.edit(world.urls["Home"], "w0.ics", moved)
    await mirror.mirror_account(world.context, world.account_id)
    span = Interval(NOW, NOW + 30 * DAY)
    after = stored(world, span)
    with world.db.write() as tx:
        published.expand(tx, "ada", [item])
    assert stored(world, span) == after != {}


async def test_busy_times_past_the_horizon_are_computed(world):
    await weekly(world)
    with world.db.read() as tx:
        user = publish.users.get(tx, "ada")
        end = decide.horizon(NOW).end
        for first in (NOW + 7 * DAY, end - 3 * DAY, end + 300 * DAY):
            assert len(publish.busy(tx, user, Interval(first, first + 7 * DAY))) == 1
        ((kind, length),) = {(b.kind, b.end - b.start) for b in publish.busy(tx, user, Interval(end, end + 90 * DAY))}
        assert (kind, length) == ("icloud", 3600)


async def test_the_worker_moves_it_as_days_pass(world):
    await weekly(world, count=3)
    world.later(500 * DAY)
    span = Interval(world.now() + 700 * DAY, world.now() + 707 * DAY)
    assert stored(world, span) == {}
    work = asyncio.create_task(worker._move_horizon(world.context))
    async with asyncio.timeout(30):
        while True:
            if len(stored(world, span)) == 3:
                break
            await asyncio.sleep(0.01)
    work.cancel()


# --- Recurring appointments that reach beyond it ---------------------------------------------------------------------

#: Tuesday at 09:00 in Berlin, like the appointment, three years on.
FAR = "20300312"


@pytest.mark.parametrize("extra", ["", "RRULE:FREQ=YEARLY\r\n"])
async def test_a_recurring_appointment_does_not_collide_with_what_is_years_ahead(world, extra):
    far = event("far", start=f"{FAR}T091500", end=f"{FAR}T094500", extra=extra)
    world.server.edit(world.urls["Work"], "far.ics", far)
    await mirror.mirror_account(world.context, world.account_id)
    for rule in ("RRULE:FREQ=WEEKLY", "RRULE:FREQ=WEEKLY;COUNT=160"):
        with pytest.raises(SlotUnavailable) as refused:
            book.create_appointment(world.db, world.new(rrule=rule), now=world.now())
        assert [kind for _, _, kind in refused.value.conflicts][:1] == ["icloud_event"]
    book.create_appointment(world.db, world.new(rrule="RRULE:FREQ=WEEKLY;COUNT=150"), now=world.now())


# --- Other time zones -------------------------------------------------------------------------------------------------


async def test_a_shared_appointment_takes_the_days_of_each_of_its_users(world):
    users.add_user(world.db, id="bob", location_id="loc", name="Bob", time_zone="Europe/Berlin", now=NOW)
    team = BookingCalendar("cal_team", "loc", "Team", ("ada", "bob"), 30, 0, 0, settings={"calendarType": COLLECTIVE})
    with world.db.write() as tx:
        booking_calendars.put(tx, team)
    days = {"start": NOW + 15 * 3600, "end": NOW + 39 * 3600, "all_day": True}  # Tuesday in Berlin
    world.make(booking_calendar_id="cal_team", **days)
    world.make(booking_calendar_id="cal_team", rrule="RRULE:FREQ=WEEKLY", **days)
    users.change_user(world.db, "bob", time_zone="Pacific/Apia", now=world.now())
    week = Interval(NOW - DAY, NOW + 6 * DAY)
    for user_id, first in (("ada", NOW + 15 * 3600), ("bob", NOW + 3 * 3600)):
        with world.db.read() as tx:
            busy = publish.busy(tx, publish.users.get(tx, user_id), week)
        assert [(one.start, one.end) for one in busy] == [(first, first + DAY)] * 2, user_id
