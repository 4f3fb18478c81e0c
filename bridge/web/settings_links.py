"""`POST /v1/users/{userId}/settings-link`: a one-time link that signs a User in to their settings pages."""

from __future__ import annotations

from aiohttp import web

from bridge.service import sessions, users
from bridge.web import requests
from bridge.web.keys import CONTEXT, SETTINGS, TOKEN
from bridge.web.times import format_utc

PATH = "/v1/users/{userId}/settings-link"


async def create(request: web.Request) -> web.Response:
    """Make a link that signs the user in to their settings pages, once, within half an hour."""
    context = request.app[CONTEXT]
    user_id, locations = request.match_info["userId"], requests.locations_of(request)
    user = users.get_user(context.db, user_id, locations=locations)
    actor = f"token:{request[TOKEN].id}"
    secret, expires_at = sessions.make_link(context.db, user.id, actor=actor, now=context.clock())
    url = sessions.link_address(request.app[SETTINGS].sidecar.address, secret)
    return web.json_response({"url": url, "expiresAt": format_utc(expires_at)}, status=201)
