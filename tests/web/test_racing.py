"""Many requests for the same thing at once, over many connections and several processes: one of them gets it."""

from __future__ import annotations

import asyncio
import collections
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from .conftest import APPOINTMENTS, EVENTS, WEEK

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


@asynccontextmanager
async def serving(path):
    """The address of a process of its own that serves the API over this store."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, str(path)),
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 60))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)


@pytest.fixture
async def crowd(api):
    """The same API by several connections to each of several processes."""
    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(serving(api.world.db.path)) for _ in range(PROCESSES)]
        sessions = [
            await stack.enter_async_context(aiohttp.ClientSession(address, connector=aiohttp.TCPConnector(limit=1)))
            for address in addresses
            for _ in range(CONNECTIONS)
        ]
        yield [replace(api, client=session) for session in sessions]


def bodies(api):
    """For several half hours, so that some are raced for at each moment."""
    hours = range(10, 18)
    return [api.body(startTime=f"2027-03-09T{hour}:00:00", endTime=f"2027-03-09T{hour}:30:00") for hour in hours]


async def at_once(crowd, asks):
    """What each of the crowd is answered to each of these, all asked at once."""
    return await asyncio.gather(*(asyncio.gather(*(ask(one) for one in crowd)) for ask in asks))


async def booked(api):
    listed = await api("GET", EVENTS, params={**WEEK, "userId": "ada"})
    return [event["startTime"] for event in listed.json["events"]]


async def test_each_slot_is_booked_once(api, crowd):
    slots = bodies(api)
    answers = await at_once(crowd, [lambda one, body=body: one("POST", APPOINTMENTS, body) for body in slots])
    for of_slot in answers:
        counted = collections.Counter((answer.status, answer.json.get("code")) for answer in of_slot)
        assert counted == {(201, None): 1, (409, "slot_unavailable"): len(crowd) - 1}
    assert [start[:19] for start in await booked(api)] == [body["startTime"] for body in slots]


async def test_a_request_with_one_key_is_carried_out_once(api, crowd):
    key = {"Idempotency-Key": "k1"}
    (answers,) = await at_once(crowd, [lambda one: one("POST", APPOINTMENTS, bodies(api)[0], headers=key)])
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == len(crowd) - 1
    assert len(await booked(api)) == 1


async def test_one_external_id_is_one_appointment(api, crowd):
    path = "/v1/appointments/by-external-id/crm-1"
    (answers,) = await at_once(crowd, [lambda one: one("PUT", path, bodies(api)[0])])
    assert sorted(answer.status for answer in answers) == [*[200] * (len(crowd) - 1), 201]
    assert {answer.json["version"] for answer in answers} == {1}
    assert len(await booked(api)) == 1


async def test_of_many_changes_of_one_version_one_is_made(api, crowd):
    made = await api.book()
    path, seen = f"{APPOINTMENTS}/{made['id']}", {"If-Match": '"1"'}
    asks = [lambda one, n=n: one("PUT", path, {"title": f"By {n}"}, headers=seen) for n in range(3)]
    answers = [answer for of_ask in await at_once(crowd, asks) for answer in of_ask]
    assert sorted(answer.status for answer in answers) == [200, *[412] * (len(answers) - 1)]
    assert (await api("GET", path)).json["event"]["version"] == 2
