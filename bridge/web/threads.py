"""Threads for answers that take long to compute, so that they don't block the event loop, and with it bookings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web

T = TypeVar("T")

#: How many answers are computed at the same time. They have threads of their own: in the default ones, a few long
#: answers would delay everything else that uses threads, such as looking up host names.
AT_ONCE = 4
_THREADS = web.AppKey("threads", ThreadPoolExecutor)


async def in_thread(request: web.Request, work: Callable[[], T]) -> T:
    """Run `work` in one of the threads, and return its result. Raises what it raises."""
    return await asyncio.get_running_loop().run_in_executor(request.app[_THREADS], work)


async def threads(app: web.Application) -> AsyncIterator[None]:
    """The threads of an application: a `cleanup_ctx`."""
    app[_THREADS] = ThreadPoolExecutor(AT_ONCE, "answers")
    yield
    # Nobody waits for their answers any more: they end by themselves, and hold up neither the end nor a new start.
    app[_THREADS].shutdown(wait=False, cancel_futures=True)
