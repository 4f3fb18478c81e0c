"""A crash at any step, and a start afterwards, ends as if there had been none."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace

import pytest

from bridge.remote.memory import MemoryRemote, MemoryServer
from bridge.service import book, connect, mirror, push, roles
from bridge.service.book import AppointmentChange
from bridge.store import appointments, outbox

from .agreement import assert_agreement, run_to_quiescence
from .conftest import NOW, MemoryRemotes, QuickDb, event, make_world


class Crash(BaseException):
    """The process dies here."""


class Steps:
    """Counts external steps, and dies at one of them."""

    def __init__(self, fatal):
        self.fatal = fatal
        self.taken = 0

    def step(self):
        if self.taken == self.fatal:
            self.taken += 1
            raise Crash
        self.taken += 1

    @property
    def fired(self):
        return self.taken > self.fatal


class CrashingDb(QuickDb):
    """Dies before a transaction, before its commit, or right after it."""

    steps: Steps

    @contextmanager
    def write(self):
        self.steps.step()
        with super().write() as tx:
            yield tx
            self.steps.step()
        self.steps.step()


class CrashingRemote(MemoryRemote):
    """Dies before a request is sent, or before its answer arrives."""

    def __init__(self, steps, *login):
        super().__init__(*login)
        self.steps = steps


def _dying(name):
    async def call(self, *args, **options):
        self.steps.step()
        answer = await getattr(MemoryRemote, name)(self, *args, **options)
        self.steps.step()
        return answer

    return call


for _name in ("discover", "calendars", "changes", "listing", "multiget", "get", "put", "delete"):
    setattr(CrashingRemote, _name, _dying(_name))


class CrashingRemotes(MemoryRemotes):
    steps: Steps

    def for_login(self, provider, username, password):
        return CrashingRemote(self.steps, self.server, username, password)

    def for_account(self, account):
        return self.for_login(account.provider, account.username, account.secret.decode())


def doomed(world, steps):
    """The same world, but dying at a step."""
    db = CrashingDb(world.db.path)
    db.steps = steps
    remotes = CrashingRemotes(world.server)
    remotes.steps = steps
    return replace(world, context=replace(world.context, db=db, remotes=remotes))


def reopened(world):
    """The same world in a new process."""
    db = QuickDb(world.db.path)
    with db.write() as tx:
        outbox.release_leases(tx, now=world.now())
    return replace(world, context=replace(world.context, db=db, remotes=MemoryRemotes(world.server)))


def copied(world, path):
    """The same world once more, to ruin."""
    with world.db.read() as tx, sqlite3.connect(path) as copy:
        tx.execute("COMMIT")
        tx.backup(copy)
        tx.execute("BEGIN")
    server = deepcopy(world.server)
    clock = [world.now()]
    context = replace(world.context, db=QuickDb(path), remotes=MemoryRemotes(server), clock=lambda: clock[0])
    return replace(world, context=context, server=server, clock=clock)


def only(world):
    with world.db.read() as tx:
        (booked,) = appointments.of_user(tx, "ada")
    return booked


async def poll(world):
    await mirror.mirror_account(world.context, world.account_id)


# Each scenario: what is so before, and what is done, as often as it takes. Doing it again is what a caller does that
# got no answer.


async def nothing(world):
    pass


async def booked(world):
    book.create_appointment(world.db, world.new(external_id="one", check_slot=False), now=world.now())
    await push.push_due(world.context)
    await poll(world)


async def create(world):
    book.create_appointment(world.db, world.new(external_id="one"), now=world.now())
    await push.push_due(world.context)
    await poll(world)


async def update(world):
    change = AppointmentChange(fields={"title": "Second call", "start": NOW + 90_000, "end": NOW + 93_600})
    book.update_appointment(
        world.db, only(world).id, change, locations=None, expected_version=None, check_slot=False, now=world.now()
    )
    await push.push_due(world.context)
    await poll(world)


async def cancel(world):
    with world.db.read() as tx:
        still = appointments.of_user(tx, "ada")
    for one in still:
        world.cancel(one)
    await push.push_due(world.context)
    await poll(world)


async def change_primary(world):
    await roles.choose(
        world.context, "ada", primary=world.ids["Hobby"], conflicts=[world.ids["Work"], world.ids["Home"]]
    )
    await push.push_due(world.context)
    await poll(world)


async def reconnect(world):
    with world.db.read() as tx:
        known = {account.id for account in connect.accounts.all_of(tx, "ada")}
    if world.account_id in known:
        await connect.disconnect(world.context, "ada", world.account_id)
        assert not [href for href in world.merged() if href.startswith("ics_")]
    await connect.connect(world.context, "ada", "icloud", world.server.username, world.server.password)
    ids = {c.name: c.id for c in roles.list_calendars(world.db, "ada")}
    await roles.choose(world.context, "ada", primary=ids["Home"], conflicts=[ids["Work"]])
    await push.push_due(world.context)


async def edited(world):
    """The person edits, moves and deletes events, and moves one to another calendar."""
    home, work = world.urls["Home"], world.urls["Work"]
    await booked(world)
    for number in range(4):
        world.server.edit(work, f"{number}.ics", event(f"w{number}", start=f"2027030{number + 1}T080000"))
        world.server.edit(home, f"{number}.ics", event(f"h{number}", start=f"2027030{number + 1}T080000"))
    await poll(world)
    world.server.edit(work, "0.ics", event("w0", start="20270304T070000"))
    world.server.edit(work, "1.ics", None)
    world.server.edit(home, "0.ics", None)
    world.server.edit(work, "h0.ics", event("h0"))
    ((href, text),) = [(h, t) for h, t in world.server.texts(home).items() if "apt_" in t]
    world.server.edit(home, href.rpartition("/")[2], text.replace("Intro call", "Renamed"))


async def look(world):
    await poll(world)
    await push.push_due(world.context)


SCENARIOS = [
    (nothing, create),
    (booked, update),
    (booked, cancel),
    (booked, change_primary),
    (edited, reconnect),
    (edited, look),
    (edited, change_primary),
]


@pytest.mark.parametrize(("before", "deed"), SCENARIOS, ids=lambda f: f.__name__)
async def test_a_crash_at_any_step_ends_as_if_there_had_been_none(tmp_path, before, deed):
    start = await make_world(tmp_path / "start.db", MemoryServer())
    for url in (start.urls["Home"], start.urls["Work"]):
        start.server.edit(url, "there.ics", event(f"there-{url}"))
    await before(start)
    for fatal in range(1000):
        world = copied(start, tmp_path / f"{fatal}.db")
        steps = Steps(fatal)
        try:
            await deed(doomed(world, steps))
        except (Crash, BaseExceptionGroup):
            assert steps.fired
        world = reopened(world)
        await deed(world)
        await run_to_quiescence(world, rounds=3)
        assert_agreement(world)
        if deed is not cancel:
            assert len([h for h in world.merged() if h.startswith("apt_")]) == 1
        if before is edited:
            assert only(world).fields.title == "Renamed"
        world.db.close()
        if not steps.fired:
            break
    else:
        pytest.fail("the scenario never ends")
    assert fatal > 5
