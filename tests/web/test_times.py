"""Times as CRMs write them: what instant is booked, and how it is told."""

import pytest

from .conftest import APPOINTMENTS, EVENTS, SLOTS, WEEK


def start(api, **times):
    return api.body(**{"endTime": None, "timezone": None, "ignoreFreeSlotValidation": True, **times})


@pytest.mark.parametrize(
    ("sent", "zone", "told"),
    [
        ("2027-03-09T10:00:00+01:00", None, "2027-03-09T10:00:00+01:00"),
        ("2027-03-09T10:00:00-0330", None, "2027-03-09T10:00:00-03:30"),
        ("2027-03-09T10:00:00Z", None, "2027-03-09T10:00:00+00:00"),
        ("2027-03-09t10:00:00z", None, "2027-03-09T10:00:00+00:00"),
        ("2027-03-09 10:00+01:00", None, "2027-03-09T10:00:00+01:00"),
        ("2027-03-09T10:00:00.999+14:00", None, "2027-03-09T10:00:00+14:00"),
        ("2027-03-09T10:00:00-23:59", None, "2027-03-09T10:00:00-23:59"),
        (1_804_582_800_000, None, "2027-03-09T09:00:00+00:00"),
        (1_804_582_800_999.5, None, "2027-03-09T09:00:00+00:00"),
        ("1804582800000", None, "2027-03-09T09:00:00+00:00"),
        (1_804_582_800_000, "Europe/Berlin", "2027-03-09T10:00:00+01:00"),
        ("2027-03-09T10:00:00", "Europe/Berlin", "2027-03-09T10:00:00+01:00"),
        ("2027-03-09T10:00", "Asia/Kathmandu", "2027-03-09T10:00:00+05:45"),
        ("2027-03-09T10:00:00Z", "Europe/Berlin", "2027-03-09T11:00:00+01:00"),
        # Clocks go back: the earlier of the two, unless an offset says otherwise.
        ("2027-10-31T02:30:00", "Europe/Berlin", "2027-10-31T02:30:00+02:00"),
        ("2027-10-31T02:30:00+01:00", "Europe/Berlin", "2027-10-31T02:30:00+01:00"),
        # Clocks go forward: with an offset it is an instant like any other.
        ("2027-03-28T02:30:00+01:00", "Europe/Berlin", "2027-03-28T03:30:00+02:00"),
        ("2199-12-31T23:00:00Z", None, "2199-12-31T23:00:00+00:00"),
        ("2000-01-01T00:00:00Z", None, "2000-01-01T00:00:00+00:00"),
    ],
)
async def test_a_time_is_told_as_the_instant_that_was_meant(api, sent, zone, told):
    created = await api("POST", APPOINTMENTS, start(api, startTime=sent, timezone=zone))
    assert (created.status, created.json["startTime"]) == (201, told), created.json
    read = await api("GET", f"{APPOINTMENTS}/{created.json['id']}")
    assert read.json == {"event": created.json}
    end = api.slot(startTime=sent, endTime=sent, timezone=zone)
    assert (await api("POST", SLOTS, end)).json["errors"][0]["code"] == "end_before_start"


@pytest.mark.parametrize(
    ("sent", "zone", "code"),
    [
        ("2027-03-28T02:30:00", "Europe/Berlin", "nonexistent_local_time"),
        ("2027-03-09T10:00:00", None, "missing_offset"),
        ("2027-03-09", None, "invalid_datetime"),
        ("2027-02-29T10:00:00Z", None, "invalid_datetime"),
        ("2027-13-01T10:00:00Z", None, "invalid_datetime"),
        ("2027-03-09T24:00:01Z", None, "invalid_datetime"),
        ("2027-03-09T10:60:00Z", None, "invalid_datetime"),
        ("2027-03-09T10:00:60Z", None, "invalid_datetime"),
        ("2027-03-09T10:00:00+24:00", None, "invalid_datetime"),
        ("2027-03-09T10:00:00+99:99", None, "invalid_datetime"),
        ("2027-03-09T10:00:00+1", None, "invalid_datetime"),
        ("20270309T100000Z", None, "invalid_datetime"),
        ("09.03.2027 10:00", None, "invalid_datetime"),
        ("2027-03-09T10:00:00+01:00[Europe/Berlin]", None, "invalid_datetime"),
        ("٢٠٢٧-03-09T10:00:00Z", None, "invalid_datetime"),
        ("0000-03-09T10:00:00Z", None, "invalid_datetime"),
        ("0001-01-01T00:00:00+14:00", None, "out_of_range"),
        ("1999-12-31T23:59:59Z", None, "out_of_range"),
        ("2000-01-01T00:00:00+01:00", None, "out_of_range"),
        ("2201-01-01T00:00:00Z", None, "out_of_range"),
        ("9999-12-31T23:59:59-14:00", None, "out_of_range"),
        (1_804_582_800, None, "out_of_range"),
        (10**17, None, "out_of_range"),
    ],
)
async def test_a_time_that_is_none_is_refused(api, sent, zone, code):
    before = api.stored()
    answer = await api("POST", APPOINTMENTS, start(api, startTime=sent, timezone=zone))
    assert answer.status == 422
    assert [(e["pointer"], e["code"]) for e in answer.json["errors"]] == [("/startTime", code)]
    slot = await api("POST", SLOTS, api.slot(expiresAt=sent, timezone=zone))
    assert [(e["pointer"], e["code"]) for e in slot.json["errors"]] == [("/expiresAt", code)]
    assert api.stored() == before
    if code == "nonexistent_local_time":
        assert answer.json["code"] == code


async def test_a_hold_can_t_have_expired_already(api):
    before = api.stored()
    answer = await api("POST", SLOTS, api.slot(expiresAt="2027-03-08T08:00:00Z"))
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/expiresAt")
    assert api.stored() == before


async def test_an_end_comes_after_its_start_and_within_a_year(api):
    before = api.stored()
    for end, code in (
        ("2027-03-09T10:00:00+01:00", "end_before_start"),
        ("2027-03-09T10:59:00+02:00", "end_before_start"),
        ("2028-03-10T10:00:00+01:00", "out_of_range"),
    ):
        for path, body in (
            (APPOINTMENTS, api.body(endTime=end)),
            (SLOTS, api.slot(startTime="2027-03-09T10:00:00+01:00", endTime=end)),
        ):
            answer = await api("POST", path, body)
            assert [(e["pointer"], e["code"]) for e in answer.json["errors"]] == [("/endTime", code)], end
    assert api.stored() == before


async def test_another_zone_alone_moves_nothing(api):
    created = await api.book()
    path = f"{APPOINTMENTS}/{created['id']}"
    told = (await api("PATCH", path, {"timezone": "Asia/Tokyo"})).json
    assert (told["startTime"], told["endTime"]) == ("2027-03-09T18:00:00+09:00", "2027-03-09T18:30:00+09:00")
    told = (await api("PATCH", path, {"timezone": None})).json
    assert (told["startTime"], told["timezone"]) == ("2027-03-09T10:00:00+01:00", None)


def days(api, first, after=None, **more):
    return api.body(allDay=True, startTime=first, endTime=after, ignoreFreeSlotValidation=True, **more)


@pytest.mark.parametrize(
    ("first", "after", "told"),
    [
        ("2027-03-09", "2027-03-10", ("2027-03-09T00:00:00+01:00", "2027-03-10T00:00:00+01:00")),
        ("2027-03-09", None, ("2027-03-09T00:00:00+01:00", "2027-03-10T00:00:00+01:00")),
        ("2027-03-09T15:00:00", None, ("2027-03-09T00:00:00+01:00", "2027-03-10T00:00:00+01:00")),
        ("2027-03-09T23:30:00Z", None, ("2027-03-10T00:00:00+01:00", "2027-03-11T00:00:00+01:00")),
        (1_804_582_800_000, None, ("2027-03-09T00:00:00+01:00", "2027-03-10T00:00:00+01:00")),
        ("2027-03-27", "2027-03-29", ("2027-03-27T00:00:00+01:00", "2027-03-29T00:00:00+02:00")),
    ],
)
async def test_all_day_means_the_days_of_the_time_zone(api, first, after, told):
    created = await api("POST", APPOINTMENTS, days(api, first, after))
    assert (created.status, created.json["allDay"]) == (201, True), created.json
    assert (created.json["startTime"], created.json["endTime"]) == told
    again = await api("PUT", f"{APPOINTMENTS}/{created.json['id']}", created.json)
    assert again.json == created.json, "what was read can be sent back"


async def test_all_day_is_in_icloud_as_days(api):
    await api("POST", APPOINTMENTS, days(api, "2027-03-09"))
    await api.push()
    (text,) = api.world.server.texts(api.world.urls["Home"]).values()
    assert "DTSTART;VALUE=DATE:20270309" in text
    assert "DTEND;VALUE=DATE:20270310" in text


async def test_all_day_needs_a_zone_and_whole_days(api):
    before = api.stored()
    for body, pointer in (
        (days(api, "2027-03-09", timezone=None), "/timezone"),
        (days(api, "2027-03-09", "2027-03-09"), "/endTime"),
        (days(api, "2027-03-09", "2027-03-08"), "/endTime"),
        (days(api, "2027-02-30"), "/startTime"),
        (days(api, "1999-12-31"), "/startTime"),
    ):
        answer = await api("POST", APPOINTMENTS, body)
        assert (answer.status, [e["pointer"] for e in answer.json["errors"]]) == (422, [pointer])
    assert api.stored() == before


async def test_all_day_stays_whole_days_through_changes(api):
    path = (await api("POST", APPOINTMENTS, days(api, "2027-03-09", "2027-03-11"))).headers["Location"]

    async def change(**changes):
        told = (await api("PATCH", path, {**changes, "ignoreFreeSlotValidation": True})).json
        return told["startTime"], told["endTime"]

    assert await change(startTime="2027-03-27") == ("2027-03-27T00:00:00+01:00", "2027-03-29T00:00:00+02:00")
    assert await change(timezone="America/New_York") == ("2027-03-27T00:00:00-04:00", "2027-03-29T00:00:00-04:00")
    assert await change(endTime="2027-03-28") == ("2027-03-27T00:00:00-04:00", "2027-03-28T00:00:00-04:00")
    assert await change(allDay=False) == ("2027-03-27T00:00:00-04:00", "2027-03-28T00:00:00-04:00")
    hours = {"startTime": "2027-03-30T22:00:00", "endTime": "2027-03-31T01:00:00"}
    assert await change(**hours) == ("2027-03-30T22:00:00-04:00", "2027-03-31T01:00:00-04:00")
    assert await change(allDay=True) == ("2027-03-30T00:00:00-04:00", "2027-04-01T00:00:00-04:00")


async def test_where_the_clocks_skip_midnight_the_day_begins_at_one(api):
    body = days(api, "2027-04-03", timezone="America/Asuncion")
    assert (await api("POST", APPOINTMENTS, body)).status == 201
    skipped = days(api, "2018-11-04", timezone="America/Sao_Paulo")
    told = (await api("POST", APPOINTMENTS, skipped)).json
    assert (told["startTime"], told["endTime"]) == ("2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00")


async def test_line_breaks_are_newlines(api):
    created = await api.book(description="one\r\ntwo\rthree\nfour")
    assert created["description"] == "one\ntwo\nthree\nfour"
    listed = await api("GET", EVENTS, params={**WEEK, "userId": "ada"})
    assert listed.json["events"] == [created]
