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

from .people import Crm, Person, Subscriber, Vdirsyncer
from .processes import BRIDGE, Finished, Program, run


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
        finished = self.command(*words, typed=typed)
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
