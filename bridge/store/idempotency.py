"""The answers to requests with an Idempotency-Key, kept for a day."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from bridge.errors import KeyReused
from bridge.store.db import Tx

KEEP_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Claim:
    """A request with a key. `fingerprint` identifies its body: the key can't be used for another one."""

    token_id: str
    operation: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


def find(tx: Tx, claim: Claim, *, now: int) -> Answer | None:
    """The answer that this request got within the last day, or None.

    Raises `KeyReused` when the key was used for another request.
    """
    row = tx.execute(
        "SELECT fingerprint, status, headers, body FROM idempotency_keys"
        " WHERE token_id = :token AND operation = :operation AND key = :key AND created_at > :oldest",
        {"token": claim.token_id, "operation": claim.operation, "key": claim.key, "oldest": now - KEEP_SECONDS},
    ).fetchone()
    if row is None:
        return None
    if row["fingerprint"] != claim.fingerprint:
        raise KeyReused
    return Answer(row["status"], row["body"], json.loads(row["headers"]))


def forget(tx: Tx, user_id: str) -> None:
    """Delete the answers in which a User's id stands."""
    tx.execute("DELETE FROM idempotency_keys WHERE instr(body, :quoted) > 0", {"quoted": json.dumps(user_id)})


def record(tx: Tx, claim: Claim, answer: Answer, *, now: int) -> bool:
    """Keep the answer, in the transaction that makes it true. False when another request used the key first.

    Answers older than a day are deleted on this occasion.
    """
    tx.execute("DELETE FROM idempotency_keys WHERE created_at <= :oldest", {"oldest": now - KEEP_SECONDS})
    return (
        tx.execute(
            "INSERT INTO idempotency_keys (token_id, operation, key, fingerprint, status, headers, body, created_at)"
            " VALUES (:token, :operation, :key, :fingerprint, :status, :headers, :body, :now) ON CONFLICT DO NOTHING",
            {
                "token": claim.token_id,
                "operation": claim.operation,
                "key": claim.key,
                "fingerprint": claim.fingerprint,
                "status": answer.status,
                "headers": json.dumps(answer.headers),
                "body": answer.body,
                "now": now,
            },
        ).rowcount
        > 0
    )
