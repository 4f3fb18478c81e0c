"""Notes on appointments: the CRM's own words about them, which never leave the bridge. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """A note on an Appointment, or on one of the times of a recurring one."""

    id: str
    #: What it is on, by the id that the CRM knows it by.
    event_id: str
    #: The stored Appointment of that: the recurring one, for one of its times.
    appointment_id: str
    body: str
    #: Who wrote it, as the CRM says. Not a User of the bridge, necessarily.
    author_id: str | None
    created_at: int
    updated_at: int
