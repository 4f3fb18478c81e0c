"""Reading the fields of an appointment for booking. All problems are reported at once."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from bridge.domain.booking_calendars import AppointmentDefaults
from bridge.domain.model import Appointment, AppointmentFields
from bridge.errors import FieldProblem, Invalid
from bridge.service.book import UNSET, AppointmentChange, NewAppointment, read_invitee
from bridge.web.reader import Reader
from bridge.web.shapes.appointments import MOST_METADATA, AppointmentBody
from bridge.web.times import Time, day_of, start_of

#: Fields that the bridge only keeps and returns.
_KEPT = ("meeting_location_type", "meeting_location_id", "metadata", "contact", "reminders", "to_notify")


def new_appointment(
    body: AppointmentBody,
    problems: Iterable[FieldProblem],
    *,
    location_id: str | None,
    defaults: AppointmentDefaults,
) -> NewAppointment:
    """A new appointment. `defaults` fill what the body leaves out; without an end, an all-day one takes one day.

    Raises `Invalid` with `problems` and every other problem of the body.
    """
    reader = Reader(list(problems))
    location_id = reader.location(location_id)
    zone = reader.zone(body.timezone)
    if body.calendar_id is None:
        reader.wrong("calendarId", "missing", "Name the calendar to book.")
    if body.start_time is None:
        reader.wrong("startTime", "missing", "Say when it starts.")
    kept = _kept(reader, body, {})
    invitee = _invitee(reader, body.invite_contact, kept.get("contact"))
    if body.all_day:
        start, end = _new_days(reader, body, zone)
    else:
        start = reader.time("startTime", body.start_time, zone)
        ends = reader.time("endTime", body.end_time, zone)
        end = ends.at if ends is not None else start.at + defaults.length if start is not None else 0
    if start is not None and not reader.is_wrong("endTime"):
        reader.order(start.at, end)
    rrule = reader.rrule(body.rrule)
    reader.done()
    assert start is not None and body.calendar_id is not None, "or the reader would have complained"  # noqa: S101
    return NewAppointment(
        location_id=location_id,
        booking_calendar_id=body.calendar_id,
        user_id=body.assigned_user_id,
        contact_id=body.contact_id,
        external_id=body.external_id,
        fields=AppointmentFields(
            title=body.title or "",
            start=start.at,
            end=end,
            time_zone=zone,
            all_day=bool(body.all_day),
            description=body.description or "",
            address=body.address or "",
            rrule=rrule,
            status=body.appointment_status or defaults.status,
            invitee=invitee,
        ),
        utc_offset=start.utc_offset,
        extra=kept,
        check_slot=not body.ignore_free_slot_validation,
        check_dates=not body.ignore_date_range,
    )


def _new_days(reader: Reader, body: AppointmentBody, zone: str | None) -> tuple[Time | None, int]:
    """Start and end of a new all-day appointment: whole days of its time zone, the end being the day after the last."""
    if zone is None:
        reader.wrong("timezone", "missing", "An all-day appointment needs a time zone.")
    zone = zone or "UTC"
    first = reader.day("startTime", body.start_time, zone)
    after = reader.day("endTime", body.end_time, zone)
    if first is None:
        return None, 0
    return start_of(first, zone), start_of(after or first + dt.timedelta(days=1), zone).at


def appointment_change(
    body: AppointmentBody, problems: Iterable[FieldProblem], current: Appointment
) -> AppointmentChange:
    """A change of an appointment: only the fields that were sent; null clears a field. Raises `Invalid`."""
    reader = Reader(list(problems))
    sent = body.model_fields_set
    kept = _kept(reader, body, current.extra)
    changes: dict[str, Any] = {}
    offset = None
    if sent & {"start_time", "end_time", "timezone", "all_day"}:
        changes, offset = _changed_times(reader, body, current)
    for name in ("title", "description", "address"):
        if name in sent:
            changes[name] = getattr(body, name) or ""
    if "rrule" in sent:
        changes["rrule"] = reader.rrule(body.rrule)
    if body.appointment_status is not None:
        changes["status"] = body.appointment_status
    reader.not_cleared(body, "start_time", "end_time", "appointment_status", "calendar_id", "assigned_user_id")
    if sent & {"contact", "invite_contact"}:
        invited = current.fields.invitee is not None if "invite_contact" not in sent else body.invite_contact
        contact = current.extra.get("contact") if "contact" not in sent else kept.get("contact")
        changes["invitee"] = _invitee(reader, invited, contact)
    reader.done()
    return AppointmentChange(
        fields=changes,
        utc_offset=offset,
        contact_id=body.contact_id if "contact_id" in sent else UNSET,
        external_id=body.external_id if "external_id" in sent else UNSET,
        user_id=body.assigned_user_id if body.assigned_user_id is not None else UNSET,
        booking_calendar_id=body.calendar_id if body.calendar_id is not None else UNSET,
        extra={to_camel(name): kept.get(to_camel(name)) for name in _KEPT if name in sent},
    )


def replacement(new: NewAppointment, current: Appointment) -> AppointmentChange:
    """The change that turns an appointment into the new one. It keeps its User, unless another one is named."""
    return AppointmentChange(
        fields={field.name: getattr(new.fields, field.name) for field in dataclasses.fields(new.fields)},
        utc_offset=new.utc_offset,
        contact_id=new.contact_id,
        user_id=new.user_id if new.user_id is not None else UNSET,
        booking_calendar_id=new.booking_calendar_id,
        extra={**dict.fromkeys(current.extra), **new.extra},
    )


def _changed_times(reader: Reader, body: AppointmentBody, current: Appointment) -> tuple[dict[str, Any], int | None]:
    """The times after the change, and the UTC offset with which a new start was written.

    A new start without an end moves the end as well. An all-day appointment covers whole days: the same days if only
    its time zone changes, or all days that it touches if it becomes an all-day one.
    """
    was = current.fields
    zone = reader.zone(body.timezone) if "timezone" in body.model_fields_set else was.time_zone
    all_day = bool(body.all_day) if "all_day" in body.model_fields_set else was.all_day
    if not all_day:
        start = reader.time("startTime", body.start_time, zone)
        end = reader.time("endTime", body.end_time, zone)
        starts = start.at if start is not None else was.start
        ends = end.at if end is not None else starts + was.end - was.start
        offset = start.utc_offset if start is not None else None
    else:
        if zone is None:
            reader.wrong("timezone", "missing", "An all-day appointment needs a time zone.")
        zone = zone or "UTC"
        old_zone = was.time_zone if was.all_day and was.time_zone else zone
        old_first, old_last = day_of(was.start, old_zone), day_of(was.end - 1, old_zone)
        first = reader.day("startTime", body.start_time, zone) or old_first
        after = reader.day("endTime", body.end_time, zone) or first + (old_last - old_first) + dt.timedelta(days=1)
        begin = start_of(first, zone)
        starts, ends, offset = begin.at, start_of(after, zone).at, begin.utc_offset
    if not reader.is_wrong("startTime") and not reader.is_wrong("endTime"):
        reader.order(starts, ends)
    return {"start": starts, "end": ends, "time_zone": zone, "all_day": all_day}, offset


def _invitee(reader: Reader, wanted: bool | None, contact: object) -> str | None:
    """The address at which to invite the contact; None where they are not to be invited."""
    if not wanted or reader.is_wrong("contact"):
        return None
    email = contact.get("email") if isinstance(contact, dict) else None
    try:
        return read_invitee(str(email or ""))
    except Invalid as error:
        reader.problems += error.problems
        return None


def _kept(reader: Reader, body: AppointmentBody, before: Mapping[str, object]) -> dict[str, object]:
    """The fields of a body that are only kept. In objects, only the members that were sent are changed (RFC 7396)."""
    simple = {name for name in _KEPT if name not in {"contact", "metadata", "reminders"}}
    values = body.model_dump(include=simple, exclude_none=True, by_alias=True)
    if body.contact is not None:
        given = body.contact.model_dump(include=set(type(body.contact).model_fields), exclude_unset=True)
        values["contact"] = _merged(before.get("contact"), given)
    if body.metadata is not None:
        values["metadata"] = metadata = _merged(before.get("metadata"), body.metadata)
        if len(metadata) > MOST_METADATA:
            reader.wrong("metadata", "too_long", f"{MOST_METADATA} entries at most, with those that are there.")
    if body.reminders is not None:
        values["reminders"] = [{"minutesBefore": reminder.minutes_before} for reminder in body.reminders]
    values = {name: value for name, value in values.items() if value not in ({}, [])}
    if body.address and "meeting_location_type" not in body.model_fields_set:
        values["meetingLocationType"] = "custom"
    return values


def _merged(before: object, given: Mapping[str, object]) -> dict[str, object]:
    whole = {**(before if isinstance(before, dict) else {}), **given}
    return {name: value for name, value in whole.items() if value is not None}
