"""Connections: an Account with its Calendars, as the API shows them; and reading them at once when the CRM asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bridge.domain.model import Account, AccountState, Calendar, Role
from bridge.errors import Unknown
from bridge.service import connect, users
from bridge.service.context import Context
from bridge.service.mirror import poll
from bridge.service.visibility import Locations, sees
from bridge.store import accounts
from bridge.store import users as stored_users
from bridge.store.db import Db, Tx

#: Seconds that a request waits for the poll that it asked for.
PATIENCE = 20.0
#: No new poll is made if the last one was no more than this many seconds ago.
JUST_NOW = 5


class Outcome(StrEnum):
    """The outcome of asking for a poll."""

    DONE = "done"
    #: It is still running.
    RUNNING = "running"
    #: There was one a moment ago, so none was made.
    FRESH = "fresh"
    #: None was made: its password was refused, or its server throttles. Asking could only make it worse.
    NOT_NOW = "not_now"


@dataclass(frozen=True, slots=True)
class Connection:
    """An Account without its secret, and its Calendars, the Primary first."""

    account: Account
    location_id: str
    calendars: tuple[Calendar, ...]

    @property
    def read(self) -> tuple[Calendar, ...]:
        """The Calendars with a role."""
        return tuple(calendar for calendar in self.calendars if calendar.role != Role.NONE)

    @property
    def last_synced_at(self) -> int | None:
        """When the Calendar was read that was read longest ago; None: one was never read, or there are none."""
        times = [calendar.last_success_at for calendar in self.read]
        return None if None in times else min((at for at in times if at is not None), default=None)


def list_connections(
    db: Db, *, locations: Locations, location_id: str | None = None, user_id: str | None = None
) -> list[Connection]:
    """The connections that the caller may see; only those of a location or a User, if given."""
    with db.read() as tx:
        return [
            connection
            for connection in _seen(tx, locations, user_id)
            if location_id is None or connection.location_id == location_id
        ]


def get(db: Db, connection_id: str, *, locations: Locations) -> Connection:
    """One connection. Raises `Unknown`."""
    with db.read() as tx:
        account = accounts.get(tx, connection_id)
        user = None if account is None else stored_users.get(tx, account.user_id)
        if account is None or user is None or not sees(locations, user.location_id):
            raise Unknown("connection", connection_id)
        return _connection(tx, account, user.location_id)


async def sync(context: Context, connection_id: str, *, locations: Locations) -> tuple[Connection, Outcome]:
    """Read a connection's Calendars now, and wait for that for at most `WAIT_SECONDS`. Raises `Unknown`."""
    found = get(context.db, connection_id, locations=locations)
    if found.account.state in {AccountState.NEEDS_PASSWORD, AccountState.THROTTLED}:
        return found, Outcome.NOT_NOW
    synced = found.last_synced_at
    if synced is not None and context.clock() - synced < JUST_NOW:
        return found, Outcome.FRESH
    task = poll(context, connection_id)
    await asyncio.wait([task], timeout=PATIENCE)
    outcome = Outcome.DONE if task.done() else Outcome.RUNNING
    return get(context.db, connection_id, locations=locations), outcome


async def remove_user(context: Context, user_id: str) -> None:
    """Remove a User, and close the connections of their Accounts. Raises `Unknown`, `SetByAdministrator`."""
    known = connect.list_accounts(context.db, user_id)
    users.remove_user(context.db, user_id, now=context.clock())
    for account in known:
        await context.remotes.forget(account.id)


def _seen(tx: Tx, locations: Locations, user_id: str | None) -> Iterator[Connection]:
    where = {user.id: user.location_id for user in stored_users.all_users(tx)}
    for account in accounts.all_of(tx, user_id):
        location_id = where[account.user_id]
        if sees(locations, location_id):
            yield _connection(tx, account, location_id)


def _connection(tx: Tx, account: Account, location_id: str) -> Connection:
    return Connection(account, location_id, tuple(accounts.calendars(tx, account_id=account.id)))
