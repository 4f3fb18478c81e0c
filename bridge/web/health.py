"""Health checks. They tell no data, so they need no token."""

from __future__ import annotations

from aiohttp import web

from bridge.service import users
from bridge.web.keys import CONTEXT
from bridge.web.problems import Problem
from bridge.web.times import format_utc


async def healthz(request: web.Request) -> web.Response:
    """Check whether the process is running."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Check whether the store can be read and written."""
    db = request.app[CONTEXT].db
    users.list_users(db)
    if (trouble := db.trouble) is not None:
        raise Problem(
            503,
            "store_unavailable",
            f"Nothing can be stored: {trouble.reason}. The bridge tries again by itself. Make sure that the disk has"
            " room, that the store's file is in its place, and that no other program holds it.",
            facts={"since": format_utc(trouble.since)},
            headers={"Retry-After": "2"},
        )
    return web.json_response({"status": "ok"})
