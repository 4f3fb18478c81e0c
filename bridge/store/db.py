"""The database: one file, WAL, a read-only connection for each reading thread, `BEGIN IMMEDIATE` for each write.

A deferred transaction that reads first and writes later fails at once with SQLITE_BUSY_SNAPSHOT when the other process
wrote in between, whatever the busy timeout; hence IMMEDIATE, always.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from bridge.errors import StoreUnusable
from bridge.store.migrations import migrations

#: An open transaction: what every store function takes first.
Tx = sqlite3.Connection

#: Of what a statement found: its values by the names of their columns.
Row = sqlite3.Row

#: What is raised when somebody else holds the store for longer than anybody waits.
Locked = sqlite3.OperationalError

#: How long a writer waits for the other process's transaction, in seconds. Transactions here take milliseconds.
BUSY_TIMEOUT = 30


class Db:
    """Connections to one store. Safe to share between threads: each thread gets its own connections."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the store at `path`, creating and migrating it first unless `read_only`.

        Raises `StoreUnusable` when it can't be opened, when a read-only process finds none, or when it was written by a
        newer bridge.
        """
        self.path = path
        self._local = threading.local()
        self._read_only = read_only
        try:
            if read_only:
                if not path.exists():
                    raise StoreUnusable(str(path), "there is no store yet: start the sidecar first")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._migrate()
            self._check_version()
        except sqlite3.Error as e:
            raise StoreUnusable(str(path), str(e)) from e

    def _migrate(self) -> None:
        connection = self._connect("rwc")
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # Held over all steps, so that two processes starting at once don't both apply them.
            connection.execute("BEGIN IMMEDIATE")
            migrations.apply(Database(connection))
            connection.execute("COMMIT")
        finally:
            connection.close()
        self.path.chmod(0o600)

    def _check_version(self) -> None:
        known = {m.name for m in migrations._migrations}
        with self.read() as tx:
            applied = {m.name for m in migrations.applied(Database(tx))}
        if applied - known:
            raise StoreUnusable(str(self.path), "it was written by a newer version of the bridge: update this one")
        if known - applied:
            raise StoreUnusable(str(self.path), "its schema is older than this bridge: start the sidecar first")

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        # A checkpoint is a pause for whoever's commit brings it on. At SQLite's own 1,000 pages that is one booking in
        # fifty; up to 4,000, readers still find their pages in one step.
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        connection.execute("PRAGMA secure_delete = ON")  # a secret that is forgotten leaves no trace in free pages
        return connection

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """One consistent snapshot. Nothing can be written through it."""
        connection: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if connection is None:
            connection = self._connect("ro")
            connection.execute("PRAGMA query_only = ON")
            self._local.reader = connection
        if connection.in_transaction:  # a step of a larger read: the same snapshot
            yield connection
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """One write transaction: all of it, or nothing. Never `await` inside; never nest."""
        if self._read_only:
            raise StoreUnusable(str(self.path), "this process only reads the store")
        connection: sqlite3.Connection | None = getattr(self._local, "writer", None)
        if connection is None:
            connection = self._connect("rw")
            self._local.writer = connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def wipe(self) -> None:
        """Leave no trace of what was deleted in the write-ahead log, unless somebody is reading just now."""
        connection = self._connect("rw")
        try:
            connection.execute("PRAGMA busy_timeout = 1000")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()

    def close(self) -> None:
        """Close this thread's connections."""
        for name in ("reader", "writer"):
            connection: sqlite3.Connection | None = getattr(self._local, name, None)
            if connection is not None:
                connection.close()
                setattr(self._local, name, None)
