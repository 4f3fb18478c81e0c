"""Users and their calendar passwords over HTTP, for administrators."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from bridge.domain.booking_calendars import BookingCalendar
from bridge.domain.model import TwoWay, User
from bridge.service import connections, users
from bridge.service.idempotency import Answer
from bridge.web import audit, idempotency, requests
from bridge.web.keys import CONTEXT, SETTINGS
from bridge.web.reader import Reader
from bridge.web.shapes.users import CalendarPasswordBody, UserBody, UsersQuery
from bridge.web.threads import in_thread
from bridge.web.times import format_utc

PATH = "/v1/users"
PASSWORDS = PATH + "/{userId}/calendar-passwords"


async def create(request: web.Request) -> web.Response:
    """Add a user with a booking calendar."""
    context = request.app[CONTEXT]
    body = (await requests.body_of(request, UserBody)).strict()
    reader = Reader(list(body.problems))
    location_id = reader.location(requests.location_for(request, body.value.location_id))
    for name in ("id", "timezone"):
        if getattr(body.value, name) is None:
            reader.wrong(name, "missing", "This field is required.")
    reader.done()

    two_way = TwoWay(body.value.two_way or request.app[SETTINGS].defaults.two_way)

    def carry_out(also: users.AlsoUser) -> tuple[User, BookingCalendar]:
        return users.add_user(
            context.db,
            id=body.value.id or "",
            location_id=location_id,
            name=body.value.name or "",
            time_zone=body.value.timezone or "",
            now=context.clock(),
            two_way=two_way,
            also=also,
        )

    def answer_to(made: tuple[User, BookingCalendar]) -> Answer:
        user, calendar = made
        document = _shape(request, user, two_way, [calendar.id])
        return Answer(201, json.dumps(document, ensure_ascii=False), {"Location": f"{PATH}/{user.id}"})

    response = idempotency.once(request, body.fingerprint, carry_out, answer_to)
    if "Idempotency-Replayed" not in response.headers:
        audit.note(request, "user added", body.value.id or "")
    return response


async def read(request: web.Request) -> web.Response:
    """Get a user."""
    return web.json_response(_document(request, _user(request)))


async def list_all(request: web.Request) -> web.Response:
    """List the users that the token can see, of a location if one is named, sorted by id."""
    query, reader = requests.query_of(request, UsersQuery)
    reader.done()
    location_id = requests.location_for(request, query.location_id)

    def answer() -> web.Response:
        seen = users.list_users(request.app[CONTEXT].db, locations=requests.locations_of(request))
        found = [user for user in seen if location_id in {None, user.location_id}]
        return web.json_response({"users": [_document(request, user) for user in found]})

    return await in_thread(request, answer)


async def update(request: web.Request) -> web.Response:
    """Change a user's name, time zone, or what happens when they change an appointment's event in iCloud."""
    context = request.app[CONTEXT]
    body = (await requests.body_of(request, UserBody)).strict()
    user = _user(request)
    reader = Reader(list(body.problems))
    for name, value, current in (
        ("id", body.value.id, user.id),
        ("locationId", body.value.location_id, user.location_id),
    ):
        if value not in {None, current}:
            reader.wrong(name, "invalid_value", "It can't be changed.")
    reader.not_cleared(body.value, "name", "timezone", "two_way")
    reader.done()
    user = users.change_user(
        context.db,
        user.id,
        name=body.value.name,
        time_zone=body.value.timezone,
        two_way=None if body.value.two_way is None else TwoWay(body.value.two_way),
        now=context.clock(),
    )
    audit.note(request, "user changed", user.id)
    return web.json_response(_document(request, user))


async def delete(request: web.Request) -> web.Response:
    """Remove a user and all their data. Events in iCloud stay there."""
    user = _user(request)
    await connections.remove_user(request.app[CONTEXT], user.id)
    audit.note(request, "user removed", user.id)
    return web.Response(status=204)


async def list_passwords(request: web.Request) -> web.Response:
    """List a user's calendar passwords, without the passwords themselves, oldest first."""
    user = _user(request)
    found = users.list_passwords(request.app[CONTEXT].db, user.id)
    return web.json_response(
        {
            "calendarPasswords": [
                {
                    "id": one.id,
                    "label": one.label,
                    "dateAdded": format_utc(one.created_at),
                    "lastUsedAt": None if one.last_used_at is None else format_utc(one.last_used_at),
                    "revokedAt": None if one.revoked_at is None else format_utc(one.revoked_at),
                }
                for one in found
            ]
        }
    )


async def create_password(request: web.Request) -> web.Response:
    """Make a calendar password. It is only in this answer."""
    context = request.app[CONTEXT]
    user = _user(request)
    body = (await requests.body_of(request, CalendarPasswordBody)).strict()
    reader = Reader(list(body.problems))
    if body.value.label is None:
        reader.wrong("label", "missing", "Say what it is for, such as phone.")
    reader.done()
    label = body.value.label or ""
    shown: list[str] = []

    def carry_out(also: users.AlsoPassword) -> tuple[str, str]:
        made = users.add_password(context.db, user.id, label, context.clock(), also=also)
        shown.append(made[1])
        return made

    def answer_to(made: tuple[str, str]) -> Answer:
        document = {
            "id": made[0],
            "label": label,
            "username": user.id,
            "calendarUrl": request.app[SETTINGS].radicale.calendar_address(user.id),
        }
        return Answer(201, json.dumps(document, ensure_ascii=False), {})

    response = idempotency.shown_once(
        idempotency.once(request, body.fingerprint, carry_out, answer_to), "password", shown
    )
    if shown:
        audit.note(request, "calendar password made", user.id)
    return response


async def revoke_password(request: web.Request) -> web.Response:
    """Revoke a calendar password. Programs that use it are refused from now on."""
    context = request.app[CONTEXT]
    user = _user(request)
    password_id = request.match_info["passwordId"]
    users.revoke_password(context.db, user.id, password_id, context.clock())
    audit.note(request, "calendar password revoked", password_id)
    return web.Response(status=204)


def _user(request: web.Request) -> User:
    """The user of the path, if the token may see them. Raises `Unknown`."""
    user_id, locations = request.match_info["userId"], requests.locations_of(request)
    return users.get_user(request.app[CONTEXT].db, user_id, locations=locations)


def _document(request: web.Request, user: User) -> dict[str, Any]:
    db = request.app[CONTEXT].db
    return _shape(request, user, users.two_way(db, user.id), users.booking_calendars_of(db, user.id))


def _shape(request: web.Request, user: User, two_way: TwoWay, calendar_ids: list[str]) -> dict[str, Any]:
    return {
        "id": user.id,
        "locationId": user.location_id,
        "name": user.name,
        "timezone": user.time_zone,
        "twoWay": str(two_way),
        "calendarIds": calendar_ids,
        "calendarUrl": request.app[SETTINGS].radicale.calendar_address(user.id),
    }
