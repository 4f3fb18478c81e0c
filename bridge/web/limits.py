"""Rate limits: how many requests each token has within ten seconds and within a day, counted in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from bridge.web.keys import RATE, TOKEN
from bridge.web.middleware import Handler
from bridge.web.problems import Problem

BURST, DAY = 10.0, 86_400.0


@dataclass(slots=True)
class _Window:
    """A limit of requests within some seconds, which begin with the first request."""

    seconds: float
    most: int
    began: float = float("-inf")
    count: int = 0

    @property
    def left(self) -> int:
        """How many requests are left."""
        return max(0, self.most - self.count)

    def at(self, now: float) -> _Window:
        """This window, or a new one if it is over."""
        if now - self.began >= self.seconds:
            self.began, self.count = now, 0
        return self

    def ends_in(self, now: float) -> float:
        """Seconds until the window is over."""
        return max(0.0, self.began + self.seconds - now)


@dataclass(slots=True)
class Limits:
    """The requests that tokens have left. Each has `burst` requests in ten seconds, and `daily` in a day."""

    burst: int
    daily: int
    #: A clock in seconds that never goes back.
    clock: Callable[[], float] = time.monotonic
    _windows: dict[str, tuple[_Window, _Window]] = field(default_factory=dict)

    def take(self, token_id: str) -> dict[str, str]:
        """Count a request of a token. Returns HighLevel's headers. Raises `Problem` (429) above the limit."""
        now = self.clock()
        windows = self._windows.get(token_id)
        if windows is None:
            windows = self._windows[token_id] = (_Window(BURST, self.burst), _Window(DAY, self.daily))
        burst, day = (window.at(now) for window in windows)
        full = [window for window in (burst, day) if not window.left]
        if not full:  # a refused request does not count for the day
            burst.count += 1
            day.count += 1
        headers = {
            "X-RateLimit-Limit-Daily": str(self.daily),
            "X-RateLimit-Daily-Remaining": str(day.left),
            "X-RateLimit-Daily-Reset": str(int(day.ends_in(now) * 1000)),
            "X-RateLimit-Interval-Milliseconds": str(int(BURST * 1000)),
            "X-RateLimit-Max": str(self.burst),
            "X-RateLimit-Remaining": str(burst.left),
        }
        if full:
            wait = max(window.ends_in(now) for window in full)
            raise Problem(
                429,
                "rate_limited",
                "Too many requests with this token. Wait as long as Retry-After says.",
                headers={**headers, "Retry-After": str(int(wait) + 1)},
            )
        return headers


LIMITS = web.AppKey("limits", Limits)


@web.middleware
async def limits(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request, if it has a token."""
    token = request.get(TOKEN)
    if token is not None:
        request[RATE] = request.app[LIMITS].take(token.id)
    return await handler(request)
