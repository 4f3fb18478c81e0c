"""The audit log: who did what. Entries are only ever added."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.store.db import Tx


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that somebody did. It never holds a secret or a title."""

    at: int
    #: `user:ID`, `token:ID` or `command line`.
    actor: str
    action: str
    #: The id of what it was done to.
    subject: str


def record(tx: Tx, actor: str, action: str, subject: str, *, now: int) -> None:
    """Add to the audit log."""
    tx.execute(
        "INSERT INTO audit_log (at, actor, action, subject) VALUES (:at, :actor, :action, :subject)",
        {"at": now, "actor": actor, "action": action, "subject": subject},
    )


def of_user(tx: Tx, user_id: str) -> list[AuditEntry]:
    """What a User did, and what was done to them, oldest first."""
    rows = tx.execute(
        "SELECT at, actor, action, subject FROM audit_log WHERE subject = :id OR actor = 'user:' || :id ORDER BY id",
        {"id": user_id},
    )
    return [AuditEntry(**row) for row in rows]


def latest(tx: Tx, *, limit: int, offset: int = 0) -> list[AuditEntry]:
    """The entries of the audit log, newest first."""
    rows = tx.execute(
        "SELECT at, actor, action, subject FROM audit_log ORDER BY id DESC LIMIT :limit OFFSET :offset",
        {"limit": limit, "offset": offset},
    )
    return [AuditEntry(**row) for row in rows]
