"""The shapes of notes on appointments, with HighLevel's field names."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from bridge.web.shapes.base import Id, Query, Shape, Text


class NoteBody(Shape):
    """A note to add or change."""

    body: Annotated[Text, Field(min_length=1, max_length=5000)] | None = None
    user_id: Id | None = None


class NotesQuery(Query):
    """Which notes."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class Author(Shape):
    """Who wrote a note, as the CRM says."""

    id: str


class Note(Shape):
    """A note on an appointment. It never leaves the bridge."""

    id: str
    appointment_id: str
    body: str
    user_id: str | None
    contact_id: str | None
    created_by: Author | None
    #: Of the appointment.
    assigned_user_id: str
    date_added: AwareDatetime
    date_updated: AwareDatetime


class NoteAnswer(Shape):
    """One note."""

    note: Note


class Notes(Shape):
    """Notes, newest first."""

    notes: list[Note]
    has_more: bool
