"""Deliveries: making them for changes, and showing, repeating and testing them for the owner of a subscription."""

from __future__ import annotations

import secrets
from typing import Any

from bridge.domain import webhooks as decide
from bridge.domain.changes import ChangeType
from bridge.domain.webhooks import Delivery, DeliveryState, Webhook
from bridge.errors import Unknown
from bridge.service import changes as feed
from bridge.service.context import Context
from bridge.service.visibility import Locations
from bridge.service.webhooks import subscriptions
from bridge.store import changes, webhooks
from bridge.store.db import Db, Tx

#: How many changes are looked at in one transaction for one subscription.
BATCH = 200
#: Seconds that a `ResyncRequired` waits, to be replaced by a later one: a first mirror run causes many of them.
SETTLE_SECONDS = 10
#: Seconds for which settled deliveries are kept.
KEEP_SECONDS = 30 * 86_400

# --- From changes to deliveries --------------------------------------------------------------------------------------


def spread(context: Context) -> bool:
    """Make deliveries for new changes. True when there are more changes to look at."""
    with context.db.read() as tx:
        if not webhooks.behind(tx, head=changes.head(tx)):
            return False  # mostly there is nothing new, and then nothing has to be written
    now = context.clock()
    with context.db.write() as tx:
        head = changes.head(tx)
        # Subscriptions that are far behind come last, and get one batch at a time.
        return any(_spread(tx, webhook, head, now=now) for webhook in webhooks.behind(tx, head=head))


def _spread(tx: Tx, webhook: Webhook, head: int, *, now: int) -> bool:
    place = webhook.place
    forgotten = changes.forgotten(tx)
    if place < forgotten:
        # It was paused for longer than changes are kept: they are lost, so everything has to be listed.
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
    """A delivery that does not report a change."""
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


def prune(tx: Tx, *, now: int) -> None:
    """Delete deliveries that were settled long ago."""
    webhooks.prune(tx, before=now - KEEP_SECONDS)
    webhooks.release(tx, now=now)


def bring_forward(tx: Tx, *, now: int) -> None:
    """Make every waiting delivery due now: it was planned by a clock that was wrong."""
    webhooks.bring_forward(tx, now=now)


# --- As their owner sees them -----------------------------------------------------------------------------------------


def test(context: Context, webhook_id: str, *, locations: Locations) -> Delivery:
    """Send a `WebhookTest`, once, even to a subscription that is not active. Raises `Unknown`."""
    now = context.clock()
    with context.db.write() as tx:
        webhook = subscriptions.find(tx, webhook_id, locations)
        content = {"test": {"webhook": webhook.id, "description": webhook.description}}
        made = _told_once(webhook, decide.TEST, content, now=now)
        webhooks.put_delivery(tx, made)
    return made


def list_deliveries(
    db: Db, webhook_id: str, *, locations: Locations, state: DeliveryState | None, before: int | None, limit: int
) -> list[tuple[int, Delivery]]:
    """The deliveries of a subscription, newest first, each with a number to list on `before`. Raises `Unknown`."""
    with db.read() as tx:
        subscriptions.find(tx, webhook_id, locations)
        return webhooks.deliveries(tx, webhook_id, state=state, before=before, limit=limit)


def retry(db: Db, webhook_id: str, delivery_id: str, *, locations: Locations, now: int) -> Delivery:
    """Send a delivery again, whatever its state, under the same id. Raises `Unknown`."""
    with db.write() as tx:
        subscriptions.find(tx, webhook_id, locations)
        if webhooks.delivery(tx, webhook_id, delivery_id) is None:
            raise Unknown("delivery", delivery_id)
        webhooks.send_again(tx, delivery_id, now=now)
        found = webhooks.delivery(tx, webhook_id, delivery_id)
    assert found is not None, "it was there a moment ago, in this transaction"  # noqa: S101
    return found


def replay(context: Context, webhook_id: str, cursor: str, *, locations: Locations) -> None:
    """Send everything after a cursor of the change feed again. Deliveries have the same ids as before.

    Raises `Unknown`, `CursorExpired`, `Invalid`.
    """
    with context.db.write() as tx:
        webhook = subscriptions.find(tx, webhook_id, locations)
        webhooks.move_to(tx, webhook_id, min(feed.place_of(tx, cursor), webhook.place))
