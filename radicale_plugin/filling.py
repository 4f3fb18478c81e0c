"""Filling an answer in: the parts about the samples are replaced by parts about the items that were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
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
    pieces = {part.present: part.template for part in parts if isinstance(part, Piece)}
    absent = pieces.get(False, ())
    for part in parts:
        if isinstance(part, bytes):
            yield part
        elif not part.present:
            if asked.since is not None:
                yield from fragments.of_removed(tx, asked.head.user_id, part.template, since=asked.since)
            if True not in pieces:  # of an item that is there, nothing is asked
                yield from _named(tx, asked, (), absent)
        elif asked.expand is not None and part.has_text:
            yield from _written_out(tx, asked, part.template, absent, asked.expand, most=most)
        else:
            yield from _present(tx, asked, part.template, absent)


def _present(tx: Tx, asked: Asked, template: Template, absent: Template) -> Iterator[bytes]:
    """The items, and in place of those that were named and are not there, that they are not."""
    user_id = asked.head.user_id
    if asked.everything:
        yield from fragments.of_all(tx, user_id, template)
    if asked.since is not None:
        yield from fragments.of_changed(tx, user_id, template, since=asked.since)
    if asked.within is not None:
        yield from fragments.of_touching(tx, user_id, template, asked.within)
    yield from _named(tx, asked, template, absent)


def _named(tx: Tx, asked: Asked, template: Template, absent: Template) -> Iterator[bytes]:
    for some in _batches(chain(asked.names, asked.found)):
        there = fragments.of_named(tx, asked.head.user_id, template, some)
        missing = [_filled(absent, {Field.HREF: quote(name)}) for name in some if name not in there]
        yield b"".join(missing if asked.everything else [*there.values(), *missing])


def _written_out(
    tx: Tx, asked: Asked, template: Template, absent: Template, span: Interval, *, most: int
) -> Iterator[bytes]:
    """The items, expanded for the span. Items that were not named are left out if they have no occurrence in it."""
    user_id, time_zone = asked.head.user_id, asked.head.time_zone
    beyond = {item.href for item in published.unexpanded(tx, user_id, span)}
    names: Iterator[str] = chain(asked.names, asked.found)
    if asked.within is not None:
        names = chain(names, occurrences.touching(tx, user_id, asked.within))
    if asked.everything:
        first = dict.fromkeys([*asked.names, *asked.found, *beyond])
        others = occurrences.touching(tx, user_id, span)
        names = chain(first, (name for name in others if name not in first))
    written, effort = 0, Effort()
    for some in _batches(names):
        missing = asked.names.keys() & some
        stored = occurrences.of_items(tx, user_id, [name for name in some if name not in beyond], span)
        for item in published.get(tx, user_id, some):
            missing.discard(item.href)
            further = Expansion(item, span, time_zone, effort)
            times = further.times() if item.href in beyond else stored.get(item.href, ())
            text, count = expanded(item.ics, times, time_zone)
            written += count
            if written > most:
                raise TooMuch(f"more than {most} recurrences")
            if count or item.href in asked.names:
                yield _filled(template, _values(item, text))
        for name in missing:
            yield _filled(absent, {Field.HREF: quote(name)})


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def _values(item: PublishedItem, text: str) -> dict[Field, str]:
    return {
        Field.HREF: item.href,
        Field.ETAG: item.etag,
        Field.LENGTH: str(len(item.ics.encode())),
        Field.TEXT: escape(text),
    }


def _filled(template: Template, values: dict[Field, str]) -> bytes:
    return "".join(values[part] if isinstance(part, Field) else part for part in template).encode()
