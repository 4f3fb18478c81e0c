"""Users and API tokens."""

from __future__ import annotations

import json

from bridge.domain.model import ApiToken, TwoWay, User
from bridge.store import booking_calendars
from bridge.store.db import Row, Tx

#: Selects the number of the User `user_id`, which tables with many rows have as the owner.
OWNER = "(SELECT number FROM users WHERE id = :user_id)"


def add(tx: Tx, user: User, *, now: int) -> None:
    """Add a User. Raises `sqlite3.IntegrityError` when the id is taken."""
    tx.execute(
        "INSERT INTO users (id, location_id, name, time_zone, created_at)"
        " VALUES (:id, :location_id, :name, :time_zone, :now)",
        {"id": user.id, "location_id": user.location_id, "name": user.name, "time_zone": user.time_zone, "now": now},
    )


def get(tx: Tx, user_id: str) -> User | None:
    """The User, or None."""
    row = tx.execute(f"SELECT {_USER} FROM users WHERE id = :id", {"id": user_id}).fetchone()
    return User(**row) if row else None


def all_users(tx: Tx) -> list[User]:
    """Every User, by id."""
    return [User(**row) for row in tx.execute(f"SELECT {_USER} FROM users ORDER BY id")]


def two_way(tx: Tx, user_id: str) -> TwoWay:
    """The User's setting for what happens when they change an Appointment's event in iCloud."""
    row = tx.execute("SELECT two_way FROM users WHERE id = :id", {"id": user_id}).fetchone()
    return TwoWay(row["two_way"]) if row else TwoWay.ACCEPT


def set_two_way(tx: Tx, user_id: str, choice: TwoWay) -> bool:
    """Set what `two_way` returns. False when there is no such User."""
    return (
        tx.execute("UPDATE users SET two_way = :choice WHERE id = :id", {"id": user_id, "choice": choice}).rowcount > 0
    )


def change(tx: Tx, user: User) -> None:
    """Update the User's name and time zone."""
    tx.execute(
        "UPDATE users SET name = :name, time_zone = :time_zone WHERE id = :id",
        {"id": user.id, "name": user.name, "time_zone": user.time_zone},
    )


def remove(tx: Tx, user_id: str) -> bool:
    """Remove a User and everything that belongs to them. False when there is no such User."""
    tx.execute(
        "DELETE FROM outbox WHERE appointment_id IN (SELECT id FROM appointments WHERE user_id = :id)", {"id": user_id}
    )
    for calendar in booking_calendars.of_user(tx, user_id):
        if calendar.user_ids == (user_id,):
            booking_calendars.remove(tx, calendar.id)
    return tx.execute("DELETE FROM users WHERE id = :id", {"id": user_id}).rowcount > 0


def add_token(tx: Tx, token: ApiToken, token_hash: str) -> None:
    """Add a token. Of its secret only the hash is stored."""
    tx.execute(
        "INSERT INTO api_tokens (id, label, hash, location_ids, scopes, created_at)"
        " VALUES (:id, :label, :hash, :location_ids, :scopes, :created_at)",
        {
            "id": token.id,
            "label": token.label,
            "hash": token_hash,
            "location_ids": json.dumps(sorted(token.location_ids)),
            "scopes": json.dumps(sorted(token.scopes)),
            "created_at": token.created_at,
        },
    )


def token_by_hash(tx: Tx, token_hash: str) -> ApiToken | None:
    """The token with this hash, unless it was revoked."""
    row = tx.execute(
        f"SELECT {_TOKEN} FROM api_tokens WHERE hash = :hash AND revoked_at IS NULL", {"hash": token_hash}
    ).fetchone()
    return _token(row) if row else None


def all_tokens(tx: Tx) -> list[ApiToken]:
    """Every token, revoked ones too, oldest first."""
    return [_token(row) for row in tx.execute(f"SELECT {_TOKEN} FROM api_tokens ORDER BY created_at, id")]


def revoke_token(tx: Tx, token_id: str, *, now: int) -> bool:
    """Revoke a token. False when there is none, or it was revoked already."""
    return (
        tx.execute(
            "UPDATE api_tokens SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL",
            {"id": token_id, "now": now},
        ).rowcount
        > 0
    )


_USER = "id, location_id, name, time_zone, revision"
_TOKEN = "id, label, location_ids, scopes, created_at, revoked_at"  # noqa: S105 - column names


def _token(row: Row) -> ApiToken:
    return ApiToken(
        id=row["id"],
        label=row["label"],
        location_ids=frozenset(json.loads(row["location_ids"])),
        scopes=frozenset(json.loads(row["scopes"])),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
