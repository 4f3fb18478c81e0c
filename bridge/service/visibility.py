"""What a caller may see and book. Anything else is `Unknown` to them."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from bridge.domain.booking_calendars import BookingCalendar
from bridge.domain.model import Appointment, BlockedSlot, Interval, User
from bridge.errors import FieldProblem, Invalid, Unknown, VersionMismatch
from bridge.store import appointments, blocked_slots, booking_calendars, users
from bridge.store.db import Tx

#: The locations a caller may see; None: every location.
Locations = Set[str] | None


def sees(locations: Locations, location_id: str) -> bool:
    """Whether the caller may see this location."""
    return locations is None or location_id in locations


def appointment(tx: Tx, appointment_id: str, locations: Locations) -> Appointment:
    """The Appointment, deleted ones too. Raises `Unknown`."""
    found = appointments.get(tx, appointment_id)
    if found is None or not sees(locations, found.location_id):
        raise Unknown("appointment", appointment_id)
    return found


def slot(tx: Tx, slot_id: str, locations: Locations) -> BlockedSlot:
    """The CRM BlockedSlot, deleted ones too. Raises `Unknown`."""
    found = blocked_slots.get(tx, slot_id)
    if found is None or not sees(locations, found.location_id):
        raise Unknown("blocked slot", slot_id)
    return found


def all_users(tx: Tx, locations: Locations) -> list[User]:
    """Every User that the caller may see."""
    return [user for user in users.all_users(tx) if sees(locations, user.location_id)]


def user(tx: Tx, user_id: str, locations: Locations = None) -> User:
    """The User. Raises `Unknown`."""
    found = users.get(tx, user_id)
    if found is None or not sees(locations, found.location_id):
        raise Unknown("user", user_id)
    return found


def booking_calendar(tx: Tx, calendar_id: str, locations: Locations) -> BookingCalendar:
    """The booking calendar. Raises `Unknown`."""
    found = booking_calendars.get(tx, calendar_id)
    if found is None or not sees(locations, found.location_id):
        raise Unknown("booking calendar", calendar_id)
    return found


def bookable(tx: Tx, calendar_id: str, locations: Locations) -> BookingCalendar:
    """The booking calendar. Raises `Unknown`, also where it has no Users."""
    found = booking_calendar(tx, calendar_id, locations)
    if not found.user_ids:
        raise Unknown("booking calendar", calendar_id)
    return found


def booked_user(tx: Tx, location_id: str, calendar_id: str, user_id: str | None) -> User:
    """The User whose time an appointment takes: the one named, else the first of the booking calendar.

    Raises `Unknown`, also for a User who does not belong to the calendar.
    """
    members = bookable(tx, calendar_id, {location_id}).user_ids
    if user_id is not None and user_id not in members:
        raise Unknown("user", user_id)
    return user(tx, user_id or members[0], {location_id})


def blocked_user(tx: Tx, location_id: str, calendar_id: str | None, user_id: str | None) -> User:
    """The User whose time a blocked slot takes: the one named, else the only one of the booking calendar.

    Raises `Unknown`, and `Invalid` where the calendar has several: to block one of them would leave the others free.
    """
    if user_id is None:
        members = bookable(tx, calendar_id or "", {location_id}).user_ids
        if len(members) > 1:
            detail = "This calendar has several users: block each one's time, with assignedUserId."
            raise Invalid((FieldProblem("/calendarId", "several_users", detail),))
        user_id = members[0]
    return user(tx, user_id, {location_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What to list. Of User, booking calendar and group of booking calendars, all that are given have to match."""

    location_id: str
    span: Interval
    user_id: str | None = None
    booking_calendar_id: str | None = None
    group_id: str | None = None
    include_deleted: bool = False
    #: Only what changed at this instant or later: within one second, the order of changes is not known.
    updated_after: int | None = None
    #: For paging: only what comes after this start and id.
    after: tuple[int, str] = (-(2**62), "")
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The Users and booking calendars of a listing."""

    users: list[User]
    #: None: all booking calendars.
    calendar_ids: list[str] | None


def scope(tx: Tx, listing: Listing, locations: Locations) -> Seen:
    """The Users and booking calendars that match a User, a booking calendar and a group, as far as these are given.

    Raises `Unknown`, but not for groups: these are only known from the booking calendars that name them, so a group
    that no calendar names is an empty one.
    """
    location_id, user_id, calendar_id = listing.location_id, listing.user_id, listing.booking_calendar_id
    if not sees(locations, location_id):
        raise Unknown("location", location_id)
    named = None if user_id is None else user(tx, user_id, {location_id})
    if calendar_id is None and listing.group_id is None:
        return Seen([] if named is None else [named], None)
    calendar_ids = [] if calendar_id is None else [bookable(tx, calendar_id, {location_id}).id]
    if listing.group_id is not None:
        found = booking_calendars.of_location(tx, location_id)
        of_group = [c.id for c in found if c.settings.get("groupId") == listing.group_id and c.user_ids]
        calendar_ids = [c for c in of_group if calendar_id is None or c == calendar_id]
    members = dict.fromkeys(m for c in calendar_ids for m in bookable(tx, c, {location_id}).user_ids)
    return Seen([user(tx, m) for m in members if named is None or m == named.id], calendar_ids)


def expect(current: int, expected: int | None) -> None:
    """Raises `VersionMismatch` unless the current version is the expected one; None: any."""
    if expected is not None and expected != current:
        raise VersionMismatch(current)
