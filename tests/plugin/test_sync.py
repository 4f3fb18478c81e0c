"""sync-collection (RFC 6578): what a client has after following tokens is what the calendar holds."""

from __future__ import annotations

import pytest

from bridge.service import users
from bridge.store import published
from bridge.store.db import Db

from .conftest import NOW, World, application, ics
from .dav import CRM, Client, clark, name


def one(uid: str, hour: int = 9) -> str:
    return ics(uid, f":20270311T{hour:02}0000Z", f":20270311T{hour + 1:02}0000Z")


def etags(answer) -> dict[str, str | None]:
    return {
        name(href): None if resource.status == 404 else resource.text("D:getetag")
        for href, resource in answer.resources.items()
    }


def test_the_first_sync_is_complete(week: World, no_parsing: None) -> None:
    listed = week.ada.propfind(CRM, "D:getetag", depth="1").resources
    answer = week.ada.sync()
    assert etags(answer) == {name(href): found.text("D:getetag") for href, found in listed.items() if href != CRM}
    assert answer.sync_token == week.ada.propfind(CRM, "D:sync-token").one.text("D:sync-token")


def test_nothing_new(week: World, no_parsing: None) -> None:
    token = week.ada.sync().sync_token
    answer = week.ada.sync(token)
    assert (answer.resources, answer.sync_token) == ({}, token)


def test_what_is_new_changed_and_gone(week: World, no_parsing: None) -> None:
    first = week.ada.sync()
    before = etags(first)
    added = week.publish("new", one("new"))
    changed = week.publish("monday", one("monday"))
    removed = week.publish("tuesday", ics("tuesday", ":20270309T120000Z", ":20270309T130000Z"))
    week.publish("tuesday", None)
    answer = week.ada.sync(first.sync_token)
    delta = etags(answer)
    assert set(delta) == {added, changed, removed}
    assert delta[removed] is None
    assert delta[added] and delta[changed] not in {None, before[changed]}
    assert answer.resources[CRM + removed].status == 404
    assert answer.sync_token != first.sync_token
    assert week.ada.sync(answer.sync_token).resources == {}


def test_what_came_and_went_between_two_syncs_is_gone(week: World) -> None:
    token = week.ada.sync().sync_token
    href = week.publish("brief", one("brief"))
    week.publish("brief", None)
    assert etags(week.ada.sync(token)) in ({}, {href: None})


def test_what_comes_back_is_there_again(week: World) -> None:
    token = week.ada.sync().sync_token
    week.publish("monday", None)
    href = week.publish("monday", one("monday"))
    assert etags(week.ada.sync(token))[href] is not None


def test_the_data_can_come_along(week: World, no_parsing: None) -> None:
    answer = week.ada.sync("", "D:getetag", "C:calendar-data", "D:getcontenttype")
    assert len(answer.data) == 3
    assert all(text.startswith("BEGIN:VCALENDAR\r\n") or "BEGIN:VEVENT" in text for text in answer.data.values())


def test_following_any_tokens_leads_to_the_same(week: World, no_parsing: None) -> None:
    """Clients that last looked at different revisions all end with what is there."""
    copies = []
    for step in range(6):
        token = week.ada.sync()
        copies.append((token.sync_token, etags(token)))
        week.publish(f"n{step}", one(f"n{step}", hour=10 + step))
        week.publish(f"n{step - 2}", None)
        week.publish("monday", one("monday", hour=10 + step))
    there = etags(week.ada.sync())
    for token, copy in copies:
        now = copy | etags(week.ada.sync(token))
        assert {href: etag for href, etag in now.items() if etag is not None} == there


class TestTokens:
    def refused(self, client: Client, token: str) -> None:
        answer = client.sync(token)
        assert answer.status == 403
        assert answer.xml.tag == clark("D:error")
        assert [child.tag for child in answer.xml] == [clark("D:valid-sync-token")]

    @pytest.mark.parametrize("token", ["nonsense", "http://radicale.org/ns/sync/abc", "https://example.com/1", "1"])
    def test_unknown_ones_are_refused(self, week: World, token: str) -> None:
        self.refused(week.ada, token)

    def test_ones_that_only_look_right_are_refused(self, week: World) -> None:
        token = week.ada.sync().sync_token
        lead = token.rpartition(":")[0]
        for number in ("", "-1", "1.0", " 1", "٣", "9" * 5000, "4", "99"):
            self.refused(week.ada, f"{lead}:{number}")

    def test_they_survive_a_restart(self, week: World) -> None:
        token = week.ada.sync().sync_token
        restarted = Client(application(week.db.path), "ada", week.password)
        assert restarted.sync(token).sync_token == token
        href = week.publish("new", one("new"))
        assert set(etags(restarted.sync(token))) == {href}

    def test_one_of_another_store_is_refused(self, week: World, tmp_path) -> None:
        other = Db(tmp_path / "other.db")
        users.add_user(other, id="ada", location_id="loc", name="Ada", time_zone="Europe/Berlin", now=NOW)
        _, password = users.add_password(other, "ada", "phone", NOW)
        token = Client(application(other.path), "ada", password).sync().sync_token
        other.close()
        self.refused(week.ada, token)

    def test_one_of_another_user_is_refused(self, week: World) -> None:
        bob = week.add_user("bob")
        token = bob.sync(path="/bob/crm/").sync_token
        assert bob.sync(token, path="/bob/crm/").status == 207
        self.refused(week.ada, token)

    def test_one_from_before_the_user_was_made_anew_is_refused(self, week: World) -> None:
        token = week.ada.sync().sync_token
        users.remove_user(week.db, "ada", now=NOW)
        users.add_user(week.db, id="ada", location_id="loc", name="Ada", time_zone="Europe/Berlin", now=NOW)
        _, password = users.add_password(week.db, "ada", "phone", NOW)
        for number in range(5):
            week.publish(f"n{number}", one(f"n{number}"))
        self.refused(Client(week.app, "ada", password), token)

    def test_one_older_than_the_kept_tombstones_is_refused(self, week: World) -> None:
        old = week.ada.sync().sync_token
        week.publish("monday", None)
        newer = week.ada.sync().sync_token
        with week.db.write() as tx:
            head = published.head(tx, "ada")
            assert head is not None
            tx.execute("DELETE FROM published_items WHERE ics IS NULL")
            tx.execute("UPDATE users SET tombstones_from = :revision", {"revision": head.revision})
        self.refused(week.ada, old)
        assert week.ada.sync(newer).sync_token == newer
