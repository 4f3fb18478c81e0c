"""Audit log entries for changes of the set-up through the API. Bookings are in the change feed instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from bridge.service import audit as log
from bridge.web.keys import CONTEXT, TOKEN

_READING = {"GET", "HEAD", "OPTIONS"}
#: Users and settings links write entries of their own.
_TOLD = ("/v1/webhooks", "/v1/calendars/schedules", "/v1/calendars/{calendarId}")


@web.middleware
async def audit(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Record successful changes of webhooks, schedules and booking calendars."""
    response = await handler(request)
    resource = request.match_info.route.resource
    path = resource.canonical if resource else ""
    replayed = "Idempotency-Replayed" in response.headers
    if request.method in _READING or response.status >= 300 or replayed or TOKEN not in request:
        return response
    if path.rstrip("/") == "/v1/calendars" or path.startswith(_TOLD):
        made = response.headers.get("Location", "").rpartition("/")[2]
        subject = next(iter(request.match_info.values()), made)
        note(request, f"{request.method} {path}", subject)
    return response


def note(request: web.Request, action: str, subject: str) -> None:
    """Record in the audit log what the token was used for. `subject` is an id, never a secret or a title."""
    context = request.app[CONTEXT]
    log.record(context.db, f"token:{request[TOKEN].id}", action, subject, now=context.clock())
