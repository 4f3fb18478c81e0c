"""Where the application and its requests keep what handlers need."""

from aiohttp import web

from bridge.app import Bridge
from bridge.store.users import ApiToken

BRIDGE = web.AppKey("bridge", Bridge)
TOKEN = web.RequestKey("token", ApiToken)
TRACE_ID = web.RequestKey("trace_id", str)
