"""Real processes: start one, read what it says, signal it, and see that nothing of it is left."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

#: Seconds that anything awaited may take on a slow, busy machine. Nothing here measures speed.
PATIENCE = 60
BRIDGE = (sys.executable, "-m", "bridge")


class Program:
    """A process of its own, in a directory of its own; what it says on standard error is kept in a file."""

    def __init__(self, command: Sequence[str], directory: Path, *, env: Mapping[str, str] | None = None) -> None:
        self.command = tuple(command)
        directory.mkdir(parents=True, exist_ok=True)
        self._errors = directory / f"stderr.{time.monotonic_ns()}"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._rest = b""

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self, containing: str = "") -> str:
        """The next line of standard output that contains this."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while True:
                line, found, self._rest = self._rest.partition(b"\n")
                if found:
                    if containing in line.decode():
                        return line.decode()
                    continue
                self._rest = line
                assert selector.select(deadline - time.monotonic()), f"no {containing!r} in time: {self.errors()}"
                more = os.read(self.process.stdout.fileno(), 65536)
                assert more, f"it ended without saying {containing!r}: {self.errors()}"
                self._rest += more

    def rest(self) -> str:
        """Everything else on standard output, once it has ended."""
        assert self.process.stdout is not None
        text = (self._rest + self.process.stdout.read()).decode()
        self._rest = b""
        return text

    def errors(self) -> str:
        """What it has said on standard error so far."""
        return self._errors.read_text()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, wait until it has ended; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """Leave nothing of it behind, whatever state it is in."""
        if self.process.poll() is None:
            left = descendants(self.pid)
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                kill([self.pid, *left])
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def run(*command: str, directory: Path, typed: str = "", env: Mapping[str, str] | None = None) -> Finished:
    """Run a command to its end."""
    done = subprocess.run(
        command,
        check=False,
        cwd=directory,
        input=typed,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **(env or {})},
    )
    return Finished(done.returncode, done.stdout, done.stderr)


class Finished:
    """How a command ended, and what it said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.out}\n{self.err}"


def descendants(pid: int) -> list[int]:
    """The processes that this one started, and those that they started."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (facts := _stat(int(entry.name))) is not None:
            parents.setdefault(facts[1], []).append(int(entry.name))
    found, ahead = [], [pid]
    while ahead:
        children = parents.get(ahead.pop(), [])
        found += children
        ahead += children
    return found


def command_line(pid: int) -> str:
    """What a process was started as; empty once it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def child(program: Program, part: str) -> int:
    """The one process that a program itself started whose command line has this in it; not what that forked."""
    found = [pid for pid in descendants(program.pid) if part in command_line(pid)]
    first = [pid for pid in found if (facts := _stat(pid)) is None or facts[1] not in found]
    assert len(first) == 1, first
    return first[0]


def kill(pids: Iterable[int]) -> None:
    """SIGKILL, all at once as far as that goes."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie (whose parent was killed, and whose heir has not looked yet)."""
    facts = _stat(pid)
    return facts is not None and facts[0] != "Z"


def _stat(pid: int) -> tuple[str, int] | None:
    """(state, parent)"""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1])


def bindable(port: int) -> bool:
    """Whether a server could listen there."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def eventually(look: Callable[[], T], *, patience: float = PATIENCE, often: float = 0.1) -> T:
    """The first true value that `look` returns. A failed assertion or request in it is a reason to look again."""
    deadline = time.monotonic() + patience
    while True:
        try:
            seen = look()
        except (AssertionError, OSError):
            if time.monotonic() > deadline:
                raise
        else:
            if seen:
                return seen
            assert time.monotonic() < deadline, f"it did not come true; last seen: {seen!r}"
        time.sleep(often)
