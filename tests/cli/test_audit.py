"""What an administrator does at a terminal is in the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bridge.service import audit
from bridge.store.db import Db

if TYPE_CHECKING:
    from tests.cli.conftest import Command
    from tests.upstreams import Login


def audited() -> list[tuple[str, str]]:
    """What the command line did and to whom, oldest first."""
    db = Db(Path("data/bridge.db"), read_only=True)
    entries = audit.latest(db, limit=50)
    db.close()
    assert {one.actor for one in entries} == {"command line"}
    return [(one.action, one.subject) for one in reversed(entries)]


def test_everything_that_changes_something_is_noted_and_nothing_that_only_looks(anna: Command, home: Login) -> None:
    home.make_calendar("Private")
    login = ("--provider", "home", "--username", home.username, "--password-stdin")
    account = anna.json("account", "connect", "anna", *login, typed=f"{home.password}\n")["account"]["id"]
    (calendar,) = anna.json("calendars", "list", "anna")
    anna.done("calendars", "set", "anna", "--primary", "Private")
    anna.done("calendars", "settings", "anna", "Private", "--titles", "title")
    anna.done("calendars", "settings", "anna", "Private")
    password = anna.json("password", "add", "anna", "phone")
    anna.done("password", "revoke", "anna", password["id"])
    token = anna.json("token", "add", "crm")
    anna.done("token", "revoke", token["id"])
    anna.done("user", "change", "anna", "--name", "Anne")
    anna.done("user", "change", "anna")
    anna.done("link", "anna")
    anna.done("account", "disconnect", "anna", account, "--yes")
    anna.done("user", "remove", "anna", "--yes")

    entries = audited()

    assert entries == [
        ("user added", "anna"),
        ("account connected", account),
        ("calendars chosen", "anna"),
        ("calendar settings saved", calendar["id"]),
        ("calendar password made", password["id"]),
        ("calendar password revoked", password["id"]),
        ("API token made", token["id"]),
        ("API token revoked", token["id"]),
        ("user changed", "anna"),
        ("settings link made", "anna"),
        ("account disconnected", account),
        ("user removed", "anna"),
    ]
    assert not [secret for secret in (home.password, password["password"], token["token"]) if secret in repr(entries)]


def test_what_was_refused_is_not_noted(anna: Command) -> None:
    anna.refused("user", "add", "anna", "--location", "loc_1", "--time-zone", "Europe/Berlin")
    anna.refused("user", "remove", "bob", "--yes")

    assert audited() == [("user added", "anna")]
