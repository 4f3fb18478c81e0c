"""A sidecar with a store in trouble: that is told, reading goes on where it can, and all is well afterwards."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import itertools
import json
import re
import resource
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.demo.ports import free_ports

from .conftest import succeeded
from .people import Answer, ask
from .processes import BRIDGE, Program, eventually, run

LISTING = "/v1/calendars/events?locationId=loc_1&userId=ada&startTime=1804492800000&endTime=1805097600000"


class Sidecar:
    """`bridge sidecar` with one user, and its CRM."""

    def __init__(self, directory: Path) -> None:
        (port,) = free_ports(1)
        config = directory / "bridge.toml"
        config.write_text(f'[sidecar]\nport = {port}\n[store]\npath = "{directory}/store/bridge.db"\n')
        command = (*BRIDGE, "--config", str(config))
        zone = ("--location", "loc_1", "--name", "Ada", "--time-zone", "UTC")
        added = json.loads(succeeded(run(*command, "user", "add", "ada", *zone, "--json", directory=directory)))
        made = json.loads(succeeded(run(*command, "token", "add", "crm", "--json", directory=directory)))
        self.calendar_id = added["booking_calendar_id"]
        self.headers = {"Authorization": f"Bearer {made['token']}", "Content-Type": "application/json"}
        self.store = directory / "store" / "bridge.db"
        self.port = port
        self.program = Program([*command, "sidecar"], directory)
        eventually(lambda: self.ask("GET", "/readyz").status == 200)
        self._hours = itertools.count()

    def ask(self, method: str, path: str, body: str | None = None) -> Answer:
        """One request. That an answer takes as long as this timeout means that it was not given meanwhile."""
        return ask(method, f"http://127.0.0.1:{self.port}{path}", headers=self.headers, body=body, timeout=20)

    def block(self, title: str = "Lunch") -> Answer:
        """Block another hour."""
        start = dt.datetime(2027, 3, 8, tzinfo=dt.UTC) + dt.timedelta(hours=next(self._hours))
        times = {"startTime": start.isoformat(), "endTime": (start + dt.timedelta(hours=1)).isoformat()}
        body = {"locationId": "loc_1", "assignedUserId": "ada", "title": title, **times}
        return self.ask("POST", "/v1/calendars/events/block-slots", json.dumps(body))

    def well(self) -> bool:
        return self.block().status == 201 and self.ask("GET", "/readyz").status == 200

    def descriptors(self) -> set[int]:
        return {int(path.name) for path in Path(f"/proc/{self.program.pid}/fd").iterdir()}

    @contextlib.contextmanager
    def limited(self, which: int, most: int) -> Iterator[None]:
        """The running process may take this much of a resource, within the block."""
        before = resource.prlimit(self.program.pid, which)
        resource.prlimit(self.program.pid, which, (most, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.program.pid, which, before)


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    sidecar = Sidecar(tmp_path)
    yield sidecar
    sidecar.program.close()


def is_unavailable(answer: Answer) -> bool:
    """Whether it says that the store can't be used, when to come again, and what there is to do."""
    return (
        answer.status == 503
        and answer.json["code"] == "store_unavailable"
        and int(answer.headers["retry-after"]) > 0
        and re.search("(Try|tries) again", answer.json["detail"]) is not None
    )


def not_ready(sidecar: Sidecar, reason: str) -> Callable[[], bool]:
    """Whether /readyz tells that, and why."""

    def look() -> bool:
        answer = sidecar.ask("GET", "/readyz")
        return is_unavailable(answer) and reason in answer.json["detail"]

    return look


def test_while_another_program_holds_the_store_reading_goes_on_and_writing_is_put_off(sidecar: Sidecar) -> None:
    with contextlib.closing(sqlite3.connect(sidecar.store, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            assert is_unavailable(sidecar.block())
            assert sidecar.ask("GET", LISTING).status == 200
        eventually(not_ready(sidecar, "locked"))
        shell.execute("ROLLBACK")
    eventually(sidecar.well)
    assert "Traceback" not in sidecar.program.errors()


def test_a_full_disk_is_told_until_there_is_room_again(sidecar: Sidecar) -> None:
    log = sidecar.store.with_name("bridge.db-wal")
    with sidecar.limited(resource.RLIMIT_FSIZE, log.stat().st_size + 100_000):
        eventually(lambda: is_unavailable(sidecar.block("x" * 200)), often=0)
        assert not_ready(sidecar, "disk")()
        assert sidecar.ask("GET", LISTING).status == 200
    eventually(sidecar.well)
    assert "Traceback" not in sidecar.program.errors()


def test_a_full_disk_is_noticed_though_nobody_stores_anything(sidecar: Sidecar) -> None:
    log = sidecar.store.with_name("bridge.db-wal")
    with sidecar.limited(resource.RLIMIT_FSIZE, log.stat().st_size):
        eventually(not_ready(sidecar, "disk"))
    eventually(lambda: sidecar.ask("GET", "/readyz").status == 200)


def test_without_its_file_nothing_is_taken_that_would_be_lost(sidecar: Sidecar) -> None:
    aside = sidecar.store.with_name("moved.db")
    sidecar.store.rename(aside)
    assert is_unavailable(sidecar.block())
    assert is_unavailable(sidecar.ask("GET", LISTING))
    eventually(not_ready(sidecar, "moved"))
    aside.rename(sidecar.store)
    eventually(sidecar.well)
    assert "Traceback" not in sidecar.program.errors()


def test_too_many_open_files_are_told(sidecar: Sidecar) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=20)) as kept:

        def listing() -> Answer:
            kept.request("GET", LISTING, headers=sidecar.headers)
            answer = kept.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode())

        kept.request("GET", "/healthz")
        kept.getresponse().read()
        open_now = sidecar.descriptors()
        with sidecar.limited(resource.RLIMIT_NOFILE, min(set(range(len(open_now) + 1)) - open_now)):
            assert is_unavailable(listing())
        assert listing().status == 200
    assert "Traceback" not in sidecar.program.errors()
