"""`bridge check-config`: it finds what would keep the bridge from working, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Command
    from tests.upstreams import Login

RADICALE = Path(__file__).parents[2] / "config" / "radicale.conf"


@pytest.fixture
def connected(anna: Command, home: Login) -> Command:
    home.make_calendar("Private")
    words = ("account", "connect", "anna", "--provider", "home", "--username", home.username, "--password-stdin")
    anna.done(*words, typed=f"{home.password}\n")
    return anna


def test_everything_in_order_is_exit_code_0(connected: Command) -> None:
    assert "Everything is in order." in connected.done("check-config", "--connections")


def test_before_the_first_start_nothing_is_made(bridge: Command, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "radicale.conf").write_text(RADICALE.read_text())

    said = bridge.done("check-config", "--connections")

    assert "There is no store at data/bridge.db yet" in said
    assert not (tmp_path / "data").exists()


def test_missing_radicale_settings_are_told(bridge: Command) -> None:
    assert "There is no file config/radicale.conf." in bridge.refused("check-config")


def test_a_key_open_to_others_is_told_with_the_command_that_closes_it(connected: Command, tmp_path: Path) -> None:
    (tmp_path / "data" / "secrets.key").chmod(0o644)

    assert "chmod 600 data/secrets.key" in connected.refused("check-config")


def test_a_lost_key_is_told(connected: Command, tmp_path: Path) -> None:
    (tmp_path / "data" / "secrets.key").unlink()

    assert "The key of the stored passwords is missing" in connected.refused("check-config")
    assert not (tmp_path / "data" / "secrets.key").exists()


def test_a_store_that_is_none_is_told(connected: Command, tmp_path: Path) -> None:
    for path in (tmp_path / "data").glob("bridge.db*"):
        path.unlink()
    (tmp_path / "data" / "bridge.db").write_text("this is no database, whatever its name says")

    assert "The store data/bridge.db can't be used" in connected.refused("check-config")


def test_a_password_that_was_changed_is_told_for_its_account(connected: Command, home: Login) -> None:
    home.change_password()

    said = connected.refused("check-config", "--connections")

    assert "acc_" in said
    assert "of anna: The server refuses the user name or password." in said
    assert "Everything is in order." in connected.done("check-config")
