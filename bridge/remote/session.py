"""HTTP for the CalDAV client: credentials, redirects, request budget; the one place that maps HTTP errors."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import niquests
from aiolimiter import AsyncLimiter
from lxml import etree
from niquests.auth import AsyncHTTPDigestAuth, HTTPBasicAuth
from niquests.exceptions import (
    ChunkedEncodingError,
    ContentDecodingError,
    RequestException,
    SSLError,
    Timeout,
)
from niquests.structures import CaseInsensitiveDict

from bridge.errors import BadAnswer, Forbidden, NoAnswer, ServerFault, Throttled, Unauthorized, Unreachable
from bridge.remote import retry_after
from bridge.remote.multistatus import Listing, precondition
from bridge.remote.policy import ProviderPolicy, without_query

#: Methods that are safe to send again when the server has closed the connection before it answered.
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"})
MAX_REDIRECTS = 5
#: Answers longer than this are refused.
MAX_BODY = 64 * 1024 * 1024
#: A complete answer may take this many times as long as a server may send nothing.
PATIENCE = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end: what the caldav library reads of one, and `url`, where it came from.

    The library keeps of it the headers only, so `Content-Location` there says the same as `url`.
    """

    url: str
    status_code: int
    reason: str
    headers: Mapping[str, str]
    content: bytes
    content_type: str
    #: The members of a multistatus that was parsed while it arrived, if that was asked for; `content` is then empty.
    listing: Listing | None = None

    @property
    def text(self) -> str:
        """The body, for the library's log."""
        return self.content.decode("utf-8", errors="replace")


class Session:
    """Sends requests with one login's credentials, only to addresses that the policy allows."""

    def __init__(self, policy: ProviderPolicy, username: str, password: str) -> None:
        self._policy = policy
        # Credentials are sent with the first request, without waiting for a challenge.
        self._auth: HTTPBasicAuth | AsyncHTTPDigestAuth = HTTPBasicAuth(username.encode(), password.encode())
        self._digest = AsyncHTTPDigestAuth(username, password)
        self._budget = AsyncLimiter(policy.requests_per_minute, 60)
        # Without HTTP/3, and without asking certificate authorities about revocations: many firewalls drop the packets
        # of both silently.
        self._http = niquests.AsyncSession(disable_http3=True, revocation_configuration=None)

    async def request(self, method: str, url: str, *, listing: bool = False, **options: Any) -> Answer:
        """One request, redirects followed. Raises the errors named in `bridge.remote.base`.

        404, 405, 409, 412 and the other 4xx are answers, for the caller to read. With `listing`, a multistatus is read
        as a `Listing`, however long it is.
        """
        for _ in range(MAX_REDIRECTS + 1):
            url = self._policy.check(url)
            answer = await self._send(method, url, options.get("headers"), options.get("data"), listing=listing)
            if self._auth is not self._digest and _takes_digest_alone(answer):
                self._auth = self._digest
                answer = await self._send(method, url, options.get("headers"), options.get("data"), listing=listing)
            location = answer.headers.get("Location")
            if answer.status_code not in {301, 302, 307, 308} or not location:
                return _named(answer)
            url = _next(method, url, location)
        raise BadAnswer(without_query(url), "too many redirects")

    async def close(self) -> None:
        """Give up connections."""
        await self._http.close()

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str] | None, data: bytes | None, *, listing: bool
    ) -> Answer:
        attempts = 2 if method in SAFE else 1
        shown = without_query(url)
        while True:
            attempts -= 1
            async with self._budget:
                try:
                    async with asyncio.timeout(self._policy.timeout * PATIENCE):
                        return await self._exchange(method, url, headers, data, listing=listing)
                except (Timeout, TimeoutError) as error:
                    raise Unreachable(shown, "no answer in time", NoAnswer.TIMEOUT) from error
                except SSLError as error:
                    raise Unreachable(shown, _tls_trouble(error), NoAnswer.UNTRUSTED) from error
                except (ChunkedEncodingError, ContentDecodingError) as error:
                    raise BadAnswer(shown, "the answer broke off") from error
                except ValueError as error:
                    raise BadAnswer(shown, "the server named an address that is none") from error
                except (RequestException, OSError) as error:
                    # The server may have closed an idle connection: try again with a new one.
                    if attempts == 0:
                        why = _why(error)
                        raise Unreachable(shown, _DETAILS.get(why, type(error).__name__), why) from error

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str] | None, data: bytes | None, *, listing: bool
    ) -> Answer:
        response = await self._http.request(
            method,
            url,
            headers={**(headers or {}), "User-Agent": "crm-calendar-bridge"},
            data=data,
            auth=self._auth,
            allow_redirects=False,
            timeout=self._policy.timeout,
            verify=self._policy.ca_file or True,
            stream=True,
        )
        body = bytearray()
        listed = Listing(url) if listing and response.status_code == 207 else None
        length = 0
        try:
            async for chunk in await response.iter_content(64 * 1024):
                length += len(chunk)
                if length > MAX_BODY:
                    raise BadAnswer(without_query(url), "the answer is far too long")
                if listed is not None:
                    listed.feed(chunk)
                else:
                    body += chunk
            if listed is not None:
                listed.close()
        finally:
            await response.close()
        content_type = response.headers.get("Content-Type", "")
        # The library logs bodies that are not XML, unless it is told that no XML is expected (and parses them anyway).
        quiet = CaseInsensitiveDict(
            {**response.headers, "Content-Type": "application/octet-stream", "Content-Location": url}
        )
        status, reason = int(response.status_code or 0), response.reason or ""
        return Answer(url, status, reason, quiet, bytes(body), str(content_type), listed)


_DETAILS = {
    NoAnswer.UNKNOWN_HOST: "there is no host of that name",
    NoAnswer.NOT_LISTENING: "nothing listens there",
}


def _why(error: BaseException) -> NoAnswer:
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return NoAnswer.UNKNOWN_HOST
        if isinstance(cause, ConnectionRefusedError):
            return NoAnswer.NOT_LISTENING
    return NoAnswer.BROKEN


def _tls_trouble(error: BaseException) -> str:
    found = (cause for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError))
    cause = next(found, None)
    if cause is None:
        return "no encrypted connection could be made"
    return f"the server's certificate could not be verified: {cause.verify_message}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _next(method: str, url: str, location: str) -> str:
    """The target of a redirect. A redirected write must keep the name of the object, and not lead to a collection."""
    try:
        target = urljoin(url, location)
        same = urlsplit(target).path.rpartition("/")[2] == urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        raise BadAnswer(without_query(url), "a redirect to an address that is none") from None
    if method not in SAFE and not same:
        raise BadAnswer(without_query(url), "a redirect to something else")
    return target


def _takes_digest_alone(answer: Answer) -> bool:
    """Whether a server refused because it accepts only Digest authentication, which is Baïkal's default."""
    schemes = re.findall(r"(?:^|,)\s*(basic|digest)\s", answer.headers.get("WWW-Authenticate", ""), re.IGNORECASE)
    return answer.status_code == 401 and {scheme.lower() for scheme in schemes} == {"digest"}


def _named(answer: Answer) -> Answer:
    shown = without_query(answer.url)
    status = answer.status_code
    if status == 401:
        raise Unauthorized(shown)
    if status == 403:
        raise Forbidden(shown, _precondition(answer.content))
    if status in {429, 503}:
        raise Throttled(shown, f"status {status}", retry_after=retry_after.seconds(answer.headers.get("Retry-After")))
    if status >= 500 and status not in {501, 507}:  # these two are answers: "not supported here", and "there is more"
        raise ServerFault(shown, f"status {status}")
    return answer


def _precondition(body: bytes) -> str:
    try:
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    except (etree.XMLSyntaxError, ValueError):
        return ""  # an HTML page
    return precondition(root)
