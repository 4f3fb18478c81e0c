"""The Idempotency-Key header, on every POST that creates something."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from aiohttp import web

from bridge.service import idempotency
from bridge.service.idempotency import Answer, CarryOut, Claim
from bridge.web.keys import CONTEXT, TOKEN
from bridge.web.problems import Problem

T = TypeVar("T")


def once(
    request: web.Request, fingerprint: str, carry_out: CarryOut[T], answer_to: Callable[[T], Answer]
) -> web.Response:
    """Carry out the request, or return the answer that it got before. Raises `Problem` for an invalid key."""
    context = request.app[CONTEXT]
    answer, replayed = idempotency.once(
        context.db, _claim(request, fingerprint), carry_out, answer_to, now=context.clock()
    )
    return response(answer, replayed=replayed)


def response(answer: Answer, *, replayed: bool = False) -> web.Response:
    """The HTTP response for an answer."""
    headers = {**answer.headers, "Idempotency-Replayed": "true"} if replayed else answer.headers
    return web.Response(status=answer.status, text=answer.body, content_type="application/json", headers=headers)


def _claim(request: web.Request, fingerprint: str) -> Claim | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    key = key.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':  # an RFC 8941 string; many send it without quotes
        key = key[1:-1]
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise Problem(400, "bad_request", "An Idempotency-Key has 1 to 255 visible ASCII characters.")
    return Claim(request[TOKEN].id, f"{request.method} {request.path}", key, fingerprint)


def shown_once(response: web.Response, name: str, secret: Sequence[str]) -> web.Response:
    """The answer, with the secret if it was made just now: the stored answer, for repetitions, has no secret."""
    if not secret or "Idempotency-Replayed" in response.headers:
        return response
    document = {**json.loads(response.text or "{}"), name: secret[-1]}
    headers = {key: value for key, value in response.headers.items() if key not in {"Content-Type", "Content-Length"}}
    text = json.dumps(document, ensure_ascii=False)
    return web.Response(status=response.status, text=text, content_type="application/json", headers=headers)
