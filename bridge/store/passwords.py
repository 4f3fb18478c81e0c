"""Calendar passwords: what CalDAV clients log in with. Kept as hashes, revocable one by one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.store.db import Tx
from bridge.store.published import HEAD, OF_HEAD, Head

#: The random bytes of a password: 160 bits, which are 32 letters and digits of base32.
_BYTES = 20
_HASH_NAME = "blake2b"


@dataclass(frozen=True, slots=True)
class CalendarPassword:
    """A calendar password, without the password. Instants are Unix seconds, UTC."""

    id: str
    label: str
    created_at: int
    revoked_at: int | None
    last_used_at: int | None


def add(tx: Tx, user_id: str, label: str, now: int) -> tuple[str, str]:
    """Make a password for a User. Returns its id, and the password itself, which is not stored."""
    text = base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()
    password = "-".join(text[i : i + 4] for i in range(0, len(text), 4))
    password_id = f"pwd_{secrets.token_hex(6)}"
    tx.execute(
        "INSERT INTO calendar_passwords (id, user_id, label, hash, created_at)"
        " VALUES (:id, :user_id, :label, :hash, :now)",
        {"id": password_id, "user_id": user_id, "label": label, "hash": _hash(password), "now": now},
    )
    return password_id, password


def verify(tx: Tx, user_id: str, password: str) -> str | None:
    """The id of the User's password if this is one, or None. It takes equally long for a User who does not exist."""
    rows = tx.execute(
        "SELECT id, hash FROM calendar_passwords WHERE user_id = :user_id AND revoked_at IS NULL", {"user_id": user_id}
    ).fetchall()
    found = _fitting(rows, password)
    return found[0] if found else None


def login(tx: Tx, user_id: str, password: str) -> tuple[str, Head] | None:
    """The id of the User's password if this is one, and the state of their merged calendar; else None."""
    rows = tx.execute(
        f"SELECT p.id, p.hash, {HEAD} FROM {OF_HEAD} JOIN calendar_passwords p ON p.user_id = u.id"
        " WHERE u.id = :user_id AND p.revoked_at IS NULL",
        {"user_id": user_id},
    ).fetchall()
    found = _fitting(rows, password)
    return (found[0], Head._make(found[2:])) if found else None


def list_for(tx: Tx, user_id: str) -> list[CalendarPassword]:
    """A User's passwords, revoked ones too, oldest first."""
    rows = tx.execute(
        "SELECT id, label, created_at, revoked_at, last_used_at FROM calendar_passwords WHERE user_id = :user_id"
        " ORDER BY created_at, id",
        {"user_id": user_id},
    )
    return [CalendarPassword(**row) for row in rows]


def revoke(tx: Tx, user_id: str, password_id: str, now: int) -> bool:
    """Revoke one password. False when there is none, or it was revoked already."""
    return (
        tx.execute(
            "UPDATE calendar_passwords SET revoked_at = :now"
            " WHERE id = :id AND user_id = :user_id AND revoked_at IS NULL",
            {"id": password_id, "user_id": user_id, "now": now},
        ).rowcount
        > 0
    )


def note_use(tx: Tx, used: Mapping[str, int]) -> None:
    """Record when passwords were last used, by id."""
    tx.executemany(
        "UPDATE calendar_passwords SET last_used_at = :at WHERE id = :id AND COALESCE(last_used_at, 0) < :at",
        [{"id": password_id, "at": at} for password_id, at in used.items()],
    )


def last_use_directory(store: Path) -> Path:
    """The folder where processes that can only read the store record uses: an empty file for each password id."""
    return store.parent / "last-use"


def collect_last_use(directory: Path) -> dict[str, int]:
    """When each password was last used, from the files' modification times."""
    if not directory.is_dir():
        return {}
    return {path.name: int(path.stat().st_mtime) for path in directory.iterdir()}


def last_use(directory: Path, password_id: str) -> int | None:
    """When a password was last used, as far as that has not been forgotten; None: it has no file."""
    try:
        return int((directory / password_id).stat().st_mtime)
    except FileNotFoundError:
        return None


def forget_use(directory: Path, ids: Iterable[str]) -> None:
    """Remove the files of passwords that are gone."""
    for password_id in ids:
        (directory / password_id).unlink(missing_ok=True)


def _fitting(rows: Iterable[Any], password: str) -> Any | None:
    """The row with the hash of the password, which is the second column. Looks at all of them, to take equally long."""
    given = _hash(password)
    found = None
    for row in rows:
        if hmac.compare_digest(row[1], given):
            found = row
    return found


def _hash(password: str) -> str:
    # 160 random bits can't be guessed, so a slow or salted hash would not make them safer. And the hash is computed on
    # every request of every client.
    return hashlib.new(_HASH_NAME, password.strip().encode(), usedforsecurity=True).hexdigest()
