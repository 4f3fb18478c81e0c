"""What a person does to an appointment's event in iCloud, and what becomes of the appointment."""

from __future__ import annotations

import json
import re

import pytest

from bridge.domain.model import Interval, SyncState, TwoWay
from bridge.errors import Unreachable
from bridge.remote.memory import failing
from bridge.service import book, connect, mirror, push, roles, users
from bridge.service.visibility import Listing
from bridge.store import occurrences, published

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
        return [(b.start, b.end) for b in occurrences.busy(tx, "ada", Interval(NOW, NOW + 60 * DAY))]


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
    await weekly(world)
    override(world, SECOND, SECOND + 2 * 3600)
    await poll(world)
    await roles.choose(world.context, "ada", primary=world.ids["Hobby"])
    await run_to_quiescence(world, rounds=3)
    assert (SECOND + 7200, SECOND + 9000) in busy(world)
    assert world.server.texts(world.urls["Home"]) == {}
    (text,) = world.server.texts(world.urls["Hobby"]).values()
    assert "RECURRENCE-ID" in text


def listed(world):
    span = Interval(NOW, NOW + 60 * DAY)
    found = book.list_appointments(world.db, Listing(location_id="loc", span=span, user_id="ada"), locations=None)
    return sorted((one.fields.start, one.fields.title) for one in found)


@pytest.mark.parametrize("moved_on", [True, False])
async def test_a_moved_instance_stays_where_it_is_though_its_calendar_is_not_read_any_more(world, moved_on):
    made = await weekly(world)
    override(world, SECOND, SECOND + 7200, extra="COMMENT:bring cake\r\n")
    await poll(world)
    wanted = listed(world)
    await roles.choose(
        world.context, "ada", primary=world.ids["Hobby"], conflicts=[], appointments=roles.Appointments.LEAVE
    )
    users.change_user(world.db, "ada", time_zone="America/New_York", now=world.now())  # all is published anew
    assert (listed(world), [start for start, _ in busy(world)]) == (wanted, [start for start, _ in wanted])
    version = world.stored(made).version
    if moved_on:
        world.change(made, description="Bring the file")
        await run_to_quiescence(world, rounds=3)
        (text,) = world.server.texts(world.urls["Hobby"]).values()
        assert "bring cake" in text
        assert world.server.texts(world.urls["Home"]) == {}
    else:
        await roles.choose(world.context, "ada", primary=world.ids["Home"])
        await run_to_quiescence(world, rounds=2)
        assert world.stored(made).version == version, "nothing of it is news"
        assert len(world.server.writes) == 1
    assert listed(world) == wanted
    assert_agreement(world)


async def test_a_moved_instance_goes_along_to_a_calendar_that_is_not_read(world):
    made = await weekly(world)
    override(world, SECOND, SECOND + 7200)
    await poll(world)
    wanted = listed(world)
    name, text = the_event(world)
    world.server.edit(world.urls["Home"], name, None)
    third = SECOND + 7 * DAY
    world.server.edit(world.urls["Hobby"], name, text.replace("RRULE:", f"EXDATE:{stamp(third)}\r\nRRULE:"))
    await poll(world)
    assert world.stored(made).calendar_id == world.ids["Hobby"]
    assert listed(world) == [one for one in wanted if one[0] != third]
    assert [start for start, _ in busy(world)] == [start for start, _ in listed(world)]
    assert [one["changed"] for one in told(world)[3:]] == [["rrule"]]


@pytest.mark.parametrize("primary", ["Home", "Hobby"])
async def test_a_moved_instance_stays_where_it_is_while_its_account_is_disconnected(world, primary):
    made = await weekly(world)
    override(world, SECOND, SECOND + 7200)
    await poll(world)
    wanted, news = listed(world), len(told(world))
    await connect.disconnect(world.context, "ada", world.account_id)
    users.change_user(world.db, "ada", two_way=TwoWay.RESTORE, now=world.now())  # what was accepted stays so
    assert (listed(world), [start for start, _ in busy(world)]) == (wanted, [start for start, _ in wanted])
    await connect.connect(world.context, "ada", "icloud", world.server.username, world.server.password)
    ids = {c.name: c.id for c in roles.list_calendars(world.db, "ada")}
    await roles.choose(world.context, "ada", primary=ids[primary])
    await run_to_quiescence(world, rounds=3)
    assert listed(world) == wanted
    assert len(told(world)) == news
    assert world.stored(made).sync_state == SyncState.SYNCED
    (text,) = world.server.texts(world.urls[primary]).values()
    assert text.count("RECURRENCE-ID") == 1


@pytest.mark.parametrize("disconnected", [False, True])
async def test_a_moved_instance_stays_where_it_is_though_the_move_of_its_series_was_not_written_yet(
    world, disconnected
):
    made = await weekly(world)
    override(world, SECOND, SECOND + 7200)
    await poll(world)
    world.change(made, start=FIRST + 3600, end=FIRST + 5400)
    wanted = listed(world)
    assert [start for start, _ in wanted] == [start for start, _ in busy(world)]
    assert SECOND + 7200 in [start for start, _ in wanted]
    if disconnected:
        await connect.disconnect(world.context, "ada", world.account_id)
    else:
        await roles.choose(
            world.context, "ada", primary=world.ids["Hobby"], conflicts=[], appointments=roles.Appointments.LEAVE
        )
    users.change_user(world.db, "ada", time_zone="America/New_York", now=world.now())  # all is published anew
    assert (listed(world), [start for start, _ in busy(world)]) == (wanted, [start for start, _ in wanted])


async def test_a_moved_instance_goes_on_being_known_beside_one_that_is_not_taken_over(world):
    made = await weekly(world)
    override(world, SECOND, SECOND + 7200)
    await poll(world)
    users.change_user(world.db, "ada", two_way=TwoWay.REPORT, now=world.now())
    third = SECOND + 7 * DAY
    override(world, third, third + 7200)
    await poll(world)
    world.change(made, start=FIRST + 3600, end=FIRST + 5400)
    wanted = listed(world)
    assert [start for start, _ in wanted][:3] == [FIRST + 3600, SECOND + 7200, third + 3600]
    await run_to_quiescence(world, rounds=2)
    rewrite(world, "SUMMARY:Intro call\r\nEND:VEVENT", "SUMMARY:By hand\r\nEND:VEVENT")
    await poll(world)
    assert listed(world) == wanted


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


#: What `override` adds.
UNMOVED = re.compile(r"BEGIN:VEVENT\r\nUID:\S+\r\nDTSTAMP:\w+\r\nRECURRENCE-ID.*?END:VEVENT\r\n", re.DOTALL)


def told(world):
    """What the change feed tells of appointments."""
    with world.db.read() as tx:
        rows = tx.execute("SELECT * FROM changes WHERE resource = 'appointment' ORDER BY sequence").fetchall()
    return [
        {
            "id": row["resource_id"],
            "type": row["type"],
            "origin": row["origin"],
            "version": row["version"],
            "changed": json.loads(row["changed_fields"]),
            "previous": json.loads(row["previous"]),
            "document": json.loads(row["document"]),
        }
        for row in rows
    ]


def override(world, instance, start, *, title="Intro call", extra=""):
    """Move one instance, as a phone does it."""
    name, text = the_event(world)
    uid = next(line for line in text.splitlines() if line.startswith("UID:"))
    moved = (
        f"BEGIN:VEVENT\r\n{uid}\r\nDTSTAMP:20270301T000000Z\r\nRECURRENCE-ID:{stamp(instance)}\r\n"
        f"DTSTART:{stamp(start)}\r\nDTEND:{stamp(start + 1800)}\r\nSUMMARY:{title}\r\n{extra}END:VEVENT\r\n"
    )
    world.server.edit(world.urls["Home"], name, text.replace("END:VCALENDAR", f"{moved}END:VCALENDAR"))


async def test_the_crm_is_told_which_instance_was_moved_and_where_to(world):
    made = await weekly(world)
    override(world, SECOND, SECOND + 7200, title="By hand")
    await poll(world)
    assert world.stored(made).version == 2
    whole, single = told(world)[-2:]
    assert (whole["id"], whole["changed"], whole["origin"], whole["version"]) == (made.id, ["recurrence"], "icloud", 2)
    assert (single["id"], single["origin"]) == (f"{made.id}_{SECOND * 1000}_1800", "icloud")
    assert single["changed"] == ["title", "startTime", "endTime"]
    assert single["document"]["masterEventId"] == made.id
    assert single["document"]["startTime"] == "2027-03-16T11:00:00+01:00"
    assert single["previous"]["startTime"] == "2027-03-16T09:00:00+01:00"
    # Put back, it is told again; looked at again, it is not.
    name, text = the_event(world)
    world.server.edit(world.urls["Home"], name, UNMOVED.sub("", text))
    await poll(world)
    assert [one["id"] for one in told(world)[-2:]] == [whole["id"], single["id"]]
    assert told(world)[-1]["document"]["startTime"] == single["previous"]["startTime"]
    before = len(told(world))
    world.server.edit(world.urls["Home"], name, the_event(world)[1].replace("SUMMARY:", "COMMENT:mine\r\nSUMMARY:"))
    await poll(world)
    assert len(told(world)) == before
    assert await push.push_due(world.context) == 0


async def test_what_can_be_read_of_a_damaged_event_is_followed(world):
    made = await weekly(world)
    override(world, SECOND, SECOND + 7200)
    await poll(world)
    name, text = the_event(world)
    times = busy(world)
    world.server.edit(world.urls["Home"], name, text.replace(stamp(SECOND + 7200), "whenever"))
    await poll(world)
    assert busy(world) == times, "the one that nobody can read is where it was last"
    rewrite(world, "SUMMARY:Intro call\r\nDTSTART", "SUMMARY:By hand\r\nDTSTART")
    await poll(world)
    assert world.stored(made).fields.title == "By hand"
    world.server.edit(world.urls["Home"], name, "rubbish")
    await poll(world)
    assert (world.stored(made).fields.title, busy(world)) == ("By hand", times)
    assert [(one["changed"], one["origin"]) for one in told(world)[3:]] == [(["title"], "icloud")]


async def test_single_times_of_an_event_that_does_not_say_when_it_begins_stay_and_are_written_back(world):
    made = await weekly(world)
    await roles.choose(
        world.context, "ada", primary=world.ids["Hobby"], conflicts=[], appointments=roles.Appointments.LEAVE
    )
    override(world, SECOND, SECOND + 7200)
    start = "DTSTART;TZID=Europe/Berlin:20270309T090000"
    rewrite(world, f"{start}\r\nDTEND;TZID=Europe/Berlin:20270309T093000", "DTSTART:whenever\r\nDTEND:later")
    await roles.choose(world.context, "ada", primary=world.ids["Home"])
    users.change_user(world.db, "ada", time_zone="America/New_York", now=world.now())  # all is published anew
    wanted = [start + (start == SECOND) * 7200 for start in (FIRST, SECOND, FIRST + 14 * DAY, FIRST + 21 * DAY - 3600)]
    assert [at for at, _ in listed(world)] == [at for at, _ in busy(world)] == wanted
    world.change(made, title="Second call")
    await run_to_quiescence(world, rounds=2)
    assert start in the_event(world)[1]
    assert [at for at, _ in listed(world)] == [at for at, _ in busy(world)] == wanted
    assert_agreement(world)


async def test_no_appointment_is_moved_by_a_guess(world):
    made = await booked(world)
    rewrite(world, "DTSTART;TZID=Europe/Berlin:20270309T090000", "DTSTART:whenever")
    await poll(world)
    assert world.stored(made).fields == made.fields
    assert busy(world) == [(FIRST, FIRST + 1800)]


# --- What is not the person's doing ----------------------------------------------------------------------------------


async def test_what_the_crm_changes_is_not_told_as_a_change_of_single_times(world):
    made = await booked(world)
    told_later = book.AppointmentChange(source_updated_at="2027-03-08T09:00:00Z")
    book.update_appointment(
        world.db, made.id, told_later, locations=None, expected_version=None, check_slot=True, now=world.now()
    )
    assert (told(world)[-1]["version"], told(world)[-1]["changed"]) == (2, [])


def as_servers_store_it(text):
    """Another stamp, properties of the server's own, other line folds and white space."""
    text = re.sub(r"DTSTAMP:\w+", "DTSTAMP:20270301T111111Z", text)
    return text.replace("SUMMARY:Intro call ", "SUMMARY:Intro call").replace("END:VEVENT", "X-APPLE-A:1\r\nEND:VEVENT")


@pytest.mark.parametrize("rrule", [None, "RRULE:FREQ=WEEKLY;COUNT=4"])
async def test_what_the_bridge_reads_back_of_its_own_is_nobody_s_change(world, rrule):
    world.server.rewrite = as_servers_store_it
    made = await booked(world, rrule=rrule, title="Intro call ")
    await run_to_quiescence(world, rounds=2)
    world.change(made, title="Second call", start=FIRST + 3600, end=FIRST + 5400)
    await run_to_quiescence(world, rounds=2)
    # The server touches it once more, by itself: another ETag, the same event.
    name, text = the_event(world)
    world.server.edit(world.urls["Home"], name, text.replace("X-APPLE-A:1", "X-APPLE-B:2"))
    await run_to_quiescence(world, rounds=2)
    assert (world.stored(made).version, world.stored(made).sync_state) == (2, SyncState.SYNCED)
    assert [one["origin"] for one in told(world)] == ["api", "api"]
    assert [method for method, _ in world.server.writes] == ["PUT", "PUT"]


@pytest.mark.parametrize("rrule", [None, "RRULE:FREQ=WEEKLY;COUNT=4"])
@pytest.mark.parametrize("change", [{}, {"title": "Second call"}, {"start": FIRST + 3600, "end": FIRST + 5400}])
async def test_what_the_mirror_sees_of_a_write_before_it_is_read_back_is_nobody_s_change(world, rrule, change):
    if change:
        made = await booked(world, rrule=rrule)
        world.change(made, **change)
    else:
        made = book.create_appointment(world.db, world.new(rrule=rrule), now=world.now()).appointment
    version = world.stored(made).version
    world.server.on_call = failing("after-PUT", Unreachable("u"))
    await push.push_due(world.context)
    for _ in range(2):
        await poll(world)
        assert world.stored(made).version == version
    await run_to_quiescence(world, rounds=2)
    assert (world.stored(made).version, world.stored(made).sync_state) == (version, SyncState.SYNCED)
    assert {one["origin"] for one in told(world)} == {"api"}
    assert_agreement(world)


async def test_an_instance_moved_between_a_write_and_its_reading_back_is_the_person_s(world):
    made = await weekly(world)
    world.change(made, title="Second call")

    def person(method):
        if method == "after-PUT":
            override(world, SECOND, SECOND + 7200)

    world.server.on_call = person
    await push.push_due(world.context)
    world.server.on_call = lambda _: None
    assert (SECOND + 7200, SECOND + 9000) in busy(world)
    assert told(world)[-1]["id"] == f"{made.id}_{SECOND * 1000}_1800"
    await run_to_quiescence(world, rounds=2)
    assert_agreement(world)


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


#: What a person does to one instance: where to it goes, its title, what else the event says.
DEEDS = {
    "moved": (SECOND + 7200, "Intro call", ""),
    "renamed": (SECOND, "By hand", ""),
    "cancelled": (SECOND, "Intro call", "STATUS:CANCELLED\r\n"),
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("choice", [TwoWay.REPORT, TwoWay.RESTORE])
async def test_a_single_instance_that_is_not_to_be_followed(world, choice, deed):
    made = await weekly(world)
    wanted = busy(world)
    rewrite(world, "END:VEVENT", "COMMENT:bring cake\r\nEND:VEVENT")
    third = SECOND + 7 * DAY
    override(world, third, third + 3600)  # accepted
    await poll(world)
    wanted[2] = (third + 3600, third + 5400)
    assert busy(world) == wanted
    users.change_user(world.db, "ada", two_way=choice, now=world.now())
    start, title, extra = DEEDS[deed]
    override(world, SECOND, start, title=title, extra=extra)
    by_hand = the_event(world)[1]
    await poll(world)
    assert set(wanted) <= set(busy(world)), "the CRM's own time is kept"
    assert (start, start + 1800) in busy(world), "and the person's, where it is another"
    assert world.stored(made).version == 2, "nothing but the first one was taken over"
    await run_to_quiescence(world, rounds=3)
    after, text = world.stored(made), the_event(world)[1]
    assert listed(world) == [(start, "Intro call") for start, _ in wanted]
    assert "COMMENT:bring cake" in text
    if choice == TwoWay.RESTORE:
        assert after.sync_state == SyncState.SYNCED
        assert text.count("RECURRENCE-ID") == 1
        assert busy(world) == wanted
        assert_agreement(world)
    else:
        assert (after.sync_state, text) == (SyncState.CONFLICT, by_hand)
        assert "single times" in after.sync_error
        # The CRM's next write of something else leaves the person's instance and the CRM's own view of it alone.
        world.change(made, description="Bring the file")
        await run_to_quiescence(world, rounds=2)
        assert the_event(world)[1].count("RECURRENCE-ID") == 2
        assert set(wanted) <= set(busy(world))
        # Elsewhere it goes as the CRM has it.
        await roles.choose(world.context, "ada", primary=world.ids["Hobby"])
        await run_to_quiescence(world, rounds=3)
        assert busy(world) == wanted


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
