"""What iCloud keeps: accounts, their calendars and objects, and what its writes have as side effects."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["calendar", "subscribed"]


@dataclass(slots=True)
class Stored:
    """One object. While `late` is not 0, those who ask get what was there `before`."""

    etag: str
    ics: str
    late: int = 0
    before: Stored | None = None


@dataclass(slots=True)
class Collection:
    """One calendar, whoever shares it."""

    name: str
    colour: str | None
    components: tuple[str, ...]
    kind: Kind = "calendar"
    objects: dict[str, Stored] = field(default_factory=dict)
    #: Name to the revision of its last change; those no longer in `objects` are gone.
    log: dict[str, int] = field(default_factory=dict)
    revision: int = 1
    #: Tokens of other generations are forgotten.
    generation: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def token(self) -> str:
        """Sync-token and ctag are the same opaque text (nidaro, citing Aurinko's captures)."""
        return self.token_at(self.revision)

    def token_at(self, revision: int) -> str:
        """The token of a moment."""
        return f"HwoQEgwAA{self.generation}={revision}"

    def since(self, token: str) -> int | None:
        """The revision that a token stands for; None when it is forgotten."""
        generation, _, revision = token.removeprefix("HwoQEgwAA").partition("=")
        return int(revision) if generation == self.generation and revision.isdigit() else None

    def store(self, name: str, ics: str, *, late: int = 0) -> Stored:
        """Put an object, new or changed."""
        self.revision += 1
        self.log[name] = self.revision
        stored = Stored(f'"C={self.revision}@U={self.generation}"', ics, late, self.objects.get(name) if late else None)
        self.objects[name] = stored
        return stored

    def remove(self, name: str) -> None:
        """Remove an object."""
        self.revision += 1
        self.log[name] = self.revision
        del self.objects[name]

    def forget_tokens(self) -> None:
        """Forget every token given out so far."""
        self.generation = secrets.token_hex(6)


@dataclass(slots=True)
class Place:
    """A calendar as one account sees it."""

    collection: Collection
    writable: bool = True
    shared: bool = False


@dataclass(slots=True)
class Account:
    """One Apple account."""

    dsid: str
    username: str
    #: Where its calendars live: an index into the partitions.
    partition: int
    aliases: tuple[str, ...] = ()
    passwords: set[str] = field(default_factory=set)
    #: The last part of the address, to what is there.
    calendars: dict[str, Place] = field(default_factory=dict)

    @property
    def home(self) -> str:
        """The path of the home set."""
        return f"/{self.dsid}/calendars/"


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that went out because of what was written."""

    to: str
    method: Literal["REQUEST", "CANCEL"]
    uid: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One who shares a calendar was told of a write."""

    to: str
    calendar: str
    method: str


@dataclass(slots=True)
class State:
    """Everything, and the lock that all who look at it hold."""

    accounts: dict[str, Account] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def by_username(self, username: str) -> Account | None:
        """The account with this primary address: an alias does not log in."""
        return next((a for a in self.accounts.values() if a.username.lower() == username.lower()), None)

    def sharers(self, collection: Collection, other_than: Account) -> list[str]:
        """Everybody else who has a calendar."""
        return [
            account.username
            for account in self.accounts.values()
            if account is not other_than and any(p.collection is collection for p in account.calendars.values())
        ]
