"""Notes on appointments: the CRM's own, as HighLevel has them. They never leave the bridge."""

from __future__ import annotations

import pytest

from bridge.service import users

from .conftest import APPOINTMENTS, EVENTS, WEEK


def notes_of(event_id):
    return f"/v1/calendars/appointments/{event_id}/notes"


async def note(api, event_id, body="Wants a discount", **rest):
    answer = await api("POST", notes_of(event_id), {"body": body, **rest})
    assert answer.status == 201, answer.json
    return answer.json["note"]


async def bodies(api, event_id, **query):
    answer = await api("GET", notes_of(event_id), params=query)
    assert answer.status == 200, answer.json
    return [one["body"] for one in answer.json["notes"]], answer.json["hasMore"]


async def test_a_note_is_added_read_changed_listed_and_removed(api):
    booked = await api.book(contactId="c1")
    made = await api("POST", notes_of(booked["id"]), {"body": "Wants a\r\ndiscount", "userId": "staff-7"})
    found = made.json["note"]
    assert made.headers["Location"] == f"{notes_of(booked['id'])}/{found['id']}"
    assert (found["body"], found["userId"], found["contactId"]) == ("Wants a\ndiscount", "staff-7", "c1")
    assert (found["createdBy"], found["appointmentId"]) == ({"id": "staff-7"}, booked["id"])
    mine = made.headers["Location"]
    assert (await api("GET", mine)).json == made.json
    api.world.later(60)
    changed = (await api("PUT", mine, {"body": "Got a discount"})).json["note"]
    assert (changed["body"], changed["userId"], changed["dateAdded"]) == (
        "Got a discount",
        "staff-7",
        found["dateAdded"],
    )
    assert changed["dateUpdated"] > found["dateUpdated"]
    unsigned = (await api("PUT", mine, {"userId": None})).json["note"]
    assert (unsigned["body"], unsigned["userId"], unsigned["createdBy"]) == ("Got a discount", None, None)
    await note(api, booked["id"], "Second")
    await note(api, booked["id"], "Third")
    assert await bodies(api, booked["id"]) == (["Third", "Second", "Got a discount"], False)
    assert await bodies(api, booked["id"], limit=1, offset=1) == (["Second"], True)
    assert (await api("DELETE", mine)).json == {"success": True}
    assert (await api("GET", mine)).status == 404
    assert await bodies(api, booked["id"]) == (["Third", "Second"], False)


async def test_it_never_leaves_the_bridge(api):
    booked = await api.book()
    await api.push()
    before = {name: rows for name, rows in api.stored().items() if name != "idempotency_keys"}
    feed = (await api("GET", "/v1/changes", params={"cursor": "earliest"})).json["changes"]
    await note(api, booked["id"], "For nobody else")
    await api.push()
    assert {name: rows for name, rows in api.stored().items() if name != "idempotency_keys"} == before
    assert (await api("GET", "/v1/changes", params={"cursor": "earliest"})).json["changes"] == feed
    texts = [text for url in api.world.urls.values() for text in api.world.server.texts(url).values()]
    assert texts
    assert "nobody else" not in str(texts)
    with api.world.db.read() as tx:
        rows = [tuple(row) for row in tx.execute("SELECT * FROM published_items")]
    assert "nobody else" not in str(rows)


async def test_each_time_of_a_recurring_one_has_notes_of_its_own(api):
    series = await api.book(rrule="FREQ=DAILY;COUNT=3")
    events = (await api("GET", EVENTS, params={**WEEK, "userId": "ada"})).json["events"]
    first, second, _ = (event["id"] for event in events)
    await note(api, series["id"], "On all of it")
    await note(api, second, "On the second")
    assert await bodies(api, series["id"]) == (["On all of it"], False)
    assert await bodies(api, first) == ([], False)
    await api("PUT", f"{APPOINTMENTS}/{second}", {"title": "Goes on by itself"})
    assert await bodies(api, second) == (["On the second"], False)
    await api("DELETE", f"{EVENTS}/{first}")
    assert (await api("POST", notes_of(first), {"body": "Too late"})).status == 404


async def test_they_go_with_the_appointment(api):
    booked = await api.book()
    await note(api, booked["id"])
    await api("DELETE", f"{EVENTS}/{booked['id']}")
    assert await bodies(api, booked["id"]) == (["Wants a discount"], False), "as long as it can be read"
    assert (await api("POST", notes_of(booked["id"]), {"body": "Too late"})).status == 404
    users.remove_user(api.world.db, "ada", now=api.world.now())
    with api.world.db.read() as tx:
        assert tx.execute("SELECT COUNT(*) FROM notes").fetchone()[0] == 0


async def test_a_request_repeated_with_its_key_makes_one(api):
    booked = await api.book()
    for _ in range(2):
        answer = await api("POST", notes_of(booked["id"]), {"body": "Once"}, headers={"Idempotency-Key": "k1"})
        assert answer.status == 201
    assert await bodies(api, booked["id"]) == (["Once"], False)
    users.remove_user(api.world.db, "ada", now=api.world.now())
    assert api.stored()["idempotency_keys"] == []


async def test_what_can_t_be_is_refused(api):
    booked = await api.book()
    made = await note(api, booked["id"])
    for body, code in (({}, "missing"), ({"body": ""}, "missing"), ({"body": "x" * 5001}, "too_long")):
        wrong = await api("POST", notes_of(booked["id"]), body)
        assert (wrong.status, wrong.json["errors"][0]["pointer"]) == (422, "/body"), code
    other = await api.book(startTime="2027-03-10T10:00:00+01:00", endTime=None)
    for method, body in (("GET", None), ("PUT", {"body": "x"}), ("DELETE", None)):
        assert (await api(method, f"{notes_of(other['id'])}/{made['id']}", body)).status == 404, "of another one"
    for _ in range(99):
        await note(api, booked["id"])
    assert (await api("POST", notes_of(booked["id"]), {"body": "x"})).json["code"] == "too_many"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_others_may_not(api, method):
    booked = await api.book()
    body = {"body": "x"} if method == "POST" else None
    elsewhere = api.with_token(locations=("other",))
    assert (await elsewhere(method, notes_of(booked["id"]), body)).status == 404
    scope = "calendars/events.readonly" if method == "POST" else "calendars/events.write"
    assert (await api.with_token(scopes=(scope,))(method, notes_of(booked["id"]), body)).status == 403
