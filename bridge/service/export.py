"""Everything that is stored about one User, for them to take along, without any secret."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain.booking_calendars import BookingCalendar
from bridge.domain.changes import Change
from bridge.domain.model import Account, Appointment, BlockedSlot, Calendar, MirrorItem, TwoWay, User
from bridge.domain.notes import Note
from bridge.domain.schedules import Schedule
from bridge.errors import Unknown
from bridge.store import (
    accounts,
    appointments,
    audit,
    blocked_slots,
    booking_calendars,
    calendar_file,
    changes,
    mirror,
    notes,
    passwords,
    schedules,
    users,
)
from bridge.store.audit import AuditEntry
from bridge.store.db import Tx
from bridge.store.passwords import CalendarPassword


@dataclass(frozen=True, slots=True)
class Person:
    """The User, and everything that is set for them."""

    user: User
    two_way: TwoWay
    accounts: tuple[Account, ...]
    calendars: tuple[Calendar, ...]
    booking_calendars: tuple[BookingCalendar, ...]
    schedules: tuple[Schedule, ...]
    calendar_passwords: tuple[CalendarPassword, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """Everything of one User."""

    person: Person
    appointments: tuple[Appointment, ...]
    #: What the CRM has noted on them.
    notes: tuple[Note, ...]
    #: The CRM's own blocked slots, deleted ones too. Those from iCloud follow from `mirrored`.
    blocked_slots: tuple[BlockedSlot, ...]
    #: The changes of what belongs to them, as far back as they are kept.
    changes: tuple[Change, ...]
    audit: tuple[AuditEntry, ...]
    #: Our copies of the objects in their own calendars.
    mirrored: tuple[MirrorItem, ...]
    #: The merged calendar as one file.
    merged: bytes


def export(tx: Tx, user_id: str) -> Exported:
    """Everything of one User, read in one snapshot. Raises `Unknown`."""
    user = users.get(tx, user_id)
    if user is None:
        raise Unknown("user", user_id)
    calendars = accounts.calendars(tx, user_id=user_id)
    return Exported(
        person=Person(
            user=user,
            two_way=users.two_way(tx, user_id),
            accounts=tuple(accounts.all_of(tx, user_id)),
            calendars=tuple(calendars),
            booking_calendars=tuple(booking_calendars.of_user(tx, user_id)),
            schedules=tuple(schedules.of_user(tx, user_id)),
            calendar_passwords=tuple(passwords.list_for(tx, user_id)),
        ),
        appointments=tuple(appointments.of_user(tx, user_id)),
        notes=tuple(notes.of_user(tx, user_id)),
        blocked_slots=tuple(blocked_slots.of_user(tx, user_id)),
        changes=tuple(changes.of_user(tx, user_id)),
        audit=tuple(audit.of_user(tx, user_id)),
        mirrored=tuple(item for calendar in calendars for item in mirror.of_calendar(tx, calendar.id)),
        merged=b"".join(calendar_file.chunks(tx, user_id)),
    )
