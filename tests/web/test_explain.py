"""Why a time is blocked, over HTTP."""

from __future__ import annotations

from tests.service.conftest import event

EXPLAIN = "/v1/explain"
AT = "2027-03-09T09:30:00+01:00"


async def dentist(api, **changes):
    text = event("dentist", start="20270309T090000", end="20270309T100000", **changes)
    api.world.server.edit(api.world.urls["Work"], "dentist.ics", text)
    await api.poll()


async def test_a_time_and_an_event(api):
    await dentist(api)
    answer = await api("GET", EXPLAIN, params={"userId": "ada", "at": AT})
    assert answer.status == 200
    assert (answer.json["blocked"], answer.json["at"]) == (True, "2027-03-09T08:30:00Z")
    (finding,) = answer.json["findings"]
    assert (finding["why"], finding["title"], finding["calendar"]) == ("blocks", "Busy", "Work")
    assert answer.json["notRead"] == ["Hobby"]
    for key in ({"uid": "dentist"}, {"id": finding["id"]}):
        answer = await api("GET", EXPLAIN, params=key)
        (thing,) = answer.json["events"]
        assert thing["nextTimes"] == [{"start": "2027-03-09T08:00:00Z", "end": "2027-03-09T09:00:00Z"}]
        assert thing["published"]["removed"] is False
    await dentist(api, extra="TRANSP:TRANSPARENT\r\n")
    answer = await api("GET", EXPLAIN, params={"userId": "ada", "at": AT})
    assert (answer.json["blocked"], answer.json["findings"][0]["rule"]) == (False, "TRANSP:TRANSPARENT")


async def test_an_appointment(api):
    booked = await api.book()
    await api.push()
    answer = await api("GET", EXPLAIN, params={"id": booked["id"]})
    (thing,) = answer.json["events"]
    assert thing["sync"]["state"] == "synced"
    assert [(push["state"], push["attempts"]) for push in thing["pushes"]] == [("done", 1)]


async def test_who_may_ask_and_what_is_missing(api):
    await dentist(api)
    assert (await api("GET", EXPLAIN)).json["code"] == "missing_scope_parameter"
    answer = await api("GET", EXPLAIN, params={"userId": "ada"})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/at")
    assert (await api("GET", EXPLAIN, params={"userId": "ada", "at": "soon"})).status == 422
    assert (await api("GET", EXPLAIN, params={"userId": "nobody", "at": AT})).status == 404
    assert (await api("GET", EXPLAIN, params={"uid": "never heard of"})).status == 404
    stranger = api.with_token(locations=("elsewhere",))
    assert (await stranger("GET", EXPLAIN, params={"userId": "ada", "at": AT})).status == 404
    assert (await stranger("GET", EXPLAIN, params={"uid": "dentist"})).status == 404
    limited = api.with_token(scopes=("calendars.readonly",))
    assert (await limited("GET", EXPLAIN, params={"uid": "dentist"})).status == 403


async def test_all_that_is_wrong_is_said_at_once(api):
    answer = await api("GET", EXPLAIN, params={"userId": "a" * 256, "at": "teatime"})
    assert answer.status == 422
    assert {error["pointer"] for error in answer.json["errors"]} == {"/userId", "/at"}
    answer = await api("GET", "/v1/openapi.json")
    parameters = answer.json["paths"][EXPLAIN]["get"]["parameters"]
    assert {p["name"]: p["schema"].get("maxLength") for p in parameters if "name" in p}["userId"] == 255
