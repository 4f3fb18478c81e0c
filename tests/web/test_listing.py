"""Listings: page by page, by what changed, by group; recurring appointments once for each of their times."""

import itertools

import pytest

from .conftest import APPOINTMENTS, BLOCKED, EVENTS, WEEK


async def listed(api, path=EVENTS, **query):
    answer = await api("GET", path, params={**WEEK, "userId": "ada", **query})
    assert answer.status == 200, answer.json
    return answer.json


async def pages(api, path=EVENTS, **query):
    """Every page, as one who follows the cursors gets them."""
    more = {}
    while True:
        found = await listed(api, path, **query, **more)
        yield found["events"]
        if "nextCursor" not in found:
            return
        more = {"cursor": found["nextCursor"]}


@pytest.mark.parametrize("path", [EVENTS, BLOCKED])
@pytest.mark.parametrize("limit", [1, 3, 4, 9])
async def test_pages_together_are_the_whole_list_in_order(api, path, limit):
    for hour in (14, 9, 11):
        times = {"startTime": f"2027-03-09T{hour:02}:00:00+01:00", "endTime": f"2027-03-09T{hour:02}:30:00+01:00"}
        await (api.book(**times) if path == EVENTS else api.block(**times))
        await (api.book(**times, ignoreFreeSlotValidation=True) if path == EVENTS else api.block(**times))
    if path == EVENTS:
        await api.book(startTime="2027-03-08T16:00:00+01:00", endTime=None, rrule="FREQ=DAILY;COUNT=3")
    whole = (await listed(api, path))["events"]
    assert len(whole) == (9 if path == EVENTS else 6)
    assert [one["startTime"] for one in whole] == sorted(one["startTime"] for one in whole)
    found = [page async for page in pages(api, path, limit=str(limit))]
    assert list(itertools.chain(*found)) == whole
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)


async def test_what_is_booked_meanwhile_moves_no_page(api):
    first = await api.book(startTime="2027-03-09T09:00:00+01:00", endTime=None)
    last = await api.book(startTime="2027-03-09T15:00:00+01:00", endTime=None)
    reader = pages(api, limit="1")
    assert (await anext(reader))[0]["id"] == first["id"]
    await api.book(startTime="2027-03-09T08:00:00+01:00", endTime=None)
    assert [one["id"] for page in [page async for page in reader] for one in page] == [last["id"]]


async def test_what_changed_since(api):
    old = await api.book()
    api.world.later(60)
    since = f"{api.world.now() * 1000}"
    assert (await listed(api, updatedAfter=since))["events"] == []
    api.world.later(60)
    await api("DELETE", f"{EVENTS}/{old['id']}")
    new = await api.book(startTime="2027-03-10T10:00:00+01:00", endTime=None)
    assert [e["id"] for e in (await listed(api, updatedAfter=since))["events"]] == [new["id"]]
    both = (await listed(api, updatedAfter=since, includeDeleted="true"))["events"]
    assert [(e["id"], e["deleted"]) for e in both] == [(old["id"], True), (new["id"], False)]


async def test_nothing_is_missed_that_changed_within_the_second_of_the_last_look(api):
    first = await api.book()
    since = (await listed(api))["events"][0]["dateUpdated"]
    second = await api.book(startTime="2027-03-10T10:00:00+01:00", endTime=None)
    assert [e["id"] for e in (await listed(api, updatedAfter=since))["events"]] == [first["id"], second["id"]]
    slot = await api.block()
    again = await api("GET", BLOCKED, params={**WEEK, "userId": "ada", "updatedAfter": slot["dateUpdated"]})
    assert [e["id"] for e in again.json["events"]] == [slot["id"]]


async def test_of_a_group_of_calendars(api):
    api = api.with_token(scopes=("calendars.write", "calendars/events.readonly", "calendars/events.write"))
    booked = await api.book()
    answer = await api("GET", EVENTS, params={**WEEK, "groupId": "g-1"})
    assert (answer.status, answer.json) == (200, {"events": []}), "nobody has put a calendar into it"
    await api("PUT", f"/v1/calendars/{api.world.booking_calendar_id}", {"groupId": "g-1"})
    blocked = await api.block()
    for path, wanted in ((EVENTS, booked), (BLOCKED, blocked)):
        answer = await api("GET", path, params={**WEEK, "groupId": "g-1"})
        assert [e["id"] for e in answer.json["events"]] == [wanted["id"]]
        answer = await api("GET", path, params={**WEEK, "groupId": "g-2", "userId": "ada"})
        assert answer.json["events"] == []


async def test_a_recurring_one_is_listed_once_for_each_of_its_times(api):
    master = await api.book(startTime="2027-03-01T10:00:00", endTime="2027-03-01T10:45:00", rrule="FREQ=DAILY")
    span = {"startTime": "2027-03-26T00:00:00+01:00", "endTime": "2027-03-30T00:00:00+02:00"}
    found = (await listed(api, **span))["events"]
    assert [(e["startTime"], e["endTime"]) for e in found] == [
        ("2027-03-26T10:00:00+01:00", "2027-03-26T10:45:00+01:00"),
        ("2027-03-27T10:00:00+01:00", "2027-03-27T10:45:00+01:00"),
        ("2027-03-28T10:00:00+02:00", "2027-03-28T10:45:00+02:00"),
        ("2027-03-29T10:00:00+02:00", "2027-03-29T10:45:00+02:00"),
    ]
    assert [e["id"] for e in found] == [
        f"{master['id']}_{at * 1000}_2700" for at in (1806051600, 1806138000, 1806220800, 1806307200)
    ]
    assert {(e["masterEventId"], e["isRecurring"], e["rrule"]) for e in found} == {
        (master["id"], True, master["rrule"])
    }
    for one in found:
        assert (await api("GET", f"{APPOINTMENTS}/{one['id']}")).json == {"event": one}


async def test_far_beyond_what_is_stored_ahead_too(api):
    await api.book(startTime="2027-03-01T10:00:00", endTime="2027-03-01T10:45:00", rrule="FREQ=MONTHLY")
    span = {"startTime": "2035-01-01T00:00:00Z", "endTime": "2035-12-31T00:00:00Z"}
    assert len((await listed(api, **span))["events"]) == 12


async def test_one_that_is_over_or_cancelled_has_no_times(api):
    over = await api.book(startTime="2027-03-01T10:00:00", endTime="2027-03-01T11:00:00", rrule="FREQ=DAILY;COUNT=3")
    off = await api.book(startTime="2027-03-08T12:00:00", endTime=None, rrule="FREQ=DAILY")
    await api("PUT", f"{APPOINTMENTS}/{off['id']}", {"appointmentStatus": "cancelled"})
    found = (await listed(api))["events"]
    assert [(e["id"], e["appointmentStatus"]) for e in found] == [(off["id"], "cancelled")]
    assert over["id"] not in str(found)
