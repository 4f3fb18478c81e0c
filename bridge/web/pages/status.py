"""Status: the state of the User's calendars and appointments, and recent changes."""

from __future__ import annotations

from aiohttp import web

from bridge.domain.model import User
from bridge.service import audit, book, overview, push
from bridge.service import status as statuses
from bridge.service.fixed import fixed_of
from bridge.web.keys import CONTEXT
from bridge.web.pages.guard import visitor
from bridge.web.pages.render import page, redirect

#: The most recent changes that are shown.
RECENT = 20
#: The most failed appointments that are shown.
FAILED = 50


async def show(request: web.Request, user: User) -> web.Response:
    """The state of everything, in plain words."""
    context = request.app[CONTEXT]
    db = context.db
    (user_status,) = statuses.status(db, user.id)
    changes = overview.recent_changes(db, user.id, limit=RECENT, now=context.clock())
    return page(
        request,
        "status.html",
        user_status=user_status,
        changes=changes,
        failed_shown=FAILED,
        fixed=fixed_of(db, user.id),
    )


async def retry(request: web.Request, user: User) -> web.Response:
    """Try a failed appointment again."""
    try_again(request, user, request.match_info["appointment"])
    return redirect(request, "/status?done=retried")


def try_again(request: web.Request, user: User, appointment_id: str) -> None:
    """Try a failed appointment of a User again. Raises `Unknown`."""
    context = request.app[CONTEXT]
    booked = book.get_appointment(context.db, appointment_id, locations=frozenset({user.location_id}))
    if booked.user_id != user.id:
        raise web.HTTPNotFound
    push.retry(context, appointment_id)
    audit.record(context.db, visitor(request).actor, "appointment retried", appointment_id, now=context.clock())
