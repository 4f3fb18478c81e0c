"""A running bridge with a stand-in for iCloud, and people who use it in a browser."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from bridge.service import sessions, users
from bridge.store.db import Db
from tests import upstreams
from tests.e2e.processes import BRIDGE, Program
from tests.upstreams import icloud
from tests.upstreams.icloud import Cloud, CloudLogin

RADICALE = Path(__file__).parents[2] / "config" / "radicale.conf"
_numbers = count(1)
_axe = Axe()


@dataclass
class Person:
    """A CRM user who has an Apple Account."""

    id: str
    cloud: CloudLogin
    calendars: dict[str, str]
    booking_calendar: str
    #: A calendar password made with the user.
    password: str


@dataclass
class Bridge:
    """`bridge serve`, and its store: what an administrator does beside it."""

    folder: Path
    cloud: Cloud
    sidecar: int = field(default_factory=upstreams.free_port)
    radicale: int = field(default_factory=upstreams.free_port)
    #: Whether phones find it.
    public: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.sidecar}"

    @cached_property
    def store(self) -> Db:
        return Db(self.folder / "data" / "bridge.db")

    def write_settings(self) -> None:
        (self.folder / "config").mkdir(parents=True)
        pages, calendars = (
            ('public_url = "http://bridge.example.com/"', 'public_url = "https://dav.example.com/"')
            if self.public
            else ("", "")
        )
        hosts = json.dumps(["127.0.0.1", "127.0.0.2", "127.0.0.3"])
        (self.folder / "config" / "bridge.toml").write_text(
            f"""[sidecar]
port = {self.sidecar}
{pages}
[radicale]
{calendars}
port = {self.radicale}
config = "{RADICALE}"
[mirror]
poll_seconds = 1
[providers.icloud]
url = "{self.cloud.url}"
credential_hosts = {hosts}
requests_per_minute = 6000
[providers.company]
url = "{self.cloud.url}"
credential_hosts = {hosts}
"""
        )

    def person(self) -> Person:
        """Somebody new, with an Apple Account and four calendars there."""
        number = next(_numbers)
        user, login = f"user{number}", self.cloud.login(f"user{number}@icloud.example")
        other = self.cloud.login(f"friend{number}@icloud.example")
        calendars = {name: login.make_calendar(name, colour="#3A6FD8FF") for name in ("Home", "Work")}
        theirs = other.make_calendar("Club")
        calendars["Club"] = other.share(theirs, login, writable=False)
        now = int(time.time())
        _, booking_calendar = users.add_user(
            self.store, id=user, location_id="loc", name=f"Ada {number}", time_zone="Europe/Berlin", now=now
        )
        _, password = users.add_password(self.store, user, "first", now)
        return Person(user, login, calendars, booking_calendar.id, password)

    def link(self, person: Person) -> str:
        secret, _ = sessions.make_link(self.store, person.id, actor="test", now=int(time.time()))
        return sessions.link_address(f"{self.url}/", secret)

    def token(self, *scopes: str) -> str:
        _, token = users.add_token(self.store, label="test", location_ids=[], scopes=scopes, now=int(time.time()))
        return token


@contextmanager
def serving(folder: Path, *, public: bool = False) -> Iterator[Bridge]:
    with icloud.running() as cloud:
        bridge = Bridge(folder, cloud, public=public)
        bridge.write_settings()
        program = Program([*BRIDGE, "serve"], folder)
        try:
            program.line("Ready.")
            yield bridge
        finally:
            program.close()
            bridge.store.close()


def look(page: Page, *, heaviest: int = 100_000) -> None:
    """What holds for every page: nothing that keeps somebody out, nothing cut off, nothing heavy."""
    expect(page.locator("h1")).to_have_count(1)
    found = _axe.run(page).response["violations"]
    told = [(one["id"], one["impact"], [node["html"][:200] for node in one["nodes"]]) for one in found]
    assert told == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{page.url} is wider than the screen"
    assert len(page.content().encode()) < heaviest


def sign_in(page: Page, bridge: Bridge, person: Person) -> None:
    page.goto(bridge.link(person))
    page.get_by_role("button", name="Open my settings").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Integrations")


def connect(page: Page, person: Person) -> None:
    page.get_by_role("link", name="Connect iCloud Calendar").click()
    page.get_by_label("Apple Account e-mail address").fill(person.cloud.username)
    page.get_by_label("App-specific password", exact=True).fill(person.cloud.password.replace("-", " "))
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("status")).to_contain_text("Connected.")


def choose(page: Page, bridge: Bridge, *, primary: str, conflicts: tuple[str, ...] = ()) -> None:
    page.goto(f"{bridge.url}/profile/calendars")
    page.get_by_role("link", name="Edit the Primary Calendar").click()
    page.get_by_role("radio", name=primary).check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What this will do")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("The Primary calendar is saved.")
    if conflicts:
        page.get_by_role("link", name="Edit the calendars to check for conflicts").click()
        for name in conflicts:
            page.get_by_role("checkbox", name=name).check()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("What this will do")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_have_text("The calendars to check for conflicts are saved.")
