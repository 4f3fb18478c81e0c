"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a POST that is sent again is carried out once.

The answer is recorded in the booking's own transaction, so that a crash leaves both or neither, and of two requests at
once with one key the second finds the first one's record. Nothing is recorded for a request that was refused: sent
again, it is judged again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from bridge.store import idempotency
from bridge.store.db import Tx
from bridge.store.idempotency import Answer, Claim
from bridge.web.keys import BRIDGE, TOKEN
from bridge.web.problems import Problem

#: Carries out a request; gets a callback to call, inside the transaction, with the answer it is about to give.
CarryOut = Callable[[Callable[[Tx, Answer], None]], Answer]


class _AlreadyAnswered(Exception):
    """Rolls the transaction back: what it was about to do has been done."""


def answer_for(status: int, document: dict[str, Any], headers: dict[str, str]) -> Answer:
    """An answer as it will be sent, and recorded."""
    return Answer("", status, headers, json.dumps(document, ensure_ascii=False))


async def once(request: web.Request, carry_out: CarryOut) -> web.Response:
    """Carry the request out, or give the answer that it got before. Raises `Problem` when the key is another's."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return _response(carry_out(lambda tx, answer: None))
    key = key.strip().removeprefix('"').removesuffix('"')
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise Problem(400, "bad_request", "An Idempotency-Key has 1 to 255 visible ASCII characters.")
    bridge = request.app[BRIDGE]
    claim = Claim(request[TOKEN].id, f"{request.method} {request.path}", key, await _fingerprint(request))

    def record(tx: Tx, answer: Answer) -> None:
        kept = Answer(claim.fingerprint, answer.status, answer.headers, answer.body)
        if not idempotency.record(tx, claim, kept, now=bridge.clock()):
            raise _AlreadyAnswered

    before = _find(request, claim)
    if before is None:
        try:
            return _response(carry_out(record))
        except _AlreadyAnswered:
            before = _find(request, claim)
    assert before is not None, "a record that was in the way is there"  # noqa: S101
    if before.fingerprint != claim.fingerprint:
        raise Problem(
            422, "idempotency_key_reused", "This Idempotency-Key came with another body before. Use a new key."
        )
    return _response(before, replayed=True)


def _find(request: web.Request, claim: Claim) -> Answer | None:
    bridge = request.app[BRIDGE]
    with bridge.db.read() as tx:
        return idempotency.find(tx, claim, now=bridge.clock())


def _response(answer: Answer, *, replayed: bool = False) -> web.Response:
    headers = {**answer.headers, **({"Idempotency-Replayed": "true"} if replayed else {})}
    return web.Response(status=answer.status, text=answer.body, content_type="application/json", headers=headers)


async def _fingerprint(request: web.Request) -> str:
    canonical = json.dumps(json.loads(await request.read()), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
