"""The shapes of schedules, with HighLevel's field names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StrictStr

from bridge.web.shapes.base import Id, Line, Query, Shape


class ScheduleInterval(Shape):
    """From one time of day to another, such as 09:00. An end before the start is on the next day."""

    from_: Annotated[StrictStr, Field(alias="from", max_length=5)]
    to: Annotated[StrictStr, Field(max_length=5)]


class ScheduleRule(Shape):
    """The working hours of a weekday or of a date; without intervals, none."""

    type: Literal["wday", "date"]
    day: Annotated[StrictStr, Field(max_length=20)] | None = None
    date: Annotated[StrictStr, Field(max_length=40)] | None = None
    intervals: Annotated[tuple[ScheduleInterval, ...], Field(max_length=48)] = ()


class ScheduleBody(Shape):
    """A schedule to create or change."""

    location_id: Id | None = None
    user_id: Id | None = None
    name: Annotated[Line, Field(min_length=1, max_length=255)] | None = None
    timezone: StrictStr | None = None
    rules: Annotated[list[ScheduleRule], Field(max_length=1000)] | None = None
    calendar_ids: Annotated[list[Id], Field(max_length=100)] | None = None


class SchedulesQuery(Query):
    """Which schedules."""

    location_id: Id | None = None
    user_id: Id | None = None
    calendar_id: Id | None = None
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    limit: Annotated[int, Field(ge=1)] = 500


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
