"""Counting failed sign-ins, so that passwords can't be guessed by trying thousands."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

#: After this many failures within this many seconds, an address has to wait.
FAILURES, SECONDS = 10, 600
#: The most addresses that are remembered, to bound the memory.
ADDRESSES = 10_000


@dataclass(slots=True)
class Attempts:
    """Failures by address, kept in memory, since one sidecar serves all pages.

    They are counted by address rather than by user name, so that nobody can lock out somebody else. A success resets
    nothing: otherwise, somebody with one valid password could try others without limit.
    """

    _failed: dict[str, deque[int]] = field(default_factory=dict)

    def wait(self, peer: str, *, now: int) -> int:
        """How many seconds an address has to wait before its next try; 0: none."""
        failed = self._failed.get(peer)
        if failed is None or len(failed) < FAILURES:
            return 0
        return max(failed[0] + SECONDS - now, 0)

    def fail(self, peer: str, *, now: int) -> None:
        """Note a failure."""
        if peer not in self._failed and len(self._failed) >= ADDRESSES:
            del self._failed[next(iter(self._failed))]
        self._failed.setdefault(peer, deque(maxlen=FAILURES)).append(now)
