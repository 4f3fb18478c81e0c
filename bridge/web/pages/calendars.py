"""My Profile > Calendar Configuration: the Primary calendar, conflict calendars, and the settings of each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from bridge.domain.declared import What
from bridge.domain.model import Account, Calendar, Role, SlotSettings, Titles, User
from bridge.errors import NotWritable, Unknown
from bridge.service import audit, connect, preview, roles
from bridge.service.fixed import fixed_of, refuse_what_is_fixed
from bridge.web.keys import CONTEXT
from bridge.web.pages.guard import field, form, visitor
from bridge.web.pages.render import page, redirect


@dataclass(frozen=True, slots=True)
class AccountCalendars:
    """An account with its calendars."""

    account: Account
    calendars: tuple[Calendar, ...]


async def show(request: web.Request, user: User) -> web.Response:
    """The calendars that have a role."""
    calendars = roles.list_calendars(request.app[CONTEXT].db, user.id)
    accounts = {account.id: account for account in connect.list_accounts(request.app[CONTEXT].db, user.id)}
    return page(
        request,
        "calendars.html",
        fixed=fixed_of(request.app[CONTEXT].db, user.id),
        accounts=accounts,
        primary=next((calendar for calendar in calendars if calendar.role == Role.PRIMARY), None),
        conflicts=[calendar for calendar in calendars if calendar.role == Role.CONFLICT],
    )


async def edit_primary(request: web.Request, user: User) -> web.Response:
    """The form that chooses the Primary."""
    refuse_what_is_fixed(request.app[CONTEXT].db, What.PRIMARY, user.id)
    return page(request, "primary.html", groups=_groups(request, user), problem="")


async def choose_primary(request: web.Request, user: User) -> web.Response:
    """Show what changing the Primary will do; once confirmed, do it."""
    refuse_what_is_fixed(request.app[CONTEXT].db, What.PRIMARY, user.id)
    before = roles.list_calendars(request.app[CONTEXT].db, user.id)
    chosen = await field(request, "primary")
    if not chosen:
        problem = "Choose a calendar first."
        return page(request, "primary.html", status=422, groups=_groups(request, user), problem=problem)
    keep_old = bool(await field(request, "keep_old"))
    conflicts = [calendar.id for calendar in before if calendar.role == Role.CONFLICT and calendar.id != chosen]
    conflicts += [calendar.id for calendar in before if keep_old and calendar.role == Role.PRIMARY and calendar.present]
    kept = {"primary": chosen, **({"keep_old": "yes"} if keep_old else {})}
    return await _choose(request, user, chosen, conflicts, kept=kept, to="primary")


async def edit_conflicts(request: web.Request, user: User) -> web.Response:
    """The form that chooses the conflict calendars."""
    fixed_accounts = fixed_of(request.app[CONTEXT].db, user.id).conflicts
    return page(request, "conflicts.html", groups=_groups(request, user), fixed_accounts=fixed_accounts)


async def choose_conflicts(request: web.Request, user: User) -> web.Response:
    """Show what changing the conflict calendars will do; once confirmed, do it."""
    calendars = roles.list_calendars(request.app[CONTEXT].db, user.id)
    primary = next((calendar.id for calendar in calendars if calendar.role == Role.PRIMARY), None)
    fixed_accounts = fixed_of(request.app[CONTEXT].db, user.id).conflicts
    fixed = {calendar.id: calendar for calendar in calendars if calendar.account_id in fixed_accounts}
    chosen = [calendar.id for calendar in fixed.values() if calendar.role == Role.CONFLICT]
    given = (await form(request)).getall("conflict", [])
    chosen += [calendar_id for calendar_id in given if calendar_id != primary and calendar_id not in fixed]
    return await _choose(request, user, primary, chosen, kept={"conflict": chosen}, to="conflicts")


async def _choose(
    request: web.Request,
    user: User,
    primary: str | None,
    conflicts: list[str],
    *,
    kept: dict[str, str] | dict[str, list[str]],
    to: str,
) -> web.Response:
    context = request.app[CONTEXT]
    try:
        will = preview.roles_preview(context.db, user.id, primary=primary, conflicts=conflicts, now=context.clock())
    except NotWritable:
        problem = "This calendar is read-only, so appointments can't be written to it. Choose another."
        return page(request, "primary.html", status=422, groups=_groups(request, user), problem=problem)
    if not will.changes:
        return redirect(request, "/profile/calendars?done=unchanged")
    if not await field(request, "confirmed"):
        fields = [(name, value) for name, values in kept.items() for value in _listed(values)]
        return page(request, "roles_preview.html", will=will, fields=fields, back=f"/profile/calendars/{to}")
    await roles.choose(context, user.id, primary=primary, conflicts=conflicts)
    audit.record(context.db, visitor(request).actor, f"{to} chosen", primary or "none", now=context.clock())
    return redirect(request, f"/profile/calendars?done={to}")


async def edit_settings(request: web.Request, user: User) -> web.Response:
    """The form for which events of a calendar block time, and what is shown of them."""
    refuse_what_is_fixed(request.app[CONTEXT].db, What.SLOTS, request.match_info["calendar"])
    return page(request, "calendar_settings.html", calendar=_calendar(request, user), will=None, settings=None)


async def save_settings(request: web.Request, user: User) -> web.Response:
    """Show what changing the settings will do; once confirmed, do it."""
    context = request.app[CONTEXT]
    calendar = _calendar(request, user)
    refuse_what_is_fixed(context.db, What.SLOTS, calendar.id)
    given = await form(request)
    settings = SlotSettings(
        titles=Titles.TITLE if given.get("titles") == Titles.TITLE else Titles.BUSY,
        all_day_blocks="all_day" in given,
        unanswered_blocks="unanswered" in given,
        tentative_blocks="tentative" in given,
        travel_blocks="travel" in given,
    )
    if settings == calendar.settings:
        return redirect(request, "/profile/calendars?done=unchanged")
    # In threads: both read every event of the calendar, which may take seconds.
    if "confirmed" not in given:
        will = await asyncio.to_thread(
            preview.settings_preview, context.db, user.id, calendar.id, settings, now=context.clock()
        )
        return page(request, "calendar_settings.html", calendar=calendar, will=will, settings=settings)
    await asyncio.to_thread(roles.set_slot_settings, context, user.id, calendar.id, settings)
    audit.record(context.db, visitor(request).actor, "calendar settings saved", calendar.id, now=context.clock())
    return redirect(request, "/profile/calendars?done=settings")


def _calendar(request: web.Request, user: User) -> Calendar:
    for calendar in roles.list_calendars(request.app[CONTEXT].db, user.id):
        if calendar.id == request.match_info["calendar"] and calendar.role != Role.NONE:
            return calendar
    raise Unknown("calendar", request.match_info["calendar"])


def _groups(request: web.Request, user: User) -> list[AccountCalendars]:
    """Connected accounts with the calendars that are still there."""
    db = request.app[CONTEXT].db
    calendars = [calendar for calendar in roles.list_calendars(db, user.id) if calendar.present]
    return [
        AccountCalendars(account, tuple(calendar for calendar in calendars if calendar.account_id == account.id))
        for account in connect.list_accounts(db, user.id)
    ]


def _listed(values: str | list[str]) -> list[str]:
    return [values] if isinstance(values, str) else values
