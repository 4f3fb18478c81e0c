"""A store with Ada's merged calendar in it, and the Radicale application over it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import vobject
from radicale import app as stock
from radicale import config as radicale_config

from bridge.domain import publish as decide
from bridge.domain.model import MirrorItem, PublishedItem, SlotSettings, Titles
from bridge.service import users
from bridge.store import published
from bridge.store.db import Db
from radicale_plugin import settings
from radicale_plugin.app import Application

from .dav import Client

CONFIG = Path(__file__).parents[2] / "config" / "radicale.conf"
#: A Monday, 08:00 UTC.
NOW = 1_804_492_800
BERLIN = "Europe/Berlin"


def ics(uid: str, start: str, end: str | None = None, *more: str, extra: str = "") -> str:
    """An upstream event; times are property values such as `;TZID=Europe/Berlin:20270308T100000`."""
    lines = [f"DTSTART{start}", *([f"DTEND{end}"] if end else []), *more]
    event = "".join(f"{line}\r\n" for line in (f"UID:{uid}", "DTSTAMP:20270301T000000Z", f"SUMMARY:{uid}", *lines))
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//phone//EN\r\n"
        f"BEGIN:VEVENT\r\n{event}END:VEVENT\r\n{extra}END:VCALENDAR\r\n"
    )


def override(uid: str, recurrence_id: str, start: str, end: str, *more: str) -> str:
    """An event that takes the place of one occurrence of a series."""
    lines = (f"UID:{uid}", "DTSTAMP:20270301T000000Z", f"SUMMARY:{uid} moved", f"RECURRENCE-ID{recurrence_id}")
    event = "".join(f"{line}\r\n" for line in (*lines, f"DTSTART{start}", f"DTEND{end}", *more))
    return f"BEGIN:VEVENT\r\n{event}END:VEVENT\r\n"


def at(text: str, zone: str = BERLIN) -> int:
    """Unix seconds of a local time."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def utc(instant: int) -> str:
    """As CalDAV requests want it."""
    return dt.datetime.fromtimestamp(instant, dt.UTC).strftime("%Y%m%dT%H%M%SZ")


@dataclass
class World:
    """The store as the sidecar sees it, and what clients reach through Radicale."""

    db: Db
    app: stock.Application
    password: str
    password_id: str

    @property
    def ada(self) -> Client:
        return Client(self.app, "ada", self.password)

    @property
    def nobody(self) -> Client:
        return Client(self.app)

    def publish(self, uid: str, text: str | None, *, user: str = "ada", now: int = NOW) -> str:
        """Publish an upstream event as a blocked slot, as the mirror does, or take it back; the name it has then."""
        prefix = decide.href_prefix(uid)
        items = self.rendered(uid, text, now=now) if text else []
        with self.db.write() as tx:
            before = published.hrefs_with_prefix(tx, user, prefix)
            published.apply(tx, user, put=items, remove=decide.differing(before, items), now=now)
        return items[0].href if items else ""

    def rendered(self, uid: str, text: str, *, now: int = NOW) -> list[PublishedItem]:
        item = MirrorItem(calendar_id="cal_home", href=f"/home/{uid}.ics", etag='"1"', uid=uid, ics=text)
        source = decide.Source(SlotSettings(titles=Titles.TITLE), BERLIN, frozenset())
        return decide.blocked_slots([(item, decide.render(item, source, decide.horizon(now)))])

    def add_user(self, id: str, time_zone: str = BERLIN) -> Client:
        """Another user with a password."""
        users.add_user(self.db, id=id, location_id="loc", name=id.title(), time_zone=time_zone, now=NOW)
        _, password = users.add_password(self.db, id, "phone", NOW)
        return Client(self.app, id, password)


def application(
    store: Path, kind: type[stock.Application] = Application, **sections: dict[str, Any]
) -> stock.Application:
    """Radicale as `config/radicale.conf` sets it up, over a store."""
    configuration = radicale_config.load([(str(CONFIG), False)])
    configuration.update({"auth": {"delay": "0"}, "storage": {"store": str(store)}, **sections}, "test")
    return kind(configuration)


@pytest.fixture(autouse=True)
def _stores_are_closed() -> Iterator[None]:
    yield
    settings._open.cache_clear()


@pytest.fixture(params=[Application, stock.Application], ids=["ours", "stock"])
def kind(request: pytest.FixtureRequest) -> type[stock.Application]:
    """The application for production, and Radicale's own with the plugin alone."""
    return request.param


@pytest.fixture
def world(tmp_path: Path, kind: type[stock.Application]) -> Iterator[World]:
    """Ada, in Berlin, whose merged calendar is empty."""
    db = Db(tmp_path / "bridge.db")
    users.add_user(db, id="ada", location_id="loc", name="Ada", time_zone=BERLIN, now=NOW)
    password_id, password = users.add_password(db, "ada", "phone", NOW)
    yield World(db, application(db.path, kind), password, password_id)
    db.close()


@pytest.fixture
def no_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever parses iCalendar text with vobject fails the test."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("vobject parses")

    for entry in ("readOne", "readComponents"):
        monkeypatch.setattr(vobject, entry, refuse)
        monkeypatch.setattr(vobject.base, entry, refuse)


@pytest.fixture
def week(world: World) -> World:
    """A meeting on Monday, one on Tuesday, and a weekly series on Wednesdays."""
    for uid, start, end, *more in (
        ("monday", ":20270308T090000Z", ":20270308T100000Z"),
        ("tuesday", f";TZID={BERLIN}:20270309T100000", f";TZID={BERLIN}:20270309T110000"),
        ("wednesdays", f";TZID={BERLIN}:20270310T100000", f";TZID={BERLIN}:20270310T110000", "RRULE:FREQ=WEEKLY"),
    ):
        world.publish(uid, ics(uid, start, end, *more))
    return world
