"""Which webhooks of HighLevel's were taken. What they say is booked by the ordinary use cases."""

from __future__ import annotations

from bridge.store import idempotency
from bridge.store.db import Db
from bridge.store.idempotency import Answer, Claim


def was_taken(db: Db, webhook_id: str, *, now: int) -> bool:
    """Whether a webhook with this id was taken within a day."""
    with db.read() as tx:
        return idempotency.find(tx, _claim(webhook_id), now=now) is not None


def note(db: Db, webhook_id: str, *, now: int) -> None:
    """Remember for a day that it was taken."""
    with db.write() as tx:
        idempotency.record(tx, _claim(webhook_id), Answer(200, ""), now=now)


def _claim(webhook_id: str) -> Claim:
    return Claim("highlevel", "ingest", webhook_id, "")
