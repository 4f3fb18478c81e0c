"""From HTTP requests to what the use cases take. All that is wrong with a body is said at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from pydantic import ValidationError

from bridge.domain import ical
from bridge.domain.model import Appointment, AppointmentFields, BlockedSlot, Interval
from bridge.errors import FieldProblem, Invalid
from bridge.service.book import UNSET, AppointmentChange, Locations, NewAppointment, NewBlockedSlot
from bridge.service.users import is_time_zone
from bridge.web.keys import TOKEN
from bridge.web.problems import Problem
from bridge.web.shapes import AppointmentBody, BlockedSlotBody, Shape
from bridge.web.times import BadTime, Time, parse_time

DAY = 86_400
#: The longest single appointment or blocked slot, and the longest span of a listing, in seconds.
LONGEST = 366 * DAY
DEFAULT_MINUTES = 30

S = TypeVar("S", bound=Shape)

#: Fields that live in the bridge only, kept as they are.
_KEPT = ("meeting_location_type", "meeting_location_id", "metadata", "contact", "reminders", "to_notify")


async def body_of(request: web.Request, shape: type[S]) -> S:
    """The JSON body in its shape. Raises `Problem` (400, 415) and `Invalid`."""
    if request.content_type not in {"application/json", "application/merge-patch+json"}:
        raise Problem(415, "unsupported_media_type", "Send JSON, with Content-Type: application/json.")
    raw = await request.read()
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise Problem(400, "malformed_json", "The body is not well-formed JSON.") from None
    if not isinstance(document, dict):
        raise Problem(400, "malformed_json", "Send a JSON object.")
    try:
        return shape.model_validate(document)
    except ValidationError as error:
        raise Invalid(tuple(_problem(e) for e in error.errors(include_url=False, include_input=False))) from None


def _problem(error: Mapping[str, Any]) -> FieldProblem:
    # A union's alternatives each complain; the sender sent one value to one field.
    parts = [str(p) for p in error["loc"] if p not in {"str", "int", "float", "[key]"}]
    code = {"missing": "missing", "literal_error": "unknown_value"}.get(error["type"], "invalid_value")
    return FieldProblem("/" + "/".join(p.replace("~", "~0").replace("/", "~1") for p in parts), code, error["msg"])


def locations_of(request: web.Request) -> Locations:
    """The locations that the token may see; None: every location."""
    return request[TOKEN].location_ids or None


def location_for(request: web.Request, given: str | None) -> str:
    """The location meant: the one given, or the token's only one. A foreign one does not exist, for this token."""
    allowed = request[TOKEN].location_ids
    if given is None:
        if len(allowed) == 1:
            return next(iter(allowed))
        raise Invalid((FieldProblem("/locationId", "missing", "Name the location."),))
    if allowed and given not in allowed:
        raise Problem(404, "not_found", "There is no such location here: check the id and the token.")
    return given


@dataclass(slots=True)
class _Reader:
    """Reads fields and gathers what is wrong with them."""

    problems: list[FieldProblem] = field(default_factory=list)

    def wrong(self, pointer: str, code: str, detail: str) -> None:
        self.problems.append(FieldProblem(pointer, code, detail))

    def done(self) -> None:
        if self.problems:
            raise Invalid(tuple(dict.fromkeys(self.problems)))

    def zone(self, name: str | None) -> str | None:
        if name is not None and not is_time_zone(name):
            self.wrong("/timezone", "invalid_time_zone", "Use an IANA time zone name such as Europe/Berlin.")
            return None
        return name

    def time(self, name: str, value: Any, zone: str | None, *, date_only: bool = False) -> Time | None:
        if value is None:
            return None
        try:
            return parse_time(value, zone, date_only=date_only)
        except BadTime as error:
            self.wrong(f"/{name}", error.code, error.detail)
            return None

    def order(self, start: int, end: int) -> None:
        if end <= start:
            self.wrong("/endTime", "end_before_start", "The end has to come after the start.")
        elif end - start > LONGEST:
            self.wrong("/endTime", "out_of_range", "366 days at most.")

    def rrule(self, text: str, *, allowed: bool) -> str | None:
        problem = ical.rrule_problem(text)
        if not allowed:
            problem = "Recurring appointments are booked with ignoreFreeSlotValidation set to true."
        if problem is not None:
            self.wrong("/rrule", "unsupported_rrule", problem)
            return None
        return ical.normalise_rrule(text)


def new_appointment(body: AppointmentBody, *, location_id: str, slot_minutes: int) -> NewAppointment:
    """A new appointment. Without an end it takes `slot_minutes`. Raises `Invalid`."""
    reader = _Reader()
    zone = reader.zone(body.timezone)
    all_day = bool(body.all_day)
    _refuse_invitation(reader, body)
    if body.calendar_id is None:
        reader.wrong("/calendarId", "missing", "Name the calendar to book.")
    if body.start_time is None:
        reader.wrong("/startTime", "missing", "Say when it starts.")
    if all_day and body.timezone is None:
        reader.wrong("/timezone", "missing", "An all-day appointment needs the time zone whose days are meant.")
    elif all_day and body.end_time is None:
        reader.wrong("/endTime", "missing", "An all-day appointment ends on the day after its last.")
    readable = zone is not None or body.timezone is None
    start = (
        reader.time("startTime", body.start_time, zone, date_only=all_day)
        if readable and not (all_day and not zone)
        else None
    )
    end = (
        reader.time("endTime", body.end_time, zone, date_only=all_day)
        if readable and not (all_day and not zone)
        else None
    )
    ends = 0
    if start is not None:
        ends = end.at if end is not None else start.at + slot_minutes * 60
        if end is not None or body.end_time is None:
            reader.order(start.at, ends)
    rrule = reader.rrule(body.rrule, allowed=bool(body.ignore_free_slot_validation)) if body.rrule else None
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
            end=ends,
            time_zone=zone,
            all_day=all_day,
            description=body.description or "",
            address=body.address or "",
            rrule=rrule,
            status=body.appointment_status or "confirmed",
        ),
        utc_offset=start.utc_offset,
        extra=_kept(body),
        check_slot=not body.ignore_free_slot_validation,
    )


def appointment_change(body: AppointmentBody, current: Appointment) -> AppointmentChange:
    """A change to an appointment: only what was sent; null clears. A new start alone moves the end along.

    Raises `Invalid`.
    """
    reader = _Reader()
    sent = body.model_fields_set
    _refuse_invitation(reader, body)
    zone = reader.zone(body.timezone) if "timezone" in sent else current.fields.time_zone
    all_day = bool(body.all_day) if "all_day" in sent else current.fields.all_day
    if all_day and zone is None and not reader.problems:
        reader.wrong("/timezone", "missing", "An all-day appointment needs the time zone whose days are meant.")
    changes: dict[str, Any] = {}
    offset = None
    if not reader.problems:
        start = reader.time("startTime", body.start_time, zone, date_only=all_day)
        end = reader.time("endTime", body.end_time, zone, date_only=all_day)
        starts = start.at if start is not None else current.fields.start
        ends = end.at if end is not None else starts + current.fields.end - current.fields.start
        if start is not None:
            offset = start.utc_offset
        if not reader.problems:
            reader.order(starts, ends)
        changes = {"start": starts, "end": ends, "time_zone": zone, "all_day": all_day}
    for name, wire in (("title", "title"), ("description", "description"), ("address", "address")):
        if wire in sent:
            changes[name] = getattr(body, wire) or ""
    if "appointment_status" in sent:
        if body.appointment_status is None:
            reader.wrong("/appointmentStatus", "invalid_value", "A status can be changed, not cleared.")
        changes["status"] = body.appointment_status
    if "rrule" in sent:
        allowed = bool(body.ignore_free_slot_validation)
        changes["rrule"] = reader.rrule(body.rrule, allowed=allowed) if body.rrule else None
    for name in ("calendar_id", "assigned_user_id"):
        if name in sent and getattr(body, name) is None:
            reader.wrong(f"/{_camel(name)}", "invalid_value", "It can be changed, not cleared.")
    reader.done()
    kept = _kept(body)
    return AppointmentChange(
        fields=changes,
        utc_offset=offset,
        contact_id=body.contact_id if "contact_id" in sent else UNSET,
        user_id=body.assigned_user_id if body.assigned_user_id is not None else UNSET,
        booking_calendar_id=body.calendar_id if body.calendar_id is not None else UNSET,
        extra={_camel(name): kept.get(_camel(name)) for name in _KEPT if name in sent},
    )


def new_blocked_slot(body: BlockedSlotBody, *, location_id: str) -> NewBlockedSlot:
    """A new blocked slot. Raises `Invalid`."""
    reader = _Reader()
    zone = reader.zone(body.timezone)
    if (body.calendar_id is None) == (body.assigned_user_id is None):
        reader.wrong("/assignedUserId", "missing", "Name either a calendarId or an assignedUserId.")
    for name, value in (("startTime", body.start_time), ("endTime", body.end_time)):
        if value is None:
            reader.wrong(f"/{name}", "missing", "Say when it starts and when it ends.")
    readable = zone is not None or body.timezone is None
    start = reader.time("startTime", body.start_time, zone) if readable else None
    end = reader.time("endTime", body.end_time, zone) if readable else None
    expires = reader.time("expiresAt", body.expires_at, zone) if readable else None
    if start is not None and end is not None:
        reader.order(start.at, end.at)
    reader.done()
    assert start is not None and end is not None, "or the reader would have complained"  # noqa: S101
    return NewBlockedSlot(
        location_id=location_id,
        user_id=body.assigned_user_id,
        booking_calendar_id=body.calendar_id,
        title=body.title or "",
        start=start.at,
        end=end.at,
        time_zone=zone,
        utc_offset=start.utc_offset,
        expires_at=expires.at if expires is not None else None,
    )


def blocked_slot_change(body: BlockedSlotBody, current: BlockedSlot) -> dict[str, Any]:
    """A change to a blocked slot: only what was sent. Raises `Invalid`."""
    reader = _Reader()
    sent = body.model_fields_set
    zone = reader.zone(body.timezone) if "timezone" in sent else current.time_zone
    changes: dict[str, Any] = {}
    if not reader.problems:
        start = reader.time("startTime", body.start_time, zone)
        end = reader.time("endTime", body.end_time, zone)
        starts = start.at if start is not None else current.start
        ends = end.at if end is not None else starts + current.end - current.start
        if not reader.problems:
            reader.order(starts, ends)
        changes = {"start": starts, "end": ends, "time_zone": zone}
        if start is not None:
            changes["utc_offset"] = start.utc_offset
        if "expires_at" in sent:
            expires = reader.time("expiresAt", body.expires_at, zone)
            changes["expires_at"] = expires.at if expires is not None else None
    if "title" in sent:
        changes["title"] = body.title or ""
    if body.calendar_id is not None and body.assigned_user_id is not None:
        reader.wrong("/assignedUserId", "invalid_value", "Name either a calendarId or an assignedUserId.")
    elif body.assigned_user_id is not None:
        changes |= {"user_id": body.assigned_user_id, "booking_calendar_id": None}
    elif body.calendar_id is not None and body.calendar_id != current.booking_calendar_id:
        changes["booking_calendar_id"] = body.calendar_id
    reader.done()
    return changes


@dataclass(frozen=True, slots=True)
class Listing:
    """What a listing asks for."""

    location_id: str
    span: Interval
    user_id: str | None
    calendar_id: str | None
    include_deleted: bool


def listing(request: web.Request) -> Listing:
    """A listing's query. Raises `Problem` (400) and `Invalid`."""
    query = request.query
    reader = _Reader()
    user_id, calendar_id = query.get("userId"), query.get("calendarId")
    if user_id is None and calendar_id is None:
        raise Problem(400, "missing_scope_parameter", "Say whose: give userId or calendarId.")
    for name in ("startTime", "endTime"):
        if name not in query:
            reader.wrong(f"/{name}", "missing", "Give the span to list, in epoch milliseconds or RFC 3339.")
    start = reader.time("startTime", _query_time(query.get("startTime")), None)
    end = reader.time("endTime", _query_time(query.get("endTime")), None)
    reader.done()
    location_id = location_for(request, query.get("locationId"))
    assert start is not None and end is not None, "or the reader would have complained"  # noqa: S101
    if end.at <= start.at:
        raise Invalid((FieldProblem("/endTime", "end_before_start", "The end has to come after the start."),))
    if end.at - start.at > LONGEST:
        raise Problem(400, "range_too_large", "List 366 days at most; ask again for the rest.")
    return Listing(
        location_id,
        Interval(start.at, end.at),
        user_id,
        calendar_id if user_id is None else None,
        query.get("includeDeleted", "").lower() in {"1", "true"},
    )


def expected_version(request: web.Request) -> int | None:
    """The version in If-Match; None without one (or with `*`)."""
    text = request.headers.get("If-Match", "*").strip()
    if text == "*":
        return None
    match = re.fullmatch(r'(?:W/)?"?(\d+)"?', text)
    return int(match.group(1)) if match else -1


def wait_seconds(request: web.Request) -> float:
    """How long `Prefer: wait=N` asks to wait for iCloud (RFC 7240): 20 seconds at most, else 0."""
    match = re.search(r"\bwait=(\d+)", request.headers.get("Prefer", ""))
    return float(min(int(match.group(1)), 20)) if match else 0.0


def _query_time(text: str | None) -> str | None:
    # An unencoded "+" of an offset arrives as a space.
    return None if text is None else text.replace(" ", "+")


def _refuse_invitation(reader: _Reader, body: AppointmentBody) -> None:
    if body.invite_contact:
        reader.wrong("/inviteContact", "invalid_value", "Invitations are not offered yet; leave it out.")


def _kept(body: AppointmentBody) -> dict[str, object]:
    values = body.model_dump(include=set(_KEPT), exclude_none=True, by_alias=True, mode="json")
    if body.address and body.meeting_location_type is None and "meeting_location_type" not in body.model_fields_set:
        values.setdefault("meetingLocationType", "custom")
    return values


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
