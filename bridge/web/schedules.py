"""Schedules over HTTP: working hours of Users, and of booking calendars."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from bridge.domain.schedules import Schedule, rule_problems
from bridge.service import booking_calendars
from bridge.service.booking_calendars import Expect, ScheduleChange
from bridge.service.idempotency import Answer
from bridge.web import idempotency, requests
from bridge.web.keys import CONTEXT
from bridge.web.reader import Reader
from bridge.web.requests import Body
from bridge.web.shapes.schedules import ScheduleBody, SchedulesQuery
from bridge.web.times import format_utc

PATH = "/v1/calendars/schedules"
MOST = 500


async def create(request: web.Request) -> web.Response:
    """Create a schedule for a user."""
    context = request.app[CONTEXT]
    body = await requests.body_of(request, ScheduleBody)
    reader = Reader(list(body.problems))
    location_id = reader.location(requests.location_for(request, body.value.location_id))
    for name, value in (("userId", body.value.user_id), ("name", body.value.name), ("timezone", body.value.timezone)):
        if value is None:
            reader.wrong(name, "missing", "A schedule has a userId, a name and a timezone.")
    change = _change(reader, body.value)
    return idempotency.once(
        request,
        body.fingerprint,
        lambda also: booking_calendars.create_schedule(
            context.db, location_id, body.value.user_id or "", change, now=context.clock(), also=also
        ),
        lambda schedule: _made(schedule, body),
    )


async def read(request: web.Request) -> web.Response:
    """Get a schedule."""
    schedule = booking_calendars.get_schedule(
        request.app[CONTEXT].db, request.match_info["scheduleId"], locations=requests.locations_of(request)
    )
    return _answer(request, schedule)


async def search(request: web.Request) -> web.Response:
    """List the schedules of a location, of a user or for a booking calendar."""
    query, reader = requests.query_of(request, SchedulesQuery)
    location_id = reader.location(requests.location_for(request, query.location_id))
    reader.done()
    found = booking_calendars.search_schedules(
        request.app[CONTEXT].db,
        location_id,
        user_id=query.user_id,
        calendar_id=query.calendar_id,
        skip=query.skip,
        limit=min(query.limit, MOST),
    )
    return web.json_response({"schedules": [document(schedule) for schedule in found]})


async def update(request: web.Request) -> web.Response:
    """Change a schedule."""
    context = request.app[CONTEXT]
    body = await requests.body_of(request, ScheduleBody)
    schedule = booking_calendars.update_schedule(
        context.db,
        request.match_info["scheduleId"],
        _change(_reader_of_change(body), body.value),
        locations=requests.locations_of(request),
        expect=_expected(request),
        now=context.clock(),
    )
    return _answer(request, schedule, headers=body.ignored())


async def delete(request: web.Request) -> web.Response:
    """Remove a schedule."""
    booking_calendars.delete_schedule(
        request.app[CONTEXT].db,
        request.match_info["scheduleId"],
        locations=requests.locations_of(request),
        expect=_expected(request),
    )
    return web.json_response({"success": True})


async def associate(request: web.Request) -> web.Response:
    """Apply a schedule to a booking calendar (PUT), or stop applying it (DELETE)."""
    context = request.app[CONTEXT]
    schedule = booking_calendars.associate(
        context.db,
        request.match_info["scheduleId"],
        request.match_info["calendarId"],
        applies=request.method != "DELETE",
        locations=requests.locations_of(request),
        expect=_expected(request),
        now=context.clock(),
    )
    return _answer(request, schedule)


async def read_of_calendar(request: web.Request) -> web.Response:
    """Get a booking calendar's own schedule."""
    schedule = booking_calendars.calendar_schedule(
        request.app[CONTEXT].db, request.match_info["calendarId"], locations=requests.locations_of(request)
    )
    return _answer(request, schedule)


async def create_of_calendar(request: web.Request) -> web.Response:
    """Create a booking calendar's own schedule. If there is one already, it is changed."""
    body = await requests.body_of(request, ScheduleBody)
    reader = Reader(list(body.problems))
    if body.value.timezone is None:
        reader.wrong("timezone", "missing", "Give the time zone of these times: an IANA time zone name.")
    change, context = _change(reader, body.value), request.app[CONTEXT]
    return idempotency.once(
        request,
        body.fingerprint,
        lambda also: booking_calendars.set_calendar_schedule(
            context.db,
            request.match_info["calendarId"],
            change,
            locations=requests.locations_of(request),
            create=True,
            also=also,
            now=context.clock(),
        ),
        lambda schedule: _made(schedule, body),
    )


async def update_of_calendar(request: web.Request) -> web.Response:
    """Change a booking calendar's own schedule."""
    body = await requests.body_of(request, ScheduleBody)
    context = request.app[CONTEXT]
    schedule = booking_calendars.set_calendar_schedule(
        context.db,
        request.match_info["calendarId"],
        _change(_reader_of_change(body), body.value),
        locations=requests.locations_of(request),
        create=False,
        expect=_expected(request),
        now=context.clock(),
    )
    return _answer(request, schedule, headers=body.ignored())


def document(schedule: Schedule) -> dict[str, Any]:
    """The JSON of a schedule."""
    return {
        "id": schedule.id,
        "locationId": schedule.location_id,
        "userId": schedule.user_id,
        "name": schedule.name,
        "timezone": schedule.time_zone,
        "rules": list(schedule.rules),
        "calendarIds": list(schedule.calendar_ids),
        "dateAdded": format_utc(schedule.created_at),
        "dateUpdated": format_utc(schedule.updated_at),
    }


def _expected(request: web.Request) -> Expect[Schedule]:
    return lambda current: requests.expect_tag(request, requests.tag_of(document(current)))


def _made(schedule: Schedule, body: Body[ScheduleBody]) -> Answer:
    headers = {"Location": f"{PATH}/{schedule.id}", "ETag": requests.tag_of(document(schedule)), **body.ignored()}
    return Answer(201, json.dumps({"schedule": document(schedule)}, ensure_ascii=False), headers)


def _answer(request: web.Request, schedule: Schedule, **rest: Any) -> web.Response:
    return requests.tagged(request, "schedule", document(schedule), **rest)


def _reader_of_change(body: Body[ScheduleBody]) -> Reader:
    """A Reader with the problems that the body of a change has, and that of a new schedule has not."""
    reader = Reader(list(body.problems))
    reader.not_cleared(body.value, "name", "timezone", "rules", "calendar_ids")
    return reader


def _change(reader: Reader, body: ScheduleBody) -> ScheduleChange:
    """The change that a body describes. Raises `Invalid`."""
    zone = reader.zone(body.timezone)
    rules = None
    if body.rules is not None:
        rules = [rule.model_dump(by_alias=True, exclude_none=True, mode="json") for rule in body.rules]
        if not reader.is_wrong("rules"):
            reader.problems += rule_problems(rules)
    reader.done()
    return ScheduleChange(name=body.name, time_zone=zone, rules=rules, calendar_ids=body.calendar_ids)
