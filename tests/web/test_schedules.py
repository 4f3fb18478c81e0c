"""Schedules over HTTP: working hours of people and of calendars, and what they do to slots and bookings."""

import pytest

SCHEDULES = "/v1/calendars/schedules"
SCOPES = ("calendars.readonly", "calendars.write", "calendars/events.readonly", "calendars/events.write")
#: Tuesday the 9th of March 2027, in Berlin.
TUESDAY = {"startDate": "1804546800000", "endDate": "1804633200000"}


@pytest.fixture
async def crm(api):
    return api.with_token(scopes=SCOPES)


def schedule(*intervals, day="tuesday", **changes):
    rules = [{"type": "wday", "day": day, "intervals": [{"from": f, "to": t} for f, t in intervals]}]
    return {
        "locationId": "loc",
        "userId": "ada",
        "name": "Work",
        "timezone": "Europe/Berlin",
        "rules": rules,
        **changes,
    }


async def starts(crm, calendar_id, **query):
    answer = await crm("GET", f"/v1/calendars/{calendar_id}/free-slots", params={**TUESDAY, **query})
    assert answer.status == 200, answer.json
    return [slot[11:16] for slot in answer.json["2027-03-09"]["slots"]]


async def test_a_schedule_is_made_read_changed_found_and_removed(crm):
    calendar = crm.world.booking_calendar_id
    made = await crm("POST", SCHEDULES, schedule(("10:00", "11:30"), calendarIds=[calendar]))
    assert made.status == 201
    path = f"{SCHEDULES}/{made.json['schedule']['id']}"
    assert made.headers["Location"] == path
    assert (await crm("GET", path)).json == made.json
    assert await starts(crm, calendar) == ["10:00", "10:30", "11:00"]

    found = await crm("GET", f"{SCHEDULES}/search", params={"locationId": "loc", "userId": "ada"})
    assert found.json["schedules"] == [made.json["schedule"]]
    assert (await crm("GET", f"{SCHEDULES}/search", params={"calendarId": "other"})).json["schedules"] == []

    changed = await crm("PUT", path, {"rules": [{"type": "date", "date": "2027-03-09", "intervals": []}]})
    assert changed.json["schedule"]["name"] == "Work"
    assert await starts(crm, calendar) == []

    assert (await crm("DELETE", path)).json == {"success": True}
    assert (await crm("GET", path)).status == 404
    assert len(await starts(crm, calendar)) == 16, "office hours again"


async def test_only_what_was_seen_is_changed(crm):
    made = await crm("POST", SCHEDULES, schedule())
    path, seen = f"{SCHEDULES}/{made.json['schedule']['id']}", made.headers["ETag"]
    assert (await crm("GET", path, headers={"If-None-Match": seen})).status == 304
    changed = await crm("PUT", path, {"name": "Other hours"}, headers={"If-Match": seen})
    assert (changed.status, changed.headers["ETag"] != seen) == (200, True)
    association = f"{path}/associations/{crm.world.booking_calendar_id}"
    for method, target, body in (
        ("PUT", path, {"name": "Third"}),
        ("PUT", association, None),
        ("DELETE", association, None),
        ("DELETE", path, None),
    ):
        late = await crm(method, target, body, headers={"If-Match": seen})
        assert (late.status, late.json["code"]) == (412, "version_mismatch"), method
    there = await crm("GET", path)
    assert (there.json["schedule"]["name"], there.headers["ETag"]) == ("Other hours", changed.headers["ETag"])
    assert (await crm("PUT", association, headers={"If-Match": changed.headers["ETag"]})).status == 200
    own = f"{SCHEDULES}/event-calendar/{crm.world.booking_calendar_id}"
    seen = (await crm("POST", own, {"timezone": "Europe/Berlin"})).headers["ETag"]
    assert (await crm("PUT", own, {"timezone": "Europe/Paris"}, headers={"If-Match": seen})).status == 200
    assert (await crm("PUT", own, {"timezone": "Europe/Rome"}, headers={"If-Match": seen})).status == 412


async def test_a_calendar_s_own_schedule_is_made_once_for_each_key(crm):
    own = f"{SCHEDULES}/event-calendar/{crm.world.booking_calendar_id}"
    body, key = {"timezone": "Europe/Berlin"}, {"Idempotency-Key": "k1"}
    made = await crm("POST", own, body, headers=key)
    assert (await crm("PUT", own, {"timezone": "Europe/Paris"})).status == 200
    again = await crm("POST", own, body, headers=key)
    assert (again.status, again.json, again.headers["Idempotency-Replayed"]) == (201, made.json, "true")
    assert (await crm("GET", own)).json["schedule"]["timezone"] == "Europe/Paris"
    assert made.headers["Location"] == f"{SCHEDULES}/{made.json['schedule']['id']}"


async def test_a_schedule_without_calendars_holds_for_those_that_have_none(crm):
    calendar = crm.world.booking_calendar_id
    general = await crm("POST", SCHEDULES, schedule(("10:00", "11:00")))
    assert await starts(crm, calendar) == ["10:00", "10:30"]
    named = await crm("POST", SCHEDULES, schedule(("14:00", "15:00")))
    for method, expected in (("PUT", ["14:00", "14:30"]), ("DELETE", ["14:00", "14:30"])):
        path = f"{SCHEDULES}/{named.json['schedule']['id']}/associations/{calendar}"
        answer = await crm(method, path)
        assert answer.json["schedule"]["calendarIds"] == ([calendar] if method == "PUT" else [])
        assert await starts(crm, calendar) == expected, "the newest one that names none holds"
    await crm("DELETE", f"{SCHEDULES}/{named.json['schedule']['id']}")
    assert await starts(crm, calendar) == ["10:00", "10:30"]
    assert general.status == 201


async def test_a_calendar_has_a_schedule_of_its_own(crm):
    calendar = crm.world.booking_calendar_id
    path = f"{SCHEDULES}/event-calendar/{calendar}"
    assert (await crm("GET", path)).status == 404
    assert (await crm("PUT", path, {"timezone": "UTC"})).status == 404
    body = schedule(("09:00", "10:00"), timezone="UTC")
    made = await crm("POST", path, {"timezone": "UTC", "rules": body["rules"]})
    assert made.status == 201
    assert (await crm("GET", path)).json == made.json
    assert await starts(crm, calendar, timezone="UTC") == ["09:00", "09:30"]
    await crm("PUT", path, {"timezone": "Europe/Berlin"})
    assert await starts(crm, calendar) == ["09:00", "09:30"]
    await crm("POST", SCHEDULES, schedule(("14:00", "14:30"), calendarIds=[calendar]))
    assert await starts(crm, calendar) == ["14:00"], "the user's own comes first"


async def test_schedules_of_a_removed_calendar_hold_for_no_other(crm):
    general = crm.world.booking_calendar_id
    evenings = await crm("POST", "/v1/calendars/", {"locationId": "loc", "name": "Evenings", "userIds": ["ada"]})
    calendar = evenings.json["calendar"]["id"]
    await crm("POST", SCHEDULES, schedule(("18:00", "20:00"), calendarIds=[calendar]))
    both = await crm("POST", SCHEDULES, schedule(("09:00", "10:00"), calendarIds=[calendar, general]))
    own = f"{SCHEDULES}/event-calendar/{calendar}"
    await crm("POST", own, {"timezone": "UTC", "rules": schedule(("19:00", "20:00"))["rules"]})
    await crm("DELETE", f"/v1/calendars/{calendar}")
    left = (await crm("GET", f"{SCHEDULES}/search", params={"locationId": "loc"})).json["schedules"]
    assert left == [{**both.json["schedule"], "calendarIds": [general]}]
    await crm("DELETE", f"{SCHEDULES}/{both.json['schedule']['id']}")
    assert len(await starts(crm, general)) == 16, "office hours, not the evenings of the other calendar"


async def test_a_calendar_s_open_hours_of_old_are_obeyed(crm):
    body = {
        "locationId": "loc",
        "name": "Old",
        "userIds": ["ada"],
        "openHours": [{"daysOfTheWeek": [2], "hours": [{"openHour": 8, "closeHour": 9, "closeMinute": 30}]}],
    }
    calendar = (await crm("POST", "/v1/calendars/", body)).json["calendar"]["id"]
    assert await starts(crm, calendar) == ["08:00", "08:30", "09:00"]
    dates = [{"date": "2027-03-09T00:00:00.000Z", "hours": [{"openHour": 12, "closeHour": 13}]}]
    await crm("PUT", f"/v1/calendars/{calendar}", {"availabilities": dates})
    assert await starts(crm, calendar) == ["12:00", "12:30"]


async def test_all_that_is_wrong_with_a_schedule_is_said_at_once(crm):
    body = {
        "locationId": "loc",
        "timezone": "Mars/Base",
        "rules": [
            {"type": "wday", "day": "someday", "intervals": [{"from": "9", "to": "17:00"}]},
            {"type": "date", "date": "2027-02-30"},
            {"type": "wday", "day": "monday", "intervals": [{"from": "09:00", "to": "09:00"}]},
        ],
    }
    wrong = await crm("POST", SCHEDULES, body)
    assert wrong.status == 422
    assert {e["pointer"] for e in wrong.json["errors"]} == {
        "/userId",
        "/name",
        "/timezone",
        "/rules/0/day",
        "/rules/0/intervals/0/from",
        "/rules/1/date",
        "/rules/2/intervals/0/to",
    }


async def test_fields_that_nobody_knows_are_named(crm):
    body = {"userId": "ada", "name": "Hours", "timezone": "Europe/Berlin", "colour": "red"}
    made = await crm("POST", SCHEDULES, body)
    assert (made.status, made.headers["X-Ignored-Fields"]) == (201, "colour")
    one = f"{SCHEDULES}/{made.json['schedule']['id']}"
    assert (await crm("PUT", one, {"colour": "blue"})).headers["X-Ignored-Fields"] == "colour"
    assert "X-Ignored-Fields" not in (await crm("PUT", one, {"name": "Opening hours"})).headers


async def test_time_zones_that_highlevel_refuses_are_taken(crm):
    for zone in ("UTC", "America/Argentina/Buenos_Aires"):
        assert (await crm("POST", SCHEDULES, schedule(("09:00", "10:00"), timezone=zone))).status == 201


async def test_another_location_s_schedules_do_not_exist(crm):
    other_calendar = crm.add_user("bo", "elsewhere")
    foreign = crm.with_token(locations=("elsewhere",), scopes=SCOPES)
    made = await foreign("POST", SCHEDULES, schedule(("09:00", "10:00"), locationId="elsewhere", userId="bo"))
    path = f"{SCHEDULES}/{made.json['schedule']['id']}"
    for method in ("GET", "PUT", "DELETE"):
        assert (await crm(method, path, {} if method == "PUT" else None)).status == 404
    assert (await crm("POST", SCHEDULES, schedule(("09:00", "10:00"), userId="bo"))).status == 422
    assert (await crm("POST", SCHEDULES, schedule(("09:00", "10:00"), calendarIds=[other_calendar]))).status == 422
    mine = await crm("POST", SCHEDULES, schedule(("09:00", "10:00")))
    association = f"{SCHEDULES}/{mine.json['schedule']['id']}/associations/{other_calendar}"
    assert (await crm("PUT", association)).status == 404


async def test_bookings_keep_to_a_schedule_once_there_is_one(crm):
    evening = {"startTime": "2027-03-09T20:10:00+01:00", "endTime": "2027-03-09T20:55:00+01:00"}
    free = await crm.book(**evening)
    await crm("DELETE", f"/v1/calendars/events/{free['id']}")
    await crm("POST", SCHEDULES, schedule(("10:00", "12:00"), calendarIds=[crm.world.booking_calendar_id]))
    path = "/v1/calendars/events/appointments"

    async def refused(**times):
        answer = await crm("POST", path, crm.body(**times))
        assert answer.status == 409
        return answer.json["code"], answer.json["reason"]

    assert await refused(**evening) == ("outside_availability", "outside_hours")
    ten = "2027-03-09T10:00:00+01:00"
    assert await refused(startTime="2027-03-09T10:10:00+01:00", endTime="2027-03-09T10:40:00+01:00") == (
        "outside_availability",
        "off_grid",
    )
    assert await refused(startTime=ten, endTime="2027-03-09T10:45:00+01:00") == ("outside_availability", "bad_length")
    booked = await crm.book(startTime=ten, endTime=None)
    assert booked["endTime"] == "2027-03-09T10:30:00+01:00"
    moved = await crm("PUT", f"{path}/{booked['id']}", {"startTime": "2027-03-09T13:00:00+01:00"})
    assert moved.json["reason"] == "outside_hours"
    forced = await crm.book(**evening, ignoreFreeSlotValidation=True)
    assert forced["startTime"] == evening["startTime"]
