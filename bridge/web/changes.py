"""`GET /v1/changes`: the changes after a cursor, at once or as soon as there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from aiohttp import web

from bridge.service import changes
from bridge.service.changes import Change, ChangeType, Page, Resource
from bridge.web import requests
from bridge.web.keys import CONTEXT, WATCH
from bridge.web.shapes.changes import ChangesQuery
from bridge.web.threads import in_thread
from bridge.web.times import format_utc

PATH = "/v1/changes"
#: Seconds after which a waiting request checks whether its client is still there.
LOOK_AFTER = 1.0


async def read(request: web.Request) -> web.Response:
    """Get the changes after a cursor; with `waitSeconds`, wait until there are any."""
    query, reader = requests.query_of(request, ChangesQuery)
    with reader.gathering():
        changes.check_cursor(query.cursor)
    reader.done()
    types, limit, locations = _types(query.types), query.limit, requests.locations_of(request)
    db = request.app[CONTEXT].db
    # In a thread: skipping a month of changes of other locations takes a moment.
    page = await in_thread(
        request, lambda: changes.read(db, query.cursor, locations=locations, types=types, limit=limit)
    )
    watch = request.app[WATCH]
    deadline = asyncio.get_running_loop().time() + query.wait_seconds
    while not page.changes and not watch.closed and not _gone(request):
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            break
        await watch.wait(page.sequence, min(left, LOOK_AFTER))
        page = changes.read_on(db, page, locations=locations, types=types, limit=limit)
    return web.json_response(_document(page))


def _types(names: Collection[str]) -> frozenset[ChangeType] | None:
    """The types that `resources` and `types` select; None: all."""
    if not names:
        return None
    # `ResyncRequired` concerns everybody who follows any of the types.
    return frozenset(t for t in ChangeType if t in names or _about(t) in names or t == ChangeType.RESYNC_REQUIRED)


def _about(type_: ChangeType) -> Resource:
    if type_.startswith("Appointment"):
        return Resource.APPOINTMENT
    if type_.startswith("BlockedSlot"):
        return Resource.BLOCKED_SLOT
    return Resource.CONNECTION if type_ == ChangeType.CONNECTION_STATUS_UPDATE else Resource.USER


def _gone(request: web.Request) -> bool:
    """Whether the client has closed the connection."""
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
