"""What a request is known again by: all that Radicale's answer to it depends on."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from radicale.auth import AuthContext

from radicale_plugin.auth import Auth
from radicale_plugin.storage import Storage

#: What Radicale looks at, of `environ`, to answer a PROPFIND or a REPORT; besides the login and the body.
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
#: And of these whether there is one: they make it look at its script_name setting.
PROXY = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_SERVER")
#: Bodies that are longer are not read here; and words that are longer are not likely to come again. In bytes.
_LONG = 100_000
_LONG_WORDS = 8_000


@dataclass(frozen=True, slots=True)
class Question:
    """A request by somebody who may log in, in one revision of their calendar."""

    key: Hashable
    #: The items that a multiget names, in order; its key is the same whichever they are.
    names: tuple[str, ...]


def question(environ: dict[str, Any], auth: Auth, storage: Storage) -> Question | None:
    """What is asked; None where that is not to be known again. Leaves the body for Radicale to read."""
    if environ["REQUEST_METHOD"] not in {"PROPFIND", "REPORT"} or environ.get("HTTP_TRANSFER_ENCODING"):
        return None
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()) or int(length) > _LONG:
        return None
    user = _user(environ.get("HTTP_AUTHORIZATION", ""), auth)
    head = storage.head(user) if user else None
    if head is None:
        return None
    body = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    words, names = _without_names(body)
    if len(words) > _LONG_WORDS or len(body) != int(length):
        return None
    return Question((*map(environ.get, PARTS), any(map(environ.get, PROXY)), head, words, bool(names)), names)


def _user(authorization: str, auth: Auth) -> str:
    """Who logs in; nobody where that takes a closer look, which is Radicale's to take."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme != "Basic":
        return ""
    try:
        login, colon, password = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except ValueError:
        return ""
    user: str = auth.login(login, password, AuthContext())[0] if login and colon else ""
    return user if user == login else ""


#: An element that names an item: its tag, and what leads the name.
_NAMING = re.compile(rb"<((?:[A-Za-z][\w.-]*:)?href)>([^<>&\s]*/)[\w.-]+</\1>")
#: Such elements and nothing else, each begun by a 1 and ended by a 0, which XML can't contain.
_NAMED = re.compile(rb"(?:\x01[A-Za-z0-9_-][A-Za-z0-9._-]*\x00[ \t\r\n]*)+")


def _without_names(body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The words of a request in which items are named one after the other, and the names. What XML stands around them
    decides how all of them are understood."""
    found = _NAMING.search(body)
    if found is None or b"\0" in body or b"\1" in body:
        return body, ()
    opening, closing = b"<%b>%b" % found.groups(), b"</%b>" % found[1]
    start, end = found.start(), body.rindex(closing) + len(closing)
    named = body[start:end].replace(opening, b"\1").replace(closing, b"\0")
    if _NAMED.fullmatch(named) is None:
        return body, ()
    names = dict.fromkeys(named.decode("ascii").replace("\1", "").replace("\0", " ").split())
    return body[:start] + opening + closing + body[end:], tuple(names)
