"""The mirror, and servers that answer oddly: nothing is lost, nothing is believed gone that is not."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bridge.domain import plan
from bridge.domain.model import AccountState, Interval, ListTrust, MirrorItem
from bridge.errors import (
    BadAnswer,
    CalendarsStale,
    Forbidden,
    NotFound,
    RemoteError,
    Throttled,
    TokenRejected,
    Unauthorized,
    Unreachable,
)
from bridge.remote.base import Changes, RemoteObject
from bridge.remote.memory import ROOT, MemoryRemote, failing
from bridge.service import availability, book, mirror, people, push, roles
from bridge.service.refresh import refresh
from bridge.service.status import status
from bridge.store import accounts, occurrences, published
from bridge.store import mirror as mirror_store

from .agreement import assert_agreement
from .conftest import NOW, event, move_partition

DAY = 86_400


async def poll(world):
    return await mirror.mirror_account(world.context, world.account_id)


def seen_as(world, **methods):
    """Let the bridge see the server through a remote with these methods in place of its own."""
    world.context.remotes.remote = type("Odd", (MemoryRemote,), methods)


def calendar(world, name="Work"):
    with world.db.read() as tx:
        return accounts.calendar(tx, world.ids[name])


def account(world):
    with world.db.read() as tx:
        return accounts.get(tx, world.account_id)


def fill(world, count, name="Work"):
    for number in range(count):
        day = 1 + number % 28
        world.server.edit(
            world.urls[name],
            f"{number}.ics",
            event(f"{name}{number}", start=f"202703{day:02}T100000", end=f"202703{day:02}T110000"),
        )


# --- What seems to be gone -------------------------------------------------------------------------------------------


async def test_an_answer_that_is_cut_short_removes_nothing_and_advances_nothing(world):
    fill(world, 40)
    await poll(world)
    before = calendar(world)

    async def listing(self, url):
        full = await MemoryRemote.listing(self, url)
        return dict(list(full.items())[:30])

    async def changes(self, url, token):
        raise TokenRejected(url)

    seen_as(world, listing=listing, changes=changes)
    world.server.edit(world.urls["Work"], "new.ics", event("new"))
    world.server.edit(world.urls["Work"], "0.ics", event("Work0", title="Edited"))
    await poll(world)
    assert len(world.merged()) == 40
    assert calendar(world).sync_token == before.sync_token
    assert "seem" in calendar(world).last_error or "gone" in calendar(world).last_error
    seen_as(world)
    await poll(world)
    assert len(world.merged()) == 41
    assert calendar(world).last_error is None


async def test_a_calendar_that_suddenly_loses_most_is_held_shown_and_looked_at_again(world):
    fill(world, 10)
    await poll(world)
    for number in range(9):
        world.server.edit(world.urls["Work"], f"{number}.ics", None)
    await poll(world)
    assert len(world.merged()) == 10
    (user,) = status(world.db)
    (work,) = [c for a in user.accounts for c in a.calendars if c.name == "Work"]
    assert work.held == 9
    assert "kept" in work.trouble
    world.later(plan.HOLD_SECONDS - 1)
    await poll(world)
    assert len(world.merged()) == 10
    world.later(1)
    await poll(world)
    assert len(world.merged()) == 1
    assert calendar(world).last_error is None


async def test_objects_that_are_called_gone_but_are_there_stay_however_long_it_goes_on(world):
    fill(world, 60)
    await poll(world)

    async def changes(self, url, token):
        answer = await MemoryRemote.changes(self, url, token)
        gone = {f"/home/work/{number}.ics" for number in range(50)} if "work" in url else set()
        return replace(answer, removed=answer.removed | gone)

    seen_as(world, changes=changes)
    world.server.edit(world.urls["Work"], "new.ics", event("new"))
    for _ in range(4):
        await poll(world)
        world.later(plan.HOLD_SECONDS)
    assert len(world.merged()) == 61


async def test_a_removal_is_believed_only_when_the_object_is_not_there(world):
    fill(world, 20)
    await poll(world)

    async def changes(self, url, token):
        answer = await MemoryRemote.changes(self, url, token)
        return replace(answer, removed=answer.removed | {"/home/work/3.ics"} if "work" in url else answer.removed)

    seen_as(world, changes=changes)
    world.server.edit(world.urls["Work"], "4.ics", None)
    await poll(world)
    assert len(world.merged()) == 19


@pytest.mark.parametrize("refusal", [TokenRejected("u"), None])
async def test_a_token_that_the_server_forgot_hides_no_deletion(world, refusal):
    fill(world, 20)
    await poll(world)

    async def changes(self, url, token):
        if refusal is not None and token is not None:
            raise refusal
        everything = await MemoryRemote.changes(self, url, None)
        return replace(everything, complete=token is None)  # "all of it changed", with no word of the token

    seen_as(world, changes=changes)
    world.server.edit(world.urls["Work"], "3.ics", None)
    world.server.edit(world.urls["Work"], "5.ics", event("Work5", title="Edited"))
    await poll(world)
    assert len(world.merged()) == 19
    assert calendar(world).last_error is None


async def test_what_changes_never_told_of_is_found_by_the_daily_comparison(world):
    fill(world, 20)
    await poll(world)

    async def changes(self, url, token):
        answer = await MemoryRemote.changes(self, url, token)
        return answer if token is None else Changes({}, frozenset(), answer.sync_token, complete=False)

    seen_as(world, changes=changes)
    world.server.edit(world.urls["Work"], "3.ics", None)
    world.server.edit(world.urls["Work"], "new.ics", event("new"))
    world.server.edit(world.urls["Work"], "new2.ics", event("new2"))
    await poll(world)
    world.later(plan.COMPARE_SECONDS)
    await poll(world)
    assert len(world.merged()) == 21


async def test_a_comparison_with_a_listing_that_is_cut_short_loses_nothing_new(world):
    fill(world, 20)
    await poll(world)

    async def listing(self, url):
        full = await MemoryRemote.listing(self, url)
        return dict(list(full.items())[:20])

    seen_as(world, listing=listing)
    world.server.edit(world.urls["Work"], "new.ics", event("new"))
    world.later(plan.COMPARE_SECONDS)
    await poll(world)
    assert len(world.merged()) == 21


async def test_own_writes_seen_again_cost_no_listing(world):
    fill(world, plan.FEW_OBJECTS, "Home")
    await poll(world)
    book.create_appointment(world.db, world.new(), now=world.now())
    await push.push_due(world.context)
    world.server.requests.clear()
    await poll(world)
    assert world.server.requests == ["PROPFIND", "REPORT"]


# --- What is listed but does not come --------------------------------------------------------------------------------


async def test_a_multiget_that_leaves_objects_out_is_completed_one_by_one(world):
    async def multiget(self, url, hrefs):
        return (await MemoryRemote.multiget(self, url, list(hrefs)))[::2]

    seen_as(world, multiget=multiget)
    fill(world, 20)
    await poll(world)
    assert len(world.merged()) == 20


async def test_a_server_whose_multiget_is_broken_is_read_one_by_one(world):
    async def multiget(self, url, hrefs):
        raise BadAnswer(url)

    seen_as(world, multiget=multiget)
    fill(world, 3)
    await poll(world)
    assert len(world.merged()) == 3


async def test_an_object_that_is_listed_before_it_can_be_had_is_not_forgotten(world):
    fill(world, 2)

    async def multiget(self, url, hrefs):
        return await MemoryRemote.multiget(self, url, [h for h in hrefs if not h.endswith("/1.ics")])

    async def get(self, url, href):
        if href.endswith("/1.ics"):
            raise NotFound(url)
        return await MemoryRemote.get(self, url, href)

    seen_as(world, multiget=multiget, get=get)
    await poll(world)
    assert len(world.merged()) == 1
    assert "does not deliver" in calendar(world).last_error
    world.later(60)
    seen_as(world)
    await poll(world)
    assert len(world.merged()) == 2
    assert calendar(world).last_error is None


async def test_an_object_that_is_listed_and_never_comes_does_not_stop_the_calendar_for_ever(world):
    fill(world, 2)

    async def multiget(self, url, hrefs):
        return await MemoryRemote.multiget(self, url, [h for h in hrefs if not h.endswith("/1.ics")])

    async def get(self, url, href):
        raise NotFound(url)

    seen_as(world, multiget=multiget, get=get)
    await poll(world)
    world.later(plan.UNDELIVERED_SECONDS)
    await poll(world)
    assert calendar(world).last_error is None
    assert calendar(world).sync_token is not None


async def test_one_unreadable_object_stops_nothing_and_keeps_what_it_blocked(world):
    fill(world, 3)
    await poll(world)
    world.server.edit(world.urls["Work"], "0.ics", "BEGIN:VCALENDAR\r\nthis is no calendar")
    world.server.edit(world.urls["Work"], "new.ics", event("new", start="20270320T100000", end="20270320T110000"))
    await poll(world)
    assert len(world.merged()) == 4
    assert calendar(world).last_error is None
    (user,) = status(world.db)
    (work,) = [c for a in user.accounts for c in a.calendars if c.name == "Work"]
    assert (work.objects, work.unreadable) == (4, 1)
    assert work.why_unreadable == ("The object holds no event.",)


@pytest.mark.parametrize("error", [BadAnswer("u"), Unreachable("u"), Forbidden("u"), Throttled("u", retry_after=1)])
@pytest.mark.parametrize("method", ["PROPFIND", "REPORT", "GET"])
async def test_trouble_at_any_request_loses_nothing(world, method, error):
    fill(world, 60)
    await poll(world)
    world.server.edit(world.urls["Work"], "0.ics", None)
    world.server.edit(world.urls["Work"], "1.ics", event("Work1", start="20270320T100000", end="20270320T113000"))
    world.server.on_call = failing(method, error)
    try:
        await poll(world)
    except RemoteError:
        assert method == "PROPFIND"
    assert account(world).state != AccountState.NEEDS_PASSWORD
    await poll(world)
    assert len(world.merged()) == 59
    assert any(item.last_end - item.first_start == 5400 for item in world.merged().values())
    assert calendar(world).last_error is None


# --- When a calendar says that it is unchanged -----------------------------------------------------------------------


def listed_with(**fields):
    async def calendars(self, home_url):
        return tuple(
            replace(c, **{name: make(c) for name, make in fields.items()})
            for c in await MemoryRemote.calendars(self, home_url)
        )

    return calendars


async def test_a_list_that_never_tells_of_changes_loses_none(world):
    seen_as(world, calendars=listed_with(ctag=lambda c: "same", sync_token=lambda c: "same"))
    await roles.choose(world.context, "ada", conflicts=[world.ids["Work"]])
    fill(world, 1)
    await poll(world)
    assert len(world.merged()) == 1
    assert account(world).list_trust == ListTrust.DISTRUSTED
    world.server.edit(world.urls["Work"], "0.ics", None)
    await poll(world)
    assert world.merged() == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"sync_token": lambda c: f"other-form-of-{c.sync_token}"},
        {"sync_token": lambda c: None},
        {"ctag": lambda c: None},
        {},
    ],
)
async def test_a_list_that_tells_of_changes_in_any_form_spares_the_calendars(world, fields):
    seen_as(world, calendars=listed_with(**fields))
    for count in (1, 2):
        fill(world, count)
        await poll(world)
        assert len(world.merged()) == count
    await poll(world)
    world.server.requests.clear()
    await poll(world)
    assert world.server.requests == ["PROPFIND"]


async def test_ctags_that_are_times_in_seconds(world):
    """As SOGo's ctags and sync-tokens: what comes in the second of the last change leaves them as they are."""

    async def in_seconds(remote, home_url):
        return tuple(
            replace(c, ctag=str(NOW), sync_token=str(NOW)) for c in await MemoryRemote.calendars(remote, home_url)
        )

    async def since_a_second(remote, url, token):
        return replace(await MemoryRemote.changes(remote, url, None), sync_token=str(NOW), complete=token is None)

    seen_as(world, calendars=in_seconds, changes=since_a_second)
    fill(world, 1)
    await poll(world)
    fill(world, 2)
    world.later(1)
    await poll(world)
    assert len(world.merged()) == 2


async def test_a_list_that_stops_telling_is_found_out(world):
    fill(world, 1)
    await poll(world)
    stuck = await MemoryRemote(world.server, world.server.username, world.server.password).calendars(f"{ROOT}home/")

    async def calendars(self, home_url):
        return stuck

    seen_as(world, calendars=calendars)
    fill(world, 3)
    world.later(max(plan.VERIFY_SECONDS.values()))
    await poll(world)
    assert len(world.merged()) == 3
    assert account(world).list_trust == ListTrust.DISTRUSTED


async def test_an_event_that_comes_between_the_list_and_the_answer_is_no_lie_and_not_lost(world):
    fill(world, 1)
    await poll(world)
    done = []

    def meanwhile(method):
        if method == "REPORT" and not done:
            done.append(1)
            world.server.edit(world.urls["Home"], "new.ics", event("new", start="20270320T100000"))

    world.server.on_call = meanwhile
    world.later(max(plan.VERIFY_SECONDS.values()))
    await poll(world)
    assert len(world.merged()) == 2
    assert account(world).list_trust != ListTrust.DISTRUSTED


# --- A first run that takes a while ----------------------------------------------------------------------------------


async def test_while_a_first_run_goes_on_whole_events_appear_and_no_time_is_free(world):
    fill(world, 450, "Hobby")
    seen = []

    def meanwhile(method):
        with world.db.read() as tx:
            head = published.head(tx, "ada").revision
            new = published.changed_since(tx, "ada", seen[-1][0]) if seen else []
            busy = {one.href for one in occurrences.busy(tx, "ada", Interval(NOW - 40 * DAY, NOW + 40 * DAY))}
        items = world.merged()
        assert busy == items.keys()
        assert not seen or set(new) == items.keys() - seen[-1][1].keys()
        seen.append((head, items))
        with pytest.raises(CalendarsStale):
            availability.free_slots(
                world.db,
                world.booking_calendar_id,
                Interval(NOW, NOW + DAY),
                locations=None,
                now=world.now(),
                stale_seconds=world.context.freshness.stale,
            )
        with pytest.raises(CalendarsStale):
            book.create_appointment(world.db, world.new(), now=world.now())

    world.server.on_call = meanwhile
    await roles.choose(world.context, "ada", conflicts=[world.ids["Hobby"]])
    world.server.on_call = lambda _: None
    everything = world.merged()
    assert len(everything) == 450
    assert sorted({len(items) for _, items in seen}) == [0, 200, 400]
    assert all(items.items() <= everything.items() for _, items in seen)
    assert [head for head, _ in seen] == sorted(head for head, _ in seen)
    assert book.create_appointment(world.db, world.new(), now=world.now())


# --- Others at work at the same time ---------------------------------------------------------------------------------


class Slow(MemoryRemote):
    """Gives others a turn before each answer."""


for _name in ("calendars", "changes", "listing", "multiget", "get"):

    async def _slow(self, *args, _name=_name):
        await asyncio.sleep(0)
        answer = await getattr(MemoryRemote, _name)(self, *args)
        await asyncio.sleep(0)
        return answer

    setattr(Slow, _name, _slow)


async def test_runs_over_the_same_calendar_at_once_lose_nothing(world):
    world.context.remotes.remote = Slow
    fill(world, 120)

    async def person():
        for number in range(0, 120, 5):
            await asyncio.sleep(0)
            world.server.edit(world.urls["Work"], f"{number}.ics", None)
            world.server.edit(world.urls["Work"], f"{number + 1}.ics", event(f"Work{number + 1}", title="Edited"))

    await asyncio.gather(poll(world), person(), poll(world), poll(world))
    for _ in range(3):
        await poll(world)
    assert len(world.merged()) == 96
    with world.db.read() as tx:
        texts = [row["ics"] for row in tx.execute("SELECT ics FROM mirror_items")]
    assert sum("Edited" in text for text in texts) == 24


async def test_a_role_that_is_taken_and_given_again_during_a_run_loses_nothing(world):
    fill(world, 300)
    taken = []

    def meanwhile(method):
        if method == "REPORT":
            taken.append(method)
            if len(taken) == 8:  # in the middle of fetching
                with world.db.write() as tx:
                    roles.assign(tx, "ada", roles.KEEP, [], roles.Appointments.MOVE, now=world.now())
                    roles.assign(tx, "ada", roles.KEEP, [world.ids["Work"]], roles.Appointments.MOVE, now=world.now())

    world.server.on_call = meanwhile
    await poll(world)
    await poll(world)
    assert len(world.merged()) == 300


async def test_a_person_s_edit_that_meets_a_push_in_the_middle_of_a_run_is_seen(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    await push.push_due(world.context)
    await poll(world)
    url = world.urls["Home"]
    ((href, _),) = world.server.texts(url).items()

    async def changes(self, where, token):
        if where == url and not busy:
            busy.append(1)
            world.change(made, address="Room 5")
            await push.push_due(world.context)
            text = world.server.texts(url)[href]
            world.server.edit(url, href.rpartition("/")[2], text.replace("Intro call", "Renamed"))
        return await MemoryRemote.changes(self, where, token)

    busy = []
    seen_as(world, changes=changes)
    world.server.edit(url, "other.ics", event("other"))
    await poll(world)
    await poll(world)
    assert world.stored(made).fields.title == "Renamed"


def writing_over(world, href, times):
    """A remote beside which somebody else (a push of the bridge's own) writes the object that it has just read."""
    left = [times]

    def written():
        if left[0] > 0:
            left[0] -= 1
            item = MirrorItem(world.ids["Work"], href, f'"other-{left[0]}"', "Work0", event("Work0", title="Pushed"))
            with world.db.write() as tx:
                mirror_store.put(tx, "ada", [item])

    async def multiget(self, url, hrefs):
        found = await MemoryRemote.multiget(self, url, hrefs)
        written()
        return found

    async def get(self, url, href):
        found = await MemoryRemote.get(self, url, href)
        written()
        return found

    seen_as(world, multiget=multiget, get=get)


@pytest.mark.parametrize(("times", "fresh"), [(1, True), (9, False)])
async def test_a_run_counts_only_if_nobody_wrote_over_what_it_read(world, times, fresh):
    fill(world, 3)
    await poll(world)
    before = calendar(world).last_success_at
    href = world.server.edit(
        world.urls["Work"], "0.ics", event("Work0", start="20270309T140000", end="20270309T150000")
    )
    writing_over(world, href, times)
    world.later(60)
    await poll(world)
    assert calendar(world).last_success_at == (world.now() if fresh else before)
    seen_as(world)
    world.later(60)
    await poll(world)
    assert calendar(world).last_success_at == world.now()
    with world.db.read() as tx:
        assert "T140000" in mirror_store.get(tx, world.ids["Work"], href).ics


@pytest.mark.parametrize("delivers_late", [False, True])
@pytest.mark.parametrize("with_token", [True, False])
async def test_what_a_push_writes_while_the_answer_is_on_its_way_is_newer_than_the_answer(
    world, with_token, delivers_late
):
    fill(world, plan.FEW_OBJECTS, "Home")
    await poll(world)
    made = world.make()
    await push.push_due(world.context)
    world.change(made, title="Second")
    await push.push_due(world.context)
    world.later(1)
    before: dict[str, RemoteObject] = {}

    async def changes(self, url, token):
        if token is not None and not with_token:
            raise TokenRejected(url)
        answer = await MemoryRemote.changes(self, url, token)
        if url == world.urls["Home"] and not before:
            before.update({o.href: o for o in await MemoryRemote.multiget(self, url, answer.changed)})
            world.change(made, title="Third")
            world.make(start=NOW + 3 * 86_400, end=NOW + 3 * 86_400 + 1800)
            await push.push_due(world.context)
        return answer

    async def multiget(self, url, hrefs):
        found = await MemoryRemote.multiget(self, url, hrefs)
        return tuple(before.get(o.href, o) for o in found) if delivers_late else found

    seen_as(world, changes=changes, multiget=multiget)
    await poll(world)
    assert before
    assert calendar(world, "Home").last_error is None
    assert world.stored(made).fields.title == "Third"
    assert_agreement(world)
    seen_as(world)
    await poll(world)
    assert_agreement(world)


async def test_whoever_asks_at_the_same_time_shares_one_run(world):
    await poll(world)
    world.later(60)
    world.server.requests.clear()
    context = world.context
    await asyncio.gather(
        mirror.poll(context, world.account_id),
        refresh(context, "loc", world.booking_calendar_id, None),
        refresh(context, "loc", world.booking_calendar_id, None),
        mirror.poll(context, world.account_id),
    )
    assert world.server.requests == ["PROPFIND"]
    assert context.polls == {}


async def test_what_is_chosen_while_a_run_is_under_way_is_in_when_the_choice_returns(world):
    world.context.remotes.remote = Slow
    fill(world, 3, "Hobby")
    under_way = mirror.poll(world.context, world.account_id)
    await asyncio.sleep(0)
    await roles.choose(world.context, "ada", conflicts=[world.ids["Hobby"]])
    assert under_way.done()
    assert len(world.merged()) == 3


# --- Accounts and calendars that change ------------------------------------------------------------------------------


async def test_one_401_is_no_proof_and_two_are(world):
    world.server.on_call = failing("PROPFIND", Unauthorized("u"))
    await poll(world)
    assert account(world).state == AccountState.CONNECTED
    world.server.password = "another"
    with pytest.raises(Unauthorized):
        await poll(world)
    assert account(world).state == AccountState.NEEDS_PASSWORD
    world.server.password = "abcd-efgh-ijkl-mnop"
    await poll(world)
    assert account(world).state == AccountState.CONNECTED


async def test_a_throttled_calendar_makes_the_whole_account_wait(world):
    for name in ("Home", "Work"):
        fill(world, 1, name)
    world.server.on_call = failing("REPORT", Throttled("u", retry_after=500), times=9)
    world.server.requests.clear()
    await poll(world)
    assert world.server.requests == ["PROPFIND", "REPORT"]
    assert world.next_poll() >= world.now() + 400
    assert account(world).state == AccountState.THROTTLED
    world.server.on_call = lambda _: None
    await poll(world)
    assert len(world.merged()) == 2


async def test_a_calendar_that_is_renamed_and_recoloured_stays_the_same_one(world):
    fill(world, 1)
    await poll(world)
    with world.db.read() as tx:
        before = tx.execute("SELECT revision FROM users").fetchone()[0]
    server = world.server.calendars[world.urls["Work"]]
    server.name, server.colour = "Office", "#112233"
    await poll(world)
    assert (calendar(world).name, calendar(world).colour) == ("Office", "#112233")
    with world.db.read() as tx:
        assert tx.execute("SELECT revision FROM users").fetchone()[0] == before


async def test_a_calendar_that_is_gone_blocks_what_it_blocked_until_its_person_removes_it(world):
    """It may have been deleted, or shared no longer, or be back tomorrow: its time is not free by itself."""
    fill(world, 3)
    fill(world, 1, "Home")
    await poll(world)
    read_at = calendar(world).last_success_at
    lost = world.server.calendars.pop(world.urls["Work"])
    for _ in range(3):
        world.later(plan.HOLD_SECONDS)
        await poll(world)
    assert len(world.merged()) == 4
    (user,) = status(world.db)
    (work,) = [c for a in user.accounts for c in a.calendars if c.name == "Work"]
    assert "no longer there" in work.trouble
    assert "removed" in work.trouble
    with world.db.read() as tx:
        later = read_at + world.context.freshness.stale + 1
        assert people.known(tx, ["ada"], now=later, stale_seconds=world.context.freshness.stale).stale == {"ada"}
    # Back again, it is read on.
    world.server.calendars[world.urls["Work"]] = lost
    world.server.edit(world.urls["Work"], "0.ics", None)
    await poll(world)
    assert len(world.merged()) == 3
    assert calendar(world).last_error is None
    # Gone once more, another Primary can be chosen beside it; and removed, it takes no more time.
    del world.server.calendars[world.urls["Work"]]
    await poll(world)
    await roles.choose(world.context, "ada", primary=world.ids["Hobby"], conflicts=[world.ids["Work"]])
    assert len(world.merged()) == 2
    await roles.choose(world.context, "ada", conflicts=[])
    assert world.merged() == {}


async def test_a_calendar_that_is_gone_does_not_keep_a_deleted_appointment_alive(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    await push.push_due(world.context)
    fill(world, 1, "Home")
    await poll(world)
    del world.server.calendars[world.urls["Work"]]
    world.server.edit(world.urls["Home"], f"{made.uid}.ics", None)
    await poll(world)
    assert world.stored(made).fields.status == "cancelled"


@pytest.mark.parametrize("named", [True, False])
async def test_a_small_calendar_that_is_empty_for_a_moment_loses_nothing(world, named):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    await push.push_due(world.context)
    if named:
        fill(world, 2, "Home")
    await poll(world)
    before = world.merged()
    full = world.server.calendars[world.urls["Home"]]

    async def changes(self, url, token):
        if url != world.urls["Home"]:
            return await MemoryRemote.changes(self, url, token)
        if not named and token is not None:
            raise TokenRejected(url)
        return Changes({}, frozenset(full.objects if named else ()), "token:9", complete=token is None)

    async def get(self, url, href):
        raise NotFound(url)

    seen_as(world, changes=changes, get=get)
    world.server.edit(world.urls["Home"], "new.ics", event("new"))  # so that it is looked at
    await poll(world)
    assert world.merged() == before
    assert world.stored(made).fields.status == "confirmed"
    assert "kept" in calendar(world, "Home").last_error
    assert world.next_poll() <= world.now() + plan.HOLD_SECONDS, "it is looked at again soon"
    seen_as(world)
    world.later(plan.HOLD_SECONDS)
    await poll(world)
    assert len(world.merged()) == len(before) + 1
    assert calendar(world, "Home").last_error is None


async def test_a_small_calendar_that_its_person_empties_is_empty_after_another_look(world):
    fill(world, 3)
    await poll(world)
    for number in range(3):
        world.server.edit(world.urls["Work"], f"{number}.ics", None)
    await poll(world)
    assert len(world.merged()) == 3
    world.later(plan.HOLD_SECONDS)
    await poll(world)
    assert world.merged() == {}
    assert calendar(world).last_error is None


#: How many events a small calendar has, and loses.
LOSSES = [(1, 1), (2, 1), (2, 2), (5, 1), (5, 4), (5, 5)]


def without_tokens(leave_out=0):
    """A server that forgets tokens, so that only a listing tells what is gone; and leaves objects out of that."""

    async def changes(self, url, token):
        if token is not None:
            raise TokenRejected(url)
        answer = await MemoryRemote.changes(self, url, token)
        return replace(answer, changed=dict(sorted(answer.changed.items())[leave_out if "work" in url else 0 :]))

    return changes


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(("count", "gone"), LOSSES)
async def test_what_is_really_deleted_from_a_small_calendar_is_gone_after_another_look(world, count, gone, named):
    fill(world, count)
    if not named:
        seen_as(world, changes=without_tokens())
    await poll(world)
    assert len(world.merged()) == count
    for number in range(gone):
        world.server.edit(world.urls["Work"], f"{number}.ics", None)
    await poll(world)
    world.later(plan.HOLD_SECONDS)
    await poll(world)
    assert len(world.merged()) == count - gone
    assert calendar(world).last_error is None


@pytest.mark.parametrize(("count", "gone"), LOSSES)
async def test_a_small_calendar_loses_nothing_by_a_listing_that_leaves_objects_out(world, count, gone):
    fill(world, count)
    await poll(world)
    before = world.merged()
    seen_as(world, changes=without_tokens(leave_out=gone))
    world.server.edit(world.urls["Work"], f"{count - 1}.ics", event(f"Work{count - 1}", title="Edited"))
    for _ in range(4):
        await poll(world)
        assert world.merged().keys() == before.keys()
        assert "kept" in calendar(world).last_error
        world.later(plan.HOLD_SECONDS)
    seen_as(world)
    await poll(world)
    assert world.merged().keys() == before.keys()
    assert calendar(world).last_error is None


async def test_a_list_with_nothing_in_it_is_a_bad_moment(world):
    fill(world, 3)
    await poll(world)

    async def calendars(self, home_url):
        return ()

    seen_as(world, calendars=calendars)
    await poll(world)
    assert calendar(world).present
    assert len(world.merged()) == 3


@pytest.mark.parametrize("error", [NotFound("u"), Forbidden("u")])
async def test_an_account_that_moves_to_another_partition_and_path_loses_nothing(world, error):
    fill(world, 12)
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    await push.push_due(world.context)
    await poll(world)
    before = world.merged()
    new, server = move_partition(world, error), world.server
    server.requests.clear()
    await poll(world)
    assert world.merged() == before
    assert account(world).home_url == new
    assert server.requests.count("GET") == 0
    world.change(made, title="Moved along")
    await push.push_due(world.context)
    (text,) = server.texts(f"{new}home/").values()
    assert "Moved along" in text
