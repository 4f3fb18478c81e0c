"""The shapes of bodies for webhooks, users and calendar passwords."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictStr

from bridge.web.shapes import Id, Line, Shape, Text


class WebhookBody(Shape):
    """A webhook, to be made or changed."""

    url: Annotated[Line, Field(min_length=1, max_length=2000)] | None = None
    events: Annotated[list[StrictStr], Field(min_length=1, max_length=50)] | None = None
    origins: Annotated[list[Literal["api", "icloud", "bridge"]], Field(min_length=1, max_length=10)] | None = None
    description: Annotated[Text, Field(max_length=1000)] | None = None
    active: StrictBool | None = None
    signature: Literal["v1", "v1a"] | None = None
    location_ids: Annotated[list[Id], Field(max_length=100)] | None = None


class ReplayBody(Shape):
    """Where a webhook is to be told again from."""

    cursor: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = None


class UserBody(Shape):
    """A user, to be added or changed."""

    id: Annotated[Line, Field(max_length=64)] | None = None
    location_id: Id | None = None
    name: Annotated[Line, Field(max_length=255)] | None = None
    timezone: StrictStr | None = None
    two_way: Literal["accept", "report", "restore"] | None = None


class CalendarPasswordBody(Shape):
    """A calendar password to be made."""

    label: Annotated[Line, Field(min_length=1, max_length=255)] | None = None
