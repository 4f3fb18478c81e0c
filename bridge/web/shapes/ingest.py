"""The shapes of HighLevel's own webhooks, and of what became of them."""

from __future__ import annotations

from typing import Any

from bridge.web.shapes.base import Id, Line, Shape


class HighLevelAppointment(Shape):
    """An appointment as it is in HighLevel's webhooks."""

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
    """A webhook from HighLevel."""

    type: Line
    location_id: Id | None = None
    webhook_id: Id | None = None
    timestamp: Any = None
    appointment: HighLevelAppointment | None = None


class Ingested(Shape):
    """The result of a webhook: `booked`, `changed`, `deleted`, or `ignored` for a `reason`."""

    result: str
    reason: str | None = None
    id: str | None = None
