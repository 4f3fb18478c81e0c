"""What the use cases work with. It is made in `bridge.app`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bridge.domain.model import Account, Titles
from bridge.remote.base import Remote
from bridge.store.db import Db

if TYPE_CHECKING:
    from bridge.service.mirror_run import CalendarRun


class Vault(Protocol):
    """Seals secrets so that only this bridge's key opens them."""

    def seal(self, secret: str, *, account_id: str) -> bytes:
        """Seal a secret for one Account."""
        ...

    def open(self, sealed: bytes, *, account_id: str) -> str:
        """Open a sealed secret. Raises `SecretUnreadable`."""
        ...


class Remotes(Protocol):
    """Opens connections to remote servers."""

    def for_login(self, provider: str, username: str, password: str) -> Remote:
        """A connection for a login that is not stored yet. Raises `AccountNotConnected` for an unknown provider."""
        ...

    def for_account(self, account: Account) -> Remote:
        """The Account's connection, kept open between uses. Raises `SecretUnreadable`."""
        ...

    async def forget(self, account_id: str) -> None:
        """Close and drop the Account's connection."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...

    def clean_password(self, provider: str, text: str) -> str:
        """The password as the provider wants it, from what a person pasted. Raises `AccountNotConnected` as above."""
        ...

    def is_app_specific(self, provider: str, password: str) -> bool:
        """Whether the provider could take this password: iCloud takes app-specific ones only."""
        ...

    def poll_seconds(self, provider: str) -> int:
        """Seconds between two polls of an account of this provider."""
        ...


@dataclass(frozen=True, slots=True)
class Freshness:
    """How recently Users' calendars must have been read to offer and to book their time. In seconds."""

    #: Before a booking, calendars that were read longer ago than `fresh` are read first, for at most `patience`.
    fresh: int = 15
    patience: int = 5
    #: Users whose calendars were read longer ago than this are not offered as free.
    stale: int = 900
    #: Whether a booking goes by what was last read where the calendars can't be read now; otherwise it is refused.
    last_known_will_do: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """The store, the secrets, the remotes and the clock (Unix seconds, UTC)."""

    db: Db
    vault: Vault
    remotes: Remotes
    clock: Callable[[], int]
    #: The setting of new Calendars.
    default_titles: Titles
    #: Called after a write that leaves something to push.
    wake_push: Callable[[], None]
    freshness: Freshness = field(default=Freshness(), kw_only=True)
    #: The mirror runs under way, by Account.
    polls: dict[str, asyncio.Task[list[CalendarRun]]] = field(default_factory=dict, kw_only=True, repr=False)
