"""`bridge backup` and `bridge restore`: the whole store."""

from __future__ import annotations

from pathlib import Path

import click

from bridge import secrets as keys
from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import yes_option
from bridge.errors import BridgeError, StoreUnusable
from bridge.sentences import sentence
from bridge.service import backup as backups

_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.command()
@_file
@click.option(
    "--without-secrets", is_flag=True, help="Leave out all passwords; after a restore, accounts need theirs again."
)
@click.option("--with-key", is_flag=True, help="Include the key: anyone who has the file then has every password.")
@click.option("--replace", is_flag=True, help="Replace FILE if it exists.")
@pass_opened
def backup(opened: Opened, *, file: Path, without_secrets: bool, with_key: bool, replace: bool) -> None:
    """Copy the whole store to FILE.

    The bridge can be running. The copy is consistent, and only its owner can read it. It holds the passwords encrypted,
    as the store does; without the key they are useless, and the key is not included unless you ask for it. Keep a copy
    of the key elsewhere.
    """
    if without_secrets and with_key:
        raise click.UsageError("Use one of --without-secrets and --with-key.")
    key = keys.key_text(opened.settings.secrets.key_file) if with_key else None
    backups.back_up(opened.settings.store.path, file, secrets=not without_secrets, key=key, replace=replace)
    with opened.store() as db:
        opened.note(db, "backup made", file.name)
    click.echo(f"Copied {opened.settings.store.path} to {file}.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@yes_option("The backup takes the place of the store, which is kept beside it.")
@pass_opened
def restore(opened: Opened, file: Path) -> None:
    """Replace the store with the backup FILE. The bridge must not be running.

    The previous store is kept beside the new one. Calendar programs and the CRM notice the change, and fetch everything
    again. Appointments booked since the backup are gone from the bridge; their events in iCloud stay, and block time.
    """
    store, key_file = opened.settings.store.path, opened.settings.secrets.key_file
    try:
        kept, had_key = backups.restore(file, store, take_key=lambda key: keys.take_key(key, key_file), now=opened.now)
    except StoreUnusable as error:
        if error.path != str(file):
            raise
        raise click.ClickException(f"{file} can't be used: {error.reason}. Nothing was changed.") from error
    click.echo(f"Restored {file} to {store}.")
    if kept is not None:
        click.echo(f"The previous store is kept as {kept}.")
    if had_key:
        click.echo(f"Its key is in {key_file}.")
    with opened.store() as db:
        try:
            keys.open_vault(db, key_file)
        except BridgeError as error:
            click.echo(f"But before it can start: {sentence(error)}")
