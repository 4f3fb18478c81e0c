"""Blocked slots over HTTP: those made in the CRM, and the listing of all blocked time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from bridge.domain.model import BlockedSlot
from bridge.errors import FieldProblem, ReadOnly, Unknown, VersionMismatch
from bridge.service import book
from bridge.service.book import BlockedSlotView, NewBlockedSlot
from bridge.service.idempotency import Answer
from bridge.web import answers, idempotency, requests
from bridge.web.keys import CONTEXT
from bridge.web.reader import Reader
from bridge.web.requests import Body
from bridge.web.shapes.blocked_slots import BlockedSlotBody
from bridge.web.threads import in_thread

PATH = "/v1/calendars/events/block-slots"


async def create(request: web.Request) -> web.Response:
    """Block time."""
    context = request.app[CONTEXT]
    body = await requests.body_of(request, BlockedSlotBody)
    new = _new(
        body.value,
        body.problems,
        location_id=requests.location_for(request, body.value.location_id),
        now=context.clock(),
    )
    return idempotency.once(
        request,
        body.fingerprint,
        lambda also: book.create_blocked_slot(context.db, new, now=context.clock(), also=also),
        lambda slot: _answer(slot, body, status=201),
    )


async def read(request: web.Request) -> web.Response:
    """Get a blocked slot, from the CRM or from iCloud."""
    context = request.app[CONTEXT]
    slot = book.get_blocked_slot(
        context.db, request.match_info["eventId"], locations=requests.locations_of(request), now=context.clock()
    )
    if isinstance(slot, BlockedSlotView):
        return web.json_response({"event": answers.blocked_slot_view(slot)})
    etag = _etag(slot)
    if requests.has_it_already(request, etag):
        return web.Response(status=304, headers={"ETag": etag})
    return web.json_response({"event": answers.blocked_slot(slot)}, headers={"ETag": etag})


async def update(request: web.Request) -> web.Response:
    """Change a blocked slot that was made in the CRM."""
    body = await requests.body_of(request, BlockedSlotBody)
    return _update(request, body, request.match_info["eventId"])


def _update(request: web.Request, body: Body[BlockedSlotBody], slot_id: str) -> web.Response:
    context = request.app[CONTEXT]
    locations = requests.locations_of(request)
    expected = requests.expected_version(request)
    while True:
        current = book.get_blocked_slot(context.db, slot_id, locations=locations)
        if body.value.location_id not in {None, current.location_id}:
            raise Unknown("blocked slot", slot_id)
        if isinstance(current, BlockedSlotView):
            raise ReadOnly("blocked slot", slot_id)
        try:
            slot = book.update_blocked_slot(
                context.db,
                slot_id,
                _change(body.value, body.problems, current, now=context.clock()),
                locations=locations,
                # The change depends on the present version: if that has changed meanwhile, start over.
                expected_version=current.version if expected is None else expected,
                now=context.clock(),
            )
        except VersionMismatch:
            if expected is not None:
                raise
        else:
            return idempotency.response(_answer(slot, body, status=200))


async def list_all(request: web.Request) -> web.Response:
    """List all blocked slots of a user or a calendar in a time span, from iCloud and from the CRM."""
    wanted, locations = requests.listing(request), requests.locations_of(request)

    def answer() -> str:
        found = book.list_blocked_slots(request.app[CONTEXT].db, wanted, locations=locations)
        shown, more = requests.page(wanted, found, lambda one: (one.start, one.id))
        return answers.events(map(answers.blocked_slot_view, shown), more)

    return web.Response(text=await in_thread(request, answer), content_type="application/json")


def _answer(slot: BlockedSlot, body: Body[BlockedSlotBody], *, status: int) -> Answer:
    headers = {"ETag": _etag(slot), **body.ignored()}
    if status == 201:
        headers["Location"] = f"{PATH}/{slot.id}"
    return Answer(status, json.dumps(answers.blocked_slot(slot), ensure_ascii=False), headers)


def _etag(slot: BlockedSlot) -> str:
    return f'"{slot.version}"'


def _new(
    body: BlockedSlotBody, problems: Iterable[FieldProblem], *, location_id: str | None, now: int
) -> NewBlockedSlot:
    """A new blocked slot. Raises `Invalid`."""
    reader = Reader(list(problems))
    location_id = reader.location(location_id)
    zone = reader.zone(body.timezone)
    if not reader.is_wrong("calendarId") and (body.calendar_id is None) == (body.assigned_user_id is None):
        code = "missing" if body.calendar_id is None else "invalid_value"
        reader.wrong("assignedUserId", code, "Name either a calendarId or an assignedUserId.")
    if body.start_time is None:
        reader.wrong("startTime", "missing", "Say when it starts.")
    if body.end_time is None:
        reader.wrong("endTime", "missing", "Say when it ends.")
    start = reader.time("startTime", body.start_time, zone)
    end = reader.time("endTime", body.end_time, zone)
    expires = _expiry(reader, body, zone, now)
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
        expires_at=expires,
    )


def _change(
    body: BlockedSlotBody, problems: Iterable[FieldProblem], current: BlockedSlot, *, now: int
) -> dict[str, Any]:
    """A change of a blocked slot: only the fields that were sent; null clears a field. Raises `Invalid`."""
    reader = Reader(list(problems))
    sent = body.model_fields_set
    reader.not_cleared(body, "start_time", "end_time")
    zone = reader.zone(body.timezone) if "timezone" in sent else current.time_zone
    changes: dict[str, Any] = {}
    if sent & {"start_time", "end_time", "timezone"}:
        start = reader.time("startTime", body.start_time, zone)
        end = reader.time("endTime", body.end_time, zone)
        starts = start.at if start is not None else current.start
        ends = end.at if end is not None else starts + current.end - current.start
        if not reader.is_wrong("startTime") and not reader.is_wrong("endTime"):
            reader.order(starts, ends)
        changes = {"start": starts, "end": ends, "time_zone": zone}
        if start is not None:
            changes["utc_offset"] = start.utc_offset
    if "expires_at" in sent:
        changes["expires_at"] = _expiry(reader, body, zone, now)
    if "title" in sent:
        changes["title"] = body.title or ""
    calendar_id, user_id = body.calendar_id, body.assigned_user_id
    if calendar_id is not None and user_id is not None:  # one that was read and is sent back may name both
        calendar_id = None if calendar_id == current.booking_calendar_id else calendar_id
        user_id = None if user_id == current.user_id else user_id
    if calendar_id is not None and user_id is not None:
        reader.wrong("assignedUserId", "invalid_value", "Name either a calendarId or an assignedUserId.")
    elif user_id is not None:
        changes |= {"user_id": user_id, "booking_calendar_id": None}
    elif calendar_id is not None and calendar_id != current.booking_calendar_id:
        changes |= {"user_id": None, "booking_calendar_id": calendar_id}
    reader.done()
    return changes


def _expiry(reader: Reader, body: BlockedSlotBody, zone: str | None, now: int) -> int | None:
    expires = reader.time("expiresAt", body.expires_at, zone)
    if expires is not None and expires.at <= now:
        reader.wrong("expiresAt", "out_of_range", "A hold has to expire in the future.")
    return None if expires is None else expires.at
