"""The command `bridge`: its options, and loading the command that is called."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click

from bridge import logs
from bridge.cli.opened import Opened
from bridge.errors import BridgeError
from bridge.sentences import sentence

#: Where each command is. Loaded when it is asked for, as some take a second to import.
_COMMANDS = {
    "account": "bridge.cli.accounts:account",
    "apply": "bridge.cli.apply:apply",
    "backup": "bridge.cli.backup:backup",
    "calendars": "bridge.cli.calendars:calendars",
    "check-config": "bridge.cli.check:check_config",
    "config": "bridge.cli.config:config",
    "demo": "bridge.cli.demo:demo",
    "explain": "bridge.cli.explain:explain",
    "link": "bridge.cli.links:link",
    "password": "bridge.cli.passwords:password",
    "radicale": "bridge.cli.serve:radicale",
    "restore": "bridge.cli.backup:restore",
    "serve": "bridge.cli.serve:serve",
    "sidecar": "bridge.cli.serve:sidecar",
    "status": "bridge.cli.status:status",
    "sync": "bridge.cli.sync:sync",
    "token": "bridge.cli.tokens:token",
    "user": "bridge.cli.users:user",
    "webhook": "bridge.cli.webhooks:webhook",
}


class _Commands(click.Group):
    """Loads commands by name, and turns errors of the bridge into one sentence and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BridgeError as error:
            raise click.ClickException(sentence(error)) from error


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success, 1 refused or something is wrong, 2 wrong usage.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="BRIDGE_CONFIG",
    help="The settings file. Default: the variable BRIDGE_CONFIG, or config/bridge.toml if it exists.",
)
@click.option(
    "--log-level",
    type=click.Choice(logs.LEVELS),
    default="info",
    show_default=True,
    help="The lowest level that is logged.",
)
@click.version_option(package_name="crm-calendar-bridge")
@click.pass_context
def main(ctx: click.Context, config: Path | None, log_level: str) -> None:
    """Join people's iCloud calendars to their company's CRM.

    Start with `bridge user add`, `bridge account connect` and `bridge calendars set`; then run `bridge serve`.
    """
    logs.configure(log_level)
    ctx.obj = Opened(config, log_level)
