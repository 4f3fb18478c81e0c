"""The shapes of free slots, and of questions of availability and free-busy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, RootModel, StrictBool, StrictInt, StrictStr

from bridge.web.shapes.base import Id, Query, Shape, TimeValue


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


class Range(Shape):
    """A span of time, with start and end."""

    start: AwareDatetime
    end: AwareDatetime


class DaySlots(Shape):
    """The free slots of a day: their starts, or start and end with `slotFormat=range`."""

    slots: list[AwareDatetime | Range]


class FreeSlots(RootModel[dict[Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")], DaySlots]]):
    """Free slots by day, such as `2030-01-15`."""


class Period(Shape):
    """A span of time."""

    start: TimeValue
    end: TimeValue


class ParticipantsBody(Shape):
    """Users of whom all, or a certain number, are needed."""

    user_ids: Annotated[list[Id], Field(min_length=1, max_length=50)]
    required: Literal["all"] | Annotated[StrictInt, Field(ge=1, le=50)] = "all"


class BufferBody(Shape):
    """Free time around a booking."""

    before_minutes: Annotated[StrictInt, Field(ge=0, le=1440)] = 0
    after_minutes: Annotated[StrictInt, Field(ge=0, le=1440)] = 0


class AvailabilityBody(Shape):
    """A question: when can these be booked?"""

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


class Offered(Shape):
    """A time that can be booked, and the users who are free."""

    start: AwareDatetime
    end: AwareDatetime
    user_ids: list[str]
    calendar_id: str | None = None


class SourceState(Shape):
    """An iCloud calendar on which an answer is based. `status` is `ok`, `stale` or `never_read`."""

    connection_id: str
    user_id: str
    calendar: str
    last_synced_at: AwareDatetime | None
    status: str


class Availability(Shape):
    """When they can be booked: `slots`, or `periods` if those were requested."""

    slots: list[Offered] | None = None
    periods: list[Offered] | None = None
    timezone: str
    computed_at: AwareDatetime
    as_of: AwareDatetime | None
    sources: list[SourceState]
    truncated: bool


class FreeBusyItem(Shape):
    """A user or a booking calendar."""

    id: Id


class FreeBusyBody(Shape):
    """A question: when are these busy?"""

    time_min: TimeValue | None = None
    time_max: TimeValue | None = None
    time_zone: StrictStr | None = None
    items: Annotated[list[FreeBusyItem], Field(min_length=1, max_length=50)] | None = None
    allow_stale: StrictBool = False


class FreeBusyError(Shape):
    """Why the answer is not known."""

    domain: str
    reason: str


class BusyTimes(Shape):
    """The times at which somebody is busy."""

    busy: list[Range]
    errors: list[FreeBusyError] | None = None


class FreeBusy(Shape):
    """Busy times for each requested id."""

    kind: str
    time_min: AwareDatetime
    time_max: AwareDatetime
    calendars: dict[str, BusyTimes]
