"""The shapes of blocked slots, and of what lists them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, StrictStr

from bridge.web.shapes.base import Id, Shape, Text, TimeValue


class BlockedSlotBody(Shape):
    """A blocked slot to create or change."""

    location_id: Id | None = None
    calendar_id: Id | None = None
    assigned_user_id: Id | None = None
    title: Annotated[Text, Field(max_length=1000)] | None = None
    start_time: TimeValue | None = None
    end_time: TimeValue | None = None
    timezone: StrictStr | None = None
    expires_at: TimeValue | None = None


class NoSync(Shape):
    """It is not written to iCloud."""

    state: str


class BlockedSlot(Shape):
    """A blocked slot made in the CRM."""

    id: str
    location_id: str
    calendar_id: str | None
    assigned_user_id: str
    title: str
    start_time: AwareDatetime
    end_time: AwareDatetime
    timezone: str | None
    expires_at: AwareDatetime | None
    origin: str
    read_only: bool
    deleted: bool
    date_added: AwareDatetime
    date_updated: AwareDatetime
    version: int
    sync: NoSync


class BlockedTime(Shape):
    """A blocked slot in a list, in the format of an event that is not an appointment."""

    id: str
    location_id: str
    calendar_id: str | None
    contact_id: None
    assigned_user_id: str
    users: list[str]
    group_id: str | None
    title: str
    start_time: AwareDatetime
    end_time: AwareDatetime
    timezone: str | None
    all_day: bool
    appointment_status: None
    origin: str
    read_only: bool
    deleted: bool
    #: Of one from iCloud, both are when the bridge saw its event change last.
    date_added: AwareDatetime
    date_updated: AwareDatetime


class BlockedSlotEvent(Shape):
    """One blocked slot, from the CRM or from iCloud."""

    event: BlockedSlot | BlockedTime


class BlockedTimes(Shape):
    """Blocked slots, sorted by start."""

    events: list[BlockedTime]
    next_cursor: str | None = None
