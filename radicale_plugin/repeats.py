"""Requests that came before, word for word, told by all that the answer depends on.

Thousands of phones ask "anything new?" all day, always in the same words. What Radicale decides about a PROPFIND or a
REPORT follows from who asks, from a few parts of the request, and from where the calendar stands. So where all of that
is as it was when Radicale answered last, its answer is, too. Who asks and where the calendar stands is looked up anew
each time, in one snapshot: a password that was revoked, or a change, counts from the next request on.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Hashable
from typing import Any

from radicale.auth import AuthContext
from radicale.log import LOG_LEVEL_NOTICE, logger

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
#: Requests of more than this are not likely to come again, in bytes.
_LONG = 8_000


def known_by(environ: dict[str, Any], auth: Auth, storage: Storage) -> Hashable | None:
    """What the answer depends on; None for a request that is not to be known again.

    Reads the body of a request by somebody who may log in, and leaves it for Radicale to read again.
    """
    if environ["REQUEST_METHOD"] not in {"PROPFIND", "REPORT"} or logger.isEnabledFor(LOG_LEVEL_NOTICE):
        return None  # of any other request, and at these levels of each, the log is to tell
    length = environ.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()) or int(length) > _LONG:
        return None
    user = _user(environ.get("HTTP_AUTHORIZATION", ""), auth)
    head = storage.head(user) if user else None
    if head is None:
        return None
    body = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    return (*map(environ.get, PARTS), any(map(environ.get, PROXY)), length, body, head)


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
