"""The whole bridge as processes: one demo for all tests that can share it."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.demo.ports import free_ports
from tests import upstreams
from tests.upstreams import Server

from .people import Crm, Person, Subscriber, Vdirsyncer
from .processes import BRIDGE, Finished, Program, run

RADICALE = Path(__file__).parents[2] / "config" / "radicale.conf"


@dataclass
class Demo:
    """A running `bridge demo --json`, and those who meet at it."""

    program: Program
    folder: Path
    facts: dict[str, Any]

    @property
    def crm(self) -> Crm:
        names = ("api_url", "api_token", "location_id", "calendar_id", "user_id")
        return Crm(*(self.facts[name] for name in names))

    @property
    def subscriber(self) -> Subscriber:
        return Subscriber(self.facts["caldav_url"], self.facts["user"], self.facts["password"])

    @property
    def people(self) -> list[Person]:
        return [Person(one["url"], one["user"], one["password"]) for one in self.facts["upstream"]]

    @property
    def primary(self) -> str:
        return str(self.facts["upstream"][0]["primary"])

    @property
    def read(self) -> list[tuple[Person, str]]:
        """Every upstream calendar that the bridge reads, with who owns it."""
        found = []
        for person, one in zip(self.people, self.facts["upstream"], strict=True):
            found += [(person, calendar) for calendar in [one["primary"], *one["conflicts"]] if calendar]
        return found

    def command(self, *words: str, typed: str = "") -> Finished:
        """Run `bridge` on the demo's own settings, while it serves."""
        return run(*BRIDGE, "--config", str(self.folder / "bridge.toml"), *words, directory=self.folder, typed=typed)

    def done(self, *words: str, typed: str = "") -> str:
        return succeeded(self.command(*words, typed=typed))


def succeeded(finished: Finished) -> str:
    """What a command printed, which ended with exit code 0."""
    assert finished.code == 0, finished
    return finished.out


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo that keeps its data in a known folder."""
    folder = tmp_path_factory.mktemp("demo")
    program = Program([*BRIDGE, "demo", "--json", "--data", str(folder)], folder)
    try:
        yield Demo(program, folder, json.loads(program.line()))
    finally:
        program.close()


@pytest.fixture
def vdirsyncer(demo: Demo, tmp_path: Path) -> Vdirsyncer:
    """A copy of the demo's merged calendar, kept with vdirsyncer."""
    return Vdirsyncer(tmp_path / "vdirsyncer", demo.subscriber)


_weeks = itertools.count(3)


@pytest.fixture
def noon() -> dt.datetime:
    """Noon (UTC) of a Saturday ahead that no other test uses, and on which the demo's people have nothing to do."""
    today = dt.datetime.now(dt.UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return today + dt.timedelta(days=5 - today.weekday(), weeks=next(_weeks))


class Serving:
    """`bridge serve` with settings of its own, in a directory of its own, and the command line beside it."""

    def __init__(self, directory: Path, upstream: Server) -> None:
        self.directory = directory
        self.sidecar_port, self.radicale_port = free_ports(2)
        (directory / "config").mkdir(parents=True)
        (directory / "config" / "bridge.toml").write_text(
            f"""[sidecar]
port = {self.sidecar_port}
[radicale]
port = {self.radicale_port}
config = "{RADICALE}"
[mirror]
poll_seconds = 1
[providers.home]
url = "{upstream.url}"
requests_per_minute = 6000
"""
        )
        self.upstream = upstream
        self.login = upstream.login("ada@example.com")
        self.calendars = {name: self.login.make_calendar(name) for name in ("Home", "Work", "Hobby")}
        self.program: Program | None = None
        self.crm: Crm
        self.subscriber: Subscriber

    def start(self) -> Program:
        """Start it; returns once it says that it is ready."""
        self.program = Program([*BRIDGE, "serve"], self.directory)
        self.program.line("Ready.")
        return self.program

    def close(self) -> None:
        if self.program is not None:
            self.program.close()

    def command(self, *words: str, typed: str = "") -> Finished:
        return run(*BRIDGE, *words, directory=self.directory, typed=typed)

    def done(self, *words: str, typed: str = "") -> str:
        return succeeded(self.command(*words, typed=typed))

    def set_up(self) -> None:
        """All that an administrator does for a new user, with the commands that they would type."""
        zone = ("--location", "loc_1", "--name", "Ada", "--time-zone", "Europe/Berlin")
        added = json.loads(self.done("user", "add", "ada", *zone, "--json"))
        login = ("--provider", "home", "--username", self.login.username, "--password-stdin")
        self.done("account", "connect", "ada", *login, typed=self.login.password + "\n")
        self.done("calendars", "set", "ada", "--primary", "Home", "--conflict", "Work")
        token = json.loads(self.done("token", "add", "crm", "--json"))["token"]
        api = f"http://127.0.0.1:{self.sidecar_port}/v1"
        self.crm = Crm(api, token, "loc_1", added["booking_calendar_id"], "ada")
        address = f"http://127.0.0.1:{self.radicale_port}/ada/crm/"
        assert added["calendar_address"] == address
        self.subscriber = Subscriber(address, "ada", added["password"])


@pytest.fixture
def upstream(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A real upstream server that counts what is asked of it: Radicale, unless the test asks for others."""
    start = getattr(request, "param", upstreams.radicale)
    with start(tmp_path / "upstream") as server:
        yield server


@pytest.fixture
def serving(upstream: Server, tmp_path: Path) -> Iterator[Serving]:
    """`bridge serve`, not yet started, with nothing set up."""
    serving = Serving(tmp_path / "bridge", upstream)
    yield serving
    serving.close()
