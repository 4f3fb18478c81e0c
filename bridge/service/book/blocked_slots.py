"""Blocked slots: those that the CRM makes, changes and deletes, and the list of these and those from iCloud."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bridge.domain.changes import ChangeOrigin
from bridge.domain.model import TOMBSTONE_SECONDS, BlockedSlot, Interval, ItemKind, Origin, User
from bridge.errors import ReadOnly, Unknown
from bridge.service import changes, publish, visibility
from bridge.service.visibility import Listing, Locations
from bridge.store import blocked_slots, published
from bridge.store.db import Db, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBlockedSlot:
    """A blocked slot as the CRM posts it: for a User, or for a booking calendar, which must have only one User."""

    location_id: str
    user_id: str | None
    booking_calendar_id: str | None
    title: str
    start: int
    end: int
    time_zone: str | None
    utc_offset: int
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedSlotView:
    """One stretch of blocked time as the CRM sees it. One of origin `icloud` can't be changed."""

    id: str
    origin: Origin
    read_only: bool
    title: str
    start: int
    end: int
    all_day: bool
    time_zone: str | None
    utc_offset: int
    user_id: str
    booking_calendar_id: str | None
    location_id: str
    #: For one from iCloud, both are the instant at which the bridge last saw a change of its event.
    created_at: int
    updated_at: int
    deleted: bool = False


#: Called inside the transaction of the slot, so that what it writes is committed together with it or not at all.
Also = Callable[[Tx, BlockedSlot], None]


def is_crm(event_id: str) -> bool:
    """Whether this is the id of a blocked slot made in the CRM."""
    return event_id.startswith("blk_")


def is_icloud(event_id: str) -> bool:
    """Whether this is the id of a blocked slot from iCloud."""
    return event_id.startswith("ics_")


def create_blocked_slot(db: Db, new: NewBlockedSlot, *, now: int, also: Also | None = None) -> BlockedSlot:
    """Block time. When this returns, it is published and counts as busy. It is never sent anywhere.

    Raises `Unknown`, `Invalid` for a booking calendar of several Users.
    """
    with db.write() as tx:
        user = visibility.blocked_user(tx, new.location_id, new.booking_calendar_id, new.user_id)
        slot = BlockedSlot(
            id=f"blk_{secrets.token_hex(12)}",
            location_id=new.location_id,
            user_id=user.id,
            booking_calendar_id=new.booking_calendar_id,
            title=new.title,
            start=new.start,
            end=new.end,
            time_zone=new.time_zone,
            utc_offset=new.utc_offset,
            expires_at=new.expires_at,
            version=1,
            created_at=now,
            updated_at=now,
            deleted_at=None,
        )
        blocked_slots.put(tx, slot)
        changes.crm_slot(tx, None, slot, origin=ChangeOrigin.API, now=now)
        publish.publish_crm_slot(tx, slot, now=now)
        if also is not None:
            also(tx, slot)
    return slot


def get_blocked_slot(
    db: Db, slot_id: str, *, locations: Locations, now: int | None = None
) -> BlockedSlot | BlockedSlotView:
    """The CRM BlockedSlot, deleted ones too, or one stretch of an iCloud blocked slot.

    With `now`, one that was deleted long before is not there any more. Raises `Unknown`.
    """
    with db.read() as tx:
        if is_icloud(slot_id):
            return icloud_slot(tx, slot_id, locations)
        found = visibility.slot(tx, slot_id, locations)
    if now is not None and (found.deleted_at or now) <= now - TOMBSTONE_SECONDS:
        raise Unknown("blocked slot", slot_id)
    return found


def update_blocked_slot(
    db: Db,
    slot_id: str,
    change: Mapping[str, Any],
    *,
    locations: Locations,
    expected_version: int | None,
    now: int,
) -> BlockedSlot:
    """Change a CRM BlockedSlot by the names of its fields.

    A `user_id` of None means the only User of the booking calendar. Raises `Unknown` (also for a deleted one),
    `Invalid` for a booking calendar of several Users, `ReadOnly` for an iCloud blocked slot, `VersionMismatch`.
    """
    with db.write() as tx:
        if is_icloud(slot_id):
            icloud_slot(tx, slot_id, locations)
            raise ReadOnly("blocked slot", slot_id)
        before = visibility.slot(tx, slot_id, locations)
        if before.deleted_at is not None:
            raise Unknown("blocked slot", slot_id)
        visibility.expect(before.version, expected_version)
        after = replace(before, **change)
        if after.user_id is None or after.user_id != before.user_id:
            user = visibility.blocked_user(tx, after.location_id, after.booking_calendar_id, after.user_id)
            after = replace(after, user_id=user.id)
        if after == before:
            return before
        after = replace(after, version=before.version + 1, updated_at=now)
        blocked_slots.put(tx, after)
        changes.crm_slot(tx, before, after, origin=ChangeOrigin.API, now=now)
        if after.user_id != before.user_id:
            publish.publish_crm_slot(tx, replace(before, deleted_at=now), now=now)
        publish.publish_crm_slot(tx, after, now=now)
    return after


def list_blocked_slots(db: Db, listing: Listing, *, locations: Locations) -> list[BlockedSlotView]:
    """All blocked time in the span, from the CRM and from iCloud, ordered by start. Raises `Unknown`.

    Of deleted ones, only the CRM's own can be listed: what went from iCloud is not kept.
    """
    changed_since = -(2**62) if listing.updated_after is None else listing.updated_after
    with db.read() as tx:
        views = [
            view
            for user in visibility.scope(tx, listing, locations).users
            for view in (
                *_crm_views(tx, user, listing.span, include_deleted=listing.include_deleted),
                *_icloud_views(tx, user, listing.span),
            )
            if (view.start, view.id) > listing.after and view.updated_at >= changed_since
        ]
    return sorted(views, key=lambda view: (view.start, view.id))[: listing.limit]


def expire_holds(db: Db, *, now: int) -> int:
    """Delete the holds that have expired. Returns how many."""
    with db.read() as tx:
        if not blocked_slots.expired(tx, now=now):
            return 0  # this runs every second, and mostly nothing has to be written
    with db.write() as tx:
        return expire_in(tx, now=now)


def expire_in(tx: Tx, *, now: int) -> int:
    """As `expire_holds`, in the caller's transaction, so that its decision does not depend on when that last ran."""
    expired = blocked_slots.expired(tx, now=now)
    for slot in expired:
        delete_in(tx, slot, origin=ChangeOrigin.BRIDGE, now=now)
    return len(expired)


def delete_in(tx: Tx, slot: BlockedSlot, *, origin: ChangeOrigin, now: int) -> None:
    """Delete a CRM BlockedSlot in the caller's transaction."""
    gone = replace(slot, deleted_at=now, updated_at=now, version=slot.version + 1)
    blocked_slots.put(tx, gone)
    changes.crm_slot(tx, slot, gone, origin=origin, now=now)
    publish.publish_crm_slot(tx, gone, now=now)


def icloud_slot(tx: Tx, slot_id: str, locations: Locations) -> BlockedSlotView:
    """One stretch of an iCloud blocked slot. Its id consists of the id of a published item and the start.

    Without a start, as in the change feed, the id stands for the first stretch. Raises `Unknown`.
    """
    stem, _, start = slot_id.rpartition("_")
    whole = not re.fullmatch(r"-?\d{1,12}", start, re.ASCII)
    for user in visibility.all_users(tx, locations):
        for item in published.get(tx, user.id, [f"{slot_id if whole else stem}.ics"]):
            at = item.first_start if whole else int(start)
            for view in _icloud_views(tx, user, Interval(at, at + 1)):
                if view.id == (f"{slot_id}_{at}" if whole else slot_id):
                    return view
    raise Unknown("blocked slot", slot_id)


def _crm_views(tx: Tx, user: User, span: Interval, *, include_deleted: bool) -> Iterator[BlockedSlotView]:
    for slot in blocked_slots.between(tx, span, user_id=user.id, include_deleted=include_deleted):
        yield BlockedSlotView(
            id=slot.id,
            origin=Origin.CRM,
            read_only=False,
            title=slot.title,
            start=slot.start,
            end=slot.end,
            all_day=False,
            time_zone=slot.time_zone,
            utc_offset=slot.utc_offset,
            user_id=user.id,
            booking_calendar_id=slot.booking_calendar_id,
            location_id=slot.location_id,
            created_at=slot.created_at,
            updated_at=slot.updated_at,
            deleted=slot.deleted_at is not None,
        )


def _icloud_views(tx: Tx, user: User, span: Interval) -> Iterator[BlockedSlotView]:
    blocked = [one for one in publish.busy(tx, user, span) if one.kind == ItemKind.ICLOUD]
    titles = publish.titles(tx, user, blocked)
    changed_at = published.changed_at(tx, user.id, sorted({one.href for one in blocked}))
    for one in blocked:
        yield BlockedSlotView(
            id=f"{one.href.removesuffix('.ics')}_{one.start}",
            origin=Origin.ICLOUD,
            read_only=True,
            title=titles[one],
            start=one.start,
            end=one.end,
            all_day=one.all_day,
            time_zone=user.time_zone,
            utc_offset=0,
            user_id=user.id,
            booking_calendar_id=None,
            location_id=user.location_id,
            created_at=changed_at[one.href],
            updated_at=changed_at[one.href],
        )
