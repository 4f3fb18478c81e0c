"""Whole stores: copied while others write, made fit to be kept elsewhere, and put in place of another."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bridge.errors import StoreUnusable
from bridge.store import facts
from bridge.store.db import Db, Tx

#: The fact under which a copy carries the key of its secrets, if it does.
KEY = "secrets_key"
#: What is said of accounts and receivers whose secrets were left out.
WITHOUT = "It was restored from a backup without secrets."


@contextlib.contextmanager
def copy(source: Path, folder: Path) -> Iterator[Path]:
    """A consistent copy of a store in `folder`, readable by its owner alone; removed afterwards unless it was moved.

    Those who write meanwhile are not held up (SQLite's online backup). Raises `StoreUnusable` for what is no database.
    """
    handle, name = tempfile.mkstemp(dir=folder, prefix=".store-", suffix=".db")  # with mode 0600
    os.close(handle)
    path = Path(name)
    try:
        with contextlib.closing(_open(source, "ro")) as old, contextlib.closing(_open(path, "rw")) as new:
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            (state,) = new.execute("PRAGMA integrity_check").fetchone()
        if state != "ok":
            raise StoreUnusable(str(source), "it is damaged")
        yield path
    except sqlite3.Error as e:
        raise StoreUnusable(str(source), str(e)) from e
    finally:
        for left in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
            left.unlink(missing_ok=True)


def is_store(path: Path) -> bool:
    """Whether this database is one of a bridge."""
    with contextlib.closing(_open(path, "ro")) as connection:
        try:
            return facts.get(connection, "store_id") is not None
        except sqlite3.OperationalError:
            return False  # there is no such table


def leave_out_secrets(path: Path) -> None:
    """Take out of a copy whatever opens something: sealed passwords and secrets, sessions and links."""
    with contextlib.closing(_open(path, "rw")) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        for statement in (
            "UPDATE accounts SET secret = x'', state = 'needs_password', state_reason = :why",
            "UPDATE webhooks SET secret = x'', former_secrets = '[]', active = 0, status_reason = :why",
            "DELETE FROM sessions WHERE :why <> ''",
            "DELETE FROM settings_links WHERE :why <> ''",
            "DELETE FROM store_facts WHERE name IN ('session_signing_key', 'secrets_key_check') AND :why <> ''",
        ):
            connection.execute(statement, {"why": WITHOUT})
        connection.execute("VACUUM")


def put_key(path: Path, key: str) -> None:
    """Let a copy carry the key of its secrets."""
    with contextlib.closing(_open(path, "rw")) as connection:
        facts.put(connection, KEY, key)


def take_key(tx: Tx) -> str | None:
    """The key that a copy carries, which then carries it no longer."""
    key = facts.get(tx, KEY)
    tx.execute("DELETE FROM store_facts WHERE name = :name", {"name": KEY})
    return key


def begin_anew(tx: Tx) -> None:
    """Make a store another one than it was: what others know of the old one does not hold for it.

    Sync-tokens of calendar programs and cursors of the change feed are refused, so that they list anew, and nobody is
    signed in.
    """
    facts.put(tx, "store_id", secrets.token_hex(8))
    tx.execute("DELETE FROM sessions")
    tx.execute("DELETE FROM settings_links")


def renumber(tx: Tx, *, after: int, by: int) -> None:
    """Move the changes after a number further on."""
    tx.execute("UPDATE changes SET sequence = -sequence - :by WHERE sequence > :after", {"after": after, "by": by})
    tx.execute("UPDATE changes SET sequence = -sequence WHERE sequence < 0")


def finish(db: Db) -> None:
    """Bring a store that nobody else has open into one file. Raises `StoreUnusable` when somebody has."""
    db.close()
    settle(db.path)


def settle(path: Path) -> None:
    """As `finish`, for a store that is not open here."""
    try:
        with contextlib.closing(_open(path, "rw")) as connection:
            connection.execute("PRAGMA busy_timeout = 2000")
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as e:
        raise StoreUnusable(str(path), f"{e}: stop every program that has it open, Radicale too") from e


def put_in_place(new: Path, store: Path, old: Path) -> None:
    """Let `new` be the store from now on; what was there before is kept as `old`. Whole, or not at all."""
    if store.exists():
        os.link(store, old)
    new.replace(store)
    directory = os.open(store.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _open(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=30)
    connection.row_factory = sqlite3.Row
    return connection
