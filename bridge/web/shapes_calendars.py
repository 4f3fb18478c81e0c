"""The shapes of booking calendars, schedules and questions of availability: HighLevel's field names first."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from bridge.web.shapes import Id, Line, Query, Shape, Text, TimeValue

Minutes = Literal["mins", "hours"]
PerSlot = Annotated[StrictInt, Field(ge=1, le=10_000)]
PerDay = Annotated[StrictInt, Field(ge=0, le=10_000)]
Clock = Annotated[StrictInt, Field(ge=0, le=59)]
Hour = Annotated[StrictInt, Field(ge=0, le=24)]


class TeamMember(Shape):
    """A User of a booking calendar. Everything else of it is kept."""

    user_id: Id


class OpenHour(Shape):
    """One opening of a day."""

    open_hour: Hour
    open_minute: Clock = 0
    close_hour: Hour
    close_minute: Clock = 0


class OpenDay(Shape):
    """Openings by day of the week, 0 being Sunday."""

    days_of_the_week: Annotated[list[Annotated[StrictInt, Field(ge=0, le=6)]], Field(max_length=7)]
    hours: Annotated[list[OpenHour], Field(max_length=48)]


class OpenDate(Shape):
    """The openings of a date."""

    date: Annotated[StrictStr, Field(pattern=r"^\d{4}-\d{2}-\d{2}", max_length=40)]
    hours: Annotated[tuple[OpenHour, ...], Field(max_length=48)] = ()
    deleted: StrictBool | None = None


class CalendarBody(Shape):
    """A booking calendar, to be created or changed. Settings that mean nothing to the bridge are kept and echoed."""

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


class ScheduleInterval(Shape):
    """From one time of day to another, as in 09:00; an end before the start is on the next day."""

    from_: Annotated[StrictStr, Field(alias="from", max_length=5)]
    to: Annotated[StrictStr, Field(max_length=5)]


class ScheduleRule(Shape):
    """The working hours of a weekday or of a date; without intervals, none."""

    type: Literal["wday", "date"]
    day: Annotated[StrictStr, Field(max_length=20)] | None = None
    date: Annotated[StrictStr, Field(max_length=40)] | None = None
    intervals: Annotated[tuple[ScheduleInterval, ...], Field(max_length=48)] = ()


class ScheduleBody(Shape):
    """A schedule, to be created or changed."""

    location_id: Id | None = None
    user_id: Id | None = None
    name: Annotated[Line, Field(min_length=1, max_length=255)] | None = None
    timezone: StrictStr | None = None
    rules: Annotated[list[ScheduleRule], Field(max_length=1000)] | None = None
    calendar_ids: Annotated[list[Id], Field(max_length=100)] | None = None


class Period(Shape):
    """A span of time."""

    start: TimeValue
    end: TimeValue


class ParticipantsBody(Shape):
    """Users of whom all are needed, or so many."""

    user_ids: Annotated[list[Id], Field(min_length=1, max_length=50)]
    required: Literal["all"] | Annotated[StrictInt, Field(ge=1, le=50)] = "all"


class BufferBody(Shape):
    """Free time around a booking."""

    before_minutes: Annotated[StrictInt, Field(ge=0, le=1440)] = 0
    after_minutes: Annotated[StrictInt, Field(ge=0, le=1440)] = 0


class AvailabilityBody(Shape):
    """When can these be booked?"""

    calendar_ids: Annotated[list[Id], Field(min_length=1, max_length=50)] | None = None
    participants: Annotated[list[ParticipantsBody], Field(min_length=1, max_length=20)] | None = None
    periods: Annotated[list[Period], Field(min_length=1, max_length=50)] | None = None
    duration_minutes: Annotated[StrictInt, Field(ge=1, le=1440)] | None = None
    interval_minutes: Annotated[StrictInt, Field(ge=1, le=1440)] | None = None
    buffer: BufferBody = BufferBody()
    min_notice_minutes: Annotated[StrictInt, Field(ge=0, le=525_600)] = 0
    max_horizon_days: Annotated[StrictInt, Field(ge=0, le=3660)] | None = None
    timezone: StrictStr | None = None
    tentative_as_busy: Literal[True] = True
    format: Literal["slots", "overlapping_slots", "periods"] = "slots"
    max_results: Annotated[StrictInt, Field(ge=1, le=1000)] = 200
    allow_stale: StrictBool = False
    max_stale_seconds: Annotated[StrictInt, Field(ge=0, le=86_400)] | None = None


class FreeBusyItem(Shape):
    """A User or a booking calendar."""

    id: Id


class FreeBusyBody(Shape):
    """When are these busy?"""

    time_min: TimeValue | None = None
    time_max: TimeValue | None = None
    time_zone: StrictStr | None = None
    items: Annotated[list[FreeBusyItem], Field(min_length=1, max_length=50)] | None = None
    allow_stale: StrictBool = False


class CalendarsQuery(Query):
    """Which booking calendars."""

    location_id: Id | None = None


class SchedulesQuery(Query):
    """Which schedules."""

    location_id: Id | None = None
    user_id: Id | None = None
    calendar_id: Id | None = None
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    limit: Annotated[int, Field(ge=1)] = 500


class FreeSlotsQuery(Query):
    """Which free slots, and how they are told."""

    NEEDED = ("startDate", "endDate")

    start_date: TimeValue | None = None
    end_date: TimeValue | None = None
    timezone: StrictStr | None = None
    user_id: Id | None = None
    user_ids: Annotated[tuple[Id, ...], Field(max_length=100)] = ()
    slot_format: Literal["start", "range"] = "start"
    duration: Annotated[int, Field(ge=1, le=1440)] | None = None
    allow_stale: bool = False
