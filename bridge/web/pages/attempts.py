"""Counting failed sign-ins, so that nobody tries passwords by the thousand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

#: So many failures from one address within so many seconds; then it waits.
FAILURES, SECONDS = 10, 600
#: How many addresses are remembered: whoever has more of them than this gains nothing worth the memory.
ADDRESSES = 10_000


@dataclass(slots=True)
class Attempts:
    """Failures by address. In memory: one sidecar serves all pages. Counted by address, so that nobody can lock
    somebody else out; a success clears nothing, or whoever has one good password could try others for ever."""

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
