"""Answers that hold until the calendar changes, kept by the request that they answer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

#: Altogether, and one answer at most, in bytes. A listing of 50,000 events takes twelve million, or three compressed.
_ROOM = 32_000_000
LONGEST = 16_000_000
#: What an entry takes besides its answer and request.
_OVERHEAD = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """As it goes to the server."""

    status: str
    headers: Sequence[tuple[str, str]]
    body: bytes


class Cache:
    """The answers given last. Safe to share between threads."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, tuple[Answer, int]] = OrderedDict()
        self._taken = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Answer | None:
        """The answer kept under this key."""
        with self._lock:
            found = self._answers.get(key)
            if found is None:
                return None
            self._answers.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, answer: Answer) -> None:
        """Keep an answer, at the expense of those that were not asked for the longest."""
        size = _OVERHEAD + len(answer.body)
        if size > LONGEST:
            return
        with self._lock:
            before = self._answers.pop(key, None)
            self._answers[key] = (answer, size)
            self._taken += size - (before[1] if before else 0)
            while self._taken > _ROOM:
                _, (_, dropped) = self._answers.popitem(last=False)
                self._taken -= dropped
