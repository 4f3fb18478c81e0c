"""Single times of a recurring appointment: read, changed, deleted, here and in iCloud."""

import re

from .conftest import APPOINTMENTS, EVENTS


async def series(api, **changes):
    """Every day from Monday on at ten, five times. Returns it, and the ids of its times."""
    master = await api.book(
        startTime="2027-03-08T10:00:00", endTime="2027-03-08T10:30:00", **{"rrule": "FREQ=DAILY;COUNT=5", **changes}
    )
    return master, [event["id"] for event in await times(api)]


async def times(api):
    span = {"startTime": "2027-03-01T00:00:00+01:00", "endTime": "2027-04-01T00:00:00+02:00", "userId": "ada"}
    answer = await api("GET", EVENTS, params=span)
    assert answer.status == 200, answer.json
    return answer.json["events"]


async def upstream(api):
    """Push, and what is in iCloud then."""
    await api.push()
    await api.poll()
    return api.world.server.texts(api.world.urls["Home"])


async def starts(api):
    return [event["startTime"][8:16] for event in await times(api)]


async def test_one_of_its_times_can_be_deleted(api):
    master, ids = await series(api)
    assert await starts(api) == ["08T10:00", "09T10:00", "10T10:00", "11T10:00", "12T10:00"]
    await upstream(api)
    for _ in range(2):
        answer = await api("DELETE", f"{EVENTS}/{ids[2]}")
        assert (answer.status, answer.json) == (200, {"succeeded": True})
    assert await starts(api) == ["08T10:00", "09T10:00", "11T10:00", "12T10:00"]
    assert (await api("GET", f"{APPOINTMENTS}/{ids[2]}")).json["event"]["deleted"] is True
    assert (await api("GET", f"{APPOINTMENTS}/{master['id']}")).json["event"]["version"] == 2
    (ics,) = (await upstream(api)).values()
    assert re.search(r"EXDATE;TZID=Europe/Berlin:20270310T100000\r\n", ics)
    again = api.body(startTime="2027-03-10T10:00:00", endTime="2027-03-10T10:30:00")
    assert (await api("POST", APPOINTMENTS, again)).status == 201, "its time is free"


async def test_a_time_that_never_was_is_not_there(api):
    master, ids = await series(api)
    single = await api.book(startTime="2027-03-20T10:00:00", endTime=None)
    for strange in (
        ids[0].replace("_1", "_2", 1),
        f"{master['id']}_1804496401000_1800",
        f"{single['id']}_1805533200000_1800",
        "apt_0_1804496400000_1800",
    ):
        for method, path in (("GET", APPOINTMENTS), ("PUT", APPOINTMENTS), ("DELETE", EVENTS)):
            answer = await api(method, f"{path}/{strange}", {"title": "x"} if method == "PUT" else None)
            assert answer.status == 404, (method, strange)
    stranger = api.with_token(locations=("elsewhere",))
    assert (await stranger("GET", f"{APPOINTMENTS}/{ids[0]}")).status == 404
    assert (await stranger("DELETE", f"{EVENTS}/{ids[0]}")).status == 404


async def test_one_of_its_times_can_be_changed(api):
    master, ids = await series(api, contact={"name": "Grace"}, externalId="crm-1")
    await upstream(api)
    change = {"startTime": "2027-03-10T15:00:00", "title": "Later that day"}
    changed = await api("PUT", f"{APPOINTMENTS}/{ids[2]}", change)
    assert changed.status == 200, changed.json
    assert (changed.json["id"], changed.json["masterEventId"]) == (ids[2], master["id"])
    assert (changed.json["startTime"], changed.json["endTime"]) == (
        "2027-03-10T15:00:00+01:00",
        "2027-03-10T15:30:00+01:00",
    )
    assert (changed.json["contact"], changed.json["isRecurring"]) == ({"name": "Grace"}, False)
    assert (await api("GET", f"{APPOINTMENTS}/{ids[2]}")).json == {"event": changed.json}
    assert await starts(api) == ["08T10:00", "09T10:00", "10T15:00", "11T10:00", "12T10:00"]
    assert [event["id"] for event in await times(api)] == ids, "each goes by the id it had"
    assert len(await upstream(api)) == 2, "the series, and the one that left it"
    assert (await api("GET", f"{APPOINTMENTS}/{ids[2]}")).json["event"]["sync"]["state"] == "synced"
    again = await api("PATCH", f"{APPOINTMENTS}/{ids[2]}", {"title": "Once more"}, headers=etag(changed))
    assert (again.status, again.json["version"]) == (200, changed.json["version"] + 1)


def etag(answer):
    return {"If-Match": answer.headers["ETag"]}


async def test_only_a_new_time_has_to_be_free(api):
    _, ids = await series(api)
    taken = await api.book(startTime="2027-03-10T15:00:00", endTime="2027-03-10T16:00:00")
    before = api.stored()
    refused = await api("PUT", f"{APPOINTMENTS}/{ids[2]}", {"startTime": taken["startTime"]})
    assert (refused.status, refused.json["code"]) == (409, "slot_unavailable")
    assert api.stored() == before, "and the series still has it"
    moved = await api("PUT", f"{APPOINTMENTS}/{ids[2]}", {"startTime": "2027-03-10T10:15:00"})
    assert moved.status == 200, "over its own old time"
    refused = await api("PUT", f"{APPOINTMENTS}/{ids[1]}", {"startTime": "2027-03-10T10:30:00"})
    assert refused.status == 409, "the one that moved takes its time"


async def test_what_was_read_can_be_sent_back(api):
    _, ids = await series(api, externalId="crm-1")
    before = api.stored()
    read = (await api("GET", f"{APPOINTMENTS}/{ids[1]}")).json["event"]
    again = await api("PUT", f"{APPOINTMENTS}/{ids[1]}", read)
    assert (again.status, again.json) == (200, read)
    assert api.stored() == before


async def test_a_stale_version_changes_nothing(api):
    master, ids = await series(api)
    read = await api("GET", f"{APPOINTMENTS}/{ids[1]}")
    await api("PATCH", f"{APPOINTMENTS}/{master['id']}", {"title": "Other"})
    before = api.stored()
    assert (await api("PUT", f"{APPOINTMENTS}/{ids[1]}", {"title": "x"}, headers=etag(read))).status == 412
    assert (await api("DELETE", f"{EVENTS}/{ids[1]}", headers=etag(read))).status == 412
    assert api.stored() == before


async def test_a_single_time_does_not_recur(api):
    _, ids = await series(api)
    await api("PUT", f"{APPOINTMENTS}/{ids[2]}", {"title": "Changed before"})
    await api("PUT", f"{APPOINTMENTS}/{ids[3]}", {"appointmentStatus": "cancelled"})
    before = await times(api)
    for id_ in ids[1:4]:
        answer = await api("PUT", f"{APPOINTMENTS}/{id_}", {"rrule": "FREQ=WEEKLY"})
        assert (answer.status, answer.json["code"]) == (422, "unsupported_rrule"), id_
        assert "masterEventId" in answer.json["detail"]
    assert await times(api) == before


async def test_one_that_was_deleted_can_be_read_for_ninety_days(api):
    master, ids = await series(api)
    start = (await api("GET", "/v1/changes")).json["nextCursor"]
    await api("DELETE", f"{EVENTS}/{ids[2]}")
    path = f"{APPOINTMENTS}/{ids[2]}"
    seen = (await api("GET", path)).json["event"]
    assert (seen["deleted"], seen["startTime"], seen["masterEventId"]) == (
        True,
        "2027-03-10T10:00:00+01:00",
        master["id"],
    )
    changes = (await api("GET", "/v1/changes", params={"cursor": start})).json["changes"]
    assert [(c["type"], c["id"]) for c in changes] == [
        ("AppointmentUpdate", master["id"]),
        ("AppointmentDelete", ids[2]),
    ]
    span = {"startTime": "2027-03-10T00:00:00+01:00", "endTime": "2027-03-11T00:00:00+01:00", "userId": "ada"}
    assert (await api("GET", EVENTS, params=span)).json["events"] == []
    listed = (await api("GET", EVENTS, params={**span, "includeDeleted": "true"})).json["events"]
    assert listed == [seen]
    assert (await api("PUT", path, {"title": "x"})).status == 404
    assert (await api("DELETE", f"{EVENTS}/{ids[2]}")).status == 200
    api.world.later(89 * 86_400)
    assert (await api("GET", path)).status == 200
    api.world.later(2 * 86_400)
    assert (await api("GET", path)).status == 404
    assert (await api("DELETE", f"{EVENTS}/{ids[2]}")).status == 200


async def test_one_that_was_deleted_comes_back_with_a_rule_that_has_it(api):
    master, ids = await series(api)
    await api("DELETE", f"{EVENTS}/{ids[2]}")
    await api("PUT", f"{APPOINTMENTS}/{master['id']}", {"rrule": "FREQ=DAILY;COUNT=5"})
    assert [event["id"] for event in await times(api)] == ids
    assert (await api("GET", f"{APPOINTMENTS}/{ids[2]}")).json["event"]["deleted"] is False
    changed = await api("PUT", f"{APPOINTMENTS}/{ids[2]}", {"title": "By itself"})
    assert (changed.status, changed.json["deleted"]) == (200, False)
    assert [event["title"] for event in await times(api)][2] == "By itself"


async def test_the_times_of_a_deleted_series_are_deleted(api):
    master, ids = await series(api)
    await api("DELETE", f"{EVENTS}/{master['id']}")
    seen = (await api("GET", f"{APPOINTMENTS}/{ids[1]}")).json["event"]
    assert (seen["deleted"], seen["startTime"]) == (True, "2027-03-09T10:00:00+01:00")
    assert (await api("PUT", f"{APPOINTMENTS}/{ids[1]}", {"title": "x"})).status == 404
    api.world.later(91 * 86_400)
    assert (await api("GET", f"{APPOINTMENTS}/{ids[1]}")).status == 404


async def test_a_series_that_moves_takes_its_exceptions_along(api):
    master, ids = await series(api)
    await api("DELETE", f"{EVENTS}/{ids[1]}")
    await api("PUT", f"{APPOINTMENTS}/{ids[3]}", {"startTime": "2027-03-11T17:00:00", "title": "By itself"})
    moved = await api("PUT", f"{APPOINTMENTS}/{master['id']}", {"startTime": "2027-03-08T11:00:00"})
    assert moved.status == 200, moved.json
    assert await starts(api) == ["08T11:00", "10T11:00", "11T17:00", "12T11:00"], "nothing comes back, nothing twice"
    longer = await api("PUT", f"{APPOINTMENTS}/{master['id']}", {"rrule": "FREQ=DAILY;COUNT=6"})
    assert longer.status == 200
    assert await starts(api) == ["08T11:00", "09T11:00", "10T11:00", "11T17:00", "12T11:00", "13T11:00"]


async def test_a_new_start_needs_a_rule_that_has_it(api):
    master, _ = await series(api, rrule="FREQ=MONTHLY;BYDAY=2MO")
    before = api.stored()
    path = f"{APPOINTMENTS}/{master['id']}"
    answer = await api("PUT", path, {"startTime": "2027-03-09T10:00:00"})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/startTime")
    assert api.stored() == before
    both = {"startTime": "2027-03-09T10:00:00", "rrule": "FREQ=MONTHLY;BYDAY=2TU"}
    assert (await api("PUT", path, both)).status == 200


async def test_this_and_all_later_ones_can_be_deleted(api):
    _, ids = await series(api)
    await api("PUT", f"{APPOINTMENTS}/{ids[1]}", {"title": "Stays"})
    await api("PUT", f"{APPOINTMENTS}/{ids[3]}", {"title": "Goes"})
    answer = await api("DELETE", f"{EVENTS}/{ids[2]}", params={"scope": "following"})
    assert answer.status == 200, answer.json
    assert await starts(api) == ["08T10:00", "09T10:00"]
    assert len(await upstream(api)) == 2
    await api("DELETE", f"{EVENTS}/{ids[0]}", params={"scope": "following"})
    assert await starts(api) == []
    assert await upstream(api) == {}


async def test_all_of_it_by_any_of_its_ids(api):
    for by in ("master", "time", "taken out"):
        master, ids = await series(api)
        await api("PUT", f"{APPOINTMENTS}/{ids[1]}", {"title": "By itself"})
        renamed = await api("PUT", f"{APPOINTMENTS}/{ids[3]}", {"title": "All"}, params={"scope": "series"})
        assert renamed.json["id"] == master["id"]
        assert [event["title"] for event in await times(api)] == ["All", "By itself", "All", "All", "All"]
        which = {"master": master["id"], "time": ids[3], "taken out": ids[1]}[by]
        scope = {} if by == "master" else {"params": {"scope": "series"}}
        assert (await api("DELETE", f"{EVENTS}/{which}", **scope)).status == 200
        assert (await times(api), await upstream(api)) == ([], {}), by


async def test_when_the_last_of_its_times_is_gone_so_is_it(api):
    master, ids = await series(api)
    for one in ids:
        assert (await api("DELETE", f"{EVENTS}/{one}")).status == 200
    assert (await api("GET", f"{APPOINTMENTS}/{master['id']}")).json["event"]["deleted"] is True
    assert await upstream(api) == {}


async def test_what_the_person_did_to_one_of_its_times_is_what_the_crm_sees_and_changes(api):
    _, ids = await series(api)
    ((href, ics),) = (await upstream(api)).items()
    uid = re.search(r"UID:(\S+)", ics)[1]
    moved = (
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20270301T000000Z\r\nRECURRENCE-ID;TZID=Europe/Berlin:20270310T100000\r\n"
        "DTSTART;TZID=Europe/Berlin:20270310T170000\r\nDTEND;TZID=Europe/Berlin:20270310T180000\r\n"
        "SUMMARY:Moved on the phone\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    api.world.server.edit(api.world.urls["Home"], href.rpartition("/")[2], ics.replace("END:VCALENDAR\r\n", moved))
    await api.poll()
    seen = (await times(api))[2]
    assert (seen["id"], seen["startTime"], seen["title"]) == (ids[2], "2027-03-10T17:00:00+01:00", "Moved on the phone")
    assert (await api("GET", f"{APPOINTMENTS}/{ids[2]}")).json["event"] == seen
    changed = await api("PUT", f"{APPOINTMENTS}/{ids[2]}", {"title": "Renamed in the CRM"})
    assert (changed.json["startTime"], changed.json["title"]) == (seen["startTime"], "Renamed in the CRM")
    found = await upstream(api)
    assert len(found) == 2
    assert "RECURRENCE-ID" not in "".join(found.values()), "the one that left is not there twice"
    assert await starts(api) == ["08T10:00", "09T10:00", "10T17:00", "11T10:00", "12T10:00"]


async def test_whole_days_that_recur(api):
    await api.book(startTime="2027-03-08", endTime=None, allDay=True, rrule="FREQ=DAILY;COUNT=3")
    ids = [event["id"] for event in await times(api)]
    assert await starts(api) == ["08T00:00", "09T00:00", "10T00:00"]
    await api("DELETE", f"{EVENTS}/{ids[1]}")
    assert await starts(api) == ["08T00:00", "10T00:00"]
    (ics,) = (await upstream(api)).values()
    assert "EXDATE;VALUE=DATE:20270309\r\n" in ics
    await api("DELETE", f"{EVENTS}/{ids[2]}", params={"scope": "following"})
    assert await starts(api) == ["08T00:00"]
