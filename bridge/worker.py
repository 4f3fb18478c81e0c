"""The sidecar's background loops: mirroring, pushing, webhooks, the horizon of stored occurrences, housekeeping."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable

from bridge.app import Bridge
from bridge.domain.model import OutboxEntry
from bridge.errors import StoreUnavailable, Unknown
from bridge.service import book, housekeeping, mirror, publish, push, webhooks

log = logging.getLogger(__name__)

#: Seconds that the push loop sleeps at most before it looks for entries that other processes have queued.
LONGEST_NAP = 1.0
#: Seconds between two attempts to store something: usually, and while that fails.
TRY_STORE_SECONDS, TRY_AGAIN_SECONDS = 10, 1
#: Seconds that a loop waits after an unexpected exception.
REST_SECONDS = 5.0
HOUSEKEEPING_SECONDS = 60
#: Seconds that the webhooks loop sleeps at most before it looks for new changes.
LOOK_SECONDS = 0.2
#: Setting the clock back by less than this many seconds is ordinary synchronisation.
CLOCK_SLACK_SECONDS = 60
#: How many recurring items are expanded at a time, and the seconds between two searches for such items.
EXPAND_AT_ONCE, EXPAND_SECONDS = 5, 60


async def run(bridge: Bridge) -> None:
    """Run all loops until cancelled. An unexpected exception is logged, and its loop goes on from what is stored."""
    async with asyncio.TaskGroup() as group:
        for name, step in {
            "store": _try_store,
            "mirror": _mirror,
            "push": _push,
            "webhooks": _tell,
            "housekeeping": _keep_house,
            "horizon": _move_horizon,
        }.items():
            group.create_task(_forever(bridge, name, step))


async def _forever(bridge: Bridge, name: str, step: Callable[[Bridge], Awaitable[None]]) -> None:
    while True:
        try:
            await step(bridge)
        except StoreUnavailable as error:
            log.debug("%s: waits for the store: %s", name, error.reason)
            await asyncio.sleep(TRY_AGAIN_SECONDS)
            await _until_the_store_works(bridge)
        except Exception:
            # This is the outermost frame of a background loop, so the log is the only place for it. It holds no
            # secrets.
            log.exception("%s: unexpected trouble; going on", name)
            await asyncio.sleep(REST_SECONDS)


async def _try_store(bridge: Bridge) -> None:
    """Store something regularly, so that trouble with the store is noticed, as is its end; and tell of both, once."""
    told, rounds = None, 0
    while True:
        if bridge.db.trouble is not None or rounds % TRY_STORE_SECONDS == 0:
            with contextlib.suppress(StoreUnavailable):  # it is kept as the trouble of the store
                housekeeping.try_store(bridge.db, now=bridge.clock())
        trouble = bridge.db.trouble
        if trouble is not None and told is None:
            log.error("nothing can be stored: %s; the bridge tries again each second", trouble.reason)
        elif trouble is None and told is not None:
            log.warning("the store can be written again, after %d s", bridge.clock() - told.since)
        told = trouble
        rounds += 1
        await asyncio.sleep(TRY_AGAIN_SECONDS)


async def _until_the_store_works(bridge: Bridge) -> None:
    """Wait while the store can't be written: what is asked of others now would have to be asked again."""
    while bridge.db.trouble is not None:  # noqa: ASYNC110 - threads set it, too
        await asyncio.sleep(TRY_AGAIN_SECONDS)


async def _mirror(bridge: Bridge) -> None:
    """Mirror each Account when it is due."""
    parallel = bridge.settings.mirror.parallel_accounts
    busy: set[str] = set()
    tasks: set[asyncio.Task[None]] = set()

    async def one(account_id: str) -> None:
        try:
            await mirror.poll(bridge, account_id)
        except mirror.ACCOUNT_TROUBLE as error:
            log.debug("account %s: %s", account_id, error)  # logged once already, and shown in the Account's state
        except Unknown:
            log.info("account %s: disconnected meanwhile", account_id)
        except StoreUnavailable as error:
            # That it was asked could not be noted either, so that it is due again at once.
            log.warning("account %s: what was read can't be stored: %s", account_id, error.reason)
            await asyncio.sleep(TRY_AGAIN_SECONDS)
        except Exception:  # logged by the run
            mirror.put_off(bridge, account_id)
        finally:
            busy.discard(account_id)

    try:
        while True:
            await _until_the_store_works(bridge)
            for account_id in mirror.due(bridge, limit=parallel + len(busy)):
                if account_id not in busy and len(busy) < parallel:
                    busy.add(account_id)
                    task = asyncio.create_task(one(account_id))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            await asyncio.sleep(0.5)
    finally:
        await _cancelled(tasks)


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel these, and wait until they have ended."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


async def _push(bridge: Bridge) -> None:
    """Carry out pushes when they are due, or at once when woken. Several run at the same time."""
    if interrupted := push.take_over(bridge):
        log.info("taking up pushes that were interrupted: %d", interrupted)
    tasks: set[asyncio.Task[None]] = set()

    async def one(entry: OutboxEntry) -> None:
        try:
            await push.carry_out(bridge, entry)
        except StoreUnavailable as error:
            log.warning("push of appointment %s: the outcome can't be stored: %s", entry.appointment_id, error.reason)
            await give_back(entry)
        except Exception:
            log.exception("push of appointment %s failed unexpectedly; tried again later", entry.appointment_id)

    async def give_back(entry: OutboxEntry) -> None:
        while True:
            await asyncio.sleep(TRY_AGAIN_SECONDS)
            await _until_the_store_works(bridge)
            with contextlib.suppress(StoreUnavailable):  # or else it waits until its lease has run out
                push.give_back(bridge, entry)
                return

    def done(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        bridge.push_wanted.set()  # there is room for another

    try:
        while True:
            await _until_the_store_works(bridge)
            bridge.push_wanted.clear()
            while len(tasks) < push.PARALLEL and (entry := push.claim(bridge)) is not None:
                task = asyncio.create_task(one(entry))
                tasks.add(task)
                task.add_done_callback(done)
            due_at = push.next_due(bridge)
            nap = LONGEST_NAP if due_at is None else min(max(due_at - bridge.clock(), 0.2), LONGEST_NAP)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(nap):
                    await bridge.push_wanted.wait()
    finally:
        await _cancelled(tasks)


async def _tell(bridge: Bridge) -> None:
    """Deliver webhooks for changes, soon after they have happened."""
    deliveries = webhooks.Deliveries(bridge, bridge.receivers)
    try:
        while True:
            await _until_the_store_works(bridge)
            deliveries.ended.clear()
            more = webhooks.spread(bridge)
            started = deliveries.start_due()
            if more or started:
                await asyncio.sleep(0)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await deliveries.ended.wait()
    finally:
        await _cancelled(deliveries.tasks())


async def _keep_house(bridge: Bridge) -> None:
    """Let holds expire, delete old rows, and notice when the clock was set back."""
    # The clock may have been wrong when the process before this one was at work, as on a machine that has just booted.
    rounds, now = 0, max(bridge.clock(), housekeeping.last_noted(bridge.db))
    while True:
        before, now = now, bridge.clock()
        if now < before - CLOCK_SLACK_SECONDS:
            log.warning("the clock was set back by %d s: everything that waits is due now", before - now)
            housekeeping.bring_forward(bridge.db, now=now)
        book.expire_holds(bridge.db, now=now)
        if rounds % HOUSEKEEPING_SECONDS == 0:
            housekeeping.tidy(bridge.db, now=now)
        rounds += 1
        await asyncio.sleep(1)


async def _move_horizon(bridge: Bridge) -> None:
    """Expand recurring items further as days pass: a few at a time, in a thread, since one may take long."""
    while True:
        moved = await asyncio.to_thread(publish.move_horizon, bridge.db, now=bridge.clock(), limit=EXPAND_AT_ONCE)
        await asyncio.sleep(1 if moved else EXPAND_SECONDS)
