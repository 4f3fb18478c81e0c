"""Connections over HTTP: how accounts are doing, and reading them when asked."""

from __future__ import annotations

import asyncio

import pytest

from bridge.domain.model import AccountState
from bridge.service import connections
from bridge.store import accounts
from tests.service.conftest import event

from .conftest import BLOCKED, WEEK

CONNECTIONS = "/v1/connections"


@pytest.fixture
def crm(api):
    return api.with_token(scopes=("calendars.readonly", "calendars.write", "calendars/events.readonly"))


async def test_a_connection_tells_how_it_is_and_no_password(crm):
    (found,) = (await crm("GET", CONNECTIONS)).json["connections"]
    assert found["id"] == crm.world.account_id
    assert (found["userId"], found["locationId"], found["provider"]) == ("ada", "loc", "icloud")
    assert (found["status"], found["statusReason"]) == ("connected", "")
    roles = {calendar["name"]: calendar["role"] for calendar in found["calendars"]}
    assert roles == {"Home": "primary", "Work": "conflict", "Hobby": "none"}
    assert crm.world.server.password not in str(found)
    assert (await crm("GET", f"{CONNECTIONS}/{found['id']}")).json == found


async def test_connections_of_one_user_or_location(crm):
    crm.add_user("bob")
    for query, number in (({"userId": "ada"}, 1), ({"userId": "bob"}, 0), ({"locationId": "loc"}, 1)):
        assert len((await crm("GET", CONNECTIONS, params=query)).json["connections"]) == number
    assert (await crm("GET", CONNECTIONS, params={"locationId": "elsewhere"})).status == 404


async def test_another_location_s_connections_do_not_exist(crm):
    stranger = crm.with_token(locations=("elsewhere",), scopes=("calendars.readonly", "calendars.write"))
    assert (await stranger("GET", CONNECTIONS)).json["connections"] == []
    assert (await stranger("GET", f"{CONNECTIONS}/{crm.world.account_id}")).status == 404
    assert (await stranger("POST", f"{CONNECTIONS}/{crm.world.account_id}/sync")).status == 404


async def test_a_connection_is_read_when_asked(crm):
    crm.world.later(60)
    crm.world.server.edit(crm.world.urls["Work"], "dentist.ics", event("dentist"))
    answer = await crm("POST", f"{CONNECTIONS}/{crm.world.account_id}/sync")
    assert (answer.status, answer.json["sync"]) == (202, "done")
    listed = await crm("GET", BLOCKED, params={**WEEK, "userId": "ada"})
    assert len(listed.json["events"]) == 1
    again = await crm("POST", f"{CONNECTIONS}/{crm.world.account_id}/sync")
    assert again.json["sync"] == "fresh", "it was read a moment ago"


async def test_one_whose_password_was_refused_is_not_asked_again(crm):
    crm.world.later(60)
    crm.world.server.password = "changed"
    answer = await crm("POST", f"{CONNECTIONS}/{crm.world.account_id}/sync")
    assert (answer.json["sync"], answer.json["status"]) == ("done", "needs_password")
    asked = len(crm.world.server.requests)
    again = await crm("POST", f"{CONNECTIONS}/{crm.world.account_id}/sync")
    assert (again.status, again.json["sync"]) == (202, "not_now")
    assert len(crm.world.server.requests) == asked


async def test_one_that_asked_to_be_left_alone_is(crm):
    with crm.world.db.write() as tx:
        accounts.set_state(tx, crm.world.account_id, AccountState.THROTTLED, "busy", now=crm.world.now())
    answer = await crm("POST", f"{CONNECTIONS}/{crm.world.account_id}/sync")
    assert (answer.json["sync"], answer.json["status"]) == ("not_now", "throttled")


async def test_one_that_takes_long_is_not_waited_for(crm, monkeypatch):
    monkeypatch.setattr(connections, "PATIENCE", 0.05)
    crm.world.later(60)
    released = asyncio.Event()
    made = crm.world.context.remotes.for_account

    class Slow:
        def __init__(self, remote):
            self.remote = remote

        def __getattr__(self, name):
            return getattr(self.remote, name)

        async def calendars(self, url):
            await released.wait()
            return await self.remote.calendars(url)

    monkeypatch.setattr(crm.world.context.remotes, "for_account", lambda account: Slow(made(account)), raising=False)
    answer = await crm("POST", f"{CONNECTIONS}/{crm.world.account_id}/sync")
    assert (answer.status, answer.json["sync"]) == (202, "running")
    released.set()
    await asyncio.gather(*crm.world.context.polls.values())


async def test_scopes(crm):
    reader = crm.with_token(scopes=("calendars.readonly",))
    assert (await reader("GET", CONNECTIONS)).status == 200
    assert (await reader("POST", f"{CONNECTIONS}/{crm.world.account_id}/sync")).status == 403
    other = crm.with_token(scopes=("calendars/events.readonly",))
    assert (await other("GET", CONNECTIONS)).status == 403
