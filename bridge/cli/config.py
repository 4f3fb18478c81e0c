"""`bridge config`: changing the settings file by command."""

from __future__ import annotations

import click

from bridge.cli.opened import Opened, pass_opened
from bridge.errors import SettingsInvalid
from bridge.sentences import sentence
from bridge.settings import path_of
from bridge.settings.change import set_value
from bridge.settings.file import DEFAULT_PATH


@click.group()
def config() -> None:
    """The settings file."""


@config.command("set")
@click.argument("key")
@click.argument("value")
@pass_opened
def set_setting(opened: Opened, key: str, value: str) -> None:
    """Set KEY, such as mirror.poll_seconds, to VALUE in the settings file.

    Comments and order are kept, and a change that would make the file invalid is refused. A running bridge applies the
    change.
    """
    path = opened.config or path_of(None) or DEFAULT_PATH
    try:
        changed = set_value(path, key, value)
    except SettingsInvalid as error:
        raise click.ClickException(f"Nothing was written. {sentence(error)}") from error
    click.echo(f"Set {key} in {path}." if changed else f"{path} says so already.")
