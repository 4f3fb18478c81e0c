"""`bridge status`: how everything is doing."""

from __future__ import annotations

import click

from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import instant, json_option, print_json
from bridge.domain.english import count
from bridge.domain.model import AccountState
from bridge.service.status import AccountStatus, CalendarStatus, UserStatus
from bridge.service.status import status as status_of


@click.command()
@click.argument("user_id", metavar="[USER]", required=False)
@json_option
@pass_opened
def status(opened: Opened, user_id: str | None, as_json: bool) -> None:
    """Show the state of USER, or of all users.

    Exit code 1 means that something needs attention, such as a calendar that was read too long ago.
    """
    stale = opened.now - opened.settings.booking.stale_seconds
    with opened.store(read_only=True) as db:
        found = status_of(db, user_id)
    if as_json:
        print_json(found)
    elif found:
        for one in found:
            _print_user(one, stale)
    else:
        click.echo("There are no users yet. Add one: bridge user add ID --location LOCATION --time-zone ZONE")
    if any(_needs_attention(one, stale) for one in found):
        raise click.exceptions.Exit(1)


def _needs_attention(user: UserStatus, stale: int) -> bool:
    return bool(user.failed or user.advice) or any(
        account.state == AccountState.NEEDS_PASSWORD or any(_is_stale(one, stale) for one in account.calendars)
        for account in user.accounts
    )


def _is_stale(calendar: CalendarStatus, stale: int) -> bool:
    """Whether it was last read before the instant `stale`, so that its user's time is not offered."""
    return (calendar.last_success_at or 0) < stale


def _print_user(user: UserStatus, stale: int) -> None:
    click.echo(f"{user.name} ({user.id}), revision {user.revision}")
    for account in user.accounts:
        _print_account(account, stale)
    if user.waiting:
        click.echo(f"  on its way: {count(user.waiting, 'appointment')}")
    for failed in user.failed:
        click.echo(f"  not written: {failed.id} of {instant(failed.start)}: {failed.error}")
    for advice in user.advice:
        click.echo(f"  {advice}")


def _print_account(account: AccountStatus, stale: int) -> None:
    reason = f": {account.reason}" if account.reason else ""
    click.echo(f"  {account.provider} {account.username} ({account.id}): {account.state}{reason}")
    for calendar in account.calendars:
        click.echo(f"    {calendar.name} ({calendar.role}): {_state(calendar, account, stale)}")


def _state(calendar: CalendarStatus, account: AccountStatus, stale: int) -> str:
    parts = [count(calendar.objects, "event"), f"read {instant(calendar.last_success_at)}"]
    if calendar.last_success_at is not None and _is_stale(calendar, stale):
        parts.append("too long ago to offer free time")
    if calendar.unreadable:
        parts.append(f"{calendar.unreadable} unreadable ({' '.join(calendar.why_unreadable)})")
    if calendar.held:
        parts.append(f"{calendar.held} held")
    if calendar.trouble and calendar.trouble != account.reason:  # what keeps all of them from being read is said once
        parts.append(calendar.trouble)
    return ", ".join(parts)
