"""The page at the root. It needs no login, and holds no data."""

from __future__ import annotations

import importlib.resources

from aiohttp import web

_FRONT = (importlib.resources.files("bridge.web") / "templates" / "front.html").read_text("utf-8")
#: Nothing from elsewhere is loaded, and nobody else's page shows this one.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def page(_request: web.Request) -> web.Response:
    """What this is, for somebody who opens the address in a browser."""
    return web.Response(text=_FRONT, content_type="text/html", charset="utf-8", headers=_HEADERS)
