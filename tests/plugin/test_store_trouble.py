"""The store under Radicale: missing, newer, locked, replaced, written to while it is read."""

from __future__ import annotations

import gc
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from radicale import app as stock

from bridge.service import users
from bridge.store import db as store_db
from bridge.store import published
from bridge.store.db import Db
from radicale_plugin import settings
from radicale_plugin.app import Application

from .conftest import NOW, World, application, ics
from .dav import CRM, Client, name


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"no store yet: run bridge user add or bridge serve first"):
        application(tmp_path / "nowhere.db")
    assert list(tmp_path.iterdir()) == []


def test_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "bridge.db").write_text("a letter to grandmother, which is longer than a hundred bytes" * 4)
    with pytest.raises(RuntimeError, match=r"can't be used"):
        application(tmp_path / "bridge.db")


def test_a_store_of_a_newer_bridge(world: World) -> None:
    with world.db.write() as tx:
        tx.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('bridge', 'm9999_later', '2030')"
        )
    settings._open.cache_clear()
    with pytest.raises(RuntimeError, match=r"newer version of the bridge"):
        application(world.db.path)


def test_a_store_that_is_made_later(tmp_path: Path) -> None:
    path = tmp_path / "bridge.db"
    with pytest.raises(RuntimeError):
        application(path)
    db = Db(path)
    users.add_user(db, id="ada", location_id="loc", name="Ada", time_zone="Europe/Berlin", now=NOW)
    _, password = users.add_password(db, "ada", "phone", NOW)
    db.close()
    assert Client(application(path), "ada", password).sync().status == 207


def test_a_schema_that_grows_while_radicale_runs(week: World) -> None:
    """The sidecar is upgraded first, and adds columns and tables."""
    before = week.ada.sync()
    with week.db.write() as tx:
        tx.execute("ALTER TABLE users ADD COLUMN colour TEXT")
        tx.execute("ALTER TABLE published_items ADD COLUMN fragment BLOB")
        tx.execute("CREATE TABLE later (id INTEGER)")
    assert week.ada.sync() == before


def test_a_writer_does_not_keep_readers_waiting(week: World) -> None:
    before = week.ada.sync()
    with week.db.write() as tx:
        tx.execute("DELETE FROM published_items")
        assert week.ada.sync() == before
        tx.execute("ROLLBACK")
        tx.execute("BEGIN")


def test_a_store_that_is_locked_for_good(
    week: World, kind: type[stock.Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone holds the whole file: an error for this request, and all is well afterwards."""
    monkeypatch.setattr(store_db, "BUSY_TIMEOUT", 0.05)
    slow = application(week.db.path, kind, server={"delay_on_error": "0"})
    client = Client(slow, "ada", week.password)
    week.db.close()
    holder = sqlite3.connect(week.db.path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN IMMEDIATE")
    answers = _in_new_thread(client.sync)
    holder.execute("ROLLBACK")
    holder.close()
    assert answers.status == (503 if kind is Application else 500)
    assert answers.headers["content-length"] == str(len(answers.body))
    assert week.password not in answers.text and "Traceback" not in answers.text
    assert _in_new_thread(client.sync).status == 207


def _in_new_thread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_each_answer_is_of_one_moment(world: World) -> None:
    """Ten events carry the number of the revision that wrote them; no answer ever mixes two."""

    def write(number: int) -> None:
        items = [
            item
            for event in range(10)
            for item in world.rendered(
                f"e{event}",
                ics(f"e{event}", f":202703{8 + event:02}T090000Z", f":202703{8 + event:02}T100000Z").replace(
                    f"SUMMARY:e{event}", f"SUMMARY:round {number}"
                ),
            )
        ]
        with world.db.write() as tx:
            published.apply(tx, "ada", put=items, remove=[], now=NOW)

    write(0)
    hrefs = [CRM + name(href) for href in world.ada.sync().resources]
    stop = threading.Event()

    def rounds(text: str) -> set[str]:
        return {line for line in text.splitlines() if line.startswith("SUMMARY:round ")}

    def read() -> int:
        looks = 0
        while not stop.is_set() or looks == 0:
            synced = world.ada.sync("", "C:calendar-data")
            (of_sync,) = rounds(synced.text)
            # Revisions rise by one with each round.
            assert int(synced.sync_token.rpartition(":")[2]) == int(of_sync.split()[1]) + 1
            for answer in (
                world.ada.multiget(*hrefs),
                world.ada.query(),
                world.ada.request("GET", CRM),
            ):
                assert len(rounds(answer.text)) == 1
            looks += 1
        return looks

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for number in range(1, 40):
            write(number)
        stop.set()
        assert all(reader.result() for reader in readers)


def test_threads_leave_nothing_open(week: World) -> None:
    """Radicale's own server takes a new thread for each request."""

    def open_files() -> int:
        gc.collect()
        return sum(
            str(path.readlink()).startswith(str(week.db.path))
            for path in Path("/proc/self/fd").iterdir()
            if path.is_symlink()
        )

    # A connection that stays open would keep SQLite from closing the others' files at once.
    week.db.close()
    week.app._storage._db.close()
    for _ in range(50):
        thread = threading.Thread(target=week.ada.sync)
        thread.start()
        thread.join()
    assert open_files() == 0


def test_radicale_can_check_the_store(week: World) -> None:
    assert week.app._storage.verify()
