"""Applies what the settings file declares: for `bridge apply`, and for a sidecar whose file has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bridge.domain.declared import Change, Plan, Problem, What
from bridge.errors import NoAnswer, SettingsInvalid
from bridge.sentences import sentence
from bridge.service import declare
from bridge.service.context import Context
from bridge.service.declare import Declaration, Planned
from bridge.settings import Settings
from bridge.settings import declaration as written

#: Reasons of failed logins that may work later without anybody changing anything.
PASSING = {*NoAnswer, "throttled", "server_error"}


class NotNow(SettingsInvalid):
    """Nothing is wrong with the file itself, but servers can't be reached just now: apply it again later."""


async def apply(
    context: Context,
    settings: Settings,
    path: Path,
    *,
    actor: str,
    show: Callable[[Plan], None],
    trying: Callable[[int], None] = lambda _logins: None,
    dry_run: bool = False,
) -> Plan:
    """Make Users, Accounts and Calendars as the file at `path` declares them: all of it, or nothing.

    `trying` is called with the number of logins before they are tried at their servers, and `show` with the plan
    before it is carried out; with `dry_run`, it is not carried out. `settings` must have been loaded with passwords.
    `actor` is who does it, for the audit log.

    Raises `SettingsInvalid`, with lines of the file, when something declared is impossible, and `NotNow` when that is
    only because servers can't be reached. Nothing is changed then.
    """
    declaration = Declaration(written.declared(settings), str(path), settings.defaults.two_way)
    while True:
        planned = await declare.plan(context, declaration, trying=trying)
        if not planned.possible:
            raise _refused(path, planned)
        show(planned.plan)
        if dry_run or not planned.plan.changes:
            return planned.plan
        if await declare.carry_out(context, declaration, planned, actor=actor):
            return planned.plan


def _refused(path: Path, planned: Planned) -> SettingsInvalid:
    logins = [
        Problem((*account.place, "username"), "can't be connected", sentence(error))
        for account, error in planned.failed
    ]
    refused = written.refused(path, [*logins, *planned.plan.problems])
    passing = not planned.plan.problems and all(error.reason in PASSING for _, error in planned.failed)
    return NotNow(refused.path, refused.problems) if passing else refused


def line_of(change: Change) -> str:
    """A change as a line of text, for the terminal and the log."""
    subject = "" if change.subject == change.user_id else f" {change.subject}"
    what = _WORDS[change.what]
    match change.action:
        case "add":
            return f"+ {change.user_id}: {what}{subject}{f' ({change.after})' if change.after else ''}"
        case "set":
            before = f"{change.before} → " if change.before else ""
            return f"~ {change.user_id}:{subject} {change.field}: {before}{change.after}"
        case "fix":
            return f"= {change.user_id}: {what}{subject}: stays, and is changed in the file only"
        case _:
            return f"- {change.user_id}: {what}{subject}: no longer in the file; it stays, and can be changed elsewhere"


_WORDS = {
    What.USER: "user",
    What.TWO_WAY: "changes made in iCloud",
    What.ACCOUNT: "account",
    What.PRIMARY: "Primary",
    What.CONFLICTS: "conflict calendars of",
    What.SLOTS: "settings of",
}
