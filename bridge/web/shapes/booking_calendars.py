"""The shapes of booking calendars, which HighLevel calls calendars: its field names, its misspellings too."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StrictBool, StrictInt, StrictStr

from bridge.web.shapes.base import Id, Query, Shape, Text

Minutes = Literal["mins", "hours"]

PerSlot = Annotated[StrictInt, Field(ge=1, le=10_000)]

PerDay = Annotated[StrictInt, Field(ge=0, le=10_000)]

Clock = Annotated[StrictInt, Field(ge=0, le=59)]

Hour = Annotated[StrictInt, Field(ge=0, le=24)]


class TeamMember(Shape):
    """A user of a booking calendar. Other fields are stored and returned."""

    user_id: Id


class OpenHour(Shape):
    """One span of opening hours."""

    open_hour: Hour
    open_minute: Clock = 0
    close_hour: Hour
    close_minute: Clock = 0


class OpenDay(Shape):
    """Opening hours by day of the week, where 0 is Sunday."""

    days_of_the_week: Annotated[list[Annotated[StrictInt, Field(ge=0, le=6)]], Field(max_length=7)]
    hours: Annotated[list[OpenHour], Field(max_length=48)]


class OpenDate(Shape):
    """The opening hours of a date."""

    date: Annotated[StrictStr, Field(pattern=r"^\d{4}-\d{2}-\d{2}", max_length=40)]
    hours: Annotated[tuple[OpenHour, ...], Field(max_length=48)] = ()
    deleted: StrictBool | None = None


class CalendarBody(Shape):
    """A booking calendar to create or change. Settings that have no meaning for the bridge are stored and returned."""

    location_id: Id | None = None
    name: Annotated[Text, Field(min_length=1, max_length=255)] | None = None
    team_members: Annotated[list[TeamMember], Field(max_length=100)] | None = None
    user_ids: Annotated[list[Id], Field(max_length=100)] | None = None
    calendar_type: (
        Literal["round_robin", "event", "class_booking", "collective", "service_booking", "personal"] | None
    ) = None
    slot_duration: Annotated[StrictInt, Field(ge=1, le=1440)] | None = None
    slot_duration_unit: Minutes | None = None
    slot_interval: Annotated[StrictInt, Field(ge=1, le=1440)] | None = None
    slot_interval_unit: Minutes | None = None
    pre_buffer: Annotated[StrictInt, Field(ge=0, le=1440)] | None = None
    pre_buffer_unit: Minutes | None = None
    slot_buffer: Annotated[StrictInt, Field(ge=0, le=1440)] | None = None
    slot_buffer_unit: Minutes | None = None
    allow_booking_after: Annotated[StrictInt, Field(ge=0, le=10_000)] | None = None
    allow_booking_after_unit: Literal["mins", "hours", "days", "weeks", "months"] | None = None
    allow_booking_for: Annotated[StrictInt, Field(ge=0, le=10_000)] | None = None
    allow_booking_for_unit: Literal["days", "weeks", "months"] | None = None
    appointment_per_slot: PerSlot | None = None
    appointment_per_day: PerDay | None = None
    # As HighLevel spells them.
    appoinment_per_slot: PerSlot | None = None
    appoinment_per_day: PerDay | None = None
    open_hours: Annotated[list[OpenDay], Field(max_length=100)] | None = None
    availabilities: Annotated[list[OpenDate], Field(max_length=1000)] | None = None
    availability_type: Literal[0, 1] | None = None
    any_free_time: StrictBool | None = None


class CalendarsQuery(Query):
    """Which booking calendars."""

    location_id: Id | None = None


class BookingCalendar(Shape):
    """A booking calendar with all of its settings, including those that have no meaning for the bridge."""

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


class Success(Shape):
    """It is removed."""

    success: bool
