"""Reading calendars before a booking, so that an event from a moment ago is seen before its time is booked."""

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
class Refreshed:
    """The outcome of reading calendars before a booking."""

    #: When the calendar was read that was read longest ago; None: one was never read, or there are none.
    as_of: int | None
    #: Users of whose calendars at least one could not be read now.
    unasked: frozenset[str]
    #: Whether these Users can't be booked then, by setting. Otherwise the booking goes by what was last read.
    closed: bool

    @property
    def refused(self) -> frozenset[str]:
        """The Users who can't be booked for this reason."""
        return self.unasked if self.closed else frozenset()


async def refresh(context: Context, location_id: str, calendar_id: str, user_id: str | None) -> Refreshed:
    """Read the calendars of the Users whom a booking may concern, unless they were read a moment ago.

    This takes at most `context.freshness.patience`. Simultaneous bookings share one poll. With a `user_id`, the booking
    is for that User.
    """
    now = context.clock()
    fresh_from = now - context.freshness.fresh
    with context.db.read() as tx:
        members = _members(tx, location_id, calendar_id, user_id)
        polls = [mirror.poll(context, account_id) for account_id in _to_ask(tx, members, fresh_from, now)]
    if polls:
        # A poll that takes longer goes on in the background, and serves the next booking.
        await asyncio.wait(polls, timeout=context.freshness.patience)
    with context.db.read() as tx:
        known = people.known(tx, members, now=0, stale_seconds=None)
    now = context.clock()
    unasked = frozenset(source.user_id for source in known.sources if not _fresh(source, fresh_from, now))
    return Refreshed(known.as_of, unasked, closed=not context.freshness.last_known_will_do)


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
    """The ids of Accounts with calendars that were not read a moment ago, without those that must not be asked."""
    old = {source.account_id for source in sources.of_users(tx, members) if not _fresh(source, fresh_from, now)}
    found = [accounts.get(tx, account_id) for account_id in sorted(old)]
    # Asking with a refused password, or while throttled, only makes it worse.
    hopeless = {AccountState.NEEDS_PASSWORD, AccountState.THROTTLED}
    return [account.id for account in found if account is not None and account.state not in hopeless]
