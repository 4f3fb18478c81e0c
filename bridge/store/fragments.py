"""Fragments of CalDAV answers, one for each published item, joined by the database from the stored texts.

Radicale's answers are thousands of such fragments. Building them in SQL avoids a Python object for each item.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from enum import Enum

from bridge.domain.model import Interval
from bridge.store.db import Tx
from bridge.store.hrefs import by_href
from bridge.store.occurrences import TOUCHING
from bridge.store.users import OWNER

#: The iCalendar text without the escapes that it has in XML.
_PLAIN = "CASE WHEN escaped THEN replace(replace(replace(ics, '&lt;', '<'), '&gt;', '>'), '&amp;', '&') ELSE ics END"


class Field(Enum):
    """The parts of a fragment that differ from item to item."""

    HREF = "href"
    ETAG = "etag"
    #: The length of its text in bytes of UTF-8.
    LENGTH = f"length(CAST({_PLAIN} AS BLOB))"
    #: Its text, escaped for XML.
    TEXT = "ics"


#: The form of a fragment: constant texts, and fields between them.
Template = Sequence[str | Field]

#: How many fragments are held in memory at once.
_AT_ONCE = 500


def of_all(tx: Tx, user_id: str, template: Template) -> Iterator[bytes]:
    """The fragments of every item, many in each chunk; the item that changed last comes last."""
    return _pieces(tx, user_id, template, "ics IS NOT NULL", {})


def of_changed(tx: Tx, user_id: str, template: Template, *, since: int) -> Iterator[bytes]:
    """The fragments of the items that are new or changed after a revision."""
    return _pieces(tx, user_id, template, "revision > :since AND ics IS NOT NULL", {"since": since})


def of_removed(tx: Tx, user_id: str, template: Template, *, since: int) -> Iterator[bytes]:
    """The fragments of the items that were removed after a revision. Removed items have only an href."""
    return _pieces(tx, user_id, template, "revision > :since AND ics IS NULL", {"since": since})


def of_touching(tx: Tx, user_id: str, template: Template, span: Interval) -> Iterator[bytes]:
    """The fragments of the items with stored occurrences that touch a span."""
    expression, texts = _expression(template)
    return _joined(
        tx.execute(
            f"SELECT {expression} FROM published_items WHERE id IN ({TOUCHING})",
            {"user_id": user_id, "start": span.start, "end": span.end, **texts},
        )
    )


def of_named(tx: Tx, user_id: str, template: Template, hrefs: Sequence[str]) -> dict[str, bytes]:
    """The fragments of the items with these hrefs, by href. Hrefs that do not exist are left out."""
    expression, texts = _expression(template)
    query = f"SELECT href, {expression} FROM published_items WHERE owner = {OWNER} AND ics IS NOT NULL AND href IN"
    cursor = tx.cursor()
    cursor.row_factory = None
    return dict(by_href(cursor, query, user_id, hrefs, **texts))


def zones(tx: Tx, user_id: str) -> list[str]:
    """The VTIMEZONEs of each item, each distinct text once. Several texts may define the same zone."""
    rows = tx.execute(
        f"SELECT DISTINCT substr(ics, {_ZONE}, {_EVENT} - {_ZONE}) FROM ({_TEXTS})"
        f" WHERE {_ZONE} > 1 AND {_ZONE} < {_EVENT}",
        {"user_id": user_id, **_MARKS},
    )
    return [row[0] for row in rows]


def events(tx: Tx, user_id: str) -> Iterator[bytes]:
    """The VEVENTs of every item as they stand in its text, many items in each chunk."""
    return _joined(
        tx.execute(
            f"SELECT CAST(substr(ics, {_EVENT}, length(ics) - {_EVENT} + 1 - :end) AS BLOB) FROM ({_TEXTS})"
            " ORDER BY revision, id",
            {"user_id": user_id, "end": len("END:VCALENDAR\r\n"), **_MARKS},
        )
    )


_TEXTS = f"SELECT {_PLAIN} AS ics, revision, id FROM published_items WHERE owner = {OWNER} AND ics IS NOT NULL"
# The position of the first one, or 1 where there is none. Only at the start of a line: a description may mention it.
_ZONE = "(instr(ics, :zone) + 1)"
_EVENT = "(instr(ics, :event) + 1)"
_MARKS = {"zone": "\nBEGIN:VTIMEZONE", "event": "\nBEGIN:VEVENT"}


def _pieces(tx: Tx, user_id: str, template: Template, which: str, values: dict[str, object]) -> Iterator[bytes]:
    expression, texts = _expression(template)
    return _joined(
        tx.execute(
            # In this order, rows are mostly read in the order in which they lie on the disk.
            f"SELECT {expression} FROM published_items WHERE owner = {OWNER} AND {which} ORDER BY revision, id",
            {"user_id": user_id, **values, **texts},
        )
    )


def _joined(cursor: sqlite3.Cursor) -> Iterator[bytes]:
    cursor.row_factory = None
    while rows := cursor.fetchmany(_AT_ONCE):
        yield b"".join([piece for (piece,) in rows])


def _expression(template: Template) -> tuple[str, dict[str, str]]:
    """The template as an SQL expression, and its constant texts as parameters."""
    texts = {f"text{n}": part for n, part in enumerate(template) if isinstance(part, str)}
    parts = [part.value if isinstance(part, Field) else f":text{n}" for n, part in enumerate(template)]
    return f"CAST({' || '.join(parts) or repr('')} AS BLOB)", texts
