"""The database: one SQLite file with a write-ahead log; for each thread a read-only connection and one that writes.

Every write transaction is `BEGIN IMMEDIATE`. A deferred one, which reads first and writes later, fails at once with
SQLITE_BUSY_SNAPSHOT when another process wrote in between, whatever the busy timeout is.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from bridge.errors import StoreNotWritable, StoreUnusable
from bridge.store.migrations import migrations

#: An open transaction. Every function of the store takes one as its first argument.
Tx = sqlite3.Connection

#: A row of a result: its values by column name.
Row = sqlite3.Row

#: Raised when another process keeps the store locked for longer than `BUSY_TIMEOUT`.
Locked = sqlite3.OperationalError

#: Seconds that a writer waits for another transaction to end. Transactions here take milliseconds.
BUSY_TIMEOUT = 30

#: What SQLite says where the fault is not with the statement: primary result codes (https://sqlite.org/rescode.html).
_NOT_WRITABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


class Db:
    """Connections to one store. It can be shared between threads, each of which gets connections of its own."""

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
                    raise StoreUnusable(str(path), "there is no store yet: run bridge user add or bridge serve first")
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
            # One transaction around all steps, so that two processes that start at once don't both apply them.
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
        # The commit that triggers a checkpoint takes longer. With SQLite's default of 1,000 pages, that is one booking
        # in fifty. Up to 4,000 pages, readers are not slowed down: the index of the log is still a single table.
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
        if connection.in_transaction:  # nested in another read, which shares its snapshot
            yield connection
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """One write transaction, committed at the end, rolled back on an exception. Never `await` in it; never nest.

        Raises `StoreNotWritable`.
        """
        if self._read_only:
            raise StoreUnusable(str(self.path), "this process only reads the store")
        connection: sqlite3.Connection | None = getattr(self._local, "writer", None)
        if connection is None:
            connection = self._connect("rw")
            self._local.writer = connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # on a full disk SQLite has rolled back by itself
                    connection.execute("ROLLBACK")
        except sqlite3.OperationalError as e:
            if getattr(e, "sqlite_errorcode", 0) & 0xFF not in _NOT_WRITABLE:
                raise
            raise StoreNotWritable(str(self.path), str(e)) from e

    def wipe(self) -> None:
        """Empty the write-ahead log, which may hold traces of what was deleted. No effect while somebody reads."""
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
