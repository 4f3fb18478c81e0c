"""When published items take time: their stored occurrences, looked up by span.

`published` stores the occurrences of an item together with the item.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from bridge.domain.model import Interval, ItemKind
from bridge.store.db import Tx
from bridge.store.hrefs import HREFS, as_list, by_href
from bridge.store.users import OWNER

#: Occurrences longer than this many seconds have an index of their own, whose definition contains the same number.
LONG = 172_800

# What touches a span is found by two indexes: short occurrences begin in the span or shortly before it, and long ones
# are few. With a single index by start or by end, SQLite would walk through everything before or after the span.
_NOT_BEFORE = "(o.end_at > :start OR (o.end_at = o.start_at AND o.start_at = :start))"
_SHORT = f"o.owner = {OWNER} AND o.start_at >= :start - {LONG} AND o.start_at < :end AND {_NOT_BEFORE}"
_LONG = (
    f"o.owner = {OWNER} AND o.end_at > :start AND o.start_at < :start - {LONG} AND o.start_at < :end"
    f" AND o.end_at - o.start_at > {LONG}"
)

#: Selects the ids of the items of `user_id` that have occurrences between `start` and `end`.
TOUCHING = f"SELECT o.item FROM occurrences o WHERE {_SHORT} UNION SELECT o.item FROM occurrences o WHERE {_LONG}"
_ITS_ITEM = "JOIN published_items p ON p.id = o.item"


def of_items(tx: Tx, user_id: str, hrefs: Sequence[str], span: Interval) -> dict[str, list[Interval]]:
    """The stored occurrences of these items that touch the span, by href.

    An occurrence without length touches a span that begins at the same instant (RFC 4791 section 9.9).
    """
    query = (
        "SELECT p.href, o.start_at, o.end_at FROM published_items p JOIN occurrences o ON o.item = p.id"
        f" WHERE o.start_at < :end AND {_NOT_BEFORE} AND p.owner = {OWNER} AND p.href IN"
    )
    cursor = tx.cursor()
    cursor.row_factory = None
    found: dict[str, list[Interval]] = {}
    for href, start, end in by_href(cursor, query, user_id, hrefs, start=span.start, end=span.end):
        found.setdefault(href, []).append(Interval(start, end))
    return found


def touching(tx: Tx, user_id: str, span: Interval) -> Iterator[str]:
    """The hrefs of the items with stored occurrences that touch the span, as in `of_items`.

    Rows are read as they are consumed, since a span of years may have many.
    """
    cursor = tx.cursor()
    cursor.row_factory = None
    rows = cursor.execute(
        f"SELECT href FROM published_items WHERE id IN ({TOUCHING})",
        {"user_id": user_id, "start": span.start, "end": span.end},
    )
    return (href for (href,) in rows)


@dataclass(frozen=True, slots=True)
class Busy:
    """One stretch of busy time, and the item that it comes from. Unix seconds, UTC."""

    start: int
    end: int
    all_day: bool
    href: str
    kind: ItemKind
    source_id: str


def busy(tx: Tx, user_id: str, span: Interval) -> list[Busy]:
    """The stored occurrences that take time within the span, ordered by start."""
    columns = f"SELECT o.start_at, o.end_at, o.all_day, p.href, p.kind, p.source_id FROM occurrences o {_ITS_ITEM}"
    rows = tx.execute(
        f"{columns} WHERE {_SHORT} AND o.end_at > :start UNION ALL {columns} WHERE {_LONG} ORDER BY 1, 2, 4",
        {"user_id": user_id, "start": span.start, "end": span.end},
    )
    return [
        Busy(r["start_at"], r["end_at"], bool(r["all_day"]), r["href"], ItemKind(r["kind"]), r["source_id"])
        for r in rows
    ]


def taken(tx: Tx, user_id: str, span: Interval, *, leave_out: Collection[str] = ()) -> Iterator[tuple[int, int]]:
    """The stored occurrences that take time within the span, as (start, end), without those of items to `leave_out`.

    Of several with the same start only the longest is returned. This is the fast form of `busy`, for free slots; rows
    are read as they are consumed, since a span of years may have many.
    """
    others = f" AND o.item NOT IN (SELECT id FROM published_items WHERE owner = {OWNER} AND href IN {HREFS})"
    only = others if leave_out else ""
    columns = "SELECT o.start_at, MAX(o.end_at) FROM occurrences o"
    cursor = tx.cursor()
    cursor.row_factory = None
    return cursor.execute(
        f"{columns} WHERE {_SHORT} AND o.end_at > :start{only} GROUP BY o.start_at"
        # Not grouped: SQLite would then search these few by start, among all occurrences that begin earlier.
        f" UNION ALL SELECT o.start_at, o.end_at FROM occurrences o WHERE {_LONG}{only}",
        {"user_id": user_id, "start": span.start, "end": span.end, "hrefs": as_list(leave_out)},
    )
