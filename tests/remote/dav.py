"""Pieces of WebDAV answers, for servers that answer what they are told."""

from __future__ import annotations

from tests.upstreams import http

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?><D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"'
    ' xmlns:CS="http://calendarserver.org/ns/">'
)
OK = "HTTP/1.1 200 OK"
CALENDAR = "<D:resourcetype><D:collection/><C:calendar/></D:resourcetype>"


def row(href: str, properties: str = "", *, status: str = OK) -> str:
    """A response with one propstat."""
    return (
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop>{properties}</D:prop>"
        f"<D:status>{status}</D:status></D:propstat></D:response>"
    )


def status_row(href: str, status: str) -> str:
    """A response with a status of its own and no properties."""
    return f"<D:response><D:href>{href}</D:href><D:status>{status}</D:status></D:response>"


def etag(value: str) -> str:
    return f'<D:getetag>"{value}"</D:getetag>'


def xml(*rows: str, token: str | None = None) -> str:
    """A multistatus body."""
    ending = f"<D:sync-token>{token}</D:sync-token>" if token is not None else ""
    return f"{HEAD}{''.join(rows)}{ending}</D:multistatus>"


def multistatus(*rows: str, token: str | None = None) -> bytes:
    """A whole answer."""
    return http(207, xml(*rows, token=token))


def principal_is(href: str) -> bytes:
    """What a root answers."""
    return multistatus(row("/", f"<D:current-user-principal><D:href>{href}</D:href></D:current-user-principal>"))


def home_is(href: str) -> bytes:
    """What a principal answers."""
    return multistatus(row("/p/", f"<C:calendar-home-set><D:href>{href}</D:href></C:calendar-home-set>"))
