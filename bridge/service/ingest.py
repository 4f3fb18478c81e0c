"""What is remembered of HighLevel's webhooks for a day. What they say is booked by the ordinary use cases."""

from __future__ import annotations

import json

from bridge.store import idempotency
from bridge.store.db import Db
from bridge.store.idempotency import Answer, Claim


def was_taken(db: Db, webhook_id: str, *, now: int) -> bool:
    """Whether a webhook with this id was taken."""
    return _is_noted(db, _taken(webhook_id), now=now)


def note(db: Db, webhook_id: str, *, now: int) -> None:
    """Remember that it was taken."""
    _note(db, _taken(webhook_id), now=now)


def came_before(db: Db, webhook_id: str, *, now: int) -> bool:
    """Whether a webhook with this id came while it was fresh."""
    return _is_noted(db, _came(webhook_id), now=now)


def note_coming(db: Db, webhook_id: str, *, now: int) -> None:
    """Remember that it came, fresh, whatever becomes of it: when it is sent again, its timestamp is the same."""
    _note(db, _came(webhook_id), now=now)


def was_deleted(db: Db, location_id: str, appointment_id: str, *, now: int) -> bool:
    """Whether the deletion of an appointment came before anything else that told of it."""
    return _is_noted(db, _deleted(location_id, appointment_id), now=now)


def note_deleted(db: Db, location_id: str, appointment_id: str, *, now: int) -> None:
    """Remember that an appointment was deleted, though nothing has told of it yet: what comes late must not book it."""
    _note(db, _deleted(location_id, appointment_id), now=now)


def _is_noted(db: Db, claim: Claim, *, now: int) -> bool:
    with db.read() as tx:
        return idempotency.find(tx, claim, now=now) is not None


def _note(db: Db, claim: Claim, *, now: int) -> None:
    with db.write() as tx:
        idempotency.record(tx, claim, Answer(200, ""), now=now)


def _taken(webhook_id: str) -> Claim:
    return Claim("highlevel", "ingest", webhook_id, "")


def _came(webhook_id: str) -> Claim:
    return Claim("highlevel", "came", webhook_id, "")


def _deleted(location_id: str, appointment_id: str) -> Claim:
    return Claim("highlevel", "deleted", json.dumps([location_id, appointment_id]), "")
