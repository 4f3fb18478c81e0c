"""Push: carrying out the entries of the outbox, several at the same time.

An entry says which Appointment's event to bring up to date. It is leased while it is carried out. After a crash at any
point it is carried out again, with exactly one event as the result. `run` carries out one entry; `whereabouts` finds
its event where that is not known for sure; `outcome` records what became of it; `job` is what they share.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bridge.domain.model import OutboxEntry, SyncState
from bridge.service.context import Context
from bridge.service.push.run import carry_out
from bridge.store import appointments, outbox

#: Seconds of a lease: longer than all requests of one push together can take.
LEASE_SECONDS = 300
#: How many pushes run at the same time: in total, and for one Account.
PARALLEL, FOR_EACH_ACCOUNT = 16, 4

__all__ = ["carry_out", "claim", "give_back", "next_due", "push_due", "retry", "take_over"]


def take_over(context: Context) -> int:
    """Make entries due that a process left leased when it died. Returns how many. Only with `store.lock` held."""
    with context.db.write() as tx:
        return outbox.release_leases(tx, now=context.clock())


async def push_due(context: Context) -> int:
    """Carry out every entry that is due. Returns how many these were."""
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
    """Make the entry of a push that was given up ready again. False when there is none."""
    now = context.clock()
    with context.db.write() as tx:
        revived = outbox.revive(tx, appointment_id, now=now)
        booked = appointments.get(tx, appointment_id)
        if revived and booked is not None:
            appointments.put(tx, replace(booked, sync_state=SyncState.PENDING, sync_error=None))
    context.wake_push()
    return revived


def claim(context: Context) -> OutboxEntry | None:
    """Lease the entry that has been due the longest, or None. The caller has to carry it out."""
    now = context.clock()
    due_at = next_due(context)
    if due_at is None or due_at > now:
        return None  # mostly nothing is due, and then nothing has to be written
    with context.db.write() as tx:
        return outbox.claim(tx, now=now, lease_until=now + LEASE_SECONDS, for_each_account=FOR_EACH_ACCOUNT)


def give_back(context: Context, entry: OutboxEntry) -> None:
    """Make a claimed entry due again that could not be carried out to its end."""
    now = context.clock()
    with context.db.write() as tx:
        outbox.retry(tx, entry, at=now, error=None, now=now)


def next_due(context: Context) -> int | None:
    """When the next entry is due (Unix seconds); None where there is none."""
    with context.db.read() as tx:
        return outbox.next_due(tx)
