"""What the change feed and webhooks cost: python bench/bench_feed.py

Each against the same bridge in the same run with nothing recorded: a first mirror of 10,000 events, and bookings. Then
how long whoever waits for a change waits, and how many webhooks go out in a second to a receiver on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bridge.remote.memory import MemoryServer
from bridge.service import book, changes, mirror
from bridge.store import changes as stored
from bridge.store.db import Db
from tests.service.conftest import NOW, event, make_world
from tests.service.receivers import deliver, posting, receiver, subscribe

EVENTS, BOOKINGS, WAITS, MESSAGES = 10_000, 1_000, 40, 1_000


class Silent:
    """Stands in for the recording: nothing is recorded."""

    def __enter__(self):
        self.kept = {name: getattr(changes, name) for name in ("appointment", "icloud_slots", "crm_slot")}
        for name in self.kept:
            setattr(changes, name, lambda *_, **__: None)

    def __exit__(self, *_):
        for name, function in self.kept.items():
            setattr(changes, name, function)


async def world_in(directory, *, safe):
    world = await make_world(Path(directory) / "bridge.db", MemoryServer())
    if safe:
        world.db.close()
        world.context = replace(world.context, db=Db(world.db.path))
    return world


async def first_mirror(directory):
    world = await world_in(directory, safe=True)
    for number in range(EVENTS):
        day = 1 + number % 28
        times = {"start": f"202704{day:02}T100000", "end": f"202704{day:02}T110000"}
        world.server.edit(world.urls["Work"], f"{number}.ics", event(f"uid-{number}", **times))
    began = time.perf_counter()
    await mirror.mirror_account(world.context, world.account_id)
    took = time.perf_counter() - began
    with world.db.read() as tx:
        rows, items = stored.head(tx), tx.execute("SELECT COUNT(*) FROM published_items").fetchone()[0]
    assert items == EVENTS
    world.db.close()
    return took, rows


async def bookings(directory):
    world = await world_in(directory, safe=True)
    times = []
    for number in range(BOOKINGS):
        start = NOW + 86_400 + number * 1800
        began = time.perf_counter()
        book.create_appointment(world.db, world.new(start=start, end=start + 1800), now=NOW)
        times.append(time.perf_counter() - began)
    world.db.close()
    return times


async def waits(directory):
    world = await world_in(directory, safe=False)
    watch, times = changes.Watch(world.db), []
    for number in range(WAITS):
        with world.db.read() as tx:
            head = stored.head(tx)
        waiting = asyncio.create_task(watch.wait(head, 5))
        await asyncio.sleep(0.013 * (number % 7))
        start = NOW + 86_400 + number * 1800
        began = time.perf_counter()
        book.create_appointment(world.db, world.new(start=start, end=start + 1800), now=NOW)
        await waiting
        times.append(time.perf_counter() - began)
    world.db.close()
    return times


async def messages(directory):
    world = await world_in(directory, safe=True)
    async with receiver() as hook, posting() as post:
        subscribe(world.context, hook.url(), origins=["api"])
        for number in range(MESSAGES):
            start = NOW + 86_400 + number * 1800
            book.create_appointment(world.db, world.new(start=start, end=start + 1800), now=NOW)
        began = time.perf_counter()
        await deliver(world.context, post)
        took = time.perf_counter() - began
        assert len(hook.messages) == MESSAGES
    world.db.close()
    return took


def told(times):
    late = statistics.quantiles(times, n=100)[98]
    return f"{statistics.median(times) * 1000:.2f} ms median, {late * 1000:.2f} ms p99"


def run(measure):
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(measure(directory))


def main():
    for name, recording in (("nothing recorded", Silent()), ("recorded", contextlib.nullcontext())):
        with recording:
            (took, rows), times = run(first_mirror), run(bookings)
        print(f"{name}: first mirror of {EVENTS:,} events {took:.1f} s, {rows} changes; booking {told(times)}")
    print(f"whoever waits is told after {told(run(waits))}")
    took = run(messages)
    print(f"{MESSAGES:,} webhooks in {took:.1f} s: {MESSAGES / took:.0f} a second to one receiver")


main()
