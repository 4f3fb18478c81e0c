"""A running bridge with a stand-in for iCloud, and people who use it in a browser."""

from __future__ import annotations

import datetime as dt
import json
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from bridge.service import sessions, users
from bridge.store.db import Db
from tests import upstreams
from tests.e2e.processes import BRIDGE, Program
from tests.upstreams import icloud
from tests.upstreams.icloud import Cloud, CloudLogin

DEVICES = {
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "desk": {"viewport": {"width": 1280, "height": 900}},
}
BERLIN = ZoneInfo("Europe/Berlin")
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
    #: Whether people may connect a server by its address.
    other_servers: bool = False
    _plain: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.sidecar}"

    @cached_property
    def store(self) -> Db:
        return Db(self.folder / "data" / "bridge.db")

    def write_settings(self) -> None:
        self.settings_file.parent.mkdir(parents=True)
        pages, calendars = (
            ('public_url = "http://bridge.example.com/"', 'public_url = "https://dav.example.com/"')
            if self.public
            else ("", "")
        )
        hosts = json.dumps(["127.0.0.1", "127.0.0.2", "127.0.0.3"])
        self.settings_file.write_text(
            f"""[sidecar]
port = {self.sidecar}
{pages}
[radicale]
{calendars}
port = {self.radicale}
config = "{RADICALE}"
[pages]
other_servers = {"true" if self.other_servers else "false"}
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

    @property
    def settings_file(self) -> Path:
        return self.folder / "config" / "bridge.toml"

    def declare(self, person: Person, *, primary: str, conflicts: tuple[str, ...]) -> None:
        """An administrator edits the settings file while the bridge runs."""
        secret = self.folder / f"{person.id}.password"
        secret.touch(mode=0o600)
        secret.write_text(person.cloud.password)
        self._plain = self.settings_file.read_text()
        self.settings_file.write_text(
            f"""{self._plain.replace("other_servers = false", "other_servers = true")}
[[users]]
id = "{person.id}"
location = "loc"
time_zone = "Europe/Berlin"
[[users.accounts]]
username = "{person.cloud.username}"
password_file = "{secret}"
primary = "{primary}"
conflicts = {json.dumps(conflicts)}
"""
        )

    def forget_declarations(self) -> None:
        """They take it out again."""
        self.settings_file.write_text(self._plain)

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
def serving(
    folder: Path, *, public: bool = False, other_servers: bool = False, env: Mapping[str, str] | None = None
) -> Iterator[Bridge]:
    with icloud.running() as cloud:
        bridge = Bridge(folder, cloud, public=public, other_servers=other_servers)
        bridge.write_settings()
        program = Program([*BRIDGE, "serve"], folder, env=env)
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


def tab_stops(page: Page) -> list[dict]:
    """Everything that has the focus in turn: its name, and whether an outline tells."""
    stops = []
    for _ in range(300):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => {
              const one = document.activeElement;
              if (one === document.body || one.dataset.reached) return null;
              one.dataset.reached = 'yes';
              const label = one.labels && one.labels.length ? one.labels[0].innerText : '';
              const name = one.getAttribute('aria-label') || one.innerText || label;
              return { name: name.trim(), marked: getComputedStyle(one).outlineStyle === 'solid' };
            }"""
        )
        if stop is None:
            return stops
        stops.append(stop)
    return stops


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
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What this will do")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("The Primary calendar is saved.")
    if conflicts:
        page.get_by_role("link", name="Edit the calendars to check for conflicts").click()
        for name in conflicts:
            page.get_by_role("checkbox", name=name).check()
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("What this will do")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_have_text("The calendars to check for conflicts are saved.")


def event(uid: str, title: str, start: dt.datetime, *, hours: float = 1, recurring: str = "") -> str:
    begins, ends = (f"{at.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}" for at in (start, start + dt.timedelta(hours=hours)))
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//phone//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20270301T000000Z\r\nDTSTART:{begins}\r\nDTEND:{ends}\r\n{recurring}"
        f"SUMMARY:{title}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def all_day(uid: str, title: str, first: str, end: str) -> str:
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//phone//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20270301T000000Z\r\nDTSTART;VALUE=DATE:{first}\r\nDTEND;VALUE=DATE:{end}\r\n"
        f"SUMMARY:{title}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def tomorrow(hour: int) -> dt.datetime:
    return dt.datetime.now(BERLIN).replace(hour=hour, minute=0, second=0, microsecond=0) + dt.timedelta(days=1)


def api(bridge, token: str, path: str, body: dict) -> dict:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{bridge.url}/v1{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def reload_until(page: Page, wanted):
    """Reload until the bridge has noticed: it looks every second or two."""
    for _ in range(60):
        page.reload()
        if wanted.count():
            break
        page.wait_for_timeout(250)
    return wanted.first
