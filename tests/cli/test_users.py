"""Users, their calendar passwords, and API tokens, through the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.service import users
from bridge.store import passwords
from bridge.store.db import Db

if TYPE_CHECKING:
    from tests.cli.conftest import Command

ADD = ("user", "add", "anna", "--location", "loc_1", "--time-zone", "Europe/Berlin")


def test_adding_a_user_tells_all_that_a_calendar_program_needs(bridge: Command) -> None:
    said = bridge.done(*ADD, "--name", "Anna", "--password-label", "phone")

    assert "Added Anna." in said
    assert "http://127.0.0.1:5232/anna/crm/" in said
    assert "phone" in said
    assert "bridge account connect anna" in said


def test_the_address_is_the_public_one(bridge: Command, settings_file: Callable[[str], Path]) -> None:
    settings_file('[radicale]\npublic_url = "https://calendar.example.com"\n')

    assert bridge.json(*ADD)["calendar_address"] == "https://calendar.example.com/anna/crm/"


def test_the_password_shown_is_the_one_that_opens_the_calendar(bridge: Command) -> None:
    shown = bridge.json(*ADD)

    db = Db(Path("data/bridge.db"), read_only=True)
    with db.read() as tx:
        assert passwords.verify(tx, "anna", shown["password"]) == shown["password_id"]
        assert passwords.verify(tx, "anna", "something else") is None
    db.close()


def test_users_are_listed_and_shown(anna: Command) -> None:
    assert anna.json("user", "list") == [
        {"id": "anna", "location_id": "loc_1", "name": "Anna", "time_zone": "Europe/Berlin", "revision": 0}
    ]
    assert "anna  Anna  loc_1     Europe/Berlin" in anna.done("user", "list")
    shown = anna.json("user", "show", "anna")
    assert shown["user"]["name"] == "Anna"
    assert len(shown["booking_calendar_ids"]) == 1
    assert "accounts           none" in anna.done("user", "show", "anna")


def test_a_user_that_is_there_already_is_refused(anna: Command) -> None:
    assert 'There is already a user "anna". To list them: bridge user list' in anna.refused(*ADD)


def test_a_user_that_is_not_there_is_refused(anna: Command) -> None:
    for words in (("user", "show", "bob"), ("user", "remove", "bob", "--yes"), ("password", "list", "bob")):
        assert 'There is no user "bob"' in anna.refused(*words)


def test_an_id_that_does_not_fit_into_an_address_is_refused(bridge: Command) -> None:
    said = bridge.refused("user", "add", "an na", "--location", "loc_1", "--time-zone", "Europe/Berlin")

    assert "letters, digits" in said


def test_a_mistyped_time_zone_is_told_with_the_one_that_was_meant(bridge: Command) -> None:
    result = bridge("user", "add", "anna", "--location", "loc_1", "--time-zone", "Europe/Berln")

    assert result.exit_code == 2
    assert 'did you mean "Europe/Berlin"?' in result.output


def test_a_user_s_time_zone_and_what_icloud_may_change_can_be_set(anna: Command) -> None:
    said = anna.done("user", "change", "anna", "--time-zone", "America/New_York", "--two-way", "restore")

    assert "America/New_York" in said
    assert "restore" in said
    assert "America/New_York" in anna.done("user", "show", "anna")
    assert "restore" in anna.done("user", "change", "anna")


def test_removing_a_user_asks_unless_told_not_to(anna: Command) -> None:
    asked = anna("user", "remove", "anna", typed="n\n")
    assert asked.exit_code == 1
    assert "(anna, location " in asked.output
    assert "accounts with their passwords: none" in asked.output
    assert len(anna.json("user", "list")) == 1

    anna.done("user", "remove", "anna", "--yes")

    assert anna.json("user", "list") == []


def test_calendar_passwords_are_made_listed_and_revoked(anna: Command) -> None:
    made = anna.json("password", "add", "anna", "laptop")

    listed = anna.json("password", "list", "anna")
    assert {one["label"] for one in listed} == {"first", "laptop"}
    assert made["password"] not in str(listed)
    assert "hash" not in str(listed)

    anna.done("password", "revoke", "anna", made["id"])

    (revoked,) = [one for one in anna.json("password", "list", "anna") if one["id"] == made["id"]]
    assert revoked["revoked_at"].endswith("Z")
    assert "laptop" in anna.done("password", "list", "anna")


def test_a_password_of_somebody_else_is_not_revoked(anna: Command) -> None:
    bob = anna.json("user", "add", "bob", "--location", "loc_1", "--time-zone", "Europe/Berlin")

    assert "There is no calendar password" in anna.refused("password", "revoke", "anna", bob["password_id"])
    assert anna.json("password", "list", "bob")[0]["revoked_at"] is None


def test_tokens_are_made_listed_and_revoked(bridge: Command) -> None:
    made = bridge.json("token", "add", "crm", "--location", "loc_1", "--scope", "calendars/events.readonly")

    db = Db(Path("data/bridge.db"), read_only=True)
    token = users.authenticate_token(db, made["token"])
    assert token is not None
    assert (token.location_ids, token.scopes) == (frozenset({"loc_1"}), frozenset({"calendars/events.readonly"}))
    (listed,) = bridge.json("token", "list")
    assert (listed["id"], listed["label"], listed["revoked_at"]) == (made["id"], "crm", None)
    assert made["token"] not in str(listed)

    bridge.done("token", "revoke", made["id"])

    assert users.authenticate_token(db, made["token"]) is None
    assert "crm" in bridge.done("token", "list")
    db.close()


def test_a_token_for_a_location_without_users_says_so(anna: Command) -> None:
    said = anna.done("token", "add", "crm", "--location", "loc_1", "--location", "lok_1")

    assert 'No user has the location "lok_1" yet' in said
    assert '"loc_1"' not in said


def test_a_token_without_scopes_named_reads_and_writes_calendars_and_is_no_admin(bridge: Command) -> None:
    assert bridge.json("token", "add", "crm")["scopes"] == [
        "calendars.readonly",
        "calendars.write",
        "calendars/events.readonly",
        "calendars/events.write",
    ]


@pytest.mark.parametrize("words", [("token", "add", "crm", "--scope", "everything"), ("user", "add", "anna")])
def test_what_is_typed_wrongly_is_exit_code_2(bridge: Command, words: tuple[str, ...]) -> None:
    assert bridge(*words).exit_code == 2


def test_a_token_that_is_not_there_is_refused(bridge: Command) -> None:
    bridge.done("token", "add", "crm")

    assert 'There is no token "tok_0"' in bridge.refused("token", "revoke", "tok_0")
