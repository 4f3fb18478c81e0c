"""An aiohttp application in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

from aiohttp import web

from bridge.demo.ports import free_ports


def serve(app: web.Application, port: int, ready: Event) -> None:
    """Serve until the process is ended."""
    logging.disable()

    async def run() -> None:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def running(target: Callable[[Path, int, Event], None], path: Path) -> Iterator[int]:
    """The port of what `target` serves in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    (port,), ready = free_ports(1), spawn.Event()
    process = spawn.Process(target=target, args=(path, port, ready), daemon=True)
    process.start()
    try:
        assert ready.wait(60), "the server does not start"
        yield port
    finally:
        process.terminate()
        process.join()
