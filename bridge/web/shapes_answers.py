"""The shapes of answers, for the OpenAPI document; tests hold every answer to its shape.

New values may join any of the words here: programs have to live with ones they don't know.
"""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field, RootModel

from bridge.web.shapes import Contact, Reminder, Shape


class Sync(Shape):
    """How iCloud stands to it: `pending`, `synced`, `failed`, `conflict` or `not_synced`."""

    state: str
    i_cal_uid: str | None
    last_synced_at: AwareDatetime | None
    last_error: str | None


class NoSync(Shape):
    """Nothing of it goes to iCloud."""

    state: str


class CreatedBy(Shape):
    """Where it came from: `api`, or `highlevel` for what HighLevel's own webhooks told."""

    source: str


class Warn(Shape):
    """Something to know of an answer that is good otherwise."""

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
    version: int
    sync: Sync
    rrule: str | None = None
    #: Of one of the times of a recurring appointment, and of one that was taken out of it: that appointment.
    master_event_id: str | None = None
    meeting_location_id: str | None = None
    contact: Contact | None = None
    reminders: list[Reminder] | None = None
    to_notify: bool | None = None
    invite_contact: bool | None = None
    warnings: list[Warn] | None = None


class AppointmentEvent(Shape):
    """One appointment."""

    event: Appointment


class AppointmentEvents(Shape):
    """Appointments, by start."""

    events: list[Appointment]
    #: There is more: send it as `cursor`.
    next_cursor: str | None = None


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
    """Blocked time in a listing, in the shape of an event that is no appointment."""

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


class BlockedSlotEvent(Shape):
    """One blocked slot, from the CRM or from iCloud."""

    event: BlockedSlot | BlockedTime


class BlockedTimes(Shape):
    """Blocked time, by start."""

    events: list[BlockedTime]
    next_cursor: str | None = None


class Succeeded(Shape):
    """It is deleted."""

    succeeded: bool


class Success(Shape):
    """It is removed."""

    success: bool


class BookingCalendar(Shape):
    """A booking calendar, with all of its settings, those that mean nothing to the bridge too."""

    id: str
    location_id: str
    name: str
    team_members: list[dict[str, Any]]
    user_ids: list[str]
    slot_duration: int
    slot_duration_unit: str
    slot_interval: int
    slot_interval_unit: str
    pre_buffer: int
    pre_buffer_unit: str
    slot_buffer: int
    slot_buffer_unit: str
    appointment_per_slot: int
    calendar_type: str
    any_free_time: bool | None
    date_added: AwareDatetime
    date_updated: AwareDatetime


class BookingCalendarAnswer(Shape):
    """One booking calendar."""

    calendar: BookingCalendar


class BookingCalendars(Shape):
    """Booking calendars."""

    calendars: list[BookingCalendar]


class Schedule(Shape):
    """Working hours."""

    id: str
    location_id: str
    user_id: str | None
    name: str
    timezone: str
    rules: list[dict[str, Any]]
    calendar_ids: list[str]
    date_added: AwareDatetime
    date_updated: AwareDatetime


class ScheduleAnswer(Shape):
    """One schedule."""

    schedule: Schedule


class Schedules(Shape):
    """Schedules, oldest first."""

    schedules: list[Schedule]


class Range(Shape):
    """A stretch of time."""

    start: AwareDatetime
    end: AwareDatetime


class DaySlots(Shape):
    """The free slots of a day: their starts, or with `slotFormat=range` stretches."""

    slots: list[AwareDatetime | Range]


class FreeSlots(RootModel[dict[str, DaySlots]]):
    """Free slots by day, such as `2030-01-15`."""


class Offered(Shape):
    """What can be booked, and whose time it is."""

    start: AwareDatetime
    end: AwareDatetime
    user_ids: list[str]
    calendar_id: str | None = None


class SourceState(Shape):
    """One iCloud calendar that an answer rests on. `status` is `ok`, `stale` or `never_read`."""

    connection_id: str
    user_id: str
    calendar: str
    last_synced_at: AwareDatetime | None
    status: str


class Availability(Shape):
    """What can be booked: `slots`, or `periods` where those were asked for."""

    slots: list[Offered] | None = None
    periods: list[Offered] | None = None
    timezone: str
    computed_at: AwareDatetime
    as_of: AwareDatetime | None
    sources: list[SourceState]
    truncated: bool


class FreeBusyError(Shape):
    """Why it can't be told."""

    domain: str
    reason: str


class BusyTimes(Shape):
    """When somebody is busy."""

    busy: list[Range]
    errors: list[FreeBusyError] | None = None


class FreeBusy(Shape):
    """Busy times by the ids that were asked for."""

    kind: str
    time_min: AwareDatetime
    time_max: AwareDatetime
    calendars: dict[str, BusyTimes]


class SettingsLink(Shape):
    """A link that signs somebody in, once."""

    url: str
    expires_at: AwareDatetime


class Document(RootModel[dict[str, Any]]):
    """An OpenAPI document."""


class Health(Shape):
    """`ok`."""

    status: str


class Ingested(Shape):
    """What became of a webhook: `booked`, `changed`, `deleted`, or `ignored` for a `reason`."""

    result: str
    reason: str | None = None
    id: str | None = None


class WrongField(Shape):
    """What is wrong with one field of a request, by JSON pointer."""

    pointer: str
    code: str
    detail: str


class InTheWay(Shape):
    """What takes the time already; never its title."""

    start: AwareDatetime
    end: AwareDatetime
    kind: str


class ProblemAnswer(Shape):
    """A problem (RFC 9457), with HighLevel's keys beside it. `code` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    trace_id: str
    status_code: int
    message: str
    error: str
    errors: list[WrongField] | None = None
    conflicts: list[InTheWay] | None = None
    reason: str | None = None
    user_ids: list[str] | None = None
    existing_id: str | None = None
    current_version: int | None = Field(default=None)
