"""The change feed as a CRM follows it: nothing is missed, and nothing of other locations is told."""

from __future__ import annotations

import asyncio
import base64
import sys

import pytest

from bridge.domain.changes import BULK
from bridge.errors import CredentialsWithheld
from bridge.service import book, changes, push, users
from bridge.web.keys import WATCH
from tests.service.conftest import event

from .conftest import APPOINTMENTS, EVENTS, SLOTS

CHANGES = "/v1/changes"
DAY = 86_400


async def read(api, cursor=None, **query):
    params = {**({"cursor": cursor} if cursor else {}), **query}
    answer = await api("GET", CHANGES, params=params)
    assert answer.status == 200, answer.json
    return answer.json


async def types(api, cursor=None, **query):
    return [change["type"] for change in (await read(api, cursor, **query))["changes"]]


async def now(api):
    """A cursor for what comes."""
    page = await read(api)
    assert page["changes"] == []
    return page["nextCursor"]


async def test_everything_that_an_api_client_does_is_told_in_order(api):
    cursor = await now(api)
    booked = await api.book()
    await api("PUT", f"{APPOINTMENTS}/{booked['id']}", {"title": "Renamed", "startTime": "2027-03-09T11:00:00+01:00"})
    slot = await api.block()
    await api("PUT", f"{SLOTS}/{slot['id']}", {"title": "Long lunch"})
    await api("DELETE", f"{EVENTS}/{slot['id']}")
    await api("DELETE", f"{EVENTS}/{booked['id']}")
    told = (await read(api, cursor))["changes"]
    assert [(c["type"], c["resource"], c["id"], c["version"]) for c in told] == [
        ("AppointmentCreate", "appointment", booked["id"], 1),
        ("AppointmentUpdate", "appointment", booked["id"], 2),
        ("BlockedSlotCreate", "blockedSlot", slot["id"], 1),
        ("BlockedSlotUpdate", "blockedSlot", slot["id"], 2),
        ("BlockedSlotDelete", "blockedSlot", slot["id"], 3),
        ("AppointmentDelete", "appointment", booked["id"], 3),
    ]
    assert {c["origin"] for c in told} == {"api"}
    assert told[1]["changedFields"] == ["title", "startTime", "endTime"]
    assert told[3]["changedFields"] == ["title"]
    sequences = [c["sequence"] for c in told]
    assert sequences == sorted(set(sequences))


async def test_what_a_person_does_in_icloud_is_told(api):
    booked = await api.book()
    await push.push_due(api.world.context)
    cursor = await now(api)
    home, work = api.world.urls["Home"], api.world.urls["Work"]
    ((href, (_, text)),) = api.world.server.calendars[home].objects.items()
    name = href.rpartition("/")[2]
    api.world.server.edit(home, name, text.replace("SUMMARY:Intro call", "SUMMARY:Renamed on the phone"))
    api.world.server.edit(work, "dentist.ics", event("dentist"))
    await api.poll()
    api.world.server.edit(work, "dentist.ics", event("dentist", end="20270308T113000"))
    await api.poll()
    api.world.server.edit(work, "dentist.ics", None)
    api.world.server.edit(home, name, None)
    await api.poll()
    told = (await read(api, cursor))["changes"]
    assert {c["origin"] for c in told} == {"icloud"}
    mine = [(c["type"], c["changedFields"]) for c in told if c["id"] == booked["id"]]
    assert mine == [("AppointmentUpdate", ["title"]), ("AppointmentUpdate", ["appointmentStatus"])]
    slots = [(c["type"], c["changedFields"]) for c in told if c["resource"] == "blockedSlot"]
    assert slots == [("BlockedSlotCreate", []), ("BlockedSlotUpdate", ["endTime"]), ("BlockedSlotDelete", [])]


async def test_the_id_of_an_icloud_slot_is_what_the_ids_of_its_times_begin_with(api):
    api.world.server.edit(api.world.urls["Work"], "standup.ics", event("standup", extra="RRULE:FREQ=DAILY;COUNT=3\r\n"))
    cursor = await now(api)
    await api.poll()
    (told,) = (await read(api, cursor))["changes"]
    span = {"startTime": "2027-03-08T00:00:00+01:00", "endTime": "2027-03-15T00:00:00+01:00"}
    listed = await api("GET", "/v1/calendars/blocked-slots", params={"userId": "ada", "locationId": "loc", **span})
    assert len(listed.json["events"]) == 3
    assert all(found["id"].startswith(told["id"] + "_") for found in listed.json["events"])
    first = await api("GET", f"{SLOTS}/{told['id']}")
    assert first.json["event"] == listed.json["events"][0]
    assert (await api("PUT", f"{SLOTS}/{told['id']}", {"title": "x"})).json["code"] == "read_only"
    assert (await api("GET", f"{SLOTS}/{told['id']}0")).status == 404


async def test_one_that_can_t_be_written_is_told_of(api):
    cursor = await now(api)
    await api.book()

    def refuse(method):
        if method == "PUT":
            raise CredentialsWithheld("u")

    api.world.server.on_call = refuse
    await push.push_due(api.world.context)
    assert await types(api, cursor) == ["AppointmentCreate", "AppointmentSyncFailed"]


async def test_a_change_on_both_sides_is_told_as_a_conflict(api):
    booked = await api.book()
    await push.push_due(api.world.context)
    cursor = await now(api)
    home = api.world.urls["Home"]
    ((href, (_, text)),) = api.world.server.calendars[home].objects.items()
    api.world.server.edit(home, href.rpartition("/")[2], text.replace("SUMMARY:Intro call", "SUMMARY:Theirs"))
    await api("PUT", f"{APPOINTMENTS}/{booked['id']}", {"title": "Ours"})
    await api.poll()
    assert await types(api, cursor) == ["AppointmentUpdate", "AppointmentConflict"]


async def test_a_connection_that_fails_and_recovers_is_told(api):
    cursor = await now(api)
    password, api.world.server.password = api.world.server.password, "changed"
    with pytest.raises(Exception, match="Unauthorized"):
        await api.poll()
    api.world.server.password = password
    await api.poll()
    assert await types(api, cursor) == ["ConnectionStatusUpdate", "ConnectionStatusUpdate"]


async def test_a_hold_that_expires_is_told_as_the_bridge_s_doing(api):
    cursor = await now(api)
    await api.block(expiresAt="2027-03-08T10:00:00+01:00")
    api.world.later(7200)
    book.expire_holds(api.world.db, now=api.world.now())
    assert [(c["type"], c["origin"]) for c in (await read(api, cursor))["changes"]] == [
        ("BlockedSlotCreate", "api"),
        ("BlockedSlotDelete", "bridge"),
    ]


async def test_a_first_look_at_a_full_calendar_is_told_briefly(api):
    cursor = await now(api)
    for number in range(BULK * 5):
        api.world.server.edit(api.world.urls["Work"], f"{number}.ics", event(f"uid-{number}"))
    await api.poll()
    told = (await read(api, cursor))["changes"]
    resyncs = [c for c in told if c["type"] == "ResyncRequired"]
    assert resyncs
    assert len(told) <= len(resyncs) + BULK, "the last few may be told one by one"
    assert {(c["resource"], c["id"], c["userId"]) for c in resyncs} == {("user", "ada", "ada")}
    assert "ResyncRequired" in await types(api, cursor, types="appointment"), "whoever follows anything has to know"


async def test_the_feed_is_read_page_by_page(api):
    cursor = await now(api)
    slots = [(await api.block(title=f"{number}"))["id"] for number in range(7)]
    seen, pages, more = [], 0, True
    while more:
        page = await read(api, cursor, limit=3)
        seen += [c["id"] for c in page["changes"]]
        cursor, more, pages = page["nextCursor"], page["hasMore"], pages + 1
    assert (seen, pages) == (slots, 3)
    assert (await read(api, cursor))["changes"] == []
    assert (await types(api, "earliest", types="blockedSlot", limit=1000)).count("BlockedSlotCreate") == 7
    assert await types(api, "earliest", types="AppointmentDelete,connection") == ["ConnectionStatusUpdate"]


async def test_other_locations_are_not_told_of(api):
    api.add_user("eve", "elsewhere")
    cursor = await now(api)
    every = api.with_token(locations=())
    await every.block(locationId="elsewhere", assignedUserId="eve")
    await api.block()
    stranger = api.with_token(locations=("elsewhere",))
    assert {c["userId"] for c in (await read(api, cursor))["changes"]} == {"ada"}
    assert {c["userId"] for c in (await read(stranger, cursor))["changes"]} == {"eve"}
    assert {c["userId"] for c in (await read(every, cursor))["changes"]} == {"ada", "eve"}


async def test_a_user_that_is_removed_leaves_word(api):
    cursor = await now(api)
    await api.book()
    users.remove_user(api.world.db, "ada", now=api.world.now())
    assert (await types(api, cursor))[-1] == "ResyncRequired"


async def test_after_a_month_a_cursor_has_expired(api):
    cursor = await now(api)
    await api.block()
    api.world.later(31 * DAY)
    await api.block()
    with api.world.db.write() as tx:
        changes.prune(tx, now=api.world.now())
    gone = await api("GET", CHANGES, params={"cursor": cursor})
    assert (gone.status, gone.json["code"]) == (410, "cursor_expired")
    assert await types(api, "earliest") == ["BlockedSlotCreate"]
    # However quiet it was, numbers go on rising.
    (last,) = (await read(api, "earliest"))["changes"]
    api.world.later(31 * DAY)
    with api.world.db.write() as tx:
        changes.prune(tx, now=api.world.now())
    cursor = await now(api)
    await api.block()
    (new,) = (await read(api, cursor))["changes"]
    assert new["sequence"] > last["sequence"]


@pytest.mark.parametrize("cursor", ["x", "c_", "c_!!!", "1043", "c_" + base64.b64encode(b"-1.abc").decode()])
async def test_a_cursor_that_is_none_is_refused(api, cursor):
    answer = await api("GET", CHANGES, params={"cursor": cursor})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/cursor")


async def test_a_cursor_of_another_store_or_of_the_future_has_expired(api):
    own = await now(api)
    number, _, store = base64.urlsafe_b64decode(own.removeprefix("c_") + "==").decode().partition(".")
    for text in (f"{number}.00000000", f"{int(number) + 1}.{store}"):
        cursor = "c_" + base64.urlsafe_b64encode(text.encode()).decode()
        assert (await api("GET", CHANGES, params={"cursor": cursor})).status == 410


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "/limit"),
        ({"limit": "1001"}, "/limit"),
        ({"limit": "x"}, "/limit"),
        ({"waitSeconds": "26"}, "/waitSeconds"),
        ({"waitSeconds": "-1"}, "/waitSeconds"),
        ({"types": "appointment,weather"}, "/types/1"),
    ],
)
async def test_a_wrong_query_is_refused(api, query, field):
    answer = await api("GET", CHANGES, params=query)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, field)


async def test_all_that_is_wrong_with_a_query_is_said_at_once(api):
    query = {"cursor": "x", "limit": "0", "types": "weather", "waitSeconds": "long"}
    answer = await api("GET", CHANGES, params=query)
    assert {error["pointer"] for error in answer.json["errors"]} == {"/cursor", "/limit", "/types/0", "/waitSeconds"}


# --- Waiting ---------------------------------------------------------------------------------------------------------


async def waiters(api, number):
    """Wait until so many requests wait."""
    while len(api.client.app[WATCH]._waiting) != number:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


async def test_whoever_waits_is_answered_as_soon_as_something_happens(api):
    cursor = await now(api)
    asked = [asyncio.create_task(read(api, cursor, waitSeconds=25)) for _ in range(3)]
    async with asyncio.timeout(5):
        await waiters(api, 3)
        slot = await api.block()
        pages = await asyncio.gather(*asked)
    assert {page["changes"][0]["id"] for page in pages} == {slot["id"]}


async def test_whoever_waits_hears_of_what_another_process_writes(api):
    cursor = await now(api)
    asked = asyncio.create_task(read(api, cursor, waitSeconds=25))
    async with asyncio.timeout(20):
        await waiters(api, 1)
        await in_processes(api.world.db.path, 1, 1)
        assert len((await asked)["changes"]) == 1


async def test_whoever_waits_in_vain_gets_an_empty_page(api):
    cursor = await now(api)
    page = await read(api, cursor, waitSeconds=1)
    assert (page["changes"], page["hasMore"]) == ([], False)


async def test_whoever_waits_for_one_thing_is_not_answered_with_another(api):
    cursor = await now(api)
    asked = asyncio.create_task(read(api, cursor, waitSeconds=25, types="appointment"))
    async with asyncio.timeout(5):
        await waiters(api, 1)
        await api.block()
        await waiters(api, 1)
        booked = await api.book()
        assert [c["id"] for c in (await asked)["changes"]] == [booked["id"]]


async def test_a_client_that_goes_away_leaves_nothing_behind(api):
    cursor = await now(api)
    asked = [asyncio.create_task(read(api, cursor, waitSeconds=25)) for _ in range(5)]
    async with asyncio.timeout(10):
        await waiters(api, 5)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await waiters(api, 0)
        while not api.client.app[WATCH]._looking.done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_server_that_stops_lets_them_go(api):
    cursor = await now(api)
    asked = asyncio.create_task(read(api, cursor, waitSeconds=25))
    async with asyncio.timeout(5):
        await waiters(api, 1)
        api.client.app[WATCH].close()
        assert (await asked)["changes"] == []


# --- Many writers ----------------------------------------------------------------------------------------------------


#: What another process does: it makes blocked slots.
WRITER = """
import sys
from pathlib import Path
from bridge.service import book
from bridge.service.book import NewBlockedSlot
from bridge.store.db import Db

db = Db(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    new = NewBlockedSlot(
        location_id="loc", user_id="ada", booking_calendar_id=None, title=str(number), start=1804579200,
        end=1804579260, time_zone=None, utc_offset=0, expires_at=None,
    )
    book.create_blocked_slot(db, new, now=1804492800)
"""


async def in_processes(path, writers, number):
    """Write in several processes at once."""
    command = (sys.executable, "-c", WRITER, str(path), str(number))
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(writers)]
    assert {await process.wait() for process in processes} == {0}


async def test_a_reader_misses_nothing_that_several_processes_write_at_once(api):
    """The reader follows while three processes and this one write; in the end it has seen each change exactly once."""
    cursor = await now(api)
    writing = asyncio.create_task(in_processes(api.world.db.path, 3, 40))
    mine = [(await api.block(title=f"own/{number}"))["id"] for number in range(5)]
    seen, sequences = [], []
    while True:
        finished = writing.done()  # before the page is read: what it lacks then was written later
        page = await read(api, cursor, limit=7, waitSeconds=1)
        cursor = page["nextCursor"]
        seen += [c["id"] for c in page["changes"]]
        sequences += [c["sequence"] for c in page["changes"]]
        if finished and not page["changes"]:
            break
    await writing
    with api.world.db.read() as tx:
        stored = {row[0] for row in tx.execute("SELECT id FROM blocked_slots")}
    assert len(stored) == 3 * 40 + 5
    assert set(mine) <= stored
    assert sorted(seen) == sorted(stored), "each exactly once"
    assert sequences == sorted(sequences)
