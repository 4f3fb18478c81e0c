"""Webhooks after Standard Webhooks 1.0: who wants what, how it is signed, and what an answer means. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.domain.changes import Change, ChangeOrigin, ChangeType, Resource
from bridge.domain.rfc3339 import format_utc
from bridge.errors import NotTaken

#: Stands for every event.
ALL = "*"
#: What `POST /v1/webhooks/{id}/test` sends.
TEST = "WebhookTest"
#: What can be asked for. A test is sent whatever was.
EVENTS = (ALL, *(str(type_) for type_ in ChangeType))
#: A CRM does not hear its own writes unless it asks to.
DEFAULT_ORIGINS = (ChangeOrigin.ICLOUD, ChangeOrigin.BRIDGE)


class Signature(StrEnum):
    """How deliveries are signed: with a shared secret (HMAC-SHA256), or a key pair (Ed25519)."""

    V1 = "v1"
    V1A = "v1a"


class WebhookStatus(StrEnum):
    """How a receiver is doing."""

    ACTIVE = "active"
    #: Several deliveries in a row have failed.
    FAILING = "failing"
    #: Left alone: it said that it is gone, or failed for days. What happens meanwhile is kept for it.
    DISABLED = "disabled"


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    #: Given up, visibly.
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription: where news of some locations goes."""

    id: str
    #: Empty: every location.
    location_ids: frozenset[str]
    #: Whose token made it.
    token_id: str
    url: str
    events: tuple[str, ...]
    origins: tuple[ChangeOrigin, ...]
    description: str
    signature: Signature
    #: Sealed, as are those that it had, each with the instant until which it signs too.
    secret: bytes = field(repr=False)
    former_secrets: tuple[tuple[bytes, int], ...] = field(repr=False)
    active: bool
    status: WebhookStatus
    status_reason: str
    failing_since: int | None
    #: Deliveries that failed in a row.
    failures: int
    #: The receiver asked to be left alone until then.
    rest_until: int
    #: The last change that was looked at for it.
    place: int
    created_at: int
    updated_at: int

    @property
    def listening(self) -> bool:
        """Whether anything is sent to it."""
        return self.active and self.status != WebhookStatus.DISABLED


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one receiver."""

    #: The `webhook-id`: the same at each attempt.
    id: str
    webhook_id: str
    #: Of the change; None: it tells of none.
    sequence: int | None
    type: str
    #: What it is about. One at a time, in order.
    resource_id: str
    body: str
    state: DeliveryState
    attempts: int
    #: None: when the earlier ones about the same thing are settled.
    next_attempt_at: int | None
    last_status: int | None
    last_reason: str | None
    last_attempt_at: int | None
    created_at: int
    updated_at: int


# --- Who wants what --------------------------------------------------------------------------------------------------


def wants(webhook: Webhook, change: Change) -> bool:
    """Whether a subscription is to be told of a change."""
    news = change.news
    if webhook.location_ids and news.location_id not in webhook.location_ids:
        return False
    if news.type == ChangeType.RESYNC_REQUIRED:
        # It stands for many changes to blocked slots: whoever follows those has to know.
        named = {ALL, str(ChangeType.RESYNC_REQUIRED)} & set(webhook.events)
        follows = any(event.startswith("BlockedSlot") for event in webhook.events)
        return bool(named or follows) and bool({ChangeOrigin.ICLOUD, ChangeOrigin.BRIDGE} & set(webhook.origins))
    return news.origin in webhook.origins and bool({ALL, str(news.type)} & set(webhook.events))


def message_id(webhook_id: str, sequence: int) -> str:
    """The `webhook-id` of a change for a subscription: the same however often it is sent."""
    return f"msg_{hashlib.sha256(f'{webhook_id}/{sequence}'.encode()).hexdigest()[:24]}"


#: What the message has for a change to a resource, by the name of HighLevel's where it has one.
_KEYS = {
    Resource.APPOINTMENT: "appointment",
    Resource.BLOCKED_SLOT: "blockedSlot",
    Resource.CONNECTION: "connection",
    Resource.USER: "resync",
}


def change_body(change: Change, message: str, *, now: int) -> str:
    """The message that tells of a change: HighLevel's shape, with `change` beside it."""
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


# --- Signing ---------------------------------------------------------------------------------------------------------

_PREFIXES = {Signature.V1: "whsec_", Signature.V1A: "whsk_"}


def secret_text(signature: Signature, key: bytes) -> str:
    """A secret as Standard Webhooks writes it. `key` is 32 random bytes."""
    return _PREFIXES[signature] + base64.b64encode(key).decode()


def public_key(secret: str) -> str:
    """The public key to a secret of a key pair."""
    return "whpk_" + base64.b64encode(_pair(secret).public_key().public_bytes_raw()).decode()


def headers(message: str, secrets: Sequence[str], payload: bytes, *, now: int) -> dict[str, str]:
    """The headers of an attempt, signed with each of the secrets."""
    signed = f"{message}.{now}.".encode() + payload
    return {
        "webhook-id": message,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    if secret.startswith(_PREFIXES[Signature.V1A]):
        return f"v1a,{base64.b64encode(_pair(secret).sign(signed)).decode()}"
    return f"v1,{base64.b64encode(hmac.digest(_key(secret), signed, 'sha256')).decode()}"


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.partition("_")[2])


def _pair(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_key(secret))


# --- What an answer means --------------------------------------------------------------------------------------------

#: Seconds to wait after the first, second, … failed attempt (the example schedule of Standard Webhooks). Then the
#: delivery is given up, after about three days.
BACKOFF = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: A receiver is `failing` after so many failures in a row, and `disabled` when they have gone on for so many seconds.
FAILING_AFTER = 5
DISABLED_AFTER = 5 * 86_400
#: Asked to slow down without being told for how long, a receiver is left alone for so many seconds at most.
LONGEST_REST = 300
#: No wish of a receiver's is honoured for longer, in seconds.
LONGEST_RETRY_AFTER = 86_400
#: Answers of a receiver, or a proxy before it, that has too much to do.
_SLOW_DOWN = {429, 502, 504}
GONE = 410


@dataclass(frozen=True, slots=True)
class Failed:
    """What a failed attempt means for the delivery and for its receiver."""

    #: When it is tried again; None: it is given up.
    retry_at: int | None
    #: Until when the receiver gets nothing at all.
    rest_until: int
    status: WebhookStatus
    status_reason: str


def after_failure(webhook: Webhook, error: NotTaken, attempts: int, *, now: int, jitter: float) -> Failed:
    """What it means that a delivery's attempt, the `attempts`th, failed. `jitter` is from 0 to 1."""
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


# --- Where a receiver may live ---------------------------------------------------------------------------------------

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LONGEST_URL = 2000
#: A part of a name, as DNS can look it up; underscores are common.
_LABEL = re.compile("[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
LONGEST_NAME = 253
#: Ways to write an IPv4 address that browsers and resolvers know: one number, octal, hexadecimal, fewer parts.
_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)", re.ASCII)
#: Names that lead nowhere (RFC 6761, 7686, 9476), and those that never lead out of a network (RFC 6762, 8375).
_NOWHERE = {"invalid", "onion", "alt"}
_INSIDE = (".local", ".internal", ".home.arpa")
_THIS_MACHINE = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
_NOT_PUBLIC = "This address is not public. Networks that receivers may live in are named in [webhooks] networks."


def url_problem(url: str, networks: Iterable[Network]) -> str | None:
    """What is wrong with a receiver's address as it is written, if anything is. Names are looked up when connecting."""
    networks = tuple(networks)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "This is no web address."
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > LONGEST_URL or "\\" in url:
        return f"Write the address in ASCII, without spaces, in {LONGEST_URL} characters at most."
    if parts.scheme not in {"https", "http"} or not host or port == 0:
        return "Give an address that begins with https://."
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "Leave out user name, password and fragment: deliveries are signed."
    if parts.scheme == "http" and not networks:
        return "Give an https:// address. (http:// is for the networks named in the setting [webhooks] networks.)"
    encrypted = parts.scheme == "https"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _name_problem(host.removesuffix("."), encrypted=encrypted, networks=networks)
    return None if may_reach(address, encrypted=encrypted, networks=networks) else _NOT_PUBLIC


def _name_problem(name: str, *, encrypted: bool, networks: tuple[Network, ...]) -> str | None:
    """What is wrong with a host's name, as far as that can be told without looking it up."""
    if _NUMBER.fullmatch(name):
        return "Write an IP address in its usual form, such as 192.0.2.1."
    labels = name.split(".")
    if len(name) > LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)) or labels[-1] in _NOWHERE:
        return "Nothing can have this name."
    if labels[-1] == "localhost":
        here = any(may_reach(address, encrypted=encrypted, networks=networks) for address in _THIS_MACHINE)
        return None if here else _NOT_PUBLIC
    inside = len(labels) == 1 or name.endswith(_INSIDE)
    return _NOT_PUBLIC if inside and not networks else None


def may_reach(address: Address, *, encrypted: bool, networks: Iterable[Network]) -> bool:
    """Whether a webhook may be sent to this address: a public one by TLS, or one in the networks named."""
    inner = _inner(address)
    if any(inner in network for network in networks):
        return True
    inward = inner.is_multicast or inner.is_reserved or (inner.version == 6 and inner.is_site_local)
    return encrypted and inner.is_global and not inward


#: An IPv4 address stands in the last 32 bits (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _inner(address: Address) -> Address:
    """The address that is really meant: IPv6 has several ways to write an IPv4 one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        teredo = address.teredo
        return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address
    return address
