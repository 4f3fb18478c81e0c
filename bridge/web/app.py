"""The aiohttp application."""

from __future__ import annotations

from aiohttp import web

from bridge.service.changes import Watch
from bridge.service.context import Context
from bridge.settings import Settings
from bridge.web import middleware, openapi
from bridge.web.audit import audit
from bridge.web.keys import CONTEXT, OPEN, SETTINGS, WATCH
from bridge.web.limits import LIMITS, Limits, limits
from bridge.web.pages import guard, sign_in
from bridge.web.pages.attempts import Attempts
from bridge.web.pages.routes import ROUTES as PAGES
from bridge.web.reference import REFERENCE, Reference
from bridge.web.routes import OPERATIONS, ROUTES
from bridge.web.threads import threads

#: Appointments are small.
MAX_BODY = 256 * 1024


def make_web_app(context: Context, settings: Settings | None = None) -> web.Application:
    """The application with the HTTP API and the settings pages."""
    middlewares = [middleware.errors, middleware.authentication, limits, audit, guard.pages]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY)
    app[CONTEXT] = context
    app[SETTINGS] = settings = settings or Settings()
    app[OPEN] = frozenset(o.path for of_tag in OPERATIONS.values() for o in of_tag if o.scope is None)
    app[LIMITS] = Limits(settings.api.burst_requests, settings.api.daily_requests)
    app[REFERENCE] = Reference(openapi.document(OPERATIONS, server=settings.sidecar.address.rstrip("/")))
    app[sign_in.ATTEMPTS] = Attempts()
    app[WATCH] = Watch(context.db)
    app.on_shutdown.append(_let_go)
    app.cleanup_ctx.append(threads)
    app.add_routes([*ROUTES, *PAGES])
    return app


async def _let_go(app: web.Application) -> None:
    """At shutdown, answer requests that wait for changes or for iCloud, rather than cutting them off."""
    app[WATCH].close()
