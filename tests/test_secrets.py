"""The vault: what it seals, where its key comes from, and when it refuses."""

from __future__ import annotations

import base64
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.domain.model import Account, AccountState, User
from bridge.errors import SecretsKeyMissing, SecretsKeyRefused, SecretUnreadable
from bridge.secrets import ENVIRONMENT, Vault, open_vault
from bridge.store import accounts, users
from bridge.store.db import Db

KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.urlsafe_b64encode(bytes(32)).decode()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    db = Db(tmp_path / "bridge.db")
    yield db
    db.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "secrets.key"


def store_secret(db: Db, vault: Vault) -> None:
    with db.write() as tx:
        users.add(tx, User(id="anna", location_id="loc", name="Anna", time_zone="Europe/Berlin", revision=0), now=0)
        account = Account(
            id="acc_1",
            user_id="anna",
            provider="icloud",
            username="anna@example.com",
            secret=vault.seal("hunter2", account_id="acc_1"),
            home_url="https://p1-caldav.icloud.com/1/calendars/",
            state=AccountState.CONNECTED,
            state_reason="",
            state_since=0,
            addresses=(),
        )
        accounts.put(tx, account, now=0)


def test_what_was_sealed_opens_again_with_the_key_of_the_file(db: Db, key_file: Path) -> None:
    sealed = open_vault(db, key_file, {}).seal("pässwörd", account_id="acc_1")

    assert open_vault(db, key_file, {}).open(sealed, account_id="acc_1") == "pässwörd"
    assert b"ssw" not in sealed


def test_the_same_secret_is_never_sealed_the_same_way_twice(db: Db, key_file: Path) -> None:
    vault = open_vault(db, key_file, {})

    assert vault.seal("hunter2", account_id="acc_1") != vault.seal("hunter2", account_id="acc_1")


def test_a_secret_moved_to_another_account_does_not_open(db: Db, key_file: Path) -> None:
    vault = open_vault(db, key_file, {})

    with pytest.raises(SecretUnreadable):
        vault.open(vault.seal("hunter2", account_id="acc_1"), account_id="acc_2")


def test_a_damaged_secret_does_not_open(db: Db, key_file: Path) -> None:
    vault = open_vault(db, key_file, {})
    sealed = vault.seal("hunter2", account_id="acc_1")

    for damaged in (
        b"",
        sealed[:1],
        sealed[:14],
        sealed[:-1],
        sealed[:-1] + bytes([sealed[-1] ^ 1]),
        b"\x02" + sealed[1:],
    ):
        with pytest.raises(SecretUnreadable):
            vault.open(damaged, account_id="acc_1")


def test_the_first_use_makes_a_key_that_only_its_owner_reads(db: Db, key_file: Path) -> None:
    open_vault(db, key_file, {})

    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert len(base64.urlsafe_b64decode(key_file.read_text())) == 32
    assert [path.name for path in key_file.parent.iterdir()] == ["secrets.key"]


def test_many_processes_starting_at_once_make_one_key(db: Db, key_file: Path) -> None:
    sealed: list[bytes] = []

    def start() -> None:
        mine = Db(db.path)
        sealed.append(open_vault(mine, key_file, {}).seal("hunter2", account_id="acc_1"))
        mine.close()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    vault = open_vault(db, key_file, {})
    assert [vault.open(one, account_id="acc_1") for one in sealed] == ["hunter2"] * 8


def test_a_lost_key_is_told_and_never_replaced_while_secrets_exist(db: Db, key_file: Path) -> None:
    store_secret(db, open_vault(db, key_file, {}))
    key_file.unlink()

    with pytest.raises(SecretsKeyMissing) as caught:
        open_vault(db, key_file, {})

    assert caught.value.source == str(key_file)
    assert not key_file.exists()


def test_a_key_lost_before_anything_was_sealed_is_made_anew(db: Db, key_file: Path) -> None:
    open_vault(db, key_file, {})
    key_file.unlink()

    open_vault(db, key_file, {})

    assert key_file.exists()


def test_another_key_is_noticed_at_once_while_secrets_exist(db: Db, key_file: Path) -> None:
    store_secret(db, open_vault(db, key_file, {ENVIRONMENT: KEY}))

    with pytest.raises(SecretUnreadable) as caught:
        open_vault(db, key_file, {ENVIRONMENT: OTHER_KEY})

    assert caught.value.source == ENVIRONMENT
    open_vault(db, key_file, {ENVIRONMENT: KEY})


def test_a_process_that_only_reads_the_store_opens_what_is_sealed_there(db: Db, key_file: Path) -> None:
    store_secret(db, open_vault(db, key_file, {}))
    reader = Db(db.path, read_only=True)

    open_vault(reader, key_file, {})
    with pytest.raises(SecretUnreadable):
        open_vault(reader, key_file, {ENVIRONMENT: OTHER_KEY})

    reader.close()


def test_the_key_in_the_environment_wins_and_no_file_is_made(db: Db, key_file: Path) -> None:
    vault = open_vault(db, key_file, {ENVIRONMENT: KEY})

    sealed = vault.seal("hunter2", account_id="acc_1")

    assert Vault(bytes(range(32)), "").open(sealed, account_id="acc_1") == "hunter2"
    assert not key_file.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(db: Db, key_file: Path, mode: int) -> None:
    open_vault(db, key_file, {})
    key_file.chmod(mode)

    with pytest.raises(SecretsKeyRefused) as caught:
        open_vault(db, key_file, {})

    assert (caught.value.source, caught.value.reason) == (str(key_file), "open_to_others")


@pytest.mark.parametrize("text", ["\n", "hunter2", KEY[:-4], KEY + "AAAA", KEY.replace("A", "ä", 1)])
def test_what_is_no_key_is_refused_and_not_repeated(db: Db, key_file: Path, text: str) -> None:
    key_file.parent.mkdir()
    key_file.write_text(text)
    key_file.chmod(0o600)

    for environment in ({}, {ENVIRONMENT: text}):
        with pytest.raises(SecretsKeyRefused) as caught:
            open_vault(db, key_file, environment)
        assert caught.value.reason == "malformed"
        assert "hunter2" not in repr(caught.value)


def test_a_directory_in_place_of_the_key_is_told(db: Db, key_file: Path) -> None:
    key_file.mkdir(parents=True)

    with pytest.raises(SecretsKeyRefused) as caught:
        open_vault(db, key_file, {})

    assert (caught.value.reason, caught.value.detail) == ("unreadable", "Is a directory")


def test_a_place_where_no_key_can_be_written_is_told(db: Db, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SecretsKeyRefused) as caught:
        open_vault(db, tmp_path / "file" / "secrets.key", {})

    assert caught.value.detail
