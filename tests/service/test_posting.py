"""What webhooks promise, shown with a receiver that fails, hangs, redirects, says that it is gone, and comes back."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from bridge.domain.webhooks import BACKOFF, WebhookStatus
from bridge.service import webhooks
from bridge.service.webhooks import DeliveryState, WebhookChange
from bridge.store import webhooks as stored

from .conftest import NOW, QuickDb
from .receivers import EVERYTHING, block, deliver, deliveries, posting, rename, state, subscribe

HOUR, DAY = 3600, 86_400


# --- Receivers that don't take it ------------------------------------------------------------------------------------


async def test_a_failed_delivery_is_tried_again_under_the_same_id_with_the_same_bytes(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    block(world)
    hook.will(500, 503)
    await deliver(world.context, post)
    await deliver(world.context, post)
    assert len(hook.messages) == 1, "not before its time"
    world.later(BACKOFF[0] * 2)
    await deliver(world.context, post)
    world.later(BACKOFF[1] * 2)
    await deliver(world.context, post)
    assert len(hook.messages) == 3
    assert len({message.headers["webhook-id"] for message in hook.messages}) == 1
    assert len({message.raw for message in hook.messages}) == 1
    stamps = [int(message.headers["webhook-timestamp"]) for message in hook.messages]
    assert stamps == sorted(set(stamps)), "signed anew at each attempt"
    (delivery,) = deliveries(world, webhook)
    assert (delivery.state, delivery.attempts, delivery.last_status) == (DeliveryState.DELIVERED, 3, 204)


async def test_what_is_never_taken_is_given_up_visibly_and_can_be_sent_again(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    block(world)
    hook.will(*[500] * 20)
    began, tried = world.now(), []
    for _ in range(200):
        before = len(hook.messages)
        await deliver(world.context, post)
        tried += [world.now() - began] * (len(hook.messages) - before)
        world.later(HOUR)
    (delivery,) = deliveries(world, webhook)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DEAD, len(BACKOFF) + 1)
    assert delivery.last_reason == "answered 500"
    assert 2 * DAY < tried[-1] - tried[0] < 6 * DAY
    hook.answers.clear()
    webhooks.update(world.context, webhook.id, WebhookChange(active=True), locations=None, networks=())
    webhooks.retry(world.db, webhook.id, delivery.id, locations=None, now=world.now())
    await deliver(world.context, post)
    assert deliveries(world, webhook)[0].state == DeliveryState.DELIVERED
    assert len({message.headers["webhook-id"] for message in hook.messages}) == 1


async def test_redirects_are_failures_and_not_followed(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    hook.will((307, {"Location": hook.url("/elsewhere")}), (301, {"Location": hook.url("/elsewhere")}))
    block(world)
    await deliver(world.context, post)
    assert hook.at("/elsewhere") == []
    (delivery,) = deliveries(world, webhook)
    assert (delivery.state, delivery.last_status) == (DeliveryState.PENDING, 307)
    assert "redirect" in delivery.last_reason


async def test_gone_disables_and_nothing_is_lost_should_it_come_back(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    hook.will(410)
    block(world, "first")
    await deliver(world.context, post)
    assert state(world, webhook).status == WebhookStatus.DISABLED
    block(world, "second")
    world.later(DAY)
    await deliver(world.context, post)
    assert len(hook.messages) == 1
    webhooks.update(world.context, webhook.id, WebhookChange(active=True), locations=None, networks=())
    await deliver(world.context, post)
    titles = [message.json["blockedSlot"]["title"] for message in hook.messages]
    assert titles == ["first", "first", "second"]
    assert state(world, webhook).status == WebhookStatus.ACTIVE


async def test_retry_after_is_honoured_for_all_that_goes_there(world, hook, post):
    subscribe(world.context, hook.url(), **EVERYTHING)
    hook.will((429, {"Retry-After": "3600"}))
    block(world)
    await deliver(world.context, post)
    block(world)
    world.later(3590)
    await deliver(world.context, post)
    assert len(hook.messages) == 1
    world.later(30)
    await deliver(world.context, post)
    assert len(hook.messages) == 3


@pytest.mark.parametrize("status", [429, 502, 504])
async def test_who_has_too_much_to_do_is_left_alone_for_a_while(world, hook, post, status):
    subscribe(world.context, hook.url(), **EVERYTHING)
    hook.will(status)
    block(world)
    await deliver(world.context, post)
    block(world)
    await deliver(world.context, post)
    assert len(hook.messages) == 1
    world.later(BACKOFF[0] * 2)
    await deliver(world.context, post)
    assert len(hook.messages) == 3


async def test_a_receiver_that_fails_for_days_is_disabled_and_one_that_comes_back_gets_everything(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    hook.will(*[500] * 1000)
    slots = [block(world, f"{number}") for number in range(6)]
    await deliver(world.context, post)
    assert state(world, webhook).status == WebhookStatus.FAILING
    assert hook.most["/hook"] <= webhooks.posting.FOR_EACH
    world.later(3 * HOUR)
    hook.answers.clear()
    await deliver(world.context, post)
    assert state(world, webhook).status == WebhookStatus.ACTIVE
    assert {delivery.state for delivery in deliveries(world, webhook)} == {DeliveryState.DELIVERED}
    told_of = {message.json["blockedSlot"]["id"] for message in hook.messages}
    assert told_of == set(slots)
    hook.will(*[500] * 1000)
    for _ in range(6 * 24):
        block(world, start=NOW + 30 * DAY)
        await deliver(world.context, post)
        world.later(HOUR)
    assert state(world, webhook).status == WebhookStatus.DISABLED
    assert state(world, webhook).status_reason


async def test_a_receiver_that_hangs_holds_up_nobody_and_times_out(world, hook):
    async with posting(patience=1) as post:
        slow, _ = subscribe(world.context, hook.url("/slow"), **EVERYTHING)
        subscribe(world.context, hook.url("/quick"), **EVERYTHING)
        hook.will(*[asyncio.Event() for _ in range(webhooks.posting.FOR_EACH)], path="/slow")
        for number in range(10):
            block(world, f"{number}")
        running = await deliver(world.context, post, wait=False)
        while len(hook.at("/quick")) < 10:
            running.ended.clear()
            if not running.start_due():
                await running.ended.wait()
        assert hook.most["/slow"] == webhooks.posting.FOR_EACH
        assert len(hook.at("/slow")) == webhooks.posting.FOR_EACH, "none has been answered yet"
        await asyncio.gather(*running.tasks())
        late = [d for d in deliveries(world, slow) if d.attempts]
        assert {(d.last_status, d.last_reason) for d in late} == {(None, "no answer within 1 s")}


async def test_where_many_hang_each_gets_its_turn(world, hook, post, monkeypatch):
    """However few can be under way at once: what ends makes room for one that has nothing under way."""
    monkeypatch.setattr(webhooks.posting, "PARALLEL", 4)
    made = [subscribe(world.context, hook.url(f"/{name}"), **EVERYTHING)[0] for name in ("a", "b")]
    first, other = sorted(made, key=lambda webhook: webhook.id)
    at = {webhook.id: webhook.url.rpartition("/")[2] for webhook in made}
    held = [asyncio.Event() for _ in range(6)]
    hook.will(*held, path=f"/{at[first.id]}")
    for number in range(6):
        block(world, str(number))
    running = await deliver(world.context, post, wait=False)
    assert running.under_way() == 4, "all of them of the first"
    async with asyncio.timeout(5):
        while len(hook.at(f"/{at[first.id]}")) < 4:
            hook.arrived.clear()
            await hook.arrived.wait()
        held[0].set()
        await running.ended.wait()
        assert running.start_due() == 1
        hook.arrived.clear()
        await hook.arrived.wait()
    assert hook.at(f"/{at[other.id]}")
    for one in held:
        one.set()
    await asyncio.gather(*running.tasks())


async def test_nobody_there_is_a_failure_like_another(world, hook, post):
    webhook, _ = subscribe(world.context, "http://127.0.0.1:1/hook", **EVERYTHING)
    block(world)
    await deliver(world.context, post)
    (delivery,) = deliveries(world, webhook)
    assert (delivery.state, delivery.last_reason) == (DeliveryState.PENDING, "no connection")


async def test_of_an_answer_only_the_status_is_kept(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    hook.will((500, {"X-Secret": "s3cret"}))
    block(world)
    await deliver(world.context, post)
    assert "s3cret" not in repr(deliveries(world, webhook))


# --- Order -----------------------------------------------------------------------------------------------------------


async def test_changes_of_one_thing_arrive_in_order_while_others_go_on(world, hook, post):
    subscribe(world.context, hook.url(), **EVERYTHING)
    first = block(world, "first")
    hook.will(500)
    await deliver(world.context, post)
    rename(world, first, "first, renamed")
    block(world, "second")
    await deliver(world.context, post)
    titles = [message.json["blockedSlot"]["title"] for message in hook.messages]
    assert titles == ["first", "second"]
    world.later(60)
    await deliver(world.context, post)
    of_first = [m.json for m in hook.messages if m.json["blockedSlot"]["id"] == first]
    assert [m["type"] for m in of_first] == ["BlockedSlotCreate", "BlockedSlotCreate", "BlockedSlotUpdate"]
    sequences = [m["change"]["sequence"] for m in of_first]
    assert sequences == sorted(sequences)


async def test_of_one_thing_only_one_is_under_way(world, hook, post):
    subscribe(world.context, hook.url(), **EVERYTHING)
    held = asyncio.Event()
    hook.will(held)
    slot = block(world)
    rename(world, slot, "renamed")
    rename(world, slot, "renamed again")
    running = await deliver(world.context, post, wait=False)
    async with asyncio.timeout(5):
        await hook.arrived.wait()
    assert running.start_due() == 0
    held.set()
    await asyncio.gather(*running.tasks())
    await deliver(world.context, post)
    assert [m.json["blockedSlot"]["title"] for m in hook.messages] == ["Lunch", "renamed", "renamed again"]


async def test_one_that_is_sent_again_waits_for_what_is_under_way(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    slot = block(world)
    await deliver(world.context, post)
    (first,) = deliveries(world, webhook)
    held = asyncio.Event()
    hook.will(held)
    rename(world, slot, "renamed")
    running = await deliver(world.context, post, wait=False)
    webhooks.retry(world.db, webhook.id, first.id, locations=None, now=world.now())
    assert running.start_due() == 0
    held.set()
    await asyncio.gather(*running.tasks())
    await deliver(world.context, post)
    assert [m.json["blockedSlot"]["title"] for m in hook.messages] == ["Lunch", "renamed", "Lunch"]
    assert hook.most["/hook"] == 1


async def test_of_a_paused_subscription_only_tests_are_sent_whatever_waits(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    block(world)
    webhooks.spread(world.context)
    webhooks.update(world.context, webhook.id, WebhookChange(active=False), locations=None, networks=())
    webhooks.test(world.context, webhook.id, locations=None)
    await deliver(world.context, post)
    assert hook.types() == ["WebhookTest"]
    with world.db.read() as tx:
        plan = [row["detail"] for row in tx.execute(f"EXPLAIN QUERY PLAN {stored.WAITING}", {"now": NOW})]
    assert any("webhook_deliveries_tests" in step for step in plan), "or all that waits is passed over, again and again"


async def test_one_that_is_given_up_lets_the_later_ones_pass(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    slot = block(world)
    hook.will(*[500] * 10)
    for _ in range(200):
        await deliver(world.context, post)
        world.later(HOUR)
    rename(world, slot, "renamed")
    webhooks.update(world.context, webhook.id, WebhookChange(active=True), locations=None, networks=())
    await deliver(world.context, post)
    assert [d.state for d in deliveries(world, webhook)] == [DeliveryState.DEAD, DeliveryState.DELIVERED]


async def test_what_waited_for_one_that_was_deleted_does_not_wait_for_ever(world, hook, post):
    webhook, _ = subscribe(world.context, hook.url(), **EVERYTHING)
    slot = block(world)
    rename(world, slot, "renamed")
    webhooks.spread(world.context)
    first, second = deliveries(world, webhook)
    assert second.next_attempt_at is None
    with world.db.write() as tx:
        tx.execute("DELETE FROM webhook_deliveries WHERE id = ?", [first.id])
        webhooks.prune(tx, now=world.now())
    await deliver(world.context, post)
    assert [m.json["blockedSlot"]["title"] for m in hook.messages] == ["renamed"]


# --- Crashes ---------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("fatal", range(12))
async def test_a_crash_at_any_step_leads_to_at_least_one_delivery_under_one_id(world, hook, post, fatal):
    """Dies before or after each commit and each request, starts again, and everything arrives."""
    steps = iter(range(1000))

    def step():
        if next(steps) == fatal:
            raise Crash

    class Posting:
        async def post(self, url, headers, body):
            step()
            status = await post.post(url, headers, body)
            step()
            return status

    subscribe(world.context, hook.url(), **EVERYTHING)
    slots = [block(world, f"{number}") for number in range(2)]

    class Dying(QuickDb):
        @contextmanager
        def write(self):
            step()
            with super().write() as tx:
                yield tx
                step()
            step()

    db = Dying(world.db.path)
    with suppress(Crash):
        first_life = replace(world.context, db=db)
        webhooks.spread(first_life)
        with db.read() as tx:
            (webhook,) = stored.all_webhooks(tx)
            due = stored.due(tx, webhook.id, now=NOW, tests_only=False, busy=(), limit=9)
        for delivery in due:
            await webhooks.deliver(first_life, Posting(), webhook, delivery)
    db.close()
    assert next(steps) > fatal, "it did die"
    world.later(60)
    await deliver(world.context, post)
    received = [message.json["blockedSlot"]["id"] for message in hook.messages]
    assert set(received) == set(slots)
    assert len({(m.headers["webhook-id"], m.json["blockedSlot"]["id"]) for m in hook.messages}) == 2
