"""The shapes of answers about changes, webhooks, connections, users and explanations. As in `shapes_answers`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from bridge.web.shapes import Query, Shape


class Change(Shape):
    """One change, in the order in which they were made."""

    sequence: int
    type: str
    resource: str
    id: str
    location_id: str
    user_id: str
    origin: str
    changed_fields: list[str]
    occurred_at: AwareDatetime
    version: int | None


class Changes(Shape):
    """What happened after the cursor, and where to read on."""

    changes: list[Change]
    next_cursor: str
    has_more: bool


class Webhook(Shape):
    """A subscription. Its `secret` is shown when it is made, and when it is replaced."""

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
    """Subscriptions, oldest first."""

    webhooks: list[Webhook]


class Delivery(Shape):
    """One message to one receiver, and what became of it."""

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


class ConnectedCalendar(Shape):
    """A calendar of a connection. `role` is `primary`, `conflict` or `none`."""

    id: str
    name: str
    colour: str | None
    role: str
    writable: bool | None
    present: bool
    last_synced_at: AwareDatetime | None
    last_error: str | None


class Connection(Shape):
    """An iCloud account of a user, and how it is doing. Never its password."""

    id: str
    location_id: str
    user_id: str
    provider: str
    username: str
    status: str
    status_reason: str
    status_since: AwareDatetime
    last_synced_at: AwareDatetime | None
    calendars: list[ConnectedCalendar]
    #: What became of reading it now.
    sync: str | None = None


class Connections(Shape):
    """Connections."""

    connections: list[Connection]


class User(Shape):
    """A user of the CRM."""

    id: str
    location_id: str
    name: str
    timezone: str
    two_way: str
    calendar_ids: list[str]
    calendar_url: str


class Users(Shape):
    """Users, by id."""

    users: list[User]


class CalendarPassword(Shape):
    """A calendar password, without the password itself."""

    id: str
    label: str
    date_added: AwareDatetime
    last_used_at: AwareDatetime | None
    revoked_at: AwareDatetime | None


class CalendarPasswords(Shape):
    """Calendar passwords, oldest first."""

    calendar_passwords: list[CalendarPassword]


class CalendarPasswordMade(Shape):
    """A new calendar password, and where it is for. It is shown this once."""

    id: str
    label: str
    username: str
    calendar_url: str
    password: str | None = None


class Explanation(Shape):
    """Why a time is blocked or free, or what became of a thing."""

    user_id: str | None = None
    at: AwareDatetime | None = None
    blocked: bool | None = None
    findings: list[dict[str, Any]] | None = None
    unreadable: list[str] | None = None
    sources: list[dict[str, Any]] | None = None
    not_read: list[str] | None = None
    events: list[dict[str, Any]] | None = None


class ChangesQuery(Query):
    """Where to read on, and how."""

    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    types: str | None = None
    wait_seconds: Annotated[int, Field(ge=0, le=25)] = 0


class DeliveriesQuery(Query):
    """Which deliveries."""

    state: str | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = None


class UsersQuery(Query):
    """Of which location."""

    location_id: str | None = None


class ConnectionsQuery(UsersQuery):
    """Of which location and user."""

    user_id: str | None = None


class ExplainQuery(Query):
    """Whose time and when, or which thing."""

    user_id: str | None = None
    at: str | int | None = None
    uid: str | None = None
    id: str | None = None
