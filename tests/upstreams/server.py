"""Radicale and Xandikos as they come, each on a free port of loopback."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from radicale import config as radicale_config
from radicale.app import Application

from bridge.demo.ports import free_ports
from tests.upstreams.front import Forward, Front, Request
from tests.upstreams.login import Login
from tests.upstreams.wsgi import serving


@dataclass(slots=True)
class Server:
    """A running server. `requests` holds what programs asked for, in order; what a `Login` does is not among it."""

    kind: str
    url: str
    requests: list[Request]
    #: What answers at `url`, which can be served at another address too.
    app: Front
    _home: str
    _set_password: Callable[[str, str], None]

    def login(self, username: str = "anna@example.com") -> Login:
        """A person with a login here, and no calendar yet."""
        return Login(self.url, username, self._home.format(username), self._set_password)

    def writes(self, url: str) -> list[Request]:
        """Every try to change something at or below an address, whatever came of it."""
        path = unquote(urlsplit(url).path)
        return [request for request in self.requests if request.writes_to(path)]


@contextmanager
def radicale(directory: Path) -> Iterator[Server]:
    """Radicale as it comes, with a htpasswd file, in a thread."""
    directory.mkdir(parents=True, exist_ok=True)
    users = directory / "users"
    passwords: dict[str, str] = {}

    def set_password(username: str, password: str) -> None:
        passwords[username] = password
        users.write_text("".join(f"{name}:{secret}\n" for name, secret in passwords.items()))

    users.touch()
    configuration = radicale_config.load()
    auth = {"type": "htpasswd", "htpasswd_filename": str(users), "htpasswd_encryption": "plain", "delay": "0"}
    configuration.update({"auth": auth, "storage": {"filesystem_folder": str(directory / "collections")}}, "test")
    front = Front(Application(configuration))
    with serving(front) as url:
        yield Server("radicale", url, front.requests, front, "/{}/", set_password)


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens right now."""
    return free_ports(1)[0]


@contextmanager
def xandikos(directory: Path) -> Iterator[Server]:
    """Xandikos in a process of its own, behind a proxy that checks passwords, as its manual advises."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "xandikos", "multi-user", "--no-detect-systemd"]
    command += ["-d", str(directory / "collections"), "--state-dir", str(directory / "state")]
    command += ["-l", "127.0.0.1", "-p", str(port), "--trust-x-remote-user-from", "127.0.0.1"]
    (directory / "collections").mkdir(exist_ok=True)
    log = directory / "log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            _wait(process, f"http://127.0.0.1:{port}/", log)
            passwords: dict[str, str] = {}
            front = Front(Forward(port, passwords))
            with serving(front) as url:
                yield Server("xandikos", url, front.requests, front, "/{}/calendars/", passwords.__setitem__)
        finally:
            process.kill()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return once a server answers, whatever it answers."""
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the server does not start: {log.read_text(errors='replace')[-2000:]}")
