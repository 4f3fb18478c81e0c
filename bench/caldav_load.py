"""A CalDAV client that takes hardly any time itself: raw requests over connections that are kept."""

from __future__ import annotations

import base64
import multiprocessing
import socket
import statistics
import time
import zlib
from dataclasses import dataclass
from typing import Self

_NAMES = 'xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/"'


@dataclass(frozen=True)
class Answer:
    """What came back, and how long it took until the last byte, in seconds."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    seconds: float

    @property
    def plain(self) -> bytes:
        """The body, unpacked."""
        return zlib.decompress(self.body, 47) if b"content-encoding" in self.headers else self.body


class Connection:
    """One connection, opened anew when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, raw: bytes) -> Answer:
        """Send a request and read the whole answer. The time of a new connection counts."""
        started = time.perf_counter()
        for attempt in range(2):
            try:
                return self._ask(raw, started)
            except (ConnectionError, EOFError):
                self.close()
                if attempt:
                    raise
        raise AssertionError

    def _ask(self, raw: bytes, started: float) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=900)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._socket.sendall(raw)
        got = self._more(b"", b"\r\n\r\n")
        head, _, rest = got.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            body = self._chunks(rest)
        elif b"content-length" in headers:
            body = self._exactly(rest, int(headers[b"content-length"]))
        else:
            body = self._to_the_end(rest)
        seconds = time.perf_counter() - started
        if headers.get(b"connection", b"").lower() == b"close" or first.startswith(b"HTTP/1.0"):
            self.close()
        return Answer(int(first.split()[1]), headers, body, seconds)

    def _receive(self) -> bytes:
        assert self._socket is not None
        got = self._socket.recv(1 << 18)
        # Acknowledge at once: a server that sends an answer in pieces would else wait 40 ms for it, which over a
        # network it may or may not.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if not got:
            raise EOFError
        return got

    def _more(self, got: bytes, until: bytes) -> bytes:
        while until not in got:
            got += self._receive()
        return got

    def _exactly(self, rest: bytes, size: int) -> bytes:
        pieces, missing = [rest], size - len(rest)
        while missing > 0:
            pieces.append(self._receive())
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def _to_the_end(self, rest: bytes) -> bytes:
        pieces = [rest]
        try:
            while True:
                pieces.append(self._receive())
        except EOFError:
            self.close()
            return b"".join(pieces)

    def _chunks(self, rest: bytes) -> bytes:
        pieces = []
        while True:
            rest = self._more(rest, b"\r\n")
            size, _, rest = rest.partition(b"\r\n")
            length = int(size.split(b";")[0], 16)
            rest = self._exactly(rest, length + 2)
            if length == 0:
                return b"".join(pieces)
            pieces.append(rest[:length])
            rest = rest[length + 2 :]


def request(
    method: str, path: str, body: str = "", *, login: tuple[str, str], gzip: bool = False, **more: str
) -> bytes:
    """A request as bytes. `more` are headers, with _ for -."""
    content = body.encode()
    secret = base64.b64encode(":".join(login).encode()).decode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Basic {secret}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    lines += ["Accept-Encoding: gzip"] if gzip else []
    lines += ["Content-Type: application/xml; charset=utf-8"] if body and "Content_Type" not in more else []
    return "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode() + content


def propfind(*properties: str) -> str:
    return f"<propfind {_NAMES}><prop>{''.join(f'<{name}/>' for name in properties)}</prop></propfind>"


def sync(token: str = "", more: str = "") -> str:
    level = f"<sync-level>1</sync-level><prop><getetag/>{more}</prop>"
    return f"<sync-collection {_NAMES}><sync-token>{token}</sync-token>{level}</sync-collection>"


def multiget(hrefs: list[str]) -> str:
    wanted = "<prop><getetag/><C:calendar-data/></prop>" + "".join(f"<href>{href}</href>" for href in hrefs)
    return f"<C:calendar-multiget {_NAMES}>{wanted}</C:calendar-multiget>"


def query(inside: str = "", data: str = "<C:calendar-data/>") -> str:
    events = f'<C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">{inside}</C:comp-filter></C:comp-filter>'
    wanted = f"<prop><getetag/>{data}</prop>"
    return f"<C:calendar-query {_NAMES}>{wanted}<C:filter>{events}</C:filter></C:calendar-query>"


def time_range(start: str, end: str) -> str:
    return f'<C:time-range start="{start}" end="{end}"/>'


def expand(start: str, end: str) -> str:
    return f'<C:calendar-data><C:expand start="{start}" end="{end}"/></C:calendar-data>'


def text_match(name: str, text: str) -> str:
    return f'<C:prop-filter name="{name}"><C:text-match>{text}</C:text-match></C:prop-filter>'


def free_busy(start: str, end: str) -> str:
    return f"<C:free-busy-query {_NAMES}>{time_range(start, end)}</C:free-busy-query>"


def one_after_the_other(port: int, raw: bytes, count: int) -> list[float]:
    """How long each of `count` requests took on one connection, in seconds."""
    with Connection(port) as connection:
        return [connection.ask(raw).seconds for _ in range(count)]


def at_once(port: int, raw: bytes, count: int, clients: int) -> list[float]:
    """The same for so many clients at the same time, `count` each, in processes of their own."""
    context = multiprocessing.get_context("fork")
    with context.Pool(clients) as pool:
        return [one for some in pool.starmap(one_after_the_other, [(port, raw, count)] * clients) for one in some]


def median_ms(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1000
