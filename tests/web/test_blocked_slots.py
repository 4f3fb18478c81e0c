"""Blocked slots: those the CRM makes, which never leave the bridge; and all blocked time, in one listing."""

import pytest

from bridge.domain.model import SlotSettings, Titles
from bridge.service import book, roles
from tests.service.conftest import event

from .conftest import APPOINTMENTS, BLOCKED, EVENTS, SLOTS, WEEK


async def blocked(api, **query):
    answer = await api("GET", BLOCKED, params={**WEEK, "userId": "ada", **query})
    assert answer.status == 200, answer.json
    return answer.json["events"]


async def test_what_is_created_is_what_is_read(api):
    sent = api.slot(timezone="Europe/Berlin", expiresAt="2027-03-08T12:00:00Z")
    created = await api("POST", SLOTS, sent)
    assert created.status == 201
    for name, value in sent.items():
        assert created.json[name] == value, name
    assert (created.json["origin"], created.json["readOnly"]) == ("crm", False)
    assert (created.headers["Location"], created.headers["ETag"]) == (f"{SLOTS}/{created.json['id']}", '"1"')
    read = await api("GET", created.headers["Location"])
    assert (read.status, read.json, read.headers["ETag"]) == (200, {"event": created.json}, '"1"')


async def test_it_blocks_and_is_published_and_never_leaves(api):
    created = await api.block()
    assert list(api.world.merged()) == [f"{created['id']}.ics"]
    await api.push()
    await api.poll()
    assert api.world.server.writes == []
    over = api.body(startTime="2027-03-09T12:30:00+01:00", endTime=None)
    refused = await api("POST", APPOINTMENTS, over)
    assert (refused.status, refused.json["conflicts"][0]["kind"]) == (409, "blocked_slot")
    assert "Lunch" not in str(refused.json)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_touches_what_was_sent_and_nothing_else(api, method):
    created = await api.block(timezone="Europe/Berlin")
    path = f"{SLOTS}/{created['id']}"
    changed = await api(method, path, {"title": "Long lunch", "endTime": "2027-03-09T14:00:00"})
    wanted = {**created, "title": "Long lunch", "endTime": "2027-03-09T14:00:00+01:00", "version": 2}
    assert (changed.status, changed.json) == (200, wanted)
    assert (await api("GET", path)).json == {"event": wanted}
    moved = await api(method, path, {"startTime": "2027-03-10T08:00:00+01:00"})
    assert moved.json["endTime"] == "2027-03-10T10:00:00+01:00", "a new start moves the end along"


async def test_only_what_changed_since_and_what_was_deleted(api):
    api.world.server.edit(api.world.urls["Work"], "dentist.ics", event("dentist"))
    await api.poll()
    old, gone, changed = [await api.block(title=title) for title in ("Old", "Gone", "Changed")]
    api.world.later(60)
    since = f"{api.world.now() * 1000}"
    api.world.later(60)
    await api("DELETE", f"{EVENTS}/{gone['id']}")
    await api("PUT", f"{SLOTS}/{changed['id']}", {"title": "Changed now"})
    api.world.server.edit(
        api.world.urls["Work"], "new.ics", event("new", start="20270310T100000", end="20270310T110000")
    )
    await api.poll()
    assert len(await blocked(api)) == 4
    news = await blocked(api, updatedAfter=since)
    assert [(one["title"], one["origin"]) for one in news] == [("Changed now", "crm"), ("Busy", "icloud")]
    with_deleted = await blocked(api, updatedAfter=since, includeDeleted="true")
    assert {one["id"]: one["deleted"] for one in with_deleted if one["origin"] == "crm"} == {
        gone["id"]: True,
        changed["id"]: False,
    }
    assert old["id"] in {one["id"] for one in await blocked(api, includeDeleted="true")}


async def test_one_that_was_deleted_can_be_read_for_ninety_days(api):
    created = await api.block()
    await api("DELETE", f"{EVENTS}/{created['id']}")
    api.world.later(89 * 86_400)
    assert (await api("GET", f"{SLOTS}/{created['id']}")).status == 200
    api.world.later(2 * 86_400)
    assert (await api("GET", f"{SLOTS}/{created['id']}")).status == 404
    assert (await api("DELETE", f"{EVENTS}/{created['id']}")).status == 200


async def test_deleted_it_frees_its_time(api):
    created = await api.block()
    for _ in range(2):
        assert (await api("DELETE", f"{EVENTS}/{created['id']}")).json == {"succeeded": True}
    assert (await api("GET", f"{SLOTS}/{created['id']}")).json["event"]["deleted"] is True
    assert (await api("PUT", f"{SLOTS}/{created['id']}", {"title": "Back"})).status == 404
    assert (api.world.merged(), await blocked(api)) == ({}, [])


async def test_a_hold_blocks_until_it_expires(api):
    hold = await api.block(expiresAt="2027-03-08T08:10:00Z")
    over = api.body(startTime=hold["startTime"], endTime=hold["endTime"])
    assert (await api("POST", APPOINTMENTS, over)).status == 409
    api.world.later(600)
    assert (await api("POST", APPOINTMENTS, over)).status == 201, "though nobody swept yet"
    assert (await api("GET", f"{SLOTS}/{hold['id']}")).json["event"]["deleted"] is True
    assert book.expire_holds(api.world.db, now=api.world.now()) == 0


async def test_a_hold_can_be_kept_for_longer_or_for_good(api):
    hold = await api.block(expiresAt="2027-03-08T08:10:00Z")
    path = f"{SLOTS}/{hold['id']}"
    await api("PATCH", path, {"expiresAt": "2027-03-08T09:00:00Z"})
    api.world.later(600)
    assert book.expire_holds(api.world.db, now=api.world.now()) == 0
    assert (await api("PATCH", path, {"expiresAt": None})).json["expiresAt"] is None
    api.world.later(86_400)
    assert book.expire_holds(api.world.db, now=api.world.now()) == 0
    assert len(await blocked(api)) == 1


async def test_a_calendar_of_one_stands_for_its_user(api):
    created = await api.block(assignedUserId=None, calendarId=api.world.booking_calendar_id)
    assert created["assignedUserId"] == "ada"
    api.add_user("bob")
    team = api.add_calendar("ada", "bob")
    before = api.stored()
    refused = await api("POST", SLOTS, api.slot(assignedUserId=None, calendarId=team))
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/calendarId")
    assert (await api("PUT", f"{SLOTS}/{created['id']}", {"calendarId": team})).status == 422
    assert api.stored() == before
    moved = await api("PUT", f"{SLOTS}/{created['id']}", {"assignedUserId": "bob"})
    assert (moved.json["assignedUserId"], moved.json["calendarId"]) == ("bob", None)
    assert await blocked(api) == []
    assert len(await blocked(api, userId="bob")) == 1


async def test_the_listing_has_icloud_s_events_beside_the_crm_s(api):
    crm = await api.block()
    api.world.server.edit(api.world.urls["Work"], "a.ics", event("a"))
    api.world.server.edit(
        api.world.urls["Home"],
        "b.ics",
        event("b", start="20270310T080000", end="20270310T090000", extra="RRULE:FREQ=DAILY;COUNT=3\r\n"),
    )
    await api.poll()
    await api.book(startTime="2027-03-12T15:00:00", endTime=None)
    found = await blocked(api)
    assert [(e["startTime"], e["origin"], e["readOnly"], e["title"]) for e in found] == [
        ("2027-03-08T10:00:00+01:00", "icloud", True, "Busy"),
        ("2027-03-09T12:00:00+01:00", "crm", False, "Lunch"),
        ("2027-03-10T08:00:00+01:00", "icloud", True, "Busy"),
        ("2027-03-11T08:00:00+01:00", "icloud", True, "Busy"),
        ("2027-03-12T08:00:00+01:00", "icloud", True, "Busy"),
    ], "appointments are no blocked slots"
    assert len({e["id"] for e in found}) == 5
    assert all(e["appointmentStatus"] is None and e["contactId"] is None for e in found)
    assert found[1]["id"] == crm["id"]
    day = {"startTime": "2027-03-11T00:00:00+01:00", "endTime": "2027-03-12T00:00:00+01:00"}
    assert await blocked(api, **day) == [found[3]]
    assert (await api("GET", f"{SLOTS}/{found[3]['id']}")).json == {"event": found[3]}


async def test_icloud_s_titles_are_told_where_their_owner_says_so(api):
    api.world.server.edit(api.world.urls["Work"], "a.ics", event("a", title="Zahnarzt\\, Dr. Müller"))
    await api.poll()
    roles.set_slot_settings(api.world.context, "ada", api.world.ids["Work"], SlotSettings(titles=Titles.TITLE))
    assert [slot["title"] for slot in await blocked(api)] == ["Zahnarzt, Dr. Müller"]


async def test_icloud_s_can_only_be_changed_there(api):
    api.world.server.edit(api.world.urls["Work"], "a.ics", event("a"))
    await api.poll()
    ((slot),) = await blocked(api)
    before = api.stored()
    for method, path in (("PUT", SLOTS), ("PATCH", SLOTS), ("DELETE", EVENTS)):
        refused = await api(method, f"{path}/{slot['id']}", {"title": "Mine"})
        assert (refused.status, refused.json["code"]) == (403, "read_only"), method
    assert api.stored() == before
    stranger = api.with_token(locations=("elsewhere",))
    for method, path in (("GET", SLOTS), ("PUT", SLOTS), ("DELETE", EVENTS)):
        assert (await stranger(method, f"{path}/{slot['id']}", {"title": "Mine"})).status == 404, method
    stem = slot["id"].rpartition("_")[0]
    for other in (f"{stem}_1", f"{stem}_", f"{stem}_{'9' * 30}", f"{stem}0", "ics_", "ics_x_1"):
        assert (await api("GET", f"{SLOTS}/{other}")).status == 404, other


async def test_all_day_events_block_the_user_s_whole_days(api):
    text = event("a").replace("DTSTART;TZID=Europe/Berlin:20270308T100000", "DTSTART;VALUE=DATE:20270310")
    text = text.replace("DTEND;TZID=Europe/Berlin:20270308T110000", "DTEND;VALUE=DATE:20270311")
    api.world.server.edit(api.world.urls["Work"], "a.ics", text)
    await api.poll()
    (slot,) = await blocked(api)
    assert (slot["allDay"], slot["startTime"], slot["endTime"]) == (
        True,
        "2027-03-10T00:00:00+01:00",
        "2027-03-11T00:00:00+01:00",
    )
    late = api.body(startTime="2027-03-10T23:30:00", endTime="2027-03-11T00:00:00")
    assert (await api("POST", APPOINTMENTS, late)).json["conflicts"][0]["kind"] == "icloud_event"


async def test_one_that_was_read_can_be_sent_back(api):
    slot = await api.block(assignedUserId=None, calendarId=api.world.booking_calendar_id)
    path = f"{SLOTS}/{slot['id']}"
    answer = await api("PUT", path, {**(await api("GET", path)).json["event"], "title": "Lunch, later"})
    assert answer.status == 200, answer.json
    assert answer.json == {**slot, "title": "Lunch, later", "version": 2}
    api.add_user("eve")
    both = {"calendarId": api.add_calendar("eve"), "assignedUserId": "eve"}
    assert (await api("PUT", path, both)).status == 422, "either says whose time it is"
