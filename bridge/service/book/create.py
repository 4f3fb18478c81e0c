"""Booking new Appointments."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace

from bridge.domain.changes import ChangeOrigin
from bridge.domain.model import Appointment, AppointmentFields, SyncState, User
from bridge.errors import DuplicateExternalId
from bridge.service import changes, publish, visibility
from bridge.service.book import slot, upstream
from bridge.service.book.appointments import refuse_ended, zoned
from bridge.store import appointments, facts
from bridge.store.db import Db, Tx


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
    could not be read now, so these Users can't be booked. Raises `Unknown`, `Invalid` for a recurrence that ends before
    it begins, `DuplicateExternalId`, `NoPrimaryCalendar`, `SlotUnavailable`, `NotBookable`, `CalendarsStale`.
    """
    request = _digest(new)
    with db.write() as tx:
        user = visibility.booked_user(tx, new.location_id, new.booking_calendar_id, new.user_id)
        made = _made_before(tx, new, request, anew=anew)
        if made is None:
            made = Created(_create(tx, user, new, unasked, now=now), replayed=False)
            appointments.note_request(tx, made.appointment.id, request)
        if also is not None:
            also(tx, made)
    return made


def _made_before(tx: Tx, new: NewAppointment, request: str, *, anew: bool) -> Created | None:
    if new.external_id is None:
        return None
    existing = appointments.by_external_id(tx, new.location_id, new.external_id)
    if existing is None:
        return None
    if existing.deleted_at is not None and anew:
        appointments.put(tx, replace(existing, external_id=None))
        return None
    # A late repetition of a request must not bring back the appointment that was deleted since.
    if existing.deleted_at is not None or appointments.request_of(tx, existing.id) != request:
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
        if appointments.get(tx, appointment_id) is None:  # otherwise it was deleted, and is booked anew
            return appointment_id
    return f"apt_{secrets.token_hex(12)}"


def _digest(new: NewAppointment) -> str:
    """A digest of a request, by which a repetition is recognised even if the appointment has changed since."""
    asked = (new.booking_calendar_id, new.user_id, new.contact_id, asdict(new.fields), new.extra, new.source_updated_at)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _create(tx: Tx, user: User, new: NewAppointment, unasked: Collection[str], *, now: int) -> Appointment:
    fields = zoned(new.fields, user)
    refuse_ended(fields)
    appointment_id = _new_id(tx, new)
    appointment = Appointment(
        id=appointment_id,
        location_id=new.location_id,
        booking_calendar_id=new.booking_calendar_id,
        user_id=user.id,
        contact_id=new.contact_id,
        external_id=new.external_id,
        fields=fields,
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
    appointments.put(tx, appointment)
    changes.appointment(tx, None, appointment, origin=ChangeOrigin.API, now=now)
    publish.publish_appointment(tx, appointment, now=now)
    return appointment
