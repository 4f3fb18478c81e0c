"""A server that answers what it is told, byte for byte: for answers that no proper server gives."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came. `connection` numbers the connections in the order in which they were opened."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Send these bytes, or none, and close the connection."""

    sent: bytes = b""


@dataclass(frozen=True, slots=True)
class Trickle:
    """Send these bytes and then one more byte at a time, for ever."""

    sent: bytes = b""


@dataclass
class Scripted:
    """The running server. Each request takes the next of `answers`; without any it is met with silence."""

    url: str = ""
    answers: deque[bytes | Drop | Trickle] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    #: Connections that the client closed.
    closed: asyncio.Queue[int] = field(default_factory=asyncio.Queue)

    def answer(self, *answers: bytes | Drop | Trickle) -> None:
        """Queue answers."""
        self.answers.extend(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        number = self.connections
        try:
            while (asked := await _read(reader, number)) is not None:
                self.asked.append(asked)
                if not self.answers:
                    await reader.read()  # until the client gives up
                    break
                match self.answers.popleft():
                    case Drop(sent):
                        writer.write(sent)
                        await writer.drain()
                        return
                    case Trickle(sent):
                        writer.write(sent)
                        while not reader.at_eof():
                            writer.write(b" ")
                            await writer.drain()
                            await asyncio.sleep(0.02)
                    case sent:
                        writer.write(sent)
                        await writer.drain()
            self.closed.put_nowait(number)
        except ConnectionError:
            self.closed.put_nowait(number)
        finally:
            writer.close()


@asynccontextmanager
async def scripted(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Scripted]:
    """Start one, in the running event loop."""
    script = Scripted()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await script.serve(reader, writer)

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    script.url = f"{'https' if tls else 'http'}://{host}:{port}/"
    try:
        yield script
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await server.wait_closed()


def http(status: int, body: bytes | str = b"", **headers: str) -> bytes:
    """A whole answer. A header's underscores become dashes."""
    content = body.encode() if isinstance(body, str) else body
    named = {"Content_Length": str(len(content)), "Content_Type": "application/xml; charset=utf-8", **headers}
    lines = [f"HTTP/1.1 {status} Said so", *(f"{name.replace('_', '-')}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def _read(reader: asyncio.StreamReader, number: int) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.title(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("Content-Length", 0)))
    return Asked(method, target, headers, body, number)
