"""Webhooks (Standard Webhooks 1.0): what to send to which subscription, and what an answer means. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bridge.domain.changes import OF_SLOTS, Change, ChangeOrigin, ChangeType, Resource
from bridge.domain.rfc3339 import format_utc
from bridge.errors import NotTaken

#: The name that stands for every event.
ALL = "*"
#: The type of the message that `POST /v1/webhooks/{id}/test` sends.
TEST = "WebhookTest"
#: The types to which one can subscribe. A test is always sent.
EVENTS = (ALL, *(str(type_) for type_ in ChangeType))
#: A CRM does not hear its own writes unless it asks to.
DEFAULT_ORIGINS = (ChangeOrigin.ICLOUD, ChangeOrigin.BRIDGE)


class Signature(StrEnum):
    """How deliveries are signed: with a shared secret (HMAC-SHA256), or a key pair (Ed25519)."""

    V1 = "v1"
    V1A = "v1a"


class WebhookStatus(StrEnum):
    """The state of a receiver."""

    ACTIVE = "active"
    #: Several deliveries in a row have failed.
    FAILING = "failing"
    #: Nothing is sent: it answered 410, or failed for days. Changes are kept for it meanwhile.
    DISABLED = "disabled"


class DeliveryState(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    #: It was given up.
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription: to which address changes of some locations are sent."""

    id: str
    #: Empty: every location.
    location_ids: frozenset[str]
    #: The id of the token that made it.
    token_id: str
    url: str
    events: tuple[str, ...]
    origins: tuple[ChangeOrigin, ...]
    description: str
    signature: Signature
    #: The sealed secret. The sealed former ones come with the instants until which they sign as well.
    secret: bytes = field(repr=False)
    former_secrets: tuple[tuple[bytes, int], ...] = field(repr=False)
    active: bool
    status: WebhookStatus
    status_reason: str
    failing_since: int | None
    #: How many deliveries in a row have failed.
    failures: int
    #: Nothing is sent before this instant, by request of the receiver.
    rest_until: int
    #: The sequence number of the last change that was looked at for it.
    place: int
    created_at: int
    updated_at: int

    @property
    def listening(self) -> bool:
        """Whether deliveries are sent to it."""
        return self.active and self.status != WebhookStatus.DISABLED


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one receiver."""

    #: The `webhook-id`, which is the same for each attempt.
    id: str
    webhook_id: str
    #: The sequence number of the change; None: it does not report one.
    sequence: int | None
    type: str
    #: The resource that it is about. Deliveries about the same one are sent one at a time, in order.
    resource_id: str
    body: str
    state: DeliveryState
    attempts: int
    #: None: once the earlier ones about the same resource are settled.
    next_attempt_at: int | None
    last_status: int | None
    last_reason: str | None
    last_attempt_at: int | None
    created_at: int
    updated_at: int


# --- Who wants what --------------------------------------------------------------------------------------------------


def wants(webhook: Webhook, change: Change) -> bool:
    """Whether a change is to be sent to a subscription."""
    news = change.news
    if webhook.location_ids and news.location_id not in webhook.location_ids:
        return False
    if news.type == ChangeType.RESYNC_REQUIRED:
        if news.document["reason"] not in OF_SLOTS:
            return True  # whatever somebody follows, what they know of it may be outdated
        # It stands for many changes of blocked slots, so it is sent to everybody who follows these.
        named = {ALL, str(ChangeType.RESYNC_REQUIRED)} & set(webhook.events)
        follows = any(event.startswith("BlockedSlot") for event in webhook.events)
        return bool(named or follows) and bool({ChangeOrigin.ICLOUD, ChangeOrigin.BRIDGE} & set(webhook.origins))
    return news.origin in webhook.origins and bool({ALL, str(news.type)} & set(webhook.events))


def message_id(webhook_id: str, sequence: int) -> str:
    """The `webhook-id` of a change for a subscription: the same however often it is sent."""
    return f"msg_{hashlib.sha256(f'{webhook_id}/{sequence}'.encode()).hexdigest()[:24]}"


#: The key of the resource in a message, which is HighLevel's where HighLevel has one.
_KEYS = {
    Resource.APPOINTMENT: "appointment",
    Resource.BLOCKED_SLOT: "blockedSlot",
    Resource.CONNECTION: "connection",
    Resource.USER: "resync",
}


def change_body(change: Change, message: str, *, now: int) -> str:
    """The message for a change: in HighLevel's shape, with `change` in addition."""
    news = change.news
    told = {
        "sequence": change.sequence,
        "origin": str(news.origin),
        "changedFields": list(news.changed_fields),
        "previous": dict(news.previous),
        "occurredAt": format_utc(change.occurred_at),
    }
    return body(
        str(news.type), message, news.location_id, {_KEYS[news.resource]: dict(news.document), "change": told}, now=now
    )


def body(type_: str, message: str, location_id: str | None, content: dict[str, Any], *, now: int) -> str:
    """A message."""
    document = {
        "type": type_,
        "webhookId": message,
        "timestamp": format_utc(now),
        "locationId": location_id,
        **content,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


# --- What an answer means --------------------------------------------------------------------------------------------

#: Seconds to wait after the first, second, … failed attempt (the example schedule of Standard Webhooks). Then the
#: delivery is given up, after about three days.
BACKOFF = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: A receiver is `failing` after so many failures in a row, and `disabled` when they have gone on for so many seconds.
FAILING_AFTER = 5
DISABLED_AFTER = 5 * 86_400
#: The longest pause in seconds for a receiver that throttles without saying for how long.
LONGEST_REST = 300
#: The longest Retry-After that is honoured, in seconds.
LONGEST_RETRY_AFTER = 86_400
#: The statuses with which receivers, or proxies before them, throttle.
_SLOW_DOWN = {429, 502, 504}
GONE = 410


@dataclass(frozen=True, slots=True)
class Failed:
    """The consequences of a failed attempt, for the delivery and for its receiver."""

    #: When the delivery is tried again; None: it is given up.
    retry_at: int | None
    #: Until when nothing at all is sent to the receiver.
    rest_until: int
    status: WebhookStatus
    status_reason: str


def after_failure(webhook: Webhook, error: NotTaken, attempts: int, *, now: int, jitter: float) -> Failed:
    """The consequences of a failed attempt, the `attempts`-th of its delivery. `jitter` is from 0 to 1."""
    failing_since = webhook.failing_since if webhook.failing_since is not None else now
    if error.status == GONE:
        return Failed(now, 0, WebhookStatus.DISABLED, "The receiver answered 410 Gone.")
    status, reason = WebhookStatus.ACTIVE, ""
    if now - failing_since >= DISABLED_AFTER:
        status, reason = WebhookStatus.DISABLED, f"Nothing could be delivered for days: {error.reason}"
    elif webhook.failures + 1 >= FAILING_AFTER:
        status, reason = WebhookStatus.FAILING, error.reason
    wished = min(error.retry_after or 0.0, LONGEST_RETRY_AFTER)
    wait = BACKOFF[min(attempts, len(BACKOFF)) - 1]
    rest = 0
    if wished:
        rest = now + round(wished)
    elif error.status in _SLOW_DOWN:
        rest = now + min(wait, LONGEST_REST)
    retry_at = now + round(max(wait * (1 + jitter / 5), wished)) if attempts <= len(BACKOFF) else None
    return Failed(retry_at, rest, status, reason)
