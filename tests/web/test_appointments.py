"""Appointments: what is created is what is read, changed, listed, pushed and published."""

import pytest

from bridge.errors import RemoteError
from bridge.service import connect, roles
from bridge.store import accounts

from .conftest import APPOINTMENTS, EVENTS, WEEK

ALL = {
    "contactId": "c-1",
    "assignedUserId": "ada",
    "title": "Intro call: Ada Example",
    "startTime": "2027-03-09T10:00:00+01:00",
    "endTime": "2027-03-09T10:45:00+01:00",
    "timezone": "Europe/Berlin",
    "appointmentStatus": "new",
    "address": "https://meet.example.com/abc",
    "meetingLocationType": "zoom",
    "description": "Agenda:\n- café ☕\n- 1 < 2, 3; \\n",
    "externalId": "crm/9001 ü",
    "metadata": {"deal": "d-77"},
    "contact": {"name": "Ada Example", "email": "ada@example.com", "phone": "+4930123456"},
    "reminders": [{"minutesBefore": 15}],
}


async def test_what_is_created_is_what_is_read(api):
    created = await api("POST", APPOINTMENTS, api.body(**ALL))
    assert created.status == 201
    for name, value in ALL.items():
        assert created.json[name] == value, name
    assert created.headers["Location"] == f"{APPOINTMENTS}/{created.json['id']}"
    assert created.headers["ETag"] == '"1"'
    assert created.json["sync"]["state"] == "pending"
    read = await api("GET", created.headers["Location"])
    assert (read.status, read.json, read.headers["ETag"]) == (200, {"event": created.json}, '"1"')
    listed = await api("GET", EVENTS, params={**WEEK, "userId": "ada"})
    assert listed.json == {"events": [created.json]}


async def test_only_what_is_needed_has_to_be_sent(api):
    created = await api.book(title=None, endTime=None, timezone=None, locationId=None)
    assert created["endTime"] == "2027-03-09T10:30:00+01:00", "the calendar's slots take half an hour"
    assert (created["locationId"], created["assignedUserId"]) == ("loc", "ada")
    assert (created["title"], created["appointmentStatus"]) == ("", "confirmed")
    assert (created["contactId"], created["metadata"], created["isRecurring"]) == (None, {}, False)


async def test_it_is_in_the_merged_calendar_at_once_and_in_icloud_once(api):
    created = await api.book()
    assert list(api.world.merged()) == [f"{created['id']}.ics"]
    await api.push()
    await api.push()
    assert [method for method, _ in api.world.server.writes] == ["PUT"]
    read = await api("GET", f"{APPOINTMENTS}/{created['id']}")
    assert read.json["event"]["sync"]["state"] == "synced"
    assert read.headers["ETag"] == '"1"', "syncing alone changes no version"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_touches_what_was_sent_and_nothing_else(api, method):
    created = await api.book(**ALL)
    changed = await api(method, f"{APPOINTMENTS}/{created['id']}", {"title": "Second call", "contactId": None})
    assert changed.status == 200
    wanted = {**created, "title": "Second call", "contactId": None, "version": 2}
    assert changed.json == wanted
    assert (await api("GET", f"{APPOINTMENTS}/{created['id']}")).json == {"event": wanted}


async def test_what_was_read_can_be_sent_back(api):
    created = await api.book(**ALL)
    again = await api("PUT", f"{APPOINTMENTS}/{created['id']}", created)
    assert (again.status, again.json) == (200, created), "no change, no new version"


async def test_a_new_start_moves_the_end_along(api):
    created = await api.book()
    moved = await api("PATCH", f"{APPOINTMENTS}/{created['id']}", {"startTime": "2027-03-10T15:00:00"})
    assert (moved.json["startTime"], moved.json["endTime"]) == (
        "2027-03-10T15:00:00+01:00",
        "2027-03-10T15:30:00+01:00",
    )


async def test_an_update_changes_the_event_in_place(api):
    created = await api.book()
    await api.push()
    await api("PUT", f"{APPOINTMENTS}/{created['id']}", {"title": "Second call"})
    await api.push()
    (text,) = api.world.server.texts(api.world.urls["Home"]).values()
    assert "SUMMARY:Second call" in text


async def test_cancelled_it_frees_its_time_and_confirmed_again_it_takes_it(api):
    created = await api.book()
    path = f"{APPOINTMENTS}/{created['id']}"
    await api.push()
    cancelled = await api("PUT", path, {"appointmentStatus": "cancelled"})
    assert (cancelled.status, cancelled.json["appointmentStatus"]) == (200, "cancelled")
    assert api.world.merged() == {}
    await api.push()
    assert api.world.server.texts(api.world.urls["Home"]) == {}
    other = await api.book(title="Somebody else")
    refused = await api("PUT", path, {"appointmentStatus": "confirmed"})
    assert (refused.status, refused.json["code"]) == (409, "slot_unavailable")
    await api("DELETE", f"{EVENTS}/{other['id']}")
    assert (await api("PUT", path, {"appointmentStatus": "confirmed"})).status == 200
    await api.push()
    assert len(api.world.server.texts(api.world.urls["Home"])) == 1
    assert list(api.world.merged()) == [f"{created['id']}.ics"]


async def test_deleted_it_goes_everywhere_and_can_be_seen_to_be_deleted(api):
    created = await api.book()
    path = f"{APPOINTMENTS}/{created['id']}"
    await api.push()
    for _ in range(2):
        deleted = await api("DELETE", f"{EVENTS}/{created['id']}")
        assert (deleted.status, deleted.json) == (200, {"succeeded": True})
    await api.push()
    assert api.world.server.texts(api.world.urls["Home"]) == {}
    assert api.world.merged() == {}
    read = await api("GET", path)
    assert (read.status, read.json["event"]["deleted"], read.json["event"]["version"]) == (200, True, 2)
    assert (await api("PUT", path, {"title": "Back"})).status == 404
    assert (await api("GET", EVENTS, params={**WEEK, "userId": "ada"})).json == {"events": []}
    with_deleted = await api("GET", EVENTS, params={**WEEK, "userId": "ada", "includeDeleted": "true"})
    assert [event["id"] for event in with_deleted.json["events"]] == [created["id"]]
    api.world.later(91 * 86_400)
    assert (await api("GET", path)).status == 404


@pytest.mark.parametrize(
    "times",
    [
        ("2027-03-09T10:00:00+01:00", "2027-03-09T10:30:00+01:00"),
        ("2027-03-09T09:45:00+01:00", "2027-03-09T10:00:01+01:00"),
        ("2027-03-09T10:29:59+01:00", "2027-03-09T11:00:00+01:00"),
        ("2027-03-09T08:00:00+01:00", "2027-03-09T20:00:00+01:00"),
        ("2027-03-09T10:10:00+01:00", "2027-03-09T10:20:00+01:00"),
    ],
)
async def test_a_taken_time_is_refused_and_told_in_the_sender_s_own_zone(api, times):
    await api.book()
    before = api.stored()
    refused = await api("POST", APPOINTMENTS, api.body(startTime=times[0], endTime=times[1], timezone="Asia/Tokyo"))
    assert (refused.status, refused.json["code"]) == (409, "slot_unavailable")
    assert refused.json["conflicts"] == [
        {"start": "2027-03-09T18:00:00+09:00", "end": "2027-03-09T18:30:00+09:00", "kind": "appointment"}
    ]
    assert api.stored() == before


async def test_touching_is_not_overlapping(api):
    await api.book()
    await api.book(startTime="2027-03-09T10:30:00+01:00", endTime="2027-03-09T11:00:00+01:00")
    await api.book(startTime="2027-03-09T09:30:00+01:00", endTime="2027-03-09T10:00:00+01:00")


async def test_a_taken_time_can_be_insisted_on(api):
    await api.book()
    second = await api.book(ignoreFreeSlotValidation=True)
    moved = await api("PUT", f"{APPOINTMENTS}/{second['id']}", {"title": "No new time, no new question"})
    assert moved.status == 200
    longer = {"endTime": "2027-03-09T11:00:00+01:00"}
    assert (await api("PUT", f"{APPOINTMENTS}/{second['id']}", longer)).status == 409
    insisted = await api("PUT", f"{APPOINTMENTS}/{second['id']}", {**longer, "ignoreFreeSlotValidation": True})
    assert insisted.status == 200


async def test_moved_onto_a_taken_time_it_stays_where_it_was(api):
    await api.book()
    other = await api.book(startTime="2027-03-09T14:00:00+01:00", endTime="2027-03-09T14:30:00+01:00")
    before = api.stored()
    refused = await api("PUT", f"{APPOINTMENTS}/{other['id']}", {"startTime": "2027-03-09T10:15:00+01:00"})
    assert refused.status == 409
    assert api.stored() == before


async def test_a_user_s_calendar_that_was_never_read_is_not_taken_for_free(api):
    def fail(method):
        if method == "REPORT":
            raise RemoteError("https://memory.example/", "away")

    api.world.server.on_call = fail
    await roles.choose(api.world.context, "ada", conflicts=[api.world.ids["Hobby"]])
    before = api.stored()
    refused = await api("POST", APPOINTMENTS, api.body())
    assert (refused.status, refused.json["code"]) == (503, "calendar_stale")
    assert int(refused.headers["Retry-After"]) > 0
    assert api.stored() == before
    assert (await api("POST", APPOINTMENTS, api.body(ignoreFreeSlotValidation=True))).status == 201
    api.world.server.on_call = lambda _: None
    await api.poll()
    assert (await api("POST", APPOINTMENTS, api.body(startTime="2027-03-10T10:00:00", endTime=None))).status == 201


async def test_without_a_primary_there_is_nowhere_to_book(api):
    await roles.choose(api.world.context, "ada", primary=None)
    before = api.stored()
    refused = await api("POST", APPOINTMENTS, api.body())
    assert (refused.status, refused.json["code"]) == (409, "no_primary_calendar")
    assert api.stored() == before


async def test_a_recurring_one_takes_every_one_of_its_times(api):
    taken = await api.book(startTime="2027-03-30T10:00:00", endTime="2027-03-30T10:30:00")
    weekly = api.body(startTime="2027-03-09T10:15:00", endTime="2027-03-09T10:45:00", rrule="RRULE:FREQ=WEEKLY;COUNT=6")
    refused = await api("POST", APPOINTMENTS, weekly)
    assert (refused.status, [c["start"] for c in refused.json["conflicts"]]) == (409, [taken["startTime"]])
    assert "EXDATE" in refused.json["detail"]
    without = f"{weekly['rrule']}\nEXDATE;TZID=Europe/Berlin:20270330T101500"
    around = await api("POST", APPOINTMENTS, {**weekly, "rrule": without})
    assert around.status == 201, around.json
    for gone in (around.json["id"], taken["id"]):
        assert (await api("DELETE", f"{EVENTS}/{gone}")).status == 200
    booked = (await api("POST", APPOINTMENTS, weekly)).json
    assert (booked["isRecurring"], booked["rrule"]) == (True, "RRULE:FREQ=WEEKLY;COUNT=6")
    for week, status in (("2027-04-13", 409), ("2027-04-20", 201)):
        times = {"startTime": f"{week}T10:30:00", "endTime": f"{week}T11:00:00"}
        assert (await api("POST", APPOINTMENTS, api.body(**times))).status == status, week


@pytest.mark.parametrize("until", ["20270308", "20270309T085959Z", "20270309T095959"])
async def test_one_that_would_end_before_it_begins_is_refused(api, until):
    booked = await api.book(rrule="FREQ=WEEKLY;COUNT=3")
    before = api.stored()
    ended = {"rrule": f"FREQ=DAILY;UNTIL={until}", "ignoreFreeSlotValidation": True}
    for method, path, body in (
        ("POST", APPOINTMENTS, api.body(**ended)),
        ("PUT", "/v1/appointments/by-external-id/x1", api.body(**ended)),
        ("PATCH", f"{APPOINTMENTS}/{booked['id']}", ended),
    ):
        refused = await api(method, path, body)
        assert (refused.status, refused.json["code"]) == (422, "unsupported_rrule"), method
        assert "later UNTIL" in refused.json["detail"]
    assert api.stored() == before


@pytest.mark.parametrize("until", ["20270309", "20270309T090000Z", "20270309T100000"])
async def test_one_that_ends_on_its_first_time_has_that_time(api, until):
    booked = await api.book(rrule=f"FREQ=DAILY;UNTIL={until}")
    month = {"startTime": "2027-03-01T00:00:00Z", "endTime": "2027-03-31T00:00:00Z"}
    later = {"startTime": "2027-03-16T10:00:00+01:00", "endTime": "2027-03-16T10:30:00+01:00"}
    moved = await api("PATCH", f"{APPOINTMENTS}/{booked['id']}", later)
    assert moved.status == 200, "its end moves with it"
    listed = (await api("GET", EVENTS, params={"locationId": "loc", "userId": "ada", **month})).json["events"]
    assert [event["startTime"] for event in listed] == [later["startTime"]]


async def test_a_recurring_one_without_a_zone_follows_the_user_s_clocks(api):
    booked = await api.book(timezone=None, rrule="FREQ=WEEKLY")
    assert booked["timezone"] == "Europe/Berlin"
    summer = {"startTime": "2027-07-06T10:00:00", "endTime": "2027-07-06T10:30:00"}
    assert (await api("POST", APPOINTMENTS, api.body(**summer))).status == 409


async def test_a_recurring_event_blocks_far_beyond_what_is_stored(api):
    await api.book(rrule="FREQ=WEEKLY")
    far = {"startTime": "2035-03-06T10:00:00", "endTime": "2035-03-06T10:30:00"}
    assert (await api("POST", APPOINTMENTS, api.body(**far))).status == 409
    assert (
        await api("POST", APPOINTMENTS, api.body(**{**far, "startTime": "2035-03-06T09:30:00", "endTime": None}))
    ).status == 201


async def test_moved_to_another_user_it_leaves_the_first_one_s_calendars(api):
    api.add_user("bob")
    team = api.add_calendar("ada", "bob")
    booked = await api.book(calendarId=team)
    assert booked["assignedUserId"] == "ada"
    await api.push()
    path = f"{APPOINTMENTS}/{booked['id']}"
    before = api.stored()
    homeless = await api("PUT", path, {"assignedUserId": "bob"})
    assert (homeless.status, homeless.json["code"]) == (409, "no_primary_calendar")
    assert api.stored() == before
    home = api.world.server.add_calendar("Bobs")
    await connect.connect(api.world.context, "bob", "icloud", api.world.server.username, api.world.server.password)
    (bobs,) = [c.id for c in roles.list_calendars(api.world.db, "bob") if c.name == "Bobs"]
    await roles.choose(api.world.context, "bob", primary=bobs)
    moved = await api("PUT", path, {"assignedUserId": "bob"})
    assert (moved.status, moved.json["assignedUserId"]) == (200, "bob")
    await api.push()
    assert api.world.server.texts(api.world.urls["Home"]) == {}
    assert len(api.world.server.texts(home)) == 1
    for user, count in (("ada", 0), ("bob", 1)):
        listed = await api("GET", EVENTS, params={**WEEK, "userId": user, "includeDeleted": "true"})
        assert len(listed.json["events"]) == count, user
    with api.world.db.read() as tx:
        rows = tx.execute(
            "SELECT u.id, href FROM published_items JOIN users u ON u.number = owner WHERE ics IS NOT NULL"
        )
        busy = [tuple(row) for row in rows]
    assert busy == [("bob", f"{booked['id']}.ics")]
    assert (await api("PUT", path, {"assignedUserId": "carol"})).status == 404
    await api.book()


async def test_an_appointment_outlives_its_booking_calendar_and_can_still_be_cancelled(api):
    booked = await api.book()
    with api.world.db.write() as tx:
        tx.execute("DELETE FROM booking_calendars")
    changed = await api("PUT", f"{APPOINTMENTS}/{booked['id']}", {"appointmentStatus": "cancelled"})
    assert changed.status == 200


async def test_after_a_change_of_primary_a_past_one_can_be_marked_and_stays_where_it_is(api):
    past = await api.book(startTime="2027-03-08T08:00:00", endTime="2027-03-08T08:30:00")
    await api.push()
    await roles.choose(api.world.context, "ada", primary=api.world.ids["Hobby"])
    await api.push()
    marked = await api("PUT", f"{APPOINTMENTS}/{past['id']}", {"appointmentStatus": "showed"})
    assert (marked.status, marked.json["sync"]["state"]) == (200, "synced")
    await api.push()
    assert len(api.world.server.texts(api.world.urls["Home"])) == 1
    moved = await api("PUT", f"{APPOINTMENTS}/{past['id']}", {"startTime": "2027-03-11T08:00:00"})
    assert moved.status == 200
    await api.push()
    assert (await api("GET", f"{APPOINTMENTS}/{past['id']}")).json["event"]["sync"]["state"] == "synced"
    assert api.world.server.texts(api.world.urls["Home"]) == {}
    assert len(api.world.server.texts(api.world.urls["Hobby"])) == 1


async def test_what_the_person_changes_in_icloud_is_seen_and_replaced_field_by_field(api):
    created = await api.book(externalId="x1")
    await api.push()
    ((href, text),) = api.world.server.texts(api.world.urls["Home"]).items()
    api.world.server.edit(
        api.world.urls["Home"], href.rpartition("/")[2], text.replace("SUMMARY:Intro call", "SUMMARY:Call Ada")
    )
    await api.poll()
    read = await api("GET", f"{APPOINTMENTS}/{created['id']}")
    assert (read.json["event"]["title"], read.headers["ETag"]) == ("Call Ada", '"2"')
    again = await api("POST", APPOINTMENTS, api.body(externalId="x1"))
    assert (again.status, again.json["title"], again.headers["Idempotency-Replayed"]) == (200, "Call Ada", "true")
    changed = await api("PUT", f"{APPOINTMENTS}/{created['id']}", {"description": "Agenda"})
    assert (changed.json["title"], changed.json["description"]) == ("Call Ada", "Agenda")


async def test_listed_by_calendar_by_user_and_where_both_meet(api):
    api.add_user("bob")
    team = api.add_calendar("ada", "bob")
    own = await api.book()
    shared = await api.book(calendarId=team, startTime="2027-03-10T10:00:00", endTime=None)
    cases = {
        (("calendarId", own["calendarId"]),): [own["id"]],
        (("calendarId", team),): [shared["id"]],
        (("userId", "ada"),): [own["id"], shared["id"]],
        (("userId", "ada"), ("calendarId", team)): [shared["id"]],
        (("userId", "bob"), ("calendarId", team)): [],
    }
    for query, wanted in cases.items():
        listed = await api("GET", EVENTS, params={**WEEK, **dict(query)})
        assert [event["id"] for event in listed.json["events"]] == wanted, query


async def test_a_listing_takes_epoch_milliseconds_and_has_ends_that_touch_nothing(api):
    created = await api.book()
    start = 1_804_582_800_000  # 2027-03-09T10:00:00+01:00
    for first, last, count in (
        (start, start + 1000, 1),
        (start + 1_799_000, start + 1_800_000, 1),
        (start + 1_800_000, start + 3_600_000, 0),
        (start - 3_600_000, start, 0),
    ):
        query = {"userId": "ada", "startTime": str(first), "endTime": str(last)}
        listed = await api("GET", EVENTS, params=query)
        assert [event["id"] for event in listed.json["events"]] == [created["id"]] * count, query


async def test_by_the_crm_s_own_id_it_is_created_changed_and_booked_anew(api):
    path = "/v1/appointments/by-external-id/crm%2F9001%20%C3%BC"
    first = await api("PUT", path, api.body())
    assert (first.status, first.json["externalId"]) == (201, "crm/9001 ü")
    second = await api("PUT", path, api.body(title="Second call"))
    assert (second.status, second.json["id"], second.json["title"]) == (200, first.json["id"], "Second call")
    await api("DELETE", f"{EVENTS}/{first.json['id']}")
    third = await api("PUT", path, api.body())
    assert (third.status, third.json["externalId"]) == (201, "crm/9001 ü")
    assert third.json["id"] != first.json["id"]
    mistaken = await api("PUT", path, api.body(externalId="another"))
    assert mistaken.status == 400
    before = api.stored()
    unknown = await api("PUT", path, api.body(titel="Typing error", contact={"nme": "x"}))
    assert unknown.status == 422
    assert [error["pointer"] for error in unknown.json["errors"]] == ["/contact/nme", "/titel"]
    assert api.stored() == before


async def test_by_the_crm_s_own_id_it_is_replaced_as_a_whole(api):
    path = "/v1/appointments/by-external-id/x1"
    team = api.add_calendar("ada", "bob") if api.add_user("bob") else ""
    whole = {**ALL, "calendarId": team, "inviteContact": True, "rrule": "FREQ=DAILY;COUNT=2", "toNotify": True}
    del whole["externalId"]
    first = await api("PUT", path, api.body(**whole))
    assert first.status == 201, first.json
    again = await api("PUT", path, api.body(**whole))
    assert (again.status, again.json) == (200, first.json), "the same again changes nothing"
    bare = api.body(calendarId=team, title=None, endTime=None, timezone=None)
    second = await api("PUT", path, bare)
    assert second.status == 200, second.json
    wanted = await api("PUT", "/v1/appointments/by-external-id/x2", {**bare, "startTime": "2027-03-10T10:00:00+01:00"})
    ours = {"id", "externalId", "startTime", "endTime", "dateAdded", "dateUpdated", "version", "sync", "assignedUserId"}
    for name in (second.json.keys() | wanted.json.keys()) - ours:
        assert second.json[name] == wanted.json[name], name
    assert (second.json["id"], second.json["assignedUserId"]) == (first.json["id"], "ada"), "whose time it takes stays"
    assert second.json["endTime"] == "2027-03-09T10:30:00+01:00"
    assert (await api("PUT", path, bare)).json["version"] == second.json["version"]
    for name in ("calendarId", "startTime"):
        lacking = {key: value for key, value in bare.items() if key != name}
        answer = await api("PUT", path, lacking)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, f"/{name}")


async def test_by_the_crm_s_own_id_what_left_a_series_does_not_come_twice(api):
    path = "/v1/appointments/by-external-id/x1"
    body = api.body(rrule="FREQ=DAILY;COUNT=3")
    await api("PUT", path, body)
    times = (await api("GET", EVENTS, params={**WEEK, "userId": "ada"})).json["events"]
    await api("PUT", f"{APPOINTMENTS}/{times[1]['id']}", {"startTime": "2027-03-10T15:00:00"})
    again = await api("PUT", path, body)
    assert (again.status, again.json["version"]) == (200, 2), "the series without it is what it was"
    times = (await api("GET", EVENTS, params={**WEEK, "userId": "ada"})).json["events"]
    assert [one["startTime"][8:16] for one in times] == ["09T10:00", "10T15:00", "11T10:00"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_of_objects_only_what_is_sent_is_changed(api, method):
    made = await api.book(metadata={"a": "1", "b": "2"}, contact={"name": "Grace", "email": "g@example.com"})
    path = f"{APPOINTMENTS}/{made['id']}"
    changed = await api(method, path, {"metadata": {"b": None, "c": "3"}, "contact": {"phone": "1", "email": None}})
    assert changed.json["metadata"] == {"a": "1", "c": "3"}
    assert changed.json["contact"] == {"name": "Grace", "phone": "1"}
    many = await api(method, path, {"metadata": {f"k{n}": "v" for n in range(49)}})
    assert (many.status, many.json["errors"][0]["pointer"]) == (422, "/metadata")
    cleared = await api(method, path, {"metadata": None, "contact": None})
    assert (cleared.json["metadata"], "contact" in cleared.json) == ({}, False)


async def test_the_crm_s_own_id_belongs_to_one_appointment_of_a_location(api):
    first = await api.book(externalId="x1")
    same = await api("POST", APPOINTMENTS, api.body(externalId="x1"))
    assert (same.status, same.json["id"]) == (200, first["id"])
    other = await api("POST", APPOINTMENTS, api.body(externalId="x1", title="Another"))
    assert (other.status, other.json["code"], other.json["existingId"]) == (409, "duplicate_external_id", first["id"])
    second = await api.book(startTime="2027-03-10T10:00:00", endTime=None)
    path = f"{APPOINTMENTS}/{second['id']}"
    assert (await api("PUT", path, {"externalId": "x1"})).status == 409
    assert (await api("PUT", path, {"externalId": "x2"})).json["externalId"] == "x2"
    await api("DELETE", f"{EVENTS}/{first['id']}")
    late = await api("POST", APPOINTMENTS, api.body(externalId="x1"))
    assert (late.status, late.json["code"]) == (409, "duplicate_external_id"), "a late repetition brings nothing back"
    assert "deleted" in late.json["detail"]


async def test_losing_its_place_while_disconnected_it_goes_to_the_primary_that_is_there(api):
    booked = await api.book()
    await api.push()
    with api.world.db.write() as tx:
        accounts.remove(tx, api.world.account_id)
    await connect.connect(api.world.context, "ada", "icloud", api.world.server.username, api.world.server.password)
    (hobby,) = [c.id for c in roles.list_calendars(api.world.db, "ada") if c.name == "Hobby"]
    await roles.choose(api.world.context, "ada", primary=hobby)
    changed = await api("PUT", f"{APPOINTMENTS}/{booked['id']}", {"title": "Still on"})
    assert changed.status == 200
    await api.push()
    assert (await api("GET", f"{APPOINTMENTS}/{booked['id']}")).json["event"]["sync"]["state"] == "synced"
