"""Reusing answers for requests that are repeated word for word.

Clients ask for changes all day, always in the same words, and fetch what changed in words that differ only in the names
of items. Radicale's answer to a PROPFIND or a REPORT depends on the User, on a few parts of the request, and on the
revision of the calendar. Where all of these are the same, so is the answer. User and revision are looked up for each
request, by one statement: a revoked password, or a change, has an effect from the next request on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from radicale_plugin.asked import Asked
from radicale_plugin.body import Spooled, assemble
from radicale_plugin.cache import LONGEST, Cache
from radicale_plugin.expansion import TooMuch
from radicale_plugin.filling import filled
from radicale_plugin.request_key import KeyedRequest
from radicale_plugin.sample import Piece
from radicale_plugin.storage import Storage

#: An answer as the server sends it: status, headers, body.
Final = tuple[str, list[tuple[str, str]], bytes | Spooled]


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """Radicale's answer about the samples, in parts, and what was asked for."""

    asked: Asked
    parts: Sequence[bytes | Piece]
    gzip: bool


@dataclass(frozen=True, slots=True)
class _Form:
    """An answer to a multiget without the parts about its items."""

    status: str
    headers: list[tuple[str, str]]
    sample: SampleAnswer


class AnswerCache:
    """The latest answers. It can be shared between threads."""

    def __init__(self, most: int) -> None:
        """At most `most` recurrences are expanded in one answer."""
        self._most = most
        self._kept: Cache[Final | _Form] = Cache()

    def answer(self, request: KeyedRequest, storage: Storage) -> Final | None:
        """The answer to a request, if it follows from an earlier one; else None."""
        kept = self._kept.get(request.key)
        if not isinstance(kept, _Form):
            return kept
        sample = kept.sample
        asked = replace(sample.asked, names=dict.fromkeys(request.names))
        with storage.snapshot() as tx:
            if storage.head(request.head.user_id) != request.head:
                return None
            try:
                body, compressed = assemble(filled(tx, asked, sample.parts, most=self._most), gzip=sample.gzip)
            except TooMuch:
                return None
        encoding = [("Content-Encoding", "gzip")] if compressed else []
        return kept.status, [*kept.headers, *encoding, ("Content-Length", str(len(body)))], body

    def keep(self, request: KeyedRequest, sample: SampleAnswer, answer: Final) -> Final:
        """Keep an answer that is valid until the calendar changes. Returns the answer to send."""
        status, headers, body = answer
        asked = sample.asked
        if asked.head != request.head:  # the calendar has changed since the login
            return answer
        if request.names:
            if asked.only_names and tuple(asked.names) == request.names:
                lasting = [one for one in headers if one[0] not in {"Content-Encoding", "Content-Length"}]
                form = _Form(status, lasting, replace(sample, asked=replace(asked, names={})))
                self._kept.put(request.key, form, request.key_size + sum(map(len, sample.parts)))
        elif asked.lasts and len(body) <= LONGEST:
            answer = status, headers, body if isinstance(body, bytes) else b"".join(body)
            self._kept.put(request.key, answer, request.key_size + len(body))
        return answer
