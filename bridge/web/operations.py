"""The operations of the API. Routes and the OpenAPI document are both made from their declarations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import HttpVersion11, web
from pydantic import BaseModel

from bridge.web.middleware import Handler, needs
from bridge.web.shapes.base import Query, Shape


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. Its description is the docstring of its handler."""

    method: str
    path: str
    handler: Handler
    #: The scope that a token needs; None: no token is needed.
    scope: str | None
    #: The `operationId`: HighLevel's, where HighLevel has the operation.
    id: str
    #: The shapes of answers by status; None: an answer without a JSON body.
    answers: Mapping[int, type[BaseModel] | None]
    body: type[Shape] | None = None
    #: The required fields of the body.
    needed: tuple[str, ...] = ()
    query: type[Query] | None = None
    #: Codes of problems that it can answer, besides those that follow from the rest of the declaration.
    problems: tuple[str, ...] = ()
    #: Headers of successful answers. `bridge.web.openapi` has their descriptions.
    gives: tuple[str, ...] = ()
    #: Whether it takes an Idempotency-Key.
    once: bool = False
    #: Whether it gives an ETag, and takes If-Match or If-None-Match.
    versioned: bool = False
    #: Whether it takes `Prefer: wait`.
    waits: bool = False

    @property
    def route(self) -> web.RouteDef:
        """The aiohttp route of the operation."""
        handler = self.handler if self.scope is None else needs(self.scope, self.handler)
        return web.route(self.method, self.path, handler, expect_handler=_expected)


async def _expected(request: web.Request) -> None:
    """Ask for the body that a client holds back. What else it expects may be passed over (RFC 9110 section 10.1.1)."""
    if request.headers["Expect"].lower() == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
