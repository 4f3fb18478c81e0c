"""What holds for every command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Command

COMMANDS = (
    *("account", "apply", "backup", "calendars", "check-config", "config", "demo", "explain", "link", "password"),
    *("radicale", "restore", "serve", "sidecar", "status", "sync", "token", "user", "webhook"),
)
GROUPS = ("account", "calendars", "config", "password", "token", "user", "webhook")


def test_help_names_every_command(bridge: Command) -> None:
    text = bridge.done("--help")

    assert [name for name in COMMANDS if f"\n  {name} " not in text] == []
    assert "Exit codes: 0 success, 1 refused or something is wrong, 2 wrong usage." in text


@pytest.mark.parametrize("words", [(), *((group,) for group in GROUPS)], ids=" ".join)
def test_no_summary_of_a_command_is_cut_short(bridge: Command, words: tuple[str, ...]) -> None:
    listed = bridge.done(*words, "--help").partition("Commands:")[2]

    assert listed
    assert [line for line in listed.splitlines() if line.endswith("...")] == []


def test_every_command_explains_itself(bridge: Command) -> None:
    for name in COMMANDS:
        assert "Usage: bridge " + name in bridge.done(name, "--help")


def test_a_mistyped_command_is_exit_code_2(bridge: Command) -> None:
    result = bridge("serv")

    assert result.exit_code == 2
    assert "serv" in result.output


def test_wrong_settings_are_told_all_at_once_and_exit_code_1(
    bridge: Command, settings_file: Callable[[str], Path]
) -> None:
    settings_file('[store]\npth = "x"\n[sidecar]\nport = "80"\n')

    said = bridge.refused("user", "list")

    assert "config/bridge.toml can't be used:" in said
    assert 'line 2: store.pth is not a setting; did you mean "path"?' in said
    assert "line 4: sidecar.port is not a whole number" in said


def test_settings_are_named_by_option_or_environment(
    bridge: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("option", "variable"):
        (tmp_path / f"{name}.toml").write_text(f'[store]\npath = "{name}/bridge.db"\n')
    monkeypatch.setenv("BRIDGE_CONFIG", "variable.toml")

    bridge.done("token", "add", "crm")
    bridge.done("--config", "option.toml", "token", "add", "crm")

    assert (tmp_path / "variable" / "bridge.db").exists()
    assert (tmp_path / "option" / "bridge.db").exists()


def test_settings_that_were_named_must_be_there(bridge: Command) -> None:
    assert "absent.toml can't be used" in bridge.refused("--config", "absent.toml", "user", "list")


def test_listing_makes_no_store(bridge: Command, tmp_path: Path) -> None:
    said = bridge.refused("user", "list")

    assert "The store data/bridge.db can't be used" in said
    assert list(tmp_path.iterdir()) == []


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "bridge", "user", "list"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert result.returncode == 1
    assert result.stderr.startswith("Error: The store data/bridge.db can't be used")
    assert "Traceback" not in result.stderr
