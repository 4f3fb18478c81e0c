"""Signing in and out."""

from __future__ import annotations

from aiohttp import web

from bridge.domain.english import count
from bridge.service import sessions
from bridge.service.sessions import LinkState, Visitor
from bridge.web.keys import CONTEXT
from bridge.web.pages import visit, words
from bridge.web.pages.attempts import Attempts
from bridge.web.pages.guard import field, visitor
from bridge.web.pages.render import page, redirect
from bridge.web.pages.visit import VISIT

ATTEMPTS = web.AppKey("attempts", Attempts)


async def home(request: web.Request) -> web.Response:
    """Redirect to the visitor's first page."""
    return redirect(request, _first_page(request[VISIT].visitor))


async def show(request: web.Request) -> web.Response:
    """The form for users."""
    if request[VISIT].visitor is not None:
        return redirect(request, _first_page(request[VISIT].visitor))
    return page(request, "sign_in.html", user="", problem="", next=request.query.get("next", ""))


async def sign_in(request: web.Request) -> web.Response:
    """Sign a User in with a calendar password."""
    context = request.app[CONTEXT]
    user, onward = (await field(request, "user")).strip(), await field(request, "next")
    wait = request.app[ATTEMPTS].wait(visit.peer(request), now=context.clock())
    if wait:
        return _refused(request, "sign_in.html", _too_many(wait), 429, user=user, next=onward)
    secret = sessions.sign_in_by_password(
        context.db, user, (await field(request, "password")).strip(), now=context.clock()
    )
    if secret is None:
        request.app[ATTEMPTS].fail(visit.peer(request), now=context.clock())
        problem = "User name and password don't fit together. Use a calendar password, or ask for a settings link."
        return _refused(request, "sign_in.html", problem, 401, user=user, next=onward)
    return _signed_in(request, secret, onward, "/calendar")


async def show_admin(request: web.Request) -> web.Response:
    """The form for administrators."""
    if request[VISIT].visitor is not None:
        return redirect(request, _first_page(request[VISIT].visitor))
    return page(request, "sign_in_admin.html", problem="", next=request.query.get("next", ""))


async def sign_in_admin(request: web.Request) -> web.Response:
    """Sign an administrator in with an API token."""
    context = request.app[CONTEXT]
    onward = await field(request, "next")
    wait = request.app[ATTEMPTS].wait(visit.peer(request), now=context.clock())
    if wait:
        return _refused(request, "sign_in_admin.html", _too_many(wait), 429, next=onward)
    secret = sessions.sign_in_by_token(context.db, await field(request, "token"), now=context.clock())
    if secret is None:
        request.app[ATTEMPTS].fail(visit.peer(request), now=context.clock())
        problem = "This is no API token with the scope “admin”."
        return _refused(request, "sign_in_admin.html", problem, 401, next=onward)
    return _signed_in(request, secret, onward, "/users")


async def show_link(request: web.Request) -> web.Response:
    """The page that a settings link opens. The link is not used up yet, as programs that check messages open it too."""
    context = request.app[CONTEXT]
    state, user = sessions.look_at_link(context.db, request.match_info["secret"], now=context.clock())
    if user is None:
        return _dead_link(request, state)
    return page(request, "link.html", user=user, secret=request.match_info["secret"])


async def use_link(request: web.Request) -> web.Response:
    """Sign a User in with a settings link, which can't be used again."""
    context = request.app[CONTEXT]
    made = sessions.sign_in_by_link(context.db, request.match_info["secret"], now=context.clock())
    if isinstance(made, LinkState):
        return _dead_link(request, made)
    return _signed_in(request, made, "", "/profile/integrations")


async def sign_out(request: web.Request) -> web.Response:
    """End this session."""
    sessions.sign_out(request.app[CONTEXT].db, request[VISIT].secret)
    return _signed_out(request, "signed-out")


async def sign_out_everywhere(request: web.Request) -> web.Response:
    """End every session."""
    context = request.app[CONTEXT]
    sessions.sign_out_everywhere(context.db, visitor(request), now=context.clock())
    return _signed_out(request, "signed-out-everywhere")


def _first_page(who: Visitor | None) -> str:
    if who is None:
        return "/sign-in"
    return "/users" if who.is_admin else "/calendar"


def _signed_in(request: web.Request, secret: str, onward: str, first_page: str) -> web.Response:
    before = request[VISIT]
    if before.visitor is not None:
        sessions.sign_out(request.app[CONTEXT].db, before.secret)
    # Only paths of these pages: "//host" and "/\host" lead to other hosts.
    ours = onward.startswith("/") and not onward.startswith(("//", "/\\")) and onward.isprintable()
    response = redirect(request, onward if ours else first_page)
    visit.set_cookie(request, response, secret)  # a new one, which nobody can have planted before (session fixation)
    return response


def _signed_out(request: web.Request, done: str) -> web.Response:
    response = redirect(request, f"/sign-in?done={done}")
    visit.forget_cookie(request, response)
    return response


def _refused(request: web.Request, template: str, problem: str, status: int, **facts: str) -> web.Response:
    return page(request, template, status=status, problem=problem, **facts)


def _too_many(wait: int) -> str:
    minutes = count(-(-wait // 60), "minute")
    return f"Too many failed tries. Wait {minutes}, then try again."


def _dead_link(request: web.Request, state: LinkState) -> web.Response:
    return page(
        request,
        "error.html",
        status=410 if state in {LinkState.USED, LinkState.EXPIRED} else 404,
        title=words.LINKS[state],
        text="Ask for a new one in the CRM, or sign in with your user name and a calendar password.",
    )
