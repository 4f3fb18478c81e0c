"""The audit log: who did what."""

from __future__ import annotations

from bridge.store import audit
from bridge.store.audit import AuditEntry
from bridge.store.db import Db


def record(db: Db, actor: str, action: str, subject: str, *, now: int) -> None:
    """Write what somebody did into the audit log. `subject` is an id, never a secret or a title."""
    with db.write() as tx:
        audit.record(tx, actor, action, subject, now=now)


def latest(db: Db, *, limit: int, offset: int = 0) -> list[AuditEntry]:
    """The audit log, newest first."""
    with db.read() as tx:
        return audit.latest(tx, limit=limit, offset=offset)
