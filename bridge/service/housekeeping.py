"""Housekeeping: deleting what is no longer needed, and recovering from a clock that was wrong."""

from __future__ import annotations

from bridge.domain.model import TOMBSTONE_SECONDS
from bridge.service import changes, webhooks
from bridge.store import accounts, appointments, blocked_slots, facts, mirror, outbox, passwords, published
from bridge.store.db import Db

#: Seconds for which settled outbox entries are kept, for `explain`.
KEEP_DONE_SECONDS = 30 * 86_400


def tidy(db: Db, *, now: int) -> None:
    """Store when calendar passwords were last used, and delete old entries, deliveries, changes and tombstones."""
    used = passwords.collect_last_use(passwords.last_use_directory(db.path))
    with db.write() as tx:
        passwords.note_use(tx, used)
        outbox.prune(tx, before=now - KEEP_DONE_SECONDS)
        webhooks.prune(tx, now=now)
        changes.prune(tx, now=now)
        published.prune(tx, before=now - TOMBSTONE_SECONDS)
        appointments.prune(tx, before=now - TOMBSTONE_SECONDS)
        blocked_slots.prune(tx, before=now - TOMBSTONE_SECONDS)


def try_store(db: Db, *, now: int) -> None:
    """Store something that nobody reads, to learn whether anything can be stored. Raises `StoreUnavailable`."""
    with db.write() as tx:
        facts.put(tx, "last_tried", str(now))


def last_noted(db: Db) -> int:
    """The latest instant (Unix seconds) at which the bridge was at work, as far as the store knows; 0: never.

    If that is in the future, the clock is wrong now, or was wrong then.
    """
    with db.read() as tx:
        return max(accounts.last_attempt(tx), outbox.last_touched(tx))


def bring_forward(db: Db, *, now: int) -> None:
    """Make everything that waits due now, as it was planned by a clock that was fast.

    Calendars that were read at times in the future count as unread until they are read again. Otherwise they would
    count as read recently until those times.
    """
    with db.write() as tx:
        accounts.bring_forward(tx, now=now)
        mirror.forget_runs(tx, after=now)
        outbox.bring_forward(tx, now=now)
        webhooks.bring_forward(tx, now=now)
