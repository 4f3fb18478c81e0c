"""What the bridge asks of a remote CalDAV server, in its own terms.

Implementations: `caldav_remote.CaldavRemote` (real servers) and `memory.MemoryRemote` (a fake with faults). Both pass
`tests/remote/contract.py`. Every method may raise `Unauthorized`, `Forbidden`, `Throttled`, `Unreachable`,
`ServerFault`, `BadAnswer` or `CredentialsWithheld`; others are named where they apply.

Terminology: a *url* is absolute and names a collection; an *href* is the path part of an object's address as the server
spells it, percent-encoding normalised; an *etag* is opaque and kept as the server sent it, quotes included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from bridge.errors import Refused


def path_of(href: str) -> str:
    """The path of an absolute or relative href, percent-encoding normalised: how hrefs are compared.

    iCloud lists objects under other hosts than the one asked, with `:443` or without. `%2F` is no separator and stays
    as it is; so do bytes that are not UTF-8.
    """
    segments = (unquote(segment, errors="surrogateescape") for segment in urlsplit(href).path.split("/"))
    return "/".join(quote(segment, safe="@:!$&'()*+,;=~", errors="surrogateescape") for segment in segments)


def member_path(url: str, href: str) -> str:
    """The path of an object directly inside the calendar at `url`. Raises `Refused` for anything else.

    Guards every write against reaching a collection: to delete a shared calendar's is to leave it.
    """
    path = path_of(href)
    directory, _, name = path.rpartition("/")
    if name in {"", ".", ".."} or directory != path_of(url).rstrip("/"):
        raise Refused(url, "the object is not directly inside the calendar")
    return path


@dataclass(frozen=True, slots=True)
class RemoteCalendar:
    """One calendar collection that can hold events (RFC 4791 section 4.2)."""

    url: str
    name: str
    #: `#RRGGBB`, or None.
    colour: str | None
    #: None: `current-user-privilege-set` was not given.
    writable: bool | None
    ctag: str | None
    sync_token: str | None


@dataclass(frozen=True, slots=True)
class Home:
    """What discovery found: where the calendars are listed, and who the login is."""

    url: str
    #: E-mail addresses, lower case; the one to invite from first.
    addresses: tuple[str, ...]
    calendars: tuple[RemoteCalendar, ...]


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """One calendar object resource, as delivered."""

    href: str
    etag: str
    ics: str


@dataclass(frozen=True, slots=True)
class Changes:
    """The answer to "what changed since this token?" (RFC 6578).

    `removed` is what the server says is gone: a hint, to be verified. `complete` says that `changed` lists every object
    of the collection: an initial sync, asked for without a token.
    """

    changed: Mapping[str, str]
    removed: frozenset[str]
    sync_token: str | None
    complete: bool


class Remote(Protocol):
    """One Account's view of its server."""

    async def discover(self) -> Home:
        """Find the principal, the home set and its calendars, from the root address of the provider.

        Raises `NotFound` when nothing there speaks CalDAV.
        """
        ...

    async def calendars(self, home_url: str) -> tuple[RemoteCalendar, ...]:
        """List the calendars that can hold events: one PROPFIND at Depth 1."""
        ...

    async def changes(self, url: str, sync_token: str | None) -> Changes:
        """What changed since `sync_token`; with None, a complete initial sync.

        Raises `TokenRejected` when the server does not know the token (or does no sync-collection at all), `NotFound`
        when the calendar is gone.
        """
        ...

    async def listing(self, url: str) -> Mapping[str, str]:
        """Every object of the calendar, href to etag: one PROPFIND at Depth 1. Complete, or an error."""
        ...

    async def multiget(self, url: str, hrefs: Iterable[str]) -> tuple[RemoteObject, ...]:
        """Fetch objects. One request; those that are gone are left out, so compare with what was asked for.

        The ETag is that of the text it comes with. A server may for a while deliver an older version than it lists.
        """
        ...

    async def get(self, url: str, href: str) -> RemoteObject:
        """Fetch one object of the calendar at `url`. Raises `NotFound` when it is verifiably gone."""
        ...

    async def put(self, url: str, href: str, ics: str, *, etag: str | None) -> None:
        """Write one object: create it when `etag` is None (`If-None-Match: *`), else replace that very version.

        The answer's ETag is not to be trusted (the server may rewrite the object), so none is returned: read it back.
        Raises `PreconditionFailed`; `Refused`; `Forbidden`, also for a 404 although the calendar exists; `NotFound`
        when that version, or the calendar itself, is gone.
        """
        ...

    async def delete(self, url: str, href: str, *, etag: str | None) -> None:
        """Remove one object directly inside the calendar at `url`; never a collection.

        Raises `PreconditionFailed`, `Refused`; `NotFound` when it was gone already.
        """
        ...

    async def close(self) -> None:
        """Give up connections."""
        ...
