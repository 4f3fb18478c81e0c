"""What a person does to an appointment's event in iCloud, and what becomes of the appointment."""

from __future__ import annotations

import json

import pytest

from bridge.domain.model import Interval, SyncState, TwoWay
from bridge.service import book, mirror, push, users
from bridge.store import published

from .agreement import assert_agreement, run_to_quiescence
from .conftest import NOW

DAY = 86_400
#: The first instance: Tuesday, 09:00 in Berlin.
FIRST = NOW + DAY


async def booked(world, **fields):
    made = book.create_appointment(world.db, world.new(**fields), now=world.now()).appointment
    await push.push_due(world.context)
    await poll(world)
    return made


async def poll(world):
    await mirror.mirror_account(world.context, world.account_id)


def the_event(world):
    ((href, text),) = world.server.texts(world.urls["Home"]).items()
    return href.rpartition("/")[2], text


def rewrite(world, old, new):
    name, text = the_event(world)
    assert old in text
    world.server.edit(world.urls["Home"], name, text.replace(old, new))


def busy(world):
    with world.db.read() as tx:
        return [(b.start, b.end) for b in published.busy(tx, "ada", Interval(NOW, NOW + 60 * DAY))]


# --- Recurring appointments ------------------------------------------------------------------------------------------


async def weekly(world):
    made = await booked(world, rrule="RRULE:FREQ=WEEKLY;COUNT=4")
    assert busy(world) == [
        (FIRST + week * 7 * DAY - shift, FIRST + week * 7 * DAY - shift + 1800) for week, shift in WEEKS
    ]
    return made


#: Berlin's summer time begins on 28 March 2027: the fourth instance is an hour earlier in UTC.
WEEKS = [(0, 0), (1, 0), (2, 0), (3, 3600)]
SECOND = FIRST + 7 * DAY


async def test_an_instance_that_the_person_deletes_frees_its_time(world):
    made = await weekly(world)
    rewrite(world, "RRULE:", f"EXDATE:{stamp(SECOND)}\r\nRRULE:")
    await poll(world)
    assert [start for start, _ in busy(world)] == [FIRST, FIRST + 14 * DAY, FIRST + 21 * DAY - 3600]
    assert "EXDATE" in world.stored(made).fields.rrule
    assert world.stored(made).version == 2
    assert await push.push_due(world.context) == 0


async def test_an_instance_that_the_person_moves_blocks_where_it_was_put(world):
    made = await weekly(world)
    override(world, SECOND, SECOND + 2 * 3600)
    await poll(world)
    assert (SECOND, SECOND + 1800) not in busy(world)
    assert (SECOND + 7200, SECOND + 9000) in busy(world)
    assert len(busy(world)) == 4
    assert list(world.merged()) == [f"{made.id}.ics"]
    # What the CRM changes later leaves the instance where the person put it.
    world.change(made, title="Second call")
    assert (SECOND + 7200, SECOND + 9000) in busy(world), "while it waits to be written, too"
    await run_to_quiescence(world, rounds=2)
    assert (SECOND + 7200, SECOND + 9000) in busy(world)
    assert "RECURRENCE-ID" in the_event(world)[1]
    assert_agreement(world)


async def test_a_moved_instance_goes_along_to_another_primary(world):
    from bridge.service import roles

    await weekly(world)
    override(world, SECOND, SECOND + 2 * 3600)
    await poll(world)
    await roles.choose(world.context, "ada", primary=world.ids["Hobby"])
    await run_to_quiescence(world, rounds=3)
    assert (SECOND + 7200, SECOND + 9000) in busy(world)
    assert world.server.texts(world.urls["Home"]) == {}
    (text,) = world.server.texts(world.urls["Hobby"]).values()
    assert "RECURRENCE-ID" in text


async def test_the_whole_series_moved_by_the_person_is_followed(world):
    made = await weekly(world)
    _, text = the_event(world)
    name = the_event(world)[0]
    moved = text.replace("T090000", "T110000").replace("T093000", "T113000")
    world.server.edit(world.urls["Home"], name, moved)
    await poll(world)
    assert world.stored(made).fields.start == FIRST + 7200
    assert [start - 7200 for start, _ in busy(world)] == [FIRST + w * 7 * DAY - s for w, s in WEEKS]


def stamp(instant):
    import datetime as dt

    return dt.datetime.fromtimestamp(instant, dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def override(world, instance, start):
    """Move one instance, as a phone does it."""
    name, text = the_event(world)
    uid = next(line for line in text.splitlines() if line.startswith("UID:"))
    moved = (
        f"BEGIN:VEVENT\r\n{uid}\r\nDTSTAMP:20270301T000000Z\r\nRECURRENCE-ID:{stamp(instance)}\r\n"
        f"DTSTART:{stamp(start)}\r\nDTEND:{stamp(start + 1800)}\r\nSUMMARY:Intro call\r\nEND:VEVENT\r\n"
    )
    world.server.edit(world.urls["Home"], name, text.replace("END:VCALENDAR", f"{moved}END:VCALENDAR"))


# --- Other settings than to accept -----------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", list(TwoWay))
async def test_a_renamed_event(world, choice):
    made = await booked(world)
    users.change_user(world.db, "ada", two_way=choice, now=world.now())
    rewrite(world, "SUMMARY:Intro call", "SUMMARY:By hand")
    await poll(world)
    await push.push_due(world.context)
    after = world.stored(made)
    expected = {
        TwoWay.ACCEPT: ("By hand", SyncState.SYNCED, True),
        TwoWay.REPORT: ("Intro call", SyncState.CONFLICT, True),
        TwoWay.RESTORE: ("Intro call", SyncState.SYNCED, False),
    }
    assert (after.fields.title, after.sync_state, "By hand" in the_event(world)[1]) == expected[choice]
    if choice == TwoWay.REPORT:
        assert "title" in after.sync_error


@pytest.mark.parametrize("choice", list(TwoWay))
async def test_a_deleted_event(world, choice):
    made = await booked(world)
    users.change_user(world.db, "ada", two_way=choice, now=world.now())
    world.server.edit(world.urls["Home"], the_event(world)[0], None)
    await poll(world)
    await push.push_due(world.context)
    after = world.stored(made)
    there = len(world.server.texts(world.urls["Home"]))
    expected = {
        TwoWay.ACCEPT: ("cancelled", SyncState.NOT_SYNCED, 0),
        TwoWay.REPORT: ("confirmed", SyncState.CONFLICT, 0),
        TwoWay.RESTORE: ("confirmed", SyncState.SYNCED, 1),
    }
    assert (after.fields.status, after.sync_state, there) == expected[choice]
    assert bool(world.merged()) is (choice != TwoWay.ACCEPT)


async def test_what_was_only_reported_is_settled_by_the_crm_s_next_write(world):
    made = await booked(world)
    users.change_user(world.db, "ada", two_way=TwoWay.REPORT, now=world.now())
    rewrite(world, "SUMMARY:Intro call", "SUMMARY:By hand")
    await poll(world)
    world.change(made, title="Second call")
    await run_to_quiescence(world, rounds=2)
    assert world.stored(made).sync_state == SyncState.SYNCED
    assert_agreement(world)


# --- The User's own settings -----------------------------------------------------------------------------------------


async def test_a_new_time_zone_moves_what_is_all_day_and_floating_in_one_revision(world):
    day = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:day\r\nDTSTAMP:20270301T000000Z\r\n"
        "DTSTART;VALUE=DATE:20270310\r\nDTEND;VALUE=DATE:20270311\r\nSUMMARY:Off\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    world.server.edit(world.urls["Work"], "day.ics", day)
    world.server.edit(
        world.urls["Work"],
        "floating.ics",
        day.replace("UID:day", "UID:f")
        .replace(";VALUE=DATE:20270310", ":20270312T120000")
        .replace(";VALUE=DATE:20270311", ":20270312T130000"),
    )
    await poll(world)
    before = busy(world)
    with world.db.read() as tx:
        revision = published.head(tx, "ada").revision
    users.change_user(world.db, "ada", time_zone="America/New_York", now=world.now())
    shift = 5 * 3600 + 3600  # Berlin is at +1, New York at -5
    assert [(start + shift, end + shift) for start, end in before] == busy(world)
    with world.db.read() as tx:
        assert published.head(tx, "ada").revision == revision + 1
        assert published.head(tx, "ada").time_zone == "America/New_York"
    # What they span is of the new zone, too: nothing is looked for where it was.
    for item in world.merged().values():
        (taken,) = [b for b in busy(world) if b[0] == item.first_start]
        assert taken[1] == item.last_end
    with world.db.read() as tx:
        told = [json.loads(row["document"]) for row in tx.execute("SELECT document FROM changes ORDER BY sequence")]
    assert told[-1] == {"userId": "ada", "reason": "time_zone_changed"}
