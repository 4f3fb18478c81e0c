"""`bridge token`: the tokens with which programs use the HTTP API."""

from __future__ import annotations

import click

from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import instant, json_option, print_json, table
from bridge.service import users, webhooks


@click.group()
def token() -> None:
    """The tokens with which programs use the HTTP API."""


@token.command()
@click.argument("label")
@click.option(
    "--location",
    "locations",
    multiple=True,
    metavar="LOCATION",
    help="Only this location; repeatable. Default: all locations.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(users.SCOPES),
    help="What the token may do; repeatable. Default: read and write calendars and events.",
)
@json_option
@pass_opened
def add(opened: Opened, label: str, locations: tuple[str, ...], scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a token.

    LABEL says which program it is for.
    """
    scopes = scopes or tuple(scope for scope in users.SCOPES if scope.startswith("calendars"))
    with opened.store() as db:
        token_id, made = users.add_token(db, label=label, location_ids=locations, scopes=scopes, now=opened.now)
        opened.note(db, "API token made", token_id)
        known = {user.location_id for user in users.list_users(db)}
    if as_json:
        print_json({"id": token_id, "label": label, "token": made, "location_ids": locations, "scopes": scopes})
    else:
        click.echo(f"{made}\nShown only once. To revoke it: bridge token revoke {token_id}")
        for location in sorted(set(locations) - known):
            click.echo(f'No user has the location "{location}" yet. If it is mistyped, make another token.')


@token.command("list")
@json_option
@pass_opened
def list_tokens(opened: Opened, as_json: bool) -> None:
    """List the tokens, without the tokens themselves."""
    with opened.store(read_only=True) as db:
        found = users.list_tokens(db)
    if as_json:
        print_json(found)
    else:
        table(
            ("ID", "LABEL", "LOCATIONS", "SCOPES", "MADE", "REVOKED"),
            [
                (
                    one.id,
                    one.label,
                    " ".join(sorted(one.location_ids)) or "all",
                    " ".join(sorted(one.scopes)),
                    instant(one.created_at),
                    instant(one.revoked_at) if one.revoked_at else "",
                )
                for one in found
            ],
        )


@token.command()
@click.argument("token_id", metavar="ID")
@pass_opened
def revoke(opened: Opened, token_id: str) -> None:
    """Revoke the token ID.

    Webhooks that were made with it stay active, and are listed.
    """
    with opened.store() as db:
        users.revoke_token(db, token_id, opened.now)
        opened.note(db, "API token revoked", token_id)
        going_on = [one for one in webhooks.list_all(db, locations=None) if one.token_id == token_id]
    click.echo(f"Revoked {token_id}.")
    for one in going_on:
        click.echo(f"A webhook made with it still sends to {one.url}. To remove it: bridge webhook remove {one.id}")
