"""Webhooks and their deliveries."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Collection

from bridge.domain.changes import ChangeOrigin
from bridge.domain.webhooks import Delivery, DeliveryState, Signature, Webhook, WebhookStatus
from bridge.store.db import Row, Tx


def add(tx: Tx, webhook: Webhook) -> None:
    """Add a subscription."""
    columns = _WEBHOOK.split(", ")
    tx.execute(f"INSERT INTO webhooks ({_WEBHOOK}) VALUES (:{', :'.join(columns)})", _values(webhook))


def change(tx: Tx, webhook: Webhook) -> None:
    """Update what the owner of a subscription can set."""
    tx.execute(
        "UPDATE webhooks SET url = :url, events = :events, origins = :origins, description = :description,"
        " active = :active, secret = :secret, former_secrets = :former_secrets,"
        " updated_at = :updated_at WHERE id = :id",
        _values(webhook),
    )


def remove(tx: Tx, webhook_id: str) -> None:
    """Remove a subscription with its secret and its deliveries."""
    tx.execute("DELETE FROM webhooks WHERE id = :id", {"id": webhook_id})


def get(tx: Tx, webhook_id: str) -> Webhook | None:
    """The subscription, or None."""
    row = tx.execute(f"SELECT {_WEBHOOK} FROM webhooks WHERE id = :id", {"id": webhook_id}).fetchone()
    return _webhook(row) if row else None


def all_webhooks(tx: Tx) -> list[Webhook]:
    """Every subscription, oldest first."""
    return [_webhook(row) for row in tx.execute(f"SELECT {_WEBHOOK} FROM webhooks ORDER BY created_at, id")]


def count(tx: Tx, location_ids: Collection[str]) -> int:
    """How many subscriptions there are to exactly these locations."""
    of = {"location_ids": json.dumps(sorted(location_ids))}
    found: int = tx.execute("SELECT COUNT(*) FROM webhooks WHERE location_ids = :location_ids", of).fetchone()[0]
    return found


def any_secret(tx: Tx) -> bool:
    """Whether the store holds a sealed secret."""
    return tx.execute("SELECT 1 FROM webhooks WHERE length(secret) > 0 LIMIT 1").fetchone() is not None


def open_deliveries(tx: Tx) -> dict[str, tuple[int, int]]:
    """The numbers of waiting deliveries, and of those that were given up, by subscription."""
    rows = tx.execute(
        "SELECT webhook_id, SUM(state = 'pending') AS waiting, SUM(state = 'dead') AS dead FROM webhook_deliveries"
        " WHERE state IN ('pending', 'dead') GROUP BY webhook_id"
    )
    return {row["webhook_id"]: (row["waiting"], row["dead"]) for row in rows}


def behind(tx: Tx, *, head: int) -> list[Webhook]:
    """The active subscriptions that are behind the change feed, those with the fewest missing changes first."""
    rows = tx.execute(
        f"SELECT {_WEBHOOK} FROM webhooks WHERE active = 1 AND status <> 'disabled' AND place < :head"
        " ORDER BY place DESC, id",
        {"head": head},
    )
    return [_webhook(row) for row in rows]


def move_to(tx: Tx, webhook_id: str, place: int) -> None:
    """Set the last change that was looked at for a subscription. An earlier one makes changes be looked at again."""
    tx.execute("UPDATE webhooks SET place = :place WHERE id = :id", {"id": webhook_id, "place": place})


def note_success(tx: Tx, webhook_id: str) -> None:
    """Note that the receiver accepted a delivery."""
    tx.execute(
        "UPDATE webhooks SET status = 'active', status_reason = '', failing_since = NULL, failures = 0, rest_until = 0"
        " WHERE id = :id",
        {"id": webhook_id},
    )


def note_failure(tx: Tx, webhook_id: str, status: WebhookStatus, reason: str, *, rest_until: int, now: int) -> None:
    """Note that the receiver did not accept a delivery."""
    tx.execute(
        "UPDATE webhooks SET status = :status, status_reason = :reason, failures = failures + 1,"
        " failing_since = COALESCE(failing_since, :now),"
        " rest_until = CASE WHEN rest_until < :rest_until THEN :rest_until ELSE rest_until END WHERE id = :id",
        {"id": webhook_id, "status": status, "reason": reason, "rest_until": rest_until, "now": now},
    )


# --- Deliveries ------------------------------------------------------------------------------------------------------


def put_delivery(tx: Tx, delivery: Delivery) -> None:
    """Add a delivery, which waits for earlier ones about the same resource.

    If there is one with this id already: a settled one is sent again, and a waiting one goes on waiting.
    """
    columns = _DELIVERY.split(", ")
    values = f":{', :'.join(columns)}".replace(
        ":next_attempt_at", f"CASE WHEN EXISTS ({_EARLIER}) THEN NULL ELSE :next_attempt_at END"
    )
    tx.execute(
        f"INSERT INTO webhook_deliveries ({_DELIVERY}) VALUES ({values}) ON CONFLICT (id) DO UPDATE SET"
        " state = 'pending', attempts = 0, next_attempt_at = excluded.next_attempt_at,"
        " updated_at = excluded.updated_at WHERE webhook_deliveries.state <> 'pending'",
        {column: getattr(delivery, column) for column in columns},
    )


def delivery(tx: Tx, webhook_id: str, delivery_id: str) -> Delivery | None:
    """One delivery of a subscription, or None."""
    row = tx.execute(
        f"SELECT {_DELIVERY} FROM webhook_deliveries WHERE id = :id AND webhook_id = :webhook_id",
        {"id": delivery_id, "webhook_id": webhook_id},
    ).fetchone()
    return _delivery(row) if row else None


def deliveries(
    tx: Tx, webhook_id: str, *, state: DeliveryState | None, before: int | None, limit: int
) -> list[tuple[int, Delivery]]:
    """The deliveries of a subscription, newest first, each with its number; those with lower numbers than `before`."""
    rows = tx.execute(
        f"SELECT number, {_DELIVERY} FROM webhook_deliveries WHERE webhook_id = :webhook_id"
        " AND (:state IS NULL OR state = :state) AND (:before IS NULL OR number < :before)"
        " ORDER BY number DESC LIMIT :limit",
        {"webhook_id": webhook_id, "state": state, "before": before, "limit": limit},
    )
    return [(row["number"], _delivery(row)) for row in rows]


def waiting(tx: Tx, *, now: int) -> list[Webhook]:
    """The subscriptions for which a delivery is due, if they may be sent anything: a test always may."""
    rows = tx.execute(WAITING, {"now": now})
    return [_webhook(row) for row in rows]


def due(tx: Tx, webhook_id: str, *, now: int, tests_only: bool, busy: Collection[str], limit: int) -> list[Delivery]:
    """The deliveries of a subscription that are due, longest waiting first, save those about resources that are `busy`.

    None whose resource has an earlier one that is not settled yet.
    """
    names = {f"b{n}": resource_id for n, resource_id in enumerate(busy)}
    columns = ", ".join(f"d.{column}" for column in _DELIVERY.split(", "))
    rows = tx.execute(
        f"SELECT {columns} FROM webhook_deliveries d WHERE d.webhook_id = :webhook_id AND d.state = 'pending'"
        f" AND d.next_attempt_at <= :now{f' AND {_TEST}' if tests_only else ''}"
        f" AND d.resource_id NOT IN ({', '.join(f':{name}' for name in names)})"
        " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries e WHERE e.webhook_id = d.webhook_id"
        "  AND e.resource_id = d.resource_id AND e.state = 'pending' AND e.sequence < d.sequence)"
        " ORDER BY d.next_attempt_at, d.sequence LIMIT :limit",
        {"webhook_id": webhook_id, "now": now, "limit": limit, **names},
    )
    return [_delivery(row) for row in rows]


def settle(tx: Tx, delivery_id: str, state: DeliveryState, *, status: int | None, reason: str | None, now: int) -> None:
    """Settle a delivery that was accepted or is given up. The next one about the same resource is then due."""
    row = tx.execute(
        "UPDATE webhook_deliveries SET state = :state, attempts = attempts + 1, last_status = :status,"
        " last_reason = :reason, last_attempt_at = :now, updated_at = :now WHERE id = :id"
        " RETURNING webhook_id, resource_id",
        {"id": delivery_id, "state": state, "status": status, "reason": reason, "now": now},
    ).fetchone()
    if row is not None:
        tx.execute(
            "UPDATE webhook_deliveries SET next_attempt_at = :now WHERE next_attempt_at IS NULL AND number ="
            " (SELECT number FROM webhook_deliveries WHERE webhook_id = :webhook_id AND resource_id = :resource_id"
            "  AND state = 'pending' ORDER BY sequence LIMIT 1)",
            {"now": now, **row},
        )


def put_off(tx: Tx, delivery_id: str, *, until: int, status: int | None, reason: str, now: int) -> None:
    """Note that an attempt failed, and when the delivery is tried again."""
    tx.execute(
        "UPDATE webhook_deliveries SET attempts = attempts + 1, next_attempt_at = :until, last_status = :status,"
        " last_reason = :reason, last_attempt_at = :now, updated_at = :now WHERE id = :id",
        {"id": delivery_id, "until": until, "status": status, "reason": reason, "now": now},
    )


def send_again(tx: Tx, delivery_id: str, *, now: int) -> None:
    """Make a delivery due now, as if it had never been tried."""
    tx.execute(
        "UPDATE webhook_deliveries SET state = 'pending', attempts = 0, next_attempt_at = :now, updated_at = :now"
        " WHERE id = :id",
        {"id": delivery_id, "now": now},
    )


def bring_forward(tx: Tx, webhook_id: str | None = None, *, now: int) -> None:
    """Make every waiting delivery due now, for one subscription or for all."""
    tx.execute(
        "UPDATE webhook_deliveries SET next_attempt_at = :now WHERE state = 'pending' AND next_attempt_at > :now"
        " AND (:webhook_id IS NULL OR webhook_id = :webhook_id)",
        {"webhook_id": webhook_id, "now": now},
    )
    tx.execute(
        "UPDATE webhooks SET rest_until = 0 WHERE :webhook_id IS NULL OR id = :webhook_id", {"webhook_id": webhook_id}
    )


def supersede(tx: Tx, webhook_id: str, resource_id: str, type_: str, *, below: int, now: int) -> None:
    """Delete waiting deliveries of this type that were never tried: a later one replaces them."""
    tx.execute(
        "DELETE FROM webhook_deliveries WHERE webhook_id = :webhook_id AND resource_id = :resource_id AND type = :type"
        " AND state = 'pending' AND sequence < :below AND attempts = 0"
        " AND (next_attempt_at IS NULL OR next_attempt_at > :now)",
        {"webhook_id": webhook_id, "resource_id": resource_id, "type": type_, "below": below, "now": now},
    )


def prune(tx: Tx, *, before: int) -> None:
    """Delete deliveries that were settled before an instant."""
    tx.execute("DELETE FROM webhook_deliveries WHERE updated_at < :before AND state <> 'pending'", {"before": before})


def release(tx: Tx, *, now: int) -> None:
    """Make deliveries due that wait for an earlier one which was deleted rather than settled."""
    tx.execute(
        "UPDATE webhook_deliveries SET next_attempt_at = :now WHERE state = 'pending' AND next_attempt_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries e WHERE e.webhook_id = webhook_deliveries.webhook_id"
        "  AND e.resource_id = webhook_deliveries.resource_id AND e.state = 'pending'"
        "  AND e.sequence < webhook_deliveries.sequence)",
        {"now": now},
    )


#: An earlier delivery about the same resource that is not settled.
_EARLIER = (
    "SELECT 1 FROM webhook_deliveries e WHERE e.webhook_id = :webhook_id AND e.resource_id = :resource_id"
    " AND e.state = 'pending' AND e.sequence < :sequence"
)
_WEBHOOK = (
    "id, location_ids, token_id, url, events, origins, description, signature, secret, former_secrets,"
    " active, status, status_reason, failing_since, failures, rest_until, place, created_at, updated_at"
)
_DELIVERY = (
    "id, webhook_id, sequence, type, resource_id, body, state, attempts, next_attempt_at, last_status, last_reason,"
    " last_attempt_at, created_at, updated_at"
)
#: As the index has it of tests that wait.
_TEST = "d.type = 'WebhookTest'"
_DUE = (
    "SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_attempt_at <= :now"
)
#: Tests apart: much may wait for one that may be sent nothing else now.
WAITING = (
    f"SELECT {', '.join(f'w.{column}' for column in _WEBHOOK.split(', '))} FROM webhooks w"
    " WHERE (w.active = 1 AND w.status <> 'disabled' AND w.rest_until <= :now"
    f" AND EXISTS ({_DUE})) OR EXISTS ({_DUE} AND {_TEST}) ORDER BY w.id"
)


def _values(webhook: Webhook) -> dict[str, object]:
    values = {column: getattr(webhook, column) for column in _WEBHOOK.split(", ")}
    return {
        **values,
        "location_ids": json.dumps(sorted(webhook.location_ids)),
        "events": json.dumps(webhook.events),
        "origins": json.dumps(webhook.origins),
        "former_secrets": json.dumps([(b64encode(sealed).decode(), until) for sealed, until in webhook.former_secrets]),
    }


def _webhook(row: Row) -> Webhook:
    return Webhook(
        **{
            **dict(row),
            "location_ids": frozenset(json.loads(row["location_ids"])),
            "events": tuple(json.loads(row["events"])),
            "origins": tuple(ChangeOrigin(origin) for origin in json.loads(row["origins"])),
            "former_secrets": tuple((b64decode(sealed), until) for sealed, until in json.loads(row["former_secrets"])),
            "signature": Signature(row["signature"]),
            "active": bool(row["active"]),
            "status": WebhookStatus(row["status"]),
        }
    )


def _delivery(row: Row) -> Delivery:
    values = {column: row[column] for column in _DELIVERY.split(", ")}
    return Delivery(**{**values, "state": DeliveryState(row["state"])})
