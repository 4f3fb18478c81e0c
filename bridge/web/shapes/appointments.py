"""The shapes of appointments: HighLevel's field names first, then the bridge's own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StrictBool, StrictInt, StrictStr

from bridge.web.shapes.base import Id, Line, Query, Shape, Text, TimeValue

Status = Literal["new", "confirmed", "cancelled", "showed", "noshow", "invalid", "completed", "active"]

Place = Literal["custom", "zoom", "gmeet", "phone", "address", "ms_teams", "google"]


class Contact(Shape):
    """Who the appointment is with. iCloud only gets the name and e-mail address, and only for an invitation."""

    name: Annotated[Text, Field(max_length=255)] | None = None
    email: Annotated[Text, Field(max_length=255)] | None = None
    phone: Annotated[Text, Field(max_length=64)] | None = None


class Reminder(Shape):
    """A reminder that is asked for."""

    minutes_before: Annotated[StrictInt, Field(ge=0, le=40_320)]


MOST_METADATA = 50
#: In a change, null takes an entry out.
Metadata = Annotated[
    dict[Annotated[Line, Field(max_length=40)], Annotated[Text, Field(max_length=500)] | None],
    Field(max_length=MOST_METADATA),
]


class AppointmentBody(Shape):
    """An appointment to create or change. Which fields are required depends on which of the two."""

    location_id: Id | None = None
    calendar_id: Id | None = None
    contact_id: Id | None = None
    assigned_user_id: Id | None = None
    title: Annotated[Text, Field(max_length=1000)] | None = None
    start_time: TimeValue | None = None
    end_time: TimeValue | None = None
    appointment_status: Status | None = None
    description: Annotated[Text, Field(max_length=32_000)] | None = None
    address: Annotated[Text, Field(max_length=2000)] | None = None
    meeting_location_type: Place | None = None
    meeting_location_id: Id | None = None
    override_location_config: StrictBool | None = None
    ignore_date_range: StrictBool | None = None
    ignore_free_slot_validation: StrictBool | None = None
    to_notify: StrictBool | None = None
    rrule: Annotated[Text, Field(max_length=4000)] | None = None
    timezone: StrictStr | None = None
    all_day: StrictBool | None = None
    external_id: Id | None = None
    contact: Contact | None = None
    invite_contact: StrictBool | None = None
    metadata: Metadata | None = None
    reminders: Annotated[list[Reminder], Field(max_length=10)] | None = None


class ScopeQuery(Query):
    """Of a recurring appointment: this one of its times, this one and all later ones, or all of them."""

    scope: Literal["instance", "following", "series"] | None = None


class Sync(Shape):
    """How far it is in iCloud: `pending`, `synced`, `failed`, `conflict` or `not_synced`."""

    state: str
    i_cal_uid: str | None
    last_synced_at: AwareDatetime | None
    last_error: str | None


class CreatedBy(Shape):
    """Where it came from: `api`, or `highlevel` if it came with HighLevel's own webhooks."""

    source: str


class Invitation(Shape):
    """The contact's invitation."""

    email: str
    #: `accepted`, `declined`, `tentative`, `delegated`; null: not answered yet.
    answer: str | None


class Warn(Shape):
    """A warning beside a valid answer."""

    code: str
    detail: str


class Appointment(Shape):
    """An appointment, or one of the times of a recurring one."""

    id: str
    location_id: str
    calendar_id: str
    contact_id: str | None
    assigned_user_id: str
    users: list[str]
    group_id: str | None
    title: str
    start_time: AwareDatetime
    end_time: AwareDatetime
    timezone: str | None
    all_day: bool
    appointment_status: str
    address: str
    description: str
    is_recurring: bool
    deleted: bool
    date_added: AwareDatetime
    date_updated: AwareDatetime
    created_by: CreatedBy
    external_id: str | None
    meeting_location_type: str | None
    metadata: dict[str, str]
    invite_contact: bool
    version: int
    sync: Sync
    rrule: str | None = None
    #: Of one of the times of a recurring appointment, and of one that was taken out of it: that appointment.
    master_event_id: str | None = None
    meeting_location_id: str | None = None
    contact: Contact | None = None
    reminders: list[Reminder] | None = None
    to_notify: bool | None = None
    #: Where the contact is invited.
    invitation: Invitation | None = None
    warnings: list[Warn] | None = None


class AppointmentEvent(Shape):
    """One appointment."""

    event: Appointment


class AppointmentEvents(Shape):
    """Appointments, sorted by start."""

    events: list[Appointment]
    #: There is more: send it as `cursor`.
    next_cursor: str | None = None


class Succeeded(Shape):
    """It is deleted."""

    succeeded: bool
