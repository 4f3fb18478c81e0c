"""Answers to requests that came before, in the same words.

Thousands of phones ask "anything new?" all day, always in the same words, and fetch what is new in the same words but
for the names. What Radicale decides about a PROPFIND or a REPORT follows from who asks, from a few parts of the
request, and from where the calendar stands. So where all of that is as it was when Radicale answered last, its answer
is, too. Who asks and where the calendar stands is looked up anew each time, in one snapshot: a password that was
revoked, or a change, counts from the next request on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.store.db import Tx
from radicale_plugin.asked import Asked
from radicale_plugin.body import Spooled, assemble
from radicale_plugin.cache import LONGEST, Cache
from radicale_plugin.expansion import TooMuch
from radicale_plugin.filling import filled
from radicale_plugin.question import Question
from radicale_plugin.sample import Piece

#: What a form takes at most, but for what it leaves out: in bytes.
_FORM = 5_000

#: As it goes to the server: status, headers, body.
Final = tuple[str, list[tuple[str, str]], bytes | Spooled]


@dataclass(frozen=True, slots=True)
class Told:
    """What Radicale said of the samples, and for what."""

    asked: Asked
    parts: Sequence[bytes | Piece]
    gzip: bool


@dataclass(frozen=True, slots=True)
class _Form:
    """An answer without what it says of the items that are named."""

    status: str
    headers: list[tuple[str, str]]
    told: Told


class Repeats:
    """The answers given last. Safe to share between threads."""

    def __init__(self, most: int) -> None:
        """`most` recurrences are written out in one answer."""
        self._most = most
        self._kept: Cache[Final | _Form] = Cache()

    def answer(self, tx: Tx, question: Question) -> Final | None:
        """The answer, if it follows from one that was given before."""
        kept = self._kept.get(question.key)
        if not isinstance(kept, _Form):
            return kept
        told = kept.told
        asked = replace(told.asked, names=dict.fromkeys(question.names))
        try:
            body, compressed = assemble(filled(tx, asked, told.parts, most=self._most), gzip=told.gzip)
        except TooMuch:
            return None
        encoding = [("Content-Encoding", "gzip")] if compressed else []
        return kept.status, [*kept.headers, *encoding, ("Content-Length", str(len(body)))], body

    def keep(self, question: Question, told: Told, answer: Final) -> Final:
        """Keep an answer that holds until the calendar changes. Returns it, to be used in its place."""
        status, headers, body = answer
        asked = told.asked
        if question.names:
            if asked.only_names and tuple(asked.names) == question.names:
                lasting = [one for one in headers if one[0] not in {"Content-Encoding", "Content-Length"}]
                form = _Form(status, lasting, replace(told, asked=replace(asked, names={})))
                self._kept.put(question.key, form, _FORM)
        elif asked.lasts and len(body) <= LONGEST:
            answer = status, headers, body if isinstance(body, bytes) else b"".join(body)
            self._kept.put(question.key, answer, len(body))
        return answer
