"""Posting deliveries that are due, and recording the outcome."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import Protocol

from bridge.domain import signing
from bridge.domain import webhooks as decide
from bridge.domain.webhooks import Delivery, DeliveryState, Webhook, WebhookStatus
from bridge.errors import NotTaken, SecretUnreadable, StoreUnavailable
from bridge.service.context import Context, Vault
from bridge.service.webhooks import subscriptions
from bridge.store import webhooks

log = logging.getLogger(__name__)

#: How many deliveries are posted at the same time: to one receiver, to a failing one, and in total.
FOR_EACH, FOR_A_FAILING_ONE, PARALLEL = 4, 1, 200


class Receivers(Protocol):
    """Posts to receivers of webhooks."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """Post once. Returns the status, which is a success. Raises `NotTaken` for everything else."""
        ...


@dataclass(slots=True)
class Deliveries:
    """The deliveries being posted, all by this process. A slow receiver delays only its own deliveries."""

    context: Context
    receivers: Receivers
    #: Set when a delivery has ended, so that there may be room for the next.
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    #: The tasks by subscription and resource: only one delivery about a resource is posted at a time.
    _under_way: dict[str, dict[str, asyncio.Task[None]]] = field(default_factory=dict)

    def start_due(self) -> int:
        """Start posting deliveries that are due, as far as there is room. Returns how many."""
        started = 0
        now = self.context.clock()
        with self.context.db.read() as tx:
            # Receivers with the fewest deliveries under way first, so that each gets its turn even if many hang.
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
        """How many deliveries are being posted."""
        return sum(map(len, self._under_way.values()))

    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks of the deliveries being posted."""
        return [task for mine in self._under_way.values() for task in mine.values()]

    async def _deliver(self, webhook: Webhook, delivery: Delivery) -> None:
        try:
            await deliver(self.context, self.receivers, webhook, delivery)
        except StoreUnavailable as error:
            log.warning("delivery %s: posted again, as the outcome can't be stored: %s", delivery.id, error.reason)
        except Exception:
            # The outermost frame of a task: a delivery that triggers a bug of ours must not stop the others.
            log.exception("delivery %s failed unexpectedly; tried again later", delivery.id)
            _failed(self.context, delivery, NotTaken("unexpected trouble in the bridge: see its log"))
        finally:
            mine = self._under_way[webhook.id]
            del mine[delivery.resource_id]
            if not mine:
                del self._under_way[webhook.id]
            self.ended.set()


async def deliver(context: Context, receivers: Receivers, webhook: Webhook, delivery: Delivery) -> None:
    """Make one attempt, and record the outcome. Failures are recorded, never raised, but for `StoreUnavailable`."""
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
                webhooks.bring_forward(tx, webhook.id, now=now)  # the receiver is back
                log.info("webhook %s: takes deliveries again", webhook.id)


def _failed(context: Context, delivery: Delivery, error: NotTaken) -> None:
    now = context.clock()
    with context.db.write() as tx:
        webhook = webhooks.get(tx, delivery.webhook_id)
        current = webhooks.delivery(tx, delivery.webhook_id, delivery.id)
        if webhook is None or current is None:
            return  # the subscription was deleted
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
