"""The shapes of connections."""

from __future__ import annotations

from pydantic import AwareDatetime

from bridge.web.shapes.base import Id, Shape
from bridge.web.shapes.users import UsersQuery


class ConnectionsQuery(UsersQuery):
    """Of which location and user."""

    user_id: Id | None = None


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
    """A user's iCloud account and its state. Never its password."""

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
