"""What booking asks of the event in iCloud: to be brought up to date, or to go on in another calendar."""

from __future__ import annotations

import secrets
from dataclasses import replace

from bridge.domain import ical
from bridge.domain.model import Appointment, Role, SyncState
from bridge.errors import FieldProblem, Invalid, NoPrimaryCalendar
from bridge.store import accounts, bookings, mirror, outbox
from bridge.store.db import Tx


def queue(tx: Tx, appointment: Appointment, *, now: int) -> Appointment:
    """Ask for the event in iCloud to be brought up to date, and note that this is outstanding.

    Raises `NoPrimaryCalendar`.
    """
    if appointment.calendar_id is not None:
        target = accounts.calendar(tx, appointment.calendar_id)
    else:
        target = accounts.primary_of(tx, appointment.user_id)
    if target is None:
        if appointment.wanted_upstream:
            raise NoPrimaryCalendar(appointment.user_id)
        # Cancelled after its calendar was disconnected: there is no event left that the bridge could remove.
        return replace(appointment, sync_state=SyncState.NOT_SYNCED, sync_error=None)
    if appointment.calendar_id is None and not appointment.wanted_upstream and not outbox.is_open(tx, appointment.id):
        return replace(appointment, sync_state=SyncState.NOT_SYNCED, sync_error=None)
    outbox.wish(tx, appointment.id, target.account_id, now=now)
    return replace(appointment, sync_state=SyncState.PENDING, sync_error=None)


def requeue(tx: Tx, appointment: Appointment, *, now: int) -> Appointment:
    """Queue a change to an Appointment, whose event may be in a calendar that is the Primary no longer.

    Only the Primary is written, so an upcoming one moves there; the event of a past one stays as it is. (Where a person
    put an event into a calendar that the bridge never writes, the push says so.) Raises `NoPrimaryCalendar`.
    """
    if appointment.wanted_upstream and _left_behind(tx, appointment):
        if not upcoming(appointment, now):
            return appointment
        appointment = detach(tx, appointment, now=now)
    return queue(tx, appointment, now=now)


def invite(tx: Tx, before: Appointment | None, after: Appointment) -> Appointment:
    """The Appointment as it invites its contact. Raises `Invalid` where its calendar has nobody to invite from."""
    invitee = after.fields.invitee
    if before is not None and (before.fields.invitee, before.user_id) == (invitee, after.user_id):
        return after
    if invitee is not None and after.wanted_upstream:
        primary = accounts.primary_of(tx, after.user_id)
        account = None if primary is None else accounts.get(tx, primary.account_id)
        if account is not None and not account.addresses:
            detail = "The user's calendar account has no e-mail address to invite from: leave inviteContact out."
            raise Invalid((FieldProblem("/inviteContact", "invalid_value", detail),))
    return replace(after, answer=None)


def upcoming(appointment: Appointment, now: int) -> bool:
    """Whether it, or one of its recurrences, may still lie ahead."""
    return appointment.fields.end > now or appointment.fields.rrule is not None


def detach(tx: Tx, booked: Appointment, *, now: int) -> Appointment:
    """Take the Appointment out of the calendar it was written to, so that it can be written to another.

    The event there is removed by a stand-in that owns it from now on, deleted from its birth; the Appointment goes on
    under a new UID, since iCloud refuses one UID in two calendars of an account, and a removal may take its time.
    """
    if booked.calendar_id is None:
        return booked
    carried = None
    if (home := accounts.calendar(tx, booked.calendar_id)) is not None:
        bookings.put_appointment(tx, replace(booked, uid=f"{booked.uid}#"))  # gives up the UID
        stand_in = replace(
            booked,
            id=f"apt_{secrets.token_hex(12)}",
            location_id="",  # of no location, so that no listing has it
            external_id=None,
            extra={},
            beside=(),
            master_id=None,
            stands_in_for=booked.id,
            deleted_at=now,
            updated_at=now,
        )
        bookings.put_appointment(tx, queue(tx, stand_in, now=now))
        outbox.wait_for(tx, stand_in.id, booked.id)  # a write under way could land after the removal
        event = mirror.get(tx, home.id, booked.href or "")
        if home.user_id == booked.user_id:  # one person's notes are not another's
            carried = booked.carried
            if event is not None:
                carried = event.ics if carried is None else ical.with_single_times_of(event.ics, carried)
    uid = new_uid()
    if carried is not None:
        carried = under_uid(carried, booked, uid)
    booked = replace(booked, uid=uid, calendar_id=None, href=None, agreed=None, answer=None, carried=carried)
    bookings.put_appointment(tx, booked)
    return booked


def new_uid() -> str:
    """A UID for an event that goes on under another one than its Appointment's id."""
    return f"apt_{secrets.token_hex(12)}"


def under_uid(ics: str, booked: Appointment, uid: str) -> str | None:
    """The text of an Appointment's event under another UID, for another calendar to invite by.

    None where its UID is not written as the bridge writes it.
    """
    if f"UID:{booked.uid}" not in ics:
        return None
    invitee = booked.agreed.invitee if booked.agreed is not None else booked.fields.invitee
    return ical.unsigned(ics.replace(f"UID:{booked.uid}", f"UID:{uid}"), invitee)


def _left_behind(tx: Tx, appointment: Appointment) -> bool:
    """Whether the event is in a calendar that was the Primary and is no longer, or was disconnected."""
    if appointment.calendar_id is None:
        return False  # not written yet
    home = accounts.calendar(tx, appointment.calendar_id)
    return home is None or (home.once_primary and home.role != Role.PRIMARY)
