"""Connecting accounts and choosing calendars, through the command, at a real CalDAV server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.store import accounts
from bridge.store.db import Db

if TYPE_CHECKING:
    from tests.cli.conftest import Command
    from tests.upstreams import Login

EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:dentist\r\nDTSTAMP:20261101T000000Z\r\n"
    "DTSTART:20270301T100000Z\r\nDTEND:20270301T110000Z\r\nSUMMARY:Dentist\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def connect(bridge: Command, upstream: Login) -> str:
    words = ("account", "connect", "anna", "--provider", "home", "--username", upstream.username, "--password-stdin")
    account_id: str = bridge.json(*words, typed=f"{upstream.password}\n")["account"]["id"]
    return account_id


def stored_accounts() -> int:
    db = Db(Path("data/bridge.db"), read_only=True)
    with db.read() as tx:
        count = len(accounts.all_of(tx))
    db.close()
    return count


def test_connecting_tells_what_was_found_and_what_to_do_next(anna: Command, home: Login) -> None:
    home.make_calendar("Private")

    said = anna.done(
        *("account", "connect", "anna", "--provider", "home", "--username", home.username),
        typed=f"{home.password}\n",
    )

    assert f"Connected {home.username}" in said
    assert "  Private\n" in said
    assert "bridge calendars set anna --primary" in said
    assert home.password not in said


def test_the_password_can_come_from_a_file(anna: Command, home: Login, tmp_path: Path) -> None:
    home.make_calendar("Private")
    (tmp_path / "password").write_text(f"{home.password}\n")

    anna.done(
        *("account", "connect", "anna", "--provider", "home", "--username", home.username),
        *("--password-file", "password"),
    )

    assert stored_accounts() == 1


def test_the_stored_password_is_sealed(anna: Command, home: Login, tmp_path: Path) -> None:
    home.make_calendar("Private")

    connect(anna, home)

    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("bridge.db*"))
    assert home.username.encode() in stored
    assert home.password.encode() not in stored


@pytest.mark.parametrize("options", [("--password-stdin",), ()])
def test_an_empty_password_is_a_mistake_of_typing(anna: Command, options: tuple[str, ...]) -> None:
    result = anna("account", "connect", "anna", "--username", "anna@example.com", *options, typed="\n")

    assert result.exit_code != 0
    assert stored_accounts() == 0


def test_the_password_has_one_source(anna: Command, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")

    result = anna(
        *("account", "connect", "anna", "--username", "anna@example.com"),
        *("--password-file", "password", "--password-stdin"),
    )

    assert result.exit_code == 2


def test_a_wrong_password_is_refused_and_nothing_is_stored(anna: Command, home: Login) -> None:
    home.make_calendar("Private")

    said = anna.refused(
        *("account", "connect", "anna", "--provider", "home", "--username", home.username, "--password-stdin"),
        typed="wrong-password\n",
    )

    assert "refuses the user name or the password" in said
    assert "wrong-password" not in said
    assert stored_accounts() == 0


def test_a_server_that_is_not_there_is_told(
    anna: Command, settings_file: Callable[[str], Path], unused_port: int
) -> None:
    settings_file(f'[providers.home]\nurl = "http://127.0.0.1:{unused_port}/"\n')

    said = anna.refused(
        *("account", "connect", "anna", "--provider", "home", "--username", "alice", "--password-stdin"),
        typed="secret\n",
    )

    assert "nothing listens there" in said
    assert "[providers.home]" in said


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("200 OK", "does not answer like a CalDAV server"),
        ("404 Not Found", "does not answer like a CalDAV server"),
        ("405 Method Not Allowed", "does not answer like a CalDAV server"),
        ("403 Forbidden", "refuses access, but not because of the password"),
        ("429 Too Many Requests", "asks us to slow down"),
        ("503 Service Unavailable", "asks us to slow down"),
        ("500 Internal Server Error", "has a problem of its own"),
    ],
)
def test_a_server_that_does_not_let_us_in_is_told_for_what_it_said(
    anna: Command, broken_home: Callable[[str], None], status: str, said: str
) -> None:
    broken_home(status)

    assert said in anna.refused(
        *("account", "connect", "anna", "--provider", "home", "--username", "alice", "--password-stdin"),
        typed="secret\n",
    )


def test_a_login_without_calendars_is_told(anna: Command, home: Login) -> None:
    said = anna.refused(
        *("account", "connect", "anna", "--provider", "home", "--username", home.username, "--password-stdin"),
        typed=f"{home.password}\n",
    )

    assert "has no calendar for events" in said
    assert stored_accounts() == 0


def test_an_unknown_provider_is_told_with_those_there_are(anna: Command, home: Login) -> None:
    said = anna.refused(
        "account", "connect", "anna", "--provider", "hom", "--username", "alice", "--password-stdin", typed="x"
    )

    assert 'There is no provider "hom". Use one of these: home, icloud;' in said


def test_accounts_are_listed_without_their_secrets(anna: Command, home: Login) -> None:
    home.make_calendar("Private")
    account_id = connect(anna, home)

    (listed,) = anna.json("account", "list")

    assert (listed["id"], listed["user_id"], listed["provider"], listed["state"]) == (
        account_id,
        "anna",
        "home",
        "connected",
    )
    assert "secret" not in listed
    assert anna.json("account", "list", "anna") == [listed]
    assert home.username in anna.done("account", "list")
    assert 'There is no user "bob"' in anna.refused("account", "list", "bob")


def test_disconnecting_asks_and_then_forgets(anna: Command, home: Login) -> None:
    home.put(home.make_calendar("Private"), "dentist.ics", EVENT)
    account_id = connect(anna, home)

    anna.done("calendars", "set", "anna", "--primary", "Private")
    asked = anna("account", "disconnect", "anna", account_id, typed="n\n")
    assert asked.exit_code == 1
    for words in (
        f"Disconnect {home.username} (home) of",
        "No longer read: Private.",
        "Removed at once: 1 blocked slot ahead. The CRM may book that time.",
        "No Primary calendar is left",
        "Erased for good: the stored password.",
    ):
        assert words in asked.output
    assert stored_accounts() == 1
    assert "Disconnected" in anna.done("account", "disconnect", "anna", home.username, "--yes")

    assert stored_accounts() == 0
    again = anna.refused("account", "disconnect", "anna", account_id, "--yes")
    assert f'There is no account "{account_id}". To list them: bridge account list anna' in again


@pytest.fixture
def chosen(anna: Command, home: Login) -> Command:
    """The command, once "Private", with one event, and two calendars called "Work" are known."""
    home.put(home.make_calendar("Private"), "dentist.ics", EVENT)
    home.make_calendar("Work")
    home.make_calendar("Work")
    connect(anna, home)
    return anna


def test_calendars_are_chosen_by_name_id_and_address(chosen: Command) -> None:
    work, other = [one for one in chosen.json("calendars", "list", "anna") if one["name"] == "Work"]

    change = chosen.json(
        "calendars", "set", "anna", "--primary", "private", "--conflict", work["id"], "--conflict", other["url"]
    )

    assert change["primary"]["name"] == "Private"
    assert {one["id"] for one in change["conflicts"]} == {work["id"], other["id"]}
    roles = {one["id"]: one["role"] for one in chosen.json("calendars", "list", "anna")}
    assert sorted(roles.values()) == ["conflict", "conflict", "primary"]


def test_what_is_not_named_stays(chosen: Command) -> None:
    chosen.done("calendars", "set", "anna", "--primary", "Private")

    change = chosen.json("calendars", "set", "anna", "--no-conflicts")
    assert change["primary"]["name"] == "Private"

    assert chosen.json("calendars", "set", "anna", "--no-primary")["primary"] is None


def test_a_name_that_two_calendars_have_is_refused_with_their_ids(chosen: Command) -> None:
    ids = [one["id"] for one in chosen.json("calendars", "list", "anna") if one["name"] == "Work"]

    said = chosen.refused("calendars", "set", "anna", "--conflict", "Work")

    assert all(id in said for id in ids)


def test_a_calendar_that_is_not_there_is_refused(chosen: Command) -> None:
    assert 'There is no calendar "Hobby"' in chosen.refused("calendars", "set", "anna", "--primary", "Hobby")


@pytest.mark.parametrize(
    "options", [(), ("--primary", "Private", "--no-primary"), ("--conflict", "x", "--no-conflicts")]
)
def test_a_choice_of_nothing_or_of_both_is_a_mistake_of_typing(chosen: Command, options: tuple[str, ...]) -> None:
    assert chosen("calendars", "set", "anna", *options).exit_code == 2


def test_what_a_calendar_shows_is_set_and_told(chosen: Command) -> None:
    chosen.done("calendars", "set", "anna", "--primary", "Private")

    chosen.done("calendars", "settings", "anna", "Private", "--titles", "title", "--no-all-day", "--no-travel")

    assert chosen.json("calendars", "settings", "anna", "Private") == {
        "titles": "title",
        "all_day_blocks": False,
        "unanswered_blocks": True,
        "tentative_blocks": True,
        "travel_blocks": False,
    }
    assert "all-day events          do not block" in chosen.done("calendars", "settings", "anna", "Private")
    (private,) = [one for one in chosen.json("calendars", "list", "anna") if one["name"] == "Private"]
    assert private["settings"]["titles"] == "title"


def test_sync_reads_what_is_new_and_a_dry_run_only_says_so(chosen: Command, home: Login) -> None:
    chosen.done("calendars", "set", "anna", "--primary", "Private")
    (private,) = [one for one in chosen.json("calendars", "list", "anna") if one["name"] == "Private"]
    home.put(private["url"], "second.ics", EVENT.replace("dentist", "second"))

    def objects() -> int:
        (user,) = chosen.json("status", "anna")
        count: int = user["accounts"][0]["calendars"][0]["objects"]
        return count

    (would,) = chosen.json("sync", "anna", "--dry-run")
    assert (would["run"]["fetched"], objects()) == (1, 1)

    (did,) = chosen.json("sync")
    assert (did["run"]["fetched"], did["run"]["error"], objects()) == (1, None, 2)
    assert "Private" in chosen.done("sync", "anna")


def test_sync_of_a_server_that_is_gone_is_exit_code_1_and_says_why(
    chosen: Command, settings_file: Callable[[str], Path], unused_port: int
) -> None:
    chosen.done("calendars", "set", "anna", "--primary", "Private")
    (private,) = [one for one in chosen.json("calendars", "list", "anna") if one["name"] == "Private"]
    db = Db(Path("data/bridge.db"))
    with db.write() as tx:
        tx.execute("UPDATE accounts SET home_url = :url", {"url": f"http://127.0.0.1:{unused_port}/"})
    db.close()

    said = chosen.refused("sync")

    assert "Nothing answers at the server's address" in said
    assert "unreachable" in chosen("status").output
    assert private["role"] == "primary"


def test_sync_of_somebody_unknown_is_refused(anna: Command) -> None:
    assert 'There is no user "bob"' in anna.refused("sync", "bob")


def test_status_tells_what_is_still_to_be_done(anna: Command, home: Login) -> None:
    assert "No account is connected yet." in anna.refused("status")

    home.make_calendar("Private")
    connect(anna, home)

    assert "No Primary calendar is chosen" in anna.refused("status", "anna")


def test_status_says_how_many_events_can_not_be_read_and_why(chosen: Command) -> None:
    chosen.done("calendars", "set", "anna", "--primary", "Private")
    db = Db(Path("data/bridge.db"))
    with db.write() as tx:  # no server here takes such an event
        tx.execute("UPDATE mirror_items SET unreadable = 'The object holds no event.'")
    db.close()

    assert "1 event, read" in chosen("status").output
    assert "1 unreadable (The object holds no event.)" in chosen("status").output


def test_status_calls_for_attention_when_a_calendar_was_read_too_long_ago(chosen: Command) -> None:
    chosen.done("calendars", "set", "anna", "--primary", "Private")
    chosen.done("status")
    db = Db(Path("data/bridge.db"))
    with db.write() as tx:  # as if its server had not answered for longer than `[booking] stale_seconds`
        tx.execute("UPDATE calendars SET last_success_at = last_success_at - 1000 WHERE role <> 'none'")
    db.close()

    assert "too long ago to offer free time" in chosen.refused("status")


def test_status_of_a_store_without_users_says_how_to_add_one(bridge: Command) -> None:
    bridge.done("token", "add", "crm")

    assert "bridge user add" in bridge.done("status")
