"""MirrorItems, which are our copies of remote objects; and a record of mirror runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bridge.domain.model import MirrorItem
from bridge.store.db import Tx
from bridge.store.hrefs import HREFS, as_list
from bridge.store.users import OWNER


def etags(tx: Tx, calendar_id: str) -> dict[str, str]:
    """The etag of every object that we hold of a Calendar, by href."""
    rows = tx.execute("SELECT href, etag FROM mirror_items WHERE calendar_id = :id", {"id": calendar_id})
    return {row["href"]: row["etag"] for row in rows}


def etags_of(tx: Tx, calendar_id: str, hrefs: Iterable[str]) -> dict[str, str]:
    """The etags of those of these objects that we hold of a Calendar, by href."""
    rows = tx.execute(
        f"SELECT href, etag FROM mirror_items WHERE calendar_id = :calendar_id AND href IN {HREFS}",
        {"calendar_id": calendar_id, "hrefs": as_list(hrefs)},
    )
    return {row["href"]: row["etag"] for row in rows}


def written_at(tx: Tx, calendar_id: str, hrefs: Iterable[str]) -> dict[str, int]:
    """When the bridge last wrote these objects, Unix seconds. Those that are no Appointment's event are left out."""
    rows = tx.execute(
        "SELECT m.href, a.synced_at FROM mirror_items m JOIN appointments a ON a.uid = m.uid"
        " AND a.calendar_id = m.calendar_id AND a.href = m.href AND a.synced_at IS NOT NULL"
        f" WHERE m.calendar_id = :calendar_id AND m.href IN {HREFS}",
        {"calendar_id": calendar_id, "hrefs": as_list(hrefs)},
    )
    return {row["href"]: row["synced_at"] for row in rows}


def count(tx: Tx, calendar_id: str, *, at_most: int) -> int:
    """How many objects we hold of a Calendar, counted up to `at_most`."""
    row = tx.execute(
        "SELECT COUNT(*) AS objects FROM"
        " (SELECT 1 FROM mirror_items WHERE calendar_id = :id LIMIT :at_most) AS counted",
        {"id": calendar_id, "at_most": at_most},
    ).fetchone()
    return int(row["objects"])


def get(tx: Tx, calendar_id: str, href: str) -> MirrorItem | None:
    """Our copy of one object, or None."""
    row = tx.execute(
        f"SELECT {_ITEM} FROM mirror_items WHERE calendar_id = :calendar_id AND href = :href",
        {"calendar_id": calendar_id, "href": href},
    ).fetchone()
    return MirrorItem(**row) if row else None


def of_calendar(tx: Tx, calendar_id: str) -> Iterator[MirrorItem]:
    """Every object that we hold of a Calendar."""
    for row in tx.execute(f"SELECT {_ITEM} FROM mirror_items WHERE calendar_id = :id", {"id": calendar_id}):
        yield MirrorItem(**row)


def by_uid(tx: Tx, user_id: str, uid: str) -> list[MirrorItem]:
    """The objects with this UID in all Calendars of the User that have a role, those of the Primary first."""
    rows = tx.execute(
        f"SELECT {_ITEM_OF_M} FROM mirror_items m JOIN calendars c ON c.id = m.calendar_id"
        f" WHERE m.owner = {OWNER} AND m.uid = :uid AND c.role <> 'none'"
        " ORDER BY CASE c.role WHEN 'primary' THEN 0 ELSE 1 END, m.calendar_id, m.href",
        {"user_id": user_id, "uid": uid},
    )
    return [MirrorItem(**row) for row in rows]


def uids_of_calendar(tx: Tx, calendar_id: str) -> set[str]:
    """The UIDs of all objects we hold of a Calendar."""
    rows = tx.execute("SELECT DISTINCT uid FROM mirror_items WHERE calendar_id = :id", {"id": calendar_id})
    return {row["uid"] for row in rows}


def uids_of_user(tx: Tx, user_id: str) -> set[str]:
    """The UIDs of all objects we hold for a User."""
    rows = tx.execute(f"SELECT DISTINCT uid FROM mirror_items WHERE owner = {OWNER}", {"user_id": user_id})
    return {row["uid"] for row in rows}


def ahead(tx: Tx, calendar_id: str) -> frozenset[str]:
    """The hrefs of the objects of a Calendar that its sync-token may not cover: they were stored since it was read."""
    rows = tx.execute("SELECT href FROM mirror_ahead WHERE calendar_id = :id", {"id": calendar_id})
    return frozenset(row["href"] for row in rows)


def caught_up(tx: Tx, calendar_id: str, hrefs: Iterable[str]) -> None:
    """Note that the Calendar's sync-token covers these objects."""
    tx.execute(
        f"DELETE FROM mirror_ahead WHERE calendar_id = :calendar_id AND href IN {HREFS}",
        {"calendar_id": calendar_id, "hrefs": as_list(hrefs)},
    )


def put(tx: Tx, user_id: str, items: Sequence[MirrorItem]) -> None:
    """Add these copies, replacing older ones with the same href. They are ahead of their Calendar's sync-token."""
    tx.executemany(
        "INSERT INTO mirror_items (calendar_id, href, owner, etag, uid, ics, unreadable)"
        f" VALUES (:calendar_id, :href, {OWNER}, :etag, :uid, :ics, :unreadable)"
        " ON CONFLICT (calendar_id, href) DO UPDATE SET etag = excluded.etag, uid = excluded.uid, ics = excluded.ics,"
        " unreadable = excluded.unreadable",
        [
            {
                "calendar_id": item.calendar_id,
                "href": item.href,
                "user_id": user_id,
                "etag": item.etag,
                "uid": item.uid,
                "ics": item.ics,
                "unreadable": item.unreadable,
            }
            for item in items
        ],
    )
    tx.executemany(
        "INSERT INTO mirror_ahead (calendar_id, href) VALUES (:calendar_id, :href) ON CONFLICT DO NOTHING",
        [{"calendar_id": item.calendar_id, "href": item.href} for item in items],
    )


def remove(tx: Tx, calendar_id: str, hrefs: Iterable[str]) -> None:
    """Drop our copies."""
    tx.executemany(
        "DELETE FROM mirror_items WHERE calendar_id = :calendar_id AND href = :href",
        [{"calendar_id": calendar_id, "href": href} for href in hrefs],
    )


def remove_all(tx: Tx, calendar_id: str) -> None:
    """Drop every copy of a Calendar's objects."""
    tx.execute("DELETE FROM mirror_items WHERE calendar_id = :id", {"id": calendar_id})


def move_hrefs(tx: Tx, calendar_id: str, *, old: str, new: str) -> None:
    """Change the hrefs of all objects of a Calendar whose path changed from `old` to `new`."""
    tx.execute(
        "UPDATE mirror_items SET href = :new || SUBSTR(href, LENGTH(:old) + 1)"
        " WHERE calendar_id = :id AND SUBSTR(href, 1, LENGTH(:old)) = :old",
        {"id": calendar_id, "old": old, "new": new},
    )


def counts(tx: Tx, calendar_id: str) -> tuple[int, int]:
    """How many objects of a Calendar we have, and how many of them can't be read."""
    row = tx.execute(
        "SELECT COUNT(*) AS objects, COUNT(unreadable) AS unreadable FROM mirror_items WHERE calendar_id = :id",
        {"id": calendar_id},
    ).fetchone()
    return row["objects"], row["unreadable"]


def why_unreadable(tx: Tx, calendar_id: str) -> list[str]:
    """What is wrong with the objects of a Calendar that can't be read, in sentences, the most frequent first."""
    rows = tx.execute(
        "SELECT unreadable FROM mirror_items WHERE calendar_id = :id AND unreadable IS NOT NULL"
        " GROUP BY unreadable ORDER BY COUNT(*) DESC, unreadable",
        {"id": calendar_id},
    )
    return [row["unreadable"] for row in rows]


@dataclass(frozen=True, slots=True)
class MirrorRun:
    """One mirror run over one Calendar, in numbers. It never holds titles or UIDs."""

    calendar_id: str
    started_at: int
    finished_at: int
    listed: int
    fetched: int
    removed: int
    unreadable: int
    #: Objects that seem to be gone but are kept until that is certain.
    held: int
    #: Objects that are listed, but that the server did not deliver.
    undelivered: int
    token_advanced: bool
    error: str | None


#: How many runs are kept for each Calendar.
KEPT_RUNS = 50


def record_run(tx: Tx, run: MirrorRun) -> None:
    """Add the run, and delete the oldest ones beyond `KEPT_RUNS`."""
    tx.execute(
        "INSERT INTO mirror_runs (calendar_id, started_at, finished_at, listed, fetched, removed, unreadable, held,"
        " undelivered, token_advanced, error) VALUES (:calendar_id, :started_at, :finished_at, :listed, :fetched,"
        " :removed, :unreadable, :held, :undelivered, :token_advanced, :error)",
        {name: getattr(run, name) for name in MirrorRun.__slots__},
    )
    tx.execute(
        "DELETE FROM mirror_runs WHERE calendar_id = :id AND id <= (SELECT id FROM mirror_runs WHERE calendar_id = :id"
        " ORDER BY id DESC LIMIT 1 OFFSET :kept)",
        {"id": run.calendar_id, "kept": KEPT_RUNS},
    )


def last_run(tx: Tx, calendar_id: str) -> MirrorRun | None:
    """The newest run over a Calendar, or None."""
    row = tx.execute(
        "SELECT calendar_id, started_at, finished_at, listed, fetched, removed, unreadable, held, undelivered,"
        " token_advanced, error FROM mirror_runs WHERE calendar_id = :id ORDER BY id DESC LIMIT 1",
        {"id": calendar_id},
    ).fetchone()
    return MirrorRun(**{**dict(row), "token_advanced": bool(row["token_advanced"])}) if row else None


def forget_runs(tx: Tx, *, after: int) -> None:
    """Forget runs that began after an instant."""
    tx.execute("DELETE FROM mirror_runs WHERE started_at > :after", {"after": after})


def held_since(tx: Tx, calendar_id: str) -> int | None:
    """Since when objects have been held without a break: the start of the first such run; None: none is held."""
    return _since(tx, calendar_id, "held")


def undelivered_since(tx: Tx, calendar_id: str) -> int | None:
    """Since when listed objects have not been delivered, without a break; None: everything was delivered."""
    return _since(tx, calendar_id, "undelivered")


def _since(tx: Tx, calendar_id: str, count: str) -> int | None:
    # A run that failed tells nothing about it, and does not count as a break.
    row = tx.execute(
        f"SELECT MIN(started_at) AS since FROM mirror_runs WHERE calendar_id = :id AND {count} > 0 AND id > COALESCE("
        f"(SELECT MAX(id) FROM mirror_runs WHERE calendar_id = :id AND {count} = 0 AND error IS NULL), 0)",
        {"id": calendar_id},
    ).fetchone()
    return None if row["since"] is None else int(row["since"])


_ITEM = "calendar_id, href, etag, uid, ics, unreadable"
_ITEM_OF_M = ", ".join(f"m.{column}" for column in _ITEM.split(", "))
