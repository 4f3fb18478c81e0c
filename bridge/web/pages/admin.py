"""For administrators: every user, the whole system, the API's tokens, the audit log."""

from __future__ import annotations

from aiohttp import web

from bridge.domain.model import AccountState, User
from bridge.service import audit, overview, sessions, users, webhooks
from bridge.service import status as statuses
from bridge.service.fixed import fixed_of
from bridge.service.sessions import Visitor
from bridge.service.status import UserStatus
from bridge.web.keys import CONTEXT, SETTINGS
from bridge.web.pages.guard import field, form, page_number
from bridge.web.pages.render import page, redirect
from bridge.web.pages.status import FAILED, try_again

PER_PAGE = 50


async def list_users(request: web.Request, who: Visitor) -> web.Response:
    """The users that the administrator may see; with a search, those that match it."""
    db = request.app[CONTEXT].db
    search = request.query.get("q", "").strip()[:100]
    words = search.casefold().split()
    found = [user for user in users.list_users(db) if who.sees(user) and _fits(user, words)]
    number = page_number(request)
    shown = found[(number - 1) * PER_PAGE : number * PER_PAGE]
    return page(
        request,
        "users.html",
        search=search,
        total=len(found),
        number=number,
        pages=max(-(-len(found) // PER_PAGE), 1),
        rows=[(user, status, health(status)) for user in shown for status in statuses.status(db, user.id)],
    )


async def show_user(request: web.Request, who: Visitor) -> web.Response:
    """One user: accounts, state of the calendars, and appointments that failed. Nothing else of the calendars."""
    db = request.app[CONTEXT].db
    user = _user(request, who)
    (user_status,) = statuses.status(db, user.id)
    return page(
        request, "user.html", user=user, fixed=fixed_of(db, user.id), user_status=user_status, failed_shown=FAILED
    )


async def make_link(request: web.Request, who: Visitor) -> web.Response:
    """Make a settings link for a user, and show it. It can't be shown again."""
    context = request.app[CONTEXT]
    user = _user(request, who)
    secret, expires_at = sessions.make_link(context.db, user.id, actor=who.actor, now=context.clock())
    url = sessions.link_address(request.app[SETTINGS].sidecar.address, secret)
    return page(request, "settings_link.html", user=user, url=url, expires_at=expires_at)


async def sign_user_out(request: web.Request, who: Visitor) -> web.Response:
    """End every session of a user."""
    context = request.app[CONTEXT]
    user = _user(request, who)
    sessions.sign_out_everywhere(context.db, Visitor(user, None, frozenset()), now=context.clock())
    audit.record(context.db, who.actor, "user signed out everywhere", user.id, now=context.clock())
    return redirect(request, f"/users/{user.id}?done=user-signed-out")


async def retry(request: web.Request, who: Visitor) -> web.Response:
    """Try a failed appointment of a user again."""
    user = _user(request, who)
    try_again(request, user, request.match_info["appointment"])
    return redirect(request, f"/users/{user.id}?done=retried")


async def system(request: web.Request, _who: Visitor) -> web.Response:
    """Connections, queues, tokens, audit log."""
    return _system(request)


async def add_token(request: web.Request, who: Visitor) -> web.Response:
    """Make an API token, and show it. It can't be shown again."""
    context = request.app[CONTEXT]
    label = (await field(request, "label")).strip()[:60]
    scopes = (await form(request)).getall("scope", [])
    locations = (await field(request, "locations")).split()
    if not label or not scopes or not set(scopes) <= set(users.SCOPES):
        return _system(request, status=422, problem="Say what the token is for, and choose what it may do.")
    token_id, token = users.add_token(
        context.db, label=label, location_ids=locations, scopes=scopes, now=context.clock()
    )
    audit.record(context.db, who.actor, "API token made", token_id, now=context.clock())
    return page(request, "token_made.html", label=label, made=token)


async def show_revoke_token(request: web.Request, _who: Visitor) -> web.Response:
    """Ask for confirmation before a token is revoked."""
    for token in users.list_tokens(request.app[CONTEXT].db):
        if token.id == request.match_info["token"] and token.revoked_at is None:
            return page(request, "revoke_token.html", revoked=token)
    raise web.HTTPNotFound


async def revoke_token(request: web.Request, who: Visitor) -> web.Response:
    """Revoke an API token."""
    context = request.app[CONTEXT]
    users.revoke_token(context.db, request.match_info["token"], context.clock())
    audit.record(context.db, who.actor, "API token revoked", request.match_info["token"], now=context.clock())
    return redirect(request, "/system?done=token-revoked")


def health(status: UserStatus) -> tuple[str, str]:
    """A user's health: `good`, `wait` or `bad`, and a few words."""
    if any(account.state == AccountState.NEEDS_PASSWORD for account in status.accounts):
        return "bad", "Needs a new password"
    if status.failed:
        return "bad", "Appointments failed"
    if any(account.state != AccountState.CONNECTED for account in status.accounts):
        return "wait", "Not reachable at the moment"
    if any(calendar.trouble for account in status.accounts for calendar in account.calendars):
        return "wait", "A calendar can't be read"
    if status.advice:
        return "wait", "Not set up yet"
    return "good", "OK"


def _system(request: web.Request, *, status: int = 200, problem: str = "") -> web.Response:
    db = request.app[CONTEXT].db
    number = page_number(request)
    audited = audit.latest(db, limit=PER_PAGE + 1, offset=(number - 1) * PER_PAGE)
    return page(
        request,
        "system.html",
        status=status,
        problem=problem,
        counts=overview.counts(db),
        webhooks=webhooks.standings(db)[:PER_PAGE],
        tokens=[token for token in users.list_tokens(db) if token.revoked_at is None],
        scopes=users.SCOPES,
        audited=audited[:PER_PAGE],
        number=number,
        more=len(audited) > PER_PAGE,
    )


def _user(request: web.Request, who: Visitor) -> User:
    user = users.get_user(request.app[CONTEXT].db, request.match_info["user"])
    if not who.sees(user):
        raise web.HTTPNotFound
    return user


def _fits(user: User, words: list[str]) -> bool:
    text = f"{user.id} {user.name} {user.location_id}".casefold()
    return all(word in text for word in words)
