"""The mirror and the push at Radicale, Xandikos and the stand-in for iCloud with its ways."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest

from bridge.domain import plan
from bridge.domain.model import SyncState
from bridge.service import book, mirror, push, roles
from bridge.service.book import AppointmentChange
from tests import upstreams
from tests.upstreams import icloud

from .conftest import QuickDb, event
from .real import make_real_world


@pytest.fixture(params=["radicale", "xandikos", "icloud", "by_the_book"])
async def real(request, tmp_path):
    makers = {
        "radicale": lambda: upstreams.radicale(tmp_path / "server"),
        "xandikos": lambda: upstreams.xandikos(tmp_path / "server"),
        "icloud": lambda: icloud.running(icloud.Quirks()),
        "by_the_book": lambda: icloud.running(icloud.BY_THE_BOOK),
    }
    with makers[request.param]() as server:
        world = await make_real_world(tmp_path / "bridge.db", server)
        yield world
        await world.context.remotes.close()


def cloud(**quirks):
    """The stand-in for iCloud, with some ways changed."""
    return icloud.running(replace(icloud.Quirks(), **quirks))


async def poll(world):
    return await mirror.mirror_account(world.context, world.account_id)


def slots(world):
    return [item for item in world.merged().values() if item.href.startswith("ics_")]


def fill(world, count, name="Work"):
    for number in range(count):
        day = 1 + number % 28
        text = event(f"{name}{number}", start=f"202703{day:02}T100000", end=f"202703{day:02}T110000")
        world.person.put(world.urls[name], f"{number}.ics", text)


class Crash(BaseException):
    """The process dies here."""


class DiesOnce(QuickDb):
    """Dies after the first transaction, when the next one begins."""

    writes = 0

    @contextmanager
    def write(self):
        self.writes += 1
        if self.writes == 2:
            raise Crash
        with super().write() as tx:
            yield tx


async def stop_in_the_middle(world):
    """A run that dies after it has stored what is new, before it is recorded."""
    with pytest.raises(Crash):
        await mirror.mirror_account(replace(world.context, db=DiesOnce(world.db.path)), world.account_id)


async def test_the_circle_and_what_it_costs(real):
    fill(real, 12)
    await poll(real)
    assert len(slots(real)) == 12
    made = book.create_appointment(real.db, real.new(check_slot=False), now=real.now()).appointment
    await push.push_due(real.context)
    await poll(real)
    await poll(real)
    real.server.requests.clear()
    runs = await poll(real)
    assert len(real.server.requests) == 1, "one request when nothing changed"
    assert all(run.error is None for run in runs)
    # A change, a deletion, and an appointment that the person moves to another calendar.
    real.person.put(real.urls["Work"], "1.ics", event("Work1", start="20270320T100000", end="20270320T123000"))
    real.person.delete(real.urls["Work"], "2.ics")
    ((name, text),) = real.person.texts(real.urls["Home"]).items()
    real.person.delete(real.urls["Home"], name)
    real.person.put(real.urls["Work"], name, text)
    await poll(real)
    assert len(slots(real)) == 11
    assert any(item.last_end - item.first_start == 9000 for item in slots(real))
    stored = real.stored(made)
    assert (stored.fields.status, stored.calendar_id) == ("confirmed", real.ids["Work"])
    assert real.server.writes(real.urls["Work"]) == []


async def test_an_appointment_is_one_event_whatever_the_primary(real):
    made = book.create_appointment(real.db, real.new(check_slot=False), now=real.now()).appointment
    await push.push_due(real.context)
    book.update_appointment(
        real.db,
        made.id,
        AppointmentChange(fields={"title": "Second call"}),
        locations=None,
        expected_version=1,
        check_slot=False,
        now=real.now(),
    )
    await push.push_due(real.context)
    assert len([r for r in real.server.writes(real.urls["Home"]) if r.method == "PUT"]) == 2
    await roles.choose(real.context, "ada", primary=real.ids["Hobby"], conflicts=[real.ids["Home"]])
    for _ in range(3):
        await push.push_due(real.context)
        await poll(real)
        real.later(400)
    assert real.person.texts(real.urls["Home"]) == {}
    ((_, text),) = real.person.texts(real.urls["Hobby"]).items()
    assert "Second call" in text
    assert list(real.merged()) == [f"{made.id}.ics"]
    real.cancel(made)
    await push.push_due(real.context)
    assert real.person.texts(real.urls["Hobby"]) == {}


@pytest.mark.parametrize("alone", [True, False])
async def test_an_appointment_that_is_deleted_before_the_calendar_is_read_again(real, alone):
    fill(real, 12, "Home")
    await poll(real)
    made = book.create_appointment(real.db, real.new(check_slot=False), now=real.now()).appointment
    await push.push_due(real.context)
    (name,) = [name for name in real.person.texts(real.urls["Home"]) if made.id in name]
    real.person.delete(real.urls["Home"], name)
    if not alone:
        real.person.put(real.urls["Home"], "other.ics", event("other", start="20270401T100000", end="20270401T110000"))
    real.later(60)
    await poll(real)
    assert real.stored(made).fields.status == "cancelled"


async def test_an_event_that_is_deleted_after_a_run_that_died(real):
    fill(real, 12)
    await poll(real)
    real.person.put(real.urls["Work"], "new.ics", event("new", start="20270401T100000", end="20270401T110000"))
    await stop_in_the_middle(real)
    assert len(slots(real)) == 13
    real.person.delete(real.urls["Work"], "new.ics")
    real.person.put(real.urls["Work"], "1.ics", event("Work1", start="20270320T100000", end="20270320T123000"))
    real.later(60)
    await poll(real)
    assert len(slots(real)) == 12


@pytest.mark.parametrize("answer", ["everything", 400, 403, 404, 409, 410, 412, 507])
async def test_a_token_that_icloud_forgot(tmp_path, answer):
    with cloud(forgotten_token=answer) as server:
        world = await make_real_world(tmp_path / "bridge.db", server)
        fill(world, 12)
        await poll(world)
        world.person.forget_tokens()
        world.person.delete(world.urls["Work"], "3.ics")
        world.person.put(world.urls["Work"], "4.ics", event("Work4", title="Edited"))
        runs = await poll(world)
        assert [run.error for run in runs] == [None, None]
        assert len(slots(world)) == 11
        await world.context.remotes.close()


@pytest.mark.parametrize("quirk", [{"multiget": "leaves_out"}, {"multiget": "empty_hrefs"}, {"page_size": 5}])
async def test_ways_of_answering_with_objects(tmp_path, quirk):
    with cloud(**quirk) as server:
        world = await make_real_world(tmp_path / "bridge.db", server)
        fill(world, 12)
        await poll(world)
        assert len(slots(world)) == 12
        await world.context.remotes.close()


async def test_an_object_that_comes_later_than_its_listing(tmp_path):
    with cloud(late_data=3) as server:
        world = await make_real_world(tmp_path / "bridge.db", server)
        fill(world, 2)
        for _ in range(4):
            await poll(world)
        assert len(slots(world)) == 2
        assert [c.last_error for c in roles.list_calendars(world.db, "ada")] == [None] * 3
        await world.context.remotes.close()


@pytest.mark.parametrize("answer", [301, 403])
async def test_an_account_that_moves_to_another_partition(tmp_path, answer):
    with cloud(wrong_partition=answer) as server:
        world = await make_real_world(tmp_path / "bridge.db", server)
        fill(world, 12)
        await poll(world)
        before = world.merged()
        server.move_partition(world.person)
        await poll(world)
        assert world.merged() == before
        world.later(plan.HOLD_SECONDS)
        world.person.delete(world.urls["Work"], "3.ics")
        made = book.create_appointment(world.db, world.new(check_slot=False), now=world.now()).appointment
        await push.push_due(world.context)
        await poll(world)
        assert len(slots(world)) == 11
        assert world.stored(made).sync_state == SyncState.SYNCED
        await world.context.remotes.close()


@pytest.mark.parametrize("answer", [403, 409, 412, None])
async def test_a_uid_that_is_in_another_calendar_of_the_account(tmp_path, answer):
    with cloud(duplicate_uid=answer) as server:
        world = await make_real_world(tmp_path / "bridge.db", server)
        made = book.create_appointment(world.db, world.new(check_slot=False), now=world.now()).appointment
        world.person.put(world.urls["Hobby"], "copy.ics", event(made.uid))
        for _ in range(4):
            await push.push_due(world.context)
            world.later(400)
        assert world.stored(made).sync_state == SyncState.SYNCED
        assert len(world.person.texts(world.urls["Home"])) == 1
        await world.context.remotes.close()
