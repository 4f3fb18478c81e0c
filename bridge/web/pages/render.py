"""Rendering pages, and serving the static files that they use."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

import jinja2
from aiohttp import web

from bridge.domain.english import count
from bridge.service.sessions import Visitor
from bridge.web.keys import CONTEXT
from bridge.web.pages import words
from bridge.web.pages.conventions import Conventions, conventions
from bridge.web.pages.visit import VISIT, address

#: Only our own files are loaded: nothing inline, nothing from other hosts. No page may be shown in a frame.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

#: As `done` in an address: the session had ended when a form was sent.
ENDED = "ended"

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file. Its address changes with its content (`digest`), so that browsers can keep it."""

    body: bytes
    content_type: str
    digest: str


def page(request: web.Request, template: str, *, status: int = 200, **facts: Any) -> web.Response:
    """Render a page for the visitor, in their region's conventions. `facts` are variables of the template."""
    context = request.app[CONTEXT]
    visit = request.get(VISIT)
    visitor = visit.visitor if visit else None
    text = (
        _templates()
        .get_template(template)
        .render(
            visitor=visitor,
            csrf=visit.csrf if visit else "",
            path=request.path,
            link=lambda to: address(request, to),
            asset=lambda name: address(request, f"/static/{name}?v={assets()[name].digest}"),
            as_read=conventions_of(request, visitor),
            now=context.clock(),
            done=words.DONE.get(request.query.get("done", "")),
            ended=request.query.get("done") == ENDED,
            **facts,
        )
    )
    return web.Response(text=text, status=status, content_type="text/html")


def conventions_of(request: web.Request, visitor: Visitor | None) -> Conventions:
    """The conventions of the visitor. For administrators, whose time zone is not known, times are in UTC."""
    zone = visitor.user.time_zone if visitor and visitor.user else "UTC"
    return conventions(request.headers.get("Accept-Language", ""), zone)


def redirect(request: web.Request, path: str) -> web.Response:
    """Redirect to another page, which the browser fetches with GET (RFC 9110 section 15.4.4)."""
    return web.Response(status=303, headers={"Location": address(request, path)})


def leads_to(path: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that redirects to another page, which takes parts of the address: "/users/{user}"."""

    async def lead(request: web.Request) -> web.Response:
        parts = {name: quote(value, safe="") for name, value in request.match_info.items()}
        ended = f"?done={ENDED}" if request.query.get("done") == ENDED else ""
        return redirect(request, path.format(**parts) + ended)

    return lead


@cache
def assets() -> dict[str, Asset]:
    """Every static file, by name."""
    files = [entry for entry in resources.files("bridge.web").joinpath("static").iterdir() if entry.is_file()]
    found = {entry.name: entry.read_bytes() for entry in files}
    found["grid.css"] = _grid().encode()
    return {
        name: Asset(body, _TYPES[name.rpartition(".")[2]], hashlib.sha256(body).hexdigest()[:12])
        for name, body in found.items()
        if name.rpartition(".")[2] in _TYPES
    }


async def static(request: web.Request) -> web.Response:
    """Serve a static file."""
    asset = assets().get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    return web.Response(
        body=asset.body,
        content_type=asset.content_type,
        charset="utf-8",
        headers={"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"},
    )


#: A day is drawn in this many rows, one for each quarter of an hour, with at most this many events side by side.
QUARTERS, LANES = 96, 12


def _grid() -> str:
    """CSS classes for the place of an event in its day. Inline styles are forbidden by `SECURITY_HEADERS`."""
    rules = [f".at-{row}{{grid-row-start:{row + 1}}}" for row in range(QUARTERS)]
    rules += [f".for-{rows}{{grid-row-end:span {rows}}}" for rows in range(1, QUARTERS + 1)]
    for lanes in range(2, LANES + 1):
        share = 100 / lanes
        rules += [
            f".lane-{lane}-of-{lanes}{{margin-left:{lane * share:.3f}%;width:{share:.3f}%}}" for lane in range(lanes)
        ]
    # The title of an entry of several days may take the width of all of them.
    rules += [f".over-{days} .title{{width:{days * 100}%}}" for days in range(2, 8)]
    return "@media (min-width:60rem){" + "".join(rules) + "}"


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bridge.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"words": words, "count": count}
    return environment
