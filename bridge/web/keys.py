"""The keys under which the application and its requests hold what handlers need."""

from aiohttp import web

from bridge.domain.model import ApiToken
from bridge.service.changes import Watch
from bridge.service.context import Context
from bridge.settings import Settings

CONTEXT = web.AppKey("context", Context)
SETTINGS = web.AppKey("settings", Settings)
WATCH = web.AppKey("watch", Watch)
TOKEN = web.RequestKey("token", ApiToken)
TRACE_ID = web.RequestKey("trace_id", str)
#: Headers that tell what the token has left.
RATE = web.RequestKey("rate", dict[str, str])
#: The paths under /v1/ that need no token.
OPEN = web.AppKey("open", frozenset[str])
