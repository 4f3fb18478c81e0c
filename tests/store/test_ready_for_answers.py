"""The step that numbers published items and occurrences carries over what there was."""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database

from bridge.domain.model import Interval
from bridge.store import fragments, published, users
from bridge.store.db import Db
from bridge.store.fragments import Field
from bridge.store.migrations import migrations

ITEM = (
    "INSERT INTO published_items (user_id, href, uid, revision, changed_at, etag, ics, first_start, last_end, kind,"
    " source_id) VALUES (?, ?, ?, ?, 1, ?, ?, 10, 20, 'icloud', 'cal')"
)


def test_items_tombstones_and_occurrences_are_kept(tmp_path):
    path = tmp_path / "bridge.db"
    before = sqlite3.connect(path, isolation_level=None)
    migrations.apply(Database(before), stop_before="m0008_ready_for_answers")
    for user in ("ada", "bob"):
        before.execute(
            "INSERT INTO users (id, location_id, name, time_zone, revision, created_at) VALUES (?, '', ?, 'UTC', 3, 1)",
            (user, user),
        )
        before.execute(ITEM, (user, "a.ics", "a", 1, '"1"', f"{user} & <b>"))
        before.execute(ITEM, (user, "b.ics", "b", 2, '"2"', "plain"))
        before.execute(ITEM, (user, "gone.ics", "gone", 3, "", None))
        for start, end in ((10, 20), (10, 20), (30, 500_000)):
            before.execute("INSERT INTO occurrences VALUES (?, 'a.ics', ?, ?, 0)", (user, start, end))
    before.close()

    db = Db(path)
    with db.read() as tx:
        for user in ("ada", "bob"):
            assert [item.ics for item in published.all_items(tx, user)] == [f"{user} & <b>", "plain"]
            assert published.changed_since(tx, user, 1) == ["b.ics", "gone.ics"]
            assert published.occurrences(tx, user, Interval(0, 15)) == {"a.ics": [Interval(10, 20)]}
            assert published.occurrences(tx, user, Interval(400_000, 400_001)) == {"a.ics": [Interval(30, 500_000)]}
            assert published.touching(tx, user, Interval(0, 100)) == ["a.ics"]
            texts = b"".join(fragments.of_all(tx, user, ["[", Field.HREF, Field.LENGTH, Field.TEXT, "]"]))
            assert texts == f"[a.ics9{user} &amp; &lt;b&gt;][b.ics5plain]".encode()
        assert tx.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert tx.execute("PRAGMA foreign_key_check").fetchall() == []
    with db.write() as tx:
        users.remove(tx, "ada")
        assert tx.execute("SELECT COUNT(*) FROM occurrences").fetchone()[0] == 2, "they go with their item"
        assert published.touching(tx, "bob", Interval(0, 100)) == ["a.ics"]
    db.close()
