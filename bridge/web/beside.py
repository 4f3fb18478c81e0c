"""Beside the event loop: answers that take a moment to work out, for which bookings shall not wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web

T = TypeVar("T")

#: So many are worked out at once. They have threads of their own, or a few long ones would hold up whatever else uses
#: threads: that names of servers are looked up, say.
AT_ONCE = 4
_THREADS = web.AppKey("threads", ThreadPoolExecutor)


async def beside(request: web.Request, work: Callable[[], T]) -> T:
    """What this returns, worked out in another thread. Raises what it raises."""
    return await asyncio.get_running_loop().run_in_executor(request.app[_THREADS], work)


async def threads(app: web.Application) -> AsyncIterator[None]:
    """The threads of an application, for as long as it serves."""
    with ThreadPoolExecutor(AT_ONCE, "beside") as app[_THREADS]:
        yield
