"""The key by which a request is recognised as a repetition: everything that Radicale's answer depends on."""

from __future__ import annotations

import binascii
import io
import re
from collections.abc import Hashable
from typing import Any, NamedTuple

from bridge.store.published import Head
from radicale_plugin.auth import Auth

#: The keys of `environ` that Radicale reads for a PROPFIND or a REPORT, besides the login and the body.
PARTS = (
    "REQUEST_METHOD",
    "PATH_INFO",
    "QUERY_STRING",
    "SCRIPT_NAME",
    "HTTP_X_SCRIPT_NAME",
    "HTTP_DEPTH",
    "CONTENT_TYPE",
    "HTTP_ACCEPT_ENCODING",
)
#: Of these keys it matters whether they exist: they make Radicale read its `script_name` setting.
PROXY = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_SERVER")
#: Bodies of more bytes than the first are not read here; texts longer than the second are unlikely to be repeated.
_LONG = 100_000
_LONG_WORDS = 8_000


class KeyedRequest(NamedTuple):
    """A request by a User whose login is valid, at one revision of their calendar. Repetitions have the same `key`."""

    #: The User's calendar, at the moment of the login. It is part of the key.
    head: Head
    key: tuple[Hashable, ...]
    #: The items that a multiget names, in order. They are not part of the key.
    names: tuple[str, ...]

    @property
    def key_size(self) -> int:
        """How much the key holds of the request, in bytes."""
        return sum(len(part) for part in self.key if isinstance(part, bytes | str))


def keyed_request(environ: dict[str, Any], auth: Auth) -> KeyedRequest | None:
    """The request with its key; None where repetitions can't be recognised. Radicale can still read the body."""
    if environ["REQUEST_METHOD"] not in {"PROPFIND", "REPORT"} or environ.get("HTTP_TRANSFER_ENCODING"):
        return None
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()) or int(length) > _LONG:
        return None
    head = _head(environ.get("HTTP_AUTHORIZATION", ""), auth)
    if head is None:
        return None
    body = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    words, names = _without_names(body)
    if len(words) > _LONG_WORDS or len(body) != int(length):
        return None
    key = (head, words, bool(names), any(map(environ.get, PROXY)), *map(environ.get, PARTS))
    return KeyedRequest(head, key, names)


def _head(authorization: str, auth: Auth) -> Head | None:
    """The calendar of the User who logs in; None for unusual logins, which are left to Radicale."""
    if not authorization.startswith("Basic "):
        return None
    try:
        login, _, password = binascii.a2b_base64(authorization[6:], strict_mode=True).decode("ascii").partition(":")
    except ValueError:
        return None
    return auth.head(login, password) if login and password else None


#: An element that names an item: its tag, and what precedes the name.
_NAMING = re.compile(rb"<((?:[A-Za-z][\w.-]*:)?href)>([^<>&\s]*/)[\w.-]+</\1>")
#: Only such elements, each marked by the bytes 1 and 0 at its ends, which can't occur in XML.
_NAMED = re.compile(rb"(?:\x01[A-Za-z0-9_-][A-Za-z0-9._-]*\x00[ \t\r\n]*)+")


def _without_names(body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The words of a request in which items are named one after the other, and the names. What XML stands around them
    decides how all of them are understood."""
    found = _NAMING.search(body) if b"href>" in body else None
    if found is None or b"\0" in body or b"\1" in body:
        return body, ()
    opening, closing = b"<%b>%b" % found.groups(), b"</%b>" % found[1]
    start, end = found.start(), body.rindex(closing) + len(closing)
    named = body[start:end].replace(opening, b"\1").replace(closing, b"\0")
    if _NAMED.fullmatch(named) is None:
        return body, ()
    names = dict.fromkeys(named.decode("ascii").replace("\1", "").replace("\0", " ").split())
    return body[:start] + opening + closing + body[end:], tuple(names)
