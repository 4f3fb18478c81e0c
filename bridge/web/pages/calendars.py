"""My Profile > Calendar Configuration: the Primary calendar, conflict calendars, and the settings of each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web
from multidict import MultiMapping

from bridge.domain.declared import What
from bridge.domain.model import Account, Calendar, Role, SlotSettings, Titles, User
from bridge.errors import NotWritable, Unknown
from bridge.service import audit, connect, preview, roles
from bridge.service.fixed import fixed_of, refuse_what_is_fixed
from bridge.web.keys import CONTEXT
from bridge.web.pages.guard import form, visitor
from bridge.web.pages.render import page, redirect

#: In the query with a choice: "yes" shows what it will do, anything else the form with it.
PREVIEW = "preview"


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
    """The form that chooses the Primary; with a choice, what that will do."""
    if request.query.get(PREVIEW) == "yes":
        return await choose_primary(request, user)
    refuse_what_is_fixed(request.app[CONTEXT].db, What.PRIMARY, user.id)
    return _primary_form(request, user)


async def choose_primary(request: web.Request, user: User) -> web.Response:
    """Change the Primary, or show what that will do."""
    refuse_what_is_fixed(request.app[CONTEXT].db, What.PRIMARY, user.id)
    before = roles.list_calendars(request.app[CONTEXT].db, user.id)
    given = await _given(request)
    chosen = given.get("primary", "")
    if not chosen:
        return _primary_form(request, user, problem="Choose a calendar first.")
    keep_old = "keep_old" in given
    conflicts = [calendar.id for calendar in before if calendar.role == Role.CONFLICT and calendar.id != chosen]
    conflicts += [calendar.id for calendar in before if keep_old and calendar.role == Role.PRIMARY and calendar.present]
    kept = {"primary": chosen, **({"keep_old": "yes"} if keep_old else {})}
    return await _choose(request, user, chosen, conflicts, kept=kept, to="primary")


async def edit_conflicts(request: web.Request, user: User) -> web.Response:
    """The form that chooses the conflict calendars; with a choice, what that will do."""
    if request.query.get(PREVIEW) == "yes":
        return await choose_conflicts(request, user)
    fixed_accounts = fixed_of(request.app[CONTEXT].db, user.id).conflicts
    chosen = set(request.query.getall("conflict", [])) if PREVIEW in request.query else None
    return page(request, "conflicts.html", groups=_groups(request, user), fixed_accounts=fixed_accounts, chosen=chosen)


async def choose_conflicts(request: web.Request, user: User) -> web.Response:
    """Change the conflict calendars, or show what that will do."""
    calendars = roles.list_calendars(request.app[CONTEXT].db, user.id)
    primary = next((calendar.id for calendar in calendars if calendar.role == Role.PRIMARY), None)
    fixed_accounts = fixed_of(request.app[CONTEXT].db, user.id).conflicts
    fixed = {calendar.id: calendar for calendar in calendars if calendar.account_id in fixed_accounts}
    chosen = [calendar.id for calendar in fixed.values() if calendar.role == Role.CONFLICT]
    given = (await _given(request)).getall("conflict", [])
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
        return _primary_form(request, user, problem=problem)
    if not will.changes:
        return redirect(request, "/profile/calendars?done=unchanged")
    if request.method != "POST":
        fields = [(name, value) for name, values in kept.items() for value in _listed(values)]
        return page(request, "roles_preview.html", will=will, fields=fields, back=_back(request))
    await roles.choose(context, user.id, primary=primary, conflicts=conflicts)
    audit.record(context.db, visitor(request).actor, f"{to} chosen", primary or "none", now=context.clock())
    return redirect(request, f"/profile/calendars?done={to}")


async def edit_settings(request: web.Request, user: User) -> web.Response:
    """The form for which events of a calendar block time and how they look; with a choice, what that will do."""
    if request.query.get(PREVIEW) == "yes":
        return await save_settings(request, user)
    refuse_what_is_fixed(request.app[CONTEXT].db, What.SLOTS, request.match_info["calendar"])
    calendar = _calendar(request, user)
    settings = _settings(request.query) if PREVIEW in request.query else calendar.settings
    return page(request, "calendar_settings.html", calendar=calendar, will=None, settings=settings)


async def save_settings(request: web.Request, user: User) -> web.Response:
    """Change the settings, or show what that will do."""
    context = request.app[CONTEXT]
    calendar = _calendar(request, user)
    refuse_what_is_fixed(context.db, What.SLOTS, calendar.id)
    settings = _settings(await _given(request))
    if settings == calendar.settings:
        return redirect(request, "/profile/calendars?done=unchanged")
    # In threads: both read every event of the calendar, which may take seconds.
    if request.method != "POST":
        will = await asyncio.to_thread(
            preview.settings_preview, context.db, user.id, calendar.id, settings, now=context.clock()
        )
        back = _back(request)
        return page(request, "calendar_settings.html", calendar=calendar, will=will, settings=settings, back=back)
    await asyncio.to_thread(roles.set_slot_settings, context, user.id, calendar.id, settings)
    audit.record(context.db, visitor(request).actor, "calendar settings saved", calendar.id, now=context.clock())
    return redirect(request, "/profile/calendars?done=settings")


async def _given(request: web.Request) -> MultiMapping[str]:
    """What was chosen: in the query while it is looked at, in a form once it is to be done.

    Looking changes nothing, so Back, Reload and signing in again all lead to the same page.
    """
    return await form(request) if request.method == "POST" else request.query


def _back(request: web.Request) -> str:
    """The form with what was chosen in it."""
    return str(request.rel_url.update_query({PREVIEW: "no"}))


def _settings(given: MultiMapping[str]) -> SlotSettings:
    return SlotSettings(
        titles=Titles.TITLE if given.get("titles") == Titles.TITLE else Titles.BUSY,
        all_day_blocks="all_day" in given,
        unanswered_blocks="unanswered" in given,
        tentative_blocks="tentative" in given,
        travel_blocks="travel" in given,
    )


def _primary_form(request: web.Request, user: User, *, problem: str = "") -> web.Response:
    given = request.query
    return page(
        request,
        "primary.html",
        status=422 if problem else 200,
        groups=_groups(request, user),
        problem=problem,
        chosen=given.get("primary"),
        keep_old=PREVIEW not in given or "keep_old" in given,
    )


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
