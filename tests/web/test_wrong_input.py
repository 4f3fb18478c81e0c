"""Each wrong input gets a clear answer, and nothing is stored."""

import json
import zlib

import pytest

from .conftest import APPOINTMENTS, BLOCKED, EVENTS, SLOTS, WEEK

NUMBERS = [0, -1, 1, 1.5, 10**15, 10**30, -(10**30), 1e300]
STRANGE = [*NUMBERS, True, False, "", " ", "x", "\x00", "\ufffe", "a\x1bb", [], ["x"], {}, {"x": 1}]
LONG = "x" * 40_000

#: For each field, what it can't be.
WRONG = {
    "locationId": [5, True, "", "a\nb", "\x00", "\x85", LONG, [], {}],
    "calendarId": [5, True, "", "a\nb", "\x00", LONG, [], {}],
    "assignedUserId": [5, True, "", "a\tb", "\x7f", LONG, [], {}],
    "contactId": [5, True, "", "\x00", LONG, [], {}],
    "externalId": [5, True, "", "\x00", "x" * 256, [], {}],
    "title": [5, True, 1.5, "a\x00b", "\x1f", "\uffff", "x" * 1001, [], {}],
    "description": [5, True, "\x0b", "x" * 32_001, [], {}],
    "address": [5, True, "\x0c", "x" * 2001, [], {}],
    "startTime": STRANGE,
    "endTime": STRANGE,
    "timezone": [5, True, "", "Europe/Atlantis", "europe/berlin", "../etc/passwd", "UTC+1", "\x00", LONG, [], {}],
    "appointmentStatus": [5, True, "", "CONFIRMED", "gone", [], {}],
    "meetingLocationType": [5, "", "moon", []],
    "meetingLocationId": [5, "", "\x00"],
    "allDay": [1, 0, "true", "", [], {}],
    "ignoreFreeSlotValidation": [1, 0, "true", [], {}],
    "ignoreDateRange": [1, "yes"],
    "toNotify": [1, "yes"],
    "inviteContact": [1, "yes"],
    "rrule": [5, True, [], {}, "\x00", "x" * 4001],
    "contact": [5, "Ada", [], {"name": 5}, {"email": "\x00"}, {"phone": "0" * 65}],
    "metadata": [5, "x", [], {"k": 5}, {"k" * 41: "v"}, {"k": "v" * 501}, {str(n): "" for n in range(51)}],
    "reminders": [
        5,
        "x",
        {},
        [5],
        [{}],
        [{"minutesBefore": -1}],
        [{"minutesBefore": 1.5}],
        [{"minutesBefore": 0}] * 11,
    ],
}


def problem(answer):
    """The answer's problem, once it is known to be one as every client expects."""
    found = answer.json
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert found["status"] == found["statusCode"] == answer.status
    assert found["message"] == found["detail"] != ""
    assert found["traceId"] == answer.headers["X-Request-Id"]
    assert {"type", "title", "instance", "code", "error"} <= found.keys()
    return found


@pytest.mark.parametrize("field", WRONG)
async def test_a_wrong_field_is_named_and_nothing_is_stored(api, field):
    slots = {"locationId", "calendarId", "assignedUserId", "title", "startTime", "endTime", "timezone"}
    booked = await api.book(startTime="2027-03-11T10:00:00", endTime=None)
    blocked = await api.block(startTime="2027-03-11T12:00:00+01:00", endTime="2027-03-11T13:00:00+01:00")
    before = api.stored()
    for value in WRONG[field]:
        requests = [
            ("POST", APPOINTMENTS, api.body(**{field: value})),
            ("PUT", f"{APPOINTMENTS}/{booked['id']}", {field: value}),
            ("PUT", "/v1/appointments/by-external-id/e1", api.body(**{field: value})),
        ]
        if field in slots:
            slot = api.slot(**{field: value})
            requests.append(("POST", SLOTS, slot))
            requests.append(("PUT", f"{SLOTS}/{blocked['id']}", {field: value}))
        for method, path, body in requests:
            answer = await api(method, path, body)
            assert answer.status == 422, (method, path, value)
            found = problem(answer)
            assert [e["pointer"].split("/")[1] for e in found["errors"]] == [field], (method, path, value)
            assert all(e["detail"] and e["code"] for e in found["errors"])
    assert api.stored() == before


async def test_all_that_is_wrong_is_said_at_once(api):
    before = api.stored()
    body = {
        "title": 5,
        "startTime": "tomorrow",
        "endTime": True,
        "timezone": "Europe/Atlantis",
        "appointmentStatus": "gone",
        "metadata": {"a": 1, "b~/c": 2},
        "contact": {"name": [], "email": {}},
        "inviteContact": "yes",
    }
    answer = await api("POST", APPOINTMENTS, body)
    found = problem(answer)
    assert (answer.status, found["code"]) == (422, "validation_failed")
    assert {e["pointer"]: e["code"] for e in found["errors"]} == {
        "/title": "invalid_value",
        "/startTime": "invalid_datetime",
        "/endTime": "invalid_datetime",
        "/timezone": "invalid_time_zone",
        "/appointmentStatus": "unknown_value",
        "/metadata/a": "invalid_value",
        "/metadata/b~0~1c": "invalid_value",
        "/contact/name": "invalid_value",
        "/contact/email": "invalid_value",
        "/inviteContact": "invalid_value",
        "/calendarId": "missing",
    }
    empty = await api("POST", SLOTS, {})
    assert {e["pointer"] for e in problem(empty)["errors"]} == {"/assignedUserId", "/startTime", "/endTime"}
    both = await api("POST", SLOTS, api.slot(calendarId=api.world.booking_calendar_id))
    assert {e["pointer"] for e in problem(both)["errors"]} == {"/assignedUserId"}
    assert api.stored() == before


@pytest.mark.parametrize("path", [APPOINTMENTS, SLOTS])
async def test_what_is_no_json_object_is_refused(api, path):
    before = api.stored()
    good = json.dumps(api.body())
    for raw in (
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"5",
        b"\xff\xfe\x00",
        b'{"title": "\xff"}',
        good.encode() + b"x",
        good.replace('"Intro call"', "NaN").encode(),
        good.replace('"Intro call"', "-Infinity").encode(),
        good.replace('"title"', '"calendarId"').encode(),
        b'{"contact": {"name": "a", "name": "b"}}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ):
        answer = await api("POST", path, data=raw, headers={"Content-Type": "application/json"})
        assert (answer.status, problem(answer)["code"]) == (400, "malformed_json"), raw[:40]
    assert api.stored() == before


async def test_deep_and_strange_values_of_unknown_fields_do_no_harm(api):
    for depth in (50, 300, 900, 980, 1000, 5000):
        deep = b'{"a":' * depth + b"1" + b"}" * depth
        for where in ("x", "contact"):
            body = json.dumps(api.slot() if where == "x" else api.body(ignoreFreeSlotValidation=True)).encode()
            value = deep if where == "x" else b'{"name": "Ada", "y": ' + deep + b"}"
            raw = body[:-1] + b', "' + where.encode() + b'": ' + value + b"}"
            answer = await api(
                "POST",
                SLOTS if where == "x" else APPOINTMENTS,
                data=raw,
                headers={"Content-Type": "application/json", "Idempotency-Key": f"{where}{depth}"},
            )
            assert answer.status in {201, 400}, (depth, where)


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff", "a\\ud83dz"])
async def test_half_a_character_is_refused(api, half):
    before = api.stored()
    for body in (
        *(
            api.body(**{name: "HALF"})
            for name in ("title", "contactId", "externalId", "startTime", "timezone", "rrule")
        ),
        api.body(metadata={"k": "HALF"}),
        api.body(metadata={"HALF": "v"}),
        api.body(HALF="unknown"),
    ):
        raw = json.dumps(body).replace("HALF", half).encode()
        for method, path in (("POST", APPOINTMENTS), ("PUT", "/v1/appointments/by-external-id/e1")):
            answer = await api(method, path, data=raw, headers={"Content-Type": "application/json"})
            assert (answer.status, problem(answer)["code"]) == (400, "malformed_json"), body
    for name in ("userId", "calendarId", "locationId", "startTime"):
        query = {**WEEK, "userId": "ada", name: "HALF"}
        address = f"{EVENTS}?" + "&".join(f"{k}={v.replace('+', '%2B')}" for k, v in query.items())
        answer = await api("GET", address.replace("HALF", "%ED%A0%80%FF%00"))
        assert answer.status in {404, 422}, name
    assert api.stored() == before


async def test_numbers_that_are_none_and_infinite_times_are_refused(api):
    before = api.stored()
    for number in ("1e400", "-1e400", "1.5e308", "123456789012345678901234567890"):
        raw = json.dumps(api.body(startTime="N")).replace('"N"', number).encode()
        answer = await api("POST", APPOINTMENTS, data=raw, headers={"Content-Type": "application/json"})
        assert (answer.status, problem(answer)["errors"][0]["pointer"]) == (422, "/startTime"), number
    assert api.stored() == before


async def test_a_body_has_a_type_and_a_size(api):
    before = api.stored()
    body = json.dumps(api.body()).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "text/json", "x"):
        answer = await api("POST", APPOINTMENTS, data=body, headers={"Content-Type": kind})
        assert (answer.status, problem(answer)["code"]) == (415, "unsupported_media_type"), kind
    large = json.dumps(api.body(x="y" * (256 * 1024))).encode()
    for headers, data in (
        ({}, large),
        ({"Content-Encoding": "deflate"}, zlib.compress(b" " * (64 * 1024 * 1024))),
    ):
        answer = await api("POST", APPOINTMENTS, data=data, headers={"Content-Type": "application/json", **headers})
        assert (answer.status, problem(answer)["code"]) == (413, "payload_too_large")
    garbled = await api(
        "POST",
        APPOINTMENTS,
        data=b"no deflate",
        headers={"Content-Type": "application/json", "Content-Encoding": "deflate"},
    )
    assert garbled.status == 400
    assert api.stored() == before
    almost = json.dumps(api.body(x="y" * (255 * 1024))).encode()
    answer = await api("POST", APPOINTMENTS, data=almost, headers={"Content-Type": "application/json; charset=utf-8"})
    assert answer.status == 201


async def test_unknown_fields_are_ignored_by_name(api):
    sent = api.body(**{"assignedTo": "x", "zü": 1, "a\r\nb": 2}, contact={"name": "Ada", "company": "A"})
    created = await api("POST", APPOINTMENTS, sent)
    assert created.headers["X-Ignored-Fields"] == "assignedTo, contact/company"
    assert created.json["contact"] == {"name": "Ada"}
    assert "assignedTo" not in created.json
    changed = await api("PUT", f"{APPOINTMENTS}/{created.json['id']}", {"title": "x", "nope": 1})
    assert changed.headers["X-Ignored-Fields"] == "nope"
    plain = await api("PUT", f"{APPOINTMENTS}/{created.json['id']}", {"title": "y"})
    assert "X-Ignored-Fields" not in plain.headers
    many = await api("POST", SLOTS, api.slot(**{f"field{n}": n for n in range(5000)}))
    assert len(many.headers["X-Ignored-Fields"]) <= 1010


async def test_what_is_not_there_and_what_can_t_be_done_there(api):
    for method, path, status, code in (
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/", 404, "not_found"),
        ("GET", f"{APPOINTMENTS}/apt_x", 404, "not_found"),
        ("GET", f"{APPOINTMENTS}/%00", 404, "not_found"),
        ("GET", f"{APPOINTMENTS}/%FF%FE", 404, "not_found"),
        ("GET", f"{APPOINTMENTS}/%ED%A0%80", 404, "not_found"),
        ("GET", f"{APPOINTMENTS}/..%2F..%2Fx", 404, "not_found"),
        ("GET", f"{SLOTS}/blk_x", 404, "not_found"),
        ("DELETE", f"{EVENTS}/apt_x", 404, "not_found"),
        ("DELETE", f"{EVENTS}/blk_x", 404, "not_found"),
        ("PUT", f"{APPOINTMENTS}/apt_x", 404, "not_found"),
        ("PUT", f"{SLOTS}/blk_x", 404, "not_found"),
        ("GET", f"{EVENTS}/apt_x", 405, "method_not_allowed"),
        ("DELETE", f"{APPOINTMENTS}/apt_x", 405, "method_not_allowed"),
        ("PATCH", APPOINTMENTS, 405, "method_not_allowed"),
        ("OPTIONS", EVENTS, 405, "method_not_allowed"),
        ("PROPFIND", EVENTS, 405, "method_not_allowed"),
    ):
        answer = await api(method, path, {"title": "x"} if method in {"PUT", "PATCH"} else None)
        assert (answer.status, problem(answer)["code"]) == (status, code), (method, path)
        if status == 405:
            assert answer.headers["Allow"]
        assert "Traceback" not in str(answer.json)


async def test_an_appointment_is_no_blocked_slot_and_the_other_way_round(api):
    appointment, slot = await api.book(), await api.block()
    for path in (f"{APPOINTMENTS}/{slot['id']}", f"{SLOTS}/{appointment['id']}"):
        assert (await api("GET", path)).status == 404
        assert (await api("PUT", path, {"title": "x"})).status == 404


async def test_external_ids_in_addresses_have_the_same_limits(api):
    before = api.stored()
    for wrong in ("%00", "%0A", "x" * 256, "%C2%85"):
        answer = await api("PUT", f"/v1/appointments/by-external-id/{wrong}", api.body())
        assert answer.status == 422, wrong
        assert problem(answer)["errors"][0]["pointer"] == "/externalId"
    assert api.stored() == before


@pytest.mark.parametrize("path", [EVENTS, BLOCKED])
async def test_a_listing_says_whose_and_when(api, path):
    async def ask(**query):
        return await api("GET", path, params={k: v for k, v in {**WEEK, "userId": "ada", **query}.items() if v})

    for query, status, code in (
        ({"userId": None}, 400, "missing_scope_parameter"),
        ({"userId": "nobody"}, 404, "not_found"),
        ({"calendarId": "nothing"}, 404, "not_found"),
        ({"locationId": "elsewhere"}, 404, "not_found"),
        ({"startTime": None}, 422, "validation_failed"),
        ({"startTime": "yesterday"}, 422, "validation_failed"),
        ({"startTime": "2027-03-08"}, 422, "validation_failed"),
        ({"startTime": "2027-03-08T00:00:00"}, 422, "validation_failed"),
        ({"startTime": "9" * 30}, 422, "validation_failed"),
        ({"startTime": "1804000000"}, 422, "validation_failed"),
        ({"startTime": WEEK["endTime"], "endTime": WEEK["startTime"]}, 422, "validation_failed"),
        ({"startTime": WEEK["endTime"]}, 422, "validation_failed"),
        ({"endTime": "2028-03-10T00:00:00Z"}, 400, "range_too_large"),
        ({"limit": "0"}, 422, "validation_failed"),
        ({"limit": "many"}, 422, "validation_failed"),
        ({"cursor": "p_nothing"}, 422, "validation_failed"),
        ({"cursor": "c_MQ"}, 422, "validation_failed"),
    ):
        answer = await ask(**query)
        assert (answer.status, problem(answer)["code"]) == (status, code), query
    both = await ask(startTime="x", endTime="y")
    assert [e["pointer"] for e in problem(both)["errors"]] == ["/startTime", "/endTime"]
    spaced = await api("GET", f"{path}?userId=ada&startTime=2027-03-08T00:00:00+01:00&endTime=1804900000000")
    assert spaced.status == 200, "an offset's plus that nobody encoded"


@pytest.mark.parametrize("field", ["startTime", "endTime", "appointmentStatus", "calendarId", "assignedUserId"])
async def test_what_an_appointment_can_t_be_without_is_not_cleared(api, field):
    path = f"{APPOINTMENTS}/{(await api.book())['id']}"
    before = (await api("GET", path)).json
    for method in ("PUT", "PATCH"):
        await refused_as_not_cleared(api, method, path, field)
    assert (await api("GET", path)).json == before


@pytest.mark.parametrize("field", ["startTime", "endTime"])
async def test_nor_what_a_blocked_slot_can_t_be_without(api, field):
    await refused_as_not_cleared(api, "PATCH", f"{SLOTS}/{(await api.block())['id']}", field)


async def test_nor_what_anything_else_can_t_be_without(api):
    admin = api.with_token(scopes=("admin",))
    calendar = f"/v1/calendars/{admin.world.booking_calendar_id}"
    notes = f"/v1/calendars/appointments/{(await api.book())['id']}/notes"
    note = await admin("POST", notes, {"body": "Wants a discount"})
    schedule = {"locationId": "loc", "userId": "ada", "name": "Work", "timezone": "UTC"}
    schedules = await admin("POST", "/v1/calendars/schedules", schedule)
    webhook = await admin("POST", "/v1/webhooks", {"url": "https://crm.example.com/", "locationIds": ["loc"]})
    for method, path, names in (
        ("PUT", calendar, ["name"]),
        ("PUT", f"{notes}/{note.json['note']['id']}", ["body"]),
        ("PUT", f"/v1/calendars/schedules/{schedules.json['schedule']['id']}", ["name", "timezone", "rules"]),
        ("PATCH", f"/v1/webhooks/{webhook.json['id']}", ["url", "events", "origins", "active"]),
        ("PATCH", "/v1/users/ada", ["name", "timezone", "twoWay"]),
    ):
        for name in names:
            await refused_as_not_cleared(admin, method, path, name)
    described = await admin("PATCH", f"/v1/webhooks/{webhook.json['id']}", {"description": "CRM"})
    cleared = await admin("PATCH", f"/v1/webhooks/{webhook.json['id']}", {"description": None})
    assert (described.json["description"], cleared.json["description"]) == ("CRM", "")


async def refused_as_not_cleared(api, method, path, name):
    answer = await api(method, path, {name: None})
    assert answer.status == 422, (path, name, answer.json)
    (error,) = answer.json["errors"]
    assert (error["pointer"], error["code"]) == (f"/{name}", "invalid_value")


async def test_sizes_are_explained_in_words_that_fit(api):
    answer = await api("POST", APPOINTMENTS, api.body(title="x" * 1001, contact={"name": "x" * 2000}))
    told = {error["pointer"]: error["detail"] for error in answer.json["errors"]}
    assert told["/title"] == "Use 1,000 characters at most."
    assert all("characters at most" in detail for detail in told.values())
    body = {"calendarIds": [], "periods": [], "format": "list", "maxResults": 1001}
    answer = await api.with_token(scopes=("calendars.readonly",))("POST", "/v1/availability", body)
    assert {error["pointer"]: error["detail"] for error in answer.json["errors"]} == {
        "/calendarIds": "It can't be empty.",
        "/periods": "It can't be empty.",
        "/format": "Use 'slots', 'overlapping_slots' or 'periods'.",
        "/maxResults": "Use 1,000 or less.",
    }
