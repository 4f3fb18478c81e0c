"""A receiver of webhooks that can be told how to behave, and things to tell it of."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.domain.addresses import may_reach
from bridge.remote.receivers import Receivers
from bridge.service import book, webhooks
from bridge.service.book import NewBlockedSlot
from bridge.service.webhooks import Deliveries, Signature, WebhookChange

#: A subscription to what anybody does.
EVERYTHING = {"origins": ["api", "icloud", "bridge"]}
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@dataclass
class Message:
    """What arrived."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.raw)


@dataclass
class Receiver:
    """Answers 204 unless told otherwise, and keeps what arrives."""

    server: TestServer | None = None
    messages: list[Message] = field(default_factory=list)
    #: Answers to give, by path, first to last; then 204 again. A number, (number, headers), or an event to wait for.
    answers: dict[str, list[Any]] = field(default_factory=dict)
    #: Set whenever something arrives.
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    #: How many are being answered, and how many there were at once at most, by path.
    inside: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)

    def url(self, path: str = "/hook") -> str:
        return str(self.server.make_url(path))

    def will(self, *answers: Any, path: str = "/hook") -> None:
        self.answers.setdefault(path, []).extend(answers)

    def at(self, path: str = "/hook") -> list[Message]:
        return [message for message in self.messages if message.path == path]

    def types(self, path: str = "/hook") -> list[str]:
        return [message.json["type"] for message in self.at(path)]

    async def handle(self, request: web.Request) -> web.Response:
        path = request.path
        self.messages.append(Message(path, dict(request.headers), await request.read()))
        self.inside[path] = self.inside.get(path, 0) + 1
        self.most[path] = max(self.most.get(path, 0), self.inside[path])
        self.arrived.set()
        try:
            answer = self.answers[path].pop(0) if self.answers.get(path) else 204
            if isinstance(answer, asyncio.Event):
                await answer.wait()
                answer = 204
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            return web.Response(status=status, headers=headers)
        finally:
            self.inside[path] -= 1


@asynccontextmanager
async def receiver():
    """A receiver on loopback, by plain http."""
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    made.server = TestServer(app)
    await made.server.start_server()
    try:
        yield made
    finally:
        await made.server.close()


@asynccontextmanager
async def posting(patience: float = 5.0, networks=LOOPBACK):
    """What posts to receivers, as in production but for its patience and for where they may live."""
    made = Receivers(
        lambda address, encrypted: may_reach(address, encrypted=encrypted, networks=networks), timeout=patience
    )
    try:
        yield made
    finally:
        await made.close()


def subscribe(context, url, *, locations=("loc",), signature="v1", **change):
    """A webhook and its secret."""
    return webhooks.create(
        context,
        WebhookChange(url=url, **change),
        location_ids=locations,
        signature=Signature(signature),
        token_id="tok",
        networks=LOOPBACK,
    )


async def deliver(context, posting, *, wait=True):
    """Make and carry out all deliveries that are due now; with `wait`, until none is under way."""
    deliveries = Deliveries(context, posting)
    while True:
        more = webhooks.spread(context)
        started = deliveries.start_due()
        if not (more or started):
            if not wait or not deliveries.under_way():
                return deliveries
            deliveries.ended.clear()
            await deliveries.ended.wait()


def block(world, title="Lunch", start=None):
    """A CRM blocked slot, tomorrow unless a start is given: the quickest thing to tell of."""
    start = world.now() + 86_400 if start is None else start
    new = NewBlockedSlot(
        location_id="loc",
        user_id="ada",
        booking_calendar_id=None,
        title=title,
        start=start,
        end=start + 3600,
        time_zone=None,
        utc_offset=0,
        expires_at=None,
    )
    return book.create_blocked_slot(world.db, new, now=world.now()).id


def rename(world, slot_id, title):
    """Something more to tell of a blocked slot."""
    book.update_blocked_slot(
        world.db, slot_id, {"title": title}, locations=None, expected_version=None, now=world.now()
    )


def state(world, webhook):
    """The subscription as it is now."""
    return webhooks.get(world.db, webhook.id, locations=None)


def deliveries(world, webhook, wanted=None):
    """Its deliveries, oldest first."""
    found = webhooks.list_deliveries(world.db, webhook.id, locations=None, state=wanted, before=None, limit=1000)
    return [delivery for _, delivery in reversed(found)]
