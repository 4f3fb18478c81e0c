"""Calendar: the merged calendar by week, day and month, and why something is blocked."""

from __future__ import annotations

import asyncio
import datetime as dt

from aiohttp import web

from bridge.domain.model import Calendar, Interval, Role, User
from bridge.service import agenda, connect, explain, roles
from bridge.web.keys import CONTEXT
from bridge.web.pages import layout
from bridge.web.pages.conventions import Conventions
from bridge.web.pages.guard import page_number, visitor
from bridge.web.pages.render import LANES, conventions_of, page

#: The most entries that are shown for a day, by view. This keeps every page below 100 kB.
MOST = {"day": 120, "week": 24, "month": 4}
#: The most entries that are drawn side by side, by view: with more, no part of their titles would be visible.
_LANES = {"day": LANES, "week": 3, "month": LANES}
_FIRST, _LAST = dt.date(1971, 1, 1), dt.date(2199, 12, 31)


async def show(request: web.Request, user: User) -> web.Response:
    """The merged calendar."""
    reads = conventions_of(request, visitor(request))
    view = request.query.get("view", "week")
    if view not in MOST:
        raise web.HTTPNotFound
    context = request.app[CONTEXT]
    today = reads.local(context.clock()).date()
    date = _date(request.query.get("date", ""), today)
    dates = _dates(view, date, reads)
    span = Interval(reads.midnight(dates[0]), reads.midnight(dates[-1] + dt.timedelta(days=1)))
    # In a thread: it reads the events of calendars that show titles, which may take long.
    found = await asyncio.to_thread(agenda.agenda, context.db, user, span)
    most, lanes, number = MOST[view], _LANES[view], page_number(request)
    if view == "day":
        days = [layout.day_of(found, date, reads, most=most, lanes=lanes, skip=(number - 1) * most)]
    else:
        days = layout.days_of(found, dates, reads, most=most, lanes=lanes)
    calendars = roles.list_calendars(context.db, user.id)
    return page(
        request,
        "month.html" if view == "month" else "week.html",
        view=view,
        date=date,
        today=today,
        number=number,
        days=days,
        hours=layout.hours(days),
        known_hours=any(day.working for day in days),
        connected=bool(connect.list_accounts(context.db, user.id)),
        before=_step(view, date, -1),
        after=_step(view, date, 1),
        calendars=[calendar for calendar in calendars if calendar.role != Role.NONE],
        colours=colours(calendars),
    )


async def why(request: web.Request, user: User) -> web.Response:
    """Why something is blocked."""
    context = request.app[CONTEXT]
    try:
        at = int(request.query.get("at", ""))
    except ValueError:
        raise web.HTTPNotFound from None
    if not 0 <= at < 2**35:
        raise web.HTTPNotFound
    href = request.query.get("item", "")
    # In a thread: it reads events, which may take long.
    told = await asyncio.to_thread(explain.slot, context.db, user, href, at, now=context.clock())
    return page(request, "why.html", told=told)


#: For calendars without a usable colour.
_PALETTE = ("#3a6fd8", "#c2571a", "#2f8f5b", "#8a4fc7", "#b3364f", "#0f7f8c", "#8a6d1f", "#5f6b7a")


def colours(calendars: list[Calendar]) -> dict[str, str]:
    """A colour for each calendar, by its id, as #rrggbb: its own if it can be used, otherwise one of the palette."""
    found = {}
    for number, calendar in enumerate(sorted(calendars, key=lambda c: c.id)):
        own = (calendar.colour or "")[:7]
        usable = len(own) == 7 and own[0] == "#" and all(c in "0123456789abcdefABCDEF" for c in own[1:])
        found[calendar.id] = own if usable else _PALETTE[number % len(_PALETTE)]
    return found


def _date(text: str, today: dt.date) -> dt.date:
    if not text:
        return today
    try:
        date = dt.date.fromisoformat(text)
    except ValueError:
        raise web.HTTPNotFound from None
    return min(max(date, _FIRST), _LAST)


def _dates(view: str, date: dt.date, reads: Conventions) -> list[dt.date]:
    if view == "day":
        return [date]
    if view == "week":
        first = reads.week_start(date)
        return [first + dt.timedelta(days=n) for n in range(7)]
    first = reads.week_start(date.replace(day=1))
    last = _step("month", date.replace(day=1), 1) - dt.timedelta(days=1)
    weeks = ((last - first).days // 7) + 1
    return [first + dt.timedelta(days=n) for n in range(weeks * 7)]


def _step(view: str, date: dt.date, by: int) -> dt.date:
    if view == "month":
        months = date.year * 12 + date.month - 1 + by
        return dt.date(months // 12, months % 12 + 1, 1)
    return date + dt.timedelta(days=by * (7 if view == "week" else 1))
