"""Queueing an Appointment's event for iCloud: to be brought up to date, or to be moved to another calendar."""

from __future__ import annotations

import secrets
from dataclasses import replace

from bridge.domain import ical
from bridge.domain.model import Appointment, Role, SyncState
from bridge.errors import FieldProblem, Invalid, NoPrimaryCalendar
from bridge.store import accounts, appointments, mirror, outbox
from bridge.store.db import Tx


def queue(tx: Tx, appointment: Appointment, *, now: int) -> Appointment:
    """Queue the Appointment's event to be brought up to date in iCloud, and mark the Appointment as pending.

    Raises `NoPrimaryCalendar`.
    """
    if appointment.calendar_id is not None:
        target = accounts.calendar(tx, appointment.calendar_id)
    else:
        target = accounts.primary_of(tx, appointment.user_id)
    if target is None:
        if appointment.wanted_upstream:
            raise NoPrimaryCalendar(appointment.user_id)
        # It was cancelled after its calendar was disconnected, so the bridge can't remove the event.
        return replace(appointment, sync_state=SyncState.NOT_SYNCED, sync_error=None)
    if appointment.calendar_id is None and not appointment.wanted_upstream and not outbox.is_open(tx, appointment.id):
        return replace(appointment, sync_state=SyncState.NOT_SYNCED, sync_error=None)
    outbox.wish(tx, appointment.id, target.account_id, now=now)
    return replace(appointment, sync_state=SyncState.PENDING, sync_error=None)


def requeue(tx: Tx, appointment: Appointment, *, now: int) -> Appointment:
    """Queue a changed Appointment, whose event may be in a Calendar that is no longer the Primary.

    Only the Primary is written. So an upcoming event moves there, and a past one stays as it is. (If a person moved the
    event to a Calendar that the bridge never writes, the push reports that.) Raises `NoPrimaryCalendar`.
    """
    if appointment.wanted_upstream and _left_behind(tx, appointment):
        if not upcoming(appointment, now):
            return appointment
        appointment = detach(tx, appointment, now=now)
    return queue(tx, appointment, now=now)


def invite(tx: Tx, before: Appointment | None, after: Appointment) -> Appointment:
    """The Appointment with its contact invited. Raises `Invalid` where its calendar has no address to invite from."""
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
    """Whether it, or one of its times, may not be over yet."""
    return appointment.fields.end > now or appointment.fields.rrule is not None


def detach(tx: Tx, booked: Appointment, *, now: int) -> Appointment:
    """Detach the Appointment from its event, so that it can be written to another calendar under a new UID.

    The old event is handed to a stand-in: an Appointment that is deleted from the start, so that the push removes the
    event. The new UID is needed because iCloud refuses the same UID in two calendars of an account, and the removal may
    take a while.
    """
    if booked.calendar_id is None:
        return booked
    carried = None
    if (home := accounts.calendar(tx, booked.calendar_id)) is not None:
        appointments.put(tx, replace(booked, uid=f"{booked.uid}#"))  # gives up the UID
        stand_in = replace(
            booked,
            id=f"apt_{secrets.token_hex(12)}",
            location_id="",  # without a location, so that no listing contains it
            external_id=None,
            extra={},
            other_user_ids=(),
            master_id=None,
            stands_in_for=booked.id,
            deleted_at=now,
            updated_at=now,
        )
        appointments.put(tx, queue(tx, stand_in, now=now))
        outbox.wait_for(tx, stand_in.id, booked.id)  # a push under way could write the event after its removal
        event = mirror.get(tx, home.id, booked.href or "")
        if home.user_id == booked.user_id:  # one person's notes must not reach another
            carried = booked.carried
            if event is not None:
                carried = event.ics if carried is None else ical.with_single_times_of(booked, event.ics, carried)
    uid = new_uid()
    if carried is not None:
        carried = under_uid(carried, booked, uid)
    booked = replace(
        booked, uid=uid, calendar_id=None, href=None, agreed=None, attempted=(), answer=None, carried=carried
    )
    appointments.put(tx, booked)
    return booked


def remember(booked: Appointment, event: str) -> Appointment:
    """The Appointment with what the text of its event says of single times, where that is not read any more.

    The user may have moved some of them, and is busy then, whether the bridge looks or not. Nothing else is kept.
    """
    if not booked.wanted_upstream or "RECURRENCE-ID" not in event:
        return booked
    plain = ical.upstream_event(booked, now=booked.updated_at, onto=None)
    return replace(booked, carried=ical.with_single_times_of(booked, plain, event))


def forget_event(tx: Tx, booked: Appointment) -> Appointment:
    """The Appointment before its Calendar is read no longer."""
    event = mirror.get(tx, booked.calendar_id or "", booked.href or "")
    return booked if event is None or booked.carried is not None else remember(booked, event.ics)


def new_uid() -> str:
    """A UID for an event whose Appointment's id can't be its UID any more."""
    return f"apt_{secrets.token_hex(12)}"


def under_uid(ics: str, booked: Appointment, uid: str) -> str | None:
    """The text of an Appointment's event with another UID and without invitation, to be written to another calendar.

    None where the UID is not written in the form that the bridge uses.
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
