"""The shapes of explanations."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime

from bridge.web.shapes.base import Query, Shape


class ExplainQuery(Query):
    """Whose time and when, or which thing."""

    user_id: str | None = None
    at: str | int | None = None
    uid: str | None = None
    id: str | None = None


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
