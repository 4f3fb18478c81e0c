"""My Profile > Integrations: connecting, reconnecting and disconnecting accounts."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from bridge.domain.declared import What
from bridge.domain.english import count
from bridge.domain.model import Account, User
from bridge.errors import AccountNotConnected, Unknown
from bridge.service import audit, connect, preview, roles
from bridge.service.fixed import fixed_of, refuse_what_is_fixed
from bridge.web.keys import CONTEXT, SETTINGS
from bridge.web.pages import words
from bridge.web.pages.guard import field, visitor
from bridge.web.pages.render import page, redirect
from bridge.web.pages.sign_in import ATTEMPTS

#: The provider in the form for accounts whose server is typed as an address.
OTHER = "other"


async def show(request: web.Request, user: User) -> web.Response:
    """The connected accounts, and the providers that can be connected."""
    db = request.app[CONTEXT].db
    return page(
        request,
        "integrations.html",
        fixed=fixed_of(db, user.id),
        accounts=connect.list_accounts(db, user.id),
        calendars=[calendar for calendar in roles.list_calendars(db, user.id) if calendar.present],
        providers=_providers(request),
    )


async def show_connect(request: web.Request, user: User) -> web.Response:
    """The form that connects an account, or reconnects one that is known."""
    account = _account(request, user, request.query["account"]) if "account" in request.query else None
    if account is not None:
        refuse_what_is_fixed(request.app[CONTEXT].db, What.ACCOUNT, account.id)
    provider = account.provider if account else request.query.get("provider", "icloud")
    if account is None and provider not in _providers(request):
        raise web.HTTPNotFound
    return _form(request, provider, username=account.username if account else "", account=account)


async def connect_account(request: web.Request, user: User) -> web.Response:
    """Try a login, and connect the account if it works."""
    context = request.app[CONTEXT]
    provider, username = await field(request, "provider"), (await field(request, "username")).strip()
    typed, password = (await field(request, "address")).strip(), (await field(request, "password")).strip()
    known = await field(request, "account")
    account = _account(request, user, known) if known else None
    if account is not None:
        provider, username = account.provider, account.username
    elif provider not in _providers(request):
        raise web.HTTPNotFound

    def again(trouble: words.Trouble, status: int = 422) -> web.Response:
        return _form(
            request, provider, username=username, address=typed, account=account, trouble=trouble, status=status
        )

    if not username or not password:
        return again(words.Trouble("Something is missing.", "Fill in both the user name and the password."))
    service = _server(typed) if account is None and provider == OTHER else provider
    if isinstance(service, words.Trouble):
        return again(service)
    attempts, who = request.app[ATTEMPTS], f"connecting {user.id}"
    if wait := attempts.wait(who, now=context.clock()):
        minutes = count(-(-wait // 60), "minute")
        return again(words.Trouble("Too many failed tries.", f"Wait {minutes}, then try again."), 429)
    try:
        connected = await connect.connect(context, user.id, service, username, password)
    except AccountNotConnected as error:
        attempts.fail(who, now=context.clock())
        return again(words.not_connected(error))
    audit.record(context.db, visitor(request).actor, "account connected", connected.id, now=context.clock())
    return redirect(request, "/profile/integrations?done=connected")


async def show_disconnect(request: web.Request, user: User) -> web.Response:
    """What disconnecting will do."""
    context = request.app[CONTEXT]
    account = _account(request, user, request.match_info["account"])
    refuse_what_is_fixed(context.db, What.ACCOUNT, account.id)
    will = preview.disconnect_preview(context.db, user.id, account.id, now=context.clock())
    return page(request, "disconnect.html", account=account, will=will)


async def disconnect(request: web.Request, user: User) -> web.Response:
    """Disconnect an account."""
    context = request.app[CONTEXT]
    await connect.disconnect(context, user.id, request.match_info["account"])
    audit.record(
        context.db, visitor(request).actor, "account disconnected", request.match_info["account"], now=context.clock()
    )
    return redirect(request, "/profile/integrations?done=disconnected")


def _form(
    request: web.Request,
    provider: str,
    *,
    username: str = "",
    address: str = "",
    account: Account | None = None,
    trouble: words.Trouble | None = None,
    status: int = 200,
) -> web.Response:
    return page(
        request,
        "connect.html",
        status=status,
        provider=provider,
        username=username,
        address=address,
        account=account,
        trouble=trouble,
        asks_for_address=provider == OTHER,
    )


def _providers(request: web.Request) -> list[str]:
    """The providers that can be connected, iCloud first."""
    settings = request.app[SETTINGS]
    others = sorted(name for name in settings.providers if name != "icloud")
    return ["icloud", *others, *([OTHER] if settings.pages.other_servers else [])]


def _account(request: web.Request, user: User, account_id: str) -> Account:
    for account in connect.list_accounts(request.app[CONTEXT].db, user.id):
        if account.id == account_id:
            return account
    raise Unknown("account", account_id)


def _server(typed: str) -> str | words.Trouble:
    """A server's address in the form in which it names a provider, or what is wrong with it. People leave "https://"
    out, as browsers let them."""
    try:
        parts = urlsplit(typed if "://" in typed else f"https://{typed}")
        whole = bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return words.NO_ADDRESS
    if whole and parts.scheme == "http":
        return words.INSECURE
    if not whole or parts.scheme != "https" or " " in typed:
        return words.NO_ADDRESS
    return f"https://{parts.netloc.lower()}{parts.path if parts.path.endswith('/') else parts.path + '/'}"
