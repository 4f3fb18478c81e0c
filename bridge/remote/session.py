"""The HTTP under the CalDAV client: credentials, redirects, budget, and the one place that names HTTP errors."""

from __future__ import annotations

import email.utils
import time
from typing import Any
from urllib.parse import urljoin

import niquests
from aiolimiter import AsyncLimiter
from lxml import etree
from niquests.exceptions import ChunkedEncodingError, ContentDecodingError, RequestException, SSLError, Timeout

from bridge.errors import BadAnswer, Forbidden, RemoteError, ServerFault, Throttled, Unauthorized, Unreachable
from bridge.remote.policy import ProviderPolicy, without_query

#: Methods that may be sent again without harm when a pooled connection turns out to have been closed by the server.
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"})
MAX_REDIRECTS = 5
#: A longer answer is no calendar's.
MAX_BODY = 64 * 1024 * 1024


class Session(niquests.AsyncSession):
    """Sends requests where the policy lets credentials go, and nowhere else."""

    def __init__(self, policy: ProviderPolicy) -> None:
        super().__init__()
        self._policy = policy
        self._budget = AsyncLimiter(policy.requests_per_minute, 60)

    async def request(self, method: str, url: str, **options: Any) -> niquests.Response:  # type: ignore[override]
        """One request, redirects followed. Raises the errors named in `bridge.remote.base`.

        404, 405, 409, 412 and the other 4xx are answers, for the caller to read.
        """
        options = {**options, "allow_redirects": False, "timeout": self._policy.timeout}
        options["verify"] = self._policy.ca_file or True
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._send(method, self._policy.check(url), options)
            location = response.headers.get("Location")
            followed = {301, 302, 307, 308} if method in SAFE else {307, 308}
            if response.status_code not in followed or not location:
                return _named(response, url)
            url = urljoin(url, location)
        raise BadAnswer(without_query(url), "too many redirects")

    async def _send(self, method: str, url: str, options: dict[str, Any]) -> niquests.Response:
        attempts = 2 if method in SAFE else 1
        shown = without_query(url)
        while True:
            attempts -= 1
            async with self._budget:
                try:
                    response: niquests.Response = await super().request(method, url, **options)
                except Timeout as error:
                    raise Unreachable(shown, "no answer in time") from error
                except SSLError as error:
                    raise Unreachable(shown, "the server's certificate could not be verified") from error
                except (ChunkedEncodingError, ContentDecodingError) as error:
                    raise BadAnswer(shown, "the answer broke off") from error
                except RequestException as error:
                    # Idle connections get closed by the server without a word; then a fresh one serves.
                    if attempts == 0:
                        raise Unreachable(shown, type(error).__name__) from error
                else:
                    return response


def _named(response: niquests.Response, url: str) -> niquests.Response:
    shown = without_query(url)
    status = int(response.status_code or 0)
    if len(response.content or b"") > MAX_BODY:
        raise BadAnswer(shown, "the answer is far too long")
    if status == 401:
        raise Unauthorized(shown)
    if status == 403:
        raise Forbidden(shown, precondition(response.content))
    if status in {429, 503}:
        raise Throttled(shown, f"status {status}", retry_after=_retry_after(response.headers.get("Retry-After")))
    if status >= 500 and status not in {501, 507}:  # these are answers: "not here", and "there is more"
        raise ServerFault(shown, f"status {status}")
    return response


def precondition(body: bytes | None) -> str:
    """The name of the precondition in a DAV:error body (RFC 4918 section 16), or an empty text."""
    try:
        root = parse(body or b"", "")
    except RemoteError:
        return ""
    return etree.QName(root[0]).localname if root.tag == "{DAV:}error" and len(root) else ""


def parse(body: bytes, url: str) -> etree._Element:
    """An XML body, without entities or outside help. Raises `BadAnswer`."""
    try:
        return etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True))
    except etree.XMLSyntaxError as error:
        raise BadAnswer(url, "the answer is not well-formed XML") from error


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number or a date (RFC 9110 section 10.2.3)."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
