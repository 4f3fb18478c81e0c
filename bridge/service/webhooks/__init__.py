"""Webhooks: subscriptions, and the deliveries that report changes to their receivers.

Changes are recorded in the change feed first. Each subscription has a place in the feed. Deliveries for the changes
after it are made in one transaction with its new place, and kept until the receiver has accepted them, or they are
given up. After a crash at any point, a delivery may be sent again, under the same id.
"""

from bridge.domain.webhooks import EVENTS, Delivery, DeliveryState, Signature, Webhook
from bridge.service.webhooks.deliveries import bring_forward, list_deliveries, prune, replay, retry, spread, test
from bridge.service.webhooks.posting import Deliveries, Receivers, deliver
from bridge.service.webhooks.subscriptions import (
    Also,
    Standing,
    WebhookChange,
    check_url,
    create,
    delete,
    get,
    list_all,
    public_key,
    rotate_secret,
    standings,
    update,
)

__all__ = [
    "EVENTS",
    "Also",
    "Deliveries",
    "Delivery",
    "DeliveryState",
    "Receivers",
    "Signature",
    "Standing",
    "Webhook",
    "WebhookChange",
    "bring_forward",
    "check_url",
    "create",
    "delete",
    "deliver",
    "get",
    "list_all",
    "list_deliveries",
    "prune",
    "public_key",
    "replay",
    "retry",
    "rotate_secret",
    "spread",
    "standings",
    "test",
    "update",
]
