"""The shapes of users, their calendar passwords and settings links."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StrictStr

from bridge.web.shapes.base import Id, Line, Query, Shape


class UserBody(Shape):
    """A user to add or change."""

    id: Annotated[Line, Field(max_length=64)] | None = None
    location_id: Id | None = None
    name: Annotated[Line, Field(max_length=255)] | None = None
    timezone: StrictStr | None = None
    two_way: Literal["accept", "report", "restore"] | None = None


class UsersQuery(Query):
    """Of which location."""

    location_id: Id | None = None


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
    """Users, sorted by id."""

    users: list[User]


class CalendarPasswordBody(Shape):
    """A calendar password to make."""

    label: Annotated[Line, Field(min_length=1, max_length=255)] | None = None


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
    """A new calendar password, with the address and user name that it is for. It is only in this answer."""

    id: str
    label: str
    username: str
    calendar_url: str
    password: str | None = None


class SettingsLink(Shape):
    """A link that signs a user in once."""

    url: str
    expires_at: AwareDatetime
