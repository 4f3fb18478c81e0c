"""The shapes of webhooks, of their deliveries, and of what these carry."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StrictBool, StrictStr

from bridge.service.webhooks import EVENTS
from bridge.web.shapes.base import Among, Cursor, Id, Line, Query, Shape, Text

Event = Annotated[StrictStr, Among(EVENTS)]


class WebhookBody(Shape):
    """A webhook to create or change."""

    url: Annotated[Line, Field(min_length=1, max_length=2000)] | None = None
    events: Annotated[list[Event], Field(min_length=1, max_length=50)] | None = None
    origins: Annotated[list[Literal["api", "icloud", "bridge"]], Field(min_length=1, max_length=10)] | None = None
    description: Annotated[Text, Field(max_length=1000)] | None = None
    active: StrictBool | None = None
    signature: Literal["v1", "v1a"] | None = None
    location_ids: Annotated[list[Id], Field(max_length=100)] | None = None


class ReplayBody(Shape):
    """The cursor after which everything is sent again."""

    cursor: Cursor | None = None


class Webhook(Shape):
    """A webhook. Its `secret` is only shown when it is made or replaced."""

    id: str
    location_ids: list[str]
    url: str
    events: list[str]
    origins: list[str]
    description: str
    active: bool
    status: str
    status_reason: str | None
    failing_since: AwareDatetime | None
    signature: str
    public_key: str | None = None
    secret: str | None = None
    date_added: AwareDatetime
    date_updated: AwareDatetime


class Webhooks(Shape):
    """Webhooks, oldest first."""

    webhooks: list[Webhook]


class DeliveriesQuery(Query):
    """Which deliveries."""

    state: Literal["pending", "delivered", "dead"] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Cursor | None = None


class Delivery(Shape):
    """One message to one receiver, and its result."""

    id: str
    type: str
    sequence: int | None
    resource_id: str | None
    state: str
    attempts: int
    next_attempt_at: AwareDatetime | None
    last_attempt_at: AwareDatetime | None
    last_status: int | None
    last_reason: str | None
    date_added: AwareDatetime
    date_updated: AwareDatetime


class Deliveries(Shape):
    """Deliveries, newest first."""

    deliveries: list[Delivery]
    next_cursor: str | None = None


class ToldChange(Shape):
    """What changed, and who changed it."""

    sequence: int
    origin: str
    changed_fields: list[str]
    #: The values that the changed fields had.
    previous: dict[str, Any]
    occurred_at: AwareDatetime


class Message(Shape):
    """A change: `appointment`, `blockedSlot` or `connection` as it was afterwards, or `resync`: list anew."""

    type: str = Field(examples=["AppointmentUpdate"])
    webhook_id: str
    timestamp: AwareDatetime
    location_id: str
    appointment: dict[str, Any] | None = None
    blocked_slot: dict[str, Any] | None = None
    connection: dict[str, Any] | None = None
    resync: dict[str, Any] | None = None
    test: dict[str, Any] | None = None
    change: ToldChange | None = None
