"""`GET /v1/changes`: what happened since, at once or as soon as something does."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from bridge.service import changes
from bridge.service.changes import Change, ChangeType, Page, Resource
from bridge.web import requests
from bridge.web.fields import Reader
from bridge.web.keys import CONTEXT, WATCH
from bridge.web.times import format_utc

PATH = "/v1/changes"
MOST, USUALLY = 1000, 200
#: The longest that a request waits, and how often one that waits is looked after, in seconds.
LONGEST_WAIT, LOOK_AFTER = 25, 1.0


async def read(request: web.Request) -> web.Response:
    """The changes after a cursor; with `waitSeconds`, as soon as there are any."""
    reader = Reader()
    limit = number(reader, request, "limit", usual=USUALLY, among=range(1, MOST + 1))
    patience = number(reader, request, "waitSeconds", usual=0, among=range(LONGEST_WAIT + 1))
    types = _types(reader, request.query.get("types", ""))
    reader.done()
    locations = requests.locations_of(request)
    db = request.app[CONTEXT].db
    # Beside the loop: a month of other locations' changes takes a moment to pass over.
    page = await asyncio.to_thread(
        changes.read, db, request.query.get("cursor") or None, locations=locations, types=types, limit=limit
    )
    watch = request.app[WATCH]
    deadline = asyncio.get_running_loop().time() + patience
    while not page.changes and not watch.closed and not _gone(request):
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            break
        await watch.wait(page.sequence, min(left, LOOK_AFTER))
        page = changes.read_on(db, page, locations=locations, types=types, limit=limit)
    return web.json_response(_document(page))


def number(reader: Reader, request: web.Request, name: str, *, usual: int, among: range) -> int:
    """A whole number of the query."""
    text = request.query.get(name) or str(usual)
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
    if value not in among:
        reader.wrong(name, "out_of_range", f"A whole number from {among.start} to {among.stop - 1}.")
    return value


def _types(reader: Reader, text: str) -> frozenset[ChangeType] | None:
    """The types meant by resources and types, separated by commas; None: all."""
    names = {name.strip() for name in text.split(",")} - {""}
    if not names:
        return None
    by_resource = {str(resource): [t for t in ChangeType if _about(t) == resource] for resource in Resource}
    known = {**by_resource, **{str(type_): [type_] for type_ in ChangeType}}
    if unknown := sorted(names - known.keys()):
        reader.wrong("types", "unknown_value", f"There is no {unknown[0]}; use {', '.join(known)}.")
    # Whoever follows some has to know when they have to be listed anew.
    return frozenset({ChangeType.RESYNC_REQUIRED, *(type_ for name in names for type_ in known.get(name, ()))})


def _about(type_: ChangeType) -> Resource:
    if type_.startswith("Appointment"):
        return Resource.APPOINTMENT
    if type_.startswith("BlockedSlot"):
        return Resource.BLOCKED_SLOT
    return Resource.CONNECTION if type_ == ChangeType.CONNECTION_STATUS_UPDATE else Resource.USER


def _gone(request: web.Request) -> bool:
    """Whether nobody waits for the answer any more."""
    return request.transport is None or request.transport.is_closing()


def _document(page: Page) -> dict[str, Any]:
    return {
        "changes": [_change(change) for change in page.changes],
        "nextCursor": page.cursor,
        "hasMore": page.has_more,
    }


def _change(change: Change) -> dict[str, Any]:
    news = change.news
    return {
        "sequence": change.sequence,
        "type": str(news.type),
        "resource": str(news.resource),
        "id": news.id,
        "locationId": news.location_id,
        "userId": news.user_id,
        "origin": str(news.origin),
        "changedFields": list(news.changed_fields),
        "occurredAt": format_utc(change.occurred_at),
        "version": news.version,
    }
