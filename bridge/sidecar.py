"""The sidecar process: the HTTP API and pages, and the loops that talk to iCloud, in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from bridge import worker
from bridge.app import Bridge
from bridge.errors import StoreUnusable
from bridge.store.lock import at_work
from bridge.web.app import make_web_app

log = logging.getLogger(__name__)

#: How long requests under way may take to finish once the sidecar was asked to stop, in seconds.
GRACE_SECONDS = 5.0
#: How long another process at work on the store may take to finish: `bridge sync`, or a sidecar whose parent was
#: killed.
WAIT_SECONDS = 5.0


async def run(bridge: Bridge, *, host: str, port: int) -> None:
    """Serve and work until SIGTERM or SIGINT, then finish what is under way.

    Raises `StoreUnusable` when another process works on the same store, `OSError` when the port is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with _at_work(bridge.db.path):
        runner = web.AppRunner(make_web_app(bridge, bridge.settings), access_log=None, shutdown_timeout=GRACE_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            log.info("sidecar: listening on %s:%d", host, port)
            work = asyncio.create_task(worker.run(bridge))
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            stopped.cancel()
        finally:
            await runner.cleanup()
            await bridge.remotes.close()
            await bridge.receivers.close()


@contextlib.asynccontextmanager
async def _at_work(store: Path) -> AsyncIterator[None]:
    """Two sidecars on one store would poll twice and take each other's leases at start."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with at_work(store) as alone:
            if alone:
                yield
                return
        if time.monotonic() > deadline:
            raise StoreUnusable(str(store), "another process of the bridge works on it: stop that one first")
        await asyncio.sleep(0.1)
