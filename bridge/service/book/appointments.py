"""Booking, changing, reading and listing Appointments."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Any

from bridge.domain import ical
from bridge.domain import publish as decide
from bridge.domain.changes import ChangeOrigin
from bridge.domain.model import TOMBSTONE_SECONDS, Appointment, AppointmentFields, SyncState, User
from bridge.errors import DuplicateExternalId, FieldProblem, Invalid, Unknown
from bridge.service import changes, publish, visibility
from bridge.service.book import instances, slot, upstream
from bridge.service.book.instances import Part, Scope
from bridge.service.visibility import Listing, Locations
from bridge.store import bookings, facts
from bridge.store.db import Db, Tx


class Unset(Enum):
    """The marker for a field that a change leaves alone. None clears the field."""

    UNSET = 0


UNSET = Unset.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAppointment:
    """An appointment as the CRM posts it. `user_id` None: a free User of the booking calendar is chosen."""

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
    #: False: book it regardless of notice and horizon (`ignoreDateRange`).
    check_dates: bool = True
    #: As in `Appointment`.
    source: str = "api"
    source_updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """A new appointment, or the one that an earlier repetition of the request made."""

    appointment: Appointment
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentChange:
    """What to change. The keys of `fields` are names of AppointmentFields; in `extra`, None removes a key."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    utc_offset: int | None = None
    contact_id: str | Unset | None = UNSET
    external_id: str | Unset | None = UNSET
    user_id: str | Unset = UNSET
    booking_calendar_id: str | Unset = UNSET
    extra: Mapping[str, object] = field(default_factory=dict)
    source: str | Unset = UNSET
    source_updated_at: str | Unset | None = UNSET


#: Called inside the transaction of the booking, so that what it writes is committed together with it or not at all.
Also = Callable[[Tx, Created], None]


def create_appointment(
    db: Db,
    new: NewAppointment,
    *,
    now: int,
    also: Also | None = None,
    anew: bool = False,
    unasked: Collection[str] = (),
) -> Created:
    """Book an appointment. When this returns, it is stored, published and queued for iCloud.

    A repetition of the request with the same `external_id` returns the appointment that the first one made, as it is
    now. With `anew`, the `external_id` of a deleted appointment can be used again. The calendars of Users in `unasked`
    could not be read now, so these Users can't be booked. Raises `Unknown`, `DuplicateExternalId`, `NoPrimaryCalendar`,
    `SlotUnavailable`, `NotBookable`, `CalendarsStale`.
    """
    request = _digest(new)
    with db.write() as tx:
        user = visibility.booked_user(tx, new.location_id, new.booking_calendar_id, new.user_id)
        made = _made_before(tx, new, request, anew=anew)
        if made is None:
            made = Created(_create(tx, user, new, unasked, now=now), replayed=False)
            bookings.note_request(tx, made.appointment.id, request)
        if also is not None:
            also(tx, made)
    return made


def _made_before(tx: Tx, new: NewAppointment, request: str, *, anew: bool) -> Created | None:
    if new.external_id is None:
        return None
    existing = bookings.appointment_by_external_id(tx, new.location_id, new.external_id)
    if existing is None:
        return None
    if existing.deleted_at is not None and anew:
        bookings.put_appointment(tx, replace(existing, external_id=None))
        return None
    # A late repetition of a request must not bring back the appointment that was deleted since.
    if existing.deleted_at is not None or bookings.request_of(tx, existing.id) != request:
        raise DuplicateExternalId(existing.id, deleted=existing.deleted_at is not None)
    return Created(existing, replayed=True)


def _new_id(tx: Tx, new: NewAppointment) -> str:
    """An id that no Appointment has had.

    With an `external_id`, the id is derived from it, if that id is unused. The reason: after a restore, the store may
    lack an Appointment whose event is in iCloud. When the CRM sends it again, it gets the same id and UID as before, so
    that its event is recognised, and not created a second time.
    """
    if new.external_id is not None:
        key = (facts.get(tx, "appointment_ids_key") or "").encode()
        named = json.dumps([new.location_id, new.external_id]).encode()
        appointment_id = f"apt_{hmac.new(key, named, hashlib.sha256).hexdigest()[:24]}"
        if bookings.appointment(tx, appointment_id) is None:  # otherwise it was deleted, and is booked anew
            return appointment_id
    return f"apt_{secrets.token_hex(12)}"


def _create(tx: Tx, user: User, new: NewAppointment, unasked: Collection[str], *, now: int) -> Appointment:
    appointment_id = _new_id(tx, new)
    appointment = Appointment(
        id=appointment_id,
        location_id=new.location_id,
        booking_calendar_id=new.booking_calendar_id,
        user_id=user.id,
        contact_id=new.contact_id,
        external_id=new.external_id,
        fields=_zoned(new.fields, user),
        utc_offset=new.utc_offset,
        extra=new.extra,
        version=1,
        created_at=now,
        updated_at=now,
        deleted_at=None,
        # The UID is the id: it never changes, can't be guessed, and is usable as a file name.
        uid=appointment_id,
        sync_state=SyncState.NOT_SYNCED,
        sync_error=None,
        synced_at=None,
        calendar_id=None,
        href=None,
        agreed=None,
        source=new.source,
        source_updated_at=new.source_updated_at,
    )
    named = new.user_id is not None
    if appointment.wanted_upstream and new.check_slot:
        appointment = slot.admit(tx, appointment, named=named, check_dates=new.check_dates, unasked=unasked, now=now)
    else:
        members = visibility.bookable(tx, new.booking_calendar_id, {new.location_id}).user_ids
        appointment = slot.assign(tx, appointment, members, named=named, now=now)
    appointment = upstream.invite(tx, None, appointment)
    appointment = upstream.queue(tx, appointment, now=now)
    bookings.put_appointment(tx, appointment)
    changes.appointment(tx, None, appointment, origin=ChangeOrigin.API, now=now)
    publish.publish_appointment(tx, appointment, now=now)
    return appointment


def read_rrule(text: str) -> str:
    """A recurrence rule in the form in which it is stored. Raises `Invalid` for one that can't be booked."""
    problem = ical.rrule_problem(text)
    if problem is not None:
        raise Invalid((FieldProblem("/rrule", "unsupported_rrule", problem),))
    return ical.normalise_rrule(text)


def read_invitee(email: str) -> str:
    """The e-mail address of a contact to invite. Raises `Invalid` where it can't be used."""
    email = email.strip()
    if not email:
        detail = "To invite the contact, give their e-mail address; or leave inviteContact out, or set it to false."
        raise Invalid((FieldProblem("/contact/email", "missing", detail),))
    if not ical.can_be_invited(email):
        raise Invalid((FieldProblem("/contact/email", "invalid_value", "Nobody can be invited at this address."),))
    return email


def get_appointment(
    db: Db, appointment_id: str, *, locations: Locations, scope: Scope | None = None, now: int | None = None
) -> Appointment:
    """The Appointment (deleted ones too), or one time of a recurring one; with a `scope`, what a change of it concerns.

    With `now`, one that was deleted more than `TOMBSTONE_SECONDS` ago is `Unknown`. Raises `Unknown`, and `Invalid` for
    a series that can't be split there.
    """
    with db.read() as tx:
        found = instances.named(tx, appointment_id, scope, locations)
    view = found.view if isinstance(found, Part) else found
    if view is None or (now is not None and (view.deleted_at or now) <= now - TOMBSTONE_SECONDS):
        raise Unknown("appointment", appointment_id)
    return view


def find_by_external_id(db: Db, location_id: str, external_id: str) -> Appointment | None:
    """The Appointment of a location with this `external_id`, deleted ones too, or None."""
    with db.read() as tx:
        return bookings.appointment_by_external_id(tx, location_id, external_id)


def members(db: Db, location_id: str, booking_calendar_id: str) -> tuple[str, ...]:
    """The Users who can be booked with a booking calendar. Raises `Unknown`."""
    with db.read() as tx:
        return visibility.bookable(tx, booking_calendar_id, {location_id}).user_ids


def update_appointment(
    db: Db,
    appointment_id: str,
    change: AppointmentChange,
    *,
    locations: Locations,
    expected_version: int | None,
    scope: Scope | None = None,
    check_slot: bool,
    check_dates: bool = True,
    unasked: Collection[str] = (),
    now: int,
) -> Appointment:
    """Change an Appointment, field by field. Without an `expected_version`, the last writer wins.

    A single time of a recurring Appointment becomes an Appointment of its own. With the scope `following`, that time
    and all later ones become a recurring Appointment of their own. `check_dates` and `unasked` are as in
    `create_appointment`.

    Raises `Unknown` (also for a deleted one), `Invalid` for an impossible recurrence, `VersionMismatch`,
    `DuplicateExternalId`, `SlotUnavailable`, `NotBookable`, `CalendarsStale`, `NoPrimaryCalendar`.
    """
    with db.write() as tx:
        found = instances.named(tx, appointment_id, scope, locations)
        part = found if isinstance(found, Part) else None
        seen = found.view if isinstance(found, Part) else found
        if seen is None or seen.deleted_at is not None:
            raise Unknown("appointment", appointment_id)
        visibility.expect(seen.version, expected_version)
        before = seen
        if part is not None:
            before, change = instances.by_itself(tx, part, seen, now=now), _of_part(change, part)
        after = _changed(tx, before, change)
        user = visibility.user(tx, after.user_id)
        after = replace(after, fields=_with_exceptions(tx, before, _zoned(after.fields, user), part))
        if after == before:
            return seen
        after = replace(after, version=before.version + 1, updated_at=max(now, before.updated_at))
        if part is not None:
            instances.take_away(tx, part, after, now=now)
        if _takes_time_anew(before, after):
            if check_slot:
                after = slot.admit(tx, after, named=True, check_dates=check_dates, unasked=unasked, now=now)
            else:
                after = slot.assign(tx, after, (), named=True, now=now)
            publish.withdraw(tx, after, set(before.other_user_ids) - set(after.other_user_ids), now=now)
        if user.id != before.user_id:
            after = _hand_over(tx, before, after, now=now)
        after = upstream.invite(tx, before, after)
        after = upstream.requeue(tx, after, now=now)
        bookings.put_appointment(tx, after)
        changes.appointment(tx, None if part is not None else before, after, origin=ChangeOrigin.API, now=now)
        publish.publish_appointment(tx, after, now=now)
    return after


def list_appointments(db: Db, listing: Listing, *, locations: Locations) -> list[Appointment]:
    """Appointments that touch the span, ordered by start. A recurring one is listed once for each of its times.

    A cancelled or deleted recurring Appointment is only listed once, at its own start. Raises `Unknown`.
    """
    with db.read() as tx:
        seen = visibility.scope(tx, listing, locations)
        wanted = bookings.Wanted(
            location_id=listing.location_id,
            span=listing.span,
            user_id=listing.user_id,
            booking_calendar_ids=seen.calendar_ids,
            include_deleted=listing.include_deleted,
            updated_after=listing.updated_after,
            after=listing.after,
            limit=listing.limit,
        )
        found = bookings.single_appointments(tx, wanted)
        for master in bookings.recurring_appointments(tx, wanted):
            found += [one for one in instances.expand(tx, master, listing.span) if _place(one) > listing.after]
    return sorted(found, key=_place)[: listing.limit]


def _place(booked: Appointment) -> tuple[int, str]:
    return booked.fields.start, booked.id


def _of_part(change: AppointmentChange, part: Part) -> AppointmentChange:
    """The change without what a part shares with its series. Raises `Invalid` for a single time that is to recur."""
    fields = dict(change.fields)
    if fields.get("rrule") == part.master.fields.rrule:
        del fields["rrule"]
    if not part.rest and fields.pop("rrule", None) is not None:
        detail = "One time of a recurring appointment does not recur itself: send the change to the masterEventId."
        raise Invalid((FieldProblem("/rrule", "unsupported_rrule", detail),))
    external_id = UNSET if change.external_id == part.master.external_id else change.external_id
    return replace(change, fields=fields, external_id=external_id)


def _with_exceptions(tx: Tx, before: Appointment, fields: AppointmentFields, part: Part | None) -> AppointmentFields:
    """A series' changed fields, with its exceptions moved along. Raises `Invalid` for a rule without its start."""
    if part is None:
        apart = instances.taken_out_of(tx, before.id)
    else:
        apart = instances.taken_out_of(tx, part.master.id, since=part.key) if part.rest else []
    found = ical.moved_along(before.fields, fields, [instances.key_of(one) for one in apart])
    if found is None:
        detail = "The appointment's rrule does not fall on this day: send the one that goes with the new start."
        raise Invalid((FieldProblem("/startTime", "unsupported_rrule", detail),))
    return found


def _digest(new: NewAppointment) -> str:
    """A digest of a request, by which a repetition is recognised even if the appointment has changed since."""
    asked = (new.booking_calendar_id, new.user_id, new.contact_id, asdict(new.fields), new.extra, new.source_updated_at)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _zoned(fields: AppointmentFields, user: User) -> AppointmentFields:
    """The fields with the User's time zone if they recur and have none: in UTC, local times would shift with DST."""
    return replace(fields, time_zone=user.time_zone) if fields.rrule and fields.time_zone is None else fields


def _changed(tx: Tx, before: Appointment, change: AppointmentChange) -> Appointment:
    """The Appointment with the change applied. Raises `Unknown`, `DuplicateExternalId`."""
    calendar_id = before.booking_calendar_id if change.booking_calendar_id is UNSET else str(change.booking_calendar_id)
    user_id = before.user_id if change.user_id is UNSET else str(change.user_id)
    if (user_id, calendar_id) != (before.user_id, before.booking_calendar_id):
        if change.user_id is UNSET:
            members = visibility.bookable(tx, calendar_id, {before.location_id}).user_ids
            user_id = user_id if user_id in members else members[0]
        user_id = visibility.booked_user(tx, before.location_id, calendar_id, user_id).id
    external_id = before.external_id if change.external_id is UNSET else change.external_id
    if external_id is not None and external_id != before.external_id:
        other = bookings.appointment_by_external_id(tx, before.location_id, str(external_id))
        if other is not None:
            raise DuplicateExternalId(other.id, deleted=other.deleted_at is not None)
    return replace(
        before,
        fields=replace(before.fields, **change.fields),
        utc_offset=before.utc_offset if change.utc_offset is None else change.utc_offset,
        contact_id=before.contact_id if change.contact_id is UNSET else change.contact_id,
        external_id=external_id,
        user_id=user_id,
        booking_calendar_id=calendar_id,
        extra={key: value for key, value in {**before.extra, **change.extra}.items() if value is not None},
        source=before.source if change.source is UNSET else change.source,
        source_updated_at=before.source_updated_at if change.source_updated_at is UNSET else change.source_updated_at,
    )


def _takes_time_anew(before: Appointment, after: Appointment) -> bool:
    """Whether it takes time that it did not take before: other times, another User's, or again after cancellation."""
    if not after.wanted_upstream:
        return False
    return not before.wanted_upstream or _whose(after) != _whose(before) or _when(after) != _when(before)


def _whose(appointment: Appointment) -> tuple[str, str]:
    # Another booking calendar has other rules, so all of the time counts as new.
    return (appointment.user_id, appointment.booking_calendar_id)


def _when(appointment: Appointment) -> tuple[object, ...]:
    fields = appointment.fields
    by_zone = fields.time_zone if fields.rrule or fields.all_day else None
    return (fields.start, fields.end, fields.all_day, fields.rrule, by_zone)


def _hand_over(tx: Tx, before: Appointment, after: Appointment, *, now: int) -> Appointment:
    """Detach an Appointment from its User's calendars, to be written to another User's."""
    delta = publish.Delta(visibility.user(tx, before.user_id), now)
    delta.remove.append(decide.appointment_href(before.id))
    delta.apply(tx)
    # The old event belongs to the first User, as do the notes in it.
    left = upstream.detach(tx, replace(after, user_id=before.user_id), now=now)
    return replace(left, user_id=after.user_id, carried=None)
