"""Notes on appointments, for the CRM alone: iCloud, the merged calendar and webhooks are never told of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.domain.model import Appointment
from bridge.domain.notes import Note
from bridge.errors import TooMany, Unknown
from bridge.service.book import UNSET, instances
from bridge.service.book.update import Unset
from bridge.service.visibility import Locations
from bridge.store import notes
from bridge.store.db import Db, Tx

__all__ = ["Note", "NotedEvent", "create", "get", "list_notes", "remove", "update"]

#: No more than these are on one event.
MOST_NOTES = 100


@dataclass(frozen=True, slots=True)
class NotedEvent:
    """An Appointment, or one of the times of a recurring one, with some of its Notes."""

    appointment: Appointment
    notes: tuple[Note, ...]


#: Called inside the transaction that adds the Note.
Also = Callable[[Tx, NotedEvent], None]


def create(
    db: Db,
    event_id: str,
    body: str,
    author_id: str | None,
    *,
    locations: Locations,
    now: int,
    also: Also | None = None,
) -> NotedEvent:
    """Add a Note. Raises `Unknown`, also for what is deleted, and `TooMany`."""
    with db.write() as tx:
        booked = _appointment(tx, event_id, locations)
        if booked.deleted_at is not None:
            raise Unknown("appointment", event_id)
        if notes.count(tx, event_id) >= MOST_NOTES:
            raise TooMany("note", MOST_NOTES)
        note = Note(f"note_{secrets.token_hex(12)}", event_id, booked.id, body, author_id, now, now)
        notes.put(tx, note)
        made = NotedEvent(booked, (note,))
        if also is not None:
            also(tx, made)
    return made


def list_notes(db: Db, event_id: str, *, locations: Locations, skip: int, limit: int) -> NotedEvent:
    """The Notes on an event, newest first. Raises `Unknown`."""
    with db.read() as tx:
        booked = _appointment(tx, event_id, locations)
        return NotedEvent(booked, tuple(notes.on_event(tx, event_id, skip=skip, limit=limit)))


def get(db: Db, event_id: str, note_id: str, *, locations: Locations) -> NotedEvent:
    """One Note. Raises `Unknown`."""
    with db.read() as tx:
        return _noted(tx, event_id, note_id, locations)


def update(
    db: Db,
    event_id: str,
    note_id: str,
    body: str | None,
    author_id: str | Unset | None,
    *,
    locations: Locations,
    now: int,
) -> NotedEvent:
    """Change a Note. A `body` that is None and an author that is UNSET stay as they are. Raises `Unknown`."""
    with db.write() as tx:
        noted = _noted(tx, event_id, note_id, locations)
        (before,) = noted.notes
        author_id = before.author_id if author_id is UNSET else author_id
        after = replace(before, body=body or before.body, author_id=author_id, updated_at=now)
        notes.put(tx, after)
    return replace(noted, notes=(after,))


def remove(db: Db, event_id: str, note_id: str, *, locations: Locations) -> None:
    """Remove a Note. Raises `Unknown`."""
    with db.write() as tx:
        _noted(tx, event_id, note_id, locations)
        notes.remove(tx, note_id)


def _noted(tx: Tx, event_id: str, note_id: str, locations: Locations) -> NotedEvent:
    booked = _appointment(tx, event_id, locations)
    found = notes.get(tx, event_id, note_id)
    if found is None:
        raise Unknown("note", note_id)
    return NotedEvent(booked, (found,))


def _appointment(tx: Tx, event_id: str, locations: Locations) -> Appointment:
    """The stored Appointment that an event is, or is one of the times of. Raises `Unknown`."""
    found = instances.named(tx, event_id, None, locations)
    if isinstance(found, Appointment):
        return found
    if found.view is None:
        raise Unknown("appointment", event_id)
    return found.master
