"""Where a contract test happens: a person's login somewhere, and the bridge's view of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote, unquote

from bridge.remote.base import Remote, path_of
from bridge.remote.memory import ROOT, MemoryRemote, MemoryServer


class Person(Protocol):
    """What a person does with their own programs: `upstreams.Login`, or the same in memory."""

    username: str
    password: str

    def change_password(self) -> None: ...

    def make_calendar(
        self, name: str, *, colour: str | None = None, components: Sequence[str] = ("VEVENT",), slug: str | None = None
    ) -> str: ...

    def put(self, calendar_url: str, name: str, ics: str) -> None: ...

    def delete(self, calendar_url: str, name: str = "") -> None: ...

    def texts(self, calendar_url: str) -> dict[str, str]: ...


@dataclass
class Place:
    """One server's login, and a Remote for it. `vanished_url` is an address of a calendar that was never there."""

    person: Person
    remote: Remote
    vanished_url: str


class MemoryPerson:
    """A person whose calendars are in a `MemoryServer`."""

    def __init__(self) -> None:
        self._server = MemoryServer()
        self.username, self.password = self._server.username, self._server.password
        self.vanished_url = f"{ROOT}home/never/"

    def remote(self) -> Remote:
        return MemoryRemote(self._server, self.username, self.password)

    def change_password(self) -> None:
        self._server.password = self.password = f"{self.password}-new"

    def make_calendar(
        self, name: str, *, colour: str | None = None, components: Sequence[str] = ("VEVENT",), slug: str | None = None
    ) -> str:
        if "VEVENT" not in components:
            return f"{ROOT}home/tasks/"  # a MemoryServer knows of calendars for events only
        return self._server.add_calendar(name, colour=colour[:7] if colour else None)

    def put(self, calendar_url: str, name: str, ics: str) -> None:
        self._server.edit(calendar_url, _spelled(name), ics)

    def delete(self, calendar_url: str, name: str = "") -> None:
        if name:
            self._server.edit(calendar_url, _spelled(name), None)
        else:
            del self._server.calendars[calendar_url]

    def texts(self, calendar_url: str) -> dict[str, str]:
        return {unquote(href.rpartition("/")[2]): ics for href, ics in self._server.texts(calendar_url).items()}


def _spelled(name: str) -> str:
    return path_of(quote(name, safe=""))


@dataclass
class Events:
    """Makes events, each with its own UID."""

    made: list[str] = field(default_factory=list)

    def __call__(self, title: str = "Dentist", *, uid: str | None = None, hour: int = 10) -> str:
        uid = uid or f"event-{len(self.made)}@example.com"
        self.made.append(uid)
        return (
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tests//EN\r\nBEGIN:VEVENT\r\n"
            f"UID:{uid}\r\nDTSTAMP:20261101T000000Z\r\nDTSTART:20270301T{hour:02}0000Z\r\nDTEND:20270301T{hour:02}3000Z\r\n"
            f"SUMMARY:{title}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
