"""Decision tables: what a mirror run does, what the result of a push means, when to try again. All pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.domain.model import AccountState, Calendar, ListTrust
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
    """What to do about a Calendar: hrefs to fetch, and hrefs that seem to be deleted, which has to be verified."""

    fetch: tuple[str, ...]
    suspects: tuple[str, ...]


def plan_mirror(
    known: Mapping[str, str], changed: Mapping[str, str], removed: frozenset[str], *, complete: bool
) -> MirrorPlan:
    """Compare the objects that we hold of a Calendar (href to etag) with what the server says.

    With a `complete` listing, every object that it does not name is a suspect; otherwise only the `removed` ones are,
    and `known` need hold no other objects than those that the server names.
    """
    gone = known.keys() - changed.keys() if complete else removed & known.keys()
    return MirrorPlan(
        fetch=tuple(sorted(href for href, etag in changed.items() if known.get(href) != etag)),
        suspects=tuple(sorted(gone)),
    )


#: Seconds for which the server's lists of changes are trusted; then everything is compared with a complete listing.
COMPARE_SECONDS = 86_400

#: An object that is listed but can't be fetched for this many seconds counts as deleted.
UNDELIVERED_SECONDS = 3600

#: In a calendar with fewer objects, losing most of them at once is nothing unusual.
FEW_OBJECTS = 8
#: A large loss is believed when it is still there this many seconds later, and is confirmed object by object.
HOLD_SECONDS = 30


def enough(gone: int) -> int:
    """The number of objects of a calendar up to which to count them: more make no difference to what follows here."""
    return 2 * gone + FEW_OBJECTS


def loses_too_much(known: int, gone: int, *, named: bool) -> bool:
    """Whether a calendar seems to have lost all or most of its objects, so that the loss is held and checked again.

    `known`: how many objects we hold of it, counted up to `enough(gone)`. `named`: the server named what was removed,
    rather than just leaving it out of a listing. A person may well delete the only event of a calendar; servers then
    name it.
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
    objects: int,
    moved: bool,
) -> bool:
    """Whether an answer to "what changed since this token?" may in fact be a list of everything that is there.

    Some servers answer so when they no longer know the token, without an error. Objects that are missing from such an
    answer may have been deleted, so the caller has to compare with a complete listing.

    Such an answer names objects that have not changed, and calls nothing removed. (Any server also names objects that
    we have `written` ourselves since.) Where we hold few `objects` (counted up to `enough(0)`), or nothing is named
    although the token `moved` on, there may be no unchanged object to recognise it by: then it is suspected as well.

    `known`: href to etag of those objects we hold that the answer names.
    """
    if removed or not moved:
        return False
    if any(known.get(href) == etag and href not in written for href, etag in changed.items()):
        return True
    return objects > 0 and (not changed or objects < FEW_OBJECTS)


def crossed(known: Mapping[str, str], changed: Mapping[str, str], written: frozenset[str]) -> frozenset[str]:
    """The hrefs of objects that may be older in the server's answer than what we hold.

    `written`: those that the bridge wrote while the answer was on its way.
    """
    return frozenset(href for href in written if href in changed and known.get(href) != changed[href])


# --- Polling ---------------------------------------------------------------------------------------------------------

#: Seconds by which the clocks of a server and of the bridge may differ.
CLOCKS_DIFFER = 120

#: Seconds for which the account's list of calendars is trusted that a calendar is unchanged; then the calendar itself
#: is asked.
VERIFY_SECONDS = {ListTrust.UNPROVEN: 300, ListTrust.TRUSTED: 1800}


def says_unchanged(
    calendar: Calendar, *, ctag: str | None, listed_token: str | None, trust: ListTrust, now: int
) -> bool:
    """Whether the account's list of calendars proves that this Calendar is unchanged since it was last read.

    `ctag` and `listed_token` are what the list says of it now. A listed token that equals the calendar's own sync-token
    proves it (RFC 6578 section 4). A ctag, or a listed token of another form, proves it only on a server where these
    have been seen to change with the content (`trust`).
    """
    if calendar.last_success_at is None or calendar.last_error is not None:
        return False
    if trust == ListTrust.DISTRUSTED or calendar.read_at is None or now - calendar.read_at >= VERIFY_SECONDS[trust]:
        return False
    if ctag != calendar.ctag or (ctag is None and listed_token is None):
        return False
    if any(_may_share_its_second(mark, calendar.read_at) for mark in (ctag, listed_token)):
        return False
    if listed_token is not None and listed_token == calendar.sync_token:
        return True
    return trust == ListTrust.TRUSTED and listed_token == calendar.listed_token


def _may_share_its_second(mark: str | None, read_at: int) -> bool:
    """Whether a ctag or token is a time in seconds so recent that a later change may have got the same one.

    SOGo's ctags and sync-tokens are times in whole seconds: two changes within one second look alike.
    """
    return mark is not None and mark.isascii() and mark.isdigit() and abs(int(mark[:18]) - read_at) <= CLOCKS_DIFFER


#: Seconds that a failing account waits between two polls, at most.
LONGEST_POLL_WAIT = 1800
#: Seconds to wait at least when throttled, doubled with each failure: Apple's Retry-After is often too short.
THROTTLE_FLOOR = 2


def poll_wait(error: BridgeError | None, failures: int, *, interval: int) -> int:
    """Seconds until an account is polled again. `error` is of this poll, `failures` counts failed polls in a row."""
    if error is None:
        return interval
    if isinstance(error, Throttled):
        floor: float = THROTTLE_FLOOR * 2 ** min(failures, 12)
        return int(min(max(error.retry_after or 0, floor, interval), LONGEST_POLL_WAIT))
    return int(min(interval * 2 ** min(failures - 1, 6), LONGEST_POLL_WAIT))


def state_after(error: BridgeError) -> AccountState:
    """The state of an account whose poll failed with this error."""
    match error:
        case Unauthorized() | SecretUnreadable():
            return AccountState.NEEDS_PASSWORD
        case Throttled():
            return AccountState.THROTTLED
        case _:
            return AccountState.UNREACHABLE


def wait_after_bug(failures: int) -> int:
    """Seconds until an account is polled again whose polls fail through a bug of ours, `failures` times in a row."""
    return 60 * min(failures, 30)


# --- Push ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at this instant (Unix seconds)."""

    at: int


@dataclass(frozen=True, slots=True)
class Dead:
    """Trying again will not help: a person has to look at it."""


@dataclass(frozen=True, slots=True)
class PauseAccount:
    """The password was refused: everything waits until there is a new one."""


PushOutcome = RetryAt | Dead | PauseAccount

#: Seconds to wait after the first, second, … failed attempt. The last value holds for all later attempts.
PUSH_BACKOFF = (2, 5, 15, 60, 300, 900, 3600)
#: A 403 may be a form of throttling, so it is final only after this many attempts (20 minutes). So is a calendar that
#: is not found, and a 412 on creating an event that does not exist. For as long, a calendar that can't be asked whether
#: a new event was moved there keeps it from being sent again.
FORBIDDEN_ATTEMPTS = 7


def after_push(error: BridgeError, attempts: int, *, now: int) -> PushOutcome:
    """What follows from a failed push, after `attempts` attempts. `now` is in Unix seconds."""
    wait = PUSH_BACKOFF[min(attempts, len(PUSH_BACKOFF)) - 1]
    match error:
        case Unauthorized() | SecretUnreadable():
            return PauseAccount()
        case Refused():
            return Dead()
        case Forbidden() | NotFound() | PreconditionFailed():
            return Dead() if attempts >= FORBIDDEN_ATTEMPTS else RetryAt(now + wait)
        case Throttled():
            # However long a server wants to be left alone: a date of its own may be wrong by years.
            return RetryAt(now + int(min(max(error.retry_after or 0, wait), PUSH_BACKOFF[-1])))
        case Unreachable() | ServerFault() | BadAnswer() | AccountNotConnected():
            return RetryAt(now + wait)
        case _:
            # Anything else (credentials withheld, a broken invariant) needs a person's decision, so it must be visible.
            return Dead()
