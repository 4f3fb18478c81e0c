"""`POST /v1/ingest/highlevel`: booking from HighLevel's own webhooks.

HighLevel only repeats what is answered with 429. Any other refusal is final, even a 5xx.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import replace
from typing import Any, get_args

from aiohttp import web
from pydantic import ValidationError

from bridge.domain.booking_calendars import AppointmentDefaults
from bridge.domain.model import Appointment
from bridge.errors import CalendarsStale, DuplicateExternalId, FieldProblem, Invalid, NoPrimaryCalendar, Unknown
from bridge.service import book, booking_calendars, ingest
from bridge.service.context import Context
from bridge.settings.tables import HighLevelSettings
from bridge.web import fields, requests
from bridge.web.keys import CONTEXT, SETTINGS
from bridge.web.problems import Problem
from bridge.web.shapes.appointments import AppointmentBody, Status
from bridge.web.shapes.ingest import HighLevelAppointment, HighLevelMessage

log = logging.getLogger(__name__)

PATH = "/v1/ingest/highlevel"
SOURCE = "highlevel"
TYPES = ("AppointmentCreate", "AppointmentUpdate", "AppointmentDelete")
#: Seconds by which a webhook's timestamp may be off, and seconds after which HighLevel tries again.
OLDEST, AGAIN = 300, 600


async def take(request: web.Request) -> web.Response:
    """Receive a webhook from HighLevel."""
    context, settings = request.app[CONTEXT], request.app[SETTINGS].highlevel
    if not settings.ingest:
        raise Problem(404, "not_found", "HighLevel's webhooks are not accepted here: see [highlevel] in the settings.")
    body = await requests.raw_body(request)
    if not settings.is_signed(body, request.headers.get("X-GHL-Signature", "")):
        raise Problem(401, "bad_signature", "The body is not signed with HighLevel's key (X-GHL-Signature).")
    message = _read(body)
    now = context.clock()
    if not _is_fresh(message, now) and not _is_repeated(context, message, now):
        raise Problem(401, "bad_signature", "The timestamp is more than five minutes off.")
    if message.type not in TYPES or message.appointment is None or message.location_id is None:
        return _done("ignored", f"Nothing is done about {message.type}.")
    try:
        if message.webhook_id is not None:
            ingest.note_coming(context.db, message.webhook_id, now=now)
        if message.webhook_id is not None and ingest.was_taken(context.db, message.webhook_id, now=now):
            return _done("ignored", "This webhook was taken before.")
        answer = _carry_out(context, settings, message, message.location_id, message.appointment)
        if message.webhook_id is not None:
            ingest.note(context.db, message.webhook_id, now=now)
    except Invalid:
        raise
    except Unknown as error:
        return _done("ignored", f"There is no such {error.kind} here.")
    except Exception as error:
        if not isinstance(error, NoPrimaryCalendar | CalendarsStale):
            log.exception("a webhook of HighLevel's can't be taken")
        detail = "It can't be taken just now. Send it again."
        raise Problem(429, "not_now", detail, headers={"Retry-After": str(AGAIN)}) from error
    context.wake_push()
    return answer


def _read(body: bytes) -> HighLevelMessage:
    try:
        document = json.loads(body)
        return HighLevelMessage.model_validate(document)
    except ValidationError as error:
        raise Invalid(requests.problems_of(error)) from None
    except (ValueError, RecursionError):
        raise Problem(400, "malformed_json", "The body is not well-formed JSON.") from None


def _is_fresh(message: HighLevelMessage, now: int) -> bool:
    """Whether it was sent just now. Without a timestamp, only its id tells whether it is a repetition."""
    if message.timestamp is None:
        return message.webhook_id is not None
    try:
        sent = dt.datetime.fromisoformat(str(message.timestamp))
    except ValueError:
        return False
    return abs(now - (sent if sent.tzinfo else sent.replace(tzinfo=dt.UTC)).timestamp()) <= OLDEST


def _is_repeated(context: Context, message: HighLevelMessage, now: int) -> bool:
    """Whether it was received before, when it was fresh: HighLevel's repetitions have the same timestamp."""
    return message.webhook_id is not None and ingest.came_before(context.db, message.webhook_id, now=now)


def _carry_out(
    context: Context,
    settings: HighLevelSettings,
    message: HighLevelMessage,
    location_id: str,
    told: HighLevelAppointment,
) -> web.Response:
    known = book.find_by_external_id(context.db, location_id, told.id)
    if known is not None and known.deleted_at is not None:
        return _done("ignored", "The appointment was deleted.", known.id)
    if known is not None and message.type != "AppointmentDelete" and _is_old(known, told):
        return _done("ignored", "Newer news of the appointment came before.", known.id)
    if known is None and ingest.was_deleted(context.db, location_id, told.id, now=context.clock()):
        return _done("ignored", "The appointment was deleted.")
    if message.type == "AppointmentDelete":
        if known is None:
            ingest.note_deleted(context.db, location_id, told.id, now=context.clock())
            return _done("ignored", "There is no such appointment here.")
        book.delete_event(context.db, known.id, locations=None, expected_version=None, now=context.clock())
        return _done("deleted", id_=known.id)
    body = _body(context, settings, location_id, told)
    if known is not None:
        change = fields.appointment_change(body, (), known)
        book.update_appointment(
            context.db,
            known.id,
            replace(change, source=SOURCE, source_updated_at=told.date_updated),
            locations=None,
            expected_version=None,
            check_slot=False,
            check_dates=False,
            now=context.clock(),
        )
        return _done("changed", id_=known.id)
    length = booking_calendars.appointment_defaults(context.db, body.calendar_id).length
    new = fields.new_appointment(body, (), location_id=location_id, defaults=AppointmentDefaults(length))
    try:
        new = replace(new, source=SOURCE, source_updated_at=told.date_updated)
        made = book.create_appointment(context.db, new, now=context.clock())
    except DuplicateExternalId:  # it was received twice at the same time
        return _carry_out(context, settings, message, location_id, told)
    return _done("booked", id_=made.appointment.id)


def _is_old(known: Appointment, told: HighLevelAppointment) -> bool:
    before, after = _instant(known.source_updated_at), _instant(told.date_updated)
    return before is not None and after is not None and after < before


def _instant(text: str | None) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _body(
    context: Context, settings: HighLevelSettings, location_id: str, told: HighLevelAppointment
) -> AppointmentBody:
    """The appointment as a body of our own API. Raises `Invalid`, and `Unknown` for a calendar that is not ours."""
    calendar_id = settings.calendars.get(told.calendar_id or "", told.calendar_id)
    user_id = settings.users.get(told.assigned_user_id or "", told.assigned_user_id)
    if user_id not in book.members(context.db, location_id, calendar_id or ""):
        user_id = None
    sent: dict[str, Any] = {
        "calendarId": calendar_id,
        "contactId": told.contact_id,
        "assignedUserId": user_id,
        "title": told.title or "",
        "address": told.address or "",
        "startTime": told.start_time,
        "endTime": told.end_time,
        "appointmentStatus": told.appointment_status if told.appointment_status in get_args(Status) else None,
        "externalId": told.id,
        "ignoreFreeSlotValidation": True,
    }
    try:
        return AppointmentBody.model_validate({name: value for name, value in sent.items() if value is not None})
    except ValidationError as error:
        raise Invalid(
            tuple(FieldProblem(f"/appointment{p.pointer}", p.code, p.detail) for p in requests.problems_of(error))
        ) from None


def _done(result: str, reason: str | None = None, id_: str | None = None) -> web.Response:
    return web.json_response({"result": result, "reason": reason, "id": id_})
