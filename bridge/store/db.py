"""The database: one SQLite file with a write-ahead log; for each thread a read-only connection and one that writes.

Every write transaction is `BEGIN IMMEDIATE`. A deferred one, which reads first and writes later, fails at once with
SQLITE_BUSY_SNAPSHOT when another process wrote in between, whatever the busy timeout is.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database

from bridge.errors import StoreUnavailable, StoreUnusable
from bridge.store.migrations import migrations

#: An open transaction. Every function of the store takes one as its first argument.
Tx = sqlite3.Connection

#: A row of a result: its values by column name.
Row = sqlite3.Row

T = TypeVar("T")

#: Seconds that a transaction waits for another to end, unless its thread does not wait as long. They take milliseconds.
BUSY_TIMEOUT = 30.0
#: The same, on a connection that has waited in vain, until it gets its turn: its thread must not only ever wait.
_SHORT_TIMEOUT = 0.02

#: What SQLite says where another transaction is in the way, and in all where the fault is not with the statement:
#: primary result codes (https://sqlite.org/rescode.html).
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_UNAVAILABLE = _BUSY | {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the store can't be written, and since when (Unix seconds)."""

    reason: str
    since: int


class _Mine(threading.local):
    """What each thread has of its own."""

    def __init__(self) -> None:
        self.reader: sqlite3.Connection | None = None
        self.writer: sqlite3.Connection | None = None
        #: Seconds that its transactions wait; None: `BUSY_TIMEOUT`.
        self.timeout: float | None = None
        #: Those of the connections that have waited in vain.
        self.waited_in_vain: set[sqlite3.Connection] = set()


class Db:
    """Connections to one store. It can be shared between threads, each of which gets connections of its own."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the store at `path`, creating and migrating it first unless `read_only`.

        Raises `StoreUnusable` when it can't be opened, when a read-only process finds none, or when it was written by a
        newer bridge.
        """
        self.path = path
        #: Set while the store can't be written: from the first transaction that fails to the next that stores a change.
        self.trouble: Trouble | None = None
        self._local = _Mine()
        self._read_only = read_only
        self._file: tuple[int, int] | None = None
        try:
            if read_only:
                if not path.exists():
                    raise StoreUnusable(str(path), "there is no store yet: run bridge user add or bridge serve first")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._migrate()
                self._file = _identity(path)
            self._check_version()
        except sqlite3.Error as e:
            raise StoreUnusable(str(path), str(e)) from e
        except StoreUnavailable as e:
            raise StoreUnusable(str(path), e.reason) from e

    def _migrate(self) -> None:
        connection = self._connect("rwc")
        try:
            # Of a new store. Nearly all of the schema's tables and indexes are small, and take a page each. Half of
            # SQLite's usual size is as fast for the large ones; a quarter would not be.
            connection.execute("PRAGMA page_size = 2048")
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
            f"{self.path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=self._timeout()
        )
        self._check_file()
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        # The commit that triggers a checkpoint takes longer. With SQLite's default of 1,000 pages, that is one booking
        # in fifty. Up to 4,000 pages, readers are not slowed down: the index of the log is still a single table.
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        connection.execute("PRAGMA secure_delete = ON")  # a secret that is forgotten leaves no trace in free pages
        return connection

    def wait_at_most(self, seconds: float) -> None:
        """Let this thread's transactions wait no longer than this for others to end. Without this: `BUSY_TIMEOUT`."""
        self._local.timeout = seconds
        for connection in (self._local.reader, self._local.writer):
            if connection is not None:
                self._set_timeout(connection)

    def _timeout(self) -> float:
        return BUSY_TIMEOUT if self._local.timeout is None else self._local.timeout

    def _set_timeout(self, connection: sqlite3.Connection) -> None:
        seconds = _SHORT_TIMEOUT if connection in self._local.waited_in_vain else self._timeout()
        connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """One consistent snapshot. Nothing can be written through it. Raises `StoreUnavailable`."""
        connection = self._local.reader
        if connection is not None and connection.in_transaction:  # nested in another read, which shares its snapshot
            yield connection
            return
        try:
            connection = self._reader()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:  # after some errors, SQLite has rolled back by itself
                    connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as e:
            self._raise_if_unavailable(e, connection)
            raise
        self._wait_fully_again(connection)

    def read_once(self, query: Callable[[Tx], T]) -> T:
        """What `query` reads, by a single statement. Raises `StoreUnavailable`.

        A statement sees a snapshot by itself. A transaction around what each poll reads would cost half as much again.
        """
        try:
            found = query(self._reader())
        except sqlite3.DatabaseError as e:
            self._raise_if_unavailable(e, self._local.reader)
            raise
        self._wait_fully_again(self._reader())
        return found

    def _reader(self) -> sqlite3.Connection:
        connection = self._local.reader
        if connection is None:
            connection = self._connect("ro")
            connection.execute("PRAGMA query_only = ON")
            self._local.reader = connection
        return connection

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """One write transaction, committed at the end, rolled back on an exception. Never `await` in it; never nest.

        Raises `StoreUnavailable`.
        """
        if self._read_only:
            raise StoreUnusable(str(self.path), "this process only reads the store")
        try:
            with self._writing() as connection:
                before = connection.total_changes
                yield connection
        except StoreUnavailable as e:
            self.trouble = self.trouble or Trouble(e.reason, int(time.time()))
            raise
        if connection.total_changes != before:  # without changes nothing is written, which even a full disk allows
            self.trouble = None

    @contextmanager
    def _writing(self) -> Iterator[Tx]:
        connection = self._local.writer
        try:
            if connection is None:
                connection = self._connect("rw")
                self._local.writer = connection
            self._check_file()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # on a full disk SQLite has rolled back by itself
                    connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as e:
            self._raise_if_unavailable(e, connection)
            raise
        self._wait_fully_again(connection)

    def _raise_if_unavailable(self, error: sqlite3.DatabaseError, connection: sqlite3.Connection | None) -> None:
        """Raises `StoreUnavailable` where SQLite says that the fault is not with the statement."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in _UNAVAILABLE:
            return
        if code in _BUSY and connection is not None:
            self._local.waited_in_vain.add(connection)
            self._set_timeout(connection)
        raise StoreUnavailable(str(self.path), str(error), busy=code in _BUSY) from error

    def _wait_fully_again(self, connection: sqlite3.Connection) -> None:
        """Undo the short timeout, since this connection had its turn."""
        if connection in self._local.waited_in_vain:
            self._local.waited_in_vain.discard(connection)
            self._set_timeout(connection)

    def _check_file(self) -> None:
        """Raises `StoreUnavailable` for a store whose file was moved or replaced: what is written there may be lost.

        SQLite itself does not notice.
        """
        if self._file is not None and self._file != _identity(self.path):
            raise StoreUnavailable(
                str(self.path),
                "its file was moved, deleted or replaced: put it back, or restart the bridge if that was intended",
            )

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
        for connection in (self._local.reader, self._local.writer):
            if connection is not None:
                connection.close()
        self._local.reader = self._local.writer = None
        self._local.waited_in_vain.clear()


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another of the same name; None: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
