"""Answering for all items with Radicale's answer for one.

Most of Radicale's time is spent on building an ElementTree for each listed item, and on checking each path several
times. Here it is shown only one sample item that exists, and one that does not. Its own code then checks access,
interprets the request and renders the answer. The parts of the answer about the samples are the templates for all
items.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from radicale.item import Item

from bridge.store.fragments import Field, Template

# Random, so that a client can't send the same; made of characters that no encoding changes.
_KEY = secrets.token_hex(8)
PRESENT = f"present-{_KEY}"
ABSENT = f"absent-{_KEY}"
_ETAG = f"etag-{_KEY}"
_TEXT = f"text-{_KEY}"
_LENGTH = 10**17 + secrets.randbelow(10**16)

#: The most characters in a template, besides its fields. Clients ask for up to fifty properties.
_MOST_TEXT = 20_000

_FIELDS: dict[str, Field] = {
    PRESENT: Field.HREF,
    ABSENT: Field.HREF,
    _ETAG: Field.ETAG,
    _TEXT: Field.TEXT,
    str(_LENGTH): Field.LENGTH,
}
_FIELD = re.compile("|".join(map(re.escape, _FIELDS)))


class Measured(str):
    """A text that stands for another one, of which Radicale only needs the number of bytes."""

    _size: int

    def __new__(cls, text: str, size: int) -> Measured:
        """`size` is the number of bytes of the other text."""
        made = super().__new__(cls, text)
        made._size = size
        return made

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> Any:
        """An object with the length of the other text."""
        return range(self._size)


class Sample(Item):  # type: ignore[misc] # Radicale is not typed for others
    """The item that stands for all items that exist."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(
            href=PRESENT,
            text=Measured(_TEXT, _LENGTH),
            etag=_ETAG,
            uid=PRESENT,
            name="VCALENDAR",
            component_name="VEVENT",
            time_range=(0, 1),
            **facts,
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of an answer about one sample."""

    template: Template
    #: Of the one that is there.
    present: bool

    @property
    def has_text(self) -> bool:
        """Whether it contains calendar data."""
        return Field.TEXT in self.template

    def __len__(self) -> int:
        """The number of characters besides its fields."""
        return sum(len(part) for part in self.template if isinstance(part, str))

    @property
    def is_excessive(self) -> bool:
        """Whether nobody needs as much about one item: repeated for each, it would fill the disk."""
        return len(self) > _MOST_TEXT


def take_apart(answer: bytes) -> Iterator[bytes | Piece]:
    """Split a multistatus that Radicale wrote into the parts about the samples, and everything else."""
    at = 0
    for mark in sorted((answer.find(name.encode()), name) for name in (PRESENT, ABSENT)):
        found, name = mark
        if found < 0:
            continue
        start = answer.rindex(b"<response>", at, found)
        end = answer.index(b"</response>", found) + len(b"</response>")
        yield answer[at:start]
        yield Piece(_template(answer[start:end].decode()), name == PRESENT)
        at = end
    yield answer[at:]


def _template(text: str) -> Template:
    parts: list[str | Field] = []
    at = 0
    for found in _FIELD.finditer(text):
        parts += [text[at : found.start()], _FIELDS[found[0]]]
        at = found.end()
    return [*parts, text[at:]]
