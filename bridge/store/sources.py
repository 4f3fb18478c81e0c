"""The sources of a User's busy time: their Primary and conflict calendars, and when each was last read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.store.db import Tx


@dataclass(frozen=True, slots=True)
class Source:
    """One Calendar with a role."""

    user_id: str
    account_id: str
    calendar_id: str
    name: str
    #: None: it was never read.
    last_read_at: int | None
    #: What went wrong at the last attempt, in a sentence; None: nothing.
    trouble: str | None
    #: Whether its Account needs a new password.
    needs_password: bool

    def status(self, now: int, stale_seconds: int) -> str:
        """Whether it is recent enough at `now`: `ok`, `stale` or `never_read`."""
        if self.last_read_at is None:
            return "never_read"
        return "stale" if now - self.last_read_at > stale_seconds else "ok"


def of_users(tx: Tx, user_ids: Iterable[str]) -> list[Source]:
    """The Sources of these Users, in the order of the Users, each User's Primary first."""
    return [
        Source(**{**dict(row), "needs_password": bool(row["needs_password"])})
        for user_id in user_ids
        for row in tx.execute(
            "SELECT c.user_id, c.account_id, c.id AS calendar_id, c.name, c.last_success_at AS last_read_at,"
            " c.last_error AS trouble, a.state = 'needs_password' AS needs_password"
            " FROM calendars c JOIN accounts a ON a.id = c.account_id"
            " WHERE c.user_id = :user_id AND c.role IN ('primary', 'conflict')"
            " ORDER BY CASE c.role WHEN 'primary' THEN 0 ELSE 1 END, c.id",
            {"user_id": user_id},
        )
    ]
