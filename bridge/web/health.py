"""Health checks. They tell no data, so they need no token."""

from __future__ import annotations

from aiohttp import web

from bridge.service import users
from bridge.web.keys import CONTEXT


async def healthz(request: web.Request) -> web.Response:
    """Check whether the process is running."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Check whether the store can be used."""
    users.list_users(request.app[CONTEXT].db)
    return web.json_response({"status": "ok"})
