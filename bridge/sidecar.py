"""The sidecar process: the HTTP API and pages, and the loops that talk to iCloud, in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from aiohttp import web

from bridge import worker
from bridge.app import Bridge, with_settings
from bridge.errors import StoreUnusable
from bridge.reload import Follower
from bridge.settings import Settings
from bridge.store.lock import at_work
from bridge.web.app import make_web_app
from bridge.web.listening import listen

log = logging.getLogger(__name__)

#: How long requests under way may take to finish once the sidecar was asked to stop, in seconds.
GRACE_SECONDS = 5.0
#: How long another process at work on the store may take to finish: `bridge sync`, or a sidecar whose parent was
#: killed.
WAIT_SECONDS = 5.0
#: How long a thread that computes keeps others from their turn, in seconds. A booking asks for its turn after each
#: statement: at Python's own 5 ms it would take several times as long beside somebody's long question.
TURN_SECONDS = 0.0005
#: How long the event loop waits for another transaction on the store, in seconds: everybody else waits meanwhile.
STORE_WAIT_SECONDS = 1.0
#: So many files and connections may be open at once, where the system allows it.
MOST_FILES = 65_536


async def run(bridge: Bridge, *, host: str, port: int, config: Path | None) -> None:
    """Serve and work until SIGTERM or SIGINT, then finish what is under way.

    Meanwhile the settings file is followed. Raises `StoreUnusable` when another process works on the same store,
    `OSError` when the port is taken.
    """
    _allow_many_connections()
    sys.setswitchinterval(TURN_SECONDS)
    bridge.db.wait_at_most(STORE_WAIT_SECONDS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    follower = Follower(config)
    async with _at_work(bridge.db.path), _listening(host, port) as listeners:
        log.info("sidecar: listening on %s:%d", host, port)
        with follower.on_hangup():
            while (settings := await _serve(bridge, listeners, stop, follower)) is not None:
                log.info("settings: new ones hold from now on")
                bridge = with_settings(bridge, settings)


def _allow_many_connections() -> None:
    """Each Account keeps a connection open: a thousand of them are more than most systems allow at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(
    bridge: Bridge, listeners: Sequence[socket.socket], stop: asyncio.Event, follower: Follower
) -> Settings | None:
    """Serve and work under the settings of this Bridge: until other ones hold, which it returns, or until stopped."""
    runner = web.AppRunner(make_web_app(bridge, bridge.settings), shutdown_timeout=GRACE_SECONDS)
    await runner.setup()
    servers: list[asyncio.Server] = []
    try:
        servers += [await listen(runner, listener.dup()) for listener in listeners]
        work = asyncio.create_task(worker.run(bridge))
        follow = asyncio.create_task(follower.next(bridge))
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({work, follow, stopped}, return_when=asyncio.FIRST_COMPLETED)
        work.cancel()
        follow.cancel()
        stopped.cancel()
        await asyncio.gather(work, follow, stopped, return_exceptions=True)
        for ended in done:
            ended.result()  # raises what went wrong
        return None if stop.is_set() else follow.result()
    finally:
        for server in servers:
            server.close()
        await runner.cleanup()
        await bridge.remotes.close()
        await bridge.receivers.close()


@contextlib.asynccontextmanager
async def _listening(host: str, port: int) -> AsyncIterator[list[socket.socket]]:
    """Listeners that outlast each round of serving, so that nobody is refused between two. Raises `OSError`."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port, start_serving=False)
    listeners = [listener.dup() for listener in server.sockets]
    server.close()
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


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
            raise StoreUnusable(str(store), "another process of the bridge is using it: stop that one first")
        await asyncio.sleep(0.1)
