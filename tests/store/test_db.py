"""The database: every write immediate, every change one revision, whoever else is writing."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Migrations

import bridge.store
from bridge.domain.model import Occurrence
from bridge.errors import StoreUnavailable, StoreUnusable
from bridge.store import migrations as schema
from bridge.store import published, users
from bridge.store.db import Db

from .conftest import NOW, item

STORE = Path(bridge.store.__file__).parent


def test_every_write_begins_immediate_so_that_a_reader_s_snapshot_never_goes_stale_under_it(db):
    seen = []
    with db.write() as tx:
        tx.execute("SELECT 1")
    writer = db._local.writer
    writer.set_trace_callback(seen.append)
    with db.write() as tx:
        tx.execute("SELECT COUNT(*) FROM users").fetchone()
    assert seen[0] == "BEGIN IMMEDIATE"
    assert seen[-1] == "COMMIT"


def test_no_other_statement_begins_a_transaction_anywhere_in_the_store():
    for path in STORE.glob("*.py"):
        text = path.read_text()
        begins = re.findall(r'"BEGIN(?: [^"]*)?"', text)
        assert begins == ([] if path.name != "db.py" else ['"BEGIN IMMEDIATE"', '"BEGIN"', '"BEGIN IMMEDIATE"'])


def test_a_failed_transaction_leaves_nothing(db):
    with pytest.raises(RuntimeError), db.write() as tx:
        published.apply(tx, "ada", put=[item("a")], remove=[], now=NOW)
        raise RuntimeError
    with db.read() as tx:
        assert published.head(tx, "ada").revision == 0
        assert list(published.all_items(tx, "ada")) == []


def test_a_full_disk_refuses_a_write_as_a_whole_and_is_forgotten_once_there_is_room(db):
    with db.write() as tx:
        (pages,) = tx.execute("PRAGMA page_count").fetchone()
        tx.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match="full"), db.write() as tx:
        published.apply(tx, "ada", put=[item(f"{n}") for n in range(1000)], remove=[], now=NOW)
    with db.write() as tx:
        assert published.head(tx, "ada").revision == 0
        tx.execute("PRAGMA max_page_count = 1000000")
        published.apply(tx, "ada", put=[item("a")], remove=[], now=NOW)
    with db.read() as tx:
        assert published.head(tx, "ada").revision == 1


def test_trouble_lasts_until_a_change_was_stored(db):
    with db.write() as tx:
        (pages,) = tx.execute("PRAGMA page_count").fetchone()
        tx.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable), db.write() as tx:
        published.apply(tx, "ada", put=[item(f"{n}") for n in range(1000)], remove=[], now=NOW)
    assert "full" in db.trouble.reason
    with db.write() as tx:  # which changes nothing, so that it says nothing of the disk
        tx.execute("PRAGMA max_page_count = 1000000")
    assert db.trouble is not None
    _publish(db, ["a"])
    assert db.trouble is None


def test_a_store_whose_file_was_replaced_is_neither_written_nor_read_anew(db, tmp_path):
    _publish(db, ["a"])
    Db(tmp_path / "other.db").close()
    (tmp_path / "other.db").rename(db.path)
    with pytest.raises(StoreUnavailable, match="replaced"):
        _publish(db, ["b"])
    with ThreadPoolExecutor(1) as pool, pytest.raises(StoreUnavailable, match="replaced"):
        pool.submit(db.read_once, lambda tx: users.get(tx, "ada")).result()


def test_a_mistake_in_a_statement_is_not_taken_for_trouble_of_the_store(db):
    with pytest.raises(sqlite3.OperationalError), db.write() as tx:
        tx.execute("SELECT nothing FROM nowhere")


def test_a_reader_can_t_write_and_sees_one_snapshot(db):
    with db.read() as tx:
        tx.execute("SELECT COUNT(*) FROM users").fetchone()
        with pytest.raises(sqlite3.OperationalError):
            tx.execute("DELETE FROM users")
        writer = threading.Thread(target=_publish, args=(db, ["a"]))
        writer.start()
        writer.join()
        assert published.head(tx, "ada").revision == 0
    with db.read() as tx:
        assert published.head(tx, "ada").revision == 1


def _publish(db, names):
    with db.write() as tx:
        published.apply(tx, "ada", put=[item(n) for n in names], remove=[], now=NOW)


def test_a_removal_leaves_a_tombstone_at_the_very_revision(db):
    _publish(db, ["a", "b"])
    with db.write() as tx:
        revision = published.apply(tx, "ada", put=[item("c")], remove=["a.ics"], now=NOW)
    with db.read() as tx:
        head = published.head(tx, "ada")
        assert head.revision == revision == 2
        rows = tx.execute("SELECT href, revision, ics IS NULL AS gone FROM published_items ORDER BY href").fetchall()
    assert [tuple(row) for row in rows] == [("a.ics", 2, 1), ("b.ics", 1, 0), ("c.ics", 2, 0)]
    assert head.tombstones_from <= 1


def test_what_changes_nothing_is_no_revision(db):
    _publish(db, ["a"])
    with db.write() as tx:
        assert published.apply(tx, "ada", put=[item("a")], remove=["never.ics"], now=NOW) is None


#: Another process: reads first, then writes, which is what a deferred transaction would fail at.
WRITE_MANY = """
import sys
from pathlib import Path
from bridge.domain.model import ItemKind, PublishedItem
from bridge.store import published
from bridge.store.db import Db

db = Db(Path(sys.argv[1]))
for number in range(40):
    name = f"{sys.argv[2]}{number}"
    with db.write() as tx:
        published.head(tx, "ada")
        item = PublishedItem(f"{name}.ics", "1", "text", 0, 1, ItemKind.ICLOUD, "cal")
        published.apply(tx, "ada", put=[item], remove=[], now=1)
"""
OPEN = """
import sys
from pathlib import Path
from bridge.store.db import Db

Db(Path(sys.argv[1])).close()
"""


def in_processes(script, *arguments):
    """Run the script once for each list of arguments, all at the same time."""
    running = [subprocess.Popen([sys.executable, "-c", script, *map(str, one)]) for one in arguments]
    assert [process.wait() for process in running] == [0] * len(arguments)


def test_two_processes_that_write_at_once_lose_no_revision(db):
    in_processes(WRITE_MANY, (db.path, "x"), (db.path, "y"))
    with db.read() as tx:
        assert published.head(tx, "ada").revision == 80
        revisions = [row[0] for row in tx.execute("SELECT revision FROM published_items ORDER BY revision")]
    assert revisions == list(range(1, 81))


def test_processes_that_start_at_once_migrate_once(tmp_path):
    path = tmp_path / "new.db"
    in_processes(OPEN, (path,), (path,), (path,))
    Db(path).close()
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id")]
    connection.close()
    assert names == [m.name for m in schema.migrations._migrations]


def test_a_store_of_a_newer_bridge_is_refused(db):
    with db.write() as tx:
        tx.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('bridge', 'm9999', 'now')")
    with pytest.raises(StoreUnusable) as refused:
        Db(db.path)
    assert "newer" in refused.value.reason


def test_a_process_that_only_reads_refuses_an_older_store_and_one_that_is_not_there(tmp_path, db):
    with db.write() as tx:
        last = schema.migrations._migrations[-1].name
        tx.execute("DELETE FROM _sqlite_migrations WHERE name = :name", {"name": last})
    for path in (db.path, tmp_path / "none.db"):
        with pytest.raises(StoreUnusable):
            Db(path, read_only=True)


def test_a_later_step_brings_a_store_up_to_date_with_what_is_in_it(db, monkeypatch):
    _publish(db, ["a"])
    steps = Migrations("bridge")
    steps._migrations = [*schema.migrations._migrations]

    @steps()
    def m9998_a_later_step(database):
        database.execute("ALTER TABLE users ADD COLUMN language TEXT NOT NULL DEFAULT 'de'")

    monkeypatch.setattr("bridge.store.db.migrations", steps)
    with pytest.raises(StoreUnusable, match="older"):
        Db(db.path, read_only=True)
    Db(db.path).close()
    later = Db(db.path, read_only=True)
    with later.read() as tx:
        assert tx.execute("SELECT language FROM users WHERE id = 'ada'").fetchone()[0] == "de"
        assert [item.href for item in published.all_items(tx, "ada")] == ["a.ics"]
    later.close()


def test_occurrences_go_with_their_user(db):
    with db.write() as tx:
        lasting = replace(item("a"), occurrences=(Occurrence(NOW, NOW + 3600),))
        published.apply(tx, "ada", put=[lasting], remove=[], now=NOW)
        assert tx.execute("SELECT COUNT(*) FROM occurrences").fetchone()[0] > 0
        users.remove(tx, "ada")
        assert tx.execute("SELECT COUNT(*) FROM occurrences").fetchone()[0] == 0


def test_every_table_that_statements_name_has_a_migration(db):
    named = set()
    for path in STORE.glob("*.py"):
        if path.name != "migrations.py":
            named |= set(re.findall(r"(?:FROM|INTO|UPDATE|JOIN) ([a-z_]{4,})\b", path.read_text()))
    with db.read() as tx:
        tables = {row[0] for row in tx.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert named - {"excluded", "json_each"} <= tables
    assert tables - named - {"sqlite_sequence"} <= {"_sqlite_migrations"}, "a table that nothing uses"


#: What only one of the two databases understands.
FOREIGN = re.compile(
    r"\b(INSERT OR|REPLACE INTO|IFNULL|GROUP_CONCAT|GLOB|AUTOINCREMENT|rowid|WITHOUT ROWID|strftime|datetime\(|ILIKE)\b"
)


def test_statements_keep_to_what_sqlite_and_postgresql_share():
    for path in STORE.glob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not (FOREIGN.search(line) and '"' in line), f"{path.name}:{number}"
            assert not re.search(r'execute(many)?\(\s*f?"[^"]*\?', line) or path.name == "migrations.py", (
                f"{path.name}:{number}: parameters have names"
            )


def test_the_store_is_for_its_owner_only(db):
    assert db.path.stat().st_mode & 0o077 == 0


def test_what_is_deleted_is_wiped(db):
    with db.write() as tx:
        tx.execute("INSERT INTO store_facts (name, value) VALUES ('gone', 'secret-to-be-wiped')")
    with db.write() as tx:
        tx.execute("DELETE FROM store_facts WHERE name = 'gone'")
    db.wipe()
    for path in db.path.parent.glob("bridge.db*"):
        assert b"secret-to-be-wiped" not in path.read_bytes()
