"""The shapes of the change feed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, StrictStr

from bridge.service.changes import ChangeType, Resource
from bridge.web.shapes.base import Among, Cursor, Query, Shape

Kind = Annotated[StrictStr, Among((*Resource, *ChangeType))]


class ChangesQuery(Query):
    """Where to read on, and how."""

    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    types: tuple[Kind, ...] = ()
    wait_seconds: Annotated[int, Field(ge=0, le=25)] = 0


class Change(Shape):
    """One change in the feed, which is in the order in which they were made."""

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
    """The changes after the cursor, and where to continue."""

    changes: list[Change]
    next_cursor: str
    has_more: bool
