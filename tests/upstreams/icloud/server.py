"""The running stand-in: a root and two partitions on loopback, passwords, faults, and a record of every request."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from aiohttp import web

from tests.upstreams.front import Request
from tests.upstreams.icloud.answers import answer as answer_to
from tests.upstreams.icloud.calls import Answer, Call
from tests.upstreams.icloud.faults import Cut, Drop, Fault, Faults, Hang, Planned, Status
from tests.upstreams.icloud.login import CloudLogin
from tests.upstreams.icloud.quirks import Quirks
from tests.upstreams.icloud.state import Account, Mail, Notice, State

#: The root, and the partitions.
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
_CHALLENGES = 'X-MobileMe-AuthToken realm="MMCalDav", ', 'Basic realm="MMCalDav"'


@dataclass
class Cloud:
    """The server, seen from a test."""

    quirks: Quirks
    state: State = field(default_factory=State)
    faults: Faults = field(default_factory=Faults)
    #: Every request that was received, in order.
    requests: list[Request] = field(default_factory=list)
    #: Addresses of root and partitions, each ending in "/".
    urls: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The root."""
        return self.urls[0]

    @property
    def mails(self) -> list[Mail]:
        """Mails that went out because of what programs wrote."""
        return self.state.mails

    @property
    def notices(self) -> list[Notice]:
        """What those who share a calendar were told."""
        return self.state.notices

    def login(self, username: str = "anna@icloud.example", *, aliases: tuple[str, ...] = ()) -> CloudLogin:
        """A new account, with one app-specific password and no calendars."""
        with self.state.lock:
            dsid = str(1_000_000_000 + len(self.state.accounts))
            account = self.state.accounts[dsid] = Account(dsid, username, partition=1, aliases=aliases)
        return CloudLogin(self.state, account, self._address_of, self.quirks.late_data)

    def move_partition(self, login: CloudLogin) -> None:
        """Move an account to the other partition."""
        with self.state.lock:
            account = self.state.by_username(login.username)
            assert account is not None
            account.partition = 3 - account.partition

    def fail(self, fault: Fault, *, method: str | None = None, path: str = "/", nth: int = 1, times: int = 1) -> None:
        """Let requests fail: the `nth` from now that has this method and is at or below this path or address."""
        with self.state.lock:
            self.faults.planned.append(Planned(fault, method, unquote(urlsplit(path).path), nth, times))

    def throttle(self, requests: int, *, retry_after: str | None = "1") -> None:
        """Refuse so many requests with 503, however long `retry_after` says. M: keeper.sh #890."""
        self.fail(Status(503, retry_after), times=requests)

    def writes(self, url: str) -> list[Request]:
        """Every try to change something at or below an address, whatever came of it."""
        path = unquote(urlsplit(url).path)
        return [request for request in self.requests if request.writes_to(path)]

    def _address_of(self, account: Account) -> str:
        return self.urls[account.partition].rstrip("/")

    # --- Requests, in the server's thread ------------------------------------------------------------------------

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any request to any of the hosts."""
        body = await request.read()
        path = unquote(urlsplit(request.raw_path).path)
        username, password = _credentials(request)
        with self.state.lock:
            fault = self.faults.meet(request.method, path)
        if isinstance(fault, Hang) or fault is Drop.BEFORE:
            return await self._unanswered(request, path, username, len(body), hang=isinstance(fault, Hang))
        if isinstance(fault, Status):
            answer = Answer(fault.status, headers={"Retry-After": fault.retry_after} if fault.retry_after else {})
        else:
            with self.state.lock:
                answer = self._answer(request, body, username, password)
        if fault is Drop.AFTER:
            return await self._unanswered(request, path, username, len(body), hang=False)
        self._record(request, path, username, answer.status, len(body), len(answer.body))
        if isinstance(fault, Cut):
            answer.body = answer.body[: int(len(answer.body) * fault.part)]
        headers = {**answer.headers, **({"Content-Type": answer.content_type} if answer.body else {})}
        if fault is Drop.IN_BODY:
            response = web.StreamResponse(status=answer.status, headers=headers)
            response.content_length = len(answer.body)
            await response.prepare(request)
            await response.write(answer.body[: len(answer.body) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        return web.Response(status=answer.status, headers=headers, body=answer.body)

    def _answer(self, request: web.BaseRequest, body: bytes, username: str, password: str) -> Answer:
        account = self.state.by_username(username)
        if account is None or password not in account.passwords:
            offered = "".join(_CHALLENGES[0 if self.quirks.two_challenges else 1 :])
            return Answer(401, headers={"WWW-Authenticate": offered})
        assert request.transport is not None
        host = HOSTS.index(request.transport.get_extra_info("sockname")[0])
        headers = {name.lower(): value for name, value in request.headers.items()}
        return answer_to(
            Call(
                method=request.method,
                target=request.raw_path,
                headers=headers,
                body=body,
                host=host,
                account=account,
                quirks=self.quirks,
                state=self.state,
                urls=self.urls,
            )
        )

    async def _unanswered(
        self, request: web.BaseRequest, path: str, username: str, sent: int, *, hang: bool
    ) -> web.StreamResponse:
        self._record(request, path, username, 0, sent, 0)
        if hang:
            await asyncio.Event().wait()  # cancelled when the client gives up
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    def _record(
        self, request: web.BaseRequest, path: str, username: str, status: int, sent: int, received: int
    ) -> None:
        destination = request.headers.get("Destination")
        self.requests.append(
            Request(
                username=username or None,
                method=request.method,
                path=path,
                status=status,
                sent=sent,
                received=received,
                destination=unquote(urlsplit(destination).path) if destination else None,
            )
        )


@contextmanager
def running(quirks: Quirks | None = None, *, tls: ssl.SSLContext | None = None) -> Iterator[Cloud]:
    """Run the stand-in in a thread of its own, so that it serves tests of every kind."""
    cloud = Cloud(quirks or Quirks())
    loop = asyncio.new_event_loop()

    async def start() -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(cloud.handle, handler_cancellation=True), shutdown_timeout=0.1)
        await runner.setup()
        for host in HOSTS:
            site = web.TCPSite(runner, host, 0, ssl_context=tls)
            await site.start()
        cloud.urls = [f"{'https' if tls else 'http'}://{name}:{port}/" for name, port in runner.addresses]
        return runner

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        runner = asyncio.run_coroutine_threadsafe(start(), loop).result()
        try:
            yield cloud
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _credentials(request: web.BaseRequest) -> tuple[str, str]:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    username, _, password = base64.b64decode(value).decode().partition(":")
    return username, password
