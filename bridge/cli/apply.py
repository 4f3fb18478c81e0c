"""`bridge apply`: make users and accounts as the settings file declares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridge.cli.opened import ACTOR, Opened, pass_opened
from bridge.cli.output import json_option, print_json, tell_logins
from bridge.domain.declared import Plan
from bridge.domain.english import count
from bridge.errors import SettingProblem, SettingsInvalid
from bridge.settings import load, path_of

if TYPE_CHECKING:
    from bridge.app import Bridge


@click.command()
@click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")
@json_option
@pass_opened
def apply(opened: Opened, dry_run: bool, as_json: bool) -> None:
    """Make users and accounts as the settings file declares them.

    The changes are printed first, and then made all at once; if the file has a mistake or a login does not work,
    nothing is changed. Users and accounts that are no longer in the file stay, and can then be changed by hand. A
    running bridge does all this by itself when the file changes.
    """
    from bridge.apply import apply as apply_declared  # noqa: PLC0415 - reaches the CalDAV client, slow to import
    from bridge.apply import line_of  # noqa: PLC0415

    path = path_of(opened.config)
    if path is None:
        problem = SettingProblem("", None, "is not there", "copy config/bridge.example.toml, or name one with --config")
        raise SettingsInvalid("config/bridge.toml", (problem,))
    settings = load(path, passwords=True)

    def show(plan: Plan) -> None:
        if not as_json:
            for change in plan.changes:
                click.echo(line_of(change))

    async def work(bridge: Bridge) -> Plan:
        return await apply_declared(bridge, settings, path, actor=ACTOR, show=show, trying=tell_logins, dry_run=dry_run)

    plan = opened.try_out(work) if dry_run else opened.run(work)
    if as_json:
        print_json({"applied": bool(plan.changes) and not dry_run, "changes": plan.changes})
    elif not plan.changes:
        click.echo(f"Everything is as {path} says.")
    else:
        click.echo(f"{count(len(plan.changes), 'change')}{'; nothing is done yet' if dry_run else ' made'}.")
