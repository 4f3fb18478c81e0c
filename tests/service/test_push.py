"""The push: whatever the server answers, or does not, exactly one event says what the appointment says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import ClassVar

import pytest

from bridge.domain import ical, plan
from bridge.domain.model import TOMBSTONE_SECONDS, AccountState, OutboxState, SyncState, TwoWay
from bridge.errors import (
    BadAnswer,
    CredentialsWithheld,
    Forbidden,
    NotFound,
    PreconditionFailed,
    Refused,
    SecretUnreadable,
    ServerFault,
    Throttled,
    Unauthorized,
    Unknown,
    Unreachable,
)
from bridge.remote.base import path_of
from bridge.remote.memory import MemoryRemote, failing
from bridge.service import connect, housekeeping, mirror, push, roles, users
from bridge.service.status import status
from bridge.store import accounts, outbox

from .agreement import assert_agreement, run_to_quiescence
from .conftest import event, move_partition


def entries(world, *states):
    with world.db.read() as tx:
        return outbox.of_user(tx, "ada", states=states)


async def poll(world):
    await mirror.mirror_account(world.context, world.account_id)


def only_event(world, name="Home"):
    ((href, text),) = world.server.texts(world.urls[name]).items()
    return href.rpartition("/")[2], text


def move(world, source, target, name=None):
    """What a person does by dragging an event to another calendar."""
    old, text = only_event(world, source)
    world.server.edit(world.urls[source], old, None)
    world.server.edit(world.urls[target], name or old, text)


TRANSIENT = [
    Unreachable("u"),
    ServerFault("u"),
    BadAnswer("u"),
    Throttled("u", retry_after=1),
    Forbidden("u"),
    PreconditionFailed("u"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("method", ["PUT", "after-PUT", "GET", "DELETE", "after-DELETE"])
async def test_what_passes_leaves_exactly_one_event_or_none(world, method, error):
    world.server.on_call = failing(method, error, times=2)
    made = world.make()
    await push.push_due(world.context)
    world.change(made, title="Second call")
    for _ in range(4):
        await push.push_due(world.context)
        world.later(120)
    await run_to_quiescence(world, rounds=3)
    assert_agreement(world)
    world.cancel(made)
    await run_to_quiescence(world, rounds=4)
    assert_agreement(world)
    assert world.server.texts(world.urls["Home"]) == {}


@pytest.mark.parametrize("error", [Refused("u"), CredentialsWithheld("u")], ids=lambda e: type(e).__name__)
async def test_what_does_not_pass_is_shown_and_can_be_tried_again(world, error):
    world.server.on_call = failing("PUT", error, times=2)
    made = world.make()
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.FAILED
    (user,) = status(world.db)
    (failed,) = user.failed
    assert failed.id == made.id
    assert failed.error
    assert push.retry(world.context, made.id)
    world.server.on_call = lambda _: None
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.SYNCED
    assert not push.retry(world.context, made.id)


async def test_a_server_that_takes_a_write_is_reachable_again_and_read_at_once(world):
    world.server.on_call = failing("PROPFIND", Unreachable("u"))
    with pytest.raises(Unreachable):
        await mirror.mirror_account(world.context, world.account_id)
    made = world.make()
    assert mirror.due(world.context, limit=9) == []
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.SYNCED
    with world.db.read() as tx:
        account = accounts.get(tx, world.account_id)
    assert (account.state, account.state_reason) == (AccountState.CONNECTED, "")
    assert mirror.due(world.context, limit=9) == [world.account_id]


async def test_a_403_is_given_up_on_only_after_a_while(world):
    world.server.on_call = failing("PUT", Forbidden("u"), times=99)
    made = world.make()
    for _ in range(plan.FORBIDDEN_ATTEMPTS - 2):  # one of them is used to try another UID at once
        await push.push_due(world.context)
        assert world.stored(made).sync_state == SyncState.PENDING
        world.later(3600)
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.FAILED


@pytest.mark.parametrize("error", [Forbidden, ServerFault, BadAnswer, Unreachable])
async def test_a_calendar_that_can_t_be_asked_keeps_no_new_event_from_the_primary_for_good(world, error):
    class Broken(MemoryRemote):
        async def get(self, url, href):
            if url == world.urls["Hobby"]:
                raise error(url)
            return await super().get(url, href)

    world.context.remotes.remote = Broken
    world.server.on_call = failing("PUT", Unreachable("u"))
    made = world.make()
    for _ in range(plan.FORBIDDEN_ATTEMPTS):
        await push.push_due(world.context)
        world.later(3600)
    assert world.stored(made).sync_state == SyncState.SYNCED
    assert only_event(world)


async def test_a_refused_password_pauses_everything_and_a_new_one_goes_on(world):
    world.server.password = "revoked"
    made = world.make()
    await push.push_due(world.context)
    with world.db.read() as tx:
        assert accounts.get(tx, world.account_id).state == AccountState.NEEDS_PASSWORD
    world.later(100_000)
    assert await push.push_due(world.context) == 0
    await connect.connect(world.context, "ada", "icloud", world.server.username, "revoked")
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.SYNCED


async def test_a_401_that_does_not_happen_again_is_no_refused_password(world):
    world.server.on_call = failing("PUT", Unauthorized("u"))
    made = world.make()
    await push.push_due(world.context)
    with world.db.read() as tx:
        assert accounts.get(tx, world.account_id).state == AccountState.CONNECTED
    world.later(60)
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.SYNCED


async def test_a_password_that_can_t_be_opened_loses_no_appointment(world):
    remotes = world.context.remotes
    working = remotes.for_account

    def locked(account):
        raise SecretUnreadable("the key")

    remotes.for_account = locked
    made = world.make()
    await push.push_due(world.context)
    with pytest.raises(SecretUnreadable):
        await poll(world)
    with world.db.read() as tx:
        account = accounts.get(tx, world.account_id)
        assert account.state == AccountState.NEEDS_PASSWORD
        assert "key" in account.state_reason
    assert world.next_poll() > world.now()
    remotes.for_account = working
    await poll(world)
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.SYNCED


async def test_one_appointment_that_trips_a_bug_does_not_keep_others_from_being_written(world, monkeypatch):
    real = ical.upstream_event

    def trips(appointment, **options):
        if appointment.fields.title == "Trips":
            raise KeyError("a bug")
        return real(appointment, **options)

    monkeypatch.setattr(ical, "upstream_event", trips)
    trip = world.make(title="Trips")
    good = world.make(start=world.now() + 200_000, end=world.now() + 201_800)
    await push.push_due(world.context)
    assert world.stored(good).sync_state == SyncState.SYNCED
    assert world.stored(trip).sync_state == SyncState.PENDING
    monkeypatch.undo()
    world.later(60)
    await push.push_due(world.context)
    assert world.stored(trip).sync_state == SyncState.SYNCED


async def test_a_write_whose_answer_was_lost_and_that_a_person_changed_since_keeps_the_person_s_change(world):
    world.server.on_call = failing("after-PUT", Unreachable("u"))
    made = world.make()
    await push.push_due(world.context)
    name, text = only_event(world)
    world.server.edit(world.urls["Home"], name, text.replace("Intro call", "By hand"))
    world.later(60)
    await run_to_quiescence(world, rounds=3)
    assert world.stored(made).fields.title == "By hand"
    assert_agreement(world)


@pytest.mark.parametrize("lost", ["PUT", "after-PUT"])
@pytest.mark.parametrize("first", [poll, lambda world: push.push_due(world.context)], ids=["poll", "push"])
@pytest.mark.parametrize("titles", [("Second", "Third"), ("Second", "Intro call"), ("Second", "Third", "Intro call")])
async def test_what_the_crm_says_last_stands_though_the_answer_to_an_earlier_change_was_lost(
    world, lost, first, titles
):
    made = world.make()
    await push.push_due(world.context)
    await poll(world)
    for title in titles[:-1]:
        world.server.on_call = failing(lost, Unreachable("u"))
        world.change(made, title=title)
        await push.push_due(world.context)
    world.change(made, title=titles[-1])
    world.later(1)
    await first(world)
    world.later(60)
    await run_to_quiescence(world, rounds=3)
    assert f"SUMMARY:{titles[-1]}" in only_event(world)[1]
    stored = world.stored(made)
    assert (stored.fields.title, stored.sync_state, stored.sync_error) == (titles[-1], SyncState.SYNCED, None)
    assert_agreement(world)


async def test_the_person_s_change_and_the_crm_s_are_told_apart_though_an_answer_was_lost(world):
    made = world.make()
    await push.push_due(world.context)
    world.server.on_call = failing("after-PUT", Unreachable("u"))
    world.change(made, title="Second")
    await push.push_due(world.context)
    name, text = only_event(world)
    world.server.edit(world.urls["Home"], name, text.replace("Second", "By hand"))
    world.later(60)
    await run_to_quiescence(world, rounds=3)
    assert world.stored(made).sync_state == SyncState.CONFLICT
    world.change(made, title="Third")
    await run_to_quiescence(world, rounds=3)
    assert "SUMMARY:Third" in only_event(world)[1]
    assert world.stored(made).sync_state == SyncState.SYNCED
    assert_agreement(world)


async def test_the_person_s_change_is_kept_though_a_push_was_given_up_in_between(world):
    world.server.on_call = failing("after-PUT", Unreachable("u"))
    made = world.make()
    await push.push_due(world.context)
    world.server.on_call = failing("PUT", CredentialsWithheld("u"))
    world.later(60)
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.FAILED
    name, text = only_event(world)
    world.server.edit(world.urls["Home"], name, text.replace("Intro call", "By hand"))
    assert push.retry(world.context, made.id)
    await push.push_due(world.context)
    await run_to_quiescence(world, rounds=3)
    assert world.stored(made).fields.title == "By hand"
    assert_agreement(world)


async def test_the_person_s_change_is_kept_though_their_account_was_connected_anew_and_is_not_read_yet(world):
    made = world.make()
    await push.push_due(world.context)
    world.change(made, title="Second call")
    await connect.disconnect(world.context, "ada", world.account_id)
    name, text = only_event(world)
    world.server.edit(world.urls["Home"], name, text.replace("STATUS:", "LOCATION:Upstairs\r\nSTATUS:"))
    await connect.connect(world.context, "ada", "icloud", world.server.username, world.server.password)
    home = next(one.id for one in roles.list_calendars(world.db, "ada") if one.name == "Home")
    with world.db.write() as tx:
        roles.assign(tx, "ada", home, [], roles.Appointments.MOVE, now=world.now())
    assert await push.push_due(world.context) > 0
    fields = world.stored(made).fields
    assert (fields.title, fields.address) == ("Second call", "Upstairs")
    assert "Second call" in only_event(world)[1]


async def test_a_write_that_would_change_nothing_is_not_sent(world):
    made = world.make()
    await push.push_due(world.context)
    sent = len(world.server.writes)
    world.change(made, title="Other")
    world.change(made, title="Intro call")
    await push.push_due(world.context)
    assert len(world.server.writes) == sent
    assert world.stored(made).sync_state == SyncState.SYNCED


async def test_a_lease_that_runs_out_while_the_work_goes_on_does_no_harm(world):
    made = world.make()
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def put(self, url, href, ics, *, etag):
        await MemoryRemote.put(self, url, href, ics, etag=etag)
        if not entered.is_set():
            entered.set()
            await go_on.wait()

    world.context.remotes.remote = type("Stuck", (MemoryRemote,), {"put": put})
    slow = asyncio.create_task(push.push_due(world.context))
    await entered.wait()
    world.later(push.LEASE_SECONDS)
    await push.push_due(world.context)
    world.later(60)
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.SYNCED
    world.change(made, title="Second call")
    await push.push_due(world.context)
    go_on.set()
    await slow
    assert entries(world, OutboxState.READY, OutboxState.LEASED) == []
    assert "Second call" in only_event(world)[1]
    await run_to_quiescence(world, rounds=2)
    assert_agreement(world)


async def test_an_update_that_the_server_never_takes_is_shown_and_not_asked_again_each_minute(world):
    made = world.make()
    await push.push_due(world.context)
    await poll(world)

    async def put(self, url, href, ics, *, etag):
        asked.append(world.now())
        raise PreconditionFailed(url)

    asked = []
    world.context.remotes.remote = type("Odd", (MemoryRemote,), {"put": put})
    world.change(made, title="Second call")
    for _ in range(180):
        await push.push_due(world.context)
        world.later(60)
    assert len(asked) <= plan.FORBIDDEN_ATTEMPTS
    (user,) = status(world.db)
    (failed,) = user.failed
    assert (failed.id, world.stored(made).sync_state) == (made.id, SyncState.FAILED)
    assert "retry" in failed.error
    world.context.remotes.remote = MemoryRemote
    assert push.retry(world.context, made.id)
    await run_to_quiescence(world, rounds=2)
    assert_agreement(world)


@pytest.mark.parametrize("refusal", [NotFound("u"), Forbidden("u")], ids=lambda e: type(e).__name__)
async def test_cancelling_while_the_account_moves_to_another_partition_leaves_no_event_behind(world, refusal):
    made = world.make()
    await push.push_due(world.context)
    await poll(world)
    new = move_partition(world, refusal)
    world.cancel(made)
    for _ in range(3):
        await push.push_due(world.context)
        world.later(5)
    assert world.server.texts(f"{new}home/") == {}
    await poll(world)
    assert world.merged() == {}
    assert entries(world, OutboxState.READY, OutboxState.DEAD) == []


class Hotel(MemoryRemote):
    """What stands between the bridge and the server answers removals itself, as often as `says` has answers."""

    says: ClassVar = []

    async def delete(self, url, href, *, etag):
        if self.says:
            if (error := self.says.pop()) is not None:
                raise error
            return
        await super().delete(url, href, etag=etag)


@pytest.mark.parametrize("error", [None, NotFound("u")], ids=["as if done", "as if gone"])
async def test_a_removal_is_done_when_the_event_is_gone_whatever_the_answer(world, error):
    made = world.make()
    await run_to_quiescence(world, rounds=2)
    world.context.remotes.remote = type("Answering", (Hotel,), {"says": [error, error]})
    world.cancel(made)
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.PENDING
    await run_to_quiescence(world, rounds=4)
    assert_agreement(world)
    assert world.server.texts(world.urls["Home"]) == {}


async def test_an_event_that_arrives_after_its_cancelling_is_removed(world):
    sent = []

    class Slow(MemoryRemote):
        async def put(self, url, href, ics, *, etag):
            sent.append((url, href.rpartition("/")[2], ics))
            raise ServerFault(url, "status 504")

    world.context.remotes.remote = Slow
    made = world.make()
    await push.push_due(world.context)
    world.cancel(made)
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.NOT_SYNCED
    world.context.remotes.remote = MemoryRemote
    world.server.edit(*sent[0])  # only now does the server carry it out
    await poll(world)
    assert world.merged() == {}, "it blocks nothing meanwhile"
    await run_to_quiescence(world, rounds=4)
    assert_agreement(world)
    assert world.server.texts(world.urls["Home"]) == {}
    world.later(TOMBSTONE_SECONDS + 1)
    housekeeping.tidy(world.db, now=world.now())
    with pytest.raises(Unknown):
        world.stored(made)


# --- Deleted or moved by the person meanwhile ------------------------------------------------------------------------


async def test_an_event_deleted_by_the_person_while_the_crm_changes_it_is_made_anew_once(world):
    made = world.make()
    await push.push_due(world.context)
    await poll(world)
    world.server.edit(world.urls["Home"], only_event(world)[0], None)
    world.change(made, title="Second call")
    await run_to_quiescence(world)
    assert_agreement(world)
    assert "Second call" in only_event(world)[1]


@pytest.mark.parametrize("name", [None, "renamed-on-the-way.ics"])
async def test_an_event_moved_to_a_conflict_calendar_is_followed_and_never_written_there(world, name):
    made = world.make()
    await push.push_due(world.context)
    await poll(world)
    move(world, "Home", "Work", name)
    written = len(world.server.writes)
    await poll(world)
    followed = world.stored(made)
    assert followed.fields.status == "confirmed"
    assert followed.calendar_id == world.ids["Work"]
    assert list(world.merged()) == [f"{made.id}.ics"]
    # Edits there are followed too, and nothing is written.
    old, text = only_event(world, "Work")
    world.server.edit(world.urls["Work"], old, text.replace("Intro call", "Renamed"))
    await poll(world)
    assert world.stored(made).fields.title == "Renamed"
    assert await push.push_due(world.context) == 0
    assert len(world.server.writes) == written
    world.server.edit(world.urls["Work"], old, None)
    await poll(world)
    assert world.stored(made).fields.status == "cancelled"
    assert world.merged() == {}


@pytest.mark.parametrize("choice", TwoWay)
async def test_an_event_moved_to_a_calendar_that_is_not_read_is_followed(world, choice):
    """Whatever the setting: where the bridge never writes, it can put nothing back."""
    users.change_user(world.db, "ada", two_way=choice, now=world.now())
    made = world.make()
    await push.push_due(world.context)
    await poll(world)
    move(world, "Home", "Hobby")
    await poll(world)
    followed = world.stored(made)
    assert followed.fields.status == "confirmed"
    assert followed.calendar_id == world.ids["Hobby"]
    assert "Hobby" in followed.sync_error
    assert list(world.merged()) == [f"{made.id}.ics"]


async def test_an_event_moved_away_and_back_is_the_same_appointment(world):
    made = world.make()
    await push.push_due(world.context)
    for source, target in (("Home", "Work"), ("Work", "Home")):
        await poll(world)
        move(world, source, target)
    await poll(world)
    world.change(made, title="Second call")
    await run_to_quiescence(world, rounds=3)
    assert_agreement(world)


async def test_an_event_moved_where_it_can_t_be_looked_for_is_not_cancelled_until_it_can(world):
    made = world.make()
    await push.push_due(world.context)
    await poll(world)
    move(world, "Home", "Work")

    async def changes(self, url, token):
        if url == world.urls["Work"]:
            raise ServerFault(url)
        return await MemoryRemote.changes(self, url, token)

    world.context.remotes.remote = type("Odd", (MemoryRemote,), {"changes": changes})
    await poll(world)
    assert world.stored(made).fields.status == "confirmed"
    world.context.remotes.remote = MemoryRemote
    await poll(world)
    assert world.stored(made).calendar_id == world.ids["Work"]


@pytest.mark.parametrize("unchanged", [True, False], ids=["listed as unchanged", "read already"])
async def test_an_event_that_is_moved_in_the_middle_of_a_run_is_followed(world, unchanged):
    made = world.make()
    await push.push_due(world.context)
    for number in range(2):  # so that the list of calendars is trusted
        for name in ("Home", "Work"):
            world.server.edit(world.urls[name], f"{number}.ics", event(f"{name}-{number}"))
        await poll(world)
        world.later(60)
    name = f"{made.uid}.ics"
    text = world.server.texts(world.urls["Home"])[path_of(world.urls["Home"]) + name]
    world.server.edit(world.urls["Home"], "new.ics", event("new-Home"))
    if not unchanged:
        world.server.edit(world.urls["Work"], "new.ics", event("new-Work"))

    class Meanwhile(MemoryRemote):
        async def changes(self, url, token):
            if url == world.urls["Home"] and f"{path_of(url)}{name}" in world.server.texts(url):
                world.server.edit(url, name, None)
                world.server.edit(world.urls["Work"], name, text)
            return await super().changes(url, token)

    world.context.remotes.remote = Meanwhile
    await poll(world)
    assert world.stored(made).fields.status == "confirmed"
    assert world.stored(made).calendar_id == world.ids["Work"]
    await poll(world)
    assert list(world.merged()).count(f"{made.id}.ics") == 1
    assert len(world.merged()) == len(everything(world)), "and blocks no second time"


async def test_an_event_that_is_put_back_in_the_middle_of_a_run_is_not_cancelled(world):
    made = world.make()
    await push.push_due(world.context)
    await poll(world)
    name, text = only_event(world)

    class Undone(MemoryRemote):
        async def get(self, url, href):
            try:
                return await super().get(url, href)
            except NotFound:
                if world.server.texts(world.urls["Home"]) == {}:
                    world.server.edit(world.urls["Home"], name, text)
                raise

    world.server.edit(world.urls["Home"], name, None)
    world.context.remotes.remote = Undone
    for _ in range(2):
        await poll(world)
        assert world.stored(made).fields.status == "confirmed"
    world.change(made, title="Second call")
    await run_to_quiescence(world, rounds=3)
    assert_agreement(world)


@pytest.mark.parametrize("known", [True, False])
async def test_an_event_that_is_deleted_before_the_calendar_it_was_moved_to_is_read_is_cancelled(world, known):
    if not known:
        world.server.on_call = failing("after-PUT", Unreachable("u"))
    made = world.make()
    await push.push_due(world.context)
    if known:
        await poll(world)
    name, text = only_event(world)

    class Meanwhile(MemoryRemote):
        async def get(self, url, href):
            if url == world.urls["Work"]:  # which was read already
                world.server.edit(url, name, text)
            return await super().get(url, href)

    if known:
        world.server.edit(world.urls["Home"], name, None)
        world.context.remotes.remote = Meanwhile
        await poll(world)
        world.context.remotes.remote = MemoryRemote
    else:
        move(world, "Home", "Work")
        world.later(60)
        await push.push_due(world.context)
    assert world.stored(made).calendar_id == world.ids["Work"]
    world.server.edit(world.urls["Work"], name, None)
    for _ in range(2):
        world.later(60)
        await poll(world)
    assert world.stored(made).fields.status == "cancelled"
    assert f"{made.id}.ics" not in world.merged()


def everything(world):
    return [text for name in ("Home", "Work") for text in world.server.texts(world.urls[name]).values()]


async def test_a_deletion_that_the_server_does_not_tell_of_keeps_no_change_from_being_written(world):
    class Silent(MemoryRemote):
        async def changes(self, url, token):
            return replace(await super().changes(url, token), removed=frozenset())

    made = world.make()
    await push.push_due(world.context)
    name, _ = only_event(world)
    for number in range(plan.FEW_OBJECTS):
        world.server.edit(world.urls["Home"], f"{number}.ics", event(f"Home-{number}"))
    await poll(world)
    world.server.edit(world.urls["Home"], name, None)
    world.server.edit(world.urls["Home"], "new.ics", event("new-Home"))
    world.context.remotes.remote = Silent
    await poll(world)
    world.change(made, title="Second call")
    for _ in range(3):
        await push.push_due(world.context)
        world.later(15)
    assert world.stored(made).sync_state == SyncState.SYNCED
    assert_agreement(world)


def edited(world, name, text):
    world.server.edit(world.urls["Home"], name, text.replace("Intro call", "Renamed"))


def deleted(world, name, text):
    world.server.edit(world.urls["Home"], name, None)


@pytest.mark.parametrize("act", [edited, deleted])
@pytest.mark.parametrize("ended", [True, False], ids=["run ended", "run under way"])
async def test_what_a_person_does_before_an_event_s_reading_back_is_answered_is_not_missed(world, act, ended):
    under_way, stored = asyncio.Event(), asyncio.Event()
    runs = []

    class Slow(MemoryRemote):
        async def get(self, url, href):
            found = await super().get(url, href)
            if not runs:
                act(world, *only_event(world))
                runs.append(asyncio.create_task(poll(world)))
                await (runs[0] if ended else under_way.wait())
            return found

        async def changes(self, url, token):
            if url == world.urls["Work"] and not ended:
                under_way.set()
                await stored.wait()
            return await super().changes(url, token)

    await poll(world)
    world.server.edit(world.urls["Work"], "new.ics", event("new-Work"))
    made = world.make()
    world.context.remotes.remote = Slow
    await push.push_due(world.context)
    stored.set()
    await runs[0]
    await run_to_quiescence(world, rounds=3)
    assert_agreement(world)
    assert world.stored(made).fields.title == ("Renamed" if act is edited else "Intro call")


async def test_what_a_person_does_between_two_readings_of_an_event_is_theirs(world):
    runs = []

    class Slow(MemoryRemote):
        async def get(self, url, href):
            found = await super().get(url, href)
            if not runs:
                runs.append(href)
                await poll(world)
                edited(world, *only_event(world))
            return found

    made = world.make()
    world.context.remotes.remote = Slow
    await push.push_due(world.context)
    await run_to_quiescence(world, rounds=2)
    assert_agreement(world)
    assert world.stored(made).fields.title == "Renamed"


@pytest.mark.parametrize("again", [True, False], ids=["read again", "read once"])
async def test_an_event_that_is_moved_while_it_is_written_can_be_moved_again(world, again):
    runs = []

    class Slow(MemoryRemote):
        async def get(self, url, href):
            found = await super().get(url, href)
            if runs:
                return found
            runs.append(href)
            name, text = only_event(world)
            world.server.edit(url, name, text.replace("T09", "T11"))
            await poll(world)
            return found if again else await super().get(url, href)

    made = world.make()
    world.context.remotes.remote = Slow
    await push.push_due(world.context)
    name, text = only_event(world)
    assert "T11" in text
    world.server.edit(world.urls["Home"], name, text.replace("T11", "T13"))
    await run_to_quiescence(world, rounds=2)
    assert_agreement(world)
    assert world.stored(made).sync_state == SyncState.SYNCED


async def test_the_crm_s_change_of_an_event_that_was_moved_away_makes_no_second_one(world):
    made = world.make()
    await push.push_due(world.context)
    await poll(world)
    move(world, "Home", "Work")
    world.change(made, title="Second call")
    await run_to_quiescence(world, rounds=4)
    everywhere = [t for url in world.urls.values() for t in world.server.texts(url).values() if "apt_" in t]
    assert len(everywhere) == 1
    assert list(world.merged()) == [f"{made.id}.ics"]
    assert "never writes" in world.stored(made).sync_error
    assert {href.split("/")[2] for _, href in world.server.writes} == {"home"}


async def test_an_event_that_was_moved_away_and_deleted_is_cancelled_whatever_the_crm_still_has_to_write(world):
    made = world.make()
    await push.push_due(world.context)
    await poll(world)
    move(world, "Home", "Work")
    await poll(world)
    world.change(made, title="Second call")
    name, _ = only_event(world, "Work")
    world.server.edit(world.urls["Work"], name, None)
    await run_to_quiescence(world, rounds=2)
    assert world.stored(made).fields.status == "cancelled"
    assert_agreement(world)


async def test_the_crm_s_cancelling_an_event_that_was_moved_away_leaves_it_and_says_so(world):
    made = world.make()
    await push.push_due(world.context)
    await poll(world)
    move(world, "Home", "Work")
    await poll(world)
    world.cancel(made)
    await run_to_quiescence(world, rounds=2)
    assert world.stored(made).sync_state == SyncState.FAILED
    assert len(world.server.texts(world.urls["Work"])) == 1
    (slot,) = world.merged()
    assert slot.startswith("ics_"), "it is still there, so it still blocks"


async def test_a_uid_that_the_account_knows_already_is_no_dead_end(world):
    made = world.make()
    world.server.edit(world.urls["Hobby"], "copy.ics", event(made.uid))
    await push.push_due(world.context)
    assert world.stored(made).sync_state == SyncState.SYNCED
    assert world.stored(made).uid != made.uid
    await poll(world)
    assert list(world.merged()) == [f"{made.id}.ics"]


async def test_an_appointment_that_comes_back_to_life_is_one_event_again(world):
    made = world.make()
    await push.push_due(world.context)
    world.change(made, status="cancelled")
    await push.push_due(world.context)
    world.change(made, status="confirmed")
    await run_to_quiescence(world, rounds=3)
    assert_agreement(world)
    assert len(world.server.texts(world.urls["Home"])) == 1


# --- Set-up that changes ---------------------------------------------------------------------------------------------


async def test_appointments_left_behind_stay_and_move_when_the_crm_changes_them(world):
    first = world.make()
    second = world.make(start=world.now() + 200_000, end=world.now() + 201_800)
    await run_to_quiescence(world, rounds=1)
    await roles.choose(
        world.context,
        "ada",
        primary=world.ids["Hobby"],
        conflicts=[world.ids["Home"]],
        appointments=roles.Appointments.LEAVE,
    )
    assert await push.push_due(world.context) == 0
    assert len(world.server.texts(world.urls["Home"])) == 2
    assert len(world.merged()) == 2
    world.change(first, title="Second call")
    await run_to_quiescence(world, rounds=3)
    assert "Second call" in only_event(world, "Hobby")[1]
    assert len(world.server.texts(world.urls["Home"])) == 1
    world.cancel(second)
    await run_to_quiescence(world, rounds=3)
    assert_agreement(world)


async def test_disconnecting_takes_the_slots_and_the_secret_and_keeps_the_appointments(world):
    world.server.edit(world.urls["Work"], "a.ics", event("a"))
    made = world.make()
    await run_to_quiescence(world, rounds=1)
    with world.db.write() as tx:
        tx.execute("UPDATE accounts SET secret = :s", {"s": b"sealed-secret-to-forget"})
    await connect.disconnect(world.context, "ada", world.account_id)
    assert list(world.merged()) == [f"{made.id}.ics"]
    for path in world.db.path.parent.glob("bridge.db*"):
        assert b"sealed-secret-to-forget" not in path.read_bytes(), path.name
    await connect.connect(world.context, "ada", "icloud", world.server.username, world.server.password)
    ids = {c.name: c.id for c in roles.list_calendars(world.db, "ada")}
    await roles.choose(world.context, "ada", primary=ids["Home"], conflicts=[ids["Work"]])
    world.change(made, title="Second call")
    await run_to_quiescence(world, rounds=2)
    assert_agreement(world)
    assert len([w for w in world.server.writes if w[0] == "PUT"]) == 2


async def test_what_was_cancelled_while_disconnected_is_removed_on_return(world):
    made = world.make()
    await run_to_quiescence(world, rounds=1)
    await connect.disconnect(world.context, "ada", world.account_id)
    world.cancel(made)
    await connect.connect(world.context, "ada", "icloud", world.server.username, world.server.password)
    await push.push_due(world.context)
    assert world.server.texts(world.urls["Home"]) == {}


async def test_reconnected_with_another_primary_the_appointments_move_without_a_second_event(world):
    world.make()
    await run_to_quiescence(world, rounds=1)
    await connect.disconnect(world.context, "ada", world.account_id)
    await connect.connect(world.context, "ada", "icloud", world.server.username, world.server.password)
    ids = {c.name: c.id for c in roles.list_calendars(world.db, "ada")}
    await roles.choose(world.context, "ada", primary=ids["Hobby"], conflicts=[ids["Home"]])
    await run_to_quiescence(world, rounds=3)
    assert_agreement(world)


async def test_a_primary_that_was_deleted_gives_its_appointments_to_the_next(world):
    made = world.make()
    await run_to_quiescence(world, rounds=1)
    del world.server.calendars[world.urls["Home"]]
    await poll(world)
    world.later(plan.HOLD_SECONDS)
    await poll(world)
    assert world.stored(made).fields.status == "confirmed", "deleting a calendar cancels nothing"
    (user,) = status(world.db)
    assert any("no longer there" in advice for advice in user.advice)
    await roles.choose(world.context, "ada", primary=world.ids["Hobby"])
    for _ in range(8):
        await push.push_due(world.context)
        world.later(4000)
    assert len(world.server.texts(world.urls["Hobby"])) == 1
    assert entries(world, OutboxState.READY, OutboxState.LEASED, OutboxState.DEAD) == []
    with pytest.raises(NotFound):
        await MemoryRemote(world.server, world.server.username, world.server.password).listing(world.urls["Home"])
