"""What the API offers, declared once: routes are made from it, and so is the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import HttpVersion11, web
from pydantic import BaseModel

from bridge.web.middleware import Handler, needs
from bridge.web.shapes.base import Query, Shape


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. Its handler's docstring is what is said of it."""

    method: str
    path: str
    handler: Handler
    #: The scope that a token needs; None: anybody may ask.
    scope: str | None
    #: The name that generated clients give it: HighLevel's, where HighLevel has it.
    id: str
    #: By status; None: an answer without a JSON body.
    answers: Mapping[int, type[BaseModel] | None]
    body: type[Shape] | None = None
    #: The fields of the body that can't be left out.
    needed: tuple[str, ...] = ()
    query: type[Query] | None = None
    #: Codes of problems that it can answer, besides those that follow from the rest of the declaration.
    problems: tuple[str, ...] = ()
    #: Headers of its good answers, by the names that `bridge.web.openapi` explains.
    gives: tuple[str, ...] = ()
    #: Whether it takes an Idempotency-Key.
    once: bool = False
    #: Whether it gives an ETag, and takes If-Match or If-None-Match.
    versioned: bool = False
    #: Whether it takes `Prefer: wait`.
    waits: bool = False

    @property
    def route(self) -> web.RouteDef:
        """The route that serves it."""
        handler = self.handler if self.scope is None else needs(self.scope, self.handler)
        return web.route(self.method, self.path, handler, expect_handler=_expected)


async def _expected(request: web.Request) -> None:
    """Ask for the body that a client holds back. What else it expects may be passed over (RFC 9110 section 10.1.1)."""
    if request.headers["Expect"].lower() == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
