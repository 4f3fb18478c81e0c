"""The shape of what webhooks carry, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from bridge.web.shapes import Shape


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
