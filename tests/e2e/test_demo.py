"""`bridge demo` as a newcomer and as a program meet it."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.demo.ports import free_ports

from .conftest import Demo
from .people import Answer, ask
from .processes import BRIDGE, Program, alive, bindable, descendants, eventually, run

#: What programs rely on, with what each must be.
FIELDS = {
    "caldav_url": str,
    "calendar_name": str,
    "user": str,
    "password": str,
    "api_url": str,
    "api_token": str,
    "location_id": str,
    "calendar_id": str,
    "user_id": str,
    "settings_url": str,
    "upstream": list,
}


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the demo makes its own folder: TMPDIR."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


class Started:
    """Demos of this test, each ended when it is over."""

    def __init__(self, temporary: Path, tmp_path: Path) -> None:
        self.temporary, self.directory = temporary, tmp_path
        self.programs: list[Program] = []

    def __call__(self, *options: str) -> Program:
        program = Program([*BRIDGE, "demo", *options], self.directory, env={"TMPDIR": str(self.temporary)})
        self.programs.append(program)
        return program


@pytest.fixture
def start(temporary: Path, tmp_path: Path) -> Iterator[Started]:
    started = Started(temporary, tmp_path)
    yield started
    for program in started.programs:
        program.close()


def test_a_program_finds_all_it_needs_on_the_first_line(demo: Demo) -> None:
    facts = demo.facts
    assert {name: type(value) for name, value in facts.items()} == FIELDS
    for one in facts["upstream"]:
        assert set(one) == {"url", "user", "password", "primary", "conflicts"}
        for calendar in [one["primary"], *one["conflicts"]]:
            if calendar is not None:
                answer = ask("PROPFIND", calendar, login=(one["user"], one["password"]), headers={"Depth": "0"})
                assert answer.status == 207
    assert [bool(one["primary"]) for one in facts["upstream"]] == [True, False]
    assert all(one["conflicts"] for one in facts["upstream"])
    named = ask("PROPFIND", facts["caldav_url"], login=(facts["user"], facts["password"]), headers={"Depth": "0"})
    assert facts["calendar_name"] in named.text
    assert len(demo.subscriber.events()) > 5, "the week is lively"


def test_webhooks_may_be_received_on_the_same_machine(demo: Demo) -> None:
    made = demo.crm.send("POST", "webhooks", {"url": "http://127.0.0.1:9/", "active": False})
    assert made.status == 201, made
    assert demo.crm.send("DELETE", f"webhooks/{made.json['id']}").status == 204


def test_a_browser_is_asked_who_it_is(demo: Demo) -> None:
    page = ask("GET", demo.facts["settings_url"], headers={"Accept": "text/html"})
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "<form" in page.text
    for secret in (demo.facts["password"], demo.facts["api_token"], "Ada", "icloud.example", "Dentist"):
        assert secret not in page.text


def test_what_it_prints_can_be_pasted(start: Started) -> None:
    program = start()
    program.line("The bridge is running")
    text = ""
    while "Press Ctrl-C to stop the demo" not in text:
        text += program.line() + "\n"
    commands = [line.strip() for line in re.findall(r"^ +curl (?:.*\\\n)*.*$", text, re.MULTILINE)]
    assert len(commands) == 4
    appointment, slot, merged, upstream = (paste(command) for command in commands)
    assert appointment.status == 201, appointment
    assert slot.status == 201, slot
    titles = [appointment.json["title"], slot.json["title"]]
    for title in titles:
        assert f"SUMMARY:{title}" in merged.text

    def arrived() -> Answer | None:
        answer = paste(commands[3])
        return answer if f"SUMMARY:{titles[0]}" in answer.text else None

    assert titles[1] not in (eventually(arrived) or upstream).text


def paste(command: str) -> Answer:
    """What a shell and curl make of a printed line (up to its pipe), without needing curl here."""
    words = iter(shlex.split(command.replace("\\\n", " ").partition(" | ")[0])[1:])
    method, login, headers, body, url = "GET", None, {}, None, ""
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-u":
                user, _, password = next(words).partition(":")
                login = user, password
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words)
            case "-s" | "-sS":
                pass
            case _:
                url = word
    return ask(method, url, login=login, headers=headers, body=body)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "ctrl-c"])
def test_nothing_is_left_when_it_ends(start: Started, temporary: Path, number: signal.Signals) -> None:
    ports = free_ports(3)
    options = [f"--{name}-port={port}" for name, port in zip(("sidecar", "radicale", "upstream"), ports, strict=True)]
    program = start("--json", *options)
    facts = json.loads(program.line())
    assert facts["settings_url"] == f"http://127.0.0.1:{ports[0]}/"
    assert list(temporary.iterdir())
    family = [program.pid, *descendants(program.pid)]
    assert len(family) >= 4

    assert program.end(number) == 0
    assert program.rest() == "", "only the first line is printed"
    assert not re.search("Traceback|Fatal|Warning|INFO|WARNING", program.errors()), program.errors()
    assert not list(temporary.iterdir())
    assert not [pid for pid in family if alive(pid)]
    assert all(bindable(port) for port in ports)


def test_nothing_is_left_when_it_is_ended_while_it_starts(start: Started, temporary: Path) -> None:
    for _ in range(3):
        program = start("--json")
        eventually(lambda: list(temporary.iterdir()), often=0.005)
        program.end()
        assert not list(temporary.iterdir())


def test_its_data_can_be_kept(start: Started, noon: dt.datetime, tmp_path: Path) -> None:
    kept = f"--data={tmp_path / 'kept'}"
    first = start("--json", kept)
    before = Demo(first, tmp_path / "kept", json.loads(first.line()))
    booked = before.crm.book("Kept", noon)
    eventually(lambda: before.crm.synced(booked["id"]))
    events = before.subscriber.events()
    assert first.end() == 0

    second = start("--json", kept)
    after = Demo(second, tmp_path / "kept", json.loads(second.line()))
    assert after.facts == before.facts
    assert after.subscriber.events() == events
    assert after.crm.synced(booked["id"])
    assert "".join(after.people[0].objects(after.primary).values()).count("SUMMARY:Kept") == 1


def test_two_run_side_by_side(demo: Demo, start: Started) -> None:
    other = json.loads(start("--json").line())
    mine = demo.facts
    for name in ("caldav_url", "api_url", "settings_url", "password", "api_token"):
        assert other[name] != mine[name]
    login = (mine["user"], mine["password"])
    assert ask("PROPFIND", other["caldav_url"], login=login, headers={"Depth": "0"}).status == 401


def test_a_taken_port_is_told(temporary: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {"TMPDIR": str(temporary)}
        finished = run(*BRIDGE, "demo", "--json", "--upstream-port", str(port), directory=tmp_path, env=env)
    assert finished.code == 1, finished
    assert finished.out == ""
    assert f"The upstream can't listen at port {port}" in finished.err
    assert "--upstream-port" in finished.err
    assert "Traceback" not in finished.err
    assert not list(temporary.iterdir())
