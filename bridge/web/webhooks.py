"""Webhooks over HTTP: subscriptions, their secrets, and their deliveries."""

from __future__ import annotations

import json
import re
from typing import Any

from aiohttp import web

from bridge.service import webhooks
from bridge.service.idempotency import Answer
from bridge.service.webhooks import Delivery, DeliveryState, Signature, Webhook, WebhookChange
from bridge.web import idempotency, requests
from bridge.web.keys import CONTEXT, SETTINGS, TOKEN
from bridge.web.reader import Reader
from bridge.web.requests import Body
from bridge.web.shapes.webhooks import DeliveriesQuery, ReplayBody, WebhookBody
from bridge.web.times import format_utc

PATH = "/v1/webhooks"


async def create(request: web.Request) -> web.Response:
    """Create a webhook. Its secret is only in this answer."""
    context = request.app[CONTEXT]
    body = (await requests.body_of(request, WebhookBody)).strict()
    reader = Reader(list(body.problems))
    if body.value.url is None:
        reader.wrong("url", "missing", "Give the address of the receiver.")
    change = _change(request, reader, body)
    locations = {requests.location_for(request, given) or "" for given in body.value.location_ids or ()}
    shown: list[str] = []

    def carry_out(also: webhooks.Also) -> Webhook:
        webhook, secret = webhooks.create(
            context,
            change,
            location_ids=locations or request[TOKEN].location_ids,
            signature=Signature(body.value.signature or Signature.V1),
            token_id=request[TOKEN].id,
            networks=request.app[SETTINGS].webhooks.networks,
            also=also,
        )
        if webhook.signature == Signature.V1:
            shown.append(secret)
        return webhook

    response = idempotency.once(
        request,
        body.fingerprint,
        carry_out,
        lambda webhook: Answer(
            201, json.dumps(_document(request, webhook), ensure_ascii=False), {"Location": f"{PATH}/{webhook.id}"}
        ),
    )
    return idempotency.shown_once(response, "secret", shown)


async def read(request: web.Request) -> web.Response:
    """Get a webhook, without its secret."""
    webhook = webhooks.get(
        request.app[CONTEXT].db, request.match_info["webhookId"], locations=requests.locations_of(request)
    )
    return web.json_response(_document(request, webhook))


async def list_all(request: web.Request) -> web.Response:
    """List the webhooks that the token can see, oldest first."""
    found = webhooks.list_all(request.app[CONTEXT].db, locations=requests.locations_of(request))
    return web.json_response({"webhooks": [_document(request, webhook) for webhook in found]})


async def update(request: web.Request) -> web.Response:
    """Change the fields of a webhook that are sent. `active: true` restarts a disabled one."""
    body = (await requests.body_of(request, WebhookBody)).strict()
    reader = Reader(list(body.problems))
    for name, value in (("signature", body.value.signature), ("locationIds", body.value.location_ids)):
        if value is not None:
            reader.wrong(name, "invalid_value", "It can't be changed: make another webhook.")
    reader.not_cleared(body.value, "url", "events", "origins", "active")
    webhook = webhooks.update(
        request.app[CONTEXT],
        request.match_info["webhookId"],
        _change(request, reader, body),
        locations=requests.locations_of(request),
        networks=request.app[SETTINGS].webhooks.networks,
    )
    return web.json_response(_document(request, webhook))


async def delete(request: web.Request) -> web.Response:
    """Remove a webhook, and the messages that are waiting."""
    webhooks.delete(request.app[CONTEXT].db, request.match_info["webhookId"], locations=requests.locations_of(request))
    return web.Response(status=204)


async def rotate_secret(request: web.Request) -> web.Response:
    """Make a new secret, which is only in this answer. For a day, messages are signed with both secrets."""
    webhook, secret = webhooks.rotate_secret(
        request.app[CONTEXT], request.match_info["webhookId"], locations=requests.locations_of(request)
    )
    shown = {"secret": secret} if webhook.signature == Signature.V1 else {}
    return web.json_response({**_document(request, webhook), **shown})


async def test(request: web.Request) -> web.Response:
    """Send a `WebhookTest` once, whether or not the webhook is active."""
    delivery = webhooks.test(
        request.app[CONTEXT], request.match_info["webhookId"], locations=requests.locations_of(request)
    )
    return web.json_response(_delivery(delivery), status=202)


async def list_deliveries(request: web.Request) -> web.Response:
    """List the messages, sent and waiting, newest first."""
    query, reader = requests.query_of(request, DeliveriesQuery)
    before = None
    if query.cursor is not None:
        before = int(query.cursor) if re.fullmatch(r"\d{1,18}", query.cursor, re.ASCII) else None
        if before is None:
            reader.wrong("cursor", "invalid_value", "Send the nextCursor of the previous page.")
    reader.done()
    found = webhooks.list_deliveries(
        request.app[CONTEXT].db,
        request.match_info["webhookId"],
        locations=requests.locations_of(request),
        state=None if query.state is None else DeliveryState(query.state),
        before=before,
        limit=query.limit + 1,
    )
    document: dict[str, Any] = {"deliveries": [_delivery(delivery) for _, delivery in found[: query.limit]]}
    if len(found) > query.limit:
        document["nextCursor"] = str(found[query.limit - 1][0])
    return web.json_response(document)


async def retry(request: web.Request) -> web.Response:
    """Send a message again, whatever its state."""
    context = request.app[CONTEXT]
    delivery = webhooks.retry(
        context.db,
        request.match_info["webhookId"],
        request.match_info["deliveryId"],
        locations=requests.locations_of(request),
        now=context.clock(),
    )
    return web.json_response(_delivery(delivery), status=202)


async def replay(request: web.Request) -> web.Response:
    """Send everything after a cursor of the change feed again."""
    context = request.app[CONTEXT]
    body = (await requests.body_of(request, ReplayBody)).strict()
    reader = Reader(list(body.problems))
    if body.value.cursor is None:
        reader.wrong("cursor", "missing", "Give a cursor of the change feed, or earliest.")
    reader.done()
    webhook_id, locations = request.match_info["webhookId"], requests.locations_of(request)
    webhooks.replay(context, webhook_id, body.value.cursor or "", locations=locations)
    webhook = webhooks.get(context.db, webhook_id, locations=locations)
    return web.json_response(_document(request, webhook), status=202)


def _change(request: web.Request, reader: Reader, body: Body[WebhookBody]) -> WebhookChange:
    """The change that a body describes. Raises `Invalid`."""
    with reader.gathering():
        webhooks.check_url(body.value.url, request.app[SETTINGS].webhooks.networks)
    reader.done()
    return WebhookChange(
        url=body.value.url,
        events=body.value.events,
        origins=body.value.origins,
        description=body.value.description or "" if "description" in body.value.model_fields_set else None,
        active=body.value.active,
    )


def _document(request: web.Request, webhook: Webhook) -> dict[str, Any]:
    key = webhooks.public_key(request.app[CONTEXT].vault, webhook)
    return {
        "id": webhook.id,
        "locationIds": sorted(webhook.location_ids),
        "url": webhook.url,
        "events": list(webhook.events),
        "origins": [str(origin) for origin in webhook.origins],
        "description": webhook.description,
        "active": webhook.active,
        "status": str(webhook.status),
        "statusReason": webhook.status_reason,
        "failingSince": _utc(webhook.failing_since),
        "signature": str(webhook.signature),
        **({} if key is None else {"publicKey": key}),
        "dateAdded": format_utc(webhook.created_at),
        "dateUpdated": format_utc(webhook.updated_at),
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "type": delivery.type,
        "sequence": delivery.sequence,
        "resourceId": delivery.resource_id,
        "state": str(delivery.state),
        "attempts": delivery.attempts,
        "nextAttemptAt": _utc(delivery.next_attempt_at) if delivery.state == DeliveryState.PENDING else None,
        "lastAttemptAt": _utc(delivery.last_attempt_at),
        "lastStatus": delivery.last_status,
        "lastReason": delivery.last_reason,
        "dateAdded": format_utc(delivery.created_at),
        "dateUpdated": format_utc(delivery.updated_at),
    }


def _utc(at: int | None) -> str | None:
    return None if at is None else format_utc(at)
