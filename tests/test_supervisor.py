"""The supervisor, with real processes and real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.demo.ports import free_ports

# Answers every request; its behaviour is chosen by files beside it, so that a test can change it while it runs.
CHILD = """
import http.server, os, pathlib, signal, sys
from bridge.supervisor import end_with_parent

name, port, here = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
if (here / f"{name}.broken").exists():
    sys.exit(7)
end_with_parent()
if (here / f"{name}.stubborn").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: ((here / f"{name}.clean").touch(), os._exit(0)))

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_OPTIONS = do_GET
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer)
with (here / f"{name}.pids").open("a") as pids:
    pids.write(f"{os.getpid()}\\n")
server.serve_forever()
"""

SUPERVISOR = """
import asyncio, json, logging, sys
from bridge import supervisor

logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
supervisor.FIRST_PAUSE, supervisor.LONGEST_PAUSE, supervisor.PATIENCE, supervisor.PORT_PATIENCE = 0.1, 0.2, 1, 3
children = [supervisor.Child(**{**child, "command": tuple(child["command"])}) for child in json.loads(sys.argv[1])]
try:
    asyncio.run(supervisor.supervise(children, ready=lambda: print("ready", flush=True)))
except supervisor.CannotListen as e:
    print(f"cannot listen: [{e.setting}] {e.detail}", flush=True)
    sys.exit(3)
except supervisor.ChildFailed as e:
    print(f"failed: {e.name} {e.status}", flush=True)
    sys.exit(4)
"""


class Supervised:
    """A supervisor with two children, in a directory of its own."""

    def __init__(self, here: Path) -> None:
        self.here = here
        self.ports = dict(zip(("sidecar", "radicale"), free_ports(2), strict=True))
        (here / "child.py").write_text(CHILD)
        (here / "supervisor.py").write_text(SUPERVISOR)
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        self.close()
        children = [
            {
                "name": name,
                "command": [sys.executable, str(self.here / "child.py"), name, str(port), str(self.here)],
                "host": "127.0.0.1",
                "port": port,
                "method": "OPTIONS" if name == "radicale" else "GET",
                "path": "/healthz",
            }
            for name, port in self.ports.items()
        ]
        self.process = subprocess.Popen(
            [sys.executable, str(self.here / "supervisor.py"), json.dumps(children)],
            stdout=subprocess.PIPE,
            text=True,
        )
        return self.process

    def start_and_wait(self) -> subprocess.Popen[str]:
        process = self.start()
        self.line("ready")
        return process

    def line(self, containing: str) -> str:
        """The next line of output that contains this."""
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if containing in line:
                return line.strip()
        raise AssertionError(f"it ended without saying {containing!r}")

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()

    def pids(self, name: str) -> list[int]:
        file = self.here / f"{name}.pids"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def all_gone(self) -> bool:
        return not any(alive(pid) for name in self.ports for pid in self.pids(name))

    def tell(self, name: str, what: str) -> None:
        (self.here / f"{name}.{what}").touch()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    it = Supervised(tmp_path)
    yield it
    it.close()
    for name in it.ports:
        for pid in filter(alive, it.pids(name)):
            os.kill(pid, signal.SIGKILL)


def test_it_is_ready_once_both_answer_and_ends_both_cleanly_on_sigterm(supervised: Supervised) -> None:
    process = supervised.start_and_wait()
    assert all(listening(port) for port in supervised.ports.values())

    process.terminate()

    assert process.wait(10) == 0
    assert supervised.all_gone()
    assert (supervised.here / "sidecar.clean").exists()
    assert (supervised.here / "radicale.clean").exists()


def test_sigint_ends_it_as_well(supervised: Supervised) -> None:
    process = supervised.start_and_wait()

    process.send_signal(signal.SIGINT)

    assert process.wait(10) == 0
    assert supervised.all_gone()


def test_a_child_that_dies_is_started_again_while_the_other_stays(supervised: Supervised) -> None:
    supervised.start_and_wait()
    (sidecar,), (radicale,) = supervised.pids("sidecar"), supervised.pids("radicale")

    os.kill(sidecar, signal.SIGKILL)

    assert "sidecar ended with status -9" in supervised.line("ended")
    assert "sidecar answers" in supervised.line("answers")
    assert supervised.pids("sidecar")[-1] != sidecar
    assert supervised.pids("radicale") == [radicale]
    assert alive(radicale)


def test_a_child_that_keeps_dying_is_tried_until_it_is_mended(supervised: Supervised) -> None:
    supervised.start_and_wait()
    supervised.tell("sidecar", "broken")
    os.kill(supervised.pids("sidecar")[0], signal.SIGKILL)

    supervised.line("ended with status -9")
    supervised.line("ended with status 7")
    supervised.line("ended with status 7")
    (supervised.here / "sidecar.broken").unlink()

    supervised.line("sidecar answers")


def test_children_of_a_killed_supervisor_end_by_themselves_and_leave_the_ports(supervised: Supervised) -> None:
    process = supervised.start_and_wait()

    process.kill()
    process.wait()
    eventually(supervised.all_gone)
    assert (supervised.here / "sidecar.clean").exists()

    supervised.start_and_wait()


def test_a_new_supervisor_waits_for_the_children_of_a_killed_one(supervised: Supervised) -> None:
    process = supervised.start_and_wait()

    process.kill()
    process.wait()

    supervised.start_and_wait()


def test_even_a_stubborn_child_ends_after_its_parent(supervised: Supervised) -> None:
    supervised.tell("radicale", "stubborn")
    process = supervised.start_and_wait()

    process.kill()
    process.wait()

    eventually(supervised.all_gone)


def test_a_child_that_ignores_sigterm_is_killed(supervised: Supervised) -> None:
    supervised.tell("radicale", "stubborn")
    process = supervised.start_and_wait()

    process.terminate()

    assert process.wait(10) == 0
    assert supervised.all_gone()


def test_a_taken_port_is_told_and_everything_ends(supervised: Supervised) -> None:
    with socket.create_server(("127.0.0.1", supervised.ports["radicale"])):
        process = supervised.start()

        assert supervised.line("cannot listen") == "cannot listen: [radicale] Address already in use"
        assert process.wait(10) == 3
        assert supervised.all_gone()


def test_a_child_that_can_not_start_is_told_and_everything_ends(supervised: Supervised) -> None:
    supervised.tell("radicale", "broken")

    process = supervised.start()

    assert supervised.line("failed") == "failed: radicale 7"
    assert process.wait(10) == 4
    assert supervised.all_gone()


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    # One whose parent was killed lingers as a zombie until whoever adopted it looks.
    return state != "Z"


def eventually(condition: Callable[[], bool], patience: float = 15) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
