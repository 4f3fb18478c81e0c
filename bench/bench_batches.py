"""What a booking waits for while a first mirror stores its events: python bench/bench_batches.py [events]

The mirror stores and publishes them either in one transaction or in many. Meanwhile another process books, every few
milliseconds, in the same store. Measured are the CPU time of storing, in all and at a time, how long the event loop of
the process that mirrors stands still at a time, and how long bookings take.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from read_and_render import sample

from bridge.remote.memory import MemoryServer
from bridge.service import book, mirror, mirror_run
from bridge.service.book import NewAppointment
from bridge.store.db import Db
from tests.service.conftest import NOW, World, make_world

PAUSE = 0.005
TURNS = 3


def book_on(path: Path, new: NewAppointment, pipe: Connection) -> None:
    """Book until told to stop; then tell how long each booking took."""
    db, times = Db(path), []
    pipe.send("ready")
    while not pipe.poll(PAUSE):
        start = NOW + 86_400 + len(times) * 1800
        fields = replace(new.fields, start=start, end=start + 1800)
        began = time.perf_counter()
        book.create_appointment(db, replace(new, fields=fields), now=NOW)
        times.append(time.perf_counter() - began)
    pipe.send(times)


async def standing_still(times: list[float]) -> None:
    """Note by how much the event loop is late."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        times.append(time.perf_counter() - began - 0.001)


def timed(method: Callable[..., None], times: list[float]) -> Callable[..., None]:
    """The method; the CPU time that it takes is noted."""

    def call(*args: object) -> None:
        began = time.thread_time()
        method(*args)
        times.append(time.thread_time() - began)

    return call


async def measure(directory: str, events: int, at_once: int) -> tuple[float, ...]:
    """In seconds: CPU of all storing and of the longest, the longest standstill, a booking's median, the longest."""
    world: World = await make_world(Path(directory) / "bridge.db", MemoryServer())
    world.context = replace(world.context, db=Db(world.db.path))  # one that syncs to disk
    chance = Random(1)
    for number in range(events):
        world.server.edit(world.urls["Work"], f"{number}.ics", sample(number, chance))
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=book_on, args=(world.db.path, world.new(check_slot=False), theirs), daemon=True
    )
    process.start()
    ours.recv()
    storing: list[float] = []
    still: list[float] = []
    store, mirror_run.BATCH = mirror_run.CalendarMirror._store, at_once
    mirror_run.CalendarMirror._store = timed(store, storing)
    watching = asyncio.create_task(standing_still(still))
    try:
        await mirror.mirror_account(world.context, world.account_id)
        await asyncio.sleep(0.01)  # so that the last standstill is noted, too
    finally:
        watching.cancel()
        mirror_run.CalendarMirror._store = store
    ours.send("stop")
    booked = ours.recv()
    process.join()
    world.db.close()
    return sum(storing), max(storing), max(still), statistics.median(booked), max(booked)


def main() -> None:
    """Each way in turn, several times."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"{events:,} events, milliseconds, medians of {TURNS} runs")
    names = ("storing all, CPU", "at a time, CPU", "standstill", "booking, median", "booking, longest")
    print(f"{'events at once':>16}", *(f"{name:>18}" for name in names))
    found: dict[int, list[tuple[float, ...]]] = {events: [], mirror_run.BATCH: []}
    for _ in range(TURNS):
        for at_once, runs in found.items():
            with tempfile.TemporaryDirectory() as directory:
                runs.append(asyncio.run(measure(directory, events, at_once)))
    for at_once, runs in found.items():
        medians = [statistics.median(column) * 1000 for column in zip(*runs, strict=True)]
        print(f"{at_once:>16,}", *(f"{value:>18,.1f}" for value in medians))


if __name__ == "__main__":
    main()
