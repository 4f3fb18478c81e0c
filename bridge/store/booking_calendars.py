"""Booking calendars with what the CRM has set on them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from bridge.domain.booking_calendars import BookingCalendar
from bridge.store.db import Tx


def get(tx: Tx, calendar_id: str) -> BookingCalendar | None:
    """The booking calendar, or None."""
    found = _calendars(tx, "c.id = :value", calendar_id)
    return found[0] if found else None


def of_location(tx: Tx, location_id: str) -> list[BookingCalendar]:
    """The booking calendars of a location, oldest first."""
    return _calendars(tx, "c.location_id = :value", location_id)


def of_user(tx: Tx, user_id: str) -> list[BookingCalendar]:
    """The booking calendars that a User belongs to, oldest first."""
    member = "c.id IN (SELECT m.booking_calendar_id FROM booking_calendar_users m WHERE m.user_id = :value)"
    return _calendars(tx, member, user_id)


def ids_of_user(tx: Tx, user_id: str) -> list[str]:
    """The ids of the booking calendars that a User belongs to, oldest first."""
    rows = tx.execute(
        "SELECT c.id FROM booking_calendar_users m JOIN booking_calendars c ON c.id = m.booking_calendar_id"
        " WHERE m.user_id = :user_id ORDER BY c.created_at, c.id",
        {"user_id": user_id},
    )
    return [calendar_id for (calendar_id,) in rows]


def put(tx: Tx, calendar: BookingCalendar) -> None:
    """Add the booking calendar, or update it, with its Users."""
    tx.execute(
        "INSERT INTO booking_calendars"
        " (id, location_id, name, slot_minutes, any_free_time, settings, created_at, updated_at)"
        " VALUES (:id, :location_id, :name, :slot_minutes, :any_free_time, :settings, :created_at, :updated_at)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, slot_minutes = excluded.slot_minutes,"
        " any_free_time = excluded.any_free_time, settings = excluded.settings, updated_at = excluded.updated_at",
        {
            "id": calendar.id,
            "location_id": calendar.location_id,
            "name": calendar.name,
            "slot_minutes": calendar.slot_minutes,
            "any_free_time": calendar.any_free_time,
            "settings": json.dumps(calendar.settings),
            "created_at": calendar.created_at,
            "updated_at": calendar.updated_at,
        },
    )
    tx.execute("DELETE FROM booking_calendar_users WHERE booking_calendar_id = :id", {"id": calendar.id})
    tx.executemany(
        "INSERT INTO booking_calendar_users (booking_calendar_id, user_id, position)"
        " VALUES (:calendar, :user, :position)",
        [{"calendar": calendar.id, "user": user, "position": n} for n, user in enumerate(calendar.user_ids)],
    )


def remove(tx: Tx, calendar_id: str) -> None:
    """Remove the booking calendar. Appointments that were booked with it stay.

    Schedules that name no other one go with it: naming none, they would be for all of their User's calendars.
    """
    tx.execute(
        "DELETE FROM schedules WHERE id IN (SELECT schedule_id FROM schedule_calendars GROUP BY schedule_id"
        " HAVING MIN(booking_calendar_id) = :id AND MAX(booking_calendar_id) = :id)",
        {"id": calendar_id},
    )
    tx.execute("DELETE FROM booking_calendars WHERE id = :id", {"id": calendar_id})


def load(tx: Tx, calendar_id: str, user_ids: Iterable[str], *, since: int) -> dict[str, tuple[int, int]]:
    """For each of these Users: how many appointments of the calendar they were given since, and when the last."""
    rows = tx.execute(
        "SELECT user_id, COUNT(*), MAX(created_at) FROM appointments WHERE booking_calendar_id = :id"
        " AND created_at >= :since AND deleted_at IS NULL AND status NOT IN ('cancelled', 'invalid') GROUP BY user_id",
        {"id": calendar_id, "since": since},
    )
    counted = {user: (count, last) for user, count, last in rows}
    return {user: counted.get(user, (0, 0)) for user in user_ids}


def _calendars(tx: Tx, where: str, value: str) -> list[BookingCalendar]:
    rows = tx.execute(
        "SELECT c.id, c.location_id, c.name, c.slot_minutes, c.any_free_time, c.settings, c.created_at, c.updated_at"
        f" FROM booking_calendars c WHERE {where} ORDER BY c.created_at, c.id",
        {"value": value},
    ).fetchall()
    return [
        BookingCalendar(
            id=row["id"],
            location_id=row["location_id"],
            name=row["name"],
            user_ids=_users(tx, row["id"]),
            slot_minutes=row["slot_minutes"],
            created_at=row["created_at"],
            updated_at=row["updated_at"] or row["created_at"],
            any_free_time=None if row["any_free_time"] is None else bool(row["any_free_time"]),
            settings=json.loads(row["settings"]),
        )
        for row in rows
    ]


def _users(tx: Tx, calendar_id: str) -> tuple[str, ...]:
    rows = tx.execute(
        "SELECT user_id FROM booking_calendar_users WHERE booking_calendar_id = :id ORDER BY position",
        {"id": calendar_id},
    )
    return tuple(user_id for (user_id,) in rows)
