"""`bridge password`: the passwords with which calendar programs log in."""

from __future__ import annotations

import click

from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import instant, json_option, print_json, table
from bridge.service import users


@click.group()
def password() -> None:
    """The passwords of calendar programs, one for each device."""


@password.command()
@click.argument("user_id", metavar="USER")
@click.argument("label")
@json_option
@pass_opened
def add(opened: Opened, user_id: str, label: str, as_json: bool) -> None:
    """Make a password for USER.

    LABEL says what it is for, such as "phone".
    """
    with opened.store() as db:
        password_id, made = users.add_password(db, user_id, label, opened.now)
        opened.note(db, "calendar password made", password_id)
    if as_json:
        print_json({"id": password_id, "label": label, "password": made})
    else:
        click.echo(f"{made}\nShown only once. To revoke it: bridge password revoke {user_id} {password_id}")


@password.command("list")
@click.argument("user_id", metavar="USER")
@json_option
@pass_opened
def list_passwords(opened: Opened, user_id: str, as_json: bool) -> None:
    """List the passwords of USER, without the passwords themselves."""
    with opened.store(read_only=True) as db:
        found = users.list_passwords(db, user_id)
    if as_json:
        print_json(found)
    else:
        table(
            ("ID", "LABEL", "MADE", "LAST USED", "REVOKED"),
            [
                (
                    one.id,
                    one.label,
                    instant(one.created_at),
                    instant(one.last_used_at),
                    instant(one.revoked_at) if one.revoked_at else "",
                )
                for one in found
            ],
        )


@password.command()
@click.argument("user_id", metavar="USER")
@click.argument("password_id", metavar="ID")
@pass_opened
def revoke(opened: Opened, user_id: str, password_id: str) -> None:
    """Revoke the password ID of USER.

    Programs that use it are refused from now on.
    """
    with opened.store() as db:
        users.revoke_password(db, user_id, password_id, opened.now)
        opened.note(db, "calendar password revoked", password_id)
    click.echo(f"Revoked {password_id}.")
