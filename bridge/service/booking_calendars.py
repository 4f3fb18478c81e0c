"""Booking calendars and schedules: made, changed and read by the CRM."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bridge.domain.booking_calendars import DEFAULT_MINUTES, AppointmentDefaults, BookingCalendar
from bridge.domain.schedules import Schedule
from bridge.errors import FieldProblem, Invalid, Unknown
from bridge.service import visibility
from bridge.service.visibility import Locations, sees
from bridge.store import booking_calendars, schedules, users
from bridge.store.db import Db, Tx

T = TypeVar("T")

#: Called with what is there before it is changed, in the same transaction. It may raise, and nothing is changed then.
Expect = Callable[[T], None]


def as_it_is(_: object) -> None:
    """The `Expect` that allows every change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarChange:
    """What to set on a booking calendar. None leaves a value as it is; in `settings` it removes a setting."""

    name: str | None = None
    user_ids: Sequence[str] | None = None
    slot_minutes: int | None = None
    any_free_time: bool | None = None
    settings: Mapping[str, Any]


def create_calendar(
    db: Db,
    location_id: str,
    change: CalendarChange,
    *,
    now: int,
    also: Callable[[Tx, BookingCalendar], None] | None = None,
) -> BookingCalendar:
    """Add a booking calendar. Raises `Invalid` for Users of another location."""
    calendar = BookingCalendar(
        id=f"cal_{secrets.token_hex(8)}",
        location_id=location_id,
        name="",
        user_ids=(),
        slot_minutes=DEFAULT_MINUTES,
        created_at=now,
        updated_at=now,
        any_free_time=False,
    )
    with db.write() as tx:
        calendar = _changed(tx, calendar, change, now=now)
        booking_calendars.put(tx, calendar)
        if also is not None:
            also(tx, calendar)
    return calendar


def get_calendar(db: Db, calendar_id: str, *, locations: Locations) -> BookingCalendar:
    """The booking calendar. Raises `Unknown`."""
    with db.read() as tx:
        return visibility.booking_calendar(tx, calendar_id, locations)


def appointment_defaults(db: Db, calendar_id: str | None) -> AppointmentDefaults:
    """What an appointment that is booked with this calendar gets where the request leaves it out."""
    with db.read() as tx:
        calendar = booking_calendars.get(tx, calendar_id or "")
    return AppointmentDefaults() if calendar is None else calendar.defaults


def list_calendars(db: Db, location_id: str) -> list[BookingCalendar]:
    """The booking calendars of a location, oldest first."""
    with db.read() as tx:
        return booking_calendars.of_location(tx, location_id)


def update_calendar(
    db: Db,
    calendar_id: str,
    change: CalendarChange,
    *,
    locations: Locations,
    expect: Expect[BookingCalendar] = as_it_is,
    now: int,
) -> BookingCalendar:
    """Change a booking calendar, setting by setting. Raises `Unknown`, `Invalid`."""
    with db.write() as tx:
        before = visibility.booking_calendar(tx, calendar_id, locations)
        expect(before)
        calendar = _changed(tx, before, change, now=now)
        booking_calendars.put(tx, calendar)
    return calendar


def delete_calendar(
    db: Db, calendar_id: str, *, locations: Locations, expect: Expect[BookingCalendar] = as_it_is
) -> None:
    """Remove a booking calendar. Appointments that were booked with it stay. Raises `Unknown`."""
    with db.write() as tx:
        calendar = visibility.booking_calendar(tx, calendar_id, locations)
        expect(calendar)
        booking_calendars.remove(tx, calendar.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChange:
    """What to set on a schedule. None leaves a value as it is."""

    name: str | None = None
    time_zone: str | None = None
    rules: Sequence[Mapping[str, Any]] | None = None
    calendar_ids: Sequence[str] | None = None


def create_schedule(
    db: Db,
    location_id: str,
    user_id: str,
    change: ScheduleChange,
    *,
    now: int,
    also: Callable[[Tx, Schedule], None] | None = None,
) -> Schedule:
    """Add a User's schedule. Raises `Invalid` for a User or booking calendars of another location."""
    with db.write() as tx:
        user = users.get(tx, user_id)
        if user is None or user.location_id != location_id:
            raise Invalid((FieldProblem("/userId", "unknown_value", "There is no such user in this location."),))
        schedule = _rescheduled(tx, _new(location_id, user_id, user.time_zone, now), change, now=now)
        schedules.put(tx, schedule)
        if also is not None:
            also(tx, schedule)
    return schedule


def get_schedule(db: Db, schedule_id: str, *, locations: Locations) -> Schedule:
    """The schedule. Raises `Unknown`."""
    with db.read() as tx:
        return _schedule(tx, schedule_id, locations)


def search_schedules(
    db: Db, location_id: str, *, user_id: str | None, calendar_id: str | None, skip: int, limit: int
) -> list[Schedule]:
    """The schedules of a location, oldest first; only those of a User or for a booking calendar, if given."""
    with db.read() as tx:
        return schedules.search(tx, location_id, user_id=user_id, calendar_id=calendar_id, skip=skip, limit=limit)


def update_schedule(
    db: Db,
    schedule_id: str,
    change: ScheduleChange,
    *,
    locations: Locations,
    expect: Expect[Schedule] = as_it_is,
    now: int,
) -> Schedule:
    """Change a schedule. Raises `Unknown`, `Invalid`."""
    with db.write() as tx:
        before = _schedule(tx, schedule_id, locations)
        expect(before)
        schedule = _rescheduled(tx, before, change, now=now)
        schedules.put(tx, schedule)
    return schedule


def delete_schedule(db: Db, schedule_id: str, *, locations: Locations, expect: Expect[Schedule] = as_it_is) -> None:
    """Remove a schedule. Raises `Unknown`."""
    with db.write() as tx:
        schedule = _schedule(tx, schedule_id, locations)
        expect(schedule)
        schedules.remove(tx, schedule.id)


def associate(
    db: Db,
    schedule_id: str,
    calendar_id: str,
    *,
    applies: bool,
    locations: Locations,
    expect: Expect[Schedule] = as_it_is,
    now: int,
) -> Schedule:
    """Add a booking calendar to those that a schedule is for, or remove it. Raises `Unknown`."""
    with db.write() as tx:
        schedule = _schedule(tx, schedule_id, locations)
        expect(schedule)
        calendar = visibility.booking_calendar(tx, calendar_id, {schedule.location_id})
        others = tuple(other for other in schedule.calendar_ids if other != calendar.id)
        schedule = replace(schedule, calendar_ids=(*others, calendar.id) if applies else others, updated_at=now)
        schedules.put(tx, schedule)
    return schedule


def calendar_schedule(db: Db, calendar_id: str, *, locations: Locations) -> Schedule:
    """The schedule of a booking calendar, which is for its Users without schedules of their own. Raises `Unknown`."""
    with db.read() as tx:
        return _own_schedule(tx, visibility.booking_calendar(tx, calendar_id, locations))


def set_calendar_schedule(
    db: Db,
    calendar_id: str,
    change: ScheduleChange,
    *,
    locations: Locations,
    create: bool,
    expect: Expect[Schedule] = as_it_is,
    also: Callable[[Tx, Schedule], None] | None = None,
    now: int,
) -> Schedule:
    """Set the schedule of a booking calendar. Raises `Unknown`, also for a schedule to change that does not exist."""
    with db.write() as tx:
        calendar = visibility.booking_calendar(tx, calendar_id, locations)
        try:
            schedule = _own_schedule(tx, calendar)
            expect(schedule)
        except Unknown:
            if not create:
                raise
            schedule = replace(_new(calendar.location_id, None, "UTC", now), name=calendar.name)
            change = replace(change, calendar_ids=(calendar.id,))
        schedule = _rescheduled(tx, schedule, change, now=now)
        schedules.put(tx, schedule)
        if also is not None:
            also(tx, schedule)
    return schedule


def _schedule(tx: Tx, schedule_id: str, locations: Locations) -> Schedule:
    found = schedules.get(tx, schedule_id)
    if found is None or not sees(locations, found.location_id):
        raise Unknown("schedule", schedule_id)
    return found


def _own_schedule(tx: Tx, calendar: BookingCalendar) -> Schedule:
    own = [schedule for schedule in schedules.for_calendar(tx, calendar.id) if schedule.user_id is None]
    if not own:
        raise Unknown("schedule", calendar.id)
    return own[-1]


def _changed(tx: Tx, calendar: BookingCalendar, change: CalendarChange, *, now: int) -> BookingCalendar:
    user_ids = calendar.user_ids if change.user_ids is None else tuple(dict.fromkeys(change.user_ids))
    strangers = [u for u in user_ids if (user := users.get(tx, u)) is None or user.location_id != calendar.location_id]
    if strangers:
        detail = f"There is no such user in this location: {', '.join(strangers)}."
        raise Invalid((FieldProblem("/teamMembers", "unknown_value", detail),))
    settings = {**calendar.settings, **change.settings}
    return replace(
        calendar,
        name=calendar.name if change.name is None else change.name,
        user_ids=user_ids,
        slot_minutes=change.slot_minutes or calendar.slot_minutes,
        any_free_time=calendar.any_free_time if change.any_free_time is None else change.any_free_time,
        settings={name: value for name, value in settings.items() if value is not None},
        updated_at=now,
    )


def _new(location_id: str, user_id: str | None, time_zone: str, now: int) -> Schedule:
    return Schedule(
        id=f"sch_{secrets.token_hex(8)}",
        location_id=location_id,
        user_id=user_id,
        name="",
        time_zone=time_zone,
        rules=(),
        calendar_ids=(),
        created_at=now,
        updated_at=now,
    )


def _rescheduled(tx: Tx, schedule: Schedule, change: ScheduleChange, *, now: int) -> Schedule:
    calendar_ids: Collection[str] = schedule.calendar_ids
    if change.calendar_ids is not None:
        calendar_ids = dict.fromkeys(change.calendar_ids)
        known = [booking_calendars.get(tx, calendar_id) for calendar_id in calendar_ids]
        if any(calendar is None or calendar.location_id != schedule.location_id for calendar in known):
            detail = "One of these calendars does not exist in this location."
            raise Invalid((FieldProblem("/calendarIds", "unknown_value", detail),))
    return replace(
        schedule,
        name=schedule.name if change.name is None else change.name,
        time_zone=change.time_zone or schedule.time_zone,
        rules=schedule.rules if change.rules is None else tuple(change.rules),
        calendar_ids=tuple(calendar_ids),
        updated_at=now,
    )
