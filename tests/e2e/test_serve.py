"""`bridge serve` with settings of its own, set up by the commands that an administrator types."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
import signal
import socket
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from bridge.demo.ports import free_ports
from tests import upstreams

from .conftest import RADICALE, Serving
from .people import CUT_OFF, Answer, ask, event
from .processes import BRIDGE, PATIENCE, alive, bindable, child, descendants, eventually, kill, run

HOUR = dt.timedelta(hours=1)
ON_BOTH = pytest.mark.parametrize(
    "upstream", [upstreams.radicale, upstreams.xandikos], ids=["radicale", "xandikos"], indirect=True
)
SATURDAY = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(days=30)


def test_an_administrator_sets_it_up_while_it_serves(serving: Serving) -> None:
    assert "Everything is in order." in serving.done("check-config")
    program = serving.start()
    assert program.errors().startswith("Starting the sidecar and Radicale …\n")
    assert serving.done("status").startswith("There are no users yet.")
    serving.set_up()
    home, work = serving.calendars["Home"], serving.calendars["Work"]
    assert "Everything is in order." in serving.done("check-config", "--connections")

    for number, calendar in enumerate((home, work, serving.calendars["Hobby"])):
        serving.login.put(calendar, "e.ics", event(f"e{number}", SATURDAY + HOUR * number, title="Dentist"))
    seen = eventually(lambda: len(found := serving.subscriber.events().values()) == 2 and found)
    assert sorted((one.start - SATURDAY, one.title) for one in seen) == [(HOUR * 0, "Busy"), (HOUR, "Busy")]

    booked = serving.crm.book("Call", SATURDAY + 5 * HOUR)
    eventually(lambda: serving.crm.synced(booked["id"]))
    (text,) = (text for name, text in serving.login.texts(home).items() if name != "e.ics")
    assert "SUMMARY:Call" in text

    (ada,) = json.loads(serving.done("status", "ada", "--json"))
    assert [account["state"] for account in ada["accounts"]] == ["connected"]
    assert not ada["failed"]

    # A dry run says what is new, and changes nothing.
    assert program.end() == 0
    program.close()
    serving.login.put(work, "f.ics", event("f", SATURDAY + 7 * HOUR, title="Later"))
    runs = json.loads(serving.done("sync", "--dry-run", "--json"))
    assert [one["run"]["calendar_name"] for one in runs if one["run"]["fetched"]] == ["Work"]
    serving.start()
    eventually(lambda: len(serving.subscriber.events()) == 4)

    # While a sidecar works, the command leaves the writing to it: there is one writer.
    assert "The sidecar, which is running, writes" in serving.command("sync").err


@ON_BOTH
def test_conflict_calendars_are_never_written(serving: Serving) -> None:
    serving.set_up()
    serving.start()
    crm, work = serving.crm, serving.calendars["Work"]
    serving.login.put(work, "theirs.ics", event("theirs", SATURDAY, title="Theirs"))
    eventually(lambda: serving.subscriber.at(SATURDAY))
    kept, changed, cancelled = (crm.book(f"Call {n}", SATURDAY + HOUR * n)["id"] for n in (1, 2, 3))
    crm.block("Lunch", SATURDAY + 4 * HOUR)
    for one in (kept, changed, cancelled):
        eventually(lambda one=one: crm.synced(one))
    crm.change(changed, title="Changed")
    crm.cancel(cancelled)
    assert crm.send("DELETE", f"calendars/events/{serving.subscriber.at(SATURDAY)[0].uid}").status in {403, 404}
    eventually(lambda: crm.synced(changed))
    eventually(lambda: len(serving.login.texts(serving.calendars["Home"])) == 2)
    # Only now is all work done that could have gone astray.
    assert [one.method for one in serving.upstream.writes(serving.calendars["Home"])] != []
    assert serving.upstream.writes(work) == []
    assert serving.upstream.writes(serving.calendars["Hobby"]) == []
    written = {one.path.rpartition("/")[0] for one in serving.upstream.writes(serving.upstream.url)}
    assert written == {re.sub(r"^http://[^/]+", "", serving.calendars["Home"]).rstrip("/").replace("%40", "@")}


def test_sigterm_ends_everything_cleanly(serving: Serving) -> None:
    program = serving.start()
    family = [program.pid, *descendants(program.pid)]
    assert len(family) >= 3
    started = time.monotonic()
    assert program.end(signal.SIGTERM) == 0
    assert time.monotonic() - started < 15, "a service manager would have lost patience"
    assert not [pid for pid in family if alive(pid)]
    assert bindable(serving.sidecar_port)
    assert bindable(serving.radicale_port)
    assert not re.search("Traceback|Fatal|Warning", program.errors()), program.errors()


def test_a_killed_child_is_brought_back(serving: Serving) -> None:
    program = serving.start()
    serving.set_up()
    for part in ("sidecar", "radicale_plugin"):
        victim = child(program, part)
        kill([victim])
        eventually(lambda part=part, victim=victim: child(program, part) != victim and answers(serving))
    booked = serving.crm.book("After all", SATURDAY)
    eventually(lambda: serving.crm.synced(booked["id"]))
    assert len(serving.subscriber.titled("After all")) == 1


def answers(serving: Serving) -> bool:
    """Whether both servers do."""
    try:
        ask("GET", f"http://127.0.0.1:{serving.sidecar_port}/healthz")
        return ask("OPTIONS", f"http://127.0.0.1:{serving.radicale_port}/").status < 500
    except CUT_OFF:
        return False


# --- Killed at any moment ---------------------------------------------------------------------------------------------

APPOINTMENTS = 30
KILLS = 6


@ON_BOTH
def test_killed_at_any_moment_it_loses_nothing_and_doubles_nothing(serving: Serving) -> None:
    chance = random.Random(serving.upstream.kind)
    serving.start()
    serving.set_up()
    home, work = serving.calendars["Home"], serving.calendars["Work"]
    expected: dict[str, dt.datetime] = {}
    theirs: dict[str, dt.datetime] = {}

    def insist(method: str, path: str, body: object, key: str) -> Answer:
        """Send until there is an answer, as a program does that was told about Idempotency-Key."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                answer = serving.crm.send(method, path, body, Idempotency_Key=key)
            except CUT_OFF:
                time.sleep(0.05)
                continue
            if answer.status < 500:
                assert answer.status in {200, 201}, answer
                return answer
        raise AssertionError(f"no answer to {key}")

    def crm() -> None:
        for number in range(APPOINTMENTS):
            start = SATURDAY + HOUR * number
            title = f"Call {number}"
            body = serving.crm.appointment(title, start)
            made = insist("POST", "calendars/events/appointments", body, f"key-{number}").json["id"]
            if number % 3 == 1:
                title, start = f"Moved {number}", start + dt.timedelta(minutes=20)
                body = {
                    "title": title,
                    "startTime": start.isoformat(),
                    "endTime": (start + dt.timedelta(minutes=30)).isoformat(),
                }
                insist("PUT", f"calendars/events/appointments/{made}", body, "")
            if number % 3 == 2:
                insist("DELETE", f"calendars/events/{made}", None, "")
            else:
                expected[title] = start
            time.sleep(chance.uniform(0, 0.3))

    def once_unlocked(change: Callable[[], None]) -> None:
        """Xandikos does one thing at a time; whoever comes meanwhile gets 423, or 500: then a person tries again."""
        while True:
            try:
                return change()
            except urllib.error.HTTPError as error:
                error.close()
                if error.code not in {423, 500}:
                    raise

    def person() -> None:
        for number in range(APPOINTMENTS):
            name, start = f"mine-{number}.ics", SATURDAY + dt.timedelta(days=60) + HOUR * number
            calendar = (home, work)[number % 2]
            mine = partial(event, f"mine-{number}", title="Mine")
            once_unlocked(partial(serving.login.put, calendar, name, mine(start)))
            if number % 3 == 1:
                start += HOUR / 2
                once_unlocked(partial(serving.login.put, calendar, name, mine(start)))
            if number % 3 == 2:
                once_unlocked(partial(serving.login.delete, calendar, name))
            else:
                theirs[name] = start
            time.sleep(chance.uniform(0, 0.3))

    with running(crm, person):
        for number in range(KILLS):
            time.sleep(chance.uniform(0.1, 1.5))
            assert serving.program is not None
            # Everything at once, as power fails; or the supervisor alone, whose children have to end by themselves.
            family = descendants(serving.program.pid) if number % 2 else []
            kill([serving.program.pid, *family])
            serving.program.close()
            serving.start()

    def upstream() -> dict[str, dt.datetime]:
        found: dict[str, dt.datetime] = {}
        for name, text in serving.login.texts(home).items():
            if name.startswith("mine-"):
                continue
            (title,) = re.findall(r"SUMMARY:(.+?)\r?\n", text)
            (start,) = re.findall(r"DTSTART[^:]*:(\w+)", text)
            assert title not in found, f"{title} is there twice"
            found[title] = dt.datetime.strptime(start, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        return found

    def merged() -> tuple[dict[str, object], list[object]]:
        events = list(serving.subscriber.events().values())
        booked = {one.title: one.start for one in events if one.title != "Busy"}
        busy = [one.start for one in events if one.title == "Busy"]
        assert len(booked) + len(busy) == len(events), "something is there twice"
        return booked, sorted(busy, key=str)

    def settled() -> bool:
        assert upstream() == expected
        assert merged() == (expected, sorted(theirs.values(), key=str))
        (ada,) = json.loads(serving.done("status", "ada", "--json"))
        assert (ada["waiting"], ada["failed"]) == (0, [])
        return True

    eventually(settled)
    assert serving.upstream.writes(work) == []


@contextmanager
def running(*works: object) -> Iterator[None]:
    """Do these in threads meanwhile; what they raise is raised here."""
    raised: list[BaseException] = []

    def guarded(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
    if raised:
        raise raised[0]


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    (free,) = free_ports(1)
    (tmp_path / "config").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "config" / "bridge.toml").write_text(
            f'[sidecar]\nport = {port}\n[radicale]\nport = {free}\nconfig = "{RADICALE}"\n'
        )
        finished = run(*BRIDGE, "serve", directory=tmp_path)
    assert finished.code == 1
    assert f"The sidecar can't listen at 127.0.0.1, port {port}" in finished.err
    assert "Traceback" not in finished.err
    assert bindable(free)
