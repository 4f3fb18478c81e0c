"""Connections of clients. What is not even a valid HTTP request is answered like every other problem."""

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

#: Requests are not logged: paths and queries may be confidential.
_QUIET: dict[str, Any] = {"access_log": None}


async def listen(runner: web.AppRunner, listener: socket.socket) -> asyncio.Server:
    """Serve an application, which must be set up, to clients that connect to `listener`."""
    loop = asyncio.get_running_loop()
    if runner.server is None:
        raise RuntimeError("the application is not set up")
    return await loop.create_server(partial(Connection, runner.server, loop=loop, **_QUIET), sock=listener)


class Connection(web.RequestHandler):
    """aiohttp's handler of a connection, with our own answer to what is not a valid request."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Refuse what is not HTTP. It is neither logged nor quoted: it may contain a token."""
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
        """Log faults of the bridge, but not faults in a body that no handler reads."""
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
            return Problem(400, "bad_request", "What was sent is not a valid HTTP request.")
