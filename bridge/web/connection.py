"""Connections of clients: what can't even be read as a request is answered like every other problem."""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError, LineTooLong

from bridge.web import problems
from bridge.web.middleware import new_trace_id
from bridge.web.problems import Problem
from bridge.web.requests import ENCODINGS

log = logging.getLogger(__name__)

#: No line for each request: paths and queries are nobody's business but the client's.
_QUIET: dict[str, Any] = {"access_log": None}


async def listen(runner: web.AppRunner, listener: socket.socket) -> asyncio.Server:
    """Serve an application that was set up to those who connect to `listener`, until the server is closed."""
    loop = asyncio.get_running_loop()
    if runner.server is None:
        raise RuntimeError("the application is not set up")
    return await loop.create_server(partial(Connection, runner.server, loop=loop, **_QUIET), sock=listener)


class Connection(web.RequestHandler):
    """aiohttp's side of a connection, but for what it says when it can't make sense of what it gets."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Refuse what is no HTTP. It is neither logged nor repeated: there may be a token in it."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        log.debug("%s sends what is no request: %s", request.remote, type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer to the request before has begun")
        trace_id = new_trace_id()
        response = problems.answer(_problem(exc), path=request.path, trace_id=trace_id)
        response.headers["X-Request-Id"] = trace_id
        response.force_close()
        return response

    def log_exception(self, *args: Any, exc_info: BaseException | None = None, **rest: Any) -> None:
        """Log what is wrong with the bridge; what is wrong with a body that nobody reads is the client's."""
        if isinstance(exc_info, web.RequestPayloadError):
            log.debug("the rest of a request can't be read: %s", type(exc_info).__name__)
        else:
            super().log_exception(*args, exc_info=exc_info, **rest)


def _problem(error: HttpProcessingError) -> Problem:
    match error:
        case ContentEncodingError():
            return ENCODINGS
        case LineTooLong():
            return Problem(400, "bad_request", "The address or a header is too long: 8,190 bytes at most.")
        case _:
            return Problem(400, "bad_request", "What was sent is no HTTP request that can be read.")
