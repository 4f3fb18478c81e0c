"""Auth: logging in with calendar passwords, whose hashes are in the store."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import time
from pathlib import Path
from typing import Any

from radicale import config
from radicale.auth import BaseAuth

from bridge.store import passwords
from bridge.store.published import Head
from radicale_plugin.settings import open_store

#: Seconds between two notes of the use of one password.
_NOTE_EVERY = 60


class Auth(BaseAuth):  # type: ignore[misc] # Radicale is not typed for others
    """Logs a User in with any of their calendar passwords that is not revoked."""

    def __init__(self, configuration: config.Configuration) -> None:
        super().__init__(configuration)
        self._db = open_store(configuration)
        self._uses = passwords.last_use_directory(self._db.path)
        self._noted: dict[str, float] = {}

    def get_external_login(self, environ: dict[str, Any]) -> tuple[()]:
        """No login from outside. It is called first, so what Radicale would misunderstand is set right here.

        A header that can't be read is no login: Radicale would answer with 500. A body that comes without its length is
        one that can't be read, which is answered with 400: Radicale would take it to be empty, and answer that.
        """
        if environ.get("HTTP_TRANSFER_ENCODING"):
            environ |= {"CONTENT_LENGTH": "1", "wsgi.input": io.BytesIO()}
        if not _is_readable(environ.get("HTTP_AUTHORIZATION", "")):
            del environ["HTTP_AUTHORIZATION"]
        return ()

    def head(self, login: str, password: str) -> Head | None:
        """The state of the User's merged calendar if this is one of their passwords, whose use is noted; else None."""
        found = self._db.read_once(lambda tx: passwords.login(tx, login, password))
        if found is None:
            return None
        password_id, head = found
        self._note_use(password_id)
        return head

    def _login(self, login: str, password: str) -> str:
        return "" if self.head(login, password) is None else login

    def _note_use(self, password_id: str) -> None:
        """Note the use in a file, for the sidecar: this process only reads the store."""
        now = time.monotonic()
        if now - self._noted.get(password_id, -_NOTE_EVERY) < _NOTE_EVERY:
            return
        self._noted[password_id] = now
        # A note of convenience: a read-only or full disk must not keep people from their calendar.
        with contextlib.suppress(OSError):
            self._uses.mkdir(mode=0o700, exist_ok=True)
            Path(self._uses / password_id).touch(mode=0o600)


def _is_readable(authorization: str) -> bool:
    """Whether Radicale can take the header apart, or does not try."""
    if not authorization.startswith("Basic"):
        return True
    try:
        return b":" in base64.b64decode(authorization.removeprefix("Basic").strip().encode("ascii"))
    except (UnicodeEncodeError, binascii.Error):
        return False
