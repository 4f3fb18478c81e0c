"""`bridge calendars`: which calendars are read and written, and what their blocked slots show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import facts, instant, json_option, print_json, progress, table
from bridge.domain.model import Calendar, SlotSettings, Titles
from bridge.errors import Unknown
from bridge.service import connect, roles

if TYPE_CHECKING:
    from bridge.app import Bridge


@click.group()
def calendars() -> None:
    """Choose which calendars are read and written.

    Each calendar has a role, and settings for its blocked slots. Name a calendar by its id, by its address, or by its
    name if no other calendar has the same.
    """


@calendars.command("list")
@click.argument("user_id", metavar="USER")
@json_option
@pass_opened
def list_calendars(opened: Opened, user_id: str, as_json: bool) -> None:
    """List the calendars of USER's accounts."""
    with opened.store(read_only=True) as db:
        found = roles.list_calendars(db, user_id)
        logins = {account.id: account.username for account in connect.list_accounts(db, user_id)}
    if as_json:
        print_json(found)
    else:
        table(
            ("ID", "NAME", "ACCOUNT", "ROLE", "WRITABLE", "TITLES", "LAST READ"),
            [
                (
                    one.id,
                    one.name if one.present else f"{one.name} (gone)",
                    logins[one.account_id],
                    one.role,
                    {True: "yes", False: "no", None: "?"}[one.writable],
                    one.settings.titles,
                    instant(one.last_success_at),
                )
                for one in found
            ],
        )


@calendars.command("set")
@click.argument("user_id", metavar="USER")
@click.option("--primary", metavar="CALENDAR", help="Appointments are written to it, and its events block time.")
@click.option("--no-primary", is_flag=True, help="Have no Primary: appointments are not written to iCloud.")
@click.option(
    "--conflict",
    "conflicts",
    multiple=True,
    metavar="CALENDAR",
    help="Its events block time; it is only read. Repeatable.",
)
@click.option("--no-conflicts", is_flag=True, help="Have no conflict calendars.")
@click.option(
    "--appointments",
    type=click.Choice([str(one) for one in roles.Appointments]),
    default=str(roles.Appointments.MOVE),
    show_default=True,
    help="For a new Primary: move upcoming appointments to it, or leave them until the CRM changes them.",
)
@json_option
@pass_opened
def set_roles(
    opened: Opened,
    *,
    user_id: str,
    primary: str | None,
    no_primary: bool,
    conflicts: tuple[str, ...],
    no_conflicts: bool,
    appointments: str,
    as_json: bool,
) -> None:
    """Choose USER's Primary and conflict calendars.

    The given conflict calendars replace the previous ones. What you do not mention stays as it is.
    """
    if (primary and no_primary) or (conflicts and no_conflicts):
        raise click.UsageError("Name calendars, or say that there are none, but not both.")
    if not (primary or no_primary or conflicts or no_conflicts):
        raise click.UsageError("Choose something: --primary, --no-primary, --conflict or --no-conflicts.")

    async def work(bridge: Bridge) -> roles.Change:
        known = roles.list_calendars(bridge.db, user_id)
        chosen: str | roles.Keep | None = None if no_primary else roles.KEEP
        if primary:
            chosen = _find(known, primary, user_id).id
        checked: Sequence[str] | roles.Keep = [] if no_conflicts else roles.KEEP
        if conflicts:
            checked = [_find(known, name, user_id).id for name in conflicts]
        progress("Reading the chosen calendars …")
        change = await roles.choose(
            bridge, user_id, primary=chosen, conflicts=checked, appointments=roles.Appointments(appointments)
        )
        opened.note(bridge.db, "calendars chosen", user_id)
        return change

    change = opened.run(work)
    if as_json:
        print_json(change)
    else:
        facts(
            [
                ("Primary", change.primary.name if change.primary else "none"),
                ("conflict", ", ".join(one.name for one in change.conflicts) or "none"),
                *([("no longer read", ", ".join(one.name for one in change.dropped))] if change.dropped else []),
                *([("appointments on their way", change.moved)] if change.moved else []),
                *((f"not read yet: {name}", what) for name, what in change.troubles),
            ]
        )
    if change.troubles:
        raise click.exceptions.Exit(1)


@calendars.command("settings")
@click.argument("user_id", metavar="USER")
@click.argument("name", metavar="CALENDAR")
@click.option(
    "--titles", type=click.Choice([str(one) for one in Titles]), help="Show the events' titles, or just Busy."
)
@click.option("--all-day/--no-all-day", default=None, help="Whether all-day events block.")
@click.option("--unanswered/--no-unanswered", default=None, help="Whether invitations not answered yet block.")
@click.option("--tentative/--no-tentative", default=None, help="Whether tentative events block.")
@click.option("--travel/--no-travel", default=None, help="Whether Apple's travel time blocks.")
@json_option
@pass_opened
def set_settings(
    opened: Opened,
    *,
    user_id: str,
    name: str,
    titles: str | None,
    all_day: bool | None,
    unanswered: bool | None,
    tentative: bool | None,
    travel: bool | None,
    as_json: bool,
) -> None:
    """Set which events of CALENDAR block time, and what is shown.

    Without options, print the settings.
    """
    given: dict[str, Any] = {
        "titles": None if titles is None else Titles(titles),
        "all_day_blocks": all_day,
        "unanswered_blocks": unanswered,
        "tentative_blocks": tentative,
        "travel_blocks": travel,
    }
    changes = {key: value for key, value in given.items() if value is not None}

    async def work(bridge: Bridge) -> SlotSettings:
        calendar = _find(roles.list_calendars(bridge.db, user_id), name, user_id)
        settings = replace(calendar.settings, **changes)
        if changes:
            progress("Updating its blocked slots …")
            roles.set_slot_settings(bridge, user_id, calendar.id, settings)
            opened.note(bridge.db, "calendar settings saved", calendar.id)
        return settings

    settings = opened.run(work)
    if as_json:
        print_json(settings)
        return
    facts(
        [
            ("titles", settings.titles),
            ("all-day events", _blocks(settings.all_day_blocks)),
            ("unanswered invitations", _blocks(settings.unanswered_blocks)),
            ("tentative events", _blocks(settings.tentative_blocks)),
            ("travel time", _blocks(settings.travel_blocks)),
        ]
    )


def _blocks(blocks: bool) -> str:
    return "block" if blocks else "do not block"


def _find(calendars: Sequence[Calendar], name: str, user_id: str) -> Calendar:
    """The calendar with this id or address, or the only one with this name. Raises `Unknown`."""
    exact = [one for one in calendars if name == one.id or name.rstrip("/") == one.url.rstrip("/")]
    found = exact or [one for one in calendars if one.present and one.name.casefold() == name.casefold()]
    if not found:
        raise Unknown("calendar", name, user_id)
    if len(found) > 1:
        raise click.ClickException(
            f'Several calendars are called "{name}". Name it by id: {", ".join(c.id for c in found)}'
        )
    return found[0]
