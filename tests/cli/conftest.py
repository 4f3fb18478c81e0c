"""The real command, on a real store, in a directory of its own; and a real CalDAV server to connect to."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from tests import upstreams
from tests.upstreams import Login

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
    """The command, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)
    monkeypatch.delenv("BRIDGE_SECRETS_KEY", raising=False)
    root, ours = logging.getLogger(), logging.getLogger("bridge")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield Command(tmp_path)
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture
def anna(bridge: Command) -> Command:
    """The command, once a user "anna" is there."""
    bridge.done("user", "add", "anna", "--location", "loc_1", "--name", "Anna", "--time-zone", "Europe/Berlin")
    return bridge


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
def home(tmp_path: Path, settings_file: Callable[[str], Path]) -> Iterator[Login]:
    """A login at a CalDAV server, which the settings know as the provider "home"."""
    with upstreams.radicale(tmp_path / "upstream") as server:
        settings_file(f'[radicale]\nconfig = "{RADICALE}"\n[providers.home]\nurl = "{server.url}"\n')
        yield server.login()


@pytest.fixture
def broken_home(settings_file: Callable[[str], Path]) -> Iterator[Callable[[str], None]]:
    """A server that the settings know as "home", and that answers everything with the status it is told."""
    status = "200 OK"

    def app(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response(status, [("Content-Type", "text/plain")])
        return [b""]

    def answer(with_status: str) -> None:
        nonlocal status
        status = with_status

    with upstreams.serving(app) as url:
        settings_file(f'[providers.home]\nurl = "{url}"\n')
        yield answer


@pytest.fixture
def unused_port() -> int:
    """A port that nothing listens on."""
    return upstreams.free_port()
