"""Decision tables: what a mirror run does, what the result of a push means, when to ask again. All pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.domain.model import AccountState, Calendar, Marks
from bridge.errors import (
    AccountNotConnected,
    BadAnswer,
    BridgeError,
    Forbidden,
    NotFound,
    PreconditionFailed,
    Refused,
    SecretUnreadable,
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
    known: Mapping[str, str], changed: Mapping[str, str], removed: frozenset[str], *, complete: bool
) -> MirrorPlan:
    """Compare what we know of a Calendar (href to etag) with what the server says.

    A `complete` answer makes everything it does not name a suspect; otherwise only what the server calls removed is.
    """
    gone = known.keys() - changed.keys() if complete else removed & known.keys()
    return MirrorPlan(
        fetch=tuple(sorted(href for href, etag in changed.items() if known.get(href) != etag)),
        suspects=tuple(sorted(gone)),
    )


#: How long changes are taken at their word, in seconds, before everything is compared with a complete listing.
COMPARE_SECONDS = 86_400

#: A listed object that can't be had for this many seconds is not there, whatever the listing says.
UNDELIVERED_SECONDS = 3600

#: Below this many objects, losing most of them is an ordinary day's tidying.
FEW_OBJECTS = 8
#: A loss seen again this many seconds later, and confirmed object by object, is believed.
HOLD_SECONDS = 30


def loses_too_much(known: int, gone: int, *, named: bool) -> bool:
    """Whether a calendar suddenly has nothing left, or has lost most of its events: held and checked again.

    A person deletes the only event that there is; but then the server says so by name, as a rule.
    """
    if gone == known:
        return known > 1 or not named
    return known >= FEW_OBJECTS and gone * 2 > known


def may_hide_removals(
    known: Mapping[str, str],
    changed: Mapping[str, str],
    removed: frozenset[str],
    written: frozenset[str],
    *,
    moved: bool,
) -> bool:
    """Whether an answer to "what changed?" may be all there is: the server forgot the token and did not say so.

    What such an answer does not name may be gone, so only a listing tells. It names objects that have not changed (but
    so does an honest server for those that we have `written` since), and calls nothing removed. Where few are known, or
    nothing is named though the token `moved` on, there may be nothing unchanged to tell it by.
    """
    if removed or not moved:
        return False
    if any(known.get(href) == etag and href not in written for href, etag in changed.items()):
        return True
    return bool(known) and (not changed or len(known) < FEW_OBJECTS)


# --- Polling ---------------------------------------------------------------------------------------------------------

#: By so much the clocks of a server and of the bridge may differ, in seconds.
CLOCKS_DIFFER = 120

#: How long an account's list of calendars is taken at its word, in seconds, before a calendar is asked itself.
VERIFY_SECONDS = {Marks.UNPROVEN: 300, Marks.TRUSTED: 1800}


def says_unchanged(calendar: Calendar, *, ctag: str | None, listed_token: str | None, marks: Marks, now: int) -> bool:
    """Whether the account's list of calendars tells that this one is as it was when it was last read.

    A listed token equal to the one that came with the calendar's own changes says so (RFC 6578 section 4). A ctag, or a
    listed token of another form, says so only where it has been seen to move with a change.
    """
    if calendar.last_success_at is None or calendar.last_error is not None:
        return False
    if marks == Marks.DISTRUSTED or calendar.read_at is None or now - calendar.read_at >= VERIFY_SECONDS[marks]:
        return False
    if ctag != calendar.ctag or (ctag is None and listed_token is None):
        return False
    if any(_may_share_its_second(mark, calendar.read_at) for mark in (ctag, listed_token)):
        return False
    if listed_token is not None and listed_token == calendar.sync_token:
        return True
    return marks == Marks.TRUSTED and listed_token == calendar.listed_token


def _may_share_its_second(mark: str | None, read_at: int) -> bool:
    """Whether a mark is the time of the last change, and more may have come in that second after all was read.

    SOGo's ctags and sync-tokens are times in whole seconds: two changes within one have the same.
    """
    return mark is not None and mark.isascii() and mark.isdigit() and abs(int(mark[:18]) - read_at) <= CLOCKS_DIFFER


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


def state_after(error: BridgeError) -> AccountState:
    """How an account is doing that could not be polled."""
    match error:
        case Unauthorized() | SecretUnreadable():
            return AccountState.NEEDS_PASSWORD
        case Throttled():
            return AccountState.THROTTLED
        case _:
            return AccountState.UNREACHABLE


def wait_after_bug(failures: int) -> int:
    """Seconds until an account that trips over a bug of ours is polled again, after so many times in a row."""
    return 60 * min(failures, 30)


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
#: A 403 may be throttling, so it is believed only after this many attempts (20 minutes). The same for a calendar that
#: is not there, and for an event that can't be made where there is none.
FORBIDDEN_ATTEMPTS = 7


def after_push(error: BridgeError, attempts: int, *, now: int) -> PushOutcome:
    """What a failed push means, after `attempts` attempts."""
    wait = PUSH_BACKOFF[min(attempts, len(PUSH_BACKOFF)) - 1]
    match error:
        case Unauthorized() | SecretUnreadable():
            return PauseAccount()
        case Refused():
            return Dead()
        case Forbidden() | NotFound() | PreconditionFailed():
            return Dead() if attempts >= FORBIDDEN_ATTEMPTS else RetryAt(now + wait)
        case Throttled():
            return RetryAt(now + int(max(error.retry_after or 0, wait)))
        case Unreachable() | ServerFault() | BadAnswer() | AccountNotConnected():
            return RetryAt(now + wait)
        case _:
            # Anything else is a decision somebody has to take (credentials withheld, a broken invariant): visible.
            return Dead()
