"""`bridge config set`, as a program or a person types it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.settings import load

if TYPE_CHECKING:
    from tests.cli.conftest import Command


def test_without_a_file_one_is_made(bridge: Command) -> None:
    assert bridge.done("config", "set", "sidecar.port", "9000") == "Set sidecar.port in config/bridge.toml.\n"
    assert load().sidecar.port == 9000
    assert bridge.done("config", "set", "sidecar.port", "9000") == "config/bridge.toml says so already.\n"


def test_a_mistake_is_told_with_what_was_meant(bridge: Command) -> None:
    bridge.done("config", "set", "sidecar.port", "9000")

    assert 'sidecar.prt is not a setting; did you mean "port"?' in bridge.refused("config", "set", "sidecar.prt", "80")
    assert load().sidecar.port == 9000
    assert "Nothing was written." in bridge.refused("config", "set", "sidecar.port", "none")
