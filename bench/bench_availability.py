"""How fast a month of free slots is told, against asking CalDAV live on each question.

    python bench/bench_availability.py [--events 10000] [--rounds 300] [--live 3]

Ten calendars share the events of three years, a tenth of them recurring. Asked are

- one User whose ten remote calendars these are, for the free slots of a month;
- ten Users with one of them each, for all their booking calendars at once;

each by the service call and over HTTP, from another process. The peer does what Cal.com does for an Apple or CalDAV
calendar: for each question a calendar-query with a time range for each calendar, all at the same time, to a Radicale
that holds the same events; the answers are parsed and the recurrences expanded. Working out slots is not counted there.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import datetime as dt
import gc
import http.client
import json
import logging
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import icalendar
import recurring_ical_events
from lxml import etree

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import running, serve

from bridge.demo.ports import free_ports
from bridge.domain.booking_calendars import BookingCalendar
from bridge.domain.model import Interval, Titles
from bridge.remote.memory import MemoryServer
from bridge.service import availability, connect, mirror, roles, users
from bridge.service.availability import Question
from bridge.service.context import Context
from bridge.store import booking_calendars
from bridge.store.db import Db
from bridge.web.app import make_web_app
from tests.service.conftest import MemoryRemotes, OpenVault

CALENDARS = 10
LIVE = "CalDAV asked live, ten calendars at once"
ZONE = ZoneInfo("Europe/Berlin")
NOW = int(dt.datetime(2027, 3, 1, 6, tzinfo=ZONE).timestamp())
MONTH = Interval(NOW, NOW + 31 * 86_400)
RULES = [
    ("FREQ=WEEKLY", 3),
    ("FREQ=WEEKLY;COUNT=20", 3),
    ("FREQ=WEEKLY;INTERVAL=2", 2),
    ("FREQ=MONTHLY", 2),
    ("FREQ=DAILY;COUNT=5", 1),
]


def texts(number: int, seed: int) -> list[str]:
    """So many events over three years: mostly in office hours, a tenth recurring."""
    pick = random.Random(seed)
    made = []
    for index in range(number):
        day = dt.date(2025, 9, 1) + dt.timedelta(days=pick.randrange(1095))
        start = dt.datetime.combine(day, dt.time(pick.randrange(7, 20), pick.choice((0, 15, 30, 45))))
        end = start + dt.timedelta(minutes=pick.choice((15, 30, 45, 60)))
        rule = f"RRULE:{pick.choices([r for r, _ in RULES], [w for _, w in RULES])[0]}\r\n" if index % 10 == 0 else ""
        made.append(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\nBEGIN:VEVENT\r\n"
            f"UID:event-{seed}-{index}\r\nDTSTAMP:20250901T000000Z\r\n"
            f"DTSTART;TZID=Europe/Berlin:{start:%Y%m%dT%H%M%S}\r\nDTEND;TZID=Europe/Berlin:{end:%Y%m%dT%H%M%S}\r\n"
            f"SUMMARY:Event {index}\r\n{rule}END:VEVENT\r\nEND:VCALENDAR\r\n"
        )
    return made


# --- The bridge ------------------------------------------------------------------------------------------------------


@dataclass
class Loaded:
    """A store with the events read into it, and what is asked about."""

    context: Context
    one_calendar: str
    ten_calendars: list[str]
    token: str


async def load(path: Path, events: list[list[str]]) -> Loaded:
    """One User with all calendars, and ten Users with one each."""
    server = MemoryServer()
    context = Context(Db(path), OpenVault(), MemoryRemotes(server), lambda: NOW, Titles.BUSY, lambda: None)
    urls = [server.add_calendar(f"calendar {number}") for number in range(len(events))]
    for url, calendar in zip(urls, events, strict=True):
        for index, text in enumerate(calendar):
            server.edit(url, f"{index}.ics", text)
    booking = [await add_user(context, server, "everything", urls)]
    booking += [await add_user(context, server, f"user{number}", [url]) for number, url in enumerate(urls)]
    _, token = users.add_token(context.db, label="bench", location_ids=["loc"], scopes=["admin"], now=NOW)
    return Loaded(context, booking[0], booking[1:], token)


async def add_user(context: Context, server: MemoryServer, name: str, urls: list[str]) -> str:
    """A User who reads these calendars, with a booking calendar that has buffers, notice and a daily limit."""
    _, calendar = users.add_user(context.db, id=name, location_id="loc", name=name, time_zone="Europe/Berlin", now=NOW)
    account = await connect.connect(context, name, "icloud", server.username, server.password)
    ids = {c.url: c.id for c in roles.list_calendars(context.db, name)}
    await roles.choose(context, name, primary=ids[urls[0]], conflicts=[ids[url] for url in urls[1:]])
    await mirror.mirror_account(context, account.id)
    settings = {"preBuffer": 5, "slotBuffer": 10, "allowBookingAfter": 2, "appointmentPerDay": 8}
    with context.db.write() as tx:
        booking_calendars.put(
            tx,
            BookingCalendar(calendar.id, "loc", name, (name,), 30, NOW, NOW, any_free_time=False, settings=settings),
        )
    return calendar.id


def serve_bridge(path: Path, port: int, ready: Event) -> None:
    """The sidecar's API."""
    context = Context(Db(path), OpenVault(), MemoryRemotes(MemoryServer()), lambda: NOW, Titles.BUSY, lambda: None)
    serve(make_web_app(context), port, ready)


# --- The peer --------------------------------------------------------------------------------------------------------

QUERY = """<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><D:getetag/><C:calendar-data/></D:prop>
<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"><C:time-range start="{start}" end="{end}"/>
</C:comp-filter></C:comp-filter></C:filter></C:calendar-query>"""
LOGIN = "Basic " + base64.b64encode(b"cal:x").decode()
DATA = "{urn:ietf:params:xml:ns:caldav}calendar-data"


@contextmanager
def radicale(folder: Path, events: list[list[str]]) -> Iterator[str]:
    """A Radicale that holds the events, in a process of its own."""
    home = folder / "collection-root" / "cal"
    for number, calendar in enumerate(events):
        collection = home / f"calendar{number}"
        collection.mkdir(parents=True)
        (collection / ".Radicale.props").write_text(json.dumps({"tag": "VCALENDAR"}))
        for index, text in enumerate(calendar):
            (collection / f"{index}.ics").write_text(text, newline="")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "radicale", "--config", "", "--storage-filesystem-folder", str(folder)]
    command += ["--hosts", f"127.0.0.1:{port}", "--auth-type", "none", "--rights-type", "authenticated"]
    command += ["--logging-level", "error", "--server-max-connections", "20"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                try:
                    http.client.HTTPConnection("127.0.0.1", port, timeout=5).request("GET", "/")
                    break
                except OSError:
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/cal/"
        finally:
            process.terminate()


async def ask_live(home: str) -> int:
    """The busy times of a month in all calendars; returns how many."""
    start, end = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (MONTH.start, MONTH.end))
    body = QUERY.format(start=f"{start:%Y%m%dT%H%M%SZ}", end=f"{end:%Y%m%dT%H%M%SZ}")
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(headers={"Authorization": LOGIN}, timeout=timeout) as session:

        async def one(number: int) -> bytes:
            headers = {"Depth": "1", "Content-Type": "application/xml"}
            url = f"{home}calendar{number}/"
            async with session.request("REPORT", url, data=body, headers=headers) as answer:
                assert answer.status == 207, answer.status
                return await answer.read()

        answers = await asyncio.gather(*(one(number) for number in range(CALENDARS)))
    found = 0
    for answer in answers:
        for data in etree.fromstring(answer).iter(DATA):
            calendar = icalendar.Calendar.from_ical(data.text)
            found += len(recurring_ical_events.of(calendar).between(start, end))
    return found


# --- The comparison --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timing:
    """Milliseconds."""

    median: float
    p99: float


def timed(ask: Callable[[], object], rounds: int) -> Timing:
    """How long one question takes, once warm."""
    ask()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return Timing(statistics.median(times), times[min(len(times) - 1, int(len(times) * 0.99))])


def main() -> None:
    """Load, ask, compare."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=300)
    arguments.add_argument("--live", type=int, default=3, help="rounds of the peer, which takes long; 0: without")
    given = arguments.parse_args()
    logging.disable()
    events = [texts(given.events // CALENDARS, seed) for seed in range(CALENDARS)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bridge.db"
        print(f"reading {given.events} events into the store …", flush=True)
        loaded = asyncio.run(load(path, events))
        db = loaded.context.db
        gc.freeze()  # what it took to fill the store is not for the service to look through again and again
        question = Question(calendar_ids=tuple(loaded.ten_calendars), spans=(MONTH,), overlapping=True, limit=1000)
        period = {
            side: dt.datetime.fromtimestamp(at, dt.UTC).isoformat()
            for side, at in (("start", MONTH.start), ("end", MONTH.end))
        }
        body = json.dumps(
            {
                "calendarIds": loaded.ten_calendars,
                "periods": [period],
                "format": "overlapping_slots",
                "maxResults": 1000,
            }
        )

        def free_slots() -> int:
            return len(
                availability.free_slots(
                    db, loaded.one_calendar, MONTH, locations=None, now=NOW, stale_seconds=900
                ).starts
            )

        def ask_for_ten(asked: Question = question) -> int:
            return len(availability.availability(db, asked, locations=None, now=NOW, stale_seconds=900).offers)

        print(f"{free_slots()} free slots of one user, {ask_for_ten(replace(question, limit=10**6))} of ten")
        results = {
            "one user, ten remote calendars: service": timed(free_slots, given.rounds),
            "ten booking calendars at once: service": timed(ask_for_ten, given.rounds),
        }
        with running(serve_bridge, path) as port:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            headers = {"Authorization": f"Bearer {loaded.token}", "Content-Type": "application/json"}

            def over_http(method: str, target: str, content: str | None = None) -> None:
                connection.request(method, target, body=content, headers=headers)
                answer = connection.getresponse()
                text = answer.read()
                assert answer.status == 200, text

            span = f"startDate={MONTH.start * 1000}&endDate={MONTH.end * 1000}"
            target = f"/v1/calendars/{loaded.one_calendar}/free-slots?{span}"
            results["one user, ten remote calendars: HTTP"] = timed(lambda: over_http("GET", target), given.rounds)
            results["ten booking calendars at once: HTTP"] = timed(
                lambda: over_http("POST", "/v1/availability", body), given.rounds
            )
        db.close()
        if given.live:
            print("asking CalDAV live, once unmeasured for its caches: minutes, with many events …", flush=True)
            with radicale(Path(folder) / "radicale", events) as home:
                results[LIVE] = timed(lambda: asyncio.run(ask_live(home)), given.live)
    print(f"\n{'milliseconds':<44}{'median':>10}{'p99':>10}{'times as fast as live':>24}")
    for name, took in results.items():
        times = f"{results[LIVE].median / took.median:,.0f}" if LIVE in results else "-"
        print(f"{name:<44}{took.median:>10.2f}{took.p99:>10.2f}{times:>24}")


if __name__ == "__main__":
    main()
