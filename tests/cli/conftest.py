"""The real command, on a real store, in a directory of its own; and a real CalDAV server to connect to."""

from __future__ import annotations

import json
import logging
import secrets
import socket
import threading
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from xml.sax.saxutils import escape

import pytest
import radicale.config
from click.testing import CliRunner, Result
from radicale.app import Application

from bridge.cli import main

RADICALE = Path(__file__).parents[2] / "config" / "radicale.conf"


class Command:
    """Runs `bridge` in a directory as a person would."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *words: str, typed: str | None = None) -> Result:
        """Run it, whatever its exit code. What goes wrong inside is raised, not hidden."""
        result = CliRunner().invoke(main, list(words), input=typed, prog_name="bridge")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def done(self, *words: str, typed: str | None = None) -> str:
        """Run it, expecting exit code 0. Returns what it printed."""
        result = self(*words, typed=typed)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *words: str, typed: str | None = None) -> str:
        """Run it, expecting exit code 1. Returns what it said."""
        result = self(*words, typed=typed)
        assert result.exit_code == 1, result.output
        return result.output

    def json(self, *words: str, typed: str | None = None) -> Any:
        """Run it with --json, expecting exit code 0."""
        return json.loads(self.done(*words, "--json", typed=typed))


@pytest.fixture
def bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """The command, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)
    monkeypatch.delenv("BRIDGE_SECRETS_KEY", raising=False)
    root, ours = logging.getLogger(), logging.getLogger("bridge")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield Command(tmp_path)
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture
def anna(bridge: Command) -> Command:
    """The command, once a user "anna" is there."""
    bridge.done("user", "add", "anna", "--location", "loc_1", "--name", "Anna", "--time-zone", "Europe/Berlin")
    return bridge


@pytest.fixture
def settings_file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes `config/bridge.toml`, where the command looks for it."""

    def write(text: str) -> Path:
        path = tmp_path / "config" / "bridge.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


class Upstream:
    """One login at a CalDAV server (Radicale as it comes), and what its owner does there with other programs."""

    username = "anna@example.com"

    def __init__(self, directory: Path) -> None:
        self.url = ""
        self._users = directory / "users"
        self.change_password()
        configuration = radicale.config.load()
        auth = {"type": "htpasswd", "htpasswd_filename": str(self._users), "htpasswd_encryption": "plain", "delay": "0"}
        storage = {"filesystem_folder": str(directory / "collections")}
        configuration.update({"auth": auth, "storage": storage}, "test")
        self.app = Application(configuration)

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


@pytest.fixture
def home(tmp_path: Path, settings_file: Callable[[str], Path]) -> Iterator[Upstream]:
    """A CalDAV server, which the settings know as the provider "home"."""
    directory = tmp_path / "upstream"
    directory.mkdir()
    upstream = Upstream(directory)
    with serving(upstream.app) as upstream.url:
        settings_file(f'[radicale]\nconfig = "{RADICALE}"\n[providers.home]\nurl = "{upstream.url}"\n')
        yield upstream


@pytest.fixture
def broken_home(settings_file: Callable[[str], Path]) -> Iterator[Callable[[str], None]]:
    """A server that the settings know as "home", and that answers everything with the status it is told."""
    status = "200 OK"

    def app(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response(status, [("Content-Type", "text/plain")])
        return [b""]

    def answer(with_status: str) -> None:
        nonlocal status
        status = with_status

    with serving(app) as url:
        settings_file(f'[providers.home]\nurl = "{url}"\n')
        yield answer


@pytest.fixture
def unused_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve a WSGI application from a thread; its address."""
    server = make_server("127.0.0.1", 0, app, _Server, _Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
