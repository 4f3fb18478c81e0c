"""Objects that carry an appointment's UID and are not its event: copies, moves, and one calendar seen twice."""

from __future__ import annotations

import asyncio

import pytest

from bridge.domain.model import Interval, ItemKind, TwoWay
from bridge.errors import SlotUnavailable, Throttled, Unauthorized, Unreachable
from bridge.remote.memory import MemoryRemote, MemoryServer
from bridge.service import book, connect, mirror, push, roles, users
from bridge.store import accounts, occurrences

from .agreement import assert_agreement, run_to_quiescence
from .conftest import NOW

DAY = 86_400
#: The appointment is on Tuesday at 09:00 in Berlin, for half an hour; what is done to it is done in UTC.
AT = NOW + DAY
LATER = AT + 4 * 3600


class Anybody(MemoryRemote):
    """A server that knows several logins: they see the same calendars."""

    def __init__(self, server, username, password):
        super().__init__(server, server.username, server.password)


async def booked(world, **fields):
    made = book.create_appointment(world.db, world.new(**fields), now=world.now()).appointment
    await push.push_due(world.context)
    await poll(world)
    return made


async def poll(world):
    with world.db.read() as tx:
        connected = accounts.all_of(tx, "ada")
    for account in connected:
        await mirror.mirror_account(world.context, account.id)


def the_event(world, name="Home"):
    ((href, text),) = world.server.texts(world.urls[name]).items()
    return href.rpartition("/")[2], text


def at_another_time(text):
    return text.replace("T090000", "T130000").replace("T093000", "T133000")


def busy(world):
    with world.db.read() as tx:
        return sorted(
            (b.start, b.end, b.kind) for b in occurrences.busy(tx, "ada", Interval(NOW - DAY, NOW + 60 * DAY))
        )


def book_at(world, start):
    return book.create_appointment(world.db, world.new(start=start, end=start + 1800), now=world.now())


OWN = (AT, AT + 1800, ItemKind.APPOINTMENT)
COPY = (LATER, LATER + 1800, ItemKind.ICLOUD)


@pytest.mark.parametrize("name", ["Home", "Work"])
async def test_a_copy_at_another_time_takes_that_time_too(world, name):
    await booked(world)
    _, text = the_event(world)
    world.server.edit(world.urls[name], "copy.ics", at_another_time(text))
    await poll(world)
    assert busy(world) == [OWN, COPY]
    with pytest.raises(SlotUnavailable):
        book_at(world, LATER)


@pytest.mark.parametrize("rrule", [None, "RRULE:FREQ=WEEKLY;COUNT=4"])
async def test_a_copy_at_the_same_time_shows_once(world, rrule):
    made = await booked(world, rrule=rrule)
    before = busy(world)
    world.server.edit(world.urls["Work"], "copy.ics", the_event(world)[1])
    await poll(world)
    assert busy(world) == before
    assert list(world.merged()) == [f"{made.id}.ics"]
    # The CRM moves its own: the copy stays where it is, and blocks there.
    world.change(made, start=LATER, end=LATER + 1800)
    await run_to_quiescence(world, rounds=2)
    assert {one[2] for one in busy(world) if one[0] == AT} == {ItemKind.ICLOUD}
    # And a cancelled one leaves the copy blocking.
    world.change(made, status="cancelled")
    await run_to_quiescence(world, rounds=2)
    assert {one[2] for one in busy(world)} == {ItemKind.ICLOUD}


async def test_what_the_crm_moves_frees_its_old_time_at_once(world):
    made = await booked(world)
    world.change(made, start=LATER, end=LATER + 1800)
    assert busy(world) == [(LATER, LATER + 1800, ItemKind.APPOINTMENT)]
    await run_to_quiescence(world, rounds=2)
    assert busy(world) == [(LATER, LATER + 1800, ItemKind.APPOINTMENT)]


async def test_an_event_that_the_crm_could_not_move_blocks_where_it_is(world):
    made = await booked(world)
    world.server.calendars[world.urls["Home"]].writable = False
    world.change(made, start=LATER, end=LATER + 1800)
    await run_to_quiescence(world, rounds=12)
    assert busy(world) == [(AT, AT + 1800, ItemKind.ICLOUD), (LATER, LATER + 1800, ItemKind.APPOINTMENT)]


async def test_a_moved_event_that_is_only_reported_takes_both_times(world):
    made = await booked(world)
    users.change_user(world.db, "ada", two_way=TwoWay.REPORT, now=world.now())
    name, text = the_event(world)
    world.server.edit(world.urls["Home"], name, at_another_time(text))
    await poll(world)
    assert busy(world) == [OWN, COPY]
    with pytest.raises(SlotUnavailable):
        book_at(world, LATER)
    # The CRM gives in: one time again.
    world.change(made, start=LATER, end=LATER + 1800)
    await run_to_quiescence(world, rounds=2)
    assert busy(world) == [(LATER, LATER + 1800, ItemKind.APPOINTMENT)]
    assert_agreement(world)


async def test_a_moved_event_takes_its_time_until_it_is_restored(world):
    await booked(world)
    users.change_user(world.db, "ada", two_way=TwoWay.RESTORE, now=world.now())
    name, text = the_event(world)
    world.server.edit(world.urls["Home"], name, at_another_time(text))
    await poll(world)
    assert busy(world) == [OWN, COPY]
    await run_to_quiescence(world, rounds=2)
    assert busy(world) == [OWN]
    assert "T090000" in the_event(world)[1]
    assert_agreement(world)


async def test_a_person_who_moves_it_to_a_conflict_calendar_and_to_another_time_is_followed(world):
    made = await booked(world)
    name, text = the_event(world)
    world.server.edit(world.urls["Home"], name, None)
    world.server.edit(world.urls["Work"], name, at_another_time(text))
    await poll(world)
    assert busy(world) == [(LATER, LATER + 1800, ItemKind.APPOINTMENT)]
    assert world.stored(made).fields.start == LATER


# --- Moved to another account -----------------------------------------------------------------------------------------


@pytest.fixture
async def elsewhere(world):
    """Ada has a second account at another server, whose one calendar is checked for conflicts."""
    servers = {world.server.username: world.server}
    private = servers["second@example.com"] = MemoryServer("second@example.com")
    url = private.add_calendar("Private")
    remotes = world.context.remotes
    remotes.for_login = lambda _, username, password: remotes.remote(servers[username], username, password)
    remotes.for_account = lambda one: remotes.remote(servers[one.username], one.username, one.secret.decode())
    second = await connect.connect(world.context, "ada", "icloud", private.username, private.password)
    with world.db.read() as tx:
        (calendar,) = accounts.calendars(tx, account_id=second.id)
    await roles.choose(world.context, "ada", conflicts=[world.ids["Work"], calendar.id])
    world.ids |= {"Private": calendar.id, "second": second.id}
    await poll(world)
    return world, private, url


@pytest.mark.parametrize("name", [None, "another-name.ics"], ids=["same name", "another name"])
async def test_an_event_that_is_dragged_to_another_account_is_followed_there(elsewhere, name):
    world, private, url = elsewhere
    made = await booked(world)
    where, text = the_event(world)
    private.edit(url, name or where, at_another_time(text))
    world.server.edit(world.urls["Home"], where, None)
    await poll(world)  # the account that it left is read first
    assert world.stored(made).fields.status == "confirmed"
    assert world.stored(made).calendar_id == world.ids["Private"]
    assert busy(world) == [(LATER, LATER + 1800, ItemKind.APPOINTMENT)]
    private.edit(url, name or where, None)
    await poll(world)
    assert world.stored(made).fields.status == "cancelled"


@pytest.mark.parametrize("trouble", [Unreachable("u"), Throttled("u", 30)], ids=["unreachable", "throttled"])
async def test_while_the_other_account_can_t_be_read_nothing_is_cancelled(elsewhere, trouble):
    world, private, url = elsewhere
    made = await booked(world)
    where, text = the_event(world)
    private.edit(url, where, text)
    world.server.edit(world.urls["Home"], where, None)

    def fail(_):
        raise trouble

    private.on_call = fail
    for _ in range(3):
        await mirror.mirror_account(world.context, world.account_id)
        assert world.stored(made).fields.status == "confirmed"
        world.later(60)
    private.on_call = lambda _: None
    await mirror.mirror_account(world.context, world.ids["second"])
    await poll(world)
    assert world.stored(made).calendar_id == world.ids["Private"]
    assert busy(world) == [(AT, AT + 1800, ItemKind.APPOINTMENT)]


async def test_an_account_that_waits_for_a_password_does_not_hold_up_a_deletion(elsewhere):
    world, private, _ = elsewhere
    made = await booked(world)
    private.password = "changed"
    with pytest.raises(Unauthorized):
        await mirror.mirror_account(world.context, world.ids["second"])
    world.server.edit(world.urls["Home"], the_event(world)[0], None)
    await mirror.mirror_account(world.context, world.account_id)
    assert world.stored(made).fields.status == "cancelled"


async def test_events_that_change_places_between_two_accounts_wait_for_no_one(elsewhere):
    world, private, url = elsewhere
    one, other = await booked(world), await booked(world, start=LATER, end=LATER + 1800)
    texts = world.server.texts(world.urls["Home"])
    gone = {made.id: next(h for h, text in texts.items() if made.uid in text) for made in (one, other)}
    names = {made_id: href.rpartition("/")[2] for made_id, href in gone.items()}
    private.edit(url, names[other.id], texts[gone[other.id]])
    world.server.edit(world.urls["Home"], names[other.id], None)
    await poll(world)
    assert world.stored(other).calendar_id == world.ids["Private"]
    private.edit(url, names[one.id], texts[gone[one.id]])
    world.server.edit(world.urls["Home"], names[other.id], texts[gone[other.id]])
    private.edit(url, names[other.id], None)
    world.server.edit(world.urls["Home"], names[one.id], None)
    both = (world.account_id, world.ids["second"])
    for _ in range(2):
        async with asyncio.timeout(30):
            await asyncio.gather(*(mirror.poll(world.context, account_id) for account_id in both))
        world.later(60)
    assert world.stored(one).calendar_id == world.ids["Private"]
    assert world.stored(other).calendar_id == world.ids["Home"]
    assert [start for start, _, _ in busy(world)] == [AT, LATER]


# --- One calendar, seen through two accounts -------------------------------------------------------------------------


@pytest.fixture
async def shared(world):
    """Ada's Home is shared with a second account of hers, which reads it as a conflict calendar."""
    world.context.remotes.remote = Anybody
    second = await connect.connect(world.context, "ada", "icloud", "second@example.com", world.server.password)
    with world.db.read() as tx:
        seen = next(c for c in accounts.calendars(tx, account_id=second.id) if c.name == "Home")
    await roles.choose(world.context, "ada", conflicts=[seen.id])
    world.ids["Home, shared"] = seen.id
    world.ids["second"] = second.id
    return world


async def test_an_event_whose_write_went_unanswered_stays_in_the_primary(shared):
    world = shared
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment

    def lose(method):
        if method == "after-PUT":
            raise Unreachable("u")

    world.server.on_call = lose
    await push.push_due(world.context)
    world.server.on_call = lambda _: None
    await mirror.mirror_account(world.context, world.ids["second"])
    assert world.stored(made).calendar_id == world.ids["Home"]
    await run_to_quiescence(world, rounds=2)
    world.change(made, title="Second call")
    await run_to_quiescence(world, rounds=2)
    assert "Second call" in the_event(world)[1]
    assert world.stored(made).calendar_id == world.ids["Home"]
    assert list(world.merged()) == [f"{made.id}.ics"]


async def test_what_a_person_does_to_it_is_followed_once_whichever_account_sees_it_first(shared):
    world = shared
    made = await booked(world)
    name, text = the_event(world)
    for first in ("second", "account"):
        account_id = {"second": world.ids["second"], "account": world.account_id}[first]
        world.server.edit(world.urls["Home"], name, at_another_time(text) if first == "second" else text)
        at = LATER if first == "second" else AT
        await mirror.mirror_account(world.context, account_id)
        assert at in [start for start, _, _ in busy(world)]
        await poll(world)
        assert busy(world) == [(at, at + 1800, ItemKind.APPOINTMENT)]
    # Missing in one account for a moment, it is not carried off to the other for good.
    calendar = world.server.calendars[world.urls["Home"]]
    world.server.edit(world.urls["Home"], name, None)
    await mirror.mirror_account(world.context, world.account_id)
    world.server.edit(world.urls["Home"], name, text)
    await poll(world)
    await poll(world)
    assert calendar.objects
    assert (world.stored(made).calendar_id, world.stored(made).sync_error) == (world.ids["Home"], None)
    world.server.edit(world.urls["Home"], name, None)
    await poll(world)
    world.later(60)
    await poll(world)
    assert world.stored(made).fields.status == "cancelled"
    assert busy(world) == []
