"""Answering for all items by Radicale's answer for one.

Radicale makes an ElementTree of each item it lists, and looks at each path several times, which is what its time goes
into. Here it is shown one sample item that is there, and one that is not; its own code then checks access, reads the
request and renders the answer, whatever was asked for. What it says of the samples is taken as a template for all.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from radicale.item import Item

from bridge.store.fragments import Field, Template

# Unguessable, so that nothing a client sends is taken for them; of characters that no encoding changes.
_KEY = secrets.token_hex(8)
PRESENT = f"present-{_KEY}"
ABSENT = f"absent-{_KEY}"
_ETAG = f"etag-{_KEY}"
_TEXT = f"text-{_KEY}"
_LENGTH = 10**17 + secrets.randbelow(10**16)

_FIELDS: dict[str, Field] = {
    PRESENT: Field.HREF,
    ABSENT: Field.HREF,
    _ETAG: Field.ETAG,
    _TEXT: Field.TEXT,
    str(_LENGTH): Field.LENGTH,
}
_FIELD = re.compile("|".join(map(re.escape, _FIELDS)))


class Measured(str):
    """A text in place of another one, of whose bytes Radicale only asks how many there are."""

    _size: int

    def __new__(cls, text: str, size: int) -> Measured:
        """`size` is the other one's."""
        made = super().__new__(cls, text)
        made._size = size
        return made

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> Any:
        """A stand-in for the other one's bytes."""
        return range(self._size)


class Sample(Item):  # type: ignore[misc] # Radicale is not typed for others
    """Stands for all items that are there."""

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
    """What Radicale says of one sample."""

    template: Template
    #: Of the one that is there.
    present: bool

    @property
    def has_text(self) -> bool:
        """Whether the calendar data is asked for."""
        return Field.TEXT in self.template


def take_apart(answer: bytes) -> Iterator[bytes | Piece]:
    """A multistatus as Radicale wrote it: what is said once, and what is said of the samples."""
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
