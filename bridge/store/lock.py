"""Which process is at work on a store: one at a time carries out the outbox."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def at_work(store: Path) -> Iterator[bool]:
    """Whether this process may be the one at work, and then is for as long as the block runs, or the process lives.

    What is leased when the block begins was left by a process that has died.
    """
    with store.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
