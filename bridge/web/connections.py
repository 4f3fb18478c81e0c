"""Connections over HTTP: how users' iCloud accounts are doing. Never their passwords."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bridge.domain.model import Calendar
from bridge.service import connections
from bridge.service.connections import Connection
from bridge.web import requests
from bridge.web.keys import CONTEXT
from bridge.web.shapes.connections import ConnectionsQuery
from bridge.web.threads import in_thread
from bridge.web.times import format_utc

PATH = "/v1/connections"


async def list_all(request: web.Request) -> web.Response:
    """List the connections that the token can see, of a location or a user if one is named."""
    query, reader = requests.query_of(request, ConnectionsQuery)
    reader.done()
    location_id = requests.location_for(request, query.location_id)

    def answer() -> web.Response:
        found = connections.list_connections(
            request.app[CONTEXT].db,
            locations=requests.locations_of(request),
            location_id=location_id,
            user_id=query.user_id,
        )
        return web.json_response({"connections": [_document(connection) for connection in found]})

    return await in_thread(request, answer)


async def read(request: web.Request) -> web.Response:
    """Get a connection."""
    connection = connections.get(
        request.app[CONTEXT].db, request.match_info["connectionId"], locations=requests.locations_of(request)
    )
    return web.json_response(_document(connection))


async def sync(request: web.Request) -> web.Response:
    """Read a connection's calendars now. The answer comes when that is done, or after 20 seconds."""
    connection, outcome = await connections.sync(
        request.app[CONTEXT], request.match_info["connectionId"], locations=requests.locations_of(request)
    )
    return web.json_response({**_document(connection), "sync": str(outcome)}, status=202)


def _document(connection: Connection) -> dict[str, Any]:
    account = connection.account
    return {
        "id": account.id,
        "locationId": connection.location_id,
        "userId": account.user_id,
        "provider": account.provider,
        "username": account.username,
        "status": str(account.state),
        "statusReason": account.state_reason,
        "statusSince": format_utc(account.state_since),
        "lastSyncedAt": _utc(connection.last_synced_at),
        "calendars": [_calendar(calendar) for calendar in connection.calendars],
    }


def _calendar(calendar: Calendar) -> dict[str, Any]:
    return {
        "id": calendar.id,
        "name": calendar.name,
        "colour": calendar.colour,
        "role": str(calendar.role),
        "writable": calendar.writable,
        "present": calendar.present,
        "lastSyncedAt": _utc(calendar.last_success_at),
        "lastError": calendar.last_error,
    }


def _utc(at: int | None) -> str | None:
    return None if at is None else format_utc(at)
