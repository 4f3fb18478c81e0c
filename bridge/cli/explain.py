"""`bridge explain`: why a time is blocked or free, and what was done with an event or an appointment."""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

import click

from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import facts, instant, json_option, print_json
from bridge.domain.english import count
from bridge.domain.explain import Finding
from bridge.domain.ical import Part
from bridge.domain.model import Role, User
from bridge.errors import Unknown
from bridge.sentences import sentence
from bridge.service import explain as explain_service
from bridge.service import roles, users
from bridge.service.explain import ThingExplained, TimeExplained
from bridge.store.db import Db

#: The most users, and the most calendars, that a hint names.
_FEW = 10


@click.command()
@click.argument("what", metavar="TIME|UID|ID")
@click.argument("user_id", metavar="[USER]", required=False)
@json_option
@pass_opened
def explain(opened: Opened, what: str, user_id: str | None, as_json: bool) -> None:
    """Tell why a time is blocked or free, or trace an event.

    TIME is a time such as 2027-03-09T10:00, in the user's time zone or with an offset. UID is the UID of an event in
    iCloud. ID is the id of an appointment (apt_…) or a blocked slot (ics_…, blk_…). USER can be left out if there is
    only one user.
    """
    at = _time(what)
    with opened.store(read_only=True) as db:
        if at is None:
            things = _things(db, what, user_id, opened.now)
            if as_json:
                print_json([_thing_facts(one) for one in things])
            else:
                for one in things:
                    _print_thing(one, users.get_user(db, one.user_id))
            return
        user = _user(db, user_id)
        # An hour that occurs twice, when clocks go back, means the first one.
        there = at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(user.time_zone))
        told = explain_service.time(db, user.id, int(there.timestamp()), now=opened.now)
    if as_json:
        print_json(_time_facts(told))
    else:
        _print_time(told, user)


def _things(db: Db, what: str, user_id: str | None, now: int) -> list[ThingExplained]:
    try:
        found = [one for one in explain_service.thing(db, what, now=now) if user_id in {None, one.user_id}]
    except Unknown:
        found = []
    if not found:
        raise click.ClickException(" ".join([sentence(Unknown("event", what)), *_hints(db, what, user_id)]))
    return found


def _hints(db: Db, what: str, user_id: str | None) -> list[str]:
    """Why there may be no such event."""
    if re.match(r"\d{2,4}[-./]\d", what):
        return ["A time is like 2027-03-09T10:00, 2027-03-09T10:00+01:00 or 2027-03-09T09:00Z."]
    if what.startswith(("apt_", "blk_", "ics_")):
        return []
    unread = [
        f"{calendar.name} ({user.id})"
        for user in (users.list_users(db) if user_id is None else [_user(db, user_id)])[:_FEW]
        for calendar in roles.list_calendars(db, user.id)
        if calendar.role == Role.NONE
    ]
    hint = "Or it was not there when its calendar was last read, or is in one that is not read"
    return [f"{hint}: {', '.join(unread[:_FEW])}" if unread else f"{hint}."]


def _time(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text.upper().replace("Z", "+00:00")) if text[:1].isdigit() else None
    except ValueError:
        return None


def _user(db: Db, user_id: str | None) -> User:
    if user_id is not None:
        return users.get_user(db, user_id)
    everybody = users.list_users(db)
    if len(everybody) != 1:
        raise click.UsageError("Say whose time: bridge explain TIME USER.")
    return everybody[0]


# --- For people ------------------------------------------------------------------------------------------------------


def _print_time(told: TimeExplained, user: User) -> None:
    zone = ZoneInfo(user.time_zone)
    when = dt.datetime.fromtimestamp(told.at, zone).isoformat(timespec="minutes")
    click.echo(f"{user.name} ({user.id}) is {'blocked' if told.blocked else 'free'} at {when}.")
    for finding in told.findings:
        _print_finding(finding, zone)
    if told.unreadable:
        click.echo(f"{count(len(told.unreadable), 'event')} can't be read; whether they are at this time is not known.")
    if not told.sources:
        click.echo("No calendar is read, so nothing in iCloud blocks.")
    for source in told.sources:
        trouble = f": {source.trouble}" if source.trouble else ""
        click.echo(f"{source.name} ({source.role}) was last read {instant(source.last_success_at)}{trouble}")
    if told.not_read:
        click.echo(f"Not read, so nothing in them blocks: {', '.join(told.not_read)}")


def _print_finding(finding: Finding, zone: dt.tzinfo) -> None:
    mark = "blocks" if finding.blocks else "does not block"
    where = f" in {finding.calendar.name}" if finding.calendar is not None else ""
    click.echo(f'- "{finding.title}"{where}, {_when(finding, zone)}: {mark}. {finding.sentence}')
    pairs: list[tuple[str, object]] = [("id", finding.id)]
    if finding.uid is not None:
        pairs.append(("UID", finding.uid))
    if finding.part != Part.SINGLE:
        pairs.append(("part", _PARTS[finding.part]))
    if finding.rule:
        pairs.append(("rule", finding.rule))
    if finding.moved_to is not None:
        pairs.append(("moved to", dt.datetime.fromtimestamp(finding.moved_to, zone).isoformat(timespec="minutes")))
    if finding.trouble:
        pairs.append(("trouble", finding.trouble))
    facts((f"  {name}", value) for name, value in pairs)


_PARTS = {
    Part.SERIES: "an instance of a series",
    Part.OVERRIDE: "an instance that was changed by itself",
    Part.ORPHAN: "a changed instance of a series that is elsewhere",
}


def _when(finding: Finding, zone: dt.tzinfo) -> str:
    if finding.all_day:
        start, end = (dt.datetime.fromtimestamp(at, zone) for at in (finding.start, finding.end))
        return f"all day from {start.date()} to {(end - dt.timedelta(seconds=1)).date()}"
    return _span(finding.start, finding.end, zone)


def _span(start: int, end: int, zone: dt.tzinfo) -> str:
    return " to ".join(dt.datetime.fromtimestamp(at, zone).isoformat(timespec="minutes") for at in (start, end))


def _print_thing(told: ThingExplained, user: User) -> None:
    zone = ZoneInfo(user.time_zone)
    click.echo(f"For user {user.id}:")
    for finding in told.findings:
        _print_finding(finding, zone)
    pairs: list[tuple[str, object]] = []
    if told.change is not None:
        what = "removed" if told.change.removed else "changed"
        pairs.append(
            ("merged calendar", f"{what} in revision {told.change.revision}, {instant(told.change.changed_at)}")
        )
    else:
        pairs.append(("merged calendar", "it was never there"))
    pairs += [("blocks next", _span(one.start, one.end, zone)) for one in told.next_times]
    if told.appointment is not None:
        pairs.append(("iCloud", told.appointment.sync_state))
        pairs.append(("last written", instant(told.appointment.synced_at)))
        pairs.append(("version", told.appointment.version))
    for push in told.pushes:
        entry = push.entry
        error = f": {entry.last_error}" if entry.last_error else ""
        tries = count(entry.attempts, "attempt")
        pairs.append(
            (f"push of {instant(push.created_at)}", f"{entry.state} since {instant(push.updated_at)}, {tries}{error}")
        )
    facts(pairs)


# --- For programs ----------------------------------------------------------------------------------------------------


def _time_facts(told: TimeExplained) -> dict[str, object]:
    return {
        "user_id": told.user_id,
        "at": instant(told.at),
        "blocked": told.blocked,
        "findings": [_finding_facts(one) for one in told.findings],
        "unreadable": [one.id for one in told.unreadable],
        "sources": told.sources,
        "not_read": told.not_read,
    }


def _thing_facts(told: ThingExplained) -> dict[str, object]:
    return {
        "user_id": told.user_id,
        "findings": [_finding_facts(one) for one in told.findings],
        "next_times": told.next_times,
        "change": told.change,
        "sync_state": told.appointment.sync_state if told.appointment else None,
        "version": told.appointment.version if told.appointment else None,
        "pushes": told.pushes,
    }


def _finding_facts(one: Finding) -> dict[str, object]:
    return {
        "blocks": one.blocks,
        "why": one.why,
        "sentence": one.sentence,
        "rule": one.rule,
        "kind": one.kind,
        "id": one.id,
        "uid": one.uid,
        "calendar": one.calendar.name if one.calendar else None,
        "title": one.title,
        "start": one.start,
        "end": one.end,
        "all_day": one.all_day,
        "part": one.part,
        "moved_to": None if one.moved_to is None else instant(one.moved_to),
        "trouble": one.trouble,
    }
