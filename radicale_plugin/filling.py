"""Filling an answer in: the parts about the samples are replaced by parts about the items that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape

from bridge.domain.model import Interval, PublishedItem
from bridge.store import fragments, occurrences, published
from bridge.store.db import Tx
from bridge.store.fragments import Field, Template
from radicale_plugin.asked import Asked
from radicale_plugin.expansion import Effort, Expansion, TooMuch, expanded
from radicale_plugin.sample import Piece

#: How many items are read at a time.
_AT_ONCE = 500


def filled(tx: Tx, asked: Asked, parts: Sequence[bytes | Piece], *, most: int) -> Iterator[bytes]:
    """The answer with these parts, in which a piece for each item replaces the samples.

    Raises `TooMuch` where more than `most` recurrences would have to be written out.
    """
    present = next((part.template for part in parts if isinstance(part, Piece) and part.present), ())
    named = fragments.of_named(tx, asked.head.user_id, present, list(asked.names)) if asked.names else {}
    for part in parts:
        if isinstance(part, bytes):
            yield part
        elif not part.present:
            yield from _absent(tx, asked, part.template, named)
        elif asked.expand is not None and part.has_text:
            yield from _written_out(tx, asked, part.template, asked.expand, most)
        else:
            yield from _present(tx, asked, part.template, named)


def _absent(tx: Tx, asked: Asked, template: Template, named: dict[str, bytes]) -> Iterator[bytes]:
    if asked.since is not None:
        yield from fragments.of_removed(tx, asked.head.user_id, template, since=asked.since)
    for name in asked.names:
        if name not in named:
            yield _filled(template, {Field.HREF: quote(name)})


def _present(tx: Tx, asked: Asked, template: Template, named: dict[str, bytes]) -> Iterator[bytes]:
    user_id = asked.head.user_id
    if asked.everything:
        yield from fragments.of_all(tx, user_id, template)
        return
    if asked.since is not None:
        yield from fragments.of_changed(tx, user_id, template, since=asked.since)
    if asked.within is not None:
        yield from fragments.of_touching(tx, user_id, template, asked.within)
    yield b"".join([named[name] for name in asked.names if name in named])
    for first in range(0, len(asked.found), _AT_ONCE):
        yield from fragments.of_named(tx, user_id, template, asked.found[first : first + _AT_ONCE]).values()


def _written_out(tx: Tx, asked: Asked, template: Template, span: Interval, most: int) -> Iterator[bytes]:
    """The items, expanded for the span. Items that were not named are left out if they have no occurrence in it."""
    user_id, time_zone = asked.head.user_id, asked.head.time_zone
    beyond = {item.href for item in published.unexpanded(tx, user_id, span)}
    names = [*asked.names, *asked.found]
    if asked.within is not None:
        names += occurrences.touching(tx, user_id, asked.within)
    if asked.everything:
        names += dict.fromkeys([*occurrences.touching(tx, user_id, span), *beyond])
    written, effort = 0, Effort()
    for first in range(0, len(names), _AT_ONCE):
        some = names[first : first + _AT_ONCE]
        stored = occurrences.of_items(tx, user_id, [name for name in some if name not in beyond], span)
        for item in published.get(tx, user_id, some):
            further = Expansion(item, span, time_zone, effort)
            times = further.times() if item.href in beyond else stored.get(item.href, ())
            text, count = expanded(item.ics, times, time_zone)
            written += count
            if written > most:
                raise TooMuch(f"more than {most} recurrences")
            if count or item.href in asked.names:
                yield _filled(template, _values(item, text))


def _values(item: PublishedItem, text: str) -> dict[Field, str]:
    return {
        Field.HREF: item.href,
        Field.ETAG: item.etag,
        Field.LENGTH: str(len(item.ics.encode())),
        Field.TEXT: escape(text),
    }


def _filled(template: Template, values: dict[Field, str]) -> bytes:
    return "".join(values[part] if isinstance(part, Field) else part for part in template).encode()
