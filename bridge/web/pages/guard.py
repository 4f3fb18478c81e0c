"""What all pages have in common: the visit, the check of forms, errors as pages, and who may open a page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, quote

from aiohttp import web
from multidict import MultiDict

from bridge.domain.model import User
from bridge.errors import SetByAdministrator, StoreUnavailable, Unknown
from bridge.service.sessions import Visitor
from bridge.web.keys import TRACE_ID
from bridge.web.pages import visit
from bridge.web.pages.render import ENDED, SECURITY_HEADERS, page, redirect
from bridge.web.pages.visit import VISIT

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: The most fields of a form. No form of ours has as many, not even one with a checkbox for each calendar.
MOST_FIELDS = 1000
#: Paths for programs: no cookie is set there, and errors are not answered with pages.
_PROGRAMS = ("/v1/", "/healthz", "/readyz", "/metrics", "/static/")

_REFUSALS = {
    403: ("This form can't be used any more", "Perhaps you signed in or out elsewhere meanwhile. Go back, and repeat."),
    404: ("There is nothing here", "Perhaps it was removed, or it belongs to somebody else."),
    405: ("This can't be done here", "Go back, and use the buttons of the page."),
    413: ("This is too much", "The form holds more than it may."),
}


@web.middleware
async def pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Identify the visitor, check the token of forms, and answer errors with pages."""
    if request.path.startswith(_PROGRAMS) or _is_lost_program(request):
        return await handler(request)
    request[VISIT] = visit.read(request)
    try:
        response = await handler(request) if await _may_send(request) else _refused_form(request)
    except Unknown:
        response = _refusal(request, 404)
    except SetByAdministrator:
        text = "Only they can change it: ask them. Nothing was changed."
        response = page(request, "error.html", status=403, title="Your administrator has set this", text=text)
    except StoreUnavailable as error:
        log.warning("request %s failed: the store can't be used: %s", request[TRACE_ID], error.reason)
        text = "The bridge can't store anything at the moment. Nothing was changed. Wait a little, go back, and repeat."
        response = page(request, "error.html", status=503, title="This does not work at the moment", text=text)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = _refusal(request, error.status)
    except Exception:
        # The outermost frame. The page has no internals; the log has them under the id that the page shows.
        log.exception("request %s failed", request[TRACE_ID])
        response = page(
            request,
            "error.html",
            status=500,
            title="Something unexpected went wrong",
            text=f"It is in the bridge's log under {request[TRACE_ID]}. Nothing else was done.",
        )
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if not request[VISIT].known and visit.COOKIE not in response.cookies:
        visit.set_cookie(request, response, request[VISIT].secret)
    return response


async def _may_send(request: web.Request) -> bool:
    return request.method != "POST" or visit.form_is_ours(request, await field(request, "csrf"))


def _refused_form(request: web.Request) -> web.Response:
    # Of an address that is not here, nothing is known: it may name another host ("//host/").
    here = request.match_info.http_exception is None and visit.is_from_here(request)
    if here and request[VISIT].visitor is None:
        # The browser has dropped its cookie together with the session. The form's page asks to sign in.
        return redirect(request, str(request.rel_url.update_query(done=ENDED)))
    return _refusal(request, 403)


def _is_lost_program(request: web.Request) -> bool:
    """Whether a program asks for something that is not here, such as the API without its /v1."""
    return request.match_info.http_exception is not None and "text/html" not in request.headers.get("Accept", "")


def _refusal(request: web.Request, status: int) -> web.Response:
    title, text = _REFUSALS.get(status, ("This can't be done", "The request can't be read."))
    return page(request, "error.html", status=status, title=title, text=text)


def for_user(handler: Callable[[web.Request, User], Awaitable[web.StreamResponse]]) -> Handler:
    """A page of a User, who has to be signed in."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        who = request[VISIT].visitor
        if who is None:
            return _ask_to_sign_in(request, "/sign-in")
        if who.user is None:
            raise web.HTTPNotFound
        return await handler(request, who.user)

    return guarded


def for_admin(handler: Callable[[web.Request, Visitor], Awaitable[web.StreamResponse]]) -> Handler:
    """A page of administrators. For Users, it does not exist."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        who = request[VISIT].visitor
        if who is None:
            return _ask_to_sign_in(request, "/sign-in/admin")
        if not who.is_admin:
            raise web.HTTPNotFound
        return await handler(request, who)

    return guarded


def for_admin_of_all(handler: Callable[[web.Request, Visitor], Awaitable[web.StreamResponse]]) -> Handler:
    """A page of administrators whose token is for every location."""

    async def everywhere(request: web.Request, who: Visitor) -> web.StreamResponse:
        if who.locations is not None:
            raise web.HTTPNotFound
        return await handler(request, who)

    return for_admin(everywhere)


def visitor(request: web.Request) -> Visitor:
    """The visitor of a page that requires signing in."""
    who = request[VISIT].visitor
    if who is None:
        raise web.HTTPNotFound
    return who


async def form(request: web.Request) -> MultiDict[str]:
    """The fields of a form. Raises `HTTPBadRequest` for what none of our forms sends."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPBadRequest
    text = (await request.read()).decode(errors="replace")
    try:
        return MultiDict(parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS))
    except ValueError:
        raise web.HTTPBadRequest from None


async def field(request: web.Request, name: str) -> str:
    """One field of a form; empty when it is missing."""
    return (await form(request)).get(name, "")


def page_number(request: web.Request) -> int:
    """The number of the requested page of a long list, from 1."""
    given = request.query.get("page", "1")
    return int(given) if given.isascii() and given.isdigit() and 0 < len(given) < 7 and int(given) else 1


def _ask_to_sign_in(request: web.Request, where: str) -> web.Response:
    if request.path == "/":
        return redirect(request, where)
    ended = request.method == "POST" or request.query.get("done") == ENDED
    onward = quote(str(request.rel_url.without_query_params("done")), safe="")
    return redirect(request, f"{where}?{f'done={ENDED}&' if ended else ''}next={onward}")
