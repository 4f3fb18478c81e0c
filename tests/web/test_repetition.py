"""Sent twice, sent at once, sent too late: Idempotency-Key, externalId, ETag, and `Prefer: wait`."""

import asyncio
import json
import threading
from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.errors import SlotUnavailable, StoreUnusable
from bridge.remote.memory import MemoryServer
from bridge.service import book
from bridge.settings import Settings
from bridge.store import idempotency
from bridge.web.app import make_web_app
from bridge.web.keys import WATCH
from tests.service.conftest import make_world

from .conftest import APPOINTMENTS, EVENTS, SLOTS, Api


def keyed(key="k-1"):
    return {"headers": {"Idempotency-Key": key}}


@pytest.mark.parametrize(("path", "kind"), [(APPOINTMENTS, "body"), (SLOTS, "slot")])
async def test_a_key_is_carried_out_once(api, path, kind):
    body = getattr(api, kind)(colour="red")
    first = await api("POST", path, body, **keyed())
    stored = api.stored()
    second = await api("POST", path, dict(reversed(body.items())), **keyed())
    assert (first.status, second.status) == (201, 201)
    assert second.json == first.json
    for name in ("Location", "ETag", "X-Ignored-Fields"):
        assert second.headers[name] == first.headers[name]
    assert (first.headers.get("Idempotency-Replayed"), second.headers["Idempotency-Replayed"]) == (None, "true")
    assert api.stored() == stored


async def test_a_key_quoted_is_the_same_key(api):
    first = await api("POST", SLOTS, api.slot(), **keyed("k-1"))
    assert (await api("POST", SLOTS, api.slot(), **keyed('"k-1"'))).json == first.json
    assert (await api("POST", SLOTS, api.slot(), **keyed("k-2"))).json["id"] != first.json["id"]


async def test_a_key_belongs_to_one_body_one_path_and_one_token(api):
    await api("POST", SLOTS, api.slot(), **keyed())
    before = api.stored()
    reused = await api("POST", SLOTS, api.slot(title="Other"), **keyed())
    assert (reused.status, reused.json["code"]) == (422, "idempotency_key_reused")
    assert api.stored() == before
    assert (await api("POST", APPOINTMENTS, api.body(), **keyed())).status == 201
    assert "Idempotency-Replayed" not in (await api.with_token()("POST", SLOTS, api.slot(), **keyed())).headers


@pytest.mark.parametrize("key", ["", '""', "a b", "x" * 256, "ä"])
async def test_a_key_that_is_none_is_refused(api, key):
    before = api.stored()
    refused = await api("POST", SLOTS, api.slot(), **keyed(key))
    assert refused.status == 400
    assert api.stored() == before


async def test_a_refused_request_is_judged_again(api):
    taken = await api.book()
    assert (await api("POST", APPOINTMENTS, api.body(), **keyed())).status == 409
    await api("DELETE", f"{EVENTS}/{taken['id']}")
    assert (await api("POST", APPOINTMENTS, api.body(), **keyed())).status == 201


async def test_a_key_is_forgotten_after_a_day(api):
    first = await api("POST", SLOTS, api.slot(), **keyed())
    api.world.later(86_400 - 1)
    assert (await api("POST", SLOTS, api.slot(), **keyed())).json == first.json
    api.world.later(1)
    assert (await api("POST", SLOTS, api.slot(), **keyed())).json["id"] != first.json["id"]


async def test_many_at_once_with_one_key_are_one(api):
    answers = await asyncio.gather(*(api("POST", APPOINTMENTS, api.body(), **keyed()) for _ in range(20)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert len(api.stored()["appointments"]) == 1


async def test_many_at_once_for_one_slot_are_one(api):
    answers = await asyncio.gather(*(api("POST", APPOINTMENTS, api.body(title=f"{n}")) for n in range(20)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 19
    assert len(api.stored()["appointments"]) == 1


async def test_many_at_once_by_one_external_id_are_one(api):
    path = "/v1/appointments/by-external-id/x1"
    answers = await asyncio.gather(*(api("PUT", path, api.body(title=f"{n}")) for n in range(20)))
    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1
    assert len(api.stored()["appointments"]) == 1


async def test_a_key_and_an_external_id_together_tell_the_same_story(api):
    first = await api("POST", APPOINTMENTS, api.body(externalId="x1"))
    second = await api("POST", APPOINTMENTS, api.body(externalId="x1"), **keyed())
    third = await api("POST", APPOINTMENTS, api.body(externalId="x1"), **keyed())
    assert [answer.status for answer in (first, second, third)] == [201, 200, 200]
    assert len({json.dumps(answer.json) for answer in (first, second, third)}) == 1


async def test_an_answer_that_was_lost_in_a_crash_is_given_after_it(api, tmp_path, aiohttp_client):
    body = api.body()
    lost = await api("POST", APPOINTMENTS, body, **keyed())
    again = make_web_app(api.world.context)
    survivor = Api(await aiohttp_client(again), api.world, api.token, api.push_wanted)
    replayed = await survivor("POST", APPOINTMENTS, body, **keyed())
    assert replayed.json == lost.json


async def test_what_can_t_be_stored_is_to_be_sent_again(api, caplog):
    before = api.stored()
    with api.world.db.write() as tx:
        tx.execute("PRAGMA query_only = ON")  # as on a file system that has become read-only
    failed = await api("POST", APPOINTMENTS, api.body(), **keyed())
    assert (failed.status, failed.json["code"]) == (503, "store_unavailable")
    assert failed.headers["Retry-After"]
    assert failed.json["traceId"] in caplog.text
    assert api.stored() == before
    api.world.db._local.writer.execute("PRAGMA query_only = OFF")
    assert (await api("POST", APPOINTMENTS, api.body(), **keyed())).status == 201


@pytest.mark.parametrize("error", [RuntimeError("power cut"), StoreUnusable("/var/bridge.db", "power cut")], ids=repr)
async def test_a_crash_in_the_transaction_leaves_neither_booking_nor_key(api, monkeypatch, caplog, error):
    def crash(*_, **__):
        raise error

    before = api.stored()
    with monkeypatch.context() as cut:
        cut.setattr(idempotency, "record", crash)
        failed = await api("POST", APPOINTMENTS, api.body(), **keyed())
    assert (failed.status, failed.json["code"]) == (500, "internal_error")
    assert failed.headers["Content-Type"] == "application/problem+json"
    assert failed.headers["X-Request-Id"] == failed.json["traceId"]
    assert failed.json["traceId"] in caplog.text
    assert "power cut" not in str(failed.json)
    assert api.stored() == before
    assert (await api("POST", APPOINTMENTS, api.body(), **keyed())).status == 201


@pytest.mark.parametrize(("path", "kind"), [(APPOINTMENTS, "body"), (SLOTS, "slot")])
async def test_only_the_version_that_was_read_is_changed(api, path, kind):
    made = (await api("POST", path, getattr(api, kind)())).json
    mine = f"{path}/{made['id']}"
    first = await api("PUT", mine, {"title": "One"}, headers={"If-Match": '"1"'})
    assert (first.status, first.headers["ETag"]) == (200, '"2"')
    before = api.stored()
    for method, target in (("PUT", mine), ("PATCH", mine), ("DELETE", f"{EVENTS}/{made['id']}")):
        for etag in ('"1"', "nonsense", '"' + "9" * 5000 + '"'):
            late = await api(method, target, {"title": "Two"}, headers={"If-Match": etag})
            assert (late.status, late.json["code"], late.json["currentVersion"]) == (412, "version_mismatch", 2)
    assert api.stored() == before
    for etag in ('"2"', "*", 'W/"4"'):
        assert (await api("PUT", mine, {"title": f"By {etag}"}, headers={"If-Match": etag})).status == 200
    assert (await api("DELETE", f"{EVENTS}/{made['id']}", headers={"If-Match": '"5"'})).status == 200
    again = await api("DELETE", f"{EVENTS}/{made['id']}", headers={"If-Match": '"5"'})
    assert again.status == 200, "a deletion that is repeated since its answer was lost"


@pytest.mark.parametrize(("path", "kind"), [(APPOINTMENTS, "body"), (SLOTS, "slot")])
async def test_what_is_known_is_not_sent_again(api, path, kind):
    made = (await api("POST", path, getattr(api, kind)())).json
    for known in ('"1"', 'W/"1"', '"7", "1"', "*"):
        same = await api("GET", f"{path}/{made['id']}", headers={"If-None-Match": known})
        assert (same.status, same.json, same.headers["ETag"]) == (304, None, '"1"'), known
    assert (await api("GET", f"{path}/{made['id']}", headers={"If-None-Match": '"2"'})).status == 200


async def test_a_put_by_external_id_can_insist_on_creating_or_on_changing(api):
    path = "/v1/appointments/by-external-id/x1"
    before = api.stored()
    for etag in ("*", '"1"'):
        assert (await api("PUT", path, api.body(), headers={"If-Match": etag})).status == 412
    assert api.stored() == before
    assert (await api("PUT", path, api.body(), headers={"If-None-Match": "*"})).status == 201
    there = await api("PUT", path, api.body(title="Again"), headers={"If-None-Match": "*"})
    assert (there.status, there.json["currentVersion"]) == (412, 1)
    assert "If-None-Match" in there.json["detail"]
    assert (await api("PUT", path, api.body(title="Again"), headers={"If-Match": '"1"'})).status == 200


async def test_the_settings_may_demand_it(api, aiohttp_client):
    demanding = make_web_app(api.world.context, Settings.model_validate({"api": {"require_if_match": True}}))
    careful = replace(api, client=await aiohttp_client(demanding))
    made, slot = await careful.book(), await careful.block()
    by_id = "/v1/appointments/by-external-id/x1"
    later = api.body(startTime="2027-03-10T10:00:00", endTime=None)
    assert (await careful("PUT", by_id, later)).status == 201, "there was nothing to have seen"
    before = api.stored()
    for method, path, body in (
        ("PUT", f"{APPOINTMENTS}/{made['id']}", {"title": "x"}),
        ("PATCH", f"{SLOTS}/{slot['id']}", {"title": "x"}),
        ("PUT", by_id, later | {"title": "x"}),
        ("DELETE", f"{EVENTS}/{made['id']}", None),
    ):
        answer = await careful(method, path, body)
        assert (answer.status, answer.json["code"]) == (428, "precondition_required"), path
        assert api.stored() == before
        assert (await careful(method, path, body, headers={"If-Match": "*"})).status == 200, path
        before = api.stored()
    setter = careful.with_token(scopes=("calendars.write", "calendars.readonly"))
    path = f"/v1/calendars/{api.world.booking_calendar_id}"
    for method, body in (("PUT", {"preBuffer": 5}), ("DELETE", None)):
        assert (await setter(method, path, body)).status == 428
        assert (await setter(method, path, body, headers={"If-Match": "*"})).status == 200


async def test_waiting_ends_when_icloud_has_it(api):
    async def push():
        await api.push_wanted.wait()
        await api.push()

    pushing = asyncio.create_task(push())
    waited = await api("POST", APPOINTMENTS, api.body(), headers={"Prefer": "respond-async, wait=20"})
    assert (waited.status, waited.json["sync"]["state"]) == (201, "synced")
    await pushing
    assert waited.json["sync"]["lastSyncedAt"] is not None
    assert waited.headers["Preference-Applied"] == "wait=20"
    assert waited.headers["Location"].endswith(waited.json["id"])


async def test_waiting_in_vain_ends_with_what_is(api):
    waited = await api("POST", APPOINTMENTS, api.body(), headers={"Prefer": "wait=1"})
    assert (waited.status, waited.json["sync"]["state"]) == (201, "pending")


async def test_a_server_that_stops_answers_those_who_wait_with_what_is(api):
    asked = asyncio.create_task(api("POST", APPOINTMENTS, api.body(), headers={"Prefer": "wait=20"}))
    async with asyncio.timeout(10):
        await api.push_wanted.wait()
        api.client.app[WATCH].close()
        waited = await asked
    assert (waited.status, waited.json["sync"]["state"]) == (201, "pending")


@pytest.mark.parametrize(
    "prefer", ["wait", "wait=", "wait=0", "wait=-5", "wait=" + "9" * 5000, "x-wait=20", "wait=abc"]
)
async def test_a_strange_preference_is_no_reason_to_wait_or_to_refuse(api, prefer):
    answer = await api("POST", SLOTS, api.slot(), headers={"Prefer": prefer})
    assert answer.status == 201
    answer = await api("POST", APPOINTMENTS, api.body(), headers={"Prefer": prefer})
    assert (answer.status, answer.headers.get("Preference-Applied")) == (201, None)


async def test_two_writers_book_one_slot_once(tmp_path):
    """Two sidecars never work on one store; but the command line does, beside one."""
    one = await make_world(tmp_path / "bridge.db", MemoryServer())
    gate = threading.Barrier(4)
    results = []

    def race():
        gate.wait()
        try:
            book.create_appointment(one.db, one.new(), now=one.now())
            results.append("booked")
        except SlotUnavailable:
            results.append("refused")
        finally:
            one.db.close()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    one.db.close()
    assert sorted(results) == ["booked", "refused", "refused", "refused"]


async def test_over_a_real_socket(api):
    server = TestServer(make_web_app(api.world.context), host="127.0.0.1")
    async with TestClient(server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        body = json.dumps(api.body(), ensure_ascii=False).encode()
        head = (
            f"POST {APPOINTMENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    top, _, content = answer.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 201 ")
    assert b"Content-Type: application/json; charset=utf-8" in top
    assert json.loads(content)["title"] == "Intro call"
