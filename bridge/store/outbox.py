"""The outbox: durable intents to bring an Appointment's event in iCloud up to date.

An entry is opened in the transaction that changes the Appointment, leased while it is carried out, and settled in the
transaction that records the result. An entry whose lease has run out, since the process died, is due again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bridge.domain.model import OutboxEntry, OutboxState
from bridge.store.db import Row, Tx


def wish(tx: Tx, appointment_id: str, account_id: str, *, now: int) -> None:
    """Ask for the Appointment to be pushed. If it has an open entry, that one gets a new generation and is due now."""
    tx.execute(
        "INSERT INTO outbox (appointment_id, account_id, state, generation, attempts, next_attempt_at, created_at,"
        " updated_at) VALUES (:appointment_id, :account_id, 'ready', 1, 0, :now, :now, :now)"
        " ON CONFLICT (appointment_id) WHERE state IN ('ready', 'leased') DO UPDATE SET"
        " generation = outbox.generation + 1, account_id = excluded.account_id, attempts = 0, next_attempt_at = :now,"
        " updated_at = :now",
        {"appointment_id": appointment_id, "account_id": account_id, "now": now},
    )


def claim(tx: Tx, *, now: int, lease_until: int, for_each_account: int) -> OutboxEntry | None:
    """Lease the entry that has been due the longest, and return it; None where none is due.

    Entries of Accounts that need a password are left out, and so are those of an Account that has `for_each_account`
    leases already: a server that hangs must not hold up the others.
    """
    row = tx.execute(
        "UPDATE outbox SET state = 'leased', attempts = attempts + 1, lease_until = :lease_until, updated_at = :now"
        " WHERE id = (SELECT o.id FROM outbox o JOIN accounts a ON a.id = o.account_id"
        "  WHERE ((o.state = 'ready' AND o.next_attempt_at <= :now) OR (o.state = 'leased' AND o.lease_until <= :now))"
        "  AND a.state <> 'needs_password' AND (SELECT COUNT(*) FROM outbox l WHERE l.account_id = o.account_id"
        "   AND l.state = 'leased' AND l.lease_until > :now) < :for_each_account"
        "  ORDER BY o.next_attempt_at, o.id LIMIT 1)"
        f" RETURNING {_ENTRY}",
        {"now": now, "lease_until": lease_until, "for_each_account": for_each_account},
    ).fetchone()
    return _entry(row) if row else None


def holds(tx: Tx, entry: OutboxEntry) -> bool:
    """Whether the lease is still the one with which `entry` was claimed. If not, its result must not be recorded."""
    return (
        tx.execute(
            f"SELECT 1 FROM outbox WHERE {_HELD}",
            _held(entry),
        ).fetchone()
        is not None
    )


def settle(tx: Tx, entry: OutboxEntry, *, now: int) -> bool:
    """Mark the entry as done. False when there is a newer generation of it: then it is ready again at once."""
    done = tx.execute(
        "UPDATE outbox SET state = 'done', lease_until = NULL, last_error = NULL, updated_at = :now"
        f" WHERE {_HELD} AND generation = :generation",
        {**_held(entry), "generation": entry.generation, "now": now},
    ).rowcount
    if not done:
        retry(tx, entry, at=now, error=None, now=now)
    return done > 0


def retry(tx: Tx, entry: OutboxEntry, *, at: int, error: str | None, now: int) -> None:
    """Make the entry ready again at an instant; with a newer generation, at once."""
    tx.execute(
        "UPDATE outbox SET state = 'ready', lease_until = NULL, last_error = :error, updated_at = :now,"
        f" next_attempt_at = CASE WHEN generation = :generation THEN :at ELSE :now END WHERE {_HELD}",
        {**_held(entry), "generation": entry.generation, "at": at, "error": error, "now": now},
    )


def bury(tx: Tx, entry: OutboxEntry, *, error: str, now: int) -> bool:
    """Mark the entry as dead. False when there is a newer generation of it: then it is ready again at once."""
    buried = tx.execute(
        "UPDATE outbox SET state = 'dead', lease_until = NULL, last_error = :error, updated_at = :now"
        f" WHERE {_HELD} AND generation = :generation",
        {**_held(entry), "generation": entry.generation, "error": error, "now": now},
    ).rowcount
    if not buried:
        retry(tx, entry, at=now, error=error, now=now)
    return buried > 0


def bury_account(tx: Tx, account_id: str, *, error: str, now: int) -> None:
    """Mark every open entry of an Account as dead: the Account is being disconnected."""
    tx.execute(
        "UPDATE outbox SET state = 'dead', lease_until = NULL, last_error = :error, updated_at = :now"
        " WHERE account_id = :account_id AND state IN ('ready', 'leased')",
        {"account_id": account_id, "error": error, "now": now},
    )


def is_open(tx: Tx, appointment_id: str) -> bool:
    """Whether something is still to be done upstream for this Appointment."""
    return (
        tx.execute(
            "SELECT 1 FROM outbox WHERE appointment_id = :id AND state IN ('ready', 'leased')", {"id": appointment_id}
        ).fetchone()
        is not None
    )


def wait_for(tx: Tx, appointment_id: str, other_id: str) -> None:
    """If the other Appointment's entry is leased, let the entry of this one wait until that lease has run out."""
    tx.execute(
        "UPDATE outbox SET next_attempt_at = COALESCE((SELECT lease_until FROM outbox WHERE appointment_id = :other"
        " AND state = 'leased'), next_attempt_at) WHERE appointment_id = :id AND state = 'ready'",
        {"id": appointment_id, "other": other_id},
    )


def release_leases(tx: Tx, *, now: int) -> int:
    """Make every leased entry due at once: the process that held the leases has died. Returns how many."""
    return tx.execute(
        "UPDATE outbox SET state = 'ready', lease_until = NULL, next_attempt_at = :now, updated_at = :now"
        " WHERE state = 'leased'",
        {"now": now},
    ).rowcount


def bring_forward(tx: Tx, *, now: int) -> None:
    """Make every waiting entry due now: it was planned by a clock that was wrong."""
    for column in ("next_attempt_at", "updated_at"):
        tx.execute(f"UPDATE outbox SET {column} = :now WHERE state = 'ready' AND {column} > :now", {"now": now})


def last_touched(tx: Tx) -> int:
    """When anything that waits was last wished for or tried, Unix seconds; 0 if nothing waits."""
    row = tx.execute("SELECT COALESCE(MAX(updated_at), 0) AS at FROM outbox WHERE state = 'ready'").fetchone()
    return int(row["at"])


def next_due(tx: Tx) -> int | None:
    """The instant at which the next entry is due, or None."""
    row = tx.execute(
        "SELECT MIN(CASE WHEN o.state = 'ready' THEN o.next_attempt_at ELSE o.lease_until END) AS at FROM outbox o"
        " JOIN accounts a ON a.id = o.account_id WHERE o.state IN ('ready', 'leased') AND a.state <> 'needs_password'"
    ).fetchone()
    return None if row["at"] is None else int(row["at"])


def revive(tx: Tx, appointment_id: str, *, now: int) -> bool:
    """Make the newest dead entry of an Appointment ready again, as a new generation. False when there is none."""
    return (
        tx.execute(
            "UPDATE outbox SET state = 'ready', generation = generation + 1, attempts = 0, next_attempt_at = :now,"
            " updated_at = :now WHERE id ="
            " (SELECT MAX(id) FROM outbox WHERE appointment_id = :id AND state = 'dead')"
            " AND NOT EXISTS (SELECT 1 FROM outbox WHERE appointment_id = :id AND state IN ('ready', 'leased'))",
            {"id": appointment_id, "now": now},
        ).rowcount
        > 0
    )


def of_user(tx: Tx, user_id: str, *, states: tuple[OutboxState, ...]) -> list[OutboxEntry]:
    """The entries of a User in these states, oldest first."""
    wanted = ", ".join(f"'{OutboxState(state).value}'" for state in states)
    rows = tx.execute(
        f"SELECT {_ENTRY_OF_O} FROM outbox o JOIN appointments a ON a.id = o.appointment_id WHERE a.user_id = :user_id"
        f" AND o.state IN ({wanted}) ORDER BY o.id",
        {"user_id": user_id},
    )
    return [_entry(row) for row in rows]


@dataclass(frozen=True, slots=True)
class DatedEntry:
    """An entry with the instants at which it was opened and last changed."""

    entry: OutboxEntry
    created_at: int
    updated_at: int


def of_appointment(tx: Tx, appointment_id: str) -> list[DatedEntry]:
    """Every entry about an Appointment that is still kept, oldest first."""
    rows = tx.execute(
        f"SELECT {_ENTRY}, created_at, updated_at FROM outbox WHERE appointment_id = :id ORDER BY id",
        {"id": appointment_id},
    ).fetchall()
    return [
        DatedEntry(_entry({name: row[name] for name in _ENTRY.split(", ")}), row["created_at"], row["updated_at"])
        for row in rows
    ]


def prune(tx: Tx, *, before: int) -> None:
    """Forget entries that were done before an instant."""
    tx.execute("DELETE FROM outbox WHERE state = 'done' AND updated_at < :before", {"before": before})


#: Selects an entry if its lease is still the one with which it was claimed: no two claims run out at the same time.
_HELD = "id = :id AND state = 'leased' AND lease_until = :lease_until"


def _held(entry: OutboxEntry) -> dict[str, object]:
    return {"id": entry.id, "lease_until": entry.lease_until}


_ENTRY = "id, appointment_id, account_id, state, generation, attempts, next_attempt_at, lease_until, last_error"
_ENTRY_OF_O = ", ".join(f"o.{column}" for column in _ENTRY.split(", "))


def _entry(row: Row | dict[str, Any]) -> OutboxEntry:
    return OutboxEntry(**{**dict(row), "state": OutboxState(row["state"])})
