"""The visit that a request belongs to: its cookie, who is signed in by it, and the token that every form carries.

The cookie holds random bits and a signature. For visitors who are signed in, the bits name a session in the store; for
others, they only tie forms to the browser.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from bridge.service import sessions
from bridge.service.sessions import Visitor
from bridge.web.keys import CONTEXT, SETTINGS

COOKIE = "bridge_session"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of one browser."""

    secret: str
    visitor: Visitor | None
    #: What every form must carry.
    csrf: str
    #: Whether the browser brought the cookie.
    known: bool


VISIT = web.RequestKey("visit", Visit)


def read(request: web.Request) -> Visit:
    """The visit that the request belongs to."""
    context = request.app[CONTEXT]
    key = sessions.signing_key(context.db)
    secret, _, signature = request.cookies.get(COOKIE, "").partition(".")
    known = bool(secret) and hmac.compare_digest(
        signature.encode(), sessions.signature(key, "session", secret).encode()
    )
    visitor = sessions.visitor(context.db, secret, now=context.clock()) if known else None
    if not known:
        secret = secrets.token_urlsafe(32)
    return Visit(secret, visitor, sessions.signature(key, "form", secret), known)


def set_cookie(request: web.Request, response: web.StreamResponse, secret: str) -> None:
    """Give the browser its cookie."""
    context = request.app[CONTEXT]
    response.set_cookie(
        COOKIE,
        f"{secret}.{sessions.signature(sessions.signing_key(context.db), 'session', secret)}",
        max_age=sessions.USER_SECONDS,
        path=address(request, "/"),
        httponly=True,
        # Not "Strict": the CRM links to these pages, and visitors who come from there have to stay signed in.
        samesite="Lax",
        secure=request.app[SETTINGS].sidecar.address.startswith("https:"),
    )


def forget_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Have the browser delete its cookie."""
    response.del_cookie(COOKIE, path=address(request, "/"))


def address(request: web.Request, path: str) -> str:
    """The path of a page as browsers have to request it, since the pages may be published below a path."""
    return urlsplit(request.app[SETTINGS].sidecar.address).path.rstrip("/") + path


def form_is_ours(request: web.Request, given: str) -> bool:
    """Whether a form is from a page that was sent to this browser."""
    return is_from_here(request) and hmac.compare_digest(given.encode(), request[VISIT].csrf.encode())


def is_from_here(request: web.Request) -> bool:
    """Whether no other site sent this request (https://www.w3.org/TR/fetch-metadata/), as far as the browser tells."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}


def peer(request: web.Request) -> str:
    """The client's address, for counting failed sign-ins. A proxy on this machine is trusted to name it."""
    remote = request.remote or ""
    if remote in {"127.0.0.1", "::1"}:
        # The last address was added by our own proxy; those before it can be forged.
        return request.headers.get("X-Forwarded-For", remote).rpartition(",")[2].strip()
    return remote
