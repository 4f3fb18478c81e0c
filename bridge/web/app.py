"""The aiohttp application."""

from __future__ import annotations

from aiohttp import web

from bridge.service.context import Context
from bridge.web import middleware
from bridge.web.keys import CONTEXT
from bridge.web.routes import ROUTES

#: Appointments are small.
MAX_BODY = 256 * 1024


def make_web_app(context: Context) -> web.Application:
    """The HTTP API over the use cases."""
    app = web.Application(middlewares=[middleware.errors, middleware.authentication], client_max_size=MAX_BODY)
    app[CONTEXT] = context
    app.add_routes(ROUTES)
    return app
