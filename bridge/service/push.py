"""Push: carry out the outbox, entry by entry, several at once.

An entry says which Appointment to bring up to date. It is leased while it is carried out, so that a crash anywhere
replays to exactly one event.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bridge.domain.model import OutboxEntry, SyncState
from bridge.service.context import Context
from bridge.service.push_run import carry_out
from bridge.store import bookings, outbox

#: Longer than every request of one push together can take, in seconds.
LEASE_SECONDS = 300
#: Pushes under way at once, in all and for one Account.
PARALLEL, FOR_EACH_ACCOUNT = 16, 4

__all__ = ["carry_out", "claim", "next_due", "push_due", "retry", "take_over"]


def take_over(context: Context) -> int:
    """Make due what a process that has died left half-done. Returns how much. Only for the one process at work."""
    with context.db.write() as tx:
        return outbox.release_leases(tx, now=context.clock())


async def push_due(context: Context) -> int:
    """Carry out every entry that is due. Returns how many were taken up."""
    taken = 0

    async def drain() -> None:
        nonlocal taken
        while (entry := claim(context)) is not None:
            taken += 1
            await carry_out(context, entry)

    async with asyncio.TaskGroup() as group:
        for _ in range(PARALLEL):
            group.create_task(drain())
    return taken


def retry(context: Context, appointment_id: str) -> bool:
    """Try a push that was given up once more. False when there is none."""
    now = context.clock()
    with context.db.write() as tx:
        revived = outbox.revive(tx, appointment_id, now=now)
        booked = bookings.appointment(tx, appointment_id)
        if revived and booked is not None:
            bookings.put_appointment(tx, replace(booked, sync_state=SyncState.PENDING, sync_error=None))
    context.wake_push()
    return revived


def claim(context: Context) -> OutboxEntry | None:
    """Take up the entry that is longest due, or None. Whoever takes one up carries it out."""
    now = context.clock()
    due_at = next_due(context)
    if due_at is None or due_at > now:
        return None  # the usual case costs no write
    with context.db.write() as tx:
        return outbox.claim(tx, now=now, lease_until=now + LEASE_SECONDS, for_each_account=FOR_EACH_ACCOUNT)


def next_due(context: Context) -> int | None:
    """When the next entry is due, Unix seconds; None where there is none."""
    with context.db.read() as tx:
        return outbox.next_due(tx)
