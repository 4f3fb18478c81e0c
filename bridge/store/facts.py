"""Single facts about this store, such as its id, by name."""

from __future__ import annotations

from bridge.store.db import Tx


def get(tx: Tx, name: str) -> str | None:
    """The value of the fact, or None."""
    row = tx.execute("SELECT value FROM store_facts WHERE name = :name", {"name": name}).fetchone()
    return None if row is None else str(row["value"])


def put(tx: Tx, name: str, value: str) -> None:
    """Set the fact, replacing its former value."""
    tx.execute(
        "INSERT INTO store_facts (name, value) VALUES (:name, :value)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        {"name": name, "value": value},
    )
