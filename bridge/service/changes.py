"""The change feed: recorded in the transactions that make the changes, and read by the CRM and by webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from bridge.domain import changes as decide
from bridge.domain.changes import Change, ChangeOrigin, ChangeType, Resource
from bridge.domain.model import Account, AccountState, Appointment, BlockedSlot, ItemKind, PublishedItem, User
from bridge.errors import CursorExpired, FieldProblem, Invalid
from bridge.store import accounts, changes, facts, published, users
from bridge.store.db import Db, Tx

__all__ = ["EARLIEST", "Change", "ChangeOrigin", "ChangeType", "Page", "Resource", "Watch", "read", "read_on"]

#: Seconds for which changes are kept.
KEEP_SECONDS = 30 * 86_400
#: The cursor from which everything that is kept is read.
EARLIEST = "earliest"

# --- Recording -------------------------------------------------------------------------------------------------------


def appointment(tx: Tx, before: Appointment | None, after: Appointment, *, origin: ChangeOrigin, now: int) -> None:
    """Record that an Appointment was made (`before` None) or changed."""
    changes.record(tx, decide.of_appointment(before, after, origin), now=now)


def crm_slot(tx: Tx, before: BlockedSlot | None, after: BlockedSlot, *, origin: ChangeOrigin, now: int) -> None:
    """Record that a CRM BlockedSlot was made (`before` None), changed or deleted."""
    changes.record(tx, [decide.of_crm_slot(before, after, origin)], now=now)


def icloud_slots(tx: Tx, user: User, put: Iterable[PublishedItem], remove: Iterable[str], *, now: int) -> None:
    """Record which blocked slots from iCloud change. Call this before the items are published and removed."""
    wanted = {item.href: item for item in put if item.kind == ItemKind.ICLOUD}
    gone = {href for href in remove if href.startswith("ics_") and href not in wanted}
    if not wanted and not gone:
        return
    etags = published.etags(tx, user.id, [*wanted, *gone])
    changed = [item for href, item in wanted.items() if etags.get(href) != item.etag]
    removed = sorted(gone & etags.keys())
    if len(changed) + len(removed) > decide.BULK:
        changes.record(tx, [decide.resync(user, "many_changes")], now=now)
        return
    before = {i.href: i for i in published.get(tx, user.id, [*(item.href for item in changed), *removed])}
    news = [decide.of_icloud_slot(user, before.get(item.href), item) for item in changed]
    news += [decide.of_icloud_slot(user, before[href], None) for href in removed]
    changes.record(tx, news, now=now)


def account_state(tx: Tx, account_id: str, state: AccountState, reason: str, *, now: int) -> bool:
    """Set an Account's state and record the change. False when it was in this state, for this reason, already."""
    before = accounts.get(tx, account_id)
    news = accounts.set_state(tx, account_id, state, reason, now=now)
    if before is not None and before.state != state:
        connection(tx, replace(before, state=state, state_reason=reason), was=before.state, now=now)
    return news


def connection(tx: Tx, account: Account, *, was: AccountState | None, now: int, gone: bool = False) -> None:
    """Record that an Account was connected (`was` None), disconnected (`gone`), or changed its state."""
    user = users.get(tx, account.user_id)
    if user is not None:
        state = "disconnected" if gone else str(account.state)
        changes.record(tx, [decide.of_connection(user, account, was=was, now=state)], now=now)


def time_zone_changed(tx: Tx, user: User, *, now: int) -> None:
    """Record that a User's time zone changed, which moves everything that lasts all day."""
    changes.record(tx, [decide.resync(user, "time_zone_changed")], now=now)


def user_removed(tx: Tx, user: User, *, now: int) -> None:
    """Record that a User is about to be removed, and delete all other changes of them."""
    changes.record(tx, [decide.resync(user, "user_removed")], now=now)
    changes.forget(tx, user.id)


def prune(tx: Tx, *, now: int) -> None:
    """Delete changes that are older than `KEEP_SECONDS`."""
    changes.prune(tx, before=now - KEEP_SECONDS)


# --- Reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """Changes in order, and the cursor at which to read on."""

    changes: Sequence[Change]
    cursor: str
    has_more: bool
    #: The sequence number that the cursor stands for.
    sequence: int


def read(
    db: Db, cursor: str | None, *, locations: Collection[str] | None, types: Collection[ChangeType] | None, limit: int
) -> Page:
    """The changes after a cursor, at most `limit`. Without a cursor: no changes, and a cursor for those to come.

    Raises `CursorExpired`, and `Invalid` for a text that is not a cursor.
    """
    with db.read() as tx:
        return _read(tx, place_of(tx, cursor), locations=locations, types=types, limit=limit)


def read_on(
    db: Db, page: Page, *, locations: Collection[str] | None, types: Collection[ChangeType] | None, limit: int
) -> Page:
    """The changes after a page."""
    with db.read() as tx:
        return _read(tx, page.sequence, locations=locations, types=types, limit=limit)


def _read(
    tx: Tx, place: int, *, locations: Collection[str] | None, types: Collection[ChangeType] | None, limit: int
) -> Page:
    found = changes.after(tx, place, locations=locations, types=types, limit=limit + 1)
    has_more = len(found) > limit
    found = found[:limit]
    # In one snapshot, so that whatever is committed meanwhile comes after the cursor that is returned.
    sequence = found[-1].sequence if has_more else changes.head(tx)
    return Page(found, _cursor(tx, sequence), has_more, sequence)


def _cursor(tx: Tx, sequence: int) -> str:
    """An opaque cursor. It names the store, since sequence numbers of another store mean nothing here."""
    return "c_" + urlsafe_b64encode(f"{sequence}.{_store(tx)}".encode()).decode().rstrip("=")


def check_cursor(cursor: str | None) -> None:
    """Raises `Invalid` for a text that is not a cursor."""
    if cursor is not None and cursor != EARLIEST:
        _parts(cursor)


def _parts(cursor: str) -> tuple[int, str]:
    """The sequence number that a cursor stands for, and the id of its store. Raises `Invalid`."""
    text = ""
    with contextlib.suppress(ValueError):
        text = urlsafe_b64decode(cursor.removeprefix("c_") + "==").decode()
    match = re.fullmatch(r"(\d{1,18})\.(\w+)", text, re.ASCII)
    if match is None or not cursor.startswith("c_"):
        detail = "Send the nextCursor of an earlier answer, or earliest, or none to begin with what comes."
        raise Invalid((FieldProblem("/cursor", "invalid_value", detail),))
    return int(match[1]), match[2]


def place_of(tx: Tx, cursor: str | None) -> int:
    """The sequence number that a cursor stands for. Raises as `read` does."""
    head, forgotten = changes.head(tx), changes.forgotten(tx)
    if cursor is None:
        return head
    if cursor == EARLIEST:
        return forgotten
    place, store = _parts(cursor)
    if store != _store(tx) or not forgotten <= place <= head:
        raise CursorExpired
    return place


def _store(tx: Tx) -> str:
    return (facts.get(tx, "store_id") or "")[:8]


# --- Waiting ---------------------------------------------------------------------------------------------------------


class Watch:
    """Wakes waiting requests when a change was recorded, by any process. One query serves all of them."""

    #: Seconds between two queries while anybody waits.
    LOOK = 0.05

    def __init__(self, db: Db) -> None:
        self._db = db
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._looking: asyncio.Task[None] | None = None
        self.closed = False

    async def wait(self, sequence: int, seconds: float) -> None:
        """Return when there is a change after this sequence number, or after so many seconds."""
        if self.closed:
            return
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[told] = sequence
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            await asyncio.wait([told], timeout=seconds)
        finally:
            del self._waiting[told]

    def close(self) -> None:
        """Wake everybody who waits."""
        self.closed = True
        self._tell(None)

    async def _look(self) -> None:
        while self._waiting and not self.closed:
            with self._db.read() as tx:
                head = changes.head(tx)
            self._tell(head)
            await asyncio.sleep(self.LOOK)

    def _tell(self, head: int | None) -> None:
        for told, sequence in self._waiting.items():
            if not told.done() and (head is None or head > sequence):
                told.set_result(None)
