"""Counts and newest changes, for administrators and monitoring."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain.model import AccountState, ItemKind, OutboxState
from bridge.store.db import Row, Tx
from bridge.store.users import OWNER


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is of everything. Instants are Unix seconds, UTC."""

    users: int
    accounts: dict[AccountState, int]
    #: Calendars with a role, and those of them whose last mirror run failed.
    calendars: int
    calendars_in_trouble: int
    #: When the calendar that was read longest ago was read; None: none was read yet, or none is chosen.
    oldest_success_at: int | None
    unreadable: int
    outbox: dict[OutboxState, int]
    #: Since when the oldest open entry waits.
    waiting_since: int | None
    published: int


def counts(tx: Tx) -> Counts:
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
    """The last change of an item of the merged calendar."""

    href: str
    kind: ItemKind
    source_id: str
    first_start: int
    revision: int
    changed_at: int
    removed: bool


def newest_changes(tx: Tx, user_id: str, *, limit: int) -> list[Changed]:
    """The items of a User's merged calendar that changed last, newest first."""
    rows = tx.execute(
        f"SELECT {_CHANGED} FROM published_items WHERE owner = {OWNER} ORDER BY revision DESC, href LIMIT :limit",
        {"user_id": user_id, "limit": limit},
    )
    return [_changed(row) for row in rows]


def change_of(tx: Tx, user_id: str, href: str) -> Changed | None:
    """The last change of an item of a User's merged calendar; None when there never was such an item."""
    row = tx.execute(
        f"SELECT {_CHANGED} FROM published_items WHERE owner = {OWNER} AND href = :href",
        {"user_id": user_id, "href": href},
    ).fetchone()
    return _changed(row) if row else None


@dataclass(frozen=True, slots=True)
class Time:
    """One occurrence of an item, and whether it has others. Unix seconds, UTC; all-day ones follow the User's zone."""

    start: int
    end: int
    all_day: bool
    repeats: bool


def next_time(tx: Tx, user_id: str, href: str, *, now: int) -> Time | None:
    """The current or next occurrence of an item, or its last one if it is over; None where it has none."""
    row = tx.execute(
        "SELECT o.start_at, o.end_at, o.all_day, p.expanded_until IS NOT NULL OR EXISTS ("
        "SELECT 1 FROM occurrences other WHERE other.item = o.item AND other.start_at <> o.start_at) AS repeats"
        f" FROM published_items p JOIN occurrences o ON o.item = p.id WHERE p.owner = {OWNER} AND p.href = :href"
        " ORDER BY o.end_at <= :now, CASE WHEN o.end_at > :now THEN o.start_at ELSE -o.start_at END LIMIT 1",
        {"user_id": user_id, "href": href, "now": now},
    ).fetchone()
    return Time(row["start_at"], row["end_at"], bool(row["all_day"]), bool(row["repeats"])) if row else None


_CHANGED = "href, kind, source_id, first_start, revision, changed_at, ics IS NULL AS removed"


def _changed(row: Row) -> Changed:
    return Changed(**{**dict(row), "kind": ItemKind(row["kind"]), "removed": bool(row["removed"])})


def _number(tx: Tx, query: str) -> int:
    return int(tx.execute(query).fetchone()[0])
