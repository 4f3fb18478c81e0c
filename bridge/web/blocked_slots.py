"""Blocked slots over HTTP: those made in the CRM, and the listing of all blocked time."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bridge.domain.model import BlockedSlot
from bridge.service import book
from bridge.store.db import Tx
from bridge.store.idempotency import Answer
from bridge.web import answers, idempotency, requests
from bridge.web.idempotency import answer_for
from bridge.web.keys import BRIDGE
from bridge.web.shapes import BlockedSlotBody

PATH = "/v1/calendars/events/block-slots"


async def create(request: web.Request) -> web.Response:
    """Block time."""
    bridge = request.app[BRIDGE]
    body = await requests.body_of(request, BlockedSlotBody)
    new = requests.new_blocked_slot(body, location_id=requests.location_for(request, body.location_id))

    def carry_out(record: Any) -> Answer:
        def also(tx: Tx, slot: BlockedSlot) -> None:
            record(tx, _made(slot, body, status=201))

        return _made(book.create_blocked_slot(bridge.db, new, now=bridge.clock(), also=also), body, status=201)

    return await idempotency.once(request, carry_out)


async def read(request: web.Request) -> web.Response:
    """One blocked slot that was made in the CRM."""
    slot = book.get_blocked_slot(
        request.app[BRIDGE].db, request.match_info["eventId"], locations=requests.locations_of(request)
    )
    return web.json_response({"event": answers.blocked_slot(slot)}, headers={"ETag": f'"{slot.version}"'})


async def update(request: web.Request) -> web.Response:
    """Change a blocked slot that was made in the CRM."""
    bridge = request.app[BRIDGE]
    body = await requests.body_of(request, BlockedSlotBody)
    locations = requests.locations_of(request)
    slot_id = request.match_info["eventId"]
    change: dict[str, Any] = {}
    if not slot_id.startswith("ics_"):
        current = book.get_blocked_slot(bridge.db, slot_id, locations=locations)
        change = requests.blocked_slot_change(body, current)
    slot = book.update_blocked_slot(
        bridge.db,
        slot_id,
        change,
        locations=locations,
        expected_version=requests.expected_version(request),
        now=bridge.clock(),
    )
    answer = _made(slot, body, status=200)
    return web.Response(text=answer.body, content_type="application/json", headers=answer.headers)


async def list_all(request: web.Request) -> web.Response:
    """All blocked time of a user or a calendar in a span: from iCloud and from the CRM."""
    wanted = requests.listing(request)
    found = book.list_blocked_slots(
        request.app[BRIDGE].db,
        locations=requests.locations_of(request),
        location_id=wanted.location_id,
        span=wanted.span,
        user_id=wanted.user_id,
        booking_calendar_id=wanted.calendar_id,
    )
    return web.json_response({"events": [answers.blocked_slot_view(view) for view in found]})


def _made(slot: BlockedSlot, body: BlockedSlotBody, *, status: int) -> Answer:
    headers = {"ETag": f'"{slot.version}"'}
    if status == 201:
        headers["Location"] = f"{PATH}/{slot.id}"
    if ignored := body.unknown():
        headers["X-Ignored-Fields"] = ", ".join(name for name in ignored if name.isascii() and name.isprintable())
    return answer_for(status, answers.blocked_slot(slot), headers)
