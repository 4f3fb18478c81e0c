"""Counting what a store does: steps of SQLite's machine and rows written, which are the same on every computer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bridge.store.db import Db

#: Steps between two counts.
EVERY = 10


class Work:
    """What was done since it began."""

    steps = 0
    rows = 0


@contextmanager
def counted(db: Db, connection: str = "writer") -> Iterator[Work]:
    """Count what this thread has the store do in its transactions that write, or (`reader`) in those that only read."""
    with db.write(), db.read():
        pass  # opens the connections
    counting, work = getattr(db._local, connection), Work()

    def step() -> int:
        work.steps += EVERY
        return 0

    before = counting.total_changes
    counting.set_progress_handler(step, EVERY)
    try:
        yield work
    finally:
        counting.set_progress_handler(None, 0)
    work.rows = counting.total_changes - before
