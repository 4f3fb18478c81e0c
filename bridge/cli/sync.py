"""`bridge sync`: read and write everything now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import json_option, print_json, progress, table
from bridge.domain import trouble
from bridge.domain.english import count
from bridge.domain.model import Account
from bridge.service import connect, mirror, push, users
from bridge.store.lock import at_work

if TYPE_CHECKING:
    from bridge.app import Bridge


@click.command()
@click.argument("user_id", metavar="[USER]", required=False)
@click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")
@json_option
@pass_opened
def sync(opened: Opened, user_id: str | None, dry_run: bool, as_json: bool) -> None:
    """Read calendars now, and write the appointments that are due.

    For USER, or for all users. The running sidecar does this all the time.
    """

    async def work(bridge: Bridge) -> list[tuple[Account, mirror.CalendarRun]]:
        if user_id is not None:
            users.get_user(bridge.db, user_id)
        accounts = connect.list_accounts(bridge.db, user_id)
        runs = []
        for number, account in enumerate(accounts, 1):
            progress(f"({number}/{len(accounts)}) {account.user_id}: {account.provider} {account.username} …")
            runs += [(account, run) for run in await _mirror(bridge, account, dry_run)]
        if not dry_run:
            await _push(bridge)
        return runs

    runs = opened.run(work)
    if as_json:
        print_json([{"user_id": account.user_id, "account_id": account.id, "run": run} for account, run in runs])
    else:
        table(
            ("USER", "CALENDAR", "LISTED", "FETCHED", "REMOVED", "HELD", "UNREADABLE", "TROUBLE"),
            [
                (
                    account.user_id,
                    run.calendar_name,
                    run.listed,
                    run.fetched,
                    run.removed,
                    run.held,
                    run.unreadable,
                    run.error or "",
                )
                for account, run in runs
            ],
        )
    if any(run.error for _, run in runs):
        raise click.exceptions.Exit(1)


async def _mirror(bridge: Bridge, account: Account, dry_run: bool) -> list[mirror.CalendarRun]:
    """One account's runs. An account that can't be reached does not keep the others from being read."""
    try:
        return await mirror.mirror_account(bridge, account.id, dry_run=dry_run)
    except mirror.ACCOUNT_TROUBLE as error:
        return [mirror.CalendarRun("", f"{account.provider} {account.username}", error=trouble.sentence(error))]


async def _push(bridge: Bridge) -> None:
    """Write what is due. A running sidecar is left to do that, which takes it less than a second."""
    with at_work(bridge.db.path) as alone:
        if not alone:
            progress("The sidecar, which is running, writes the appointments that are due.")
            return
        progress("Writing appointments …")
        push.take_over(bridge)
        progress(f"Written or tried: {count(await push.push_due(bridge), 'appointment')}.")
