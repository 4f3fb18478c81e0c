"""How fast an appointment is accepted over HTTP: checked, durable, published and queued for iCloud.

    python bench/bench_booking.py [--events 50000] [--bookings 1500] [--users 1]

The events lie in the stored calendars of the users who are booked, a tenth of them recurring. Each booking is for
another free half hour and goes through every check; the store syncs to disk with each. Measured are one connection
(median and 99th percentile) and several at once (bookings a second), from another process.

The peer, in the same run, is the least that any such API does: an aiohttp handler that reads the same body and puts one
row into a SQLite database with the same durability.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import logging
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.synchronize import Event
from pathlib import Path
from zoneinfo import ZoneInfo

from aiohttp import web

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import running, serve

from bridge.domain.model import Titles
from bridge.remote.memory import MemoryServer
from bridge.service import connect, mirror, roles, users
from bridge.service.context import Context
from bridge.settings import Settings
from bridge.store.db import Db
from bridge.web.app import make_web_app
from tests.service.conftest import MemoryRemotes, OpenVault

ZONE = ZoneInfo("Europe/Berlin")
NOW = int(dt.datetime(2027, 3, 1, 6, tzinfo=ZONE).timestamp())
PATH = "/v1/calendars/events/appointments"
#: Free half hours of each day: the events lie before.
FIRST_HOUR, A_DAY = 12, 20
AT_ONCE = 8


def texts(number: int, seed: int) -> Iterator[str]:
    """So many events over three years, before noon, a tenth of them recurring."""
    pick = random.Random(seed)
    for index in range(number):
        day = dt.date(2025, 9, 1) + dt.timedelta(days=pick.randrange(1095))
        start = dt.datetime.combine(day, dt.time(pick.randrange(FIRST_HOUR - 1), pick.choice((0, 15, 30, 45))))
        rule = f"RRULE:FREQ=WEEKLY;COUNT={pick.randrange(2, 30)}\r\n" if index % 10 == 0 else ""
        yield (
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\nBEGIN:VEVENT\r\n"
            f"UID:event-{seed}-{index}\r\nDTSTAMP:20250901T000000Z\r\n"
            f"DTSTART;TZID=Europe/Berlin:{start:%Y%m%dT%H%M%S}\r\n"
            f"DTEND;TZID=Europe/Berlin:{start + dt.timedelta(minutes=30):%Y%m%dT%H%M%S}\r\n"
            f"SUMMARY:Event {index}\r\n{rule}END:VEVENT\r\nEND:VCALENDAR\r\n"
        )


def context_of(path: Path, server: MemoryServer) -> Context:
    """The bridge over a store at `path`, at a moment that stands still: what was read just now stays so."""
    return Context(Db(path), OpenVault(), MemoryRemotes(server), lambda: NOW, Titles.BUSY, lambda: None)


async def load(path: Path, events: int, number: int) -> tuple[str, list[str]]:
    """A store with so many users and all events read into it. Returns a token and the users' booking calendars."""
    calendars = []
    for user in range(number):
        server = MemoryServer()
        context = context_of(path, server)
        urls = [server.add_calendar("Home"), server.add_calendar("Work")]
        for index, text in enumerate(texts(events // number, user)):
            server.edit(urls[index % 2], f"{index}.ics", text)
        name = f"user{user}"
        _, calendar = users.add_user(context.db, id=name, location_id="loc", name=name, time_zone=ZONE.key, now=NOW)
        account = await connect.connect(context, name, "icloud", server.username, server.password)
        ids = {c.name: c.id for c in roles.list_calendars(context.db, name)}
        await roles.choose(context, name, primary=ids["Home"], conflicts=[ids["Work"]])
        await mirror.mirror_account(context, account.id)
        calendars.append(calendar.id)
    _, token = users.add_token(context.db, label="bench", location_ids=["loc"], scopes=["admin"], now=NOW)
    context.db.wipe()
    context.db.close()
    return token, calendars


def bodies(calendars: Sequence[str]) -> Iterator[bytes]:
    """Appointments, each for another free half hour."""
    number = 0
    while True:
        day, half_hour = divmod(number // len(calendars), A_DAY)
        start = dt.datetime.fromtimestamp(NOW, ZONE).replace(hour=FIRST_HOUR) + dt.timedelta(days=day + 1)
        start += dt.timedelta(minutes=30 * half_hour)
        yield json.dumps(
            {
                "locationId": "loc",
                "calendarId": calendars[number % len(calendars)],
                "contactId": f"contact-{number}",
                "title": f"Intro call {number}",
                "startTime": start.isoformat(),
                "endTime": (start + dt.timedelta(minutes=30)).isoformat(),
                "timezone": ZONE.key,
                "description": "Agenda visible to the calendar owner",
                "address": "https://meet.example.com/abc",
            }
        ).encode()
        number += 1


# --- The two servers -------------------------------------------------------------------------------------------------


def serve_bridge(path: Path, port: int, ready: Event) -> None:
    """The sidecar's API."""
    settings = Settings.model_validate({"api": {"burst_requests": 1_000_000, "daily_requests": 1_000_000_000}})
    serve(make_web_app(context_of(path, MemoryServer()), settings), port, ready)


def serve_peer(path: Path, port: int, ready: Event) -> None:
    """The peer."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE appointments (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")

    async def create(request: web.Request) -> web.Response:
        body = await request.json()
        db.execute("INSERT INTO appointments (body) VALUES (?)", (json.dumps(body),))
        return web.json_response(body, status=201)

    app = web.Application()
    app.router.add_post(PATH, create)
    serve(app, port, ready)


# --- Asking ----------------------------------------------------------------------------------------------------------


class Connection:
    """A kept-alive connection that costs as little as can be, so that the server is what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader, self._writer = reader, writer
        self._head = (
            f"POST {PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    async def book(self, body: bytes) -> float:
        """Seconds until it was accepted."""
        began = time.perf_counter()
        self._writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer = await self._reader.readexactly(length)
        taken = time.perf_counter() - began
        assert head.startswith(b"HTTP/1.1 201"), answer
        return taken


async def ask(port: int, token: str, wanted: Iterator[bytes], number: int) -> tuple[list[float], float]:
    """Seconds of each booking on one connection, and bookings a second on several."""
    connections = [Connection(*await asyncio.open_connection("127.0.0.1", port), token) for _ in range(AT_ONCE)]
    for _ in range(50):
        await connections[0].book(next(wanted))
    alone = [await connections[0].book(next(wanted)) for _ in range(number)]
    left = iter(range(number))

    async def keep_on(connection: Connection) -> None:
        for _ in left:
            await connection.book(next(wanted))

    began = time.perf_counter()
    await asyncio.gather(*(keep_on(connection) for connection in connections))
    return alone, number / (time.perf_counter() - began)


def told(name: str, alone: list[float], rate: float) -> float:
    """Print what was measured. Returns the median in milliseconds."""
    median, p99 = statistics.median(alone) * 1000, statistics.quantiles(alone, n=100)[98] * 1000
    print(f"{name:<8} median {median:7.2f} ms   p99 {p99:7.2f} ms   {rate:7.0f} a second ({AT_ONCE} at once)")
    return median


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--bookings", type=int, default=1500)
    parser.add_argument("--users", type=int, default=1)
    asked = parser.parse_args()
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "bridge.db"
        print(f"Reading {asked.events:,} events of {asked.users} users …", flush=True)
        token, calendars = asyncio.run(load(store, asked.events, asked.users))
        with running(serve_bridge, store) as port:
            ours = asyncio.run(ask(port, token, bodies(calendars), asked.bookings))
        with running(serve_peer, Path(folder) / "peer.db") as port:
            theirs = asyncio.run(ask(port, token, bodies(calendars), asked.bookings))
    ratio = told("bridge", *ours) / told("peer", *theirs)
    print(
        f"\nThe bridge takes {ratio:.1f} times as long as one insert, and does {ours[1] / theirs[1]:.2f} times as many."
    )


if __name__ == "__main__":
    main()
