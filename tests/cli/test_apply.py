"""`bridge apply` and what it refuses, at a real CalDAV server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Command
    from tests.upstreams import Login

Declare = Callable[[str], None]


@pytest.fixture
def declare(bridge: Command, home: Login, tmp_path: Path) -> Declare:
    """Puts Anna, with more said about her account, at the end of the settings file."""
    for name in ("Private", "Work"):
        home.make_calendar(name)
    secret = tmp_path / "anna.password"
    secret.touch(mode=0o600)
    secret.write_text(f"{home.password}\n")
    config = tmp_path / "config" / "bridge.toml"
    before = config.read_text()

    def write(more: str) -> None:
        config.write_text(
            f"""{before}[[users]]
id = "anna"
location = "loc_1"
name = "Anna"
time_zone = "Europe/Berlin"
[[users.accounts]]
provider = "home"
username = "{home.username}"
password_file = "{secret}"
{more}
"""
        )

    return write


def test_the_first_time_all_is_made_and_the_second_time_nothing(bridge: Command, declare: Declare) -> None:
    declare('primary = "Private"\nconflicts = ["Work"]')

    result = bridge("apply")

    assert "Trying 1 login …" in result.stderr
    said = result.stdout
    assert "+ anna: user (Anna, Europe/Berlin)" in said
    assert "~ anna: Primary: none → Private" in said
    assert "changes made." in said
    assert {c["name"]: c["role"] for c in bridge.json("calendars", "list", "anna")} == {
        "Private": "primary",
        "Work": "conflict",
    }
    again = bridge("apply")
    assert (again.exit_code, again.output) == (0, "Everything is as config/bridge.toml says.\n")
    assert bridge.json("apply") == {"applied": False, "changes": []}


def test_a_dry_run_says_the_same_and_makes_not_even_a_store(bridge: Command, declare: Declare, tmp_path: Path) -> None:
    declare('primary = "Private"')

    dry = bridge.json("apply", "--dry-run")

    assert not (tmp_path / "data").exists()
    assert not dry["applied"]
    done = bridge.json("apply")
    assert done == {"applied": True, "changes": dry["changes"]}


def test_a_mistake_is_told_by_its_line_and_changes_nothing(bridge: Command, declare: Declare, tmp_path: Path) -> None:
    declare('primary = "Privat"\nconflicts = ["Work"]')
    lines = (tmp_path / "config" / "bridge.toml").read_text().splitlines()
    line = lines.index('primary = "Privat"') + 1

    for words in (("apply",), ("apply", "--dry-run"), ("check-config", "--connections")):
        said = bridge.refused(*words)
        assert f"line {line}: users.anna.accounts" in said
        assert 'names "Privat", which is no calendar of the account; there are "Private", "Work"' in said
    assert bridge.json("user", "list") == []


def test_a_login_that_does_not_work_is_told_by_its_line(bridge: Command, declare: Declare, home: Login) -> None:
    declare("")
    home.change_password()

    said = bridge.refused("apply")

    assert "can't be connected; " in said
    assert "refuses the user name or the password" in said
    assert home.password not in said
    assert bridge.json("user", "list") == []


def test_what_is_set_by_the_file_is_refused_with_its_name(bridge: Command, declare: Declare) -> None:
    declare('primary = "Private"')
    bridge.done("apply")
    (account,) = bridge.json("account", "list", "anna")

    for words in (
        ("user", "change", "anna", "--name", "Eve"),
        ("user", "remove", "anna", "--yes"),
        ("account", "disconnect", "anna", account["id"], "--yes"),
        ("calendars", "set", "anna", "--primary", "Work"),
    ):
        assert "is set in config/bridge.toml: change it there." in bridge.refused(*words)
    bridge.done("calendars", "set", "anna", "--conflict", "Work")
    assert "Anna" in bridge.done("user", "change", "anna")


def test_without_a_file_it_says_so(bridge: Command) -> None:
    assert "config/bridge.toml can't be used" in bridge.refused("apply")


def test_check_config_tells_mistakes_of_the_file_and_passwords_that_are_not_there(
    bridge: Command, declare: Declare, tmp_path: Path
) -> None:
    declare('primry = "Private"')
    (tmp_path / "anna.password").unlink()

    said = bridge.refused("check-config")

    assert 'primry is not a setting; did you mean "primary"?' in said
    assert "password_file names a file that can't be read: No such file or directory" in said


def test_check_config_is_content_before_anything_was_applied(bridge: Command, declare: Declare, tmp_path: Path) -> None:
    declare('primary = "Private"')

    assert "Everything is in order." in bridge.done("check-config", "--connections")
    assert not (tmp_path / "data").exists()
