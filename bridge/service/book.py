"""Booking: appointments, and blocked slots made in the CRM.

Each verb is one write transaction: check the slot, store, publish, queue. Only when it has committed is it answered.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from bridge.domain import ical
from bridge.domain import publish as decide
from bridge.domain.model import (
    Appointment,
    AppointmentFields,
    BlockedSlot,
    BookingCalendar,
    Interval,
    ItemKind,
    Origin,
    SyncState,
    User,
)
from bridge.errors import (
    DuplicateExternalId,
    NoPrimaryCalendar,
    ReadOnly,
    SlotUnavailable,
    Unknown,
    VersionMismatch,
)
from bridge.service import publish
from bridge.store import accounts, bookings, outbox, published, users
from bridge.store.db import Db, Tx

#: The locations a caller may see; None: every location.
Locations = frozenset[str] | None


class Unset(Enum):
    """Marks what a change leaves alone, where None means "clear it"."""

    UNSET = 0


UNSET = Unset.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAppointment:
    """An appointment as the CRM posts it. `user_id` None: the booking calendar's first User."""

    location_id: str
    booking_calendar_id: str
    user_id: str | None
    contact_id: str | None
    external_id: str | None
    fields: AppointmentFields
    utc_offset: int
    extra: dict[str, object]
    #: False: book it even over something else (`ignoreFreeSlotValidation`).
    check_slot: bool


@dataclass(frozen=True, slots=True)
class Created:
    """A new appointment, or the one that the same request made before."""

    appointment: Appointment
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentChange:
    """What to change. `fields` by the names of AppointmentFields; in `extra`, None removes a key."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    utc_offset: int | None = None
    contact_id: str | Unset | None = UNSET
    user_id: str | Unset = UNSET
    booking_calendar_id: str | Unset = UNSET
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBlockedSlot:
    """A blocked slot as the CRM posts it, for a User or for a booking calendar (then its first User)."""

    location_id: str
    user_id: str | None
    booking_calendar_id: str | None
    title: str
    start: int
    end: int
    time_zone: str | None
    utc_offset: int
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedSlotView:
    """One stretch of blocked time as the CRM sees it; those of origin `icloud` can't be changed."""

    id: str
    origin: Origin
    read_only: bool
    title: str
    start: int
    end: int
    all_day: bool
    time_zone: str | None
    utc_offset: int
    user_id: str
    booking_calendar_id: str | None
    location_id: str


#: Runs inside the booking's own transaction, so that what it writes and the booking are kept together or not at all.
AlsoAppointment = Callable[[Tx, Appointment], None]
AlsoBlockedSlot = Callable[[Tx, BlockedSlot], None]


def create_appointment(db: Db, new: NewAppointment, *, now: int, also: AlsoAppointment | None = None) -> Created:
    """Book: durable, published and queued for iCloud when this returns.

    The same `external_id` with the same content is answered with the appointment made before. Raises `Unknown`,
    `DuplicateExternalId`, `NoPrimaryCalendar`, `SlotUnavailable`.
    """
    with db.write() as tx:
        user = _booked_user(tx, new.location_id, new.booking_calendar_id, new.user_id)
        if new.external_id is not None:
            existing = bookings.appointment_by_external_id(tx, new.location_id, new.external_id)
            if existing is not None:
                if existing.deleted_at is not None or not _same_request(existing, new, user):
                    raise DuplicateExternalId(existing.id)
                if also is not None:
                    also(tx, existing)
                return Created(existing, replayed=True)
        appointment_id = f"apt_{secrets.token_hex(12)}"
        appointment = Appointment(
            id=appointment_id,
            location_id=new.location_id,
            booking_calendar_id=new.booking_calendar_id,
            user_id=user.id,
            contact_id=new.contact_id,
            external_id=new.external_id,
            fields=new.fields,
            utc_offset=new.utc_offset,
            extra=new.extra,
            version=1,
            created_at=now,
            updated_at=now,
            deleted_at=None,
            # The UID is the id: stable, unguessable, and fit for a file name as it is.
            uid=appointment_id,
            sync_state=SyncState.NOT_SYNCED,
            sync_error=None,
            synced_at=None,
            calendar_id=None,
            href=None,
            agreed=None,
        )
        if appointment.wanted_upstream and new.check_slot:
            _check_slot(tx, user, appointment, now=now)
        appointment = queue(tx, appointment, now=now)
        bookings.put_appointment(tx, appointment)
        publish.publish_appointment(tx, appointment, now=now)
        if also is not None:
            also(tx, appointment)
    return Created(appointment, replayed=False)


def get_appointment(db: Db, appointment_id: str, *, locations: Locations) -> Appointment:
    """The Appointment, deleted ones too. Raises `Unknown`."""
    with db.read() as tx:
        return _visible_appointment(tx, appointment_id, locations)


def find_by_external_id(db: Db, location_id: str, external_id: str) -> Appointment | None:
    """The Appointment that a location's CRM knows by this id of its own, deleted ones too, or None."""
    with db.read() as tx:
        return bookings.appointment_by_external_id(tx, location_id, external_id)


def update_appointment(
    db: Db,
    appointment_id: str,
    change: AppointmentChange,
    *,
    locations: Locations,
    expected_version: int | None,
    check_slot: bool,
    now: int,
) -> Appointment:
    """Change an Appointment, field by field. Without an `expected_version`, the last writer wins.

    Raises `Unknown` (also for a deleted one), `VersionMismatch`, `SlotUnavailable`, `NoPrimaryCalendar`.
    """
    with db.write() as tx:
        before = _visible_appointment(tx, appointment_id, locations)
        if before.deleted_at is not None:
            raise Unknown("appointment", appointment_id)
        _expect(before.version, expected_version)
        after = _changed(tx, before, change)
        if after == before:
            return before
        after = replace(after, version=before.version + 1, updated_at=now)
        user = _booked_user(tx, after.location_id, after.booking_calendar_id, after.user_id)
        taken_anew = _takes_time(after) and (
            not before.wanted_upstream or user.id != before.user_id or _times(after) != _times(before)
        )
        if check_slot and taken_anew:
            _check_slot(tx, user, after, now=now)
        if user.id != before.user_id:
            delta = publish.Delta(_visible_user(tx, before.user_id), now)
            delta.remove.append(decide.appointment_href(before.id))
            delta.apply(tx)
            after = detach(tx, after, now=now)
        after = queue(tx, after, now=now)
        bookings.put_appointment(tx, after)
        publish.publish_appointment(tx, after, now=now)
    return after


def delete_event(db: Db, event_id: str, *, locations: Locations, expected_version: int | None, now: int) -> None:
    """Delete an Appointment (its event in iCloud goes too) or a CRM BlockedSlot. Doing so again changes nothing.

    Raises `Unknown`, `ReadOnly` for an iCloud blocked slot, `VersionMismatch`.
    """
    if event_id.startswith("ics_"):
        raise ReadOnly("blocked slot", event_id)
    with db.write() as tx:
        if event_id.startswith("blk_"):
            slot = _visible_slot(tx, event_id, locations)
            if slot.deleted_at is None:
                _expect(slot.version, expected_version)
                slot = replace(slot, deleted_at=now, updated_at=now, version=slot.version + 1)
                bookings.put_blocked_slot(tx, slot)
                publish.publish_crm_slot(tx, slot, now=now)
            return
        appointment = _visible_appointment(tx, event_id, locations)
        if appointment.deleted_at is None:
            _expect(appointment.version, expected_version)
            appointment = replace(appointment, deleted_at=now, updated_at=now, version=appointment.version + 1)
            appointment = queue(tx, appointment, now=now)
            bookings.put_appointment(tx, appointment)
            publish.publish_appointment(tx, appointment, now=now)


def list_appointments(
    db: Db,
    *,
    locations: Locations,
    location_id: str,
    span: Interval,
    user_id: str | None = None,
    booking_calendar_id: str | None = None,
    include_deleted: bool = False,
) -> list[Appointment]:
    """Appointments of a User or a booking calendar that touch the span, by start. Raises `Unknown`."""
    with db.read() as tx:
        _visible_scope(tx, locations, location_id, user_id, booking_calendar_id)
        return bookings.appointments_between(
            tx,
            span,
            location_id=location_id,
            user_id=user_id,
            booking_calendar_id=booking_calendar_id,
            include_deleted=include_deleted,
        )


def create_blocked_slot(db: Db, new: NewBlockedSlot, *, now: int, also: AlsoBlockedSlot | None = None) -> BlockedSlot:
    """Block time. It is published and busy when this returns, and never leaves the bridge. Raises `Unknown`."""
    with db.write() as tx:
        user = _booked_user(tx, new.location_id, new.booking_calendar_id, new.user_id)
        slot = BlockedSlot(
            id=f"blk_{secrets.token_hex(12)}",
            location_id=new.location_id,
            user_id=user.id,
            booking_calendar_id=new.booking_calendar_id,
            title=new.title,
            start=new.start,
            end=new.end,
            time_zone=new.time_zone,
            utc_offset=new.utc_offset,
            expires_at=new.expires_at,
            version=1,
            created_at=now,
            updated_at=now,
            deleted_at=None,
        )
        bookings.put_blocked_slot(tx, slot)
        publish.publish_crm_slot(tx, slot, now=now)
        if also is not None:
            also(tx, slot)
    return slot


def get_blocked_slot(db: Db, slot_id: str, *, locations: Locations) -> BlockedSlot:
    """The CRM BlockedSlot, deleted ones too. Raises `Unknown`."""
    with db.read() as tx:
        return _visible_slot(tx, slot_id, locations)


def update_blocked_slot(
    db: Db,
    slot_id: str,
    change: Mapping[str, Any],
    *,
    locations: Locations,
    expected_version: int | None,
    now: int,
) -> BlockedSlot:
    """Change a CRM BlockedSlot by the names of its fields.

    Raises `Unknown` (also for a deleted one), `ReadOnly` for an iCloud blocked slot, `VersionMismatch`.
    """
    if slot_id.startswith("ics_"):
        raise ReadOnly("blocked slot", slot_id)
    with db.write() as tx:
        before = _visible_slot(tx, slot_id, locations)
        if before.deleted_at is not None:
            raise Unknown("blocked slot", slot_id)
        _expect(before.version, expected_version)
        after = replace(before, **change)
        if after == before:
            return before
        user = _booked_user(tx, after.location_id, after.booking_calendar_id, after.user_id)
        after = replace(after, version=before.version + 1, updated_at=now)
        bookings.put_blocked_slot(tx, after)
        if user.id != before.user_id:
            publish.publish_crm_slot(tx, replace(before, deleted_at=now), now=now)
        publish.publish_crm_slot(tx, after, now=now)
    return after


def list_blocked_slots(
    db: Db,
    *,
    locations: Locations,
    location_id: str,
    span: Interval,
    user_id: str | None = None,
    booking_calendar_id: str | None = None,
) -> list[BlockedSlotView]:
    """All blocked time in the span, made in the CRM or come from iCloud, by start. Raises `Unknown`."""
    with db.read() as tx:
        members = _visible_scope(tx, locations, location_id, user_id, booking_calendar_id)
        views = [view for user in members for view in _blocked_views(tx, user, span)]
    return sorted(views, key=lambda view: (view.start, view.end, view.id))


def expire_holds(db: Db, *, now: int) -> int:
    """Delete the blocked slots whose `expires_at` has come. Returns how many."""
    with db.read() as tx:
        if not bookings.expired_slots(tx, now=now):
            return 0  # asked every second: the usual case costs no write
    with db.write() as tx:
        return _expire_holds(tx, now=now)


def _expire_holds(tx: Tx, *, now: int) -> int:
    expired = bookings.expired_slots(tx, now=now)
    for slot in expired:
        gone = replace(slot, deleted_at=now, updated_at=now, version=slot.version + 1)
        bookings.put_blocked_slot(tx, gone)
        publish.publish_crm_slot(tx, gone, now=now)
    return len(expired)


# --- Shared by the verbs ---------------------------------------------------------------------------------------------


def queue(tx: Tx, appointment: Appointment, *, now: int) -> Appointment:
    """Ask for the event in iCloud to be brought up to date, and note that this is outstanding."""
    if appointment.calendar_id is not None:
        target = accounts.calendar(tx, appointment.calendar_id)
    else:
        target = accounts.primary_of(tx, appointment.user_id)
    if target is None:
        if appointment.wanted_upstream:
            raise NoPrimaryCalendar(appointment.user_id)
        # Cancelled after its calendar was disconnected: there is no event left that the bridge could remove.
        return replace(appointment, sync_state=SyncState.NOT_SYNCED)
    if appointment.calendar_id is None and not appointment.wanted_upstream and not outbox.is_open(tx, appointment.id):
        return replace(appointment, sync_state=SyncState.NOT_SYNCED)
    outbox.wish(tx, appointment.id, target.account_id, now=now)
    return replace(appointment, sync_state=SyncState.PENDING, sync_error=None)


def _check_slot(tx: Tx, user: User, appointment: Appointment, *, now: int) -> None:
    """Raises `SlotUnavailable` when something else is there already. Touching is not overlapping."""
    _expire_holds(tx, now=now)
    own = decide.appointment_href(appointment.id)
    item = decide.appointment(appointment, time_zone=user.time_zone, span=decide.horizon(now))
    conflicts = [
        (busy.start, busy.end, _CONFLICT_KIND[busy.kind])
        for occurrence in (item.occurrences if item else ())
        for busy in published.busy(tx, user.id, Interval(occurrence.start, occurrence.end))
        if busy.href != own
    ]
    if conflicts:
        raise SlotUnavailable(tuple(sorted(set(conflicts))))


_CONFLICT_KIND = {ItemKind.ICLOUD: "icloud_event", ItemKind.CRM: "blocked_slot", ItemKind.APPOINTMENT: "appointment"}


def _takes_time(appointment: Appointment) -> bool:
    return appointment.wanted_upstream


def _times(appointment: Appointment) -> tuple[object, ...]:
    fields = appointment.fields
    return (fields.start, fields.end, fields.all_day, fields.rrule)


def _changed(tx: Tx, before: Appointment, change: AppointmentChange) -> Appointment:
    extra = {key: value for key, value in {**before.extra, **change.extra}.items() if value is not None}
    calendar_id = before.booking_calendar_id if change.booking_calendar_id is UNSET else str(change.booking_calendar_id)
    user_id = before.user_id if change.user_id is UNSET else str(change.user_id)
    if change.user_id is UNSET and calendar_id != before.booking_calendar_id:
        members = _booking_calendar(tx, before.location_id, calendar_id).user_ids
        user_id = user_id if user_id in members else members[0]
    return replace(
        before,
        fields=replace(before.fields, **change.fields),
        utc_offset=before.utc_offset if change.utc_offset is None else change.utc_offset,
        contact_id=before.contact_id if change.contact_id is UNSET else change.contact_id,
        user_id=user_id,
        booking_calendar_id=calendar_id,
        extra=extra,
    )


def detach(tx: Tx, booked: Appointment, *, now: int) -> Appointment:
    """Take the Appointment out of the calendar it was written to, so that it can be written to another.

    The event there is removed by a stand-in that owns it from now on, deleted from its birth; the Appointment goes on
    under a new UID, since iCloud refuses one UID in two calendars of an account, and a removal may take its time.
    """
    if booked.calendar_id is None:
        return booked
    if accounts.calendar(tx, booked.calendar_id) is not None:
        bookings.put_appointment(tx, replace(booked, uid=f"{booked.uid}#"))  # gives up the UID
        stand_in = replace(booked, id=f"apt_{secrets.token_hex(12)}", external_id=None, deleted_at=now, updated_at=now)
        bookings.put_appointment(tx, queue(tx, stand_in, now=now))
        outbox.wait_for(tx, stand_in.id, booked.id)  # a write under way could land after the removal
    booked = replace(booked, uid=f"apt_{secrets.token_hex(12)}", calendar_id=None, href=None, agreed=None)
    bookings.put_appointment(tx, booked)
    return booked


def _same_request(existing: Appointment, new: NewAppointment, user: User) -> bool:
    return (
        existing.fields == new.fields
        and existing.user_id == user.id
        and existing.booking_calendar_id == new.booking_calendar_id
        and existing.contact_id == new.contact_id
        and existing.extra == new.extra
    )


def _expect(current: int, expected: int | None) -> None:
    if expected is not None and expected != current:
        raise VersionMismatch(current)


def _visible_appointment(tx: Tx, appointment_id: str, locations: Locations) -> Appointment:
    found = bookings.appointment(tx, appointment_id)
    if found is None or (locations is not None and found.location_id not in locations):
        raise Unknown("appointment", appointment_id)
    return found


def _visible_slot(tx: Tx, slot_id: str, locations: Locations) -> BlockedSlot:
    found = bookings.blocked_slot(tx, slot_id)
    if found is None or (locations is not None and found.location_id not in locations):
        raise Unknown("blocked slot", slot_id)
    return found


def _visible_user(tx: Tx, user_id: str) -> User:
    user = users.get(tx, user_id)
    if user is None:
        raise Unknown("user", user_id)
    return user


def _booking_calendar(tx: Tx, location_id: str, calendar_id: str) -> BookingCalendar:
    calendar = users.booking_calendar(tx, calendar_id)
    if calendar is None or calendar.location_id != location_id or not calendar.user_ids:
        raise Unknown("calendar", calendar_id)
    return calendar


def _booked_user(tx: Tx, location_id: str, calendar_id: str | None, user_id: str | None) -> User:
    """The User whose time is taken: the one named, else the first of the booking calendar. All of one location."""
    if calendar_id is not None:
        members = _booking_calendar(tx, location_id, calendar_id).user_ids
        if user_id is not None and user_id not in members:
            raise Unknown("user", user_id)
        user_id = user_id or members[0]
    user = _visible_user(tx, user_id or "")
    if user.location_id != location_id:
        raise Unknown("user", user.id)
    return user


def _visible_scope(
    tx: Tx, locations: Locations, location_id: str, user_id: str | None, calendar_id: str | None
) -> list[User]:
    """The Users that a listing is about."""
    if locations is not None and location_id not in locations:
        raise Unknown("location", location_id)
    if user_id is not None:
        return [_booked_user(tx, location_id, None, user_id)]
    members = _booking_calendar(tx, location_id, calendar_id or "").user_ids
    return [_visible_user(tx, member) for member in members]


def _blocked_views(tx: Tx, user: User, span: Interval) -> list[BlockedSlotView]:
    views = [
        BlockedSlotView(
            id=slot.id,
            origin=Origin.CRM,
            read_only=False,
            title=slot.title,
            start=slot.start,
            end=slot.end,
            all_day=False,
            time_zone=slot.time_zone,
            utc_offset=slot.utc_offset,
            user_id=user.id,
            booking_calendar_id=slot.booking_calendar_id,
            location_id=slot.location_id,
        )
        for slot in bookings.blocked_slots_between(tx, span, user_id=user.id)
    ]
    for item in published.overlapping(tx, user.id, span):
        if item.kind != ItemKind.ICLOUD:
            continue
        stem = item.href.removesuffix(".ics")
        title = ical.summary(item.ics)
        occurrences = ical.occurrences(item.ics, span, time_zone=user.time_zone)
        views += [
            BlockedSlotView(
                id=f"{stem}_{occurrence.start}",
                origin=Origin.ICLOUD,
                read_only=True,
                title=title,
                start=occurrence.start,
                end=occurrence.end,
                all_day=occurrence.all_day,
                time_zone=user.time_zone,
                utc_offset=0,
                user_id=user.id,
                booking_calendar_id=None,
                location_id=user.location_id,
            )
            for occurrence in occurrences
        ]
    return views
