"""The OpenAPI document, and a page for people made from it. Neither needs a token."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from aiohttp import web

from bridge.web.pages.render import SECURITY_HEADERS, page

OPENAPI, DOCS = "/v1/openapi.json", "/v1/docs"


class Reference:
    """The OpenAPI document in the forms in which it is served."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    @cached_property
    def text(self) -> str:
        """The document as JSON."""
        return json.dumps(self.document, ensure_ascii=False)


REFERENCE = web.AppKey("reference", Reference)


async def openapi(request: web.Request) -> web.Response:
    """This document."""
    return web.Response(
        text=request.app[REFERENCE].text,
        content_type="application/json",
        headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"},
    )


async def docs(request: web.Request) -> web.Response:
    """This document as a web page."""
    response = page(request, "reference.html", api=request.app[REFERENCE].document)
    response.headers.update(SECURITY_HEADERS)
    return response
