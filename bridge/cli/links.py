"""`bridge link`: a one-time link to the settings pages."""

from __future__ import annotations

import click

from bridge.cli.opened import ACTOR, Opened, pass_opened
from bridge.cli.output import instant, json_option, print_json
from bridge.service import sessions


@click.command()
@click.argument("user_id", metavar="USER")
@json_option
@pass_opened
def link(opened: Opened, user_id: str, as_json: bool) -> None:
    """Make a link to USER's settings pages.

    It signs USER in without a password, once, within half an hour.
    """
    with opened.store() as db:
        secret, expires_at = sessions.make_link(db, user_id, actor=ACTOR, now=opened.now)
    url = sessions.link_address(opened.settings.sidecar.address, secret)
    if as_json:
        print_json({"url": url, "expires_at": expires_at})
    else:
        click.echo(f"{url}\nWorks once, until {instant(expires_at)}. Whoever opens it is signed in as {user_id}.")
