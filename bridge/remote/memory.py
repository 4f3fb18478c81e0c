"""A `Remote` in memory, with faults on demand, for tests. It passes the same contract tests as `CaldavRemote`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bridge.domain.ical import identify
from bridge.errors import (
    Forbidden,
    NotFound,
    PreconditionFailed,
    Refused,
    RemoteError,
    TokenRejected,
    Unauthorized,
    Unreadable,
)
from bridge.remote.base import Changes, Home, RemoteCalendar, RemoteObject, member_path, path_of

ROOT = "https://memory.example/"


@dataclass(slots=True)
class MemoryCalendar:
    """One collection: its objects, and when each was last changed or deleted."""

    name: str
    writable: bool = True
    colour: str | None = None
    objects: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: The revision of the last change by href. Hrefs that are not in `objects` were deleted.
    log: dict[str, int] = field(default_factory=dict)
    revision: int = 0
    #: Sync-tokens from before this revision are rejected.
    oldest_token: int = 0

    def note(self, href: str) -> str:
        """Record a change of `href`. Returns its new etag."""
        self.revision += 1
        self.log[href] = self.revision
        return f'"{self.revision}"'


@dataclass(slots=True)
class MemoryServer:
    """The server: one login, its calendars, and the faults to produce."""

    username: str = "ada@example.com"
    password: str = "abcd-efgh-ijkl-mnop"  # noqa: S105 - nobody's
    calendars: dict[str, MemoryCalendar] = field(default_factory=dict)
    #: (method, href or url) of every write that was carried out.
    writes: list[tuple[str, str]] = field(default_factory=list)
    #: Every request's method, in order.
    requests: list[str] = field(default_factory=list)
    #: Called with the method before it is carried out, and again with `after-` and the method: may raise.
    on_call: Callable[[str], None] = lambda _: None
    #: What a PUT stores, given what was sent: real servers rewrite objects.
    rewrite: Callable[[str], str] = lambda ics: ics

    def add_calendar(self, name: str, *, writable: bool = True, colour: str | None = None) -> str:
        """Add a calendar. Returns its url."""
        url = f"{ROOT}home{path_of(f'/{name.lower()}/')}"
        self.calendars[url] = MemoryCalendar(name, writable, colour)
        return url

    def edit(self, url: str, name: str, ics: str | None) -> str:
        """Do what a person does on their device: put an object, or delete it with None. Returns its href."""
        href = path_of(url) + name
        calendar = self.calendars[url]
        etag = calendar.note(href)
        if ics is None:
            del calendar.objects[href]
        else:
            calendar.objects[href] = (etag, ics)
        return href

    def forget_tokens(self) -> None:
        """Refuse every sync-token given out so far."""
        for calendar in self.calendars.values():
            calendar.revision += 1
            calendar.oldest_token = calendar.revision

    def texts(self, url: str) -> dict[str, str]:
        """Every object of a calendar: href to text."""
        return {href: ics for href, (_, ics) in self.calendars[url].objects.items()}


class MemoryRemote:
    """One Account's connection to a MemoryServer."""

    def __init__(self, server: MemoryServer, username: str, password: str) -> None:
        self._server = server
        self._login = (username, password)

    async def discover(self) -> Home:
        """The home and its calendars."""
        calendars = await self.calendars(f"{ROOT}home/")
        return Home(f"{ROOT}home/", (self._login[0].lower(),), calendars)

    async def calendars(self, home_url: str) -> tuple[RemoteCalendar, ...]:
        """Every calendar."""
        self._call("PROPFIND", home_url)
        return tuple(
            RemoteCalendar(url, c.name, c.colour, c.writable, f'"{c.revision}"', f"token:{c.revision}")
            for url, c in self._server.calendars.items()
        )

    async def changes(self, url: str, sync_token: str | None) -> Changes:
        """What changed since the token."""
        calendar = self._call("REPORT", url)
        since = 0
        if sync_token is not None:
            known = re.fullmatch(r"token:(\d+)", sync_token)
            since = int(known.group(1)) if known else -1
            if since < calendar.oldest_token:
                raise TokenRejected(url, "valid-sync-token")
        touched = [href for href, revision in calendar.log.items() if revision > since]
        return Changes(
            {href: calendar.objects[href][0] for href in touched if href in calendar.objects},
            frozenset() if sync_token is None else frozenset(h for h in touched if h not in calendar.objects),
            f"token:{calendar.revision}",
            complete=sync_token is None,
        )

    async def listing(self, url: str) -> Mapping[str, str]:
        """Every object's etag."""
        return {href: etag for href, (etag, _) in self._call("PROPFIND", url).objects.items()}

    async def multiget(self, url: str, hrefs: Iterable[str]) -> tuple[RemoteObject, ...]:
        """The objects that are there."""
        objects = self._call("REPORT", url).objects
        return tuple(RemoteObject(href, *objects[href]) for href in hrefs if href in objects)

    async def get(self, url: str, href: str) -> RemoteObject:
        """One object."""
        objects = self._call("GET", url).objects
        if href not in objects:
            raise NotFound(url)
        return RemoteObject(href, *objects[href])

    async def put(self, url: str, href: str, ics: str, *, etag: str | None) -> None:
        """Create or replace."""
        calendar = self._call("PUT", url)
        href = member_path(url, href)
        if not calendar.writable:
            raise Forbidden(url)
        known = calendar.objects.get(href)
        if etag != (known[0] if known else None):
            raise PreconditionFailed(url)
        try:
            uid = identify(ics)
        except Unreadable as error:
            raise Refused(url, error.reason) from error
        for other, (_, text) in [o for c in self._server.calendars.values() for o in c.objects.items()]:
            if other != href and identify(text) == uid:
                raise Refused(url, "the UID is taken")
        calendar.objects[href] = (calendar.note(href), self._server.rewrite(ics))
        self._done("PUT", href)

    async def delete(self, url: str, href: str, *, etag: str | None) -> None:
        """Remove one object."""
        calendar = self._call("DELETE", url)
        href = member_path(url, href)
        if href not in calendar.objects:
            raise NotFound(url)
        if etag is not None and etag != calendar.objects[href][0]:
            raise PreconditionFailed(url)
        del calendar.objects[href]
        calendar.note(href)
        self._done("DELETE", href)

    async def close(self) -> None:
        """Nothing to give up."""

    def _call(self, method: str, url: str) -> MemoryCalendar:
        self._server.requests.append(method)
        self._server.on_call(method)
        if self._login != (self._server.username, self._server.password):
            raise Unauthorized(url)
        calendar = self._server.calendars.get(url)
        if calendar is None and url != f"{ROOT}home/":
            raise NotFound(url)
        return calendar or MemoryCalendar("home")

    def _done(self, method: str, href: str) -> None:
        self._server.writes.append((method, href))
        self._server.on_call(f"after-{method}")


def failing(method: str, error: RemoteError, *, times: int = 1) -> Callable[[str], None]:
    """An `on_call` that lets the next `times` calls of a method fail."""
    left = times

    def on_call(called: str) -> None:
        nonlocal left
        if called == method and left > 0:
            left -= 1
            raise error

    return on_call
