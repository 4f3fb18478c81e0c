"""A server of the merged calendars in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.upstreams import free_port

from .conftest import CONFIG

#: Seconds that anything awaited may take. Nothing here measures speed.
PATIENCE = 60


@dataclass
class Server:
    """One that is running."""

    process: subprocess.Popen[bytes]
    port: int
    said: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def command(how: str, store: Path, port: int, config: Path = CONFIG) -> list[str]:
    """How a server is started: Radicale alone with the plugin, or the plugin's own program."""
    if how == "alone":
        options = [f"--storage-store={store}", f"--server-hosts=127.0.0.1:{port}"]
        return [sys.executable, "-m", "radicale", "--config", str(config), *options]
    options = ["--store", str(store), "--host", "127.0.0.1", "--port", str(port), "--config", str(config)]
    return [sys.executable, "-m", "radicale_plugin", *options, "--server", how]


@contextmanager
def serving(how: str, store: Path, config: Path = CONFIG, *options: str) -> Iterator[Server]:
    """A server process, from its first connection on until it has ended."""
    port, said = free_port(), store.parent / f"{how}.log"
    words = [*command(how, store, port, config), *options]
    with said.open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, said.read_text()
                time.sleep(0.02)
        yield Server(process, port, said)
    finally:
        process.terminate()
        process.wait(PATIENCE)
