"""Webhooks over HTTP: made, changed, tested, rotated, looked after; each by those who may."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from bridge.errors import SecretUnreadable
from bridge.settings import Settings
from bridge.web.app import make_web_app
from tests.service.receivers import deliver, posting, receiver

from .conftest import Api

HOOKS = "/v1/webhooks"
TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


@pytest.fixture
async def hooks(api, aiohttp_client):
    """The API of a bridge whose receivers may live on this machine; the token may make webhooks."""
    settings = Settings.model_validate({"webhooks": {"networks": ["127.0.0.0/8"]}})
    client = await aiohttp_client(make_web_app(api.world.context, settings))
    api = Api(client, api.world, "", api.push_wanted)
    return api.with_token(scopes=("webhooks.write", "calendars/events.write", "calendars/events.readonly"))


@pytest.fixture
async def hook():
    async with receiver() as made:
        yield made


async def sent(hooks):
    async with posting() as post:
        await deliver(hooks.world.context, post)


async def make(hooks, **body):
    answer = await hooks("POST", HOOKS, {"url": "https://crm.example.com/hook", **body})
    assert answer.status == 201, answer.json
    return answer.json


def lock(hooks, monkeypatch):
    """From now on the key opens nothing."""

    def refuse(sealed, *, account_id):
        raise SecretUnreadable("elsewhere")

    monkeypatch.setattr(hooks.world.context.vault, "open", refuse)


async def test_a_secret_is_shown_once(hooks):
    made = await make(hooks, description="Sales")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    read = (await hooks("GET", f"{HOOKS}/{made['id']}")).json
    assert read == {name: value for name, value in made.items() if name != "secret"}
    listed = (await hooks("GET", HOOKS)).json["webhooks"]
    assert listed == [read]
    assert "whsec_" not in str(listed)
    changed = (await hooks("PATCH", f"{HOOKS}/{made['id']}", {"active": False})).json
    assert "secret" not in changed
    rotated = (await hooks("POST", f"{HOOKS}/{made['id']}/rotate-secret")).json
    assert rotated["secret"] != made["secret"]


async def test_a_repeated_request_makes_one_and_shows_no_secret(hooks):
    body = {"url": "https://crm.example.com/hook"}
    first = await hooks("POST", HOOKS, body, headers={"Idempotency-Key": "k1"})
    again = await hooks("POST", HOOKS, body, headers={"Idempotency-Key": "k1"})
    assert (again.status, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert again.json == {name: value for name, value in first.json.items() if name != "secret"}
    assert len((await hooks("GET", HOOKS)).json["webhooks"]) == 1
    with hooks.world.db.read() as tx:
        kept = str([tuple(row) for row in tx.execute("SELECT * FROM idempotency_keys")])
    assert first.json["secret"] not in kept


async def test_there_are_so_many_for_a_location_and_no_more(hooks):
    made = [await make(hooks) for _ in range(50)]
    refused = await hooks("POST", HOOKS, {"url": "https://crm.example.com/hook"})
    assert (refused.status, refused.json["code"]) == (409, "too_many")
    assert "50" in refused.json["detail"]
    assert "delete one" in refused.json["detail"]
    await hooks("DELETE", f"{HOOKS}/{made[0]['id']}")
    await make(hooks)
    elsewhere = hooks.with_token(locations=("other",), scopes=("webhooks.write",))
    await make(elsewhere)


async def test_by_default_one_hears_everything_but_the_api_s_writes(hooks):
    made = await make(hooks)
    assert (made["events"], made["origins"], made["active"]) == (["*"], ["icloud", "bridge"], True)
    assert (made["status"], made["signature"], made["locationIds"]) == ("active", "v1", ["loc"])


async def test_a_key_pair_shows_its_public_half_only(hooks):
    made = await make(hooks, signature="v1a")
    assert made["publicKey"].startswith("whpk_")
    assert "secret" not in made
    assert "whsk_" not in str(made)
    rotated = (await hooks("POST", f"{HOOKS}/{made['id']}/rotate-secret")).json
    assert rotated["publicKey"] != made["publicKey"]
    assert "secret" not in rotated


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/url", "missing"),
        ({"url": "ftp://x.example/"}, "/url", "invalid_value"),
        ({"url": "https://10.0.0.1/"}, "/url", "invalid_value"),
        ({"url": "https://x.example/", "events": ["AppointmentCreate", "Weather"]}, "/events/1", "unknown_value"),
        ({"url": "https://x.example/", "events": []}, "/events", "invalid_value"),
        ({"url": "https://x.example/", "origins": ["moon"]}, "/origins/0", "unknown_value"),
        ({"url": "https://x.example/", "signature": "v2"}, "/signature", "unknown_value"),
        ({"url": "https://x.example/", "retries": 5}, "/retries", "unknown_field"),
    ],
)
async def test_what_can_t_be_is_refused(hooks, body, pointer, code):
    answer = await hooks("POST", HOOKS, body)
    assert answer.status == 422
    assert pointer in {error["pointer"] for error in answer.json["errors"]}
    if code != "invalid_value":
        assert code in {error["code"] for error in answer.json["errors"]}
    assert (await hooks("GET", HOOKS)).json["webhooks"] == []


async def test_all_that_is_wrong_is_said_at_once(hooks):
    body = {"url": "https://10.0.0.1/", "signature": "v2", "events": ["Weather"], "retries": 5}
    answer = await hooks("POST", HOOKS, body)
    assert {error["pointer"] for error in answer.json["errors"]} == {"/url", "/signature", "/events/0", "/retries"}
    made = (await hooks("POST", HOOKS, {"url": "https://x.example/"})).json["id"]
    query = {"state": "lost", "limit": "201", "cursor": "-1"}
    answer = await hooks("GET", f"{HOOKS}/{made}/deliveries", params=query)
    assert answer.status == 422
    assert {(error["pointer"], error["code"]) for error in answer.json["errors"]} == {
        ("/state", "unknown_value"),
        ("/limit", "out_of_range"),
        ("/cursor", "invalid_value"),
    }


async def test_without_the_setting_only_public_https_will_do(api):
    hooks = api.with_token(scopes=("webhooks.write",))
    for url in ("http://127.0.0.1:9/hook", "https://127.0.0.1:9/hook", "http://crm.example.com/"):
        assert (await hooks("POST", HOOKS, {"url": url})).status == 422
    assert (await hooks("POST", HOOKS, {"url": "https://crm.example.com/"})).status == 201
    made = (await hooks("GET", HOOKS)).json["webhooks"][0]
    assert (await hooks("PATCH", f"{HOOKS}/{made['id']}", {"url": "https://[::1]/"})).status == 422


async def test_another_location_s_webhooks_do_not_exist(hooks):
    made = await make(hooks)
    stranger = hooks.with_token(locations=("elsewhere",), scopes=("webhooks.write",))
    both = hooks.with_token(locations=("elsewhere", "loc"), scopes=("webhooks.write",))
    every = hooks.with_token(locations=(), scopes=("webhooks.write",))
    assert (await stranger("GET", HOOKS)).json["webhooks"] == []
    one = f"{HOOKS}/{made['id']}"
    for method, path, body in (
        ("GET", one, None),
        ("PATCH", one, {"active": False}),
        ("POST", f"{one}/test", None),
        ("POST", f"{one}/rotate-secret", None),
        ("POST", f"{one}/replay", {"cursor": "earliest"}),
        ("GET", f"{one}/deliveries", None),
        ("POST", f"{one}/deliveries/msg_x/retry", None),
        ("DELETE", one, None),
    ):
        assert (await stranger(method, path, body)).status == 404, (method, path)
    assert (await stranger("POST", HOOKS, {"url": "https://x.example/", "locationIds": ["loc"]})).status == 404
    assert (await both("GET", one)).status == 200
    assert (await every("GET", one)).status == 200
    wide = (await every("POST", HOOKS, {"url": "https://x.example/"})).json
    assert wide["locationIds"] == []
    assert (await both("GET", f"{HOOKS}/{wide['id']}")).status == 404, (
        "it tells of locations that this token may not see"
    )


async def test_each_endpoint_asks_for_its_scope(hooks):
    made = await make(hooks)
    other = hooks.with_token(scopes=("calendars/events.write", "calendars/events.readonly", "calendars.write"))
    one = f"{HOOKS}/{made['id']}"
    for method, path in (
        ("GET", HOOKS),
        ("POST", HOOKS),
        ("GET", one),
        ("PATCH", one),
        ("DELETE", one),
        ("POST", f"{one}/test"),
        ("POST", f"{one}/rotate-secret"),
        ("POST", f"{one}/replay"),
        ("GET", f"{one}/deliveries"),
        ("POST", f"{one}/deliveries/msg_x/retry"),
    ):
        refused = await other(method, path)
        assert (refused.status, refused.json["code"]) == (403, "insufficient_scope"), path


async def test_a_test_can_be_followed(hooks, hook):
    made = await make(hooks, url=hook.url())
    answer = await hooks("POST", f"{HOOKS}/{made['id']}/test")
    assert (answer.status, answer.json["state"], answer.json["type"]) == (202, "pending", "WebhookTest")
    await sent(hooks)
    (delivery,) = (await hooks("GET", f"{HOOKS}/{made['id']}/deliveries")).json["deliveries"]
    assert (delivery["id"], delivery["state"], delivery["lastStatus"]) == (answer.json["id"], "delivered", 204)
    assert hook.messages[0].json["locationId"] == "loc"


async def test_deliveries_are_listed_and_can_be_sent_again(hooks, hook):
    made = await make(hooks, url=hook.url(), origins=["api"])
    deliveries = f"{HOOKS}/{made['id']}/deliveries"
    hook.will(500)
    slots = [(await hooks.block(title=f"{number}"))["id"] for number in range(5)]
    await sent(hooks)
    newest = (await hooks("GET", deliveries, params={"limit": "2"})).json
    assert [d["resourceId"] for d in newest["deliveries"]] == slots[:2:-1]
    rest = (await hooks("GET", deliveries, params={"limit": "3", "cursor": newest["nextCursor"]})).json
    assert [d["resourceId"] for d in rest["deliveries"]] == slots[2::-1]
    assert "nextCursor" not in rest
    (waiting,) = (await hooks("GET", deliveries, params={"state": "pending"})).json["deliveries"]
    assert (waiting["attempts"], waiting["lastStatus"], waiting["lastReason"]) == (1, 500, "answered 500")
    again = await hooks("POST", f"{deliveries}/{waiting['id']}/retry")
    assert again.status == 202
    await sent(hooks)
    assert (await hooks("GET", deliveries, params={"state": "pending"})).json["deliveries"] == []
    assert (await hooks("POST", f"{deliveries}/msg_none/retry")).status == 404
    assert (await hooks("GET", deliveries, params={"state": "lost"})).status == 422


async def test_a_replay_from_a_cursor(hooks, hook):
    made = await make(hooks, url=hook.url(), origins=["api"])
    cursor = (await hooks("GET", "/v1/changes")).json["nextCursor"]
    slot = await hooks.block()
    await sent(hooks)
    answer = await hooks("POST", f"{HOOKS}/{made['id']}/replay", {"cursor": cursor})
    assert answer.status == 202
    await sent(hooks)
    assert [m.json["blockedSlot"]["id"] for m in hook.messages] == [slot["id"]] * 2
    assert len({m.headers["webhook-id"] for m in hook.messages}) == 1
    wrong = await hooks("POST", f"{HOOKS}/{made['id']}/replay", {"cursor": "x"})
    assert wrong.json["errors"][0]["pointer"] == "/cursor"
    assert (await hooks("POST", f"{HOOKS}/{made['id']}/replay", {})).status == 422


async def test_a_webhook_changes_field_by_field_and_can_be_ended(hooks):
    made = await make(hooks)
    one = f"{HOOKS}/{made['id']}"
    changed = (await hooks("PATCH", one, {"events": ["AppointmentDelete"], "description": "x"})).json
    assert (changed["events"], changed["url"], changed["origins"]) == (
        ["AppointmentDelete"],
        made["url"],
        made["origins"],
    )
    for body in ({"signature": "v1a"}, {"locationIds": ["loc"]}, {"secret": "whsec_x"}):
        assert (await hooks("PATCH", one, body)).status == 422
    assert (await hooks("DELETE", one)).status == 204
    assert (await hooks("GET", one)).status == 404
    assert (await hooks("DELETE", one)).status == 404


async def test_the_documented_receiver_takes_what_is_sent(hooks, hook):
    """The Python on the page, run on a message as it arrives."""
    hooks.world.clock[0] = int(time.time())  # the verifier looks at the clock
    made = await make(hooks, url=hook.url())
    await hooks("POST", f"{HOOKS}/{made['id']}/test")
    await sent(hooks)
    (message,) = hook.messages
    (snippet,) = re.findall(r"```python\n(.*?)```", TEXT.partition("## Webhooks")[2], re.DOTALL)
    names = {}
    exec(snippet.replace("whsec_…", made["secret"]), names)
    assert names["receive"](message.raw, message.headers) == message.json
    with pytest.raises(Exception, match="No matching signature"):
        names["receive"](message.raw + b" ", message.headers)


async def test_a_key_that_does_not_open_the_secret_is_told_of_and_delivers_nothing(hooks, hook, monkeypatch):
    made = await make(hooks, url=hook.url(), origins=["api"])
    await hooks.block()
    lock(hooks, monkeypatch)
    await sent(hooks)
    assert hook.messages == []
    (delivery,) = (await hooks("GET", f"{HOOKS}/{made['id']}/deliveries")).json["deliveries"]
    assert "key" in delivery["lastReason"]


async def test_a_secret_that_can_not_be_read_leaves_the_list_whole(hooks, hook, monkeypatch):
    """After a backup was restored without its key, say."""
    pair = await make(hooks, url=hook.url(), signature="v1a")
    shared = await make(hooks, url=hook.url())
    lock(hooks, monkeypatch)
    listed = await hooks("GET", HOOKS)
    assert listed.status == 200
    assert {one["id"] for one in listed.json["webhooks"]} == {pair["id"], shared["id"]}
    assert (await hooks("GET", f"{HOOKS}/{pair['id']}")).json.get("publicKey") is None
    assert (await hooks("DELETE", f"{HOOKS}/{pair['id']}")).status == 204
