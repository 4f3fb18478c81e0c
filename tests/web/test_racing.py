"""Many requests for the same thing at once, over many connections and several processes: one of them gets it."""

from __future__ import annotations

import asyncio
import collections
import subprocess
import sys
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from bridge.remote.memory import MemoryServer
from bridge.service import users
from tests.service.conftest import NOW, World, make_world
from tests.service.told import assert_told

from .conftest import APPOINTMENTS, EVENTS, SCOPES, Api

PROCESSES, CONNECTIONS = 3, 4

#: Serves the API over a store, until its standard input ends. No calendars have to be read: that was done just now.
SERVER = """
import asyncio
import sys
from pathlib import Path

from aiohttp import web

from bridge.domain.model import Titles
from bridge.remote.memory import MemoryServer
from bridge.service.context import Context
from bridge.web.app import make_web_app
from tests.service.conftest import NOW, MemoryRemotes, OpenVault, QuickDb


async def main():
    db = QuickDb(Path(sys.argv[1]))
    context = Context(db, OpenVault(), MemoryRemotes(MemoryServer()), lambda: NOW, Titles.BUSY, lambda: None)
    runner = web.AppRunner(make_web_app(context))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


asyncio.run(main())
"""


@dataclass
class Served:
    """A store, and the addresses of the processes that serve the API over it."""

    world: World
    token: str
    addresses: list[str]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    world = asyncio.run(make_world(tmp_path_factory.mktemp("served") / "bridge.db", MemoryServer()))
    _, token = users.add_token(world.db, label="test", location_ids=("loc",), scopes=SCOPES, now=NOW)
    with ExitStack() as stack:
        processes = [stack.enter_context(process(world.db.path)) for _ in range(PROCESSES)]
        yield Served(world, token, [f"http://127.0.0.1:{int(one.stdout.readline())}" for one in processes])
    assert_told(world.db)
    world.db.close()


@contextmanager
def process(path):
    """A process of its own that serves the API over this store. It says at which port."""
    command = [sys.executable, "-c", SERVER, str(path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        try:
            yield started
        finally:
            started.stdin.close()
            started.wait(60)


@pytest.fixture
async def crowd(served):
    """The same API by several connections to each of several processes."""
    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(aiohttp.ClientSession(address, connector=aiohttp.TCPConnector(limit=1)))
            for address in served.addresses
            for _ in range(CONNECTIONS)
        ]
        yield [Api(session, served.world, served.token, asyncio.Event()) for session in sessions]


def body(api, day, hour=10):
    """Half an hour. Each test has a day of its own: they share a store."""
    return api.body(startTime=f"2027-03-{day}T{hour}:00:00", endTime=f"2027-03-{day}T{hour}:30:00")


async def at_once(crowd, asks):
    """What each of the crowd is answered to each of these, all asked at once."""
    return await asyncio.gather(*(asyncio.gather(*(ask(one) for one in crowd)) for ask in asks))


async def booked(crowd, day):
    """What there is on a day."""
    span = {"startTime": f"2027-03-{day}T00:00:00+01:00", "endTime": f"2027-03-{day}T23:00:00+01:00"}
    listed = await crowd[0]("GET", EVENTS, params={**span, "userId": "ada"})
    return [event["startTime"][:19] for event in listed.json["events"]]


async def test_each_slot_is_booked_once(crowd):
    wanted = [body(crowd[0], "09", hour) for hour in range(10, 18)]
    answers = await at_once(crowd, [lambda one, slot=slot: one("POST", APPOINTMENTS, slot) for slot in wanted])
    for of_slot in answers:
        counted = collections.Counter((answer.status, answer.json.get("code")) for answer in of_slot)
        assert counted == {(201, None): 1, (409, "slot_unavailable"): len(crowd) - 1}
    assert await booked(crowd, "09") == [slot["startTime"] for slot in wanted]


async def test_a_request_with_one_key_is_carried_out_once(crowd):
    wanted, key = body(crowd[0], "10"), {"Idempotency-Key": "k1"}
    (answers,) = await at_once(crowd, [lambda one: one("POST", APPOINTMENTS, wanted, headers=key)])
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == len(crowd) - 1
    assert len(await booked(crowd, "10")) == 1


async def test_one_external_id_is_one_appointment(crowd):
    wanted, path = body(crowd[0], "11"), "/v1/appointments/by-external-id/crm-1"
    (answers,) = await at_once(crowd, [lambda one: one("PUT", path, wanted)])
    assert sorted(answer.status for answer in answers) == [*[200] * (len(crowd) - 1), 201]
    assert {answer.json["version"] for answer in answers} == {1}
    assert len(await booked(crowd, "11")) == 1


async def test_of_many_changes_of_one_version_one_is_made(crowd):
    made = await crowd[0]("POST", APPOINTMENTS, body(crowd[0], "12"))
    path, seen = f"{APPOINTMENTS}/{made.json['id']}", {"If-Match": made.headers["ETag"]}
    asks = [lambda one, n=n: one("PUT", path, {"title": f"By {n}"}, headers=seen) for n in range(3)]
    answers = [answer for of_ask in await at_once(crowd, asks) for answer in of_ask]
    assert sorted(answer.status for answer in answers) == [200, *[412] * (len(answers) - 1)]
    assert (await crowd[0]("GET", path)).json["event"]["version"] == 2
