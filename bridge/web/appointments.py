"""Appointments over HTTP, and the deletion of events of both kinds."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable

from aiohttp import web

from bridge.domain.model import Appointment, SyncState
from bridge.errors import DuplicateExternalId, FieldProblem, Invalid, Unknown, VersionMismatch
from bridge.service import book, booking_calendars
from bridge.service.book import AppointmentChange, Created, NewAppointment, Scope
from bridge.service.changes import Watch
from bridge.service.idempotency import Answer
from bridge.service.refresh import Refreshed, refresh
from bridge.web import answers, fields, idempotency, requests
from bridge.web.keys import CONTEXT, WATCH
from bridge.web.problems import Problem
from bridge.web.requests import Body
from bridge.web.shapes.appointments import AppointmentBody, ScopeQuery
from bridge.web.shapes.base import is_id
from bridge.web.threads import in_thread
from bridge.web.times import format_utc

PATH = "/v1/calendars/events/appointments"
#: Seconds between two looks of a waiting request at its appointment.
LOOK_AGAIN = 0.05


async def create(request: web.Request) -> web.Response:
    """Book an appointment."""
    body = await requests.body_of(request, AppointmentBody)
    return await _waited(request, await _create(request, body))


async def _create(request: web.Request, body: Body[AppointmentBody], *, anew: bool = False) -> web.Response:
    context = request.app[CONTEXT]
    new = _new(request, body)
    refreshed = None
    if new.check_slot:
        refreshed = await refresh(context, new.location_id, new.booking_calendar_id, new.user_id)

    def answer_to(made: Created) -> Answer:
        answer = _answer(made.appointment, body, refreshed, status=200 if made.replayed else 201)
        if made.replayed:
            answer.headers["Idempotency-Replayed"] = "true"
        return answer

    response = idempotency.once(
        request,
        body.fingerprint,
        lambda also: book.create_appointment(
            context.db, new, now=context.clock(), also=also, anew=anew, unasked=refreshed.refused if refreshed else ()
        ),
        answer_to,
    )
    context.wake_push()
    return response


def _new(request: web.Request, body: Body[AppointmentBody]) -> NewAppointment:
    return fields.new_appointment(
        body.value,
        body.problems,
        location_id=requests.location_for(request, body.value.location_id),
        defaults=booking_calendars.appointment_defaults(request.app[CONTEXT].db, body.value.calendar_id),
    )


async def read(request: web.Request) -> web.Response:
    """Get an appointment. A deleted one can be read for 90 days."""
    context = request.app[CONTEXT]
    appointment = book.get_appointment(
        context.db, request.match_info["eventId"], locations=requests.locations_of(request), now=context.clock()
    )
    etag = _etag(appointment)
    if requests.has_it_already(request, etag):
        return web.Response(status=304, headers={"ETag": etag})
    return web.json_response({"event": answers.appointment(appointment)}, headers={"ETag": etag})


async def update(request: web.Request) -> web.Response:
    """Change the fields of an appointment that are sent."""
    body = await requests.body_of(request, AppointmentBody)
    query, reader = requests.query_of(request, ScopeQuery)
    reader.done()

    def change(current: Appointment) -> AppointmentChange:
        return fields.appointment_change(body.value, body.problems, current)

    return await _waited(request, await _update(request, body, request.match_info["eventId"], change, query.scope))


async def _update(
    request: web.Request,
    body: Body[AppointmentBody],
    appointment_id: str,
    change: Callable[[Appointment], AppointmentChange],
    scope: Scope | None = None,
) -> web.Response:
    context = request.app[CONTEXT]
    locations = requests.locations_of(request)
    expected = requests.expected_version(request)
    refreshed = None
    while True:
        current = book.get_appointment(context.db, appointment_id, locations=locations, scope=scope)
        if body.value.location_id not in {None, current.location_id}:
            raise Unknown("appointment", appointment_id)
        if refreshed is None and _may_take_time(body.value):
            calendar_id = body.value.calendar_id or current.booking_calendar_id
            user_id = body.value.assigned_user_id or current.user_id
            refreshed = await refresh(context, current.location_id, calendar_id, user_id)
            continue  # it may have changed while calendars were read
        try:
            appointment = book.update_appointment(
                context.db,
                appointment_id,
                change(current),
                locations=locations,
                # The change depends on the present version: if that has changed meanwhile, start over.
                expected_version=current.version if expected is None else expected,
                scope=scope,
                check_slot=not body.value.ignore_free_slot_validation,
                check_dates=not body.value.ignore_date_range,
                unasked=refreshed.refused if refreshed else (),
                now=context.clock(),
            )
        except VersionMismatch:
            if expected is not None:
                raise
        else:
            context.wake_push()
            return idempotency.response(_answer(appointment, body, refreshed, status=200))


async def put_by_external_id(request: web.Request) -> web.Response:
    """Create or replace the appointment with this id of the CRM's own."""
    external_id = request.match_info["externalId"]
    if not is_id(external_id):
        detail = "An externalId has 1 to 255 characters, no control characters among them."
        raise Invalid((FieldProblem("/externalId", "invalid_value", detail),))
    body = (await requests.body_of(request, AppointmentBody)).strict()
    if body.value.external_id not in {None, external_id}:
        raise Problem(400, "bad_request", "The externalId in the body is not the one in the address.")
    return await _waited(request, await _put(request, body, external_id))


async def _put(request: web.Request, body: Body[AppointmentBody], external_id: str) -> web.Response:
    location_id = requests.location_for(request, body.value.location_id)
    known = None
    if location_id is not None:
        known = book.find_by_external_id(request.app[CONTEXT].db, location_id, external_id)
    if known is not None and known.deleted_at is None:
        requests.refuse_if_present(request, known.version)
        new = _new(request, body)
        return await _update(request, body, known.id, lambda current: fields.replacement(new, current))
    requests.refuse_if_absent(request)
    try:
        return await _create(request, body.with_values(external_id=external_id), anew=True)
    except DuplicateExternalId:
        # Somebody else created it just now.
        return await _put(request, body, external_id)


async def delete(request: web.Request) -> web.Response:
    """Delete an appointment or a blocked slot made in the CRM. Deleting it again is not an error."""
    context = request.app[CONTEXT]
    query, reader = requests.query_of(request, ScopeQuery)
    reader.done()
    book.delete_event(
        context.db,
        request.match_info["eventId"],
        locations=requests.locations_of(request),
        expected_version=requests.expected_version(request),
        scope=query.scope,
        now=context.clock(),
    )
    context.wake_push()
    return web.json_response({"succeeded": True})


async def list_all(request: web.Request) -> web.Response:
    """List the appointments of a user or a calendar in a time span; recurring ones once for each of their times."""
    wanted, locations = requests.listing(request), requests.locations_of(request)

    def answer() -> str:
        found = book.list_appointments(request.app[CONTEXT].db, wanted, locations=locations)
        shown, more = requests.page(wanted, found, lambda one: (one.fields.start, one.id))
        return answers.events(map(answers.appointment, shown), more)

    return web.Response(text=await in_thread(request, answer), content_type="application/json")


def _may_take_time(body: AppointmentBody) -> bool:
    """Whether a change may take time that has to be free."""
    times = {"calendar_id", "assigned_user_id", "start_time", "end_time", "timezone", "all_day", "rrule"}
    return not body.ignore_free_slot_validation and bool(body.model_fields_set & {*times, "appointment_status"})


def _answer(
    appointment: Appointment, body: Body[AppointmentBody], refreshed: Refreshed | None, *, status: int
) -> Answer:
    headers = {"ETag": _etag(appointment), **body.ignored()}
    if status == 201:
        headers["Location"] = f"{PATH}/{appointment.id}"
    document = answers.appointment(appointment)
    if refreshed is not None and refreshed.as_of is not None:
        headers["X-Data-As-Of"] = format_utc(refreshed.as_of)
    if refreshed is not None and appointment.user_id in refreshed.unasked:
        detail = "The user's calendars could not be read just now: this was accepted by what was known before."
        document["warnings"] = [{"code": "calendar_stale", "detail": detail}]
    return Answer(status, json.dumps(document, ensure_ascii=False), headers)


def _etag(appointment: Appointment) -> str:
    return f'"{appointment.version}"'


async def _waited(request: web.Request, response: web.Response) -> web.Response:
    """With `Prefer: wait=N`: the appointment once iCloud has accepted or refused it, or after N seconds."""
    seconds = requests.wait_seconds(request)
    if not seconds:
        return response
    context = request.app[CONTEXT]
    appointment_id = json.loads(response.text or "{}")["id"]

    def now() -> Appointment:
        return book.get_appointment(context.db, appointment_id, locations=None)

    appointment = await _settled(now, seconds, request.app[WATCH])
    document = json.dumps(answers.appointment(appointment), ensure_ascii=False)
    kept = {name: value for name, value in response.headers.items() if name not in {"Content-Type", "Content-Length"}}
    headers = {**kept, "ETag": _etag(appointment), "Preference-Applied": f"wait={seconds}"}
    return web.Response(status=response.status, text=document, content_type="application/json", headers=headers)


async def _settled(now: Callable[[], Appointment], seconds: int, watch: Watch) -> Appointment:
    """The appointment once its push has an outcome, or when the time is up or the server stops."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while now().sync_state == SyncState.PENDING and not watch.closed:  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(LOOK_AGAIN)
    return now()
