"""The change feed: everything that happened, in one sequence, recorded in the transactions that make the changes.

Write transactions follow each other, so the sequence has the order of the commits: whoever has seen a number has seen
every lower one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from bridge.domain.changes import Change, ChangeOrigin, ChangeType, News, Resource
from bridge.store import facts
from bridge.store.db import Row, Tx

#: The fact that holds the highest sequence number that is no longer kept.
_FORGOTTEN = "changes_forgotten"


def record(tx: Tx, news: Iterable[News], *, now: int) -> None:
    """Add changes to the end of the sequence."""
    tx.executemany(
        "INSERT INTO changes (location_id, user_id, resource, resource_id, type, origin, changed_fields, previous,"
        " version, document, occurred_at) VALUES (:location_id, :user_id, :resource, :resource_id, :type, :origin,"
        " :changed_fields, :previous, :version, :document, :now)",
        [
            {
                "location_id": one.location_id,
                "user_id": one.user_id,
                "resource": one.resource,
                "resource_id": one.id,
                "type": one.type,
                "origin": one.origin,
                "changed_fields": json.dumps(one.changed_fields),
                "previous": json.dumps(one.previous, ensure_ascii=False),
                "version": one.version,
                "document": json.dumps(one.document, ensure_ascii=False),
                "now": now,
            }
            for one in news
        ],
    )


def head(tx: Tx) -> int:
    """The highest sequence number; 0 where there is no change yet."""
    return int(tx.execute("SELECT COALESCE(MAX(sequence), 0) AS head FROM changes").fetchone()["head"])


def forgotten(tx: Tx) -> int:
    """The highest sequence number that is no longer kept; 0 where all are kept."""
    return int(facts.get(tx, _FORGOTTEN) or 0)


def after(
    tx: Tx, sequence: int, *, locations: Collection[str] | None, types: Collection[ChangeType] | None, limit: int
) -> list[Change]:
    """The changes after a sequence number, in order; only of these locations and types, if given."""
    wanted, values = "", {"sequence": sequence, "limit": limit}
    names: dict[str, str] = {}
    for column, allowed in (("location_id", locations), ("type", types)):
        if allowed is not None:
            some = {f"{column}{n}": str(value) for n, value in enumerate(sorted(allowed))}
            wanted += f" AND {column} IN ({', '.join(f':{name}' for name in some)})"
            names |= some
    rows = tx.execute(
        f"SELECT {_CHANGE} FROM changes WHERE sequence > :sequence{wanted} ORDER BY sequence LIMIT :limit",
        {**values, **names},
    )
    return [_change(row) for row in rows]


def of_user(tx: Tx, user_id: str) -> list[Change]:
    """The changes of what belongs to one User, as far as they are kept, in order."""
    rows = tx.execute(f"SELECT {_CHANGE} FROM changes WHERE user_id = :id ORDER BY sequence", {"id": user_id})
    return [_change(row) for row in rows]


def forget(tx: Tx, user_id: str) -> None:
    """Delete the changes of one User except the last one, and the webhook deliveries of the deleted ones."""
    older = "user_id = :id AND sequence < (SELECT MAX(sequence) FROM changes WHERE user_id = :id)"
    tx.execute(
        f"DELETE FROM webhook_deliveries WHERE sequence IN (SELECT sequence FROM changes WHERE {older})",
        {"id": user_id},
    )
    tx.execute(f"DELETE FROM changes WHERE {older}", {"id": user_id})


_CHANGE = (
    "sequence, location_id, user_id, resource, resource_id, type, origin, changed_fields, previous, version, document,"
    " occurred_at"
)


def _change(row: Row) -> Change:
    return Change(
        row["sequence"],
        row["occurred_at"],
        News(
            location_id=row["location_id"],
            user_id=row["user_id"],
            resource=Resource(row["resource"]),
            id=row["resource_id"],
            type=ChangeType(row["type"]),
            origin=ChangeOrigin(row["origin"]),
            changed_fields=tuple(json.loads(row["changed_fields"])),
            previous=json.loads(row["previous"]),
            version=row["version"],
            document=json.loads(row["document"]),
        ),
    )


def prune(tx: Tx, *, before: int) -> None:
    """Delete the changes from before an instant, except the last one: the next number has to be higher than it."""
    row = tx.execute(
        "SELECT MAX(sequence) AS last FROM changes WHERE occurred_at < :before"
        " AND sequence < (SELECT MAX(sequence) FROM changes)",
        {"before": before},
    ).fetchone()
    if row["last"] is not None:
        tx.execute("DELETE FROM changes WHERE sequence <= :last", {"last": row["last"]})
        facts.put(tx, _FORGOTTEN, str(row["last"]))
