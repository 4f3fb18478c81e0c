"""The CRM's own BlockedSlots. Those from iCloud are `published` items."""

from __future__ import annotations

from bridge.domain.model import BlockedSlot, Interval
from bridge.store.db import Row, Tx


def put(tx: Tx, slot: BlockedSlot) -> None:
    """Add the CRM BlockedSlot, or bring it up to date."""
    tx.execute(
        f"INSERT INTO blocked_slots ({_SLOT}) VALUES (:{', :'.join(_SLOT.split(', '))})"
        f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _SLOT.split(', ')[1:])}",
        {
            "id": slot.id,
            "location_id": slot.location_id,
            "user_id": slot.user_id,
            "booking_calendar_id": slot.booking_calendar_id,
            "title": slot.title,
            "start_at": slot.start,
            "end_at": slot.end,
            "time_zone": slot.time_zone,
            "utc_offset": slot.utc_offset,
            "expires_at": slot.expires_at,
            "version": slot.version,
            "created_at": slot.created_at,
            "updated_at": slot.updated_at,
            "deleted_at": slot.deleted_at,
        },
    )


def get(tx: Tx, slot_id: str) -> BlockedSlot | None:
    """The CRM BlockedSlot, deleted ones too, or None."""
    row = tx.execute(f"SELECT {_SLOT} FROM blocked_slots WHERE id = :id", {"id": slot_id}).fetchone()
    return _slot(row) if row else None


def of_user(tx: Tx, user_id: str) -> list[BlockedSlot]:
    """Every CRM BlockedSlot of a User that is not deleted."""
    rows = tx.execute(
        f"SELECT {_SLOT} FROM blocked_slots WHERE user_id = :id AND deleted_at IS NULL ORDER BY start_at, id",
        {"id": user_id},
    )
    return [_slot(row) for row in rows]


def between(tx: Tx, span: Interval, *, user_id: str, include_deleted: bool = False) -> list[BlockedSlot]:
    """CRM BlockedSlots of a User that touch the span."""
    rows = tx.execute(
        f"SELECT {_SLOT} FROM blocked_slots WHERE user_id = :id AND (deleted_at IS NULL OR :include_deleted)"
        " AND start_at < :end AND end_at > :start ORDER BY start_at, id",
        {"id": user_id, "start": span.start, "end": span.end, "include_deleted": include_deleted},
    )
    return [_slot(row) for row in rows]


def expired(tx: Tx, *, now: int) -> list[BlockedSlot]:
    """Holds whose time is over and that are not deleted yet."""
    rows = tx.execute(
        f"SELECT {_SLOT} FROM blocked_slots WHERE expires_at IS NOT NULL AND deleted_at IS NULL AND expires_at <= :now",
        {"now": now},
    )
    return [_slot(row) for row in rows]


def prune(tx: Tx, *, before: int) -> None:
    """Delete what was marked as deleted before an instant."""
    tx.execute("DELETE FROM blocked_slots WHERE deleted_at < :before", {"before": before})


_SLOT = (
    "id, location_id, user_id, booking_calendar_id, title, start_at, end_at, time_zone, utc_offset, expires_at,"
    " version, created_at, updated_at, deleted_at"
)


def _slot(row: Row) -> BlockedSlot:
    values = dict(row)
    return BlockedSlot(start=values.pop("start_at"), end=values.pop("end_at"), **values)
