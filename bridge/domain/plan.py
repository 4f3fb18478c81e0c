"""Decision tables: what a mirror run does, what the result of a push means, when to ask again. All pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.errors import (
    BadAnswer,
    BridgeError,
    Forbidden,
    NotFound,
    Refused,
    ServerFault,
    Throttled,
    Unauthorized,
    Unreachable,
)

# --- Mirror ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MirrorPlan:
    """What to do about a Calendar: fetch these, and verify that those are gone before believing it."""

    fetch: tuple[str, ...]
    suspects: tuple[str, ...]


def plan_mirror(
    held: Mapping[str, str], changed: Mapping[str, str], removed: frozenset[str], *, complete: bool
) -> MirrorPlan:
    """Compare what we hold (href to etag) with what the server says.

    A `complete` answer makes everything it does not name a suspect; otherwise only what the server calls removed is.
    """
    gone = held.keys() - changed.keys() if complete else removed & held.keys()
    return MirrorPlan(
        fetch=tuple(sorted(href for href, etag in changed.items() if held.get(href) != etag)),
        suspects=tuple(sorted(gone)),
    )


#: Below this many objects, losing most of them is an ordinary day's tidying.
FEW_OBJECTS = 8
#: A loss seen again this many seconds later, and confirmed object by object, is believed.
HOLD_SECONDS = 30


def loses_most(held: int, gone: int) -> bool:
    """Whether a calendar suddenly lists nothing, or has lost most of its events: held and checked again."""
    return held >= FEW_OBJECTS and gone * 2 > held


# --- Polling ---------------------------------------------------------------------------------------------------------

#: The longest that a failing account waits between polls, in seconds.
LONGEST_POLL_WAIT = 1800
#: Apple's Retry-After is routinely shorter than its throttle: a floor that doubles with each failure.
THROTTLE_FLOOR = 2


def poll_wait(error: BridgeError | None, failures: int, *, interval: int) -> int:
    """Seconds until an account is polled again, after `failures` failed polls in a row (0: this one succeeded)."""
    if error is None:
        return interval
    if isinstance(error, Throttled):
        floor: float = THROTTLE_FLOOR * 2 ** min(failures, 12)
        return int(min(max(error.retry_after or 0, floor, interval), LONGEST_POLL_WAIT))
    return int(min(interval * 2 ** min(failures - 1, 6), LONGEST_POLL_WAIT))


# --- Push ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at this instant."""

    at: int


@dataclass(frozen=True, slots=True)
class Dead:
    """Sending the same again will not help: a person has to look."""


@dataclass(frozen=True, slots=True)
class PauseAccount:
    """The password was refused: keep everything until there is a new one."""


PushOutcome = RetryAt | Dead | PauseAccount

#: Seconds to wait after the first, second, … failed attempt; then the last one again and again.
PUSH_BACKOFF = (2, 5, 15, 60, 300, 900, 3600)
#: A 403 may be throttling, so it is believed only after this many attempts. The same for a calendar that is not there.
FORBIDDEN_ATTEMPTS = 5


def after_push(error: BridgeError, attempts: int, *, now: int) -> PushOutcome:
    """What a failed push means, after `attempts` attempts."""
    wait = PUSH_BACKOFF[min(attempts, len(PUSH_BACKOFF)) - 1]
    match error:
        case Unauthorized():
            return PauseAccount()
        case Refused():
            return Dead()
        case Forbidden() | NotFound():
            return Dead() if attempts >= FORBIDDEN_ATTEMPTS else RetryAt(now + wait)
        case Throttled():
            return RetryAt(now + int(max(error.retry_after or 0, wait)))
        case Unreachable() | ServerFault() | BadAnswer():
            return RetryAt(now + wait)
        case _:
            # Anything else is a decision somebody has to take (credentials withheld, a broken invariant): visible.
            return Dead()
