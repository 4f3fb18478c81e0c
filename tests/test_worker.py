"""The sidecar's loops, over a real store and a real upstream server that can be made to hang."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ipaddress
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge import settings, worker
from bridge.app import Bridge, build
from bridge.domain.addresses import may_reach
from bridge.domain.model import AccountState, AppointmentFields, OutboxEntry, SyncState
from bridge.errors import StoreUnavailable
from bridge.remote.receivers import Receivers
from bridge.service import book, connect, mirror, push, roles, users, webhooks
from bridge.service.refresh import refresh
from bridge.service.webhooks import Signature, WebhookChange
from bridge.store import accounts, outbox, sources
from tests import upstreams
from tests.service.receivers import receiver

TOMORROW = int(time.time()) // 86_400 * 86_400 + 86_400


class Gate:
    """Before a server: lets nothing be written to the calendars of one user until it is opened."""

    def __init__(self, url: str, shut_for: str) -> None:
        self.host, self.shut_for = urlsplit(url).netloc, shut_for
        self.opened = threading.Event()
        self.waiting = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "PUT" and self.shut_for in environ["PATH_INFO"]:
            self.waiting += 1
            self.opened.wait(60)
        headers = {
            name.removeprefix("HTTP_").replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_") and name not in {"HTTP_CONNECTION", "HTTP_HOST"}
        }
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        with contextlib.closing(http.client.HTTPConnection(self.host, timeout=30)) as connection:
            connection.request(environ["REQUEST_METHOD"], environ["RAW_URI"], body, headers)
            response = connection.getresponse()
            content = response.read()
        kept = [(name, value) for name, value in response.getheaders() if name.lower() not in {"connection", "server"}]
        start_response(f"{response.status} {response.reason}", kept)
        return [content]


@dataclass
class World:
    """Two users with an account each, at one server; that of "slow" hangs when written to."""

    bridge: Bridge
    gate: Gate
    booking: dict[str, str]
    account: dict[str, str]
    login: dict[str, upstreams.Login]
    home: dict[str, str]

    def book(self, user: str, number: int) -> str:
        start = TOMORROW + 3600 * number
        fields = AppointmentFields(f"Call {number}", start, start + 1800, "UTC", False, "", "", None, "confirmed")
        new = book.NewAppointment(
            location_id="loc",
            booking_calendar_id=self.booking[user],
            user_id=None,
            contact_id=None,
            external_id=None,
            fields=fields,
            utc_offset=0,
            extra={},
            check_slot=True,
        )
        made = book.create_appointment(self.bridge.db, new, now=self.bridge.clock()).appointment
        self.bridge.wake_push()
        return made.id

    def synced(self, appointment_id: str) -> bool:
        found = book.get_appointment(self.bridge.db, appointment_id, locations=None)
        return found.sync_state == SyncState.SYNCED


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[tuple[Gate, str, Callable[[str], upstreams.Login]]]:
    with upstreams.radicale(tmp_path / "upstream") as server:
        gate = Gate(server.url, "slow@")
        with upstreams.serving(gate) as url:
            yield gate, url, server.login
            gate.opened.set()


@pytest.fixture
async def world(tmp_path: Path, gated: tuple[Gate, str, Callable[[str], upstreams.Login]]) -> AsyncIterator[World]:
    gate, url, login = gated
    config = tmp_path / "bridge.toml"
    config.write_text(
        f"[store]\npath = '{tmp_path}/bridge.db'\n[secrets]\nkey_file = '{tmp_path}/key'\n[mirror]\npoll_seconds = 1\n"
        f"[providers.home]\nurl = '{url}'\nrequests_per_minute = 6000\n"
    )
    bridge = build(settings.load(config))
    world = World(bridge, gate, {}, {}, {}, {})
    for user in ("slow", "quick"):
        person = world.login[user] = login(f"{user}@example.com")
        world.home[user] = person.make_calendar("Home")
        now = bridge.clock()
        _, calendar = users.add_user(bridge.db, id=user, location_id="loc", name=user, time_zone="UTC", now=now)
        world.booking[user] = calendar.id
        account = await connect.connect(bridge, user, "home", person.username, person.password)
        world.account[user] = account.id
        (home,) = roles.list_calendars(bridge.db, user)
        await roles.choose(bridge, user, primary=home.id)
    yield world
    gate.opened.set()
    await bridge.remotes.close()
    bridge.db.close()


@contextlib.asynccontextmanager
async def working(bridge: Bridge) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run(bridge))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def eventually(look: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not look():  # noqa: ASYNC110 - what is looked at is in a store
            await asyncio.sleep(0.02)


async def test_a_server_that_hangs_holds_up_nobody_else(world: World) -> None:
    for number in range(push.PARALLEL + 4):
        world.book("slow", number)
    async with working(world.bridge):
        await eventually(lambda: world.gate.waiting)
        quick = world.book("quick", 0)
        await eventually(lambda: world.synced(quick))
        assert 0 < world.gate.waiting <= push.FOR_EACH_ACCOUNT
        world.gate.opened.set()


async def test_what_another_process_queues_is_taken_up_by_itself(world: World) -> None:
    async with working(world.bridge):
        other = build(world.bridge.settings)  # whose wake-up reaches nobody here
        booked = replace(world, bridge=other).book("quick", 0)
        await eventually(lambda: world.synced(booked))
        other.db.close()


async def test_an_interrupted_push_is_taken_up_at_the_next_start(world: World) -> None:
    booked = world.book("quick", 0)
    assert push.claim(world.bridge) is not None, "and the process that claimed it dies"
    async with working(world.bridge):
        await eventually(lambda: world.synced(booked))


async def test_a_clock_that_is_set_back_stops_nothing(world: World) -> None:
    ahead = replace(world.bridge, clock=lambda: int(time.time()) + offset)
    offset = 7200
    await mirror.mirror_account(ahead, world.account["quick"])
    booked = replace(world, bridge=ahead).book("quick", 0)
    async with working(ahead):
        await eventually(lambda: world.synced(booked))
        waiting = world.book("quick", 1)
        with world.bridge.db.write() as tx:
            tx.execute("UPDATE outbox SET next_attempt_at = :at WHERE state = 'ready'", {"at": ahead.clock()})
        offset = 0
        await eventually(lambda: world.synced(waiting))
        with world.bridge.db.read() as tx:
            assert (outbox.next_due(tx) or 0) <= world.bridge.clock()
            next_poll = tx.execute("SELECT MIN(next_poll_at) FROM accounts").fetchone()[0]
            assert next_poll <= world.bridge.clock() + 60


async def test_a_clock_that_was_wrong_at_the_last_start_hides_nothing_for_years(world: World) -> None:
    ahead = replace(world.bridge, clock=lambda: int(time.time()) + 5 * 366 * 86_400)
    booked = replace(world, bridge=ahead).book("quick", 0)
    await mirror.mirror_account(ahead, world.account["quick"])
    with world.bridge.db.write() as tx:
        tx.execute("UPDATE outbox SET next_attempt_at = :at WHERE state = 'ready'", {"at": ahead.clock() + 60})
    known = await refresh(world.bridge, "loc", world.booking["quick"], "quick")
    assert known.as_of is not None
    assert known.as_of <= world.bridge.clock(), "read for this very booking"
    await mirror.mirror_account(ahead, world.account["quick"])
    async with working(world.bridge):
        await eventually(lambda: world.synced(booked))

        def read_again() -> bool:
            with world.bridge.db.read() as tx:
                (source,) = sources.of_users(tx, ["quick"])
                next_poll = tx.execute("SELECT MAX(next_poll_at) FROM accounts").fetchone()[0]
            now = world.bridge.clock()
            return source.last_read_at is not None and source.last_read_at <= now and next_poll <= now + 60

        await eventually(read_again)


async def test_an_account_of_a_provider_that_was_taken_away_says_so_and_is_not_asked_on_and_on(world: World) -> None:
    without = build(world.bridge.settings.model_copy(update={"providers": {}}))
    async with working(without):

        def told() -> bool:
            with without.db.read() as tx:
                found = accounts.get(tx, world.account["quick"])
                return found is not None and found.state == AccountState.UNREACHABLE

        await eventually(told)
        with without.db.read() as tx:
            account = accounts.get(tx, world.account["quick"])
            assert account is not None
            assert "[providers.home]" in account.state_reason
            assert accounts.failures(tx, account.id) >= 1
            assert world.account["quick"] not in accounts.due(tx, now=without.clock(), limit=10)
    without.db.close()


@contextlib.contextmanager
def held_by_another_program(bridge: Bridge) -> Iterator[None]:
    """The store is locked against writing, as by somebody's open transaction in a shell."""
    bridge.db.wait_at_most(0)
    with contextlib.closing(sqlite3.connect(bridge.db.path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        yield
        shell.execute("ROLLBACK")


async def test_a_push_whose_outcome_can_not_be_stored_is_carried_out_to_its_end_later(world: World) -> None:
    booked = world.book("slow", 0)
    async with working(world.bridge):
        await eventually(lambda: world.gate.waiting)
        with held_by_another_program(world.bridge):
            world.gate.opened.set()
            await eventually(lambda: world.bridge.db.trouble)
        await eventually(lambda: world.synced(booked))
        assert world.bridge.db.trouble is None
    assert len(world.login["slow"].texts(world.home["slow"])) == 1


async def test_a_push_that_can_not_even_be_given_back_does_not_wait_for_its_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store works for a moment, and then it does not."""
    give_back, failed = push.give_back, []

    def not_at_first(context: Bridge, entry: OutboxEntry) -> None:
        if not failed:
            failed.append(entry)
            raise StoreUnavailable(str(context.db.path), "database is locked", busy=True)
        give_back(context, entry)

    monkeypatch.setattr(push, "give_back", not_at_first)
    booked = world.book("slow", 0)
    async with working(world.bridge):
        await eventually(lambda: world.gate.waiting)
        with held_by_another_program(world.bridge):
            world.gate.opened.set()
            await eventually(lambda: world.bridge.db.trouble)
        await eventually(lambda: failed)
        await eventually(lambda: world.synced(booked))


async def test_while_the_outcome_can_not_be_stored_a_webhook_is_not_sent_again_and_again(world: World) -> None:
    held = asyncio.Event()
    async with receiver() as hook:
        hook.will(held)
        networks = (ipaddress.ip_network("127.0.0.0/8"),)
        told_here = replace(
            world.bridge,
            receivers=Receivers(lambda address, encrypted: may_reach(address, encrypted=encrypted, networks=networks)),
        )
        webhooks.create(
            told_here,
            WebhookChange(url=hook.url(), origins=["api"]),
            location_ids=["loc"],
            signature=Signature.V1,
            token_id="tok",
            networks=networks,
        )
        async with working(told_here):
            world.book("quick", 0)
            await hook.arrived.wait()
            with held_by_another_program(world.bridge):
                held.set()
                await eventually(lambda: world.bridge.db.trouble)
                before = len(hook.messages)
                await asyncio.sleep(worker.LOOK_SECONDS * 10)  # in which it would be sent ten times
                assert len(hook.messages) == before
            await eventually(lambda: len(hook.messages) > before)
        await told_here.receivers.close()
    assert len({message.headers["webhook-id"] for message in hook.messages}) == 1
