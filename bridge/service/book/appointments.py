"""Reading and listing Appointments, and checking their fields."""

from __future__ import annotations

from dataclasses import replace

from bridge.domain import ical
from bridge.domain.model import TOMBSTONE_SECONDS, Appointment, AppointmentFields, User
from bridge.errors import FieldProblem, Invalid, Unknown
from bridge.service import visibility
from bridge.service.book import instances
from bridge.service.book.instances import Part, Scope
from bridge.service.visibility import Listing, Locations
from bridge.store import appointments
from bridge.store.db import Db


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
        return appointments.by_external_id(tx, location_id, external_id)


def members(db: Db, location_id: str, booking_calendar_id: str) -> tuple[str, ...]:
    """The Users who can be booked with a booking calendar. Raises `Unknown`."""
    with db.read() as tx:
        return visibility.bookable(tx, booking_calendar_id, {location_id}).user_ids


def list_appointments(db: Db, listing: Listing, *, locations: Locations) -> list[Appointment]:
    """Appointments that touch the span, ordered by start. A recurring one is listed once for each of its times.

    A cancelled or deleted recurring Appointment is only listed once, at its own start. Raises `Unknown`.
    """
    with db.read() as tx:
        seen = visibility.scope(tx, listing, locations)
        wanted = appointments.Wanted(
            location_id=listing.location_id,
            span=listing.span,
            user_id=listing.user_id,
            booking_calendar_ids=seen.calendar_ids,
            include_deleted=listing.include_deleted,
            updated_after=listing.updated_after,
            after=listing.after,
            limit=listing.limit,
        )
        found = appointments.single(tx, wanted)
        for master in appointments.recurring(tx, wanted):
            found += [one for one in instances.expand(tx, master, listing.span) if _place(one) > listing.after]
    return sorted(found, key=_place)[: listing.limit]


def _place(booked: Appointment) -> tuple[int, str]:
    return booked.fields.start, booked.id


def read_rrule(text: str) -> str:
    """A recurrence rule in the form in which it is stored. Raises `Invalid` for one that can't be booked."""
    problem = ical.rrule_problem(text)
    if problem is not None:
        raise Invalid((FieldProblem("/rrule", "unsupported_rrule", problem),))
    return ical.normalise_rrule(text)


def refuse_ended(fields: AppointmentFields) -> None:
    """Raises `Invalid` for a recurrence that would be over before its first time."""
    if ical.ends_before_it_begins(fields):
        detail = "UNTIL is before the start, so that nothing would recur: give a later UNTIL, or leave out the rrule."
        raise Invalid((FieldProblem("/rrule", "unsupported_rrule", detail),))


def read_invitee(email: str) -> str:
    """The e-mail address of a contact to invite. Raises `Invalid` where it can't be used."""
    email = email.strip()
    if not email:
        detail = "To invite the contact, give their e-mail address; or leave inviteContact out, or set it to false."
        raise Invalid((FieldProblem("/contact/email", "missing", detail),))
    if not ical.can_be_invited(email):
        raise Invalid((FieldProblem("/contact/email", "invalid_value", "This address can't be invited."),))
    return email


def zoned(fields: AppointmentFields, user: User) -> AppointmentFields:
    """The fields with the User's time zone if they recur and have none: in UTC, local times would shift with DST."""
    return replace(fields, time_zone=user.time_zone) if fields.rrule and fields.time_zone is None else fields
