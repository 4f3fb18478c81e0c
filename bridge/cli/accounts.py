"""`bridge account`: the iCloud and other CalDAV logins of users."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

import click

from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import instant, json_option, print_json, progress, table
from bridge.domain.english import count
from bridge.domain.model import Account
from bridge.errors import Unknown
from bridge.service import connect as connecting
from bridge.service import preview, roles, users
from bridge.service.preview import DisconnectPreview


@click.group()
def account() -> None:
    """The iCloud and other CalDAV logins of users."""


@account.command()
@click.argument("user_id", metavar="USER")
@click.option(
    "--provider", default="icloud", show_default=True, help="NAME of a table [providers.NAME] in the settings."
)
@click.option("--username", required=True, help="For iCloud: the primary e-mail address of the Apple Account.")
@click.option("--password-file", type=click.File(), help="A file whose first line is the password.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, as one line.")
@json_option
@pass_opened
def connect(
    opened: Opened,
    *,
    user_id: str,
    provider: str,
    username: str,
    password_file: TextIO | None,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Connect an account for USER, or renew its password.

    If the account is already connected, its password is replaced. The login is tried at the server first, and nothing
    is stored unless it works. You are asked for the password, unless an option says where to read it. It is never an
    argument, because other users of the machine could see it.
    """
    password = _password(password_file, password_stdin)
    progress(f"Trying the login of {username} at {provider} …")
    connected = opened.run(lambda bridge: connecting.connect(bridge, user_id, provider, username, password))
    with opened.store() as db:
        opened.note(db, "account connected", connected.id)
        found = [one for one in roles.list_calendars(db, user_id) if one.account_id == connected.id]
    if as_json:
        print_json({"account": connected, "calendars": found})
        return
    click.echo(f"Connected {username} as {connected.id}, with {count(len(found), 'calendar')}:")
    for one in found:
        click.echo(f"  {one.name}")
    click.echo(f"Next: bridge calendars set {user_id} --primary CALENDAR --conflict CALENDAR")


def _password(file: TextIO | None, stdin: bool) -> str:
    if file is not None and stdin:
        raise click.UsageError("Use one of --password-file and --password-stdin.")
    source = sys.stdin if stdin else file
    password = click.prompt("Password", hide_input=True, err=True) if source is None else source.readline()
    password = password.rstrip("\r\n")
    if not password:
        raise click.UsageError("The password is empty.")
    return password


@account.command("list")
@click.argument("user_id", metavar="[USER]", required=False)
@json_option
@pass_opened
def list_accounts(opened: Opened, user_id: str | None, as_json: bool) -> None:
    """List the accounts of USER, or of all users."""
    with opened.store(read_only=True) as db:
        if user_id is not None:
            users.get_user(db, user_id)
        found = connecting.list_accounts(db, user_id)
    if as_json:
        print_json(found)
    else:
        table(
            ("ID", "USER", "PROVIDER", "USER NAME", "STATE", "SINCE"),
            [(one.id, one.user_id, one.provider, one.username, one.state, instant(one.state_since)) for one in found],
        )


@account.command()
@click.argument("user_id", metavar="USER")
@click.argument("name", metavar="ACCOUNT")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@pass_opened
def disconnect(opened: Opened, user_id: str, name: str, *, yes: bool) -> None:
    """Forget ACCOUNT of USER, its password and its blocked slots. Nothing changes in iCloud.

    An account is named by its id, or by its user name where only one has that name.
    """
    with opened.store(read_only=True) as db:
        user = users.get_user(db, user_id)
        one = _find(connecting.list_accounts(db, user_id), name, user_id)
        will = preview.disconnect_preview(db, user_id, one.id, now=opened.now)
    if not yes:
        click.echo(f"Disconnect {one.username} ({one.provider}) of {user.name}:", err=True)
        for line in _consequences(will):
            click.echo(f"  {line}", err=True)
        click.confirm("Do it?", abort=True, err=True)
    opened.run(lambda bridge: connecting.disconnect(bridge, user_id, one.id))
    with opened.store() as db:
        opened.note(db, "account disconnected", one.id)
    click.echo(f"Disconnected {one.username} ({one.id}).")


def _find(accounts: Sequence[Account], name: str, user_id: str) -> Account:
    """The account with this id, or the only one with this user name. Raises `Unknown`."""
    found = [one for one in accounts if one.id == name] or [one for one in accounts if one.username == name]
    if not found:
        raise Unknown("account", name, user_id)
    if len(found) > 1:
        raise click.ClickException(f'Several accounts have the user name "{name}". Name one by its id.')
    return found[0]


def _consequences(will: DisconnectPreview) -> Iterator[str]:
    if will.calendars:
        yield f"No longer read: {', '.join(calendar.name for calendar in will.calendars)}."
    if will.going:
        yield f"Removed at once: {count(will.going, 'blocked slot')} ahead. The CRM may book that time."
    if will.written:
        yield f"Kept, in the CRM and on the server: {count(will.written, 'appointment')} ahead."
    if will.waiting:
        yield f"Not written: {count(will.waiting, 'appointment')} on the way to it, until there is another Primary."
    if will.loses_primary:
        yield "No Primary calendar is left: the CRM can't book until another one is chosen."
    yield "Erased for good: the stored password."
