"""The sidecar's background work: the mirror loop, the push loop, the horizon and the housekeeping."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bridge.app import Bridge
from bridge.errors import BridgeError
from bridge.service import book, mirror, publish, push
from bridge.store import accounts, outbox, passwords

log = logging.getLogger(__name__)

#: The longest that a loop sleeps without looking, in seconds.
LONGEST_NAP = 5.0
HOUSEKEEPING_SECONDS = 60
#: How many recurring items are expanded anew in one go, and the seconds between two looks for more.
EXPAND_AT_ONCE, EXPAND_SECONDS = 20, 60
#: Settled outbox entries are kept this long, for `explain`.
KEEP_DONE_SECONDS = 30 * 86_400


async def run(bridge: Bridge) -> None:
    """Work until cancelled. A loop that meets a surprise logs it and goes on: nothing is lost, it is in the store."""
    with bridge.db.write() as tx:
        released = outbox.release_leases(tx, now=bridge.clock())
    if released:
        log.info("taking up %d pushes that were interrupted", released)
    async with asyncio.TaskGroup() as group:
        group.create_task(_forever("mirror", lambda: _mirror(bridge)))
        group.create_task(_forever("push", lambda: _push(bridge)))
        group.create_task(_forever("housekeeping", lambda: _keep_house(bridge)))
        group.create_task(_forever("horizon", lambda: _move_horizon(bridge)))


async def _forever(name: str, step: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await step()
        except Exception:
            # The outermost frame of a background loop: there is nobody else to tell. Nothing here holds secrets.
            log.exception("%s: unexpected trouble; going on", name)
            await asyncio.sleep(LONGEST_NAP)


async def _mirror(bridge: Bridge) -> None:
    """Mirror each Account when its turn comes."""
    parallel = bridge.settings.mirror.parallel_accounts
    busy: set[str] = set()
    tasks: set[asyncio.Task[None]] = set()

    async def one(account_id: str) -> None:
        try:
            await mirror.mirror_account(bridge, account_id)
        except BridgeError as error:
            log.debug("account %s: %s", account_id, error)  # its state and the log have it, once
        except Exception:
            log.exception("account %s: mirror failed unexpectedly", account_id)
            _put_off(bridge, account_id)
        finally:
            busy.discard(account_id)

    try:
        while True:
            with bridge.db.read() as tx:
                due = accounts.due(tx, now=bridge.clock(), limit=parallel + len(busy))
            for account_id in due:
                if account_id not in busy and len(busy) < parallel:
                    busy.add(account_id)
                    task = asyncio.create_task(one(account_id))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            await asyncio.sleep(0.5)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _put_off(bridge: Bridge, account_id: str) -> None:
    """An account that trips over a bug of ours is not asked again at once."""
    with bridge.db.write() as tx:
        failures = accounts.failures(tx, account_id) + 1
        accounts.schedule(tx, account_id, next_poll_at=bridge.clock() + 60 * min(failures, 30), failures=failures)


async def _push(bridge: Bridge) -> None:
    """Push when something is due: at once when woken, else when the next entry's time comes."""
    while True:
        bridge.push_wanted.clear()
        await push.push_due(bridge)
        with bridge.db.read() as tx:
            due_at = outbox.next_due(tx)
        nap = LONGEST_NAP if due_at is None else min(max(due_at - bridge.clock(), 0.2), LONGEST_NAP)
        try:
            async with asyncio.timeout(nap):
                await bridge.push_wanted.wait()
        except TimeoutError:
            continue


async def _keep_house(bridge: Bridge) -> None:
    """Let holds expire, note the last use of calendar passwords, forget what is settled."""
    rounds = 0
    while True:
        now = bridge.clock()
        book.expire_holds(bridge.db, now=now)
        if rounds % HOUSEKEEPING_SECONDS == 0:
            used = passwords.collect_last_use(passwords.last_use_directory(bridge.db.path))
            with bridge.db.write() as tx:
                passwords.note_use(tx, used)
                outbox.prune(tx, before=now - KEEP_DONE_SECONDS)
        rounds += 1
        await asyncio.sleep(1)


async def _move_horizon(bridge: Bridge) -> None:
    """Expand recurring items further as days pass, a few at a time and beside the loop: one can take long."""
    while True:
        moved = await asyncio.to_thread(publish.move_horizon, bridge.db, now=bridge.clock(), limit=EXPAND_AT_ONCE)
        await asyncio.sleep(1 if moved else EXPAND_SECONDS)
