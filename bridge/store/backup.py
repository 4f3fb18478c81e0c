"""Copies of a store: made while others write to it, prepared for keeping, and restored in place of a store."""

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

#: The fact in which a copy holds the key of its secrets, if it was asked to.
KEY = "secrets_key"
#: The state of accounts and webhooks whose secrets were left out.
WITHOUT = "It was restored from a backup without secrets."


@contextlib.contextmanager
def copy(source: Path, folder: Path) -> Iterator[Path]:
    """A consistent copy of a store in `folder`, readable by its owner only; removed afterwards unless it was moved.

    Other processes can go on writing (SQLite's online backup). Raises `StoreUnusable` where `source` is not a database,
    or is damaged.
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
    """Whether this database is a bridge's store."""
    with contextlib.closing(_open(path, "ro")) as connection:
        try:
            return facts.get(connection, "store_id") is not None
        except sqlite3.OperationalError:
            return False  # there is no such table


def leave_out_secrets(path: Path) -> None:
    """Remove everything from a copy that gives access to something: sealed passwords and secrets, sessions, links."""
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
    """Put the key of its secrets into a copy."""
    with contextlib.closing(_open(path, "rw")) as connection:
        facts.put(connection, KEY, key)


def take_key(tx: Tx) -> str | None:
    """Remove the key of its secrets from a copy, and return it; None where there is none."""
    key = facts.get(tx, KEY)
    tx.execute("DELETE FROM store_facts WHERE name = :name", {"name": KEY})
    return key


def begin_anew(tx: Tx) -> None:
    """Give a restored store a new identity, so that nobody takes it for the store that it replaces.

    Sync-tokens of calendar programs and cursors of the change feed are then refused, so that everything is listed anew.
    Everybody is signed out.
    """
    facts.put(tx, "store_id", secrets.token_hex(8))
    tx.execute("DELETE FROM sessions")
    tx.execute("DELETE FROM settings_links")


def renumber(tx: Tx, *, after: int, by: int) -> None:
    """Raise the sequence numbers of all changes after `after` by `by`."""
    tx.execute("UPDATE changes SET sequence = -sequence - :by WHERE sequence > :after", {"after": after, "by": by})
    tx.execute("UPDATE changes SET sequence = -sequence WHERE sequence < 0")


def finish(db: Db) -> None:
    """Close a store and merge its write-ahead log into one file. Raises `StoreUnusable` when others have it open."""
    db.close()
    settle(db.path)


def settle(path: Path) -> None:
    """As `finish`, for a store that this process does not have open."""
    try:
        with contextlib.closing(_open(path, "rw")) as connection:
            connection.execute("PRAGMA busy_timeout = 2000")
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as e:
        raise StoreUnusable(str(path), f"{e}: stop every program that has it open, Radicale too") from e


def put_in_place(new: Path, store: Path, old: Path) -> None:
    """Make `new` the store, atomically. The store that was there before is kept as `old`."""
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
