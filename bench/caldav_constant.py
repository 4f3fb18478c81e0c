"""A WSGI application that looks at the password as the bridge does, and then says one and the same thing."""

import base64
import os
from pathlib import Path

from bridge.store import passwords
from bridge.store.db import Db

_DB = Db(Path(os.environ["STORE"]), read_only=True)
_DB.close()
_ANSWER = (
    b'<?xml version="1.0"?><multistatus xmlns="DAV:"><response><href>/ada/crm/</href><propstat><prop>'
    b"<sync-token>urn:crm-calendar-bridge:sync:0123456789abcdef:1804492800:1</sync-token>"
    b"</prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"
)
_HEADERS = [("Content-Type", "text/xml; charset=utf-8"), ("Content-Length", str(len(_ANSWER)))]


def application(environ, start_response):
    environ["wsgi.input"].read()
    user, _, password = base64.b64decode(environ["HTTP_AUTHORIZATION"][6:]).decode().partition(":")
    with _DB.read() as tx:
        known = passwords.verify(tx, user, password)
    if known is None:
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return [b""]
    start_response("207 Multi-Status", _HEADERS)
    return [_ANSWER]
