"""Notes on appointments over HTTP: HighLevel's, kept in the bridge."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from bridge.service import notes
from bridge.service.book import UNSET
from bridge.service.idempotency import Answer
from bridge.service.notes import Note, NotedEvent
from bridge.web import idempotency, requests
from bridge.web.keys import CONTEXT
from bridge.web.reader import Reader
from bridge.web.requests import Body
from bridge.web.shapes.notes import NoteBody, NotesQuery
from bridge.web.times import format_utc

PATH = "/v1/calendars/appointments/{appointmentId}/notes"


async def create(request: web.Request) -> web.Response:
    """Add a note to an appointment."""
    context, event_id = request.app[CONTEXT], request.match_info["appointmentId"]
    body = await requests.body_of(request, NoteBody)
    reader = Reader(list(body.problems))
    if body.value.body is None:
        reader.wrong("body", "missing", "Say what to note.")
    reader.done()
    return idempotency.once(
        request,
        body.fingerprint,
        lambda also: notes.create(
            context.db,
            event_id,
            body.value.body or "",
            body.value.user_id,
            locations=requests.locations_of(request),
            now=context.clock(),
            also=also,
        ),
        lambda made: _made(made, body),
    )


async def list_all(request: web.Request) -> web.Response:
    """List the notes on an appointment, newest first."""
    query, reader = requests.query_of(request, NotesQuery)
    reader.done()
    found = notes.list_notes(
        request.app[CONTEXT].db,
        request.match_info["appointmentId"],
        locations=requests.locations_of(request),
        skip=query.offset,
        limit=query.limit + 1,
    )
    shown = [_document(found, note) for note in found.notes[: query.limit]]
    return web.json_response({"notes": shown, "hasMore": len(found.notes) > query.limit})


async def read(request: web.Request) -> web.Response:
    """One note."""
    event_id, note_id = request.match_info["appointmentId"], request.match_info["noteId"]
    found = notes.get(request.app[CONTEXT].db, event_id, note_id, locations=requests.locations_of(request))
    return web.json_response(_one(found))


async def update(request: web.Request) -> web.Response:
    """Change a note."""
    context = request.app[CONTEXT]
    body = await requests.body_of(request, NoteBody)
    reader = Reader(list(body.problems))
    reader.not_cleared(body.value, "body")
    reader.done()
    changed = notes.update(
        context.db,
        request.match_info["appointmentId"],
        request.match_info["noteId"],
        body.value.body,
        body.value.user_id if "user_id" in body.value.model_fields_set else UNSET,
        locations=requests.locations_of(request),
        now=context.clock(),
    )
    return web.json_response(_one(changed), headers=body.ignored())


async def delete(request: web.Request) -> web.Response:
    """Remove a note."""
    event_id, note_id = request.match_info["appointmentId"], request.match_info["noteId"]
    notes.remove(request.app[CONTEXT].db, event_id, note_id, locations=requests.locations_of(request))
    return web.json_response({"success": True})


def _made(made: NotedEvent, body: Body[NoteBody]) -> Answer:
    (note,) = made.notes
    place = f"{PATH.replace('{appointmentId}', note.event_id)}/{note.id}"
    return Answer(201, json.dumps(_one(made), ensure_ascii=False), {"Location": place, **body.ignored()})


def _one(noted: NotedEvent) -> dict[str, Any]:
    (note,) = noted.notes
    return {"note": _document(noted, note)}


def _document(noted: NotedEvent, note: Note) -> dict[str, Any]:
    return {
        "id": note.id,
        "appointmentId": note.event_id,
        "body": note.body,
        "userId": note.author_id,
        "contactId": noted.appointment.contact_id,
        "createdBy": None if note.author_id is None else {"id": note.author_id},
        # Named in each answer: those that are kept for repetition are deleted with the User by this.
        "assignedUserId": noted.appointment.user_id,
        "dateAdded": format_utc(note.created_at),
        "dateUpdated": format_utc(note.updated_at),
    }
