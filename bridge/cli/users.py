"""`bridge user`: the CRM users whose calendars are joined."""

from __future__ import annotations

import click

from bridge.cli.export import export
from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import facts, json_option, print_json, table
from bridge.domain import time_zones
from bridge.domain.english import count
from bridge.domain.model import TwoWay
from bridge.service import connect, users
from bridge.store.db import Db


def _time_zone(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    if time_zones.is_time_zone(name):
        return name
    raise click.BadParameter(f'"{name}" is no time zone: {time_zones.advice(name)}')


@click.group()
def user() -> None:
    """The CRM users who have a merged calendar."""


user.add_command(export)


@user.command()
@click.argument("user_id", metavar="ID")
@click.option("--location", required=True, metavar="LOCATION", help="The CRM's location that the user belongs to.")
@click.option("--name", default="", help="The user's name. Default: the id.")
@click.option(
    "--time-zone", callback=_time_zone, required=True, metavar="ZONE", help="The user's time zone, an IANA name."
)
@click.option("--password-label", default="first", show_default=True, help="What the first calendar password is for.")
@json_option
@pass_opened
def add(
    opened: Opened, *, user_id: str, location: str, name: str, time_zone: str, password_label: str, as_json: bool
) -> None:
    """Add the user ID, with a booking calendar and a password."""
    with opened.store() as db:
        added, booking_calendar = users.add_user(
            db,
            id=user_id,
            location_id=location,
            name=name,
            time_zone=time_zone,
            now=opened.now,
            two_way=opened.settings.defaults.two_way,
        )
        password_id, password = users.add_password(db, user_id, password_label, opened.now)
        opened.note(db, "user added", user_id)
    address = opened.settings.radicale.calendar_address(user_id)
    if as_json:
        print_json(
            {
                "user": added,
                "booking_calendar_id": booking_calendar.id,
                "calendar_address": address,
                "password_id": password_id,
                "password": password,
            }
        )
        return
    click.echo(f"Added {added.name}. The password is shown only once.")
    facts(
        [
            ("CalDAV address", address),
            ("user name", user_id),
            ("password", f"{password}  ({password_label}, {password_id})"),
            ("booking calendar", f"{booking_calendar.id}  (calendarId in the API)"),
        ]
    )
    click.echo(f"Next: bridge account connect {user_id} --provider icloud --username E-MAIL")


@user.command("list")
@json_option
@pass_opened
def list_users(opened: Opened, as_json: bool) -> None:
    """List the users."""
    with opened.store(read_only=True) as db:
        found = users.list_users(db)
    if as_json:
        print_json(found)
    else:
        table(
            ("ID", "NAME", "LOCATION", "TIME ZONE"),
            [(one.id, one.name, one.location_id, one.time_zone) for one in found],
        )


@user.command()
@click.argument("user_id", metavar="ID")
@json_option
@pass_opened
def show(opened: Opened, user_id: str, as_json: bool) -> None:
    """Show the user ID: addresses, booking calendars, accounts."""
    with opened.store(read_only=True) as db:
        found = users.get_user(db, user_id)
        booking_calendars = users.booking_calendars_of(db, user_id)
        accounts = connect.list_accounts(db, user_id)
    address = opened.settings.radicale.calendar_address(user_id)
    if as_json:
        print_json(
            {
                "user": found,
                "calendar_address": address,
                "booking_calendar_ids": booking_calendars,
                "account_ids": [account.id for account in accounts],
            }
        )
        return
    click.echo(found.name)
    facts(
        [
            ("id", found.id),
            ("location", found.location_id),
            ("time zone", found.time_zone),
            ("CalDAV address", address),
            ("booking calendars", ", ".join(booking_calendars) or "none"),
            ("accounts", ", ".join(f"{one.provider} {one.username} ({one.state})" for one in accounts) or "none"),
        ]
    )


@user.command()
@click.argument("user_id", metavar="ID")
@click.option("--name", default=None, help="The user's name.")
@click.option(
    "--time-zone",
    callback=lambda ctx, param, name: None if name is None else _time_zone(ctx, param, name),
    metavar="ZONE",
    help="The user's time zone. All-day events are adjusted.",
)
@click.option(
    "--two-way",
    type=click.Choice([str(one) for one in TwoWay]),
    help="When the user changes an appointment's event in iCloud: the appointment changes too (accept), the difference"
    " is only shown (report), or the event is changed back (restore).",
)
@pass_opened
def change(opened: Opened, *, user_id: str, name: str | None, time_zone: str | None, two_way: str | None) -> None:
    """Change the user ID. Without options, print the settings."""
    with opened.store() as db:
        changed = users.change_user(
            db,
            user_id,
            name=name,
            time_zone=time_zone,
            two_way=None if two_way is None else TwoWay(two_way),
            now=opened.now,
        )
        if (name, time_zone, two_way) != (None, None, None):
            opened.note(db, "user changed", user_id)
        choice = users.two_way(db, user_id)
    facts([("name", changed.name), ("time zone", changed.time_zone), ("changes made in iCloud", choice)])


@user.command()
@click.argument("user_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do it, without being asked.")
@pass_opened
def remove(opened: Opened, user_id: str, *, yes: bool) -> None:
    """Remove the user ID and all their data.

    Events in iCloud stay there.
    """
    with opened.store() as db:
        if not yes:
            _ask_to_remove(db, user_id)
        users.remove_user(db, user_id, now=opened.now)
        opened.note(db, "user removed", user_id)
    click.echo(f"Removed {user_id}. Events that are in iCloud stay there.")


def _ask_to_remove(db: Db, user_id: str) -> None:
    user = users.get_user(db, user_id)
    logins = ", ".join(account.username for account in connect.list_accounts(db, user_id))
    in_use = sum(one.revoked_at is None for one in users.list_passwords(db, user_id))
    click.echo(f"Remove {user.name} ({user.id}, location {user.location_id}), for good:", err=True)
    for line in (
        f"accounts with their passwords: {logins or 'none'}",
        f"the merged calendar, and {count(in_use, 'calendar password')} that open it",
        "appointments and blocked slots of the CRM; events in iCloud stay there",
    ):
        click.echo(f"  {line}", err=True)
    click.confirm("Do it?", abort=True, err=True)
