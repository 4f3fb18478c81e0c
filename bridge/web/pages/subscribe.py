"""My Profile > Subscribe: the merged calendar's address, a password for each device, and steps for each program."""

from __future__ import annotations

import io
from urllib.parse import urlsplit

import segno
from aiohttp import web
from markupsafe import Markup

import bridge as package
from bridge.domain.model import User
from bridge.service import audit, sessions, users
from bridge.web.keys import CONTEXT, SETTINGS
from bridge.web.pages import mobileconfig
from bridge.web.pages.guard import field, visitor
from bridge.web.pages.render import page, redirect

LONGEST_LABEL = 60
#: The most revoked passwords that are shown, newest first.
REVOKED_SHOWN = 10


async def show(request: web.Request, user: User) -> web.Response:
    """The address, the passwords, the steps."""
    return _page(request, user)


async def add_password(request: web.Request, user: User) -> web.Response:
    """Make a password for a device, and show it. It can't be shown again."""
    context = request.app[CONTEXT]
    label = await _label(request)
    if not label:
        return _page(request, user, status=422, problem="Say which device or program it is for.")
    password_id, password = users.add_password(context.db, user.id, label, context.clock())
    audit.record(context.db, visitor(request).actor, "calendar password made", password_id, now=context.clock())
    return page(
        request,
        "password_made.html",
        label=label,
        password=password,
        address=request.app[SETTINGS].radicale.calendar_address(user.id),
        user=user,
    )


async def download_profile(request: web.Request, user: User) -> web.Response:
    """A configuration profile for an iPhone, iPad or Mac, with a password made for it."""
    context = request.app[CONTEXT]
    label = await _label(request)
    if not _suits_apple(request):
        return _page(request, user, status=422)  # which says why
    if not label:
        return _page(request, user, status=422, profile_problem="Say which device it is for.")
    password_id, password = users.add_password(context.db, user.id, label, context.clock())
    audit.record(context.db, visitor(request).actor, "calendar password made", password_id, now=context.clock())
    body = mobileconfig.profile(
        address=request.app[SETTINGS].radicale.address,
        user_id=user.id,
        user_name=user.name,
        calendar_name=package.CALENDAR_NAME,
        password=password,
        password_id=password_id,
    )
    headers = {"Content-Disposition": f'attachment; filename="calendar-{user.id}.mobileconfig"'}
    return web.Response(body=body, content_type=mobileconfig.MEDIA_TYPE, headers=headers)


async def show_revoke(request: web.Request, user: User) -> web.Response:
    """Ask for confirmation before a password is revoked."""
    for one in users.list_passwords(request.app[CONTEXT].db, user.id):
        if one.id == request.match_info["password"] and one.revoked_at is None:
            return page(request, "revoke.html", password=one)
    raise web.HTTPNotFound


async def revoke(request: web.Request, user: User) -> web.Response:
    """Revoke a password."""
    context = request.app[CONTEXT]
    password_id = request.match_info["password"]
    users.revoke_password(context.db, user.id, password_id, context.clock())
    audit.record(context.db, visitor(request).actor, "calendar password revoked", password_id, now=context.clock())
    return redirect(request, "/profile/subscribe?done=revoked")


async def show_phone_link(request: web.Request, user: User) -> web.Response:
    """A settings link as a QR code, to go on with on a phone."""
    if request.app[SETTINGS].sidecar.is_here_only:
        return _page(request, user, status=422)  # which says why
    context = request.app[CONTEXT]
    secret, expires_at = sessions.make_link(context.db, user.id, actor=visitor(request).actor, now=context.clock())
    url = sessions.link_address(request.app[SETTINGS].sidecar.address, secret)
    return page(request, "phone.html", code=_qr(url), expires_at=expires_at)


def _page(
    request: web.Request, user: User, *, status: int = 200, problem: str = "", profile_problem: str = ""
) -> web.Response:
    settings = request.app[SETTINGS]
    newest_first = users.list_passwords(request.app[CONTEXT].db, user.id)[::-1]
    revoked = [one for one in newest_first if one.revoked_at is not None]
    server = urlsplit(settings.radicale.address)
    secure = settings.radicale.is_encrypted
    here = f"{settings.sidecar.address}profile/subscribe"
    return page(
        request,
        "subscribe.html",
        status=status,
        problem=problem,
        profile_problem=profile_problem,
        user=user,
        calendar_name=package.CALENDAR_NAME,
        address=settings.radicale.calendar_address(user.id),
        host=server.hostname,
        port=server.port or (443 if secure else 80),
        principal=f"{server.path}{user.id}/",
        secure=secure,
        suits_apple=_suits_apple(request),
        calendars_here_only=settings.radicale.is_here_only,
        pages_here_only=settings.sidecar.is_here_only,
        passwords=[one for one in newest_first if one.revoked_at is None],
        revoked=revoked[:REVOKED_SHOWN],
        here=here,
        code=_qr(here),
    )


def _suits_apple(request: web.Request) -> bool:
    """Whether an iPhone, iPad or Mac can use the calendar's address: they send passwords over https only."""
    radicale = request.app[SETTINGS].radicale
    return radicale.is_encrypted and not radicale.is_here_only


async def _label(request: web.Request) -> str:
    return " ".join((await field(request, "label")).split())[:LONGEST_LABEL]


def _qr(text: str) -> Markup:
    """A QR code as SVG. Drawn dark on light in either colour scheme, as cameras want it."""
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", xmldecl=False, svgns=False, scale=1, border=3, omitsize=True, svgclass="qr", lineclass=None,
        dark="#000", light="#fff",
    )  # fmt: skip
    return Markup(out.getvalue().decode())  # noqa: S704 - drawn by the library from modules, holds none of the text
