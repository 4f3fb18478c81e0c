"""Changing Appointments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from bridge.domain import ical
from bridge.domain import publish as decide
from bridge.domain.changes import ChangeOrigin
from bridge.domain.model import Appointment, AppointmentFields
from bridge.errors import DuplicateExternalId, FieldProblem, Invalid, Unknown
from bridge.service import changes, publish, visibility
from bridge.service.book import instances, slot, upstream
from bridge.service.book.appointments import refuse_ended, zoned
from bridge.service.book.instances import Part, Scope
from bridge.service.visibility import Locations
from bridge.store import appointments, notes
from bridge.store.db import Db, Tx


class Unset(Enum):
    """The marker for a field that a change leaves alone. None clears the field."""

    UNSET = 0


UNSET = Unset.UNSET


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
        elif seen.master_id is not None:
            _refuse_recurrence(change.fields)
        after = _changed(tx, before, change)
        user = visibility.user(tx, after.user_id)
        after = replace(after, fields=_with_exceptions(tx, before, zoned(after.fields, user), part))
        if after == before:
            return seen
        if after.fields.rrule != before.fields.rrule:
            refuse_ended(after.fields)
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
        appointments.put(tx, after)
        if part is not None:
            notes.go_with(tx, after.id)
        changes.appointment(tx, None if part is not None else before, after, origin=ChangeOrigin.API, now=now)
        publish.publish_appointment(tx, after, now=now)
    return after


def _of_part(change: AppointmentChange, part: Part) -> AppointmentChange:
    """The change without what a part shares with its series. Raises `Invalid` for a single time that is to recur."""
    fields = dict(change.fields)
    if fields.get("rrule") == part.master.fields.rrule:
        del fields["rrule"]
    if not part.rest:
        _refuse_recurrence(fields)
        fields.pop("rrule", None)
    external_id = UNSET if change.external_id == part.master.external_id else change.external_id
    return replace(change, fields=fields, external_id=external_id)


def _refuse_recurrence(fields: Mapping[str, Any]) -> None:
    """Raises `Invalid` where a change of a single time would make it recur."""
    if fields.get("rrule") is not None:
        detail = "One time of a recurring appointment does not recur itself: send the change to the masterEventId."
        raise Invalid((FieldProblem("/rrule", "unsupported_rrule", detail),))


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
        other = appointments.by_external_id(tx, before.location_id, str(external_id))
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
