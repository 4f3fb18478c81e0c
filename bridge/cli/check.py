"""`bridge check-config`: whether the bridge can start, and do what its settings file declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from bridge import settings
from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import progress, tell_logins
from bridge.domain.model import Account
from bridge.errors import BridgeError
from bridge.secrets import open_vault
from bridge.sentences import sentence
from bridge.service import connect

if TYPE_CHECKING:
    from bridge.app import Bridge


@click.command("check-config")
@click.option("--connections", is_flag=True, help="Also log in to every account's server. Nothing is changed.")
@pass_opened
def check_config(opened: Opened, connections: bool) -> None:
    """Check settings, store and key, changing nothing.

    Exit code 1 means that something is wrong.

    Every mistake in the settings file is reported with its line and what to do about it. With --connections, the logins
    of all accounts are tried too, including those that so far are only in the file, and the calendars that the file
    names have to exist.
    """
    settings.load(opened.config, passwords=True)
    troubles = [*_check_files(opened), *(_check_connections(opened) if connections else ())]
    for trouble in troubles:
        click.echo(f"Wrong: {trouble}")
    if troubles:
        raise click.exceptions.Exit(1)
    click.echo("Everything is in order.")


def _check_files(opened: Opened) -> Iterator[str]:
    settings = opened.settings
    if not settings.radicale.config.exists():
        yield f"There is no file {settings.radicale.config}. Name Radicale's settings under [radicale] config."
    if not settings.store.path.exists():
        click.echo(f"There is no store at {settings.store.path} yet; the first start makes it.")
        return
    try:
        with opened.store(read_only=True) as db:
            if connect.list_accounts(db):
                open_vault(db, settings.secrets.key_file)
    except BridgeError as error:
        yield sentence(error)


def _check_connections(opened: Opened) -> list[str]:
    from bridge.apply import apply  # noqa: PLC0415 - reaches the CalDAV client, slow to import

    path = settings.path_of(opened.config)

    async def work(bridge: Bridge) -> list[str]:
        found = []
        for account in connect.list_accounts(bridge.db):
            progress(f"Asking {account.provider} as {account.username} …")
            trouble = await _ask(bridge, account)
            if trouble:
                found.append(f"{account.id} of {account.user_id}: {trouble}")
        if path is not None and opened.settings.users:
            try:
                await apply(
                    bridge, opened.settings, path, actor="", show=lambda _: None, trying=tell_logins, dry_run=True
                )
            except BridgeError as error:
                found.append(sentence(error))
        return found

    return opened.try_out(work)


async def _ask(bridge: Bridge, account: Account) -> str | None:
    try:
        await bridge.remotes.for_account(account).calendars(account.home_url)
    except BridgeError as error:
        return sentence(error)
    return None
