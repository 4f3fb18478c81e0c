"""What the settings file set when it was last applied: nobody else may change that."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.domain.declared import DeclaredSetting, What
from bridge.store.db import Tx


def settings(tx: Tx, user_id: str | None = None) -> set[DeclaredSetting]:
    """What the file sets, for one User or for all."""
    rows = tx.execute(
        "SELECT what, user_id, subject FROM declared WHERE :user_id IS NULL OR user_id = :user_id", {"user_id": user_id}
    )
    return {DeclaredSetting(What(row["what"]), row["user_id"], row["subject"]) for row in rows}


def path_of(tx: Tx, what: What, subject: str) -> str | None:
    """The path of the file that sets this; None where none does."""
    row = tx.execute(
        "SELECT path FROM declared WHERE what = :what AND subject = :subject", {"what": what, "subject": subject}
    ).fetchone()
    return row["path"] if row else None


def replace(tx: Tx, settings: Iterable[DeclaredSetting], path: str) -> None:
    """Store that the file at `path` sets this, and nothing else."""
    tx.execute("DELETE FROM declared")
    tx.executemany(
        "INSERT INTO declared (what, subject, user_id, path) VALUES (:what, :subject, :user_id, :path)",
        [{"what": m.what, "subject": m.subject, "user_id": m.user_id, "path": path} for m in settings],
    )
