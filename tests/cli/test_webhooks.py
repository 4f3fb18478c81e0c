"""`bridge webhook`, as an administrator types it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bridge import settings
from bridge.app import Bridge, build
from bridge.errors import NotTaken
from bridge.service import webhooks
from bridge.service.webhooks import Delivery, Signature, Webhook, WebhookChange
from bridge.store import webhooks as stored

from .conftest import Command


class Refusing:
    """A receiver that takes nothing."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        raise NotTaken("answered 500", 500)


async def a_webhook_that_failed(bridge: Bridge) -> tuple[Webhook, Delivery]:
    webhook, _ = webhooks.create(
        bridge,
        WebhookChange(url="https://crm.example.com/hook"),
        location_ids=["loc_1"],
        signature=Signature.V1,
        token_id="tok_1",
        networks=(),
    )
    delivery = webhooks.test(bridge, webhook.id, locations=None)
    await webhooks.deliver(bridge, Refusing(), webhook, delivery)
    return webhook, delivery


@pytest.fixture
async def failed(anna: Command) -> tuple[Webhook, Delivery]:
    opened = build(settings.load())
    made = await a_webhook_that_failed(opened)
    opened.db.close()
    return made


def test_webhooks_are_listed_without_their_secrets(anna: Command, failed: tuple[Webhook, Delivery]) -> None:
    webhook, _ = failed
    said = anna.done("webhook", "list")
    assert webhook.id in said
    assert "https://crm.example.com/hook" in said
    (listed,) = anna.json("webhook", "list")
    assert (listed["id"], listed["status"], listed["token_id"]) == (webhook.id, "active", "tok_1")
    assert not {"secret", "former_secrets"} & listed.keys()


def test_what_failed_can_be_seen_and_sent_again(anna: Command, failed: tuple[Webhook, Delivery]) -> None:
    webhook, delivery = failed
    assert "answered 500" in anna.done("webhook", "deliveries", webhook.id)
    (listed,) = anna.json("webhook", "deliveries", webhook.id, "--state", "dead")
    assert (listed["id"], listed["state"], listed["attempts"]) == (delivery.id, "dead", 1)

    anna.done("webhook", "retry", webhook.id, delivery.id)

    assert anna.json("webhook", "deliveries", webhook.id, "--state", "dead") == []
    opened = build(settings.load())
    with opened.db.read() as tx:
        waiting = stored.delivery(tx, webhook.id, delivery.id)
    opened.db.close()
    assert waiting is not None
    assert dataclasses.asdict(waiting)["state"] == "pending"


def test_a_revoked_token_leaves_webhooks_that_are_named_and_can_be_ended(anna: Command) -> None:
    made, other = anna.json("token", "add", "crm"), anna.json("token", "add", "other")
    opened = build(settings.load())
    webhook, _ = webhooks.create(
        opened,
        WebhookChange(url="https://crm.example.com/hook"),
        location_ids=["loc_1"],
        signature=Signature.V1,
        token_id=made["id"],
        networks=(),
    )
    opened.db.close()

    assert webhook.id not in anna.done("token", "revoke", other["id"])
    said = anna.done("token", "revoke", made["id"])
    assert "https://crm.example.com/hook" in said
    assert f"bridge webhook remove {webhook.id}" in said

    anna.done("webhook", "remove", webhook.id, "--yes")
    assert anna.json("webhook", "list") == []
    assert "There is no webhook" in anna.refused("webhook", "remove", webhook.id, "--yes")


def test_one_that_is_not_there_is_refused(anna: Command, failed: tuple[Webhook, Delivery]) -> None:
    webhook, _ = failed
    assert 'There is no webhook "whk_0"' in anna.refused("webhook", "deliveries", "whk_0")
    assert 'There is no delivery "msg_0"' in anna.refused("webhook", "retry", webhook.id, "msg_0")
    assert Path("data/bridge.db").exists()
