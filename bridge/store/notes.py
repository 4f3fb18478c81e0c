"""Notes on appointments. They go with the appointment."""

from __future__ import annotations

from bridge.domain.notes import Note
from bridge.store.db import Row, Tx


def put(tx: Tx, note: Note) -> None:
    """Add the Note, or bring its words up to date."""
    tx.execute(
        f"INSERT INTO notes ({_NOTE}) VALUES (:{', :'.join(_NOTE.split(', '))}) ON CONFLICT (id) DO UPDATE SET"
        " body = excluded.body, author_id = excluded.author_id, updated_at = excluded.updated_at",
        {column: getattr(note, column) for column in _NOTE.split(", ")},
    )


def get(tx: Tx, event_id: str, note_id: str) -> Note | None:
    """The Note with this id on an event, or None."""
    found = {"id": note_id, "event_id": event_id}
    row = tx.execute(f"SELECT {_NOTE} FROM notes WHERE id = :id AND event_id = :event_id", found).fetchone()
    return _note(row) if row else None


def on_event(tx: Tx, event_id: str, *, skip: int, limit: int) -> list[Note]:
    """The Notes on an event, newest first."""
    rows = tx.execute(
        f"SELECT {_NOTE} FROM notes WHERE event_id = :event_id ORDER BY number DESC LIMIT :limit OFFSET :skip",
        {"event_id": event_id, "skip": skip, "limit": limit},
    )
    return [_note(row) for row in rows]


def of_user(tx: Tx, user_id: str) -> list[Note]:
    """The Notes on all Appointments of a User, oldest first."""
    rows = tx.execute(
        f"SELECT {_NOTE} FROM notes WHERE appointment_id IN (SELECT id FROM appointments WHERE user_id = :user_id)"
        " ORDER BY number",
        {"user_id": user_id},
    )
    return [_note(row) for row in rows]


def count(tx: Tx, event_id: str) -> int:
    """How many Notes are on an event."""
    found: int = tx.execute("SELECT COUNT(*) FROM notes WHERE event_id = :id", {"id": event_id}).fetchone()[0]
    return found


def go_with(tx: Tx, appointment_id: str) -> None:
    """Let the Notes on a single time go with the Appointment of its own, of the same id, that it has become."""
    tx.execute("UPDATE notes SET appointment_id = :id WHERE event_id = :id", {"id": appointment_id})


def remove(tx: Tx, note_id: str) -> None:
    """Remove the Note."""
    tx.execute("DELETE FROM notes WHERE id = :id", {"id": note_id})


_NOTE = "id, event_id, appointment_id, body, author_id, created_at, updated_at"


def _note(row: Row) -> Note:
    return Note(**dict(row))
