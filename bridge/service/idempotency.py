"""A request that is sent again is carried out once (draft-ietf-httpapi-idempotency-key-header).

The answer is recorded in the transaction that makes it true, so that a crash leaves both or neither, and of two
requests at once with one key the second finds the first one's record. Nothing is recorded for a request that was
refused: sent again, it is judged again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bridge.store import idempotency
from bridge.store.db import Db, Tx
from bridge.store.idempotency import Answer, Claim

__all__ = ["Answer", "CarryOut", "Claim", "once"]

T = TypeVar("T")

#: A use case; it gets what it has to call with its result, inside its transaction.
CarryOut = Callable[[Callable[[Tx, T], None]], T]


class _AlreadyAnswered(Exception):
    """Rolls the transaction back: what it was about to do has been done."""


def once(
    db: Db,
    claim: Claim | None,
    carry_out: CarryOut[T],
    answer_to: Callable[[T], Answer],
    *,
    now: int,
) -> tuple[Answer, bool]:
    """Carry out a request unless that was done before: the answer, and whether it is the one given then.

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
