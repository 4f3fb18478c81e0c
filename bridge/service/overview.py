"""Counts of everything, for administrators and monitoring; and the newest changes, for a User."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain.model import ItemKind
from bridge.store import accounts, appointments, blocked_slots, overview
from bridge.store.db import Db
from bridge.store.overview import Counts, Time

__all__ = ["Counts", "RecentChange", "Time", "counts", "recent_changes"]


@dataclass(frozen=True, slots=True)
class RecentChange:
    """A change to a User's merged calendar."""

    kind: ItemKind
    #: An appointment's title, or the name of the calendar that a blocked slot comes from; empty where that is gone.
    name: str
    #: The current or next time of the item, else its last; None: it was removed, or its times are not stored.
    time: Time | None
    #: The start of its first time.
    start: int
    changed_at: int
    removed: bool


def counts(db: Db) -> Counts:
    """Counts of everything."""
    with db.read() as tx:
        return overview.counts(tx)


def recent_changes(db: Db, user_id: str, *, limit: int, now: int) -> list[RecentChange]:
    """The newest changes of a User's merged calendar, newest first."""
    with db.read() as tx:
        names = {calendar.id: calendar.name for calendar in accounts.calendars(tx, user_id=user_id)}
        found = []
        for change in overview.newest_changes(tx, user_id, limit=limit):
            name = names.get(change.source_id, "")
            if change.kind == ItemKind.APPOINTMENT:
                booked = appointments.get(tx, change.source_id)
                name = booked.fields.title if booked else ""
            elif change.kind == ItemKind.CRM:
                slot = blocked_slots.get(tx, change.source_id)
                name = slot.title if slot else ""
            time = overview.next_time(tx, user_id, change.href, now=now)
            found.append(RecentChange(change.kind, name, time, change.first_start, change.changed_at, change.removed))
        return found
