"""Runs the bridge's servers as child processes, restarts them, and ends them when it ends itself.

A child's standard input is a pipe that only the supervisor holds open. However the supervisor ends, even by SIGKILL,
the child reads the end of the pipe and ends as well (`end_with_parent`). This works on every system, and frees the
ports for the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
from yarl import URL

from bridge.errors import CannotListen, ChildFailed

log = logging.getLogger(__name__)

#: Seconds from SIGTERM to SIGKILL.
PATIENCE = 10
#: Seconds from the end of a child to its next start: the first time, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 1, 30
#: After a supervisor was killed: seconds that the next one waits for its children to leave their ports, and seconds
#: that a child has to end cleanly.
PORT_PATIENCE, END_PATIENCE = 5, 3
_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Child:
    """One server to keep running. It is up once it answers `method` at `path`."""

    #: Its name for people, which is also the table of the settings with its host and port.
    name: str
    command: tuple[str, ...]
    host: str
    port: int
    method: str
    path: str
    #: Whether SIGHUP is passed on to it. Only once it is up: before, SIGHUP might kill it.
    hangs_up: bool = False


async def supervise(children: Sequence[Child], *, ready: Callable[[], None]) -> None:
    """Run the children until SIGTERM or SIGINT, and call `ready` once all of them answer. SIGHUP is passed on.

    A child that ends is started again, after a pause that doubles as long as it keeps ending. Raises `CannotListen`
    when a port is taken, and `ChildFailed` when a child ends before its first answer; the other children are then
    ended.
    """
    up = [asyncio.Event() for _ in children]
    running: dict[Child, Process] = {}
    keepers = [asyncio.create_task(_keep(child, event, running)) for child, event in zip(children, up, strict=True)]
    announcer = asyncio.create_task(_announce(up, ready))
    with _signals(lambda: _hang_up(running)) as stop:
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopped, *keepers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = [stopped, announcer, *keepers]
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):  # CancelledError is not an Exception
            raise outcome


async def _announce(up: Sequence[asyncio.Event], ready: Callable[[], None]) -> None:
    for event in up:
        await event.wait()
    ready()


def _hang_up(running: Mapping[Child, Process]) -> None:
    for child, process in running.items():
        if child.hangs_up and process.returncode is None:
            process.send_signal(signal.SIGHUP)


@contextlib.contextmanager
def _signals(hang_up: Callable[[], None]) -> Iterator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    actions = {signal.SIGTERM: stop.set, signal.SIGINT: stop.set, signal.SIGHUP: hang_up}
    before = {number: signal.getsignal(number) for number in actions}
    for number, action in actions.items():
        loop.add_signal_handler(number, action)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def _keep(child: Child, up: asyncio.Event, running: dict[Child, Process]) -> None:
    pause = FIRST_PAUSE
    while True:
        await _port_free(child)
        async with _running(child) as process:
            started = time.monotonic()
            if await _answers(child, process):
                log.info("%s answers at %s:%d", child.name, child.host, child.port)
                running[child] = process
                up.set()
            status = await process.wait()
        if not up.is_set():
            # Something in the settings or on the machine keeps it from starting, so starting it again would not help.
            raise ChildFailed(child.name, status)
        if time.monotonic() - started > LONGEST_PAUSE:
            pause = FIRST_PAUSE
        log.warning("%s ended with status %d; it is started again in %d s", child.name, status, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def _port_free(child: Child) -> None:
    """Wait until the child's port is free, so that it does not fail for that. Raises `CannotListen`."""
    deadline = time.monotonic() + PORT_PATIENCE
    while True:
        try:
            server = await asyncio.start_server(lambda _reader, writer: writer.close(), child.host, child.port)
        except OSError as e:
            if time.monotonic() > deadline or isinstance(e, socket.gaierror):
                raise cannot_listen(e, child.name, child.host, child.port) from e
        else:
            server.close()
            await server.wait_closed()
            return
        await asyncio.sleep(_LOOK_EVERY)


def cannot_listen(e: OSError, setting: str, host: str, port: int) -> CannotListen:
    """The error for a failed attempt to listen, with the system's reason rather than asyncio's long message."""
    detail = e.strerror if isinstance(e, socket.gaierror) else os.strerror(e.errno or 0)
    return CannotListen(setting, host, port, detail or "")


@contextlib.asynccontextmanager
async def _running(child: Child) -> AsyncIterator[Process]:
    # In a session of its own, so that Ctrl-C reaches only the supervisor, which then ends its children in order.
    process = await asyncio.create_subprocess_exec(*child.command, stdin=PIPE, start_new_session=True)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), PATIENCE)
            except TimeoutError:
                log.warning("%s did not end within %d s and is killed", child.name, PATIENCE)
                process.kill()
                await process.wait()


async def _answers(child: Child, process: Process) -> bool:
    """Wait for the child's first answer. False: it ended before.

    If another program took the port since `_port_free`, that program answers instead. The child then ends by itself,
    and `_port_free` reports the port at its next start.
    """
    # A server that listens on all addresses is asked at the loopback address.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(child.host, child.host)  # noqa: S104 - compared, not bound
    url = URL.build(scheme="http", host=host, port=child.port, path=child.path)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while process.returncode is None:
            try:
                async with session.request(child.method, url) as answer:
                    if answer.status < 500:
                        return True
            except (aiohttp.ClientError, TimeoutError) as e:
                log.debug("%s does not answer yet: %s", child.name, e)
            await asyncio.sleep(_LOOK_EVERY)
    return False


def end_with_parent() -> None:
    """End this process when its standard input ends, which means that the supervisor is gone: cleanly if possible."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(END_PATIENCE)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
