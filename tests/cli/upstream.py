"""A real CalDAV server to connect to: Radicale as it comes, in a thread, with one login."""

from __future__ import annotations

import secrets
import threading
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from xml.sax.saxutils import escape

from radicale import config
from radicale.app import Application


class Upstream:
    """One login at a CalDAV server, and what its owner does there with other programs."""

    username = "anna@example.com"

    def __init__(self, url: str, users: Path) -> None:
        self.url = url
        self._users = users
        self.change_password()

    def change_password(self) -> None:
        """Give the login another password, as its owner would do elsewhere."""
        self.password = secrets.token_hex(8)
        self._users.write_text(f"{self.username}:{self.password}\n")

    def make_calendar(self, name: str) -> str:
        """Make a calendar; its address."""
        url = f"{self.url}{self.username}/{secrets.token_hex(4)}/"
        body = (
            '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
            f"<D:displayname>{escape(name)}</D:displayname></D:prop></D:set></C:mkcalendar>"
        )
        self._send("MKCALENDAR", url, body)
        return url

    def put(self, calendar_url: str, name: str, ics: str) -> None:
        """Put one object into a calendar."""
        self._send("PUT", f"{calendar_url}{name}", ics)

    def _send(self, method: str, url: str, body: str) -> None:
        login = b64encode(f"{self.username}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "text/plain; charset=utf-8"}
        with urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers, method=method), timeout=10):
            pass


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


@contextmanager
def running(directory: Path) -> Iterator[Upstream]:
    """An upstream that keeps its calendars in `directory`."""
    users = directory / "users"
    configuration = config.load()
    configuration.update(
        {
            "auth": {
                "type": "htpasswd",
                "htpasswd_filename": str(users),
                "htpasswd_encryption": "plain",
                "delay": "0",
            },
            "storage": {"filesystem_folder": str(directory / "collections")},
        },
        "test",
    )
    users.write_text("")
    server = make_server("127.0.0.1", 0, Application(configuration), _Server, _Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Upstream(f"http://127.0.0.1:{server.server_port}/", users)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
