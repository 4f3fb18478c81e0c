"""Free slots, availability and free-busy over HTTP, and bookings that keep to them."""

import asyncio
import contextlib
import threading
from dataclasses import replace

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from bridge.errors import RemoteError, Unreachable
from bridge.remote.memory import failing
from bridge.service import availability, book, connections, users
from bridge.service import booking_calendars as calendar_service
from bridge.web.app import make_web_app
from tests.service.conftest import NOW, event

APPOINTMENTS = "/v1/calendars/events/appointments"
CALENDARS = "/v1/calendars/"
SCOPES = ("calendars.readonly", "calendars.write", "calendars/events.readonly", "calendars/events.write")
#: Monday the 8th of March 2027 until the end of the Wednesday, in Berlin.
DAYS = {"startDate": "1804460400000", "endDate": "1804719599999"}
TUESDAY = {"start": "2027-03-09T00:00:00+01:00", "end": "2027-03-10T00:00:00+01:00"}
BUSY_ON_TUESDAY = {"timeMin": TUESDAY["start"], "timeMax": TUESDAY["end"], "items": [{"id": "ada"}]}
LISTED_ON_TUESDAY = {"userId": "ada", "startTime": TUESDAY["start"], "endTime": TUESDAY["end"]}


@pytest.fixture
async def crm(api):
    return api.with_token(scopes=SCOPES)


async def slots(crm, calendar_id=None, **query):
    path = f"{CALENDARS}{calendar_id or crm.world.booking_calendar_id}/free-slots"
    return await crm("GET", path, params={**DAYS, **query})


async def make(crm, **settings):
    body = {"locationId": "loc", "name": "Calls", "userIds": ["ada"], **settings}
    answer = await crm("POST", CALENDARS, body)
    assert answer.status == 201, answer.json
    return answer.json["calendar"]["id"]


def tuesday_of(crm):
    return {"calendarIds": [crm.world.booking_calendar_id], "periods": [TUESDAY]}


async def refusal(crm, **changes):
    answer = await crm("POST", APPOINTMENTS, crm.body(**changes))
    assert answer.status == 409, answer.json
    return answer.json["code"]


# --- Free slots ------------------------------------------------------------------------------------------------------


async def test_free_slots_are_highlevel_s_map_of_days(crm):
    crm.world.server.edit(crm.world.urls["Work"], "a.ics", event("a", start="20270309T100000", end="20270309T113000"))
    await crm.poll()
    answer = await slots(crm)
    assert list(answer.json) == ["2027-03-08", "2027-03-09", "2027-03-10"]
    assert all(list(day) == ["slots"] for day in answer.json.values())
    assert answer.json["2027-03-08"]["slots"][0] == "2027-03-08T09:00:00+01:00", "it is nine now"
    assert answer.json["2027-03-09"]["slots"][:3] == [
        "2027-03-09T09:00:00+01:00",
        "2027-03-09T09:30:00+01:00",
        "2027-03-09T11:30:00+01:00",
    ]
    assert answer.headers["X-Data-As-Of"] == "2027-03-08T08:00:00Z"


async def test_free_slots_in_another_zone_as_ranges_and_of_another_length(crm):
    answer = await slots(crm, timezone="America/New_York", slotFormat="range", duration="60")
    assert answer.json["2027-03-08"]["slots"][0] == {
        "start": "2027-03-08T03:00:00-05:00",
        "end": "2027-03-08T04:00:00-05:00",
    }
    assert answer.json["2027-03-07"] == {"slots": []}
    assert (await slots(crm, duration="45")).json["errors"][0]["pointer"] == "/duration"


async def test_every_slot_that_is_offered_can_be_booked(crm):
    crm.world.server.edit(crm.world.urls["Home"], "a.ics", event("a", start="20270309T101000", end="20270309T104000"))
    await crm.poll()
    calendar = await make(
        crm, slotDuration=60, slotInterval=20, preBuffer=10, slotBuffer=5, allowBookingAfter=3, appointmentPerDay=4
    )
    booked = 0
    while offered := [s for day in (await slots(crm, calendar)).json.values() for s in day["slots"]]:
        await crm.book(calendarId=calendar, startTime=offered[booked % len(offered)], endTime=None)
        booked += 1
    assert booked >= 9


async def test_what_is_wrong_with_a_question_is_said(crm):
    path = f"{CALENDARS}{crm.world.booking_calendar_id}/free-slots"
    wrong = await crm("GET", path, params={"timezone": "Mars/Base", "slotFormat": "x"})
    assert {e["pointer"] for e in wrong.json["errors"]} == {"/startDate", "/endDate", "/timezone", "/slotFormat"}
    long = await crm("GET", path, params={"startDate": "1804460400000", "endDate": "1807398000000"})
    assert (long.status, long.json["code"]) == (400, "range_too_large")
    assert (await slots(crm, userId="bo")).status == 404
    assert (await slots(crm, "cal_none")).status == 404


async def test_calendars_that_were_not_read_lately_are_not_offered_as_free(crm):
    crm.world.later(1000)
    answer = await slots(crm)
    assert (answer.status, answer.json["code"], answer.json["userIds"]) == (503, "calendar_stale", ["ada"])
    assert int(answer.headers["Retry-After"]) > 0
    anyway = await slots(crm, allowStale="true")
    assert (anyway.status, anyway.headers["X-Data-As-Of"]) == (200, "2027-03-08T08:00:00Z")
    await crm.poll()
    assert (await slots(crm)).status == 200


async def test_of_several_users_those_who_are_not_known_well_are_left_out(crm):
    crm.add_user("bo")
    crm.world.later(1000)
    calendar = await make(crm, userIds=["ada", "bo"])
    found = await crm("POST", "/v1/availability", {"calendarIds": [calendar], "periods": [TUESDAY]})
    assert {u for s in found.json["slots"] for u in s["userIds"]} == {"bo"}
    assert {s["status"] for s in found.json["sources"]} == {"stale"}
    both = await crm("POST", "/v1/availability", {"participants": [{"userIds": ["ada", "bo"]}], "periods": [TUESDAY]})
    assert both.json["code"] == "calendar_stale"


# --- Availability ----------------------------------------------------------------------------------------------------


async def ask(crm, **body):
    answer = await crm("POST", "/v1/availability", {"periods": [TUESDAY], **body})
    assert answer.status == 200, answer.json
    return answer.json


def times(slots_):
    return [f"{s['start'][11:16]}-{s['end'][11:16]}" for s in slots_]


async def busy_ada_and_bo(crm):
    crm.add_user("bo")
    await crm.block(startTime="2027-03-09T10:00:00+01:00", endTime="2027-03-09T11:00:00+01:00")
    await crm.block(assignedUserId="bo", startTime="2027-03-09T11:00:00+01:00", endTime="2027-03-09T12:00:00+01:00")


async def test_all_of_several_any_of_them_and_who(crm):
    await busy_ada_and_bo(crm)
    period = {"start": "2027-03-09T09:00:00+01:00", "end": "2027-03-09T13:00:00+01:00"}
    together = await ask(
        crm, participants=[{"userIds": ["ada", "bo"], "required": "all"}], periods=[period], durationMinutes=60
    )
    assert times(together["slots"]) == ["09:00-10:00", "12:00-13:00"]
    anyone = await ask(
        crm, participants=[{"userIds": ["ada", "bo"], "required": 1}], periods=[period], durationMinutes=60
    )
    assert [s["userIds"] for s in anyone["slots"]] == [["ada", "bo"], ["bo"], ["ada"], ["ada", "bo"]]
    spans = await ask(crm, participants=[{"userIds": ["ada", "bo"]}], periods=[period], format="periods")
    assert times(spans["periods"]) == ["09:00-10:00", "12:00-13:00"]
    assert together["truncated"] is False
    assert [s["calendar"] for s in together["sources"]] == ["Home", "Work"]


async def test_slots_in_a_row_or_overlapping(crm):
    period = {"start": "2027-03-09T09:00:00+01:00", "end": "2027-03-09T10:30:00+01:00"}
    question = {
        "participants": [{"userIds": ["ada"]}],
        "durationMinutes": 60,
        "intervalMinutes": 15,
        "periods": [period],
    }
    assert times((await ask(crm, **question))["slots"]) == ["09:00-10:00"]
    assert times((await ask(crm, **question, format="overlapping_slots"))["slots"]) == [
        "09:00-10:00",
        "09:15-10:15",
        "09:30-10:30",
    ]
    short = await ask(crm, **question, format="overlapping_slots", maxResults=2)
    assert (len(short["slots"]), short["truncated"]) == (2, True)


async def test_buffers_notice_and_horizon_of_a_question(crm):
    await crm.block(startTime="2027-03-09T10:00:00+01:00", endTime="2027-03-09T11:00:00+01:00")
    week = {"start": "2027-03-08T00:00:00+01:00", "end": "2027-03-13T00:00:00+01:00"}
    found = await ask(
        crm,
        calendarIds=[crm.world.booking_calendar_id],
        periods=[week],
        buffer={"beforeMinutes": 30, "afterMinutes": 60},
        minNoticeMinutes=24 * 60,
        maxHorizonDays=2,
    )
    assert found["slots"][0]["start"] == "2027-03-09T11:30:00+01:00"
    assert found["slots"][-1]["start"] == "2027-03-10T09:00:00+01:00"
    assert {s["calendarId"] for s in found["slots"]} == {crm.world.booking_calendar_id}


async def test_all_that_is_wrong_with_a_question_is_said_at_once(crm):
    wrong = await crm(
        "POST",
        "/v1/availability",
        {
            "periods": [{"start": "2027-03-09T10:00:00+01:00", "end": "2027-03-09T09:00:00+01:00"}],
            "durationMinutes": 0,
            "format": "pictures",
            "tentativeAsBusy": False,
            "color": "red",
        },
    )
    assert wrong.status == 422
    assert {e["pointer"] for e in wrong.json["errors"]} == {
        "/calendarIds",
        "/periods/0/end",
        "/durationMinutes",
        "/format",
        "/tentativeAsBusy",
        "/color",
    }
    year = {"start": "2027-01-01T00:00:00Z", "end": "2028-01-01T00:00:00Z"}
    long = await crm("POST", "/v1/availability", {"calendarIds": ["x"], "periods": [year]})
    assert long.json["code"] == "range_too_large"
    off_grid = await crm(
        "POST",
        "/v1/availability",
        {"calendarIds": [crm.world.booking_calendar_id], "periods": [TUESDAY], "intervalMinutes": 20},
    )
    assert off_grid.json["errors"][0]["pointer"] == "/intervalMinutes"


async def test_a_question_about_very_many_is_refused_with_the_number_that_will_do(crm):
    quarter = {"start": "2027-03-09T00:00:00Z", "end": "2027-06-09T00:00:00Z"}
    users = [f"user{number}" for number in range(109)]
    groups = [{"userIds": users[:50]}, {"userIds": users[50:100]}, {"userIds": users[100:]}]
    answer = await crm("POST", "/v1/availability", {"participants": groups, "periods": [quarter]})
    assert (answer.status, answer.json["code"]) == (400, "range_too_large")
    assert "10,028" in answer.json["detail"]
    assert "10,000 at most" in answer.json["detail"]
    fewer = await crm("POST", "/v1/availability", {"participants": [{"userIds": ["ada"] * 50}], "periods": [quarter]})
    assert fewer.status == 200, "somebody named twice is asked about once"


async def test_free_busy_about_very_many_is_refused_with_the_number_that_will_do(crm):
    for number in range(27):
        crm.add_user(f"user{number}")
    items = [{"id": "ada"}, *({"id": f"user{number}"} for number in range(27)), {"id": "nobody"}]
    year = {"timeMin": "2027-03-09T00:00:00Z", "timeMax": "2028-03-09T00:00:00Z"}
    answer = await crm("POST", "/v1/freebusy", {**year, "items": items})
    assert (answer.status, answer.json["code"]) == (400, "range_too_large")
    assert "10,248" in answer.json["detail"]
    assert (await crm("POST", "/v1/freebusy", {**year, "items": items[1:]})).status == 200


@pytest.mark.parametrize(
    ("module", "name", "ask"),
    [
        (availability, "free_slots", slots),
        (availability, "availability", lambda crm: crm("POST", "/v1/availability", tuesday_of(crm))),
        (availability, "free_busy", lambda crm: crm("POST", "/v1/freebusy", BUSY_ON_TUESDAY)),
        (book, "list_appointments", lambda crm: crm("GET", "/v1/calendars/events", params=LISTED_ON_TUESDAY)),
        (book, "list_blocked_slots", lambda crm: crm("GET", "/v1/calendars/blocked-slots", params=LISTED_ON_TUESDAY)),
        (calendar_service, "list_calendars", lambda crm: crm("GET", CALENDARS)),
        (connections, "list_connections", lambda crm: crm("GET", "/v1/connections")),
        (users, "list_users", lambda crm: crm.with_token(scopes=("admin",))("GET", "/v1/users")),
    ],
)
async def test_no_question_holds_up_a_booking(crm, monkeypatch, module, name, ask):
    """However long it takes to work one out."""
    begun, booked = asyncio.Event(), threading.Event()
    loop, use_case = asyncio.get_running_loop(), getattr(module, name)

    def held(*args, **rest):
        loop.call_soon_threadsafe(begun.set)
        assert booked.wait(30), "the booking is not answered meanwhile"
        return use_case(*args, **rest)

    monkeypatch.setattr(module, name, held)
    asked = asyncio.create_task(ask(crm))
    await asyncio.wait_for(begun.wait(), 30)
    await crm.book()
    booked.set()
    assert (await asked).status == 200


async def test_a_server_that_stops_does_not_wait_for_a_long_answer(crm, monkeypatch):
    begun, stopped, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def held(*args, **rest):
        loop.call_soon_threadsafe(begun.set)
        stopped.wait(30)
        ended.set()

    monkeypatch.setattr(availability, "free_slots", held)
    server = TestServer(make_web_app(crm.world.context))
    await server.start_server(shutdown_timeout=0.01)
    async with aiohttp.ClientSession(server.make_url("/")) as session:
        asked = asyncio.create_task(slots(replace(crm, client=session)))
        await asyncio.wait_for(begun.wait(), 30)
        await server.close()
        assert not ended.is_set()
        stopped.set()
        with pytest.raises(aiohttp.ClientError):
            await asked


# --- Free-busy -------------------------------------------------------------------------------------------------------


async def test_free_busy_is_google_s_shape_without_titles(crm):
    await busy_ada_and_bo(crm)
    calendar = await make(crm, userIds=["ada", "bo"], calendarType="collective")
    body = {"timeMin": TUESDAY["start"], "timeMax": TUESDAY["end"], "timeZone": "Europe/Berlin"}
    answer = await crm("POST", "/v1/freebusy", {**body, "items": [{"id": "ada"}, {"id": calendar}, {"id": "nobody"}]})
    assert answer.json["calendars"] == {
        "ada": {"busy": [{"start": "2027-03-09T10:00:00+01:00", "end": "2027-03-09T11:00:00+01:00"}]},
        calendar: {"busy": [{"start": "2027-03-09T10:00:00+01:00", "end": "2027-03-09T12:00:00+01:00"}]},
        "nobody": {"busy": [], "errors": [{"domain": "bridge", "reason": "notFound"}]},
    }


async def test_free_busy_takes_what_google_s_programs_send(crm):
    asked = {"timeMin": "2027-03-09T00:00:00Z", "timeMax": "2027-03-10T00:00:00Z", "items": [{"id": "ada"}]}
    answer = await crm("POST", "/v1/freebusy", {**asked, "groupExpansionMax": 10, "calendarExpansionMax": 5})
    assert answer.status == 200
    assert answer.headers["X-Ignored-Fields"] == "calendarExpansionMax, groupExpansionMax"


async def test_free_busy_never_takes_what_is_not_known_for_free(crm):
    crm.add_user("bo")
    crm.world.later(1000)
    body = {"timeMin": TUESDAY["start"], "timeMax": TUESDAY["end"], "items": [{"id": "ada"}, {"id": "bo"}]}
    answer = (await crm("POST", "/v1/freebusy", body)).json["calendars"]
    assert answer["ada"]["errors"][0]["reason"] == "stale"
    assert answer["ada"]["busy"] == [{"start": "2027-03-08T23:00:00+00:00", "end": "2027-03-09T23:00:00+00:00"}]
    assert answer["bo"] == {"busy": []}
    assert (await crm("POST", "/v1/freebusy", {**body, "allowStale": True})).json["calendars"]["ada"] == {"busy": []}


# --- Bookings keep to the rules --------------------------------------------------------------------------------------


async def test_a_new_calendar_is_booked_in_its_slots_only(crm):
    calendar = await make(
        crm, allowBookingAfter=1, allowBookingAfterUnit="days", allowBookingFor=1, allowBookingForUnit="weeks"
    )
    night = {"startTime": "2027-03-09T22:00:00+01:00", "endTime": "2027-03-09T22:30:00+01:00"}
    soon = {"startTime": "2027-03-08T15:00:00+01:00", "endTime": "2027-03-08T15:30:00+01:00"}
    late = {"startTime": "2027-03-16T10:00:00+01:00", "endTime": "2027-03-16T10:30:00+01:00"}
    assert await refusal(crm, calendarId=calendar, **night) == "outside_availability"
    assert await refusal(crm, calendarId=calendar, **soon) == "min_notice"
    assert await refusal(crm, calendarId=calendar, **late) == "max_horizon"
    for times_ in (soon, late):
        assert (await crm.book(calendarId=calendar, ignoreDateRange=True, **times_))["id"]
    assert await refusal(crm, calendarId=calendar, ignoreDateRange=True, **night) == "outside_availability"
    assert (await crm.book(calendarId=calendar, ignoreFreeSlotValidation=True, **night))["id"]


async def test_a_calendar_can_be_left_open_to_any_free_time(crm):
    calendar = await make(crm, anyFreeTime=True)
    night = {"startTime": "2027-03-09T22:10:00+01:00", "endTime": "2027-03-09T22:55:00+01:00"}
    assert (await crm.book(calendarId=calendar, **night))["id"]
    assert await refusal(crm, calendarId=calendar, **night) == "slot_unavailable"
    offered = (await slots(crm, calendar)).json["2027-03-09"]["slots"]
    assert offered[0][11:16] == "09:00", "it offers office hours all the same"


async def test_a_calendar_that_does_not_confirm_books_tentatively(crm):
    calendar = await make(crm, autoConfirm=False)
    made = await crm.book(calendarId=calendar)
    assert made["appointmentStatus"] == "new"
    assert (await refusal(crm)) == "slot_unavailable", "its time is taken all the same"


async def test_buffers_are_kept_by_bookings_of_other_calendars_too(crm):
    buffered = await make(crm, slotBuffer=30)
    await crm.book(calendarId=buffered)
    answer = await crm("POST", APPOINTMENTS, crm.body(startTime="2027-03-09T10:30:00+01:00", endTime=None))
    assert (answer.status, answer.json["code"]) == (409, "slot_unavailable")
    assert answer.json["conflicts"][0]["kind"] == "appointment"
    assert (await crm.book(startTime="2027-03-09T11:00:00+01:00", endTime=None))["id"]


async def test_a_class_takes_as_many_as_its_slot_has_room_for(crm):
    calendar = await make(crm, calendarType="class_booking", appoinmentPerSlot=2)
    for _ in range(2):
        assert "2027-03-09T10:00:00+01:00" in (await slots(crm, calendar)).json["2027-03-09"]["slots"]
        await crm.book(calendarId=calendar)
    assert await refusal(crm, calendarId=calendar) == "slot_unavailable"
    assert "2027-03-09T10:00:00+01:00" not in (await slots(crm, calendar)).json["2027-03-09"]["slots"]
    assert await refusal(crm) == "slot_unavailable", "not so for another calendar of the user's"


async def test_a_day_takes_as_many_as_the_calendar_allows(crm):
    calendar = await make(crm, appoinmentPerDay=1)
    made = await crm.book(calendarId=calendar)
    afternoon = {"startTime": "2027-03-09T15:00:00+01:00", "endTime": "2027-03-09T15:30:00+01:00"}
    assert await refusal(crm, calendarId=calendar, **afternoon) == "outside_availability"
    moved = await crm("PUT", f"{APPOINTMENTS}/{made['id']}", afternoon)
    assert moved.status == 200, "it is the day's one appointment itself"
    await crm("DELETE", f"/v1/calendars/events/{made['id']}")
    assert (await crm.book(calendarId=calendar))["id"]


async def test_bookings_are_shared_out_among_those_who_are_free(crm):
    for name in ("bo", "cy"):
        await connected(crm, name)
    calendar = await make(crm, userIds=["ada", "bo", "cy"])
    ten = [(await crm.book(calendarId=calendar))["assignedUserId"] for _ in range(3)]
    assert ten == ["ada", "bo", "cy"], "each is free until they are booked"
    assert await refusal(crm, calendarId=calendar) == "slot_unavailable"
    eleven = {"startTime": "2027-03-09T11:00:00+01:00", "endTime": "2027-03-09T11:30:00+01:00"}
    await crm("POST", APPOINTMENTS, crm.body(calendarId=calendar, assignedUserId="ada", **eleven))
    noon = {"startTime": "2027-03-09T12:00:00+01:00", "endTime": "2027-03-09T12:30:00+01:00"}
    assert (await crm.book(calendarId=calendar, **noon))["assignedUserId"] == "bo", "who was booked least"


async def connected(crm, name):
    """Another User with calendars of their own on the same server."""
    from bridge.service import connect, roles

    crm.add_user(name)
    world = crm.world
    urls = [world.server.add_calendar(f"{name} home")]
    await connect.connect(world.context, name, "icloud", world.server.username, world.server.password)
    ids = {c.url: c.id for c in roles.list_calendars(world.db, name)}
    await roles.choose(world.context, name, primary=ids[urls[0]])


async def test_a_collective_calendar_takes_everybody_s_time(crm):
    await connected(crm, "bo")
    calendar = await make(crm, userIds=["ada", "bo"], calendarType="collective")
    made = await crm.book(calendarId=calendar)
    assert (made["assignedUserId"], made["users"]) == ("ada", ["bo"])
    own = {"calendarId": crm.world.booking_calendar_id}
    assert await refusal(crm, **own) == "slot_unavailable"
    body = {"timeMin": TUESDAY["start"], "timeMax": TUESDAY["end"], "items": [{"id": "bo"}]}
    assert len((await crm("POST", "/v1/freebusy", body)).json["calendars"]["bo"]["busy"]) == 1

    moved = {"startTime": "2027-03-09T14:00:00+01:00", "endTime": "2027-03-09T14:30:00+01:00"}
    assert (await crm("PUT", f"{APPOINTMENTS}/{made['id']}", moved)).status == 200
    busy = (await crm("POST", "/v1/freebusy", body)).json["calendars"]["bo"]["busy"]
    assert [b["start"] for b in busy] == ["2027-03-09T13:00:00+00:00"]

    await crm.push()
    ((href, text),) = [(h, t) for h, t in crm.world.server.texts(crm.world.urls["Home"]).items()]
    crm.world.server.edit(
        crm.world.urls["Home"],
        href.rpartition("/")[2],
        text.replace("T140000", "T160000").replace("T143000", "T163000"),
    )
    await crm.poll()
    busy = (await crm("POST", "/v1/freebusy", body)).json["calendars"]["bo"]["busy"]
    assert [b["start"] for b in busy] == ["2027-03-09T15:00:00+00:00"], "it moves with the event in iCloud"

    await crm("DELETE", f"/v1/calendars/events/{made['id']}")
    assert (await crm("POST", "/v1/freebusy", body)).json["calendars"]["bo"]["busy"] == []


async def test_who_is_removed_blocks_nobody_any_longer(crm):
    from bridge.service import users

    await connected(crm, "bo")
    calendar = await make(crm, userIds=["ada", "bo"], calendarType="collective")
    await crm.book(calendarId=calendar)
    users.remove_user(crm.world.db, "ada", now=crm.world.now())
    body = {"timeMin": TUESDAY["start"], "timeMax": TUESDAY["end"], "items": [{"id": "bo"}]}
    assert (await crm("POST", "/v1/freebusy", body)).json["calendars"]["bo"]["busy"] == []


async def test_a_collective_calendar_needs_everybody(crm):
    await connected(crm, "bo")
    calendar = await make(crm, userIds=["ada", "bo"], calendarType="collective")
    await crm.block(assignedUserId="bo", startTime="2027-03-09T10:00:00+01:00", endTime="2027-03-09T11:00:00+01:00")
    assert "2027-03-09T10:00:00+01:00" not in (await slots(crm, calendar)).json["2027-03-09"]["slots"]
    assert await refusal(crm, calendarId=calendar) == "slot_unavailable"
    assert await refusal(crm, calendarId=calendar, assignedUserId="ada") == "slot_unavailable"


# --- Fresh before booking --------------------------------------------------------------------------------------------


async def test_an_event_made_on_the_phone_a_moment_ago_is_seen(crm):
    await crm.poll()
    crm.world.server.edit(crm.world.urls["Work"], "a.ics", event("a", start="20270309T100000", end="20270309T103000"))
    crm.world.later(20)
    answer = await crm("POST", APPOINTMENTS, crm.body())
    assert (answer.status, answer.json["code"]) == (409, "slot_unavailable")
    assert answer.json["conflicts"][0]["kind"] == "icloud_event"
    crm.world.later(20)
    later = await crm.book(startTime="2027-03-09T11:00:00+01:00", endTime="2027-03-09T11:30:00+01:00")
    crm.world.server.edit(crm.world.urls["Work"], "b.ics", event("b", start="20270309T140000", end="20270309T150000"))
    crm.world.later(20)
    moved = {"startTime": "2027-03-09T14:00:00+01:00", "endTime": "2027-03-09T14:30:00+01:00"}
    assert (await crm("PUT", f"{APPOINTMENTS}/{later['id']}", moved)).status == 409


async def test_calendars_that_were_just_read_are_not_asked_again(crm):
    await crm.poll()
    crm.world.server.requests.clear()
    await crm.book()
    assert crm.world.server.requests == []


async def test_bookings_at_once_share_one_look(crm):
    crm.world.later(20)
    crm.world.server.requests.clear()
    bodies = [crm.body(startTime=f"2027-03-09T1{n}:00:00+01:00", endTime=None) for n in range(5)]
    answers = await asyncio.gather(*(crm("POST", APPOINTMENTS, body) for body in bodies))
    assert [a.status for a in answers] == [201] * 5
    assert crm.world.server.requests.count("PROPFIND") == 1


async def test_a_booking_is_refused_while_icloud_cannot_be_asked(crm):
    crm.world.later(20)
    crm.world.server.on_call = failing("PROPFIND", Unreachable("https://memory.example/"), times=100)
    answer = await crm("POST", APPOINTMENTS, crm.body())
    assert (answer.status, answer.json["code"]) == (503, "calendar_stale")
    assert int(answer.headers["Retry-After"]) > 0
    forced = await crm.book(ignoreFreeSlotValidation=True)
    assert forced["id"], "who wants no check needs no look"
    crm.world.server.on_call = lambda _: None
    assert (await crm.book(startTime="2027-03-09T11:00:00+01:00", endTime=None))["id"]


async def test_where_a_new_password_is_needed_that_is_what_is_said(crm):
    crm.world.server.password = "changed"
    crm.world.later(1200)
    for _ in range(3):
        with contextlib.suppress(RemoteError):
            await crm.poll()
    for answer in (await crm("POST", APPOINTMENTS, crm.body()), await slots(crm)):
        assert (answer.status, answer.json["code"], answer.json["userIds"]) == (503, "icloud_auth_failed", ["ada"])


async def test_a_repeated_request_is_answered_though_icloud_cannot_be_asked(crm):
    key = {"Idempotency-Key": "one"}
    first = await crm("POST", APPOINTMENTS, crm.body(), headers=key)
    crm.world.later(20)
    crm.world.server.on_call = failing("PROPFIND", Unreachable("https://memory.example/"), times=100)
    again = await crm("POST", APPOINTMENTS, crm.body(), headers=key)
    assert (again.status, again.json) == (201, first.json)


async def test_by_setting_a_booking_goes_by_what_was_last_known_and_says_so(tmp_path, aiohttp_client):
    from bridge.remote.memory import MemoryServer
    from bridge.web.app import make_web_app
    from tests.service.conftest import make_world

    from .conftest import Api

    world = await make_world(tmp_path / "bridge.db", MemoryServer())
    lenient = replace(world.context.freshness, last_known_will_do=True)
    world.context = replace(world.context, freshness=lenient)
    client = await aiohttp_client(make_web_app(world.context))
    crm = Api(client, world, "", asyncio.Event()).with_token()
    world.later(20)
    world.server.on_call = failing("PROPFIND", Unreachable("https://memory.example/"), times=100)
    answer = await crm("POST", APPOINTMENTS, crm.body())
    assert answer.status == 201
    assert [w["code"] for w in answer.json["warnings"]] == ["calendar_stale"]
    assert answer.headers["X-Data-As-Of"] == "2027-03-08T08:00:00Z"
    world.db.close()


async def test_a_look_that_takes_too_long_is_not_waited_for(crm):
    object.__setattr__(crm.world.context, "freshness", replace(crm.world.context.freshness, patience=0.01))
    released = asyncio.Event()
    remote = crm.world.context.remotes
    ordinary = type(remote).for_account

    class Slow:
        def __init__(self, inner):
            self._inner = inner

        def __getattr__(self, name):
            return getattr(self._inner, name)

        async def calendars(self, home_url):
            await released.wait()
            return await self._inner.calendars(home_url)

    remote.for_account = lambda account: Slow(ordinary(remote, account))
    crm.world.later(20)
    answer = await crm("POST", APPOINTMENTS, crm.body())
    assert answer.status == 503
    released.set()
    await asyncio.gather(*crm.world.context.polls.values())
    assert (await crm("POST", APPOINTMENTS, crm.body())).status == 201, "the look went on meanwhile"


# --- Races -----------------------------------------------------------------------------------------------------------


async def test_of_many_requests_for_one_slot_one_is_accepted(crm):
    calendar = await make(crm)
    answers = await asyncio.gather(*(crm("POST", APPOINTMENTS, crm.body(calendarId=calendar)) for _ in range(12)))
    assert sorted(a.status for a in answers) == [201, *[409] * 11]
    assert {a.json["code"] for a in answers if a.status == 409} == {"slot_unavailable"}


def test_now_is_monday_morning():
    assert NOW == 1_804_492_800
