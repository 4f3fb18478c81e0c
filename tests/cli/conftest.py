"""The real command on a real store, in a directory of its own."""

from __future__ import annotations

import json
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main

# The folder of tests is no package.
sys.path.insert(0, str(Path(__file__).parent))
from upstream import Upstream, running

RADICALE = Path(__file__).parents[2] / "config" / "radicale.conf"


class Command:
    """Runs `bridge` in a directory as a person would."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *words: str, typed: str | None = None) -> Result:
        """Run it, whatever its exit code. What goes wrong inside is raised, not hidden."""
        result = CliRunner().invoke(main, list(words), input=typed, prog_name="bridge")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def done(self, *words: str, typed: str | None = None) -> str:
        """Run it, expecting exit code 0. Returns what it printed."""
        result = self(*words, typed=typed)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *words: str, typed: str | None = None) -> str:
        """Run it, expecting exit code 1. Returns what it said."""
        result = self(*words, typed=typed)
        assert result.exit_code == 1, result.output
        return result.output

    def json(self, *words: str, typed: str | None = None) -> Any:
        """Run it with --json, expecting exit code 0."""
        return json.loads(self.done(*words, "--json", typed=typed))


@pytest.fixture
def bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)
    monkeypatch.delenv("BRIDGE_SECRETS_KEY", raising=False)
    root = logging.getLogger()
    handlers, level, ours = root.handlers[:], root.level, logging.getLogger("bridge").level
    yield Command(tmp_path)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("bridge").setLevel(ours)


@pytest.fixture
def settings_file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes `config/bridge.toml`, where the command looks for it."""

    def write(text: str) -> Path:
        path = tmp_path / "config" / "bridge.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def anna(bridge: Command) -> Command:
    """The command, once a user "anna" is there."""
    bridge.done("user", "add", "anna", "--location", "loc_1", "--name", "Anna", "--time-zone", "Europe/Berlin")
    return bridge


@pytest.fixture
def home(tmp_path: Path, settings_file: Callable[[str], Path]) -> Iterator[Upstream]:
    """A CalDAV server, which the settings know as the provider "home"."""
    directory = tmp_path / "upstream"
    directory.mkdir()
    with running(directory) as upstream:
        settings_file(f'[radicale]\nconfig = "{RADICALE}"\n[providers.home]\nurl = "{upstream.url}"\n')
        yield upstream


@pytest.fixture
def unused_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
