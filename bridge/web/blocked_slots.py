"""Blocked slots over HTTP: those made in the CRM, and the listing of all blocked time."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from bridge.domain.model import BlockedSlot
from bridge.errors import ReadOnly, Unknown, VersionMismatch
from bridge.service import book
from bridge.service.book import BlockedSlotView
from bridge.service.idempotency import Answer
from bridge.web import answers, fields, idempotency, requests
from bridge.web.keys import CONTEXT
from bridge.web.requests import Body
from bridge.web.shapes.blocked_slots import BlockedSlotBody

PATH = "/v1/calendars/events/block-slots"


async def create(request: web.Request) -> web.Response:
    """Block time."""
    context = request.app[CONTEXT]
    body = await requests.body_of(request, BlockedSlotBody)
    new = fields.new_blocked_slot(
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
    """One blocked slot, from the CRM or from iCloud."""
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
                fields.blocked_slot_change(body.value, body.problems, current, now=context.clock()),
                locations=locations,
                # A change is worked out from what is there: if that is no longer so, it is worked out again.
                expected_version=current.version if expected is None else expected,
                now=context.clock(),
            )
        except VersionMismatch:
            if expected is not None:
                raise
        else:
            return idempotency.response(_answer(slot, body, status=200))


async def list_all(request: web.Request) -> web.Response:
    """All blocked time of a user or a calendar in a span: from iCloud and from the CRM."""
    wanted = requests.listing(request)
    # Beside the loop: a year of a full calendar takes a moment, and bookings shall not wait for it.
    found = await asyncio.to_thread(
        book.list_blocked_slots, request.app[CONTEXT].db, wanted, locations=requests.locations_of(request)
    )
    shown, more = requests.page(wanted, found, lambda one: (one.start, one.id))
    return web.json_response({"events": [answers.blocked_slot_view(view) for view in shown], **more})


def _answer(slot: BlockedSlot, body: Body[BlockedSlotBody], *, status: int) -> Answer:
    headers = {"ETag": _etag(slot), **body.ignored()}
    if status == 201:
        headers["Location"] = f"{PATH}/{slot.id}"
    return Answer(status, json.dumps(answers.blocked_slot(slot), ensure_ascii=False), headers)


def _etag(slot: BlockedSlot) -> str:
    return f'"{slot.version}"'
