"""The API as a CRM sees it: the real application over a real store; iCloud is a server in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from bridge.domain.booking_calendars import BookingCalendar
from bridge.remote.memory import MemoryServer
from bridge.service import mirror, push, users
from bridge.store import booking_calendars
from bridge.web.app import make_web_app
from tests.service.conftest import World, make_world
from tests.service.told import assert_told

from . import conformance

APPOINTMENTS = "/v1/calendars/events/appointments"
SLOTS = "/v1/calendars/events/block-slots"
EVENTS = "/v1/calendars/events"
BLOCKED = "/v1/calendars/blocked-slots"
SCOPES = ("calendars/events.readonly", "calendars/events.write")
#: The week of the world's NOW, in epoch milliseconds and as text.
WEEK = {"startTime": "2027-03-08T00:00:00+01:00", "endTime": "2027-03-15T00:00:00+01:00"}


@dataclass
class Answer:
    """One answer, read."""

    status: int
    headers: Any
    json: Any


@dataclass
class Api:
    """A client with a token."""

    client: TestClient[Any, Any]
    world: World
    token: str
    #: Set when the worker would be woken to push.
    push_wanted: asyncio.Event
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, method: str, path: str, json: Any = None, **rest: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}", **self.headers, **rest.pop("headers", {})}
        if json is not None:
            rest["json"] = json
        async with self.client.request(method, path, headers=headers, **rest) as response:
            text = await response.text()
            read = await response.json(content_type=None) if text else None
            if method != "HEAD":
                conformance.check(method, response.url.raw_path, response.status, response.headers, read)
            return Answer(response.status, response.headers.copy(), read)

    def with_token(self, *, locations: tuple[str, ...] = ("loc",), scopes: tuple[str, ...] = SCOPES) -> Api:
        _, secret = users.add_token(
            self.world.db, label="test", location_ids=locations, scopes=scopes, now=self.world.now()
        )
        return replace(self, token=secret)

    def body(self, **changes: Any) -> dict[str, Any]:
        """An appointment to post; None takes a field out."""
        body = {
            "locationId": "loc",
            "calendarId": self.world.booking_calendar_id,
            "title": "Intro call",
            "startTime": "2027-03-09T10:00:00+01:00",
            "endTime": "2027-03-09T10:30:00+01:00",
            "timezone": "Europe/Berlin",
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}

    def slot(self, **changes: Any) -> dict[str, Any]:
        """A blocked slot to post; None takes a field out."""
        body = {
            "locationId": "loc",
            "assignedUserId": "ada",
            "title": "Lunch",
            "startTime": "2027-03-09T12:00:00+01:00",
            "endTime": "2027-03-09T13:00:00+01:00",
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}

    async def book(self, **changes: Any) -> dict[str, Any]:
        """Post an appointment that has to be accepted."""
        answer = await self("POST", APPOINTMENTS, self.body(**changes))
        assert answer.status == 201, answer.json
        return answer.json

    async def block(self, **changes: Any) -> dict[str, Any]:
        """Post a blocked slot that has to be accepted."""
        answer = await self("POST", SLOTS, self.slot(**changes))
        assert answer.status == 201, answer.json
        return answer.json

    async def push(self) -> None:
        await push.push_due(self.world.context)

    async def poll(self) -> None:
        await mirror.mirror_account(self.world.context, self.world.account_id)

    def stored(self) -> dict[str, Any]:
        """All that a request could have left behind."""
        tables = ("appointments", "blocked_slots", "outbox", "published_items", "occurrences", "idempotency_keys")
        with self.world.db.read() as tx:
            found = {table: [tuple(row) for row in tx.execute(f"SELECT * FROM {table}")] for table in tables}
            found["revisions"] = [tuple(row) for row in tx.execute("SELECT id, revision FROM users")]
        return found

    def add_user(self, user_id: str, location: str = "loc") -> str:
        """Another User. Returns the id of their booking calendar."""
        _, calendar = users.add_user(
            self.world.db, id=user_id, location_id=location, name=user_id, time_zone="Europe/Berlin", now=0
        )
        return calendar.id

    def add_calendar(self, *members: str) -> str:
        """A booking calendar of several Users. Returns its id."""
        calendar = BookingCalendar("cal_team", "loc", "Team", members, 30, 0, 0)
        with self.world.db.write() as tx:
            booking_calendars.put(tx, calendar)
        return calendar.id


@pytest.fixture
async def api(tmp_path, aiohttp_client):
    world = await make_world(tmp_path / "bridge.db", MemoryServer())
    push_wanted = asyncio.Event()
    world.context = replace(world.context, wake_push=push_wanted.set)
    client = await aiohttp_client(make_web_app(world.context))
    yield Api(client, world, "", push_wanted).with_token()
    assert_told(world.db)
    world.db.close()
