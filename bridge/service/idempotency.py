"""A request that is sent again is carried out once (draft-ietf-httpapi-idempotency-key-header).

The answer is recorded in the transaction that makes it true, so that a crash leaves both or neither, and of two
simultaneous requests with the same key the second finds the record of the first. Nothing is recorded for a request that
was refused: when it is sent again, it is carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bridge.errors import BridgeError
from bridge.store import idempotency
from bridge.store.db import Db, Tx
from bridge.store.idempotency import Answer, Claim

__all__ = ["Answer", "CarryOut", "Claim", "once"]

T = TypeVar("T")

#: A use case. It is given a function, which it has to call with its result inside its transaction.
CarryOut = Callable[[Callable[[Tx, T], None]], T]


class _AlreadyAnswered(Exception):
    """Rolls the transaction back, since another request with the same key has been carried out."""


def once(
    db: Db,
    claim: Claim | None,
    carry_out: CarryOut[T],
    answer_to: Callable[[T], Answer],
    *,
    now: int,
) -> tuple[Answer, bool]:
    """Carry out a request unless that was done before. Returns the answer, and whether it is the one given before.

    Without a claim it is always carried out. Raises `KeyReused`, and whatever `carry_out` raises.
    """
    if claim is None:
        return answer_to(carry_out(lambda tx, made: None)), False
    with db.read() as tx:
        before = idempotency.find(tx, claim, now=now)
    if before is not None:
        return before, True

    def record(tx: Tx, made: T) -> None:
        if not idempotency.record(tx, claim, answer_to(made), now=now):
            raise _AlreadyAnswered

    try:
        return answer_to(carry_out(record)), False
    except _AlreadyAnswered:
        return once(db, claim, carry_out, answer_to, now=now)
    except BridgeError:
        # It may be what the same request has just made, in another process, that stands in its own way.
        with db.read() as tx:
            before = idempotency.find(tx, claim, now=now)
        if before is None:
            raise
        return before, True
