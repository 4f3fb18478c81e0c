"""What webhooks tell, to whom, and how it is signed; tests, replays and pauses."""

from __future__ import annotations

import base64
import time
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from bridge.domain import changes as told
from bridge.errors import CursorExpired, Unknown
from bridge.service import backup, book, changes, mirror, push, users, webhooks
from bridge.service.book import AppointmentChange
from bridge.service.webhooks import DeliveryState, WebhookChange
from bridge.service.webhooks.deliveries import SETTLE_SECONDS
from bridge.store import changes as stored_changes
from bridge.store import webhooks as stored

from .conftest import OpenVault, QuickDb, event
from .receivers import EVERYTHING, block, deliver, deliveries, state, subscribe

HOUR, DAY = 3600, 86_400


# --- Content and signature -------------------------------------------------------------------------------------------


async def test_an_appointment_moved_in_icloud_is_told_in_highlevel_s_shape_and_signed(world, hook, post):
    world.clock[0] = int(time.time())  # the verifier looks at the clock
    _, secret = subscribe(world.context, hook.url())
    start = world.now() + 2 * DAY
    made = book.create_appointment(
        world.db, world.new(start=start, end=start + 1800, external_id="crm-9001"), now=world.now()
    ).appointment
    await push.push_due(world.context)
    (href,) = [href for href in world.server.calendars[world.urls["Home"]].objects if made.uid in href]
    _, text = world.server.calendars[world.urls["Home"]].objects[href]
    later = text.replace("SUMMARY:Intro call", "SUMMARY:Intro call (moved)")
    world.server.edit(world.urls["Home"], href.rpartition("/")[2], later)
    await mirror.mirror_account(world.context, world.account_id)
    await deliver(world.context, post)
    (message,) = hook.messages
    assert Verifier(secret).verify(message.raw, message.headers)
    body = message.json
    assert body["type"] == "AppointmentUpdate"
    assert body["locationId"] == "loc"
    assert body["webhookId"] == message.headers["webhook-id"]
    assert body["appointment"]["title"] == "Intro call (moved)"
    assert body["appointment"]["externalId"] == "crm-9001"
    assert body["appointment"]["version"] == 2
    assert body["appointment"]["source"] == "icloud"
    highlevel = {"id", "address", "title", "calendarId", "contactId", "groupId", "appointmentStatus", "assignedUserId"}
    highlevel |= {"users", "notes", "source", "startTime", "endTime", "dateAdded", "dateUpdated"}
    assert highlevel <= body["appointment"].keys()
    assert body["change"]["origin"] == "icloud"
    assert body["change"]["changedFields"] == ["title"]
    assert body["change"]["previous"] == {"title": "Intro call"}


async def test_a_signature_is_for_these_bytes_and_this_secret(world, hook, post):
    world.clock[0] = int(time.time())
    _, secret = subscribe(world.context, hook.url(), **EVERYTHING)
    block(world)
    await deliver(world.context, post)
    (message,) = hook.messages
    Verifier(secret).verify(message.raw, message.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(message.raw.replace(b"Lunch", b"Munch"), message.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(message.raw, message.headers)


async def test_after_a_rotation_both_secrets_sign_for_a_day(world, hook, post):
    world.clock[0] = int(time.time()) - DAY - 60
    webhook, first = subscribe(world.context, hook.url(), **EVERYTHING)
    _, second = webhooks.rotate_secret(world.context, webhook.id, locations=None)
    _, third = webhooks.rotate_secret(world.context, webhook.id, locations=None)
    block(world)
    await deliver(world.context, post)
    assert len(hook.messages[0].headers["webhook-signature"].split()) == 3, "nobody knows which one the receiver has"
    world.clock[0] = int(time.time())
    block(world)
    await deliver(world.context, post)
    message = hook.messages[1]
    Verifier(third).verify(message.raw, message.headers)
    for old in (first, second):
        with pytest.raises(WebhookVerificationError):
            Verifier(old).verify(message.raw, message.headers)


async def test_on_request_a_key_pair_signs(world, hook, post):
    webhook, secret = subscribe(world.context, hook.url(), signature="v1a", **EVERYTHING)
    key = webhooks.public_key(world.context.vault, webhook)
    assert key.startswith("whpk_")
    assert secret.startswith("whsk_")
    block(world)
    await deliver(world.context, post)
    (message,) = hook.messages
    version, _, signature = message.headers["webhook-signature"].partition(",")
    assert version == "v1a"
    signed = f"{message.headers['webhook-id']}.{message.headers['webhook-timestamp']}.".encode() + message.raw
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    public.verify(base64.b64decode(signature), signed)


async def test_secrets_are_sealed_at_rest(world, hook):
    class Sealing(OpenVault):
        def seal(self, secret, *, account_id):
            return bytes(byte ^ 0x55 for byte in f"{account_id} {secret}".encode())

    world.context = replace(world.context, vault=Sealing())
    webhook, secret = subscribe(world.context, hook.url())
    webhooks.rotate_secret(world.context, webhook.id, locations=None)
    with world.db.read() as tx:
        stored_text = "".join(str(tuple(row)) for row in tx.execute("SELECT * FROM webhooks"))
    assert secret not in stored_text
    assert "whsec_" not in stored_text


# --- Who is told of what ---------------------------------------------------------------------------------------------


async def test_a_crm_does_not_hear_its_own_writes_unless_it_asks_to(world, hook, post):
    subscribe(world.context, hook.url("/quiet"))
    subscribe(world.context, hook.url("/all"), **EVERYTHING)
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    change = AppointmentChange(fields={"title": "Other"})
    book.update_appointment(
        world.db, made.id, change, locations=None, expected_version=None, check_slot=True, now=world.now()
    )
    slot = block(world)
    book.delete_event(world.db, slot, locations=None, expected_version=None, now=world.now())
    world.server.edit(
        world.urls["Work"], "dentist.ics", event("dentist", start="20270310T100000", end="20270310T110000")
    )
    await mirror.mirror_account(world.context, world.account_id)
    await deliver(world.context, post)
    assert hook.types("/quiet") == ["BlockedSlotCreate"]
    assert hook.at("/quiet")[0].json["blockedSlot"]["origin"] == "icloud"
    everything = [
        "AppointmentCreate",
        "AppointmentUpdate",
        "BlockedSlotCreate",
        "BlockedSlotDelete",
        "BlockedSlotCreate",
    ]
    assert sorted(hook.types("/all")) == sorted(everything)


async def test_only_what_was_asked_for_is_told(world, hook, post):
    subscribe(world.context, hook.url("/deletions"), events=["BlockedSlotDelete"], **EVERYTHING)
    subscribe(world.context, hook.url("/elsewhere"), locations=("elsewhere",), **EVERYTHING)
    subscribe(world.context, hook.url("/everywhere"), locations=(), **EVERYTHING)
    subscribe(world.context, hook.url("/paused"), active=False, **EVERYTHING)
    slot = block(world)
    book.delete_event(world.db, slot, locations=None, expected_version=None, now=world.now())
    await deliver(world.context, post)
    assert hook.types("/deletions") == ["BlockedSlotDelete"]
    assert hook.types("/everywhere") == ["BlockedSlotCreate", "BlockedSlotDelete"]
    assert hook.at("/elsewhere") == hook.at("/paused") == []


async def test_a_subscription_begins_with_what_happens_after_it(world, hook, post):
    block(world, "before")
    subscribe(world.context, hook.url(), **EVERYTHING)
    block(world, "after")
    await deliver(world.context, post)
    assert [message.json["blockedSlot"]["title"] for message in hook.messages] == ["after"]


async def test_many_changes_at_once_are_told_as_one_resync(world, hook, post):
    subscribe(world.context, hook.url(), events=["BlockedSlotCreate"])
    for number in range(3 * 200 + 50):
        world.server.edit(world.urls["Work"], f"{number}.ics", event(f"uid-{number}"))
    await mirror.mirror_account(world.context, world.account_id)
    await deliver(world.context, post)
    assert hook.types().count("ResyncRequired") == 0, "more may follow"
    world.later(SETTLE_SECONDS)
    await deliver(world.context, post)
    assert hook.types().count("ResyncRequired") == 1
    assert hook.at()[-1].json["resync"] == {"userId": "ada", "reason": "many_changes"}
    assert len(hook.messages) <= 1 + told.BULK


async def test_after_a_restore_everybody_is_told_whatever_they_follow(world, hook, post):
    subscribe(world.context, hook.url("/appointments"), events=["AppointmentUpdate"], origins=["api"])
    subscribe(world.context, hook.url("/elsewhere"), locations=("other",))
    path = world.db.path
    copy = path.with_name("copy.db")
    backup.back_up(path, copy, secrets=True, key=None, replace=False)
    world.db.close()
    backup.restore(copy, path, take_key=lambda key: None, now=world.now())
    world.context = replace(world.context, db=QuickDb(path))
    await deliver(world.context, post)
    world.later(SETTLE_SECONDS)
    await deliver(world.context, post)
    (message,) = hook.messages
    assert message.path == "/appointments"
    assert message.json["resync"] == {"userId": "ada", "reason": "restored"}


async def test_who_follows_appointments_is_told_of_a_user_who_is_gone_but_not_of_many_slots(world, hook, post):
    subscribe(world.context, hook.url(), events=["AppointmentDelete"])
    for number in range(told.BULK + 1):
        world.server.edit(world.urls["Work"], f"{number}.ics", event(f"uid-{number}"))
    await mirror.mirror_account(world.context, world.account_id)
    await deliver(world.context, post)
    world.later(SETTLE_SECONDS)
    await deliver(world.context, post)
    assert hook.messages == []
    users.remove_user(world.db, "ada", now=world.now())
    await deliver(world.context, post)
    world.later(SETTLE_SECONDS)
    await deliver(world.context, post)
    assert [message.json["resync"]["reason"] for message in hook.messages] == ["user_removed"]


# --- Test, replay, pauses --------------------------------------------------------------------------------------------


async def test_a_test_is_sent_once_even_to_a_paused_receiver(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), active=False)
    hook.will(500)
    for _ in range(2):
        made = webhooks.test(world.context, webhook.id, locations=None)
        await deliver(world.context, post)
        world.later(DAY)
    assert hook.types() == ["WebhookTest", "WebhookTest"]
    assert hook.messages[-1].json["webhookId"] == made.id
    assert [d.state for d in deliveries(world, webhook)] == [DeliveryState.DEAD, DeliveryState.DELIVERED]
    assert state(world, webhook).failures == 0, "a test says nothing of the receiver's health"


async def test_a_replay_tells_again_under_the_same_ids(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    block(world, "before")
    cursor = changes.read(world.db, None, locations=None, types=None, limit=1).cursor
    block(world, "one")
    block(world, "two")
    await deliver(world.context, post)
    webhooks.replay(world.context, webhook.id, cursor, locations=None)
    await deliver(world.context, post)
    titles = [message.json["blockedSlot"]["title"] for message in hook.messages]
    assert sorted(titles) == ["before", "one", "one", "two", "two"]
    assert len({message.headers["webhook-id"] for message in hook.messages}) == 3


async def test_a_pause_loses_nothing_and_a_very_long_one_says_so(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    webhooks.update(world.context, webhook.id, WebhookChange(active=False), locations=None, networks=())
    block(world, "meanwhile")
    await deliver(world.context, post)
    webhooks.update(world.context, webhook.id, WebhookChange(active=True), locations=None, networks=())
    await deliver(world.context, post)
    assert [m.json["blockedSlot"]["title"] for m in hook.messages] == ["meanwhile"]
    webhooks.update(world.context, webhook.id, WebhookChange(active=False), locations=None, networks=())
    block(world, "long ago")
    world.later(31 * DAY)
    block(world, "yesterday")
    with world.db.write() as tx:
        changes.prune(tx, now=world.now())
        webhooks.prune(tx, now=world.now())
    webhooks.update(world.context, webhook.id, WebhookChange(active=True), locations=None, networks=())
    await deliver(world.context, post)
    assert sorted(hook.types()[1:]) == ["BlockedSlotCreate", "ResyncRequired"]
    resync = next(m.json for m in hook.messages if m.json["type"] == "ResyncRequired")
    assert resync["resync"]["reason"] == "history_expired"
    assert "yesterday" in str([m.json for m in hook.messages])
    with pytest.raises(CursorExpired):
        webhooks.replay(world.context, webhook.id, "c_" + base64.b64encode(b"1.x").decode(), locations=None)


async def test_another_location_s_webhook_does_not_exist(world, hook):
    webhook, _ = subscribe(world.context, hook.url(), locations=("loc", "other"))
    unbound, _ = subscribe(world.context, hook.url(), locations=())
    assert webhooks.get(world.db, webhook.id, locations=frozenset({"loc", "other", "third"})).id == webhook.id
    for seen in (webhook, unbound):
        with pytest.raises(Unknown):
            webhooks.get(world.db, seen.id, locations=frozenset({"loc"}))


async def test_nothing_goes_out_for_a_webhook_that_was_deleted(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    block(world)
    webhooks.spread(world.context)
    webhooks.delete(world.db, webhook.id, locations=None)
    await deliver(world.context, post)
    assert hook.messages == []
    with world.db.read() as tx:
        assert tx.execute("SELECT COUNT(*) FROM webhook_deliveries").fetchone()[0] == 0
        assert not stored.any_secret(tx)
        assert stored_changes.head(tx) > 0
