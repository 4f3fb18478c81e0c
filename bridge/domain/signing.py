"""Signing deliveries of webhooks (Standard Webhooks 1.0). Pure."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.domain.webhooks import Signature

_PREFIXES = {Signature.V1: "whsec_", Signature.V1A: "whsk_"}


def secret_text(signature: Signature, key: bytes) -> str:
    """A secret in the form of Standard Webhooks. `key` is 32 random bytes."""
    return _PREFIXES[signature] + base64.b64encode(key).decode()


def public_key(secret: str) -> str:
    """The public key of a key pair, from its secret."""
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
