"""Counts and newest changes, for people and for monitoring."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from bridge.domain.model import AccountState, ItemKind, OutboxState


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is of everything. Instants are Unix seconds, UTC."""

    users: int
    accounts: dict[AccountState, int]
    #: Calendars that are read, and those of them whose last reading failed.
    calendars: int
    calendars_in_trouble: int
    #: When the calendar that was read longest ago was read; None: none was read yet, or none is chosen.
    oldest_success_at: int | None
    unreadable: int
    outbox: dict[OutboxState, int]
    #: Since when the oldest open entry waits.
    waiting_since: int | None
    published: int


def counts(tx: sqlite3.Connection) -> Counts:
    """Count everything in one snapshot."""
    calendars = tx.execute(
        "SELECT COUNT(*) AS read, COUNT(last_error) AS troubled, MIN(last_success_at) AS oldest FROM calendars"
        " WHERE role <> 'none'"
    ).fetchone()
    accounts = {
        row["state"]: row["n"] for row in tx.execute("SELECT state, COUNT(*) AS n FROM accounts GROUP BY state")
    }
    outbox = {row["state"]: row["n"] for row in tx.execute("SELECT state, COUNT(*) AS n FROM outbox GROUP BY state")}
    return Counts(
        users=_number(tx, "SELECT COUNT(*) FROM users"),
        accounts={state: accounts.get(state, 0) for state in AccountState},
        calendars=calendars["read"],
        calendars_in_trouble=calendars["troubled"],
        oldest_success_at=calendars["oldest"],
        unreadable=_number(tx, "SELECT COUNT(unreadable) FROM mirror_items"),
        outbox={state: outbox.get(state, 0) for state in OutboxState},
        waiting_since=tx.execute("SELECT MIN(updated_at) FROM outbox WHERE state IN ('ready', 'leased')").fetchone()[0],
        published=_number(tx, "SELECT COUNT(*) FROM published_items WHERE ics IS NOT NULL"),
    )


@dataclass(frozen=True, slots=True)
class Changed:
    """An item of the merged calendar as it last changed."""

    href: str
    kind: ItemKind
    source_id: str
    first_start: int
    changed_at: int
    removed: bool


def newest_changes(tx: sqlite3.Connection, user_id: str, *, limit: int) -> list[Changed]:
    """What changed last in a User's merged calendar, newest first."""
    rows = tx.execute(
        "SELECT href, kind, source_id, first_start, changed_at, ics IS NULL AS removed FROM published_items"
        " WHERE user_id = :user_id ORDER BY revision DESC, href LIMIT :limit",
        {"user_id": user_id, "limit": limit},
    )
    return [
        Changed(
            href=row["href"],
            kind=ItemKind(row["kind"]),
            source_id=row["source_id"],
            first_start=row["first_start"],
            changed_at=row["changed_at"],
            removed=bool(row["removed"]),
        )
        for row in rows
    ]


def _number(tx: sqlite3.Connection, query: str) -> int:
    return int(tx.execute(query).fetchone()[0])
