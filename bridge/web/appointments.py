"""Appointments over HTTP, and the deletion of events of both kinds."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from bridge.domain.model import Appointment, SyncState
from bridge.errors import Unknown
from bridge.service import book, users
from bridge.store.db import Tx
from bridge.store.idempotency import Answer
from bridge.web import answers, idempotency, requests
from bridge.web.idempotency import answer_for
from bridge.web.keys import BRIDGE
from bridge.web.problems import Problem
from bridge.web.shapes import AppointmentBody

PATH = "/v1/calendars/events/appointments"
#: How long a deleted one can still be read, in seconds.
TOMBSTONE_SECONDS = 90 * 86_400


async def create(request: web.Request) -> web.Response:
    """Book an appointment."""
    body = await requests.body_of(request, AppointmentBody)
    response = await _create(request, body, requests.location_for(request, body.location_id))
    return await _waited(request, response)


async def _create(request: web.Request, body: AppointmentBody, location_id: str) -> web.Response:
    bridge = request.app[BRIDGE]
    minutes = users.slot_minutes(bridge.db, body.calendar_id) or requests.DEFAULT_MINUTES
    new = requests.new_appointment(body, location_id=location_id, slot_minutes=minutes)

    def carry_out(record: Any) -> Answer:
        def also(tx: Tx, appointment: Appointment) -> None:
            record(tx, _made(appointment, body, status=201))

        created = book.create_appointment(bridge.db, new, now=bridge.clock(), also=also)
        bridge.wake_push()
        answer = _made(created.appointment, body, status=200 if created.replayed else 201)
        if created.replayed:
            answer.headers["Idempotency-Replayed"] = "true"
        return answer

    return await idempotency.once(request, carry_out)


async def read(request: web.Request) -> web.Response:
    """One appointment; a deleted one for 90 days."""
    bridge = request.app[BRIDGE]
    appointment = book.get_appointment(
        bridge.db, request.match_info["eventId"], locations=requests.locations_of(request)
    )
    if appointment.deleted_at is not None and bridge.clock() - appointment.deleted_at > TOMBSTONE_SECONDS:
        raise Unknown("appointment", appointment.id)
    etag = _etag(appointment)
    if etag in [part.strip() for part in request.headers.get("If-None-Match", "").split(",")]:
        return web.Response(status=304, headers={"ETag": etag})
    return web.json_response({"event": answers.appointment(appointment)}, headers={"ETag": etag})


async def update(request: web.Request) -> web.Response:
    """Change an appointment, field by field."""
    body = await requests.body_of(request, AppointmentBody)
    return await _waited(request, _update(request, body, request.match_info["eventId"]))


def _update(request: web.Request, body: AppointmentBody, appointment_id: str) -> web.Response:
    bridge = request.app[BRIDGE]
    locations = requests.locations_of(request)
    current = book.get_appointment(bridge.db, appointment_id, locations=locations)
    if body.location_id is not None and body.location_id != current.location_id:
        raise Unknown("appointment", appointment_id)
    appointment = book.update_appointment(
        bridge.db,
        appointment_id,
        requests.appointment_change(body, current),
        locations=locations,
        expected_version=requests.expected_version(request),
        check_slot=not body.ignore_free_slot_validation,
        now=bridge.clock(),
    )
    bridge.wake_push()
    answer = _made(appointment, body, status=200)
    return web.Response(text=answer.body, content_type="application/json", headers=answer.headers)


async def put_by_external_id(request: web.Request) -> web.Response:
    """Create or change the appointment that the CRM knows by this id of its own."""
    body = await requests.body_of(request, AppointmentBody)
    external_id = request.match_info["externalId"]
    if body.external_id not in {None, external_id}:
        raise Problem(400, "bad_request", "The externalId in the body is not the one in the address.")
    if unknown := body.unknown():
        raise Problem(422, "validation_failed", f"Unknown fields: {', '.join(unknown)}.")
    location_id = requests.location_for(request, body.location_id)
    known = book.find_by_external_id(request.app[BRIDGE].db, location_id, external_id)
    if known is None:
        body = body.model_copy(update={"external_id": external_id})
        return await _waited(request, await _create(request, body, location_id))
    return await _waited(request, _update(request, body, known.id))


async def delete(request: web.Request) -> web.Response:
    """Delete an appointment or a CRM blocked slot. Again is fine."""
    bridge = request.app[BRIDGE]
    book.delete_event(
        bridge.db,
        request.match_info["eventId"],
        locations=requests.locations_of(request),
        expected_version=requests.expected_version(request),
        now=bridge.clock(),
    )
    bridge.wake_push()
    return web.json_response({"succeeded": True})


async def list_all(request: web.Request) -> web.Response:
    """The appointments of a user or a calendar in a span."""
    wanted = requests.listing(request)
    found = book.list_appointments(
        request.app[BRIDGE].db,
        locations=requests.locations_of(request),
        location_id=wanted.location_id,
        span=wanted.span,
        user_id=wanted.user_id,
        booking_calendar_id=wanted.calendar_id,
        include_deleted=wanted.include_deleted,
    )
    return web.json_response({"events": [answers.appointment(appointment) for appointment in found]})


def _made(appointment: Appointment, body: AppointmentBody, *, status: int) -> Answer:
    headers = {"ETag": _etag(appointment)}
    if status == 201:
        headers["Location"] = f"{PATH}/{appointment.id}"
    if ignored := body.unknown():
        headers["X-Ignored-Fields"] = ", ".join(name for name in ignored if name.isascii() and name.isprintable())
    return answer_for(status, answers.appointment(appointment), headers)


def _etag(appointment: Appointment) -> str:
    return f'"{appointment.version}"'


async def _waited(request: web.Request, response: web.Response) -> web.Response:
    """With `Prefer: wait=N`, the appointment as it is once iCloud has spoken, or after N seconds."""
    seconds = requests.wait_seconds(request)
    if not seconds or response.text is None:
        return response
    bridge = request.app[BRIDGE]
    appointment_id = answers.id_in(response.text)
    try:
        async with asyncio.timeout(seconds):
            while (  # noqa: ASYNC110 - the state is in the store, and may be written by another process
                now := book.get_appointment(bridge.db, appointment_id, locations=None)
            ).sync_state == SyncState.PENDING:
                await asyncio.sleep(0.05)
    except TimeoutError:
        now = book.get_appointment(bridge.db, appointment_id, locations=None)
    headers = {name: value for name, value in response.headers.items() if name.lower() != "content-type"}
    headers.pop("Content-Length", None)
    headers["Preference-Applied"] = f"wait={seconds:.0f}"
    return web.json_response(answers.appointment(now), status=response.status, headers=headers)
