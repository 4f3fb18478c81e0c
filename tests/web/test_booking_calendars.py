"""Booking calendars over HTTP: HighLevel's settings, kept, echoed and obeyed."""

import pytest

CALENDARS = "/v1/calendars/"
SCOPES = ("calendars.readonly", "calendars.write", "calendars/events.readonly", "calendars/events.write")


@pytest.fixture
async def crm(api):
    return api.with_token(scopes=SCOPES)


def settings(**changes):
    body = {
        "locationId": "loc",
        "name": "Intro calls",
        "teamMembers": [{"userId": "ada", "priority": 0.5, "meetingLocationType": "custom"}],
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


async def test_a_calendar_is_made_read_changed_listed_and_removed(crm):
    made = await crm("POST", CALENDARS, settings(slotDuration=1, slotDurationUnit="hours", appoinmentPerDay=3))
    assert made.status == 201
    calendar = made.json["calendar"]
    path = CALENDARS + calendar["id"]
    assert made.headers["Location"] == path
    assert (calendar["slotDuration"], calendar["slotDurationUnit"], calendar["userIds"]) == (1, "hours", ["ada"])
    assert (calendar["appointmentPerDay"], calendar["appoinmentPerDay"]) == (3, 3)
    assert calendar["teamMembers"] == [{"userId": "ada", "priority": 0.5, "meetingLocationType": "custom"}]
    assert (await crm("GET", path)).json == made.json

    changed = await crm("PUT", path, {"name": "Demos", "preBuffer": 10, "appoinmentPerDay": None})
    assert changed.json["calendar"]["name"] == "Demos"
    assert changed.json["calendar"]["preBuffer"] == 10
    assert "appointmentPerDay" not in changed.json["calendar"]
    assert changed.json["calendar"]["slotDuration"] == 1
    listed = await crm("GET", CALENDARS, params={"locationId": "loc"})
    assert {c["name"] for c in listed.json["calendars"]} == {"Ada", "Demos"}

    assert (await crm("DELETE", path)).json == {"success": True}
    assert (await crm("GET", path)).status == 404


async def test_what_a_calendar_answers_can_be_sent_back(crm):
    made = (await crm("POST", CALENDARS, settings(slotInterval=15, slotBuffer=5))).json["calendar"]
    again = await crm("PUT", CALENDARS + made["id"], made)
    assert again.status == 200
    assert again.json["calendar"] == made


async def test_only_what_was_seen_is_changed(crm):
    made = await crm("POST", CALENDARS, settings(slotInterval=15))
    path, seen = CALENDARS + made.json["calendar"]["id"], made.headers["ETag"]
    same = await crm("GET", path, headers={"If-None-Match": seen})
    assert (same.status, same.headers["ETag"]) == (304, seen)
    crm.world.later(1)
    changed = await crm("PUT", path, {"slotInterval": 30}, headers={"If-Match": f"W/{seen}"})
    assert changed.status == 200
    assert changed.headers["ETag"] == (await crm("GET", path)).headers["ETag"] != seen
    for method, body in (("PUT", {"slotInterval": 60}), ("DELETE", None)):
        late = await crm(method, path, body, headers={"If-Match": seen})
        assert (late.status, late.json["code"]) == (412, "version_mismatch"), method
    assert (await crm("GET", path)).json["calendar"]["slotInterval"] == 30
    assert (await crm("GET", path, headers={"If-None-Match": seen})).status == 200
    assert (await crm("PUT", path, {"slotInterval": 60}, headers={"If-Match": "*"})).status == 200
    assert (await crm("DELETE", path)).status == 200, "unless the settings demand it"


async def test_settings_that_mean_nothing_here_are_kept_and_echoed(crm):
    made = await crm("POST", CALENDARS, settings(eventColor="#039be5", slug="intro", lookBusyConfig={"enabled": False}))
    calendar = made.json["calendar"]
    assert (calendar["eventColor"], calendar["slug"], calendar["lookBusyConfig"]) == (
        "#039be5",
        "intro",
        {"enabled": False},
    )


async def test_all_that_is_wrong_with_a_calendar_is_said_at_once(crm):
    wrong = await crm(
        "POST",
        CALENDARS,
        {"locationId": "loc", "slotDuration": 0, "slotIntervalUnit": "days", "allowBookingForUnit": "mins"},
    )
    assert wrong.status == 422
    assert {e["pointer"] for e in wrong.json["errors"]} == {
        "/name",
        "/slotDuration",
        "/slotIntervalUnit",
        "/allowBookingForUnit",
    }
    stranger = await crm("POST", CALENDARS, settings(teamMembers=[{"userId": "nobody"}]))
    assert stranger.json["errors"][0]["pointer"] == "/teamMembers"
    too_long = await crm("POST", CALENDARS, settings(slotDuration=25, slotDurationUnit="hours"))
    assert too_long.json["errors"][0]["pointer"] == "/slotDuration"


async def test_another_location_s_calendar_does_not_exist(crm):
    other = crm.add_user("bo", "elsewhere")
    for method, path in (("GET", other), ("PUT", other), ("DELETE", other), ("GET", f"{other}/free-slots?startDate=1")):
        answer = await crm(method, CALENDARS + path, {} if method == "PUT" else None)
        assert answer.status in {404, 422}
    stranger = await crm("POST", CALENDARS, settings(teamMembers=[{"userId": "bo"}]))
    assert stranger.status == 422


@pytest.mark.parametrize("word", ["events", "blocked-slots", "schedules", "groups", "appointments"])
async def test_words_of_the_api_are_no_calendar_ids(crm, word):
    assert (await crm("PUT", CALENDARS + word, {"name": "x"})).status in {404, 405}
    assert (await crm("DELETE", CALENDARS + word)).status in {404, 405}


async def test_scopes_are_asked_for(api):
    reader = api.with_token(scopes=("calendars.readonly",))
    assert (await reader("GET", CALENDARS)).status == 200
    assert (await reader("POST", CALENDARS, settings())).json["code"] == "insufficient_scope"
    assert (await api("GET", CALENDARS)).json["code"] == "insufficient_scope"


async def test_a_request_repeated_with_its_key_makes_one_calendar(crm):
    first = await crm("POST", CALENDARS, settings(), headers={"Idempotency-Key": "one"})
    again = await crm("POST", CALENDARS, settings(), headers={"Idempotency-Key": "one"})
    assert first.json == again.json
    assert len((await crm("GET", CALENDARS)).json["calendars"]) == 2


async def test_what_was_booked_with_a_calendar_outlives_it(crm):
    calendar = (await crm("POST", CALENDARS, settings())).json["calendar"]["id"]
    booked = await crm.book(calendarId=calendar)
    await crm("DELETE", CALENDARS + calendar)
    path = f"/v1/calendars/events/appointments/{booked['id']}"
    assert (await crm("PUT", path, {"title": "Still there"})).json["title"] == "Still there"
    moved = await crm("PUT", path, {"startTime": "2027-03-09T11:00:00+01:00"})
    assert moved.status == 200
