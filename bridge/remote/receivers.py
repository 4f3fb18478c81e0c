"""Posting webhooks: without redirects and cookies, not to private addresses, and with a time limit."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bridge.errors import NotTaken
from bridge.remote import retry_after

#: Seconds that a receiver may take to answer.
TIMEOUT_SECONDS = 15.0
#: Seconds for which a connection is kept open between two deliveries. Many servers close idle connections after five
#: seconds, and a delivery sent at that moment would be lost.
KEEP_OPEN_SECONDS = 4.0
#: How many host names are looked up at the same time.
LOOKUPS = 32

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Decides whether a webhook may be sent to an address; the second argument says whether over TLS.
MayReach = Callable[[Address, bool], bool]


class NotAllowed(OSError):
    """The receiver's host name resolves to an address to which nothing may be sent."""

    def __str__(self) -> str:
        # The message is the same for every address of a name: asyncio joins different ones into a plain OSError.
        return "not allowed"


class _Names(AbstractResolver):
    """Looks names up in threads of its own, so that slow lookups occupy no threads that others need."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="receivers")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises `OSError`."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=socket.AI_NUMERICHOST
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Stop, without waiting for lookups that are under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Receivers:
    """Connections to receivers, kept open between deliveries.

    Where a name leads is checked for the very address that is connected to, so that a name which changes its mind
    between a check and a connection gains nothing.
    """

    def __init__(self, may_reach: MayReach, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._may_reach = may_reach
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._names = _Names()

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """Post once. Returns the status, which is a success. Raises `NotTaken` for everything else."""
        encrypted = URL(url).scheme == "https"
        try:
            async with self._session(encrypted).post(
                url, data=body, headers={**headers, "Content-Type": "application/json"}, allow_redirects=False
            ) as answer:
                # The body of the answer is not read: it is not needed, and might never end.
                status, wait = answer.status, retry_after.seconds(answer.headers.get("Retry-After"))
        except TimeoutError:
            raise NotTaken(f"no answer within {self._timeout.total:g} s") from None
        except aiohttp.ClientConnectorCertificateError:
            raise NotTaken("its certificate is not trusted") from None
        except aiohttp.ClientSSLError:
            raise NotTaken("no TLS connection") from None
        except aiohttp.ClientConnectorDNSError:
            raise NotTaken("its name is not known") from None
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, NotAllowed)
            raise NotTaken("its address is not allowed: see [webhooks]" if refused else "no connection") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise NotTaken(f"no answer ({type(error).__name__})") from None
        if 200 <= status < 300:
            return status
        reason = "redirects are not followed" if 300 <= status < 400 else f"answered {status}"
        raise NotTaken(reason, status, wait)

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))
        self._sessions.clear()
        await self._names.close()

    def _session(self, encrypted: bool) -> aiohttp.ClientSession:
        session = self._sessions.get(encrypted)
        if session is None:
            connector = aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=KEEP_OPEN_SECONDS,
                resolver=self._names,
                socket_factory=self._sockets(encrypted),
            )
            session = self._sessions[encrypted] = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "crm-calendar-bridge"},
                trust_env=False,
                auto_decompress=False,  # a small answer may unpack to a very large one
            )
        return session

    def _sockets(self, encrypted: bool) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
        def make(info: aiohttp.AddrInfoType) -> socket.socket:
            family, kind, protocol, _, address = info
            if not self._may_reach(ipaddress.ip_address(str(address[0]).partition("%")[0]), encrypted):
                raise NotAllowed
            return socket.socket(family, kind, protocol)

        return make
