"""Delivering: what is due is posted, and what came of it is recorded."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import Protocol

from bridge.domain import signing
from bridge.domain import webhooks as decide
from bridge.domain.webhooks import Delivery, DeliveryState, Webhook, WebhookStatus
from bridge.errors import NotTaken, SecretUnreadable
from bridge.service.context import Context, Vault
from bridge.service.webhooks import subscriptions
from bridge.store import webhooks

log = logging.getLogger(__name__)

#: Deliveries under way at once for one receiver, and for one that fails; in all.
FOR_EACH, FOR_A_FAILING_ONE, PARALLEL = 4, 1, 200


class Receivers(Protocol):
    """Posts to receivers of webhooks."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """Post once. Returns the status, a success. Raises `NotTaken`."""
        ...


@dataclass(slots=True)
class Deliveries:
    """The deliveries under way in this process, the only one at work. Each receiver waits for itself alone."""

    context: Context
    receivers: Receivers
    #: Set when one has ended: there may be room for the next.
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    #: By subscription, and by what they are about: of one thing one at a time, sent again or not.
    _under_way: dict[str, dict[str, asyncio.Task[None]]] = field(default_factory=dict)

    def start_due(self) -> int:
        """Begin what is due and has room. Returns how many."""
        started = 0
        now = self.context.clock()
        with self.context.db.read() as tx:
            # Those with least under way first: however many hang, each gets its turn.
            for webhook in sorted(webhooks.waiting(tx, now=now), key=lambda one: len(self._under_way.get(one.id, ()))):
                mine = self._under_way.setdefault(webhook.id, {})
                most = FOR_A_FAILING_ONE if webhook.status == WebhookStatus.FAILING else FOR_EACH
                room = min(most - len(mine), PARALLEL - self.under_way())
                if room > 0:
                    tests_only = not webhook.listening or webhook.rest_until > now
                    for delivery in webhooks.due(tx, webhook.id, now=now, tests_only=tests_only, busy=mine, limit=room):
                        mine[delivery.resource_id] = asyncio.create_task(self._deliver(webhook, delivery))
                        started += 1
        return started

    def under_way(self) -> int:
        """How many are under way."""
        return sum(map(len, self._under_way.values()))

    def tasks(self) -> list[asyncio.Task[None]]:
        """Those under way."""
        return [task for mine in self._under_way.values() for task in mine.values()]

    async def _deliver(self, webhook: Webhook, delivery: Delivery) -> None:
        try:
            await deliver(self.context, self.receivers, webhook, delivery)
        except Exception:
            # The outermost frame of a task: one that trips over a bug of ours must not keep the others from going out.
            log.exception("delivery %s failed unexpectedly; tried again later", delivery.id)
            _failed(self.context, delivery, NotTaken("unexpected trouble in the bridge: see its log"))
        finally:
            mine = self._under_way[webhook.id]
            del mine[delivery.resource_id]
            if not mine:
                del self._under_way[webhook.id]
            self.ended.set()


async def deliver(context: Context, receivers: Receivers, webhook: Webhook, delivery: Delivery) -> None:
    """Make one attempt, and record what came of it. Trouble is recorded, never raised."""
    now = context.clock()
    payload = delivery.body.encode()
    try:
        headers = signing.headers(delivery.id, _secrets(context.vault, webhook, now=now), payload, now=now)
        status = await receivers.post(webhook.url, headers, payload)
    except SecretUnreadable:
        _failed(context, delivery, NotTaken("the key of the bridge does not open the secret of this webhook"))
    except NotTaken as error:
        _failed(context, delivery, error)
    else:
        _delivered(context, delivery, status)


def _secrets(vault: Vault, webhook: Webhook, *, now: int) -> list[str]:
    sealed = [webhook.secret, *(secret for secret, _ in subscriptions.signing_still(webhook, now=now))]
    return [vault.open(secret, account_id=webhook.id) for secret in sealed]


def _delivered(context: Context, delivery: Delivery, status: int) -> None:
    now = context.clock()
    with context.db.write() as tx:
        webhooks.settle(tx, delivery.id, DeliveryState.DELIVERED, status=status, reason=None, now=now)
        webhook = webhooks.get(tx, delivery.webhook_id)
        if webhook is not None and webhook.failures and webhook.status != WebhookStatus.DISABLED:
            webhooks.note_success(tx, webhook.id)
            if webhook.status == WebhookStatus.FAILING:
                webhooks.bring_forward(tx, webhook.id, now=now)  # it is back: nothing waits for its hour
                log.info("webhook %s: takes deliveries again", webhook.id)


def _failed(context: Context, delivery: Delivery, error: NotTaken) -> None:
    now = context.clock()
    with context.db.write() as tx:
        webhook = webhooks.get(tx, delivery.webhook_id)
        current = webhooks.delivery(tx, delivery.webhook_id, delivery.id)
        if webhook is None or current is None:
            return  # the subscription has ended
        if delivery.type == decide.TEST:
            webhooks.settle(tx, delivery.id, DeliveryState.DEAD, status=error.status, reason=error.reason, now=now)
            return
        jitter = random.random()  # noqa: S311 - not a secret
        failed = decide.after_failure(webhook, error, current.attempts + 1, now=now, jitter=jitter)
        if failed.retry_at is None:
            webhooks.settle(tx, delivery.id, DeliveryState.DEAD, status=error.status, reason=error.reason, now=now)
        else:
            webhooks.put_off(tx, delivery.id, until=failed.retry_at, status=error.status, reason=error.reason, now=now)
        if webhook.status != WebhookStatus.DISABLED:
            webhooks.note_failure(
                tx, webhook.id, failed.status, failed.status_reason, rest_until=failed.rest_until, now=now
            )
    if failed.status not in {webhook.status, WebhookStatus.ACTIVE}:
        log.warning("webhook %s is %s: %s", webhook.id, failed.status, error.reason)
