"""The lock on a store's background work: one process at a time mirrors and carries out the outbox."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def at_work(store: Path) -> Iterator[bool]:
    """Yields whether this process got the lock. It then holds it until the block ends or the process dies.

    So with the lock held, every lease in the outbox at the start of the block was left by a process that has died.
    """
    # Of the file itself: two processes may name it by different links.
    with store.resolve().with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
