"""What mirroring costs: requests, bytes, time and memory, at the stand-in for iCloud.

    python bench/bench_mirror.py [--events 10000] [--many 50000]

- an unchanged poll, by how many events there are: requests and bytes;
- a poll that finds k changed objects: requests, and bytes against the objects' own size;
- the first mirror of all events, against parsing them with `icalendar` in the same run;
- the size of the database after it, against the text that it holds;
- the peak memory of a first mirror, for `--events` and for `--many`, each in a process of its own.

A tenth of the events recur. Most of the time of a first mirror here is the stand-in's own, which is in another process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import math
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import icalendar

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from read_and_render import sample

from bridge.domain.model import Titles
from bridge.service import connect, mirror, roles, users
from bridge.service.context import Context
from bridge.store.db import Db
from tests.service.conftest import NOW, MemoryRemotes, OpenVault
from tests.service.real import RealRemotes
from tests.upstreams import icloud

CHANGED = (1, 10, 50, 120)


# --- The stand-in, in a process of its own ---------------------------------------------------------------------------


class Remote:
    """What this process asks of the one that has the stand-in."""

    def __init__(self, pipe: multiprocessing.connection.Connection) -> None:
        self._pipe = pipe
        self.url, self.username, self.password = self.ask("start")

    def ask(self, *words: object) -> object:
        """One command and its answer."""
        self._pipe.send(words)
        return self._pipe.recv()


def serve(pipe: multiprocessing.connection.Connection) -> None:
    """Carry out commands until the pipe is closed."""
    chance = random.Random(1)
    with icloud.running(icloud.Quirks()) as cloud, contextlib.suppress(EOFError):
        person = cloud.login()
        work = person.make_calendar("Work")
        while True:
            match pipe.recv():
                case ("start",):
                    pipe.send((cloud.url, person.username, person.password))
                case ("fill", first, last):
                    for number in range(first, last):
                        person.put(work, f"{number}.ics", sample(number, chance))
                    pipe.send(None)
                case ("change", count, turn):
                    texts = [sample(number, chance).replace("people", f"others {turn}") for number in range(count)]
                    for number, text in enumerate(texts):
                        person.put(work, f"{number}.ics", text)
                    pipe.send(sum(len(text.encode()) for text in texts))
                case ("asked",):
                    asked = [(r.method, r.sent, r.received) for r in cloud.requests]
                    cloud.requests.clear()  # before the answer, after which more may be asked
                    pipe.send(asked)


@contextlib.contextmanager
def upstream() -> Iterator[Remote]:
    """The stand-in, running."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Remote(ours)
    finally:
        process.kill()
        process.join()


# --- The bridge ------------------------------------------------------------------------------------------------------


class Bridge:
    """A bridge with one account, whose only calendar is not chosen yet."""

    def __init__(self, directory: str, remote: Remote) -> None:
        self.clock = NOW
        remotes: MemoryRemotes = RealRemotes(remote)
        self.context = Context(
            db=Db(Path(directory) / "bridge.db"),
            vault=OpenVault(),
            remotes=remotes,
            clock=lambda: self.clock,
            default_titles=Titles.BUSY,
            wake_push=lambda: None,
        )
        self._remote = remote

    async def connect(self) -> None:
        """Add the user and their account."""
        users.add_user(self.context.db, id="ada", location_id="loc", name="Ada", time_zone="Europe/Berlin", now=NOW)
        account = await connect.connect(self.context, "ada", "icloud", self._remote.username, self._remote.password)
        self._account_id = account.id

    async def first(self) -> None:
        """Choose the calendar, which reads all of it."""
        (calendar,) = roles.list_calendars(self.context.db, "ada")
        change = await roles.choose(self.context, "ada", conflicts=[calendar.id])
        assert not change.troubles, change.troubles

    def size(self) -> float:
        """The database file against the iCalendar text in it."""
        db = self.context.db
        db.wipe()
        with db.read() as tx:
            texts = [
                f"SELECT SUM(LENGTH(CAST(ics AS BLOB))) FROM {table}" for table in ("mirror_items", "published_items")
            ]
            text: int = sum(tx.execute(one).fetchone()[0] for one in texts)
        return db.path.stat().st_size / text

    async def poll(self) -> None:
        """A later look."""
        self.clock += 60
        runs = await mirror.mirror_account(self.context, self._account_id)
        assert not any(run.error for run in runs), runs


async def traffic(remote: Remote, bridge: Bridge) -> None:
    """Print what polls cost."""
    await bridge.poll()
    remote.ask("asked")
    await bridge.poll()
    (unchanged,) = remote.ask("asked")
    print(f"  nothing changed: 1 request, {unchanged[1] + unchanged[2]:,} bytes")
    for turn, count in enumerate(CHANGED):
        size = remote.ask("change", count, turn)
        await bridge.poll()
        asked = remote.ask("asked")
        received = sum(r[2] for r in asked)
        multigets = math.ceil(count / 50)
        print(
            f"  {count:>4} changed: {len(asked)} requests (the poll, one listing of what changed, {multigets} multiget"
            f"{'s' if multigets > 1 else ''}), {received:,} bytes; {received / size:.2f} of the objects' own"
        )
        assert len(asked) == 2 + multigets


def parsing(count: int) -> tuple[float, float]:
    """Seconds that `icalendar` takes for as many events: of the clock, and of CPU."""
    chance = random.Random(1)
    texts = [sample(number, chance) for number in range(count)]
    began, cpu = time.perf_counter(), time.process_time()
    for text in texts:
        icalendar.Calendar.from_ical(text)
    return time.perf_counter() - began, time.process_time() - cpu


async def mirrored(count: int, *, polls: bool) -> tuple[float, float, float]:
    """The first mirror: seconds of the clock, of this process's CPU, and the growth of its peak memory in MiB."""
    with tempfile.TemporaryDirectory() as directory, upstream() as remote:
        remote.ask("fill", 0, count)
        bridge = Bridge(directory, remote)
        await bridge.connect()
        before = peak()
        began, cpu = time.perf_counter(), time.process_time()
        await bridge.first()
        took, used = time.perf_counter() - began, time.process_time() - cpu
        grown = peak() - before
        if polls:
            print(f"  the database is {bridge.size():.2f} times the text that it holds, mirrored and published")
            await traffic(remote, bridge)
        await bridge.context.remotes.close()
        return took, used, grown


def peak() -> float:
    """The most memory that this process ever had, in MiB."""
    # Not ru_maxrss, which a process inherits from the one that has started it.
    told = Path("/proc/self/status").read_text()
    return int(told.partition("VmHWM:")[2].split()[0]) / 1024


def alone(count: int, results: multiprocessing.Queue[tuple[float, float, float]]) -> None:
    """A first mirror in a process of its own."""
    results.put(asyncio.run(mirrored(count, polls=False)))


def in_a_process(count: int) -> tuple[float, float, float]:
    """What `mirrored` tells, with memory that nothing else has used."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[float, float, float]] = context.Queue()
    process = context.Process(target=alone, args=(count, results))
    process.start()
    found = results.get(timeout=1800)
    process.join()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=50_000, help="for memory; 0: not at all")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    for count in (max(options.events // 10, 200), options.events):
        print(f"{count:,} events")
        took, used, _ = asyncio.run(mirrored(count, polls=True))
        clock, least = parsing(count)
        print(f"  first mirror: {took:.1f} s ({used:.1f} s of CPU)", end="; ")
        print(f"icalendar parses them in {clock:.1f} s ({least:.1f} s of CPU)", end="; ")
        print(f"ratio {took / clock:.2f}, of CPU {used / least:.2f}")
    if options.many:
        few, many = in_a_process(options.events), in_a_process(options.many)
        print(f"peak memory of a first mirror: {few[2]:.0f} MiB for {options.events:,}", end=", ")
        print(
            f"{many[2]:.0f} MiB for {options.many:,}; ratio {many[2] / few[2]:.2f}, and of CPU {many[1] / few[1]:.2f}"
        )


if __name__ == "__main__":
    main()
