"""A cache with a limit in bytes, which discards what has not been used the longest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

#: Bytes in total, and of one entry. A listing of 50,000 events takes twelve million bytes, or three compressed.
_ROOM = 32_000_000
LONGEST = 16_000_000
#: Bytes that an entry takes in addition to its own size.
_OVERHEAD = 2_000

T = TypeVar("T")


class Cache(Generic[T]):
    """Keeps entries by key. It can be shared between threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._taken = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        """The entry with this key, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: T, size: int) -> None:
        """Keep an entry of this size in bytes; discard those that have not been used the longest, if needed."""
        size += _OVERHEAD
        if size > LONGEST:
            return
        with self._lock:
            before = self._kept.pop(key, None)
            self._kept[key] = (value, size)
            self._taken += size - (before[1] if before else 0)
            while self._taken > _ROOM:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._taken -= dropped
