"""Subscriptions: which changes are sent to which receiver, and the secrets with which deliveries are signed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from bridge.domain import addresses, signing
from bridge.domain import webhooks as decide
from bridge.domain.addresses import Network
from bridge.domain.changes import ChangeOrigin
from bridge.domain.webhooks import ALL, Signature, Webhook, WebhookStatus
from bridge.errors import FieldProblem, Invalid, SecretUnreadable, TooMany, Unknown
from bridge.service.context import Context, Vault
from bridge.service.visibility import Locations
from bridge.store import changes, webhooks
from bridge.store.db import Db, Tx

#: The limit for subscriptions to the same locations: each change is delivered to all of them.
MOST_WEBHOOKS = 50
#: Seconds after a rotation for which the old secret signs as well.
OVERLAP_SECONDS = 86_400
#: At most this many former secrets sign beside the new one.
MOST_SECRETS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """What to set on a subscription. None: leave it as it is, or the default of a new one."""

    url: str | None = None
    events: Sequence[str] | None = None
    origins: Sequence[str] | None = None
    description: str | None = None
    active: bool | None = None


#: Called inside the transaction of the subscription, so that what it writes is committed together with it.
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
    """Subscribe to changes from now on. Returns the subscription and its secret. Raises `Invalid`, `TooMany`."""
    check_url(change.url, networks)
    now = context.clock()
    webhook_id = f"whk_{secrets.token_hex(12)}"
    secret = signing.secret_text(signature, secrets.token_bytes(32))
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
        return find(tx, webhook_id, locations)


def list_all(db: Db, *, locations: Locations) -> list[Webhook]:
    """The subscriptions that the caller may see, oldest first."""
    with db.read() as tx:
        return [webhook for webhook in webhooks.all_webhooks(tx) if _sees(locations, webhook)]


@dataclass(frozen=True, slots=True)
class Standing:
    """A subscription, with the counts of its waiting deliveries and of those that were given up."""

    webhook: Webhook
    waiting: int
    given_up: int


def standings(db: Db) -> list[Standing]:
    """The standing of every subscription, oldest first."""
    with db.read() as tx:
        counts = webhooks.open_deliveries(tx)
        return [Standing(webhook, *counts.get(webhook.id, (0, 0))) for webhook in webhooks.all_webhooks(tx)]


def update(
    context: Context, webhook_id: str, change: WebhookChange, *, locations: Locations, networks: Iterable[Network]
) -> Webhook:
    """Change a subscription. Setting it active, or changing its address, clears its record of failures.

    Raises `Unknown`, `Invalid`.
    """
    check_url(change.url, networks)
    now = context.clock()
    with context.db.write() as tx:
        before = find(tx, webhook_id, locations)
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
        return find(tx, webhook_id, locations)


def delete(db: Db, webhook_id: str, *, locations: Locations) -> None:
    """Remove a subscription. Its waiting deliveries are not sent. Raises `Unknown`."""
    with db.write() as tx:
        find(tx, webhook_id, locations)
        webhooks.remove(tx, webhook_id)


def rotate_secret(context: Context, webhook_id: str, *, locations: Locations) -> tuple[Webhook, str]:
    """Give the subscription a new secret. The old one signs as well for a day. Raises `Unknown`."""
    now = context.clock()
    with context.db.write() as tx:
        before = find(tx, webhook_id, locations)
        secret = signing.secret_text(before.signature, secrets.token_bytes(32))
        after = replace(
            before,
            secret=context.vault.seal(secret, account_id=webhook_id),
            # All former secrets: if answers are lost and rotations repeated, it is not known which one the receiver
            # has.
            former_secrets=((before.secret, now + OVERLAP_SECONDS), *signing_still(before, now=now))[:MOST_SECRETS],
            updated_at=now,
        )
        webhooks.change(tx, after)
    return after, secret


def signing_still(webhook: Webhook, *, now: int) -> tuple[tuple[bytes, int], ...]:
    """The former secrets that still sign."""
    return tuple((secret, until) for secret, until in webhook.former_secrets if now < until)


def public_key(vault: Vault, webhook: Webhook) -> str | None:
    """The key with which a receiver verifies signatures, if that is public. None also where the secret can't be opened.

    In that case nothing can be signed either: deliveries fail, and say why.
    """
    if webhook.signature != Signature.V1A:
        return None
    try:
        return signing.public_key(vault.open(webhook.secret, account_id=webhook.id))
    except SecretUnreadable:
        return None


def check_url(url: str | None, networks: Iterable[Network]) -> None:
    """Raises `Invalid` for an invalid address, or one to which nothing may be sent."""
    if url is not None and (problem := addresses.url_problem(url, networks)) is not None:
        raise Invalid((FieldProblem("/url", "invalid_value", problem),))


def _origins(names: Sequence[str] | None) -> tuple[ChangeOrigin, ...]:
    return tuple(ChangeOrigin(name) for name in dict.fromkeys(names or ()))


def find(tx: Tx, webhook_id: str, locations: Locations) -> Webhook:
    """The subscription. Raises `Unknown`, also where it tells of more locations than the caller may see."""
    found = webhooks.get(tx, webhook_id)
    if found is None or not _sees(locations, found):
        raise Unknown("webhook", webhook_id)
    return found


def _sees(locations: Locations, webhook: Webhook) -> bool:
    return locations is None or (bool(webhook.location_ids) and webhook.location_ids <= locations)
