"""The shapes of explanations."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from bridge.web.shapes.base import Id, Line, Query, Shape, TimeValue

#: The bridge's id of a thing, or the UID of an event: others make those as long as they like.
Key = Annotated[Line, Field(min_length=1, max_length=2000)]


class ExplainQuery(Query):
    """Whose time and when, or which thing."""

    user_id: Id | None = None
    at: TimeValue | None = None
    uid: Key | None = None
    id: Key | None = None


class Explanation(Shape):
    """Why a time is blocked or free, or what happened to an event."""

    user_id: str | None = None
    at: AwareDatetime | None = None
    blocked: bool | None = None
    findings: list[dict[str, Any]] | None = None
    unreadable: list[str] | None = None
    sources: list[dict[str, Any]] | None = None
    not_read: list[str] | None = None
    events: list[dict[str, Any]] | None = None
