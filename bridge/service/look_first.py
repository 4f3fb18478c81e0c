"""Fresh before booking: what a person put into their calendar a moment ago is seen before somebody books over it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.domain.model import AccountState
from bridge.service import mirror, people
from bridge.service.context import Context
from bridge.store import accounts, booking_calendars, sources, users
from bridge.store.db import Tx
from bridge.store.sources import Source


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of looking."""

    #: When the calendar that was read longest ago was read; None: one never was, or there are none.
    as_of: int | None
    #: Users of whose calendars some could not be asked just now.
    unasked: frozenset[str]
    #: Whether these can't be booked for it, by setting, rather than as they were last known.
    closed: bool

    @property
    def refused(self) -> frozenset[str]:
        """Users who can't be booked therefore."""
        return self.unasked if self.closed else frozenset()


async def look_first(context: Context, location_id: str, calendar_id: str, user_id: str | None) -> Looked:
    """Read the calendars of those whom a booking may be about, unless that was done a moment ago.

    It takes a few seconds at most. Bookings at the same time share one poll. With a `user_id`, it is about that User.
    """
    now = context.clock()
    fresh_from = now - context.freshness.fresh
    with context.db.read() as tx:
        members = _members(tx, location_id, calendar_id, user_id)
        polls = [mirror.poll(context, account_id) for account_id in _to_ask(tx, members, fresh_from, now)]
    if polls:
        # A poll that takes longer goes on: the next booking finds what it found.
        await asyncio.wait(polls, timeout=context.freshness.patience)
    with context.db.read() as tx:
        known = people.known(tx, members, now=0, stale_seconds=None)
    now = context.clock()
    unasked = frozenset(source.user_id for source in known.sources if not _fresh(source, fresh_from, now))
    return Looked(known.as_of, unasked, closed=not context.freshness.last_known_will_do)


def _fresh(source: Source, fresh_from: int, now: int) -> bool:
    # What was read at a time that is yet to come was read by a clock that was wrong.
    return source.last_read_at is not None and fresh_from <= source.last_read_at <= now


def _members(tx: Tx, location_id: str, calendar_id: str, user_id: str | None) -> tuple[str, ...]:
    calendar = booking_calendars.get(tx, calendar_id)
    if calendar is not None and calendar.location_id == location_id and (user_id is None or calendar.everyone):
        return calendar.user_ids
    user = users.get(tx, user_id or "")
    return (user.id,) if user is not None and user.location_id == location_id else ()


def _to_ask(tx: Tx, members: Iterable[str], fresh_from: int, now: int) -> list[str]:
    """The Accounts that were not read just now and may be asked."""
    old = {source.account_id for source in sources.of_users(tx, members) if not _fresh(source, fresh_from, now)}
    found = [accounts.get(tx, account_id) for account_id in sorted(old)]
    # A password that was refused is not tried again and again, and a throttle not made longer.
    hopeless = {AccountState.NEEDS_PASSWORD, AccountState.THROTTLED}
    return [account.id for account in found if account is not None and account.state not in hopeless]
