"""What a User's busy time is known from: their Primary and conflict calendars, and when each was last read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.store.db import Tx


@dataclass(frozen=True, slots=True)
class Source:
    """One remote Calendar that is read."""

    user_id: str
    account_id: str
    calendar_id: str
    name: str
    #: None: never.
    last_read_at: int | None
    #: A sentence, where the last attempt failed.
    trouble: str | None

    def status(self, now: int, stale_seconds: int) -> str:
        """How much it is worth now: `ok`, `stale` or `never_read`."""
        if self.last_read_at is None:
            return "never_read"
        return "stale" if now - self.last_read_at > stale_seconds else "ok"


def of_users(tx: Tx, user_ids: Iterable[str]) -> list[Source]:
    """The Sources of these Users, in their order, Primary first."""
    return [
        Source(*row)
        for user_id in user_ids
        for row in tx.execute(
            "SELECT user_id, account_id, id, name, last_success_at, last_error FROM calendars"
            " WHERE user_id = :user_id AND role IN ('primary', 'conflict')"
            " ORDER BY CASE role WHEN 'primary' THEN 0 ELSE 1 END, id",
            {"user_id": user_id},
        )
    ]
