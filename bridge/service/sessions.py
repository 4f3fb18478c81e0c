"""Signing in to the pages: by a one-time settings link, a calendar password or, for administrators, an API token.

The secrets of links and sessions are 256 random bits. Only their hashes are stored, so a copy of the store opens no
session.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum

from bridge.domain.model import User
from bridge.errors import Unknown
from bridge.service.visibility import Locations, sees
from bridge.store import audit, facts, passwords, sessions, users
from bridge.store.db import Db, Tx
from bridge.store.sessions import Session, SettingsLink

#: Seconds for which a settings link works: long enough to open a message, too short to be found in a mailbox later.
LINK_SECONDS = 30 * 60
#: Seconds for which a User, and an administrator, stays signed in.
USER_SECONDS = 7 * 86_400
ADMIN_SECONDS = 8 * 3600

_KEY = "session_signing_key"


class LinkState(StrEnum):
    """Whether a settings link can be used."""

    USABLE = "usable"
    USED = "used"
    EXPIRED = "expired"
    #: It was never made, or was withdrawn by signing out everywhere.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in."""

    #: None: an administrator.
    user: User | None
    token_id: str | None
    #: The locations of an administrator's token; None: every location.
    locations: Locations

    @property
    def is_admin(self) -> bool:
        """Whether this is an administrator."""
        return self.token_id is not None

    @property
    def actor(self) -> str:
        """Who this is in the audit log."""
        return f"token:{self.token_id}" if self.user is None else f"user:{self.user.id}"

    def sees(self, user: User) -> bool:
        """Whether this administrator may see a User."""
        return self.is_admin and sees(self.locations, user.location_id)


def make_link(db: Db, user_id: str, *, actor: str, now: int) -> tuple[str, int]:
    """Make a settings link for a User. Returns its secret (not stored) and when it expires. Raises `Unknown`."""
    secret = secrets.token_urlsafe(32)
    link = SettingsLink(user_id=user_id, expires_at=now + LINK_SECONDS, used_at=None)
    with db.write() as tx:
        if users.get(tx, user_id) is None:
            raise Unknown("user", user_id)
        sessions.prune(tx, now=now)
        sessions.add_link(tx, _hash(secret), link, now=now)
        audit.record(tx, actor, "settings link made", user_id, now=now)
    return secret, link.expires_at


def link_address(pages: str, secret: str) -> str:
    """The address of a settings link. `pages` is where the pages are reached, ending in "/"."""
    return f"{pages}link/{secret}"


def look_at_link(db: Db, secret: str, *, now: int) -> tuple[LinkState, User | None]:
    """Whether a settings link can be used, and by which User. This does not use it up."""
    with db.read() as tx:
        return _link_state(tx, secret, now=now)


def sign_in_by_link(db: Db, secret: str, *, now: int) -> str | LinkState:
    """Use a settings link up. Returns the new session's secret, or why the link does not work."""
    with db.write() as tx:
        state, user = _link_state(tx, secret, now=now)
        if user is None:
            return state
        sessions.use_link(tx, _hash(secret), now=now)
        return _open(tx, Session(user.id, None, None, now, now + USER_SECONDS), actor=f"user:{user.id}")


def sign_in_by_password(db: Db, user_id: str, password: str, *, now: int) -> str | None:
    """Sign a User in with one of their calendar passwords. Returns the session's secret, or None."""
    with db.write() as tx:
        password_id = passwords.verify(tx, user_id, password)
        if password_id is None:
            return None
        return _open(tx, Session(user_id, None, password_id, now, now + USER_SECONDS), actor=f"user:{user_id}")


def sign_in_by_token(db: Db, token: str, *, now: int) -> str | None:
    """Sign an administrator in with an API token that has the scope `admin`. Returns the session's secret, or None."""
    with db.write() as tx:
        found = users.token_by_hash(tx, _hash(token.strip()))
        if found is None or "admin" not in found.scopes:
            return None
        return _open(tx, Session(None, found.id, None, now, now + ADMIN_SECONDS), actor=f"token:{found.id}")


def visitor(db: Db, secret: str, *, now: int) -> Visitor | None:
    """Who is signed in with this session; None where it has ended, or never existed."""
    with db.read() as tx:
        session = sessions.get(tx, _hash(secret), now=now)
        if session is None:
            return None
        if session.user_id is not None:
            user = users.get(tx, session.user_id)
            return None if user is None else Visitor(user, None, frozenset())
        token = next((token for token in users.all_tokens(tx) if token.id == session.token_id), None)
        return None if token is None else Visitor(None, token.id, token.location_ids or None)


def sign_out(db: Db, secret: str) -> None:
    """End one session."""
    with db.write() as tx:
        sessions.remove(tx, _hash(secret))


def sign_out_everywhere(db: Db, who: Visitor, *, now: int) -> None:
    """End every session of a User and withdraw their unused links; or every session of an administrator's token."""
    with db.write() as tx:
        if who.user is not None:
            sessions.remove_of_user(tx, who.user.id)
        elif who.token_id is not None:
            sessions.remove_of_token(tx, who.token_id)
        audit.record(tx, who.actor, "signed out everywhere", who.actor.partition(":")[2], now=now)


def signing_key(db: Db) -> bytes:
    """The key with which cookies and form tokens are signed. It is made once, and kept in the store."""
    with db.read() as tx:
        known = facts.get(tx, _KEY)
    if known is None:
        with db.write() as tx:
            known = facts.get(tx, _KEY) or secrets.token_hex(32)
            facts.put(tx, _KEY, known)
    return bytes.fromhex(known)


def signature(key: bytes, purpose: str, text: str) -> str:
    """A signature of `text` for one purpose. A signature for another purpose is a different one."""
    return hmac.digest(key, f"{purpose}\n{text}".encode(), hashlib.sha256).hex()


def _open(tx: Tx, session: Session, *, actor: str) -> str:
    secret = secrets.token_urlsafe(32)
    sessions.prune(tx, now=session.created_at)
    sessions.add(tx, _hash(secret), session)
    audit.record(tx, actor, "signed in", actor.partition(":")[2], now=session.created_at)
    return secret


def _link_state(tx: Tx, secret: str, *, now: int) -> tuple[LinkState, User | None]:
    link = sessions.link(tx, _hash(secret))
    if link is None:
        return LinkState.UNKNOWN, None
    if link.used_at is not None:
        return LinkState.USED, None
    user = users.get(tx, link.user_id)
    if link.expires_at <= now or user is None:
        return LinkState.EXPIRED, None
    return LinkState.USABLE, user


def _hash(secret: str) -> str:
    # 256 random bits can't be guessed from their hash, so a fast hash without salt is enough. An index finds it.
    return hashlib.sha256(secret.encode()).hexdigest()
