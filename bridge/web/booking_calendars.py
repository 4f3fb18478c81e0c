"""Booking calendars over HTTP. CRMs call them calendars."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from bridge.domain.booking_calendars import DEFAULT_MINUTES, BookingCalendar
from bridge.service import booking_calendars
from bridge.service.booking_calendars import CalendarChange, Expect
from bridge.service.idempotency import Answer
from bridge.web import idempotency, requests
from bridge.web.keys import CONTEXT
from bridge.web.reader import Reader
from bridge.web.shapes.booking_calendars import CalendarBody, CalendarsQuery
from bridge.web.threads import in_thread
from bridge.web.times import format_utc

PATH = "/v1/calendars"
#: The longest slot, in minutes.
LONGEST_SLOT = 1440
#: The settings of a booking calendar on which the CRM has set nothing.
_DEFAULTS: dict[str, Any] = {
    "calendarType": "round_robin",
    "slotDurationUnit": "mins",
    "slotInterval": DEFAULT_MINUTES,
    "slotIntervalUnit": "mins",
    "preBuffer": 0,
    "preBufferUnit": "mins",
    "slotBuffer": 0,
    "slotBufferUnit": "mins",
    "appointmentPerSlot": 1,
    "autoConfirm": True,
    "isActive": True,
}
#: Fields that are not stored among the settings.
_APART = {"locationId", "name", "teamMembers", "userIds", "slotDuration", "anyFreeTime"}
#: HighLevel's spelling of some settings.
_MISSPELT = {"appoinmentPerSlot": "appointmentPerSlot", "appoinmentPerDay": "appointmentPerDay"}


async def create(request: web.Request) -> web.Response:
    """Create a booking calendar."""
    context = request.app[CONTEXT]
    body = await requests.body_of(request, CalendarBody)
    reader = Reader(list(body.problems))
    location_id = reader.location(requests.location_for(request, body.value.location_id))
    if body.value.name is None:
        reader.wrong("name", "missing", "Give the calendar a name.")
    change = _change(reader, body.value, None)
    return idempotency.once(
        request,
        body.fingerprint,
        lambda also: booking_calendars.create_calendar(context.db, location_id, change, now=context.clock(), also=also),
        lambda calendar: Answer(
            201,
            json.dumps({"calendar": document(calendar)}, ensure_ascii=False),
            {"Location": f"{PATH}/{calendar.id}", "ETag": requests.tag_of(document(calendar))},
        ),
    )


async def read(request: web.Request) -> web.Response:
    """Get a booking calendar."""
    calendar = booking_calendars.get_calendar(
        request.app[CONTEXT].db, request.match_info["calendarId"], locations=requests.locations_of(request)
    )
    return _answer(request, calendar)


async def list_all(request: web.Request) -> web.Response:
    """List the booking calendars of a location."""
    query, reader = requests.query_of(request, CalendarsQuery)
    location_id = reader.location(requests.location_for(request, query.location_id))
    reader.done()

    def answer() -> web.Response:
        found = booking_calendars.list_calendars(request.app[CONTEXT].db, location_id)
        return web.json_response({"calendars": [document(calendar) for calendar in found]})

    return await in_thread(request, answer)


async def update(request: web.Request) -> web.Response:
    """Change the settings of a booking calendar that are sent."""
    context = request.app[CONTEXT]
    body = await requests.body_of(request, CalendarBody)
    calendar_id, locations = request.match_info["calendarId"], requests.locations_of(request)
    current = booking_calendars.get_calendar(context.db, calendar_id, locations=locations)
    reader = Reader(list(body.problems))
    if body.value.location_id not in {None, current.location_id}:
        reader.wrong("locationId", "invalid_value", "A calendar stays in its location.")
    reader.not_cleared(body.value, "name")
    change = _change(reader, body.value, current)
    calendar = booking_calendars.update_calendar(
        context.db, calendar_id, change, locations=locations, expect=_expected(request), now=context.clock()
    )
    return _answer(request, calendar)


async def delete(request: web.Request) -> web.Response:
    """Remove a booking calendar. Existing appointments stay booked."""
    booking_calendars.delete_calendar(
        request.app[CONTEXT].db,
        request.match_info["calendarId"],
        locations=requests.locations_of(request),
        expect=_expected(request),
    )
    return web.json_response({"success": True})


def document(calendar: BookingCalendar) -> dict[str, Any]:
    """The JSON of a booking calendar."""
    settings = {**_DEFAULTS, **calendar.settings}
    members = settings.pop("teamMembers", None) or [{"userId": user_id} for user_id in calendar.user_ids]
    per_hour = 60 if settings["slotDurationUnit"] == "hours" else 1
    return {
        "id": calendar.id,
        "locationId": calendar.location_id,
        "name": calendar.name,
        "teamMembers": members,
        "userIds": list(calendar.user_ids),
        "slotDuration": calendar.slot_minutes // per_hour,
        **settings,
        **{wrong: settings[right] for wrong, right in _MISSPELT.items() if right in settings},
        "anyFreeTime": calendar.any_free_time,
        "dateAdded": format_utc(calendar.created_at),
        "dateUpdated": format_utc(calendar.updated_at),
    }


def _expected(request: web.Request) -> Expect[BookingCalendar]:
    return lambda current: requests.expect_tag(request, requests.tag_of(document(current)))


def _answer(request: web.Request, calendar: BookingCalendar) -> web.Response:
    return requests.tagged(request, "calendar", document(calendar))


def _change(reader: Reader, body: CalendarBody, current: BookingCalendar | None) -> CalendarChange:
    """The change that a body describes. Raises `Invalid`."""
    sent: dict[str, Any] = body.model_dump(by_alias=True, exclude_unset=True, mode="json")
    settings = {_MISSPELT.get(name, name): value for name, value in sent.items() if name not in _APART}
    for name in ("id", "dateAdded", "dateUpdated"):
        settings.pop(name, None)  # read-only fields, in a calendar that was read and is sent back
    user_ids = body.user_ids
    if body.team_members is not None:
        first = [m.user_id for m in body.team_members if (m.model_extra or {}).get("isPrimary") is True]
        user_ids = [*first, *(m.user_id for m in body.team_members)]
        settings["teamMembers"] = sent["teamMembers"]
    elif user_ids is not None:
        settings["teamMembers"] = None
    minutes = _slot_minutes(body, current)
    if not 1 <= minutes <= LONGEST_SLOT:
        reader.wrong("slotDuration", "out_of_range", f"{LONGEST_SLOT} minutes at most.")
    reader.done()
    return CalendarChange(
        name=body.name, user_ids=user_ids, slot_minutes=minutes, any_free_time=body.any_free_time, settings=settings
    )


def _slot_minutes(body: CalendarBody, current: BookingCalendar | None) -> int:
    unit = body.slot_duration_unit
    if unit is None and current is not None:
        unit = current.settings.get("slotDurationUnit")
    factor = 60 if unit == "hours" else 1
    if body.slot_duration is not None:
        return body.slot_duration * factor
    if current is None:
        return DEFAULT_MINUTES
    # Another unit alone changes what the number means.
    before = 60 if current.settings.get("slotDurationUnit") == "hours" else 1
    return current.slot_minutes // before * factor
