"""`bridge link`: a way into the pages, from the server."""

from __future__ import annotations

from bridge.service import sessions
from bridge.service.sessions import LinkState
from bridge.store.db import Db


def test_a_link_signs_in_once(anna, tmp_path):
    said = anna.done("link", "anna")
    url = said.splitlines()[0]
    assert url.startswith("http://127.0.0.1:8080/link/")
    assert "Works once" in said
    db = Db(tmp_path / "data" / "bridge.db")
    state, user = sessions.look_at_link(db, url.rpartition("/")[2], now=0)
    assert (state, user.id) == (LinkState.USABLE, "anna")
    db.close()


def test_the_link_leads_to_where_the_pages_are_published(anna, settings_file):
    settings_file('[sidecar]\npublic_url = "https://calendar.example.com/bridge/"\n')
    assert anna.json("link", "anna")["url"].startswith("https://calendar.example.com/bridge/link/")


def test_nobody_gets_a_link_for_a_user_who_is_not_there(anna):
    assert 'There is no user "nobody"' in anna.refused("link", "nobody")
