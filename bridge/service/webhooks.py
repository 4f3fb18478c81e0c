"""Webhooks: subscriptions, and the deliveries that tell receivers of changes.

What happened is in the change feed before anybody is told of it. Each subscription has a place in the feed; from there
deliveries are made, in one transaction with the new place, and kept until the receiver has taken them or they are given
up. A crash anywhere leads to a delivery that is made again, under the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from bridge.domain import webhooks as decide
from bridge.domain.changes import ChangeOrigin, ChangeType
from bridge.domain.webhooks import ALL, EVENTS, Delivery, DeliveryState, Network, Signature, Webhook, WebhookStatus
from bridge.errors import FieldProblem, Invalid, NotTaken, SecretUnreadable, TooMany, Unknown
from bridge.service import changes as feed
from bridge.service.context import Context, Vault
from bridge.service.visibility import Locations
from bridge.store import changes, webhooks
from bridge.store.db import Db, Tx

__all__ = ["EVENTS", "Deliveries", "Delivery", "DeliveryState", "Receivers", "Signature", "Webhook"]

log = logging.getLogger(__name__)

#: No more subscriptions than these tell of the same locations: each change is a delivery to all of them.
MOST_WEBHOOKS = 50
#: Both secrets sign for so long after a rotation, in seconds.
OVERLAP_SECONDS = 86_400
#: No more former secrets than these sign beside the new one.
MOST_SECRETS = 4
#: Deliveries under way at once for one receiver, and for one that fails; in all.
FOR_EACH, FOR_A_FAILING_ONE, PARALLEL = 4, 1, 200
#: Changes that are looked at in one transaction for one subscription.
BATCH = 200
#: `ResyncRequired` waits for so many seconds, and gives way to a later one: a first mirror says it many times.
SETTLE_SECONDS = 10
#: Settled deliveries are kept for so long, in seconds.
KEEP_SECONDS = 30 * 86_400


class Receivers(Protocol):
    """Posts to receivers of webhooks."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """Post once. Returns the status, a success. Raises `NotTaken`."""
        ...


# --- Subscriptions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """What its owner decides about a subscription. None: as it is, or as it is by default."""

    url: str | None = None
    events: Sequence[str] | None = None
    origins: Sequence[str] | None = None
    description: str | None = None
    active: bool | None = None


#: Runs inside the subscription's own transaction, so that what it writes and the subscription are kept together.
Also = Callable[[Tx, Webhook], None]


def create(
    context: Context,
    change: WebhookChange,
    *,
    location_ids: Iterable[str],
    signature: Signature,
    token_id: str,
    networks: Iterable[Network],
    also: Also | None = None,
) -> tuple[Webhook, str]:
    """Subscribe to what happens from now on. Returns the subscription and its secret. Raises `Invalid`, `TooMany`."""
    check_url(change.url, networks)
    now = context.clock()
    webhook_id = f"whk_{secrets.token_hex(12)}"
    secret = decide.secret_text(signature, secrets.token_bytes(32))
    with context.db.write() as tx:
        webhook = Webhook(
            id=webhook_id,
            location_ids=frozenset(location_ids),
            token_id=token_id,
            url=change.url or "",
            events=tuple(change.events or [ALL]),
            origins=_origins(change.origins) or decide.DEFAULT_ORIGINS,
            description=change.description or "",
            signature=signature,
            secret=context.vault.seal(secret, account_id=webhook_id),
            former_secrets=(),
            active=change.active is not False,
            status=WebhookStatus.ACTIVE,
            status_reason="",
            failing_since=None,
            failures=0,
            rest_until=0,
            place=changes.head(tx),
            created_at=now,
            updated_at=now,
        )
        if webhooks.count(tx, webhook.location_ids) >= MOST_WEBHOOKS:
            raise TooMany("webhook", MOST_WEBHOOKS)
        webhooks.add(tx, webhook)
        if also is not None:
            also(tx, webhook)
    return webhook, secret


def get(db: Db, webhook_id: str, *, locations: Locations) -> Webhook:
    """The subscription. Raises `Unknown`, also where it tells of more locations than the caller may see."""
    with db.read() as tx:
        return _get(tx, webhook_id, locations)


def list_all(db: Db, *, locations: Locations) -> list[Webhook]:
    """The subscriptions that the caller may see, oldest first."""
    with db.read() as tx:
        return [webhook for webhook in webhooks.all_webhooks(tx) if _sees(locations, webhook)]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subscription is doing."""

    webhook: Webhook
    waiting: int
    given_up: int


def standings(db: Db) -> list[Standing]:
    """How every subscription is doing, oldest first."""
    with db.read() as tx:
        counts = webhooks.open_deliveries(tx)
        return [Standing(webhook, *counts.get(webhook.id, (0, 0))) for webhook in webhooks.all_webhooks(tx)]


def update(
    context: Context, webhook_id: str, change: WebhookChange, *, locations: Locations, networks: Iterable[Network]
) -> Webhook:
    """Change a subscription. To set it active, or to give it another address, gives its receiver a new chance.

    Raises `Unknown`, `Invalid`.
    """
    check_url(change.url, networks)
    now = context.clock()
    with context.db.write() as tx:
        before = _get(tx, webhook_id, locations)
        after = replace(
            before,
            url=before.url if change.url is None else change.url,
            events=before.events if change.events is None else tuple(change.events),
            origins=_origins(change.origins) or before.origins,
            description=before.description if change.description is None else change.description,
            active=before.active if change.active is None else change.active,
            updated_at=now,
        )
        webhooks.change(tx, after)
        if change.active or after.url != before.url:
            webhooks.note_success(tx, webhook_id)
            webhooks.bring_forward(tx, webhook_id, now=now)
        return _get(tx, webhook_id, locations)


def delete(db: Db, webhook_id: str, *, locations: Locations) -> None:
    """End a subscription. What waits for it is not delivered. Raises `Unknown`."""
    with db.write() as tx:
        _get(tx, webhook_id, locations)
        webhooks.remove(tx, webhook_id)


def rotate_secret(context: Context, webhook_id: str, *, locations: Locations) -> tuple[Webhook, str]:
    """Give the subscription a new secret; the one it had signs beside it for a day. Raises `Unknown`."""
    now = context.clock()
    with context.db.write() as tx:
        before = _get(tx, webhook_id, locations)
        secret = decide.secret_text(before.signature, secrets.token_bytes(32))
        after = replace(
            before,
            secret=context.vault.seal(secret, account_id=webhook_id),
            # All of them, should the answer be lost and the rotation repeated: nobody knows which one the receiver has.
            former_secrets=((before.secret, now + OVERLAP_SECONDS), *_signing(before, now=now))[:MOST_SECRETS],
            updated_at=now,
        )
        webhooks.change(tx, after)
    return after, secret


def public_key(vault: Vault, webhook: Webhook) -> str | None:
    """What a receiver verifies signatures with, where that is no secret. None as well: the bridge can't tell.

    Nothing is signed then: what is delivered fails, and says why.
    """
    if webhook.signature != Signature.V1A:
        return None
    try:
        return decide.public_key(vault.open(webhook.secret, account_id=webhook.id))
    except SecretUnreadable:
        return None


def check_url(url: str | None, networks: Iterable[Network]) -> None:
    """Raises `Invalid` for an address that is none, or one that nothing may be sent to."""
    if url is not None and (problem := decide.url_problem(url, networks)) is not None:
        raise Invalid((FieldProblem("/url", "invalid_value", problem),))


def _origins(names: Sequence[str] | None) -> tuple[ChangeOrigin, ...]:
    return tuple(ChangeOrigin(name) for name in dict.fromkeys(names or ()))


def _get(tx: Tx, webhook_id: str, locations: Locations) -> Webhook:
    found = webhooks.get(tx, webhook_id)
    if found is None or not _sees(locations, found):
        raise Unknown("webhook", webhook_id)
    return found


def _sees(locations: Locations, webhook: Webhook) -> bool:
    return locations is None or (bool(webhook.location_ids) and webhook.location_ids <= locations)


# --- Deliveries, as their owner sees them ----------------------------------------------------------------------------


def test(context: Context, webhook_id: str, *, locations: Locations) -> Delivery:
    """Send a `WebhookTest`, once, even to a subscription that is not active. Raises `Unknown`."""
    now = context.clock()
    with context.db.write() as tx:
        webhook = _get(tx, webhook_id, locations)
        content = {"test": {"webhook": webhook.id, "description": webhook.description}}
        made = _told_once(webhook, decide.TEST, content, now=now)
        webhooks.put_delivery(tx, made)
    return made


def list_deliveries(
    db: Db, webhook_id: str, *, locations: Locations, state: DeliveryState | None, before: int | None, limit: int
) -> list[tuple[int, Delivery]]:
    """The deliveries of a subscription, newest first, each with a number to list on `before`. Raises `Unknown`."""
    with db.read() as tx:
        _get(tx, webhook_id, locations)
        return webhooks.deliveries(tx, webhook_id, state=state, before=before, limit=limit)


def retry(db: Db, webhook_id: str, delivery_id: str, *, locations: Locations, now: int) -> Delivery:
    """Send a delivery again, whatever became of it, under the id that it had. Raises `Unknown`."""
    with db.write() as tx:
        _get(tx, webhook_id, locations)
        if webhooks.delivery(tx, webhook_id, delivery_id) is None:
            raise Unknown("delivery", delivery_id)
        webhooks.send_again(tx, delivery_id, now=now)
        found = webhooks.delivery(tx, webhook_id, delivery_id)
    assert found is not None, "it was there a moment ago, in this transaction"  # noqa: S101
    return found


def replay(context: Context, webhook_id: str, cursor: str, *, locations: Locations) -> None:
    """Tell of everything after a cursor of the change feed again. Deliveries have the ids that they had.

    Raises `Unknown`, `CursorExpired`, `Invalid`.
    """
    with context.db.write() as tx:
        webhook = _get(tx, webhook_id, locations)
        webhooks.move_to(tx, webhook_id, min(feed.place_of(tx, cursor), webhook.place))


# --- From changes to deliveries --------------------------------------------------------------------------------------


def spread(context: Context) -> bool:
    """Make deliveries of what has happened. True when there is more to do."""
    with context.db.read() as tx:
        if not webhooks.behind(tx, head=changes.head(tx)):
            return False  # the usual case costs no write
    now = context.clock()
    with context.db.write() as tx:
        head = changes.head(tx)
        # One that has much to catch up with comes last, a batch at a time.
        return any(_spread(tx, webhook, head, now=now) for webhook in webhooks.behind(tx, head=head))


def _spread(tx: Tx, webhook: Webhook, head: int, *, now: int) -> bool:
    place = webhook.place
    forgotten = changes.forgotten(tx)
    if place < forgotten:
        # Paused for longer than changes are kept: what happened can't be told any more, only that something did.
        content = {"resync": {"userId": None, "reason": "history_expired"}}
        webhooks.put_delivery(tx, _told_once(webhook, str(ChangeType.RESYNC_REQUIRED), content, now=now))
        place = forgotten
    found = changes.after(tx, place, locations=webhook.location_ids or None, types=None, limit=BATCH)
    for change in found:
        if decide.wants(webhook, change):
            wait = 0
            if change.news.type == ChangeType.RESYNC_REQUIRED:
                wait = SETTLE_SECONDS
                webhooks.supersede(
                    tx, webhook.id, change.news.id, str(change.news.type), below=change.sequence, now=now
                )
            message = decide.message_id(webhook.id, change.sequence)
            webhooks.put_delivery(
                tx,
                _delivery(
                    webhook,
                    message,
                    str(change.news.type),
                    change.news.id,
                    decide.change_body(change, message, now=now),
                    sequence=change.sequence,
                    due=now + wait,
                    now=now,
                ),
            )
    more = len(found) == BATCH
    webhooks.move_to(tx, webhook.id, found[-1].sequence if more else head)
    return more


def _told_once(webhook: Webhook, type_: str, content: dict[str, Any], *, now: int) -> Delivery:
    """A delivery that tells of no change."""
    message = f"msg_{secrets.token_hex(12)}"
    location_id = next(iter(webhook.location_ids)) if len(webhook.location_ids) == 1 else None
    text = decide.body(type_, message, location_id, content, now=now)
    return _delivery(webhook, message, type_, message, text, sequence=None, due=now, now=now)


def _delivery(
    webhook: Webhook,
    message: str,
    type_: str,
    resource_id: str,
    body: str,
    *,
    sequence: int | None,
    due: int,
    now: int,
) -> Delivery:
    return Delivery(
        id=message,
        webhook_id=webhook.id,
        sequence=sequence,
        type=type_,
        resource_id=resource_id,
        body=body,
        state=DeliveryState.PENDING,
        attempts=0,
        next_attempt_at=due,
        last_status=None,
        last_reason=None,
        last_attempt_at=None,
        created_at=now,
        updated_at=now,
    )


# --- Delivering ------------------------------------------------------------------------------------------------------


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
        headers = decide.headers(delivery.id, _secrets(context.vault, webhook, now=now), payload, now=now)
        status = await receivers.post(webhook.url, headers, payload)
    except SecretUnreadable:
        _failed(context, delivery, NotTaken("the key of the bridge does not open the secret of this webhook"))
    except NotTaken as error:
        _failed(context, delivery, error)
    else:
        _delivered(context, delivery, status)


def _secrets(vault: Vault, webhook: Webhook, *, now: int) -> list[str]:
    sealed = [webhook.secret, *(secret for secret, _ in _signing(webhook, now=now))]
    return [vault.open(secret, account_id=webhook.id) for secret in sealed]


def _signing(webhook: Webhook, *, now: int) -> tuple[tuple[bytes, int], ...]:
    """Its former secrets that sign still."""
    return tuple((secret, until) for secret, until in webhook.former_secrets if now < until)


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


def prune(tx: Tx, *, now: int) -> None:
    """Forget deliveries that were settled long ago."""
    webhooks.prune(tx, before=now - KEEP_SECONDS)
    webhooks.release(tx, now=now)


def bring_forward(tx: Tx, *, now: int) -> None:
    """Make everything that waits due now: the clock that it was planned by was wrong."""
    webhooks.bring_forward(tx, now=now)
