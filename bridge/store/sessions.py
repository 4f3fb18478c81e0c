"""Settings links, and the sessions of the settings pages. Their secrets are stored as hashes only."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.store.db import Tx


@dataclass(frozen=True, slots=True)
class SettingsLink:
    """A link that signs one User in, once. Instants are Unix seconds, UTC."""

    user_id: str
    expires_at: int
    used_at: int | None


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in: a User, or an administrator by their API token."""

    user_id: str | None
    token_id: str | None
    #: The calendar password with which it was opened, if any. Revoking it ends the session.
    password_id: str | None
    created_at: int
    expires_at: int


def add_link(tx: Tx, link_hash: str, link: SettingsLink, *, now: int) -> None:
    """Keep a settings link by its hash."""
    tx.execute(
        "INSERT INTO settings_links (hash, user_id, created_at, expires_at) VALUES (:hash, :user_id, :now, :expires)",
        {"hash": link_hash, "user_id": link.user_id, "now": now, "expires": link.expires_at},
    )


def link(tx: Tx, link_hash: str) -> SettingsLink | None:
    """The settings link with this hash, even if it was used or has expired."""
    row = tx.execute(
        "SELECT user_id, expires_at, used_at FROM settings_links WHERE hash = :hash", {"hash": link_hash}
    ).fetchone()
    return SettingsLink(**row) if row else None


def use_link(tx: Tx, link_hash: str, *, now: int) -> None:
    """Mark the link as used."""
    tx.execute("UPDATE settings_links SET used_at = :now WHERE hash = :hash", {"hash": link_hash, "now": now})


def add(tx: Tx, session_hash: str, session: Session) -> None:
    """Keep a session by its hash."""
    tx.execute(
        "INSERT INTO sessions (hash, user_id, token_id, password_id, created_at, expires_at)"
        " VALUES (:hash, :user_id, :token_id, :password_id, :created_at, :expires_at)",
        {
            "hash": session_hash,
            "user_id": session.user_id,
            "token_id": session.token_id,
            "password_id": session.password_id,
            "created_at": session.created_at,
            "expires_at": session.expires_at,
        },
    )


def get(tx: Tx, session_hash: str, *, now: int) -> Session | None:
    """The session with this hash, unless it has expired, or the password or token that opened it was revoked."""
    row = tx.execute(
        "SELECT s.user_id, s.token_id, s.password_id, s.created_at, s.expires_at FROM sessions s"
        " LEFT JOIN api_tokens t ON t.id = s.token_id LEFT JOIN calendar_passwords p ON p.id = s.password_id"
        " WHERE s.hash = :hash AND s.expires_at > :now AND t.revoked_at IS NULL AND p.revoked_at IS NULL",
        {"hash": session_hash, "now": now},
    ).fetchone()
    return Session(**row) if row else None


def remove(tx: Tx, session_hash: str) -> None:
    """End one session."""
    tx.execute("DELETE FROM sessions WHERE hash = :hash", {"hash": session_hash})


def remove_of_user(tx: Tx, user_id: str) -> None:
    """End every session of a User, and withdraw the settings links that nobody has used."""
    tx.execute("DELETE FROM sessions WHERE user_id = :id", {"id": user_id})
    tx.execute("DELETE FROM settings_links WHERE user_id = :id AND used_at IS NULL", {"id": user_id})


def remove_of_token(tx: Tx, token_id: str) -> None:
    """End every session that was opened with an API token."""
    tx.execute("DELETE FROM sessions WHERE token_id = :id", {"id": token_id})


def prune(tx: Tx, *, now: int) -> None:
    """Delete sessions and links that have expired."""
    tx.execute("DELETE FROM sessions WHERE expires_at <= :now", {"now": now})
    tx.execute("DELETE FROM settings_links WHERE expires_at <= :now", {"now": now})
