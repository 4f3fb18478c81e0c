"""Runs the bridge's servers as children, keeps them alive, and ends them with itself.

A child's standard input is a pipe that only the supervisor holds open: however the supervisor ends, even by SIGKILL,
the child reads the end of the pipe and ends as well (`end_with_parent`). That works on every system, and leaves the
ports free for the next start.
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
#: Seconds from the death of a child to its next start, at first and at most.
FIRST_PAUSE, LONGEST_PAUSE = 1, 30
#: Seconds that the children of a supervisor that was killed get to leave their ports, and to end by themselves.
PORT_PATIENCE, END_PATIENCE = 5, 3
_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Child:
    """One server to keep running. It is up once it answers `method` at `path`."""

    #: What people call it, and the table of the settings that says where it listens.
    name: str
    command: tuple[str, ...]
    host: str
    port: int
    method: str
    path: str
    #: Whether SIGHUP is passed on to it, once it is up.
    hangs_up: bool = False


async def supervise(children: Sequence[Child], *, ready: Callable[[], None]) -> None:
    """Run the children until SIGTERM or SIGINT, and call `ready` once all of them answer. SIGHUP is passed on.

    A child that dies is started again, after a pause that doubles while it keeps dying. Raises `CannotListen` when a
    port is taken, `ChildFailed` when a child ends before it ever answered; the others are then ended as well.
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
        if isinstance(outcome, Exception):  # being cancelled is none
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
            # What keeps it from starting is wrong with the settings or the machine: starting it again won't help.
            raise ChildFailed(child.name, status)
        if time.monotonic() - started > LONGEST_PAUSE:
            pause = FIRST_PAUSE
        log.warning("%s ended with status %d; it is started again in %d s", child.name, status, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def _port_free(child: Child) -> None:
    """Return once the child can listen, so that it does not die of it. Raises `CannotListen`."""
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
    """What a failed attempt to listen means, without asyncio's own prose."""
    detail = e.strerror if isinstance(e, socket.gaierror) else os.strerror(e.errno or 0)
    return CannotListen(setting, host, port, detail or "")


@contextlib.asynccontextmanager
async def _running(child: Child) -> AsyncIterator[Process]:
    # In a session of its own, so that Ctrl-C reaches the supervisor alone, which then ends its children in order.
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
    """Wait for the child's first answer. False: it ended before."""
    # A server that listens on every address is asked on this machine's own.
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
    """End this process, cleanly if it can, once whoever holds the other end of its standard input is gone."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(END_PATIENCE)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
