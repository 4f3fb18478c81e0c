"""The shapes of what webhooks carry: the bridge's, for the OpenAPI document, and HighLevel's."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from bridge.web.shapes import Id, Line, Shape


class ToldChange(Shape):
    """What changed, and who changed it."""

    sequence: int
    origin: str
    changed_fields: list[str]
    #: The values that the changed fields had.
    previous: dict[str, Any]
    occurred_at: AwareDatetime


class Message(Shape):
    """News: `appointment`, `blockedSlot` or `connection` as it was after the change, or what to list anew: `resync`."""

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


class HighLevelAppointment(Shape):
    """An appointment as HighLevel's webhooks tell it."""

    id: Id
    calendar_id: Line | None = None
    contact_id: Line | None = None
    assigned_user_id: Line | None = None
    title: Any = None
    appointment_status: Line | None = None
    address: Any = None
    start_time: Any = None
    end_time: Any = None
    date_updated: Line | None = None


class HighLevelMessage(Shape):
    """A webhook of HighLevel's."""

    type: Line
    location_id: Id | None = None
    webhook_id: Id | None = None
    timestamp: Any = None
    appointment: HighLevelAppointment | None = None
