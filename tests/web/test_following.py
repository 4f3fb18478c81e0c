"""`?scope=following`: a series is split, what follows goes on as one of its own, here and in iCloud."""

import re

import pytest

from bridge.errors import ServerFault
from bridge.remote.memory import failing
from bridge.service import push

from .conftest import APPOINTMENTS, EVENTS
from .test_instances import etag, series, starts, times, upstream

FOLLOWING = {"params": {"scope": "following"}}


async def split(api, event_id, **change):
    answer = await api("PUT", f"{APPOINTMENTS}/{event_id}", change, **FOLLOWING)
    assert answer.status == 200, answer.json
    return answer.json


async def in_icloud(api):
    """Days and hours of all events there, each of its times, and the titles."""
    found = []
    for text in (await upstream(api)).values():
        ics = text.partition("BEGIN:VEVENT")[2]
        rule = re.search(r"RRULE:(\S+)", ics)
        found.append(
            (re.search(r"SUMMARY:(.*)\r", ics)[1], re.search(r"DTSTART\S*:\d{6}(\S+)", ics)[1], rule and rule[1])
        )
    return sorted(found)


async def test_this_and_all_later_ones_go_on_by_themselves(api):
    master, ids = await series(api, contact={"name": "Grace"}, externalId="crm-1", metadata={"deal": "7"})
    await upstream(api)
    rest = await split(api, ids[2], title="From now on", startTime="2027-03-10T11:00:00")
    assert rest["id"] not in {master["id"], *ids}
    assert (rest["version"], rest["isRecurring"], rest.get("masterEventId")) == (1, True, None)
    assert (rest["externalId"], rest["contact"], rest["metadata"]) == (None, {"name": "Grace"}, {"deal": "7"})
    assert await starts(api) == ["08T10:00", "09T10:00", "10T11:00", "11T11:00", "12T11:00"]
    listed = await times(api)
    assert [event["masterEventId"] for event in listed] == 2 * [master["id"]] + 3 * [rest["id"]]
    assert [event["id"] for event in listed][:2] == ids[:2]
    assert await in_icloud(api) == [
        ("From now on", "10T110000", "FREQ=DAILY;COUNT=3"),
        ("Intro call", "08T100000", "FREQ=DAILY;UNTIL=20270310T085959Z"),
    ]
    assert (await api("GET", f"{APPOINTMENTS}/{rest['id']}")).json["event"]["sync"]["state"] == "synced"
    assert (await api("GET", f"{APPOINTMENTS}/{ids[2]}")).status == 404, "it is one of the new series now"
    for href in api.world.merged():
        assert href in {f"{master['id']}.ics", f"{rest['id']}.ics"}


async def test_both_parts_are_told_of(api):
    master, ids = await series(api)
    start = (await api("GET", "/v1/changes")).json["nextCursor"]
    rest = await split(api, ids[2], title="From now on")
    changes = (await api("GET", "/v1/changes", params={"cursor": start})).json["changes"]
    assert [(c["type"], c["id"], c["changedFields"]) for c in changes] == [
        ("AppointmentUpdate", master["id"], ["rrule"]),
        ("AppointmentCreate", rest["id"], []),
    ]


async def test_what_was_changed_or_deleted_goes_to_the_part_that_it_is_in(api):
    master, ids = await series(api)
    await api("PUT", f"{APPOINTMENTS}/{ids[1]}", {"startTime": "2027-03-09T15:00:00"})
    await api("PUT", f"{APPOINTMENTS}/{ids[3]}", {"startTime": "2027-03-11T16:00:00"})
    await api("DELETE", f"{EVENTS}/{ids[4]}")
    rest = await split(api, ids[2], startTime="2027-03-10T11:00:00")
    assert await starts(api) == ["08T10:00", "09T15:00", "10T11:00", "11T16:00"]
    by_id = {event["id"]: event["masterEventId"] for event in await times(api)}
    assert (by_id[ids[1]], by_id[ids[3]]) == (master["id"], rest["id"])
    await upstream(api)
    assert (await api("DELETE", f"{EVENTS}/{rest['id']}")).status == 200
    assert await starts(api) == ["08T10:00", "09T15:00"], "and with it what was taken out of it"
    assert len(await upstream(api)) == 2


async def test_what_the_person_did_goes_to_the_part_that_it_is_in(api):
    master, ids = await series(api)
    ((href, ics),) = (await upstream(api)).items()

    def override(day, hour):
        return (
            f"BEGIN:VEVENT\r\nUID:{master['id']}\r\nDTSTAMP:20270301T000000Z\r\n"
            f"RECURRENCE-ID;TZID=Europe/Berlin:202703{day}T100000\r\nDTSTART;TZID=Europe/Berlin:202703{day}T{hour}0000\r\n"
            f"DTEND;TZID=Europe/Berlin:202703{day}T{hour}3000\r\nSUMMARY:By hand\r\nEND:VEVENT\r\n"
        )

    text = ics.replace("END:VCALENDAR\r\n", f"{override('09', 16)}{override('11', 17)}END:VCALENDAR\r\n")
    text = text.replace("BEGIN:VEVENT", "BEGIN:VEVENT\r\nCOMMENT:bring cake", 1)
    api.world.server.edit(api.world.urls["Home"], href.rpartition("/")[2], text)
    await api.poll()
    assert await starts(api) == ["08T10:00", "09T16:00", "10T10:00", "11T17:00", "12T10:00"]
    rest = await split(api, ids[2], title="From now on")
    wanted = ["08T10:00", "09T16:00", "10T10:00", "11T17:00", "12T10:00"]
    assert await starts(api) == wanted, "at once"
    found = await upstream(api)
    assert await starts(api) == wanted, "and once it is in iCloud"
    assert len(found) == 2
    for text in found.values():
        assert text.count("RECURRENCE-ID") == 1 and text.count("bring cake") == 1
    assert (await api("GET", f"{APPOINTMENTS}/{rest['id']}")).json["event"]["sync"]["state"] == "synced"


async def test_from_its_first_time_on_it_is_all_of_it(api):
    master, ids = await series(api)
    await api("DELETE", f"{EVENTS}/{ids[0]}")
    whole = await split(api, ids[1], title="All of it")
    assert whole["id"] == master["id"]
    assert [event["title"] for event in await times(api)] == 4 * ["All of it"]
    assert len(await upstream(api)) == 1
    again = await split(api, master["id"], title="By the series' own id")
    assert (again["id"], again["title"]) == (master["id"], "By the series' own id")


async def test_what_changes_nothing_splits_nothing(api):
    _, ids = await series(api)
    before = api.stored()
    read = (await api("GET", f"{APPOINTMENTS}/{ids[2]}")).json["event"]
    answer = await api("PUT", f"{APPOINTMENTS}/{ids[2]}", read, **FOLLOWING)
    assert answer.status == 200, answer.json
    assert api.stored() == before


async def test_refused_it_changes_nothing(api):
    _, ids = await series(api)
    taken = await api.book(startTime="2027-03-12T15:00:00", endTime="2027-03-12T16:00:00")
    alone = await api("PUT", f"{APPOINTMENTS}/{ids[1]}", {"title": "By itself"})
    before = api.stored()
    path = f"{APPOINTMENTS}/{ids[2]}"
    refused = await api("PUT", path, {"startTime": "2027-03-10T15:30:00"}, **FOLLOWING)
    assert (refused.status, refused.json["code"]) == (409, "slot_unavailable"), "the last of its times is taken"
    assert refused.json["conflicts"][0]["start"] == taken["startTime"]
    stale = await api("PUT", path, {"title": "x"}, **FOLLOWING, headers={"If-Match": '"1"'})
    assert stale.status == 412
    left = await api("PUT", f"{APPOINTMENTS}/{ids[1]}", {"title": "x"}, **FOLLOWING, headers=etag(alone))
    assert (left.status, left.json["errors"][0]["pointer"]) == (422, "/scope")
    assert (await api("PUT", path.replace("_1800", "_60").replace("apt_", "apt_0"), {}, **FOLLOWING)).status == 404
    assert api.stored() == before


async def test_other_users_and_rules_for_what_follows(api):
    _, ids = await series(api)
    single = await split(api, ids[3], rrule=None, title="Once more")
    assert single["isRecurring"] is False
    assert await starts(api) == ["08T10:00", "09T10:00", "10T10:00", "11T10:00"]
    weekly = await split(api, ids[1], rrule="FREQ=WEEKLY;COUNT=2")
    assert weekly["isRecurring"] is True
    assert await starts(api) == ["08T10:00", "09T10:00", "11T10:00", "16T10:00"]
    assert len(await upstream(api)) == 3


class Killed(BaseException):
    """Whatever is under way is gone."""


@pytest.mark.parametrize("fails_at", [1, 2])
async def test_killed_between_its_two_writes_nothing_is_lost_or_doubled(api, fails_at):
    _, ids = await series(api)
    await upstream(api)
    await split(api, ids[2], startTime="2027-03-10T11:00:00")
    wanted = ["08T10:00", "09T10:00", "10T11:00", "11T11:00", "12T11:00"]
    puts = 0

    def dies(method):
        nonlocal puts
        puts += method == "PUT"
        if method == "PUT" and puts == fails_at:
            raise Killed

    api.world.server.on_call = dies
    with pytest.raises(BaseExceptionGroup):
        await push.push_due(api.world.context)
    api.world.server.on_call = lambda _: None
    await api.poll()
    assert await starts(api) == wanted, "a reading in between changes nothing"
    busy = sorted(href for href in api.world.merged() if href.startswith("ics_"))
    assert busy == []
    push.take_over(api.world.context)
    await upstream(api)
    assert await starts(api) == wanted
    assert [(title, start) for title, start, _ in await in_icloud(api)] == [
        ("Intro call", "08T100000"),
        ("Intro call", "10T110000"),
    ]
    assert sorted(href for href in api.world.merged() if href.startswith("ics_")) == []


async def test_one_of_its_two_writes_fails_for_a_while(api):
    _, ids = await series(api)
    await upstream(api)
    await split(api, ids[2], title="From now on")
    api.world.server.on_call = failing("PUT", ServerFault("https://memory.example/", "down"))
    await api.push()
    await api.poll()
    assert len(await times(api)) == 5
    api.world.later(3600)
    assert len(await in_icloud(api)) == 2
    assert len(await times(api)) == 5
