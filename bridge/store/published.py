"""The contents of the merged calendars: PublishedItems, their occurrences, and tombstones of removed items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape, unescape

from bridge.domain.model import Interval, ItemKind, PublishedItem
from bridge.store.db import Row, Tx
from bridge.store.hrefs import by_href
from bridge.store.users import OWNER


class Head(NamedTuple):
    """The state of one User's merged calendar. It is part of the key of each request, so it has to be compared fast."""

    user_id: str
    name: str
    time_zone: str
    revision: int
    #: When the revision last rose, Unix seconds.
    changed_at: int
    #: Tombstones up to this revision have been deleted, so older sync-tokens can't be answered.
    tombstones_from: int
    #: Of the User, never given again: one who was removed and added anew counts revisions from the start.
    number: int
    store_id: str


#: The columns of a Head, and where they are, for statements that also ask for something else.
HEAD = "u.id, u.name, u.time_zone, u.revision, u.changed_at, u.tombstones_from, u.number, f.value"
OF_HEAD = "users u JOIN store_facts f ON f.name = 'store_id'"


def head(tx: Tx, user_id: str) -> Head | None:
    """The state of the User's merged calendar; None when there is no such User."""
    row = tx.execute(f"SELECT {HEAD} FROM {OF_HEAD} WHERE u.id = :id", {"id": user_id}).fetchone()
    return Head._make(row) if row else None


def apply(tx: Tx, user_id: str, *, put: Iterable[PublishedItem], remove: Iterable[str], now: int) -> int | None:
    """Put and remove items, at one new revision. Returns that revision, or None where no text changed.

    An item whose text is the same, but which was expanded for another span, gets its new occurrences without a new
    revision.
    """
    wanted = {item.href: item for item in put}
    gone = [href for href in dict.fromkeys(remove) if href not in wanted]
    known = {row["href"]: row for row in by_href(tx, _KNOWN, user_id, [*wanted, *gone])}
    changed = [i for i in wanted.values() if i.href not in known or known[i.href]["etag"] != i.etag]
    removed = [href for href in gone if href in known and known[href]["live"]]
    moved_on = [
        i
        for i in wanted.values()
        if i.href in known
        and known[i.href]["etag"] == i.etag
        and (known[i.href]["expanded_from"], known[i.href]["expanded_until"]) != _expanded(i)
    ]
    revision = None
    if changed or removed:
        revision = tx.execute(
            "UPDATE users SET revision = revision + 1, changed_at = :now WHERE id = :id RETURNING revision",
            {"id": user_id, "now": now},
        ).fetchone()["revision"]
    _put(tx, user_id, changed, revision, now)
    tx.executemany(
        "UPDATE published_items SET revision = :revision, changed_at = :now, etag = '', ics = NULL, escaped = 0,"
        f" expanded_from = NULL, expanded_until = NULL WHERE owner = {OWNER} AND href = :href",
        [{"user_id": user_id, "href": href, "revision": revision, "now": now} for href in removed],
    )
    _forget_occurrences(tx, [known[href]["id"] for href in (*removed, *(i.href for i in changed)) if href in known])
    _put_occurrences(tx, user_id, changed)
    _expand(tx, user_id, moved_on)
    return revision


def expand(tx: Tx, user_id: str, items: Iterable[PublishedItem]) -> None:
    """Replace the stored occurrences of items, without a new revision: clients see no difference.

    Items whose text has changed or that were removed meanwhile are left alone: that renewed their occurrences, too.
    """
    wanted = {item.href: item for item in items}
    known = by_href(tx, _KNOWN, user_id, wanted)
    _expand(tx, user_id, [wanted[row["href"]] for row in known if row["etag"] == wanted[row["href"]].etag])


def etags(tx: Tx, user_id: str, hrefs: Sequence[str]) -> dict[str, str]:
    """The ETags of these items, by href. Items that do not exist are left out."""
    return {row["href"]: row["etag"] for row in by_href(tx, _KNOWN, user_id, hrefs) if row["live"]}


def prune(tx: Tx, *, before: int) -> None:
    """Delete tombstones from before an instant. Clients that have not synchronised since then have to start anew."""
    rows = tx.execute(
        "DELETE FROM published_items WHERE ics IS NULL AND changed_at < :before RETURNING owner, revision",
        {"before": before},
    ).fetchall()
    newest: dict[int, int] = {}
    for row in rows:
        newest[row["owner"]] = max(row["revision"], newest.get(row["owner"], 0))
    tx.executemany(
        "UPDATE users SET tombstones_from = :revision WHERE number = :owner AND tombstones_from < :revision",
        [{"owner": owner, "revision": revision} for owner, revision in newest.items()],
    )


def least_expanded(tx: Tx, *, before: int, limit: int) -> dict[str, list[PublishedItem]]:
    """Items that have occurrences after the stored ones, where these end before `before`, by User, oldest first."""
    rows = tx.execute(
        f"SELECT u.id AS user_id, {_ITEM} FROM published_items JOIN users u ON u.number = owner"
        " WHERE expanded_until < :before AND (last_end IS NULL OR last_end > expanded_until)"
        " ORDER BY expanded_until LIMIT :limit",
        {"before": before, "limit": limit},
    )
    found: dict[str, list[PublishedItem]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(_item(row))
    return found


def changed_since(tx: Tx, user_id: str, revision: int) -> list[str]:
    """The hrefs of the items that changed or were removed after a revision."""
    rows = tx.execute(
        f"SELECT href FROM published_items WHERE owner = {OWNER} AND revision > :revision ORDER BY revision, href",
        {"user_id": user_id, "revision": revision},
    )
    return [row["href"] for row in rows]


def all_items(tx: Tx, user_id: str) -> Iterator[PublishedItem]:
    """Every item, by href. Rows are read as they are consumed, since there may be many."""
    rows = tx.execute(
        f"SELECT {_ITEM} FROM published_items WHERE owner = {OWNER} AND ics IS NOT NULL ORDER BY href",
        {"user_id": user_id},
    )
    return map(_item, rows)


def all_hrefs(tx: Tx, user_id: str) -> list[str]:
    """The href of every item."""
    rows = tx.execute(
        f"SELECT href FROM published_items WHERE owner = {OWNER} AND ics IS NOT NULL ORDER BY href",
        {"user_id": user_id},
    )
    return [row["href"] for row in rows]


def get(tx: Tx, user_id: str, hrefs: Iterable[str]) -> list[PublishedItem]:
    """The items with these hrefs, in no particular order. Hrefs that do not exist are left out."""
    query = f"SELECT {_ITEM} FROM published_items WHERE owner = {OWNER} AND ics IS NOT NULL AND href IN"
    return [_item(row) for row in by_href(tx, query, user_id, hrefs)]


def changed_at(tx: Tx, user_id: str, hrefs: Sequence[str]) -> dict[str, int]:
    """When each of these items last changed, Unix seconds."""
    query = f"SELECT href, changed_at FROM published_items WHERE owner = {OWNER} AND href IN"
    return {row["href"]: row["changed_at"] for row in by_href(tx, query, user_id, hrefs)}


def hrefs_with_prefix(tx: Tx, user_id: str, prefix: str) -> list[str]:
    """The hrefs of the items whose href begins with `prefix`, which must not be empty."""
    rows = tx.execute(
        f"SELECT href FROM published_items WHERE owner = {OWNER} AND href >= :low AND href < :high AND ics IS NOT NULL",
        {"user_id": user_id, "low": prefix, "high": prefix[:-1] + chr(ord(prefix[-1]) + 1)},
    )
    return [row["href"] for row in rows]


def with_uid_like(tx: Tx, user_id: str, text: str) -> Iterator[PublishedItem]:
    """The items whose UID contains `text`, without regard to case."""
    pattern = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = tx.execute(
        f"SELECT {_ITEM} FROM published_items WHERE owner = {OWNER} AND ics IS NOT NULL"
        " AND lower(substr(href, 1, length(href) - 4)) LIKE :pattern ESCAPE '\\' ORDER BY href",
        {"user_id": user_id, "pattern": f"%{pattern}%"},
    )
    return map(_item, rows)


def unexpanded(tx: Tx, user_id: str, span: Interval) -> list[PublishedItem]:
    """The items that may have occurrences in the span that are not stored: they were not expanded for all of it."""
    rows = tx.execute(
        f"SELECT {_ITEM} FROM published_items WHERE owner = {OWNER} AND expanded_until IS NOT NULL"
        " AND (expanded_until < :end OR expanded_from > :start)"
        " AND first_start < :end AND (last_end IS NULL OR last_end > :start)",
        {"user_id": user_id, "start": span.start, "end": span.end},
    )
    return [_item(row) for row in rows]


_KNOWN = (
    "SELECT id, href, etag, ics IS NOT NULL AS live, expanded_from, expanded_until FROM published_items"
    f" WHERE owner = {OWNER} AND href IN"
)
_ITEM = "href, etag, ics, escaped, first_start, last_end, kind, source_id, expanded_from, expanded_until"


def _item(row: Row) -> PublishedItem:
    expanded = None if row["expanded_from"] is None else Interval(row["expanded_from"], row["expanded_until"])
    return PublishedItem(
        href=row["href"],
        etag=row["etag"],
        ics=unescape(row["ics"]) if row["escaped"] else row["ics"],
        first_start=row["first_start"],
        last_end=row["last_end"],
        kind=ItemKind(row["kind"]),
        source_id=row["source_id"],
        expanded=expanded,
    )


def _expanded(item: PublishedItem) -> tuple[int | None, int | None]:
    return (None, None) if item.expanded is None else (item.expanded.start, item.expanded.end)


def _put(tx: Tx, user_id: str, items: Iterable[PublishedItem], revision: int | None, now: int) -> None:
    tx.executemany(
        "INSERT INTO published_items (owner, href, revision, changed_at, etag, ics, escaped,"
        " first_start, last_end, kind, source_id, expanded_from, expanded_until)"
        f" VALUES ({OWNER}, :href, :revision, :now, :etag, :ics, :escaped, :first_start, :last_end, :kind,"
        " :source_id, :from_, :until) ON CONFLICT (owner, href) DO UPDATE SET"
        " revision = excluded.revision, changed_at = excluded.changed_at, etag = excluded.etag, ics = excluded.ics,"
        " escaped = excluded.escaped, first_start = excluded.first_start,"
        " last_end = excluded.last_end, kind = excluded.kind, source_id = excluded.source_id,"
        " expanded_from = excluded.expanded_from, expanded_until = excluded.expanded_until",
        [
            {
                "user_id": user_id,
                "href": i.href,
                "revision": revision,
                "now": now,
                "etag": i.etag,
                "ics": (text := escape(i.ics)),
                "escaped": text != i.ics,
                "first_start": i.first_start,
                "last_end": i.last_end,
                "kind": i.kind,
                "source_id": i.source_id,
                "from_": _expanded(i)[0],
                "until": _expanded(i)[1],
            }
            for i in items
        ],
    )


def _expand(tx: Tx, user_id: str, items: Sequence[PublishedItem]) -> None:
    _forget_occurrences(tx, _ids(tx, user_id, items).values())
    _put_occurrences(tx, user_id, items)
    tx.executemany(
        "UPDATE published_items SET expanded_from = :from_, expanded_until = :until, first_start = :first_start,"
        f" last_end = :last_end WHERE owner = {OWNER} AND href = :href",
        [
            {
                "user_id": user_id,
                "href": i.href,
                "from_": _expanded(i)[0],
                "until": _expanded(i)[1],
                "first_start": i.first_start,
                "last_end": i.last_end,
            }
            for i in items
        ],
    )


def _forget_occurrences(tx: Tx, ids: Iterable[int]) -> None:
    tx.executemany("DELETE FROM occurrences WHERE item = :item", [{"item": item} for item in ids])


def _put_occurrences(tx: Tx, user_id: str, items: Sequence[PublishedItem]) -> None:
    if not items:
        return
    ids = _ids(tx, user_id, items)
    owner = tx.execute("SELECT number FROM users WHERE id = :id", {"id": user_id}).fetchone()["number"]
    tx.executemany(
        "INSERT INTO occurrences (item, owner, start_at, end_at, all_day) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        ((ids[i.href], owner, o.start, o.end, o.all_day) for i in items for o in i.occurrences),
    )


def _ids(tx: Tx, user_id: str, items: Iterable[PublishedItem]) -> dict[str, int]:
    query = f"SELECT href, id FROM published_items WHERE owner = {OWNER} AND href IN"
    return {row["href"]: row["id"] for row in by_href(tx, query, user_id, (item.href for item in items))}
