"""Where the application and its requests keep what handlers need."""

from aiohttp import web

from bridge.domain.model import ApiToken
from bridge.service.context import Context
from bridge.settings import Settings

CONTEXT = web.AppKey("context", Context)
SETTINGS = web.AppKey("settings", Settings)
TOKEN = web.RequestKey("token", ApiToken)
TRACE_ID = web.RequestKey("trace_id", str)
