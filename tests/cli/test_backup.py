"""Backups are of one moment and safe to keep; a restored store is another one to whoever knew the former."""

from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.errors import CursorExpired
from bridge.service import backup, changes
from bridge.store import accounts, facts, published
from bridge.store.db import Db
from bridge.store.lock import at_work

if TYPE_CHECKING:
    from tests.cli.conftest import Command
    from tests.upstreams import Login

STORE = Path("data/bridge.db")


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute(query)]


@pytest.fixture
def connected(anna: Command, home: Login) -> Command:
    home.make_calendar("Private")
    login = ("--provider", "home", "--username", home.username, "--password-stdin")
    anna.done("account", "connect", "anna", *login, typed=f"{home.password}\n")
    anna.done("calendars", "set", "anna", "--primary", "Private")
    return anna


def test_a_backup_is_the_whole_store_for_its_owner_alone(connected: Command, tmp_path: Path) -> None:
    connected.done("backup", "copy.db")

    copy = tmp_path / "copy.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert rows(copy, "SELECT id FROM users") == ["anna"]
    assert rows(copy, "SELECT count(*) FROM accounts WHERE length(secret) > 0") == [1]
    assert rows(copy, "SELECT value FROM store_facts WHERE name = 'secrets_key'") == []
    key = (tmp_path / "data" / "secrets.key").read_text().strip()
    assert key.encode() not in copy.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".store")] == []


def test_a_file_that_is_there_is_replaced_only_when_told_so(connected: Command, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")

    assert "copy.db" in connected.refused("backup", "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"
    connected.done("backup", "copy.db", "--replace")
    assert rows(tmp_path / "copy.db", "SELECT id FROM users") == ["anna"]


def test_a_backup_is_of_one_moment_while_others_write(anna: Command, tmp_path: Path) -> None:
    """Each transaction writes two rows that belong together: no copy has one without the other."""
    enough = threading.Event()

    def write() -> None:
        db, number = Db(STORE), 0
        while not enough.is_set():
            number += 1
            with db.write() as tx:
                facts.put(tx, "left", str(number))
                facts.put(tx, "right", str(number))
        db.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            anna.done("backup", f"{number}.db")
    finally:
        enough.set()
        writer.join()

    for number in range(5):
        found = rows(tmp_path / f"{number}.db", "SELECT value FROM store_facts WHERE name IN ('left', 'right')")
        assert len(set(found)) <= 1


def test_without_secrets_nothing_in_it_opens_anything(connected: Command, tmp_path: Path) -> None:
    connected.done("link", "anna")
    with closing(sqlite3.connect(STORE)) as connection:
        (sealed,) = connection.execute("SELECT secret FROM accounts").fetchone()
        (link,) = connection.execute("SELECT hash FROM settings_links").fetchone()

    connected.done("backup", "copy.db", "--without-secrets")

    copy = tmp_path / "copy.db"
    assert rows(copy, "SELECT length(secret) FROM accounts") == [0]
    assert rows(copy, "SELECT state FROM accounts") == ["needs_password"]
    assert sealed not in copy.read_bytes()
    assert link.encode() not in copy.read_bytes()


def test_a_restored_store_is_as_it_was_and_another_one(connected: Command, tmp_path: Path) -> None:
    connected.done("backup", "copy.db")
    connected.done("user", "add", "bob", "--location", "loc_1", "--time-zone", "Europe/London")
    db = Db(STORE)
    with db.read() as tx:
        before = published.head(tx, "anna")
    cursor = changes.read(db, None, locations=None, types=None, limit=1)
    db.close()

    said = connected.done("restore", "copy.db", "--yes")

    assert [one["id"] for one in connected.json("user", "list")] == ["anna"]
    (kept,) = (tmp_path / "data").glob("bridge.db.before-*")
    assert str(kept.relative_to(tmp_path)) in said
    assert rows(kept, "SELECT id FROM users ORDER BY id") == ["anna", "bob"]
    db = Db(STORE)
    with db.read() as tx:
        after = published.head(tx, "anna")
        assert before is not None
        assert after is not None
        assert before.store_id != after.store_id, "sync-tokens name the store"
    with pytest.raises(CursorExpired):
        changes.read(db, cursor.cursor, locations=None, types=None, limit=1)
    told = changes.read(db, changes.EARLIEST, locations=None, types=None, limit=100).changes
    assert told[-1].news.document == {"userId": "anna", "reason": "restored"}
    assert told[-1].sequence > cursor.sequence, "no number of the feed comes twice"
    db.close()
    connected.done("sync")


def test_restored_twice_no_number_of_the_feed_comes_twice(connected: Command, tmp_path: Path) -> None:
    """Receivers drop what they know by its number or id: what happens after the second time is news to them."""
    connected.done("backup", "copy.db")
    numbers: list[int] = []
    for now in (1_800_000_000, 1_800_000_060):
        backup.restore(tmp_path / "copy.db", STORE, take_key=lambda key: None, now=now)
        connected.done("user", "add", "bob", "--location", "loc_1", "--time-zone", "Europe/London")
        connected.done("user", "remove", "bob", "--yes")
        told = rows(STORE, "SELECT sequence FROM changes ORDER BY sequence")
        assert len(told) > 1
        assert not numbers or told[-2] > numbers[-1]
        numbers = told


def test_a_restore_says_first_what_becomes_of_the_store_that_is_there(connected: Command) -> None:
    connected.done("backup", "copy.db")
    connected.done("user", "change", "anna", "--name", "Eve")

    asked = connected("restore", "copy.db", typed="n\n")

    assert asked.exit_code == 1
    assert "kept beside it" in asked.output
    assert rows(STORE, "SELECT name FROM users") == ["Eve"]
    assert connected("restore", "nowhere.db", "--yes").exit_code == 2


def test_nothing_is_restored_while_a_bridge_works(connected: Command) -> None:
    connected.done("backup", "copy.db")
    with at_work(STORE):
        assert "a bridge is using it: stop it first" in connected.refused("restore", "copy.db", "--yes")
    assert rows(STORE, "SELECT id FROM users") == ["anna"]


def test_a_link_to_a_store_is_that_store(connected: Command) -> None:
    connected.done("backup", "copy.db")
    elsewhere = Path("elsewhere.db")
    STORE.rename(elsewhere)
    STORE.symlink_to(elsewhere.resolve())
    with at_work(elsewhere):
        assert "a bridge is using it: stop it first" in connected.refused("restore", "copy.db", "--yes")
    connected.done("restore", "copy.db", "--yes")
    assert STORE.is_symlink()
    assert connected.json("user", "list") != []
    assert list(Path().glob("elsewhere.db.before-*")) != []


def test_nothing_is_restored_while_somebody_reads(connected: Command) -> None:
    connected.done("backup", "copy.db")
    db = Db(STORE, read_only=True)
    with db.read():
        assert "stop every program that has it open" in connected.refused("restore", "copy.db", "--yes")
    db.close()


@pytest.mark.parametrize("content", [b"", b"this is no database", b"SQLite format 3\0 and then not"])
def test_what_is_no_backup_is_refused_and_changes_nothing(connected: Command, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy.db").write_bytes(content)

    assert "copy.db can't be used" in connected.refused("restore", "copy.db", "--yes")
    assert rows(STORE, "SELECT id FROM users") == ["anna"]
    assert [path.name for path in (tmp_path / "data").iterdir() if "before" in path.name or ".store" in path.name] == []


def test_a_backup_of_a_newer_version_is_refused_by_its_own_name(connected: Command, tmp_path: Path) -> None:
    connected.done("backup", "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('bridge', 'm9', 0)"
        )
        connection.commit()

    assert "copy.db can't be used: it was written by a newer version" in connected.refused(
        "restore", "copy.db", "--yes"
    )


def test_on_a_new_machine_a_backup_with_its_key_is_all_it_takes(connected: Command, tmp_path: Path) -> None:
    connected.done("backup", "copy.db", "--with-key")
    (tmp_path / "data").rename(tmp_path / "lost")

    assert "Its key is in data/secrets.key." in connected.done("restore", "copy.db", "--yes")

    assert stat.S_IMODE((tmp_path / "data" / "secrets.key").stat().st_mode) == 0o600
    assert rows(STORE, "SELECT value FROM store_facts WHERE name = 'secrets_key'") == []
    connected.done("sync")


def test_a_key_that_is_there_is_not_lost_to_that_of_a_backup(connected: Command, tmp_path: Path) -> None:
    connected.done("backup", "copy.db", "--with-key")
    for path in (tmp_path / "data").iterdir():
        path.unlink()
    connected.done("user", "add", "bob", "--location", "loc_1", "--time-zone", "Europe/London")
    key = tmp_path / "data" / "secrets.key"
    key.touch(mode=0o600)
    key.write_text("A" * 43 + "=\n")

    assert "not the key of the backup" in connected.refused("restore", "copy.db", "--yes")
    assert key.read_text() == "A" * 43 + "=\n"
    assert rows(STORE, "SELECT id FROM users") == ["bob"]


def test_a_missing_key_is_told_at_once(connected: Command, tmp_path: Path) -> None:
    connected.done("backup", "copy.db")
    (tmp_path / "data" / "secrets.key").unlink()

    assert "The key of the stored passwords is missing" in connected.done("restore", "copy.db", "--yes")


def test_after_a_backup_without_secrets_accounts_are_connected_anew(connected: Command, home: Login) -> None:
    connected.done("backup", "copy.db", "--without-secrets")
    connected.done("restore", "copy.db", "--yes")
    db = Db(STORE, read_only=True)
    with db.read() as tx:
        (account,) = accounts.all_of(tx)
    db.close()
    assert account.state == "needs_password"

    login = ("--provider", "home", "--username", home.username, "--password-stdin")
    connected.done("account", "connect", "anna", *login, typed=f"{home.password}\n")

    connected.done("sync")
    assert {c["name"]: c["role"] for c in connected.json("calendars", "list", "anna")} == {"Private": "primary"}
