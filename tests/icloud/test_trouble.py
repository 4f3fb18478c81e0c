"""Servers in trouble, passwords that are revoked, calendars that change: what is kept, and what `status` says of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from bridge.domain import plan
from bridge.domain.model import AccountState, Role, SyncState
from bridge.errors import NotWritable, RemoteError
from bridge.remote.policy import ProviderPolicy
from bridge.service import connect, push, roles
from bridge.service.status import status
from tests.service.conftest import event
from tests.service.real import make_real_world
from tests.upstreams import icloud
from tests.upstreams.icloud import Cut, Drop, Hang, Status

from .conftest import (
    assert_both_sides_equal,
    blocked,
    busy,
    events_of,
    fill,
    poll,
    rewrite,
    settle,
    the_event,
    writes,
)


def the_account(world):
    (user,) = status(world.db)
    (account,) = user.accounts
    return account


def the_calendar(world, name="Work"):
    return next(c for c in the_account(world).calendars if c.name == name)


def next_poll_in(world):
    return world.next_poll() - world.now()


async def once_all_is_well(world):
    """Give the server time to be itself again, and check that nothing was lost."""
    world.server.faults.planned.clear()
    await settle(world)
    assert_both_sides_equal(world)
    account = the_account(world)
    assert (account.state, account.reason) == (AccountState.CONNECTED, "")
    assert [c.trouble for c in account.calendars] == [None, None]
    assert {c.last_success_at for c in account.calendars} == {world.now() - 600}


# --- Whatever goes wrong, at whichever request -----------------------------------------------------------------------

FAULTS = [Cut(0.5), Cut(0.9), Drop.BEFORE, Drop.AFTER, Drop.IN_BODY, *(Status(s) for s in (400, 403, 404, 500, 503))]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_a_reading_that_goes_wrong_removes_nothing_and_misses_nothing(cloud, fault):
    world = cloud
    fill(world, 10)
    await settle(world)
    before = set(world.merged())
    for nth in range(1, 6):
        world.person.put(world.urls["Work"], f"new-{nth}.ics", event(f"new-{nth}"))
        world.person.put(world.urls["Work"], "0.ics", event("Work-0", start="20270301T090000", title=f"Edited {nth}"))
        world.server.fail(fault, nth=nth)
        await poll(world)
        assert before <= set(world.merged())
        world.later(600)
    await once_all_is_well(world)
    assert blocked(world) == 15


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != Status(400)], ids=str)  # a 400 is final
async def test_a_writing_that_goes_wrong_leaves_one_event(cloud, fault):
    world = cloud
    made = []
    for nth in range(1, 4):
        made.append(world.make(start=world.now() + nth * 86_400, end=world.now() + nth * 86_400 + 1800))
        world.server.fail(fault, nth=nth)
        await push.push_due(world.context)
        world.later(600)
    world.change(made[0], title="Second call")
    world.server.fail(fault, method="PUT")
    await push.push_due(world.context)
    await once_all_is_well(world)
    assert all(world.stored(one).sync_state == SyncState.SYNCED for one in made)
    assert all(len(events_of(world, one)) == 1 for one in made)
    assert len(world.person.texts(world.urls["Home"])) == 3
    assert "Second call" in the_event(world, made[0])[1]
    assert len(world.merged()) == 3


@pytest.mark.parametrize("at", [*combinations(range(1, 8), 2), (1, 3, 5), (1, 5, 7), (2, 3, 5), (2, 4, 6)], ids=str)
async def test_a_new_appointment_arrives_once_whichever_requests_get_404(cloud, at):
    world = cloud
    made = world.make(start=world.now() + 86_400, end=world.now() + 86_400 + 1800)
    for nth in at:
        world.server.fail(Status(404), nth=nth)
    for _ in range(4):
        await push.push_due(world.context)
        world.later(600)
    await once_all_is_well(world)
    assert world.stored(made).sync_state == SyncState.SYNCED
    assert len(events_of(world, made)) == len(world.person.texts(world.urls["Home"])) == 1


@pytest.mark.parametrize(
    ("target", "name", "read_first"),
    [("Work", None, True), ("Work", "renamed.ics", True), ("Work", None, False), ("Hobby", None, False)],
)
@pytest.mark.parametrize("changed", [False, True])
async def test_a_new_event_that_a_person_moves_before_the_bridge_knows_of_it_stays_the_only_one(
    cloud, target, name, changed, read_first
):
    world = cloud
    made = world.make()
    world.server.fail(Drop.AFTER, method="PUT")
    await push.push_due(world.context)
    old, text = the_event(world, made)
    world.person.put(world.urls["Home"], old, text.replace("STATUS:", "LOCATION:Upstairs\r\nSTATUS:"))
    world.person.move(world.urls["Home"], old, world.urls[target], new_name=name)
    if changed:
        world.change(made, title="Second call")
    if read_first:
        await poll(world)
    world.later(600)
    await settle(world)
    assert [one for one in world.urls for _ in world.person.texts(world.urls[one])] == [target]
    stored = world.stored(made)
    assert stored.calendar_id == world.ids[target]
    assert stored.fields.address == "Upstairs"
    assert stored.sync_state == (SyncState.FAILED if changed else SyncState.SYNCED)
    assert target in stored.sync_error
    assert list(world.merged()) == [f"{made.id}.ics"]


# --- What is wrong, and what to do -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        (Status(403), AccountState.UNREACHABLE, "not for the password"),
        (Status(500), AccountState.UNREACHABLE, "problem of its own"),
        (Status(503, "1"), AccountState.THROTTLED, "slow down"),
        (Status(429), AccountState.THROTTLED, "slow down"),
        (Drop.BEFORE, AccountState.UNREACHABLE, "can't be reached"),
        (Cut(0.5), AccountState.UNREACHABLE, "incomplete or damaged"),
    ],
    ids=str,
)
async def test_the_whole_account_in_trouble(cloud, fault, state, words):
    world = cloud
    fill(world, 4)
    await settle(world)
    success, before = the_calendar(world).last_success_at, world.merged()
    for _ in range(3):
        world.server.fail(fault, times=20)
        await poll(world)
        world.server.faults.planned.clear()
        account = the_account(world)
        assert account.state == state
        assert words in account.reason
        assert all(words in c.trouble for c in account.calendars)
        assert (the_calendar(world).last_attempt_at, the_calendar(world).last_success_at) == (world.now(), success)
        assert the_calendar(world).objects == 4
        world.later(600)
    assert world.merged() == before
    await once_all_is_well(world)


async def test_a_server_that_never_answers(cloud):
    world = cloud
    fill(world, 4)
    await settle(world)
    impatient = ProviderPolicy("test", world.server.url, requests_per_minute=100_000, timeout=0.2)
    for remote in world.context.remotes.open.values():
        remote._session._policy = impatient
    world.server.fail(Hang(), times=4)
    await poll(world)
    assert the_account(world).state == AccountState.UNREACHABLE
    assert blocked(world) == 4
    await once_all_is_well(world)


async def test_throttling_that_lasts_longer_than_it_says(cloud):
    world = cloud
    fill(world, 4)
    await settle(world)
    waits = []
    for _ in range(9):
        world.server.throttle(1, retry_after="1")
        await poll(world)
        waits.append(next_poll_in(world))
        world.later(600)
    assert waits[-1] > 5 * waits[0], "asked more and more rarely"
    assert max(waits) <= plan.LONGEST_POLL_WAIT * 1.2
    await once_all_is_well(world)


async def test_throttling_in_the_middle_of_a_run_is_no_deletion_and_no_success(cloud):
    world = cloud
    fill(world, 4)
    fill(world, 4, "Home")
    await settle(world)
    for name in ("Work", "Home"):
        world.person.put(world.urls[name], "new.ics", event(f"new-{name}"))
    success = the_calendar(world).last_success_at
    world.server.fail(Status(503, "1"), method="REPORT", times=50)
    await poll(world)
    assert the_account(world).state == AccountState.THROTTLED
    assert {c.last_success_at for c in the_account(world).calendars} == {success}
    assert all("slow down" in c.trouble for c in the_account(world).calendars)
    assert blocked(world) == 8
    await once_all_is_well(world)
    assert blocked(world) == 10


# --- Passwords -------------------------------------------------------------------------------------------------------


async def test_one_refusal_is_no_proof(cloud):
    world = cloud
    fill(world, 2)
    await settle(world)
    world.server.fail(Status(401))
    await poll(world)
    assert the_account(world).state == AccountState.CONNECTED
    made = world.make()
    world.server.fail(Status(401), method="PUT")
    await push.push_due(world.context)
    assert the_account(world).state == AccountState.CONNECTED
    await once_all_is_well(world)
    assert world.stored(made).sync_state == SyncState.SYNCED


async def test_a_password_that_was_revoked_and_a_new_one(real):
    world = real
    fill(world, 4)
    made = world.make()
    await settle(world)
    before, ids, sent = world.merged(), dict(world.ids), len(writes(world))
    world.person.change_password()
    assert isinstance(await poll(world), RemoteError)
    account = the_account(world)
    assert account.state == AccountState.NEEDS_PASSWORD
    assert "app-specific password" in account.reason
    assert world.merged() == before
    world.change(made, title="Second call")
    for _ in range(3):
        await push.push_due(world.context)
        world.later(3600)
    assert len(writes(world)) == sent, "left in peace"
    assert world.stored(made).sync_state == SyncState.PENDING
    world.person.put(world.urls["Work"], "new.ics", event("new"))

    await connect.connect(world.context, "ada", "icloud", world.person.username, world.person.password)
    assert {c.name: c.id for c in roles.list_calendars(world.db, "ada")} == ids
    await settle(world)
    assert the_account(world).state == AccountState.CONNECTED
    assert "Second call" in the_event(world, made)[1]
    assert blocked(world) == 5
    assert_both_sides_equal(world)


# --- Calendars -------------------------------------------------------------------------------------------------------


async def connect_anew(world):
    """Connect again, as a person does who has made a calendar meanwhile."""
    await connect.connect(world.context, "ada", "icloud", world.person.username, world.person.password)
    return {c.name: c for c in roles.list_calendars(world.db, "ada")}


async def test_lists_of_tasks_are_no_calendars(real):
    world = real
    world.person.make_calendar("Tasks", components=("VTODO",))
    assert sorted(await connect_anew(world)) == ["Hobby", "Home", "Work"]


@pytest.mark.parametrize("like_a_calendar", [True, False])
async def test_a_subscribed_calendar_is_read_where_it_is_offered(tmp_path, like_a_calendar):
    with icloud.running(replace(icloud.Quirks(), subscribed_is_a_calendar=like_a_calendar)) as server:
        world = await make_real_world(tmp_path / "bridge.db", server)
        url = world.person.make_calendar("Holidays", kind="subscribed", writable=False)
        world.person.put(url, "1.ics", event("holiday"))
        found = await connect_anew(world)
        assert ("Holidays" in found) == like_a_calendar
        if like_a_calendar:
            await roles.choose(world.context, "ada", conflicts=[found["Holidays"].id])
            assert blocked(world) == 1
            with pytest.raises(NotWritable):
                await roles.choose(world.context, "ada", primary=found["Holidays"].id)
        await world.context.remotes.close()


@pytest.mark.parametrize("told", [True, False])
async def test_a_calendar_that_can_only_be_read(tmp_path, told):
    with icloud.running(replace(icloud.Quirks(), privileges_missing=not told)) as server:
        world = await make_real_world(tmp_path / "bridge.db", server)
        boss = server.login("boss@icloud.example")
        shared = boss.share(boss.make_calendar("Team"), world.person, writable=False)
        world.person.put(shared, "1.ics", event("meeting"))
        team = (await connect_anew(world))["Team"]
        await roles.choose(world.context, "ada", conflicts=[team.id])
        assert blocked(world) == 1, "it blocks like any other"
        if told:
            with pytest.raises(NotWritable):
                await roles.choose(world.context, "ada", primary=team.id)
        else:
            await roles.choose(world.context, "ada", primary=team.id, conflicts=[])
            made = world.make()
            for _ in range(plan.FORBIDDEN_ATTEMPTS + 2):
                await push.push_due(world.context)
                world.later(4000)
            assert world.stored(made).sync_state == SyncState.FAILED
            (user,) = status(world.db)
            assert [failed.id for failed in user.failed] == [made.id]
            assert "read-only" in user.failed[0].error
            assert the_account(world).state == AccountState.CONNECTED
            assert f"{made.id}.ics" in world.merged(), "the time is taken all the same"
        await world.context.remotes.close()


async def test_those_who_share_a_calendar_are_told_of_each_change_once(tmp_path):
    with icloud.running() as server:
        world = await make_real_world(tmp_path / "bridge.db", server)
        world.person.share(world.urls["Home"], server.login("boss@icloud.example"))
        made = world.make()
        await settle(world)
        assert [notice.method for notice in server.notices] == ["PUT"]
        await settle(world)
        world.change(made, title=world.stored(made).fields.title)
        await settle(world)
        assert len(server.notices) == 1, "nothing changed"
        world.change(made, title="Second call")
        world.change(made, title="Third call")
        await settle(world)
        assert [notice.method for notice in server.notices] == ["PUT", "PUT"], "in place, and both changes at once"
        rewrite(world, made, "SUMMARY:Third call", "SUMMARY:By hand")
        await settle(world)
        assert len(server.notices) == 2, "what the person did is not written back to them"
        world.change(made, title="By hand", description="")
        await settle(world)
        assert len(server.notices) == 2
        assert server.mails == []
        await world.context.remotes.close()


async def test_a_calendar_gets_another_name_and_colour(cloud):
    world = cloud
    fill(world, 2)
    await settle(world)
    before = world.merged()
    world.person.rename_calendar(world.urls["Work"], "Office", colour="#112233FF")
    await settle(world)
    office = next(c for c in roles.list_calendars(world.db, "ada") if c.name == "Office")
    assert (office.id, office.colour, office.role) == (world.ids["Work"], "#112233", Role.CONFLICT)
    assert world.merged() == before
    assert_both_sides_equal(world)


async def test_the_primary_is_deleted(real):
    """All stays until the person, who is told, chooses: another Primary takes over what is to come."""
    world = real
    fill(world, 3, "Home")
    made = world.make()
    await settle(world)
    world.person.delete(world.urls["Home"])
    await settle(world)
    assert len(world.merged()) == 4
    assert world.stored(made).fields.status == "confirmed"
    (user,) = status(world.db)
    assert any("no longer there" in advice for advice in user.advice)
    assert "no longer there" in the_calendar(world, "Home").trouble
    await roles.choose(world.context, "ada", primary=world.ids["Hobby"])
    assert list(world.merged()) == [f"{made.id}.ics"]
    await settle(world)
    assert len(events_of(world, made, "Hobby")) == 1
    assert world.stored(made).sync_state == SyncState.SYNCED
    assert_both_sides_equal(world, read=("Hobby", "Work"))


async def test_disconnected_and_connected_again(real):
    world = real
    fill(world, 3)
    made = world.make()
    await settle(world)
    await connect.disconnect(world.context, "ada", world.account_id)
    assert list(world.merged()) == [f"{made.id}.ics"], "blocked slots go at once, appointments stay"
    account = await connect.connect(world.context, "ada", "icloud", world.person.username, world.person.password)
    world.account_id = account.id
    world.ids = {c.name: c.id for c in roles.list_calendars(world.db, "ada")}
    await roles.choose(world.context, "ada", primary=world.ids["Home"], conflicts=[world.ids["Work"]])
    await settle(world)
    assert len(events_of(world, made)) == 1
    assert blocked(world) == 3
    world.change(made, title="Second call")
    await settle(world)
    assert "Second call" in the_event(world, made)[1]
    assert_both_sides_equal(world)


@pytest.mark.parametrize("fault", [Drop.BEFORE, Drop.AFTER, Status(503, "1"), Status(403)], ids=str)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
async def test_a_move_to_another_primary_that_is_interrupted(cloud, fault, method):
    world = cloud
    made = [world.make(start=world.now() + n * 86_400, end=world.now() + n * 86_400 + 1800) for n in range(1, 4)]
    await settle(world)
    before = busy(world)
    await roles.choose(world.context, "ada", primary=world.ids["Hobby"], conflicts=[world.ids["Home"]])
    world.server.fail(fault, method=method, times=2)
    for _ in range(3):
        await push.push_due(world.context)
        await poll(world)
        world.later(90)
        assert busy(world) == before, "neither a gap nor a double at any moment"
    world.server.faults.planned.clear()
    await settle(world)
    assert world.person.texts(world.urls["Home"]) == {}
    assert all(len(events_of(world, one, "Hobby")) == 1 for one in made)
    assert len(world.merged()) == 3
    assert_both_sides_equal(world, read=("Home", "Hobby"))


async def test_an_event_that_is_never_taken_ends_up_in_plain_sight(cloud):
    world = cloud
    made = world.make()
    world.server.fail(Status(412), method="PUT", times=1000)
    for _ in range(plan.FORBIDDEN_ATTEMPTS + 3):
        await push.push_due(world.context)
        world.later(4000)
    (user,) = status(world.db)
    assert [failed.id for failed in user.failed] == [made.id]
    assert len(writes(world)) <= plan.FORBIDDEN_ATTEMPTS + 1
    world.server.faults.planned.clear()
    assert push.retry(world.context, made.id)
    await settle(world)
    assert world.stored(made).sync_state == SyncState.SYNCED
    assert len(world.person.texts(world.urls["Home"])) == 1
