"""Clients that announce a body and send none, or take no answer: they must not keep others from theirs."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest
from radicale import app as stock

from bridge.domain.model import ItemKind, PublishedItem
from bridge.store import published
from radicale_plugin.app import Application
from radicale_plugin.stalled import cut_off_stalled

from .conftest import CONFIG, NOW, World
from .dav import CRM, element, prop
from .servers import PATIENCE, Server, serving

#: More clients than two processes with eight threads each answer at once.
CROWD = 40
#: The server's `timeout`, in seconds: as short as is safe on a busy machine.
TIMEOUT = 1.5
POLL = element("D:propfind", prop("D:sync-token")).encode()


@pytest.fixture
def kind() -> type[stock.Application]:
    """Only a server's process is asked here."""
    return Application


@contextmanager
def impatient(world: World, timeout: float, *options: str) -> Iterator[Server]:
    config = world.db.path.with_name("radicale.conf")
    config.write_text(CONFIG.read_text().replace("timeout = 30", f"timeout = {timeout}"))
    with serving("granian", world.db.path, config, *options) as running:
        yield running


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with impatient(world, TIMEOUT) as running:
        yield running


@pytest.fixture
def long(world: World) -> World:
    """A calendar that is longer than what the kernel accepts for a client that takes nothing."""
    event = "BEGIN:VEVENT\r\nUID:{0}\r\nDTSTAMP:20270101T000000Z\r\nDTSTART:20270308T090000Z\r\n{1}END:VEVENT\r\n"
    text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//phone//EN\r\n" + event + "END:VCALENDAR\r\n"
    more = ("X-MORE:" + "x" * 60 + "\r\n") * 15_000
    items = [
        PublishedItem(
            href=f"{number}.ics",
            etag=f'"{number}"',
            ics=text.format(number, more),
            first_start=NOW,
            last_end=NOW + 1,
            kind=ItemKind.ICLOUD,
            source_id="cal",
        )
        for number in range(12)
    ]
    with world.db.write() as tx:
        published.apply(tx, "ada", put=items, remove=[], now=NOW)
    return world


def head(world: World, method: str, *fields: str) -> bytes:
    """A request without its body."""
    login = b64encode(f"ada:{world.password}".encode()).decode()
    lines = (f"{method} {CRM} HTTP/1.1", "Host: localhost", f"Authorization: Basic {login}", "Depth: 0", *fields)
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def connected(server: Server) -> socket.socket:
    """A client that takes little in advance."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", server.port))
    return client


def ask(world: World, server: Server) -> int:
    """The status of a poll by somebody else. Whoever comes while all threads are taken may be let down as well."""
    login = b64encode(f"ada:{world.password}".encode()).decode()
    deadline = time.monotonic() + PATIENCE
    while True:
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
            try:
                connection.request("PROPFIND", CRM, POLL, {"Authorization": f"Basic {login}", "Depth": "0"})
                return connection.getresponse().status
            except ConnectionError:
                assert time.monotonic() < deadline


def ended(client: socket.socket) -> bool:
    """Whether the server closes the connection."""
    with suppress(ConnectionError):
        while client.recv(1 << 20):
            pass
    return True


def silent(client: socket.socket, world: World) -> None:
    client.sendall(head(world, "PROPFIND", "Content-Length: 100"))


def half(client: socket.socket, world: World) -> None:
    client.sendall(head(world, "PROPFIND", f"Content-Length: {len(POLL)}") + POLL[:-9])


def chunked(client: socket.socket, world: World) -> None:
    client.sendall(head(world, "PROPFIND", "Transfer-Encoding: chunked") + b"5\r\n<D:pr\r\n")


def dripping(client: socket.socket, world: World) -> None:
    silent(client, world)

    def drip() -> None:
        with suppress(OSError):
            while True:
                client.sendall(b" ")
                time.sleep(0.2)

    threading.Thread(target=drip, daemon=True).start()


@pytest.mark.parametrize("begin", [silent, half, chunked, dripping])
def test_bodies_that_never_arrive(world: World, server: Server, begin: Callable[[socket.socket, World], None]) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(server)) for _ in range(CROWD)]
        for client in clients:
            begin(client, world)
        assert ask(world, server) == 207
        assert all(map(ended, clients))
    assert ask(world, server) == 207
    assert "Traceback" not in server.said.read_text()


def test_a_client_that_was_told_to_go_on_and_does_not(world: World, server: Server) -> None:
    """The server has spoken last (RFC 9110 section 10.1.1), as it has between two requests."""
    with connected(server) as client:
        client.sendall(head(world, "PROPFIND", "Content-Length: 100", "Expect: 100-continue"))
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 100")
        assert ended(client)


def test_more_connections_than_a_process_may_have_files(world: World) -> None:
    """Without a free one, it could neither accept somebody else nor look for those to be cut off."""
    with impatient(world, TIMEOUT, "--workers", "1") as server, ExitStack() as stack:
        main = server.process.pid
        (worker,) = map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (600, 600))
        for _ in range(700):
            silent(stack.enter_context(connected(server)), world)
        assert ask(world, server) == 207


def test_answers_that_are_not_taken(long: World, server: Server) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(server)) for _ in range(CROWD)]
        for client in clients:
            client.sendall(head(long, "GET"))
        assert ask(long, server) == 207
        assert all(map(ended, clients))
    assert ask(long, server) == 207
    assert "Traceback" not in server.said.read_text()


def test_an_answer_that_is_taken_slowly(long: World, server: Server) -> None:
    whole = len(long.ada.request("GET", CRM).body)
    with connected(server) as client:
        client.sendall(head(long, "GET"))
        started, got = time.monotonic(), 0
        while piece := client.recv(1 << 20):
            got += len(piece)
            # In all, twice as long as somebody may do nothing.
            time.sleep(max(0, started + 4 * TIMEOUT * got / whole - time.monotonic()))
    assert got > whole


def test_a_body_that_is_sent_slowly_some_time_after_the_last_request(world: World, server: Server) -> None:
    with connected(server) as client:
        client.sendall(head(world, "PROPFIND", f"Content-Length: {len(POLL)}") + POLL)
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 207")
        time.sleep(TIMEOUT / 3)
        client.sendall(head(world, "PROPFIND", f"Content-Length: {len(POLL)}"))
        for at in range(0, len(POLL), 20):
            client.sendall(POLL[at : at + 20])
            time.sleep(TIMEOUT * 20 / len(POLL))
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 207")


def test_without_a_limit_nobody_is_cut_off(world: World) -> None:
    with impatient(world, 0) as server, connected(server) as client:
        for _ in range(2):
            client.sendall(head(world, "PROPFIND", f"Content-Length: {len(POLL)}"))
            time.sleep(TIMEOUT / 2)
            client.sendall(POLL)
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 207")
            time.sleep(TIMEOUT / 2)


class TestWhoIsCutOff:
    """Within this process, which is server and client at once."""

    @pytest.fixture
    def listener(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as made:
            yield made

    @pytest.fixture
    def pair(self, listener: socket.socket) -> Iterator[tuple[socket.socket, socket.socket]]:
        """The client's end, and the server's."""
        with socket.create_connection(listener.getsockname(), PATIENCE) as client, listener.accept()[0] as accepted:
            yield client, accepted

    def test_those_connected_to_the_port_when_nothing_moves_for_long(
        self, listener: socket.socket, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        port = listener.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as another:
            theirs = socket.create_connection(another.getsockname(), PATIENCE)
            ours, _ = another.accept()
            with theirs, ours:
                assert cut_off_stalled(port, PATIENCE) == 0
                assert cut_off_stalled(port, 0) == 1
                assert pair[0].recv(1) == b""
                ours.sendall(b"still here")
                assert theirs.recv(99) == b"still here"
        with socket.create_connection(listener.getsockname(), PATIENCE) as client, listener.accept()[0] as accepted:
            accepted.sendall(b"still listening")
            assert client.recv(99) == b"still listening"

    def test_a_descriptor_that_becomes_another_connections_meanwhile(
        self,
        listener: socket.socket,
        pair: tuple[socket.socket, socket.socket],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        theirs, ours = socket.socketpair()
        duplicate = os.dup

        def late(fd: int) -> int:
            os.dup2(ours.fileno(), fd)
            return duplicate(fd)

        monkeypatch.setattr(os, "dup", late)
        with theirs, ours:
            assert cut_off_stalled(listener.getsockname()[1], 0) == 0
            ours.sendall(b"still here")
            assert theirs.recv(99) == b"still here"

    def test_a_descriptor_that_becomes_a_files_meanwhile(
        self,
        listener: socket.socket,
        pair: tuple[socket.socket, socket.socket],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A process loses its locks on a file, and SQLite its own, with the first descriptor of it that is closed."""
        held: list[int] = []
        duplicate = os.dup
        with (tmp_path / "locked").open("w") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)

            def late(_fd: int) -> int:
                held.append(duplicate(file.fileno()))
                return held[-1]

            monkeypatch.setattr(os, "dup", late)
            assert cut_off_stalled(listener.getsockname()[1], 0) == 0
            another = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
            refused = subprocess.run([sys.executable, "-c", another, file.name], check=False, capture_output=True)
            assert b"BlockingIOError" in refused.stderr
        for fd in held:
            os.close(fd)
