"""Schedules: the working hours that the CRM has set, and the booking calendars that they are for."""

from __future__ import annotations

import json

from bridge.domain.schedules import Schedule
from bridge.store.db import Tx


def put(tx: Tx, schedule: Schedule) -> None:
    """Add the Schedule, or update it, with the booking calendars that it names."""
    tx.execute(
        "INSERT INTO schedules (id, location_id, user_id, name, time_zone, rules, created_at, updated_at)"
        " VALUES (:id, :location_id, :user_id, :name, :time_zone, :rules, :created_at, :updated_at)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, time_zone = excluded.time_zone,"
        " rules = excluded.rules, updated_at = excluded.updated_at",
        {
            "id": schedule.id,
            "location_id": schedule.location_id,
            "user_id": schedule.user_id,
            "name": schedule.name,
            "time_zone": schedule.time_zone,
            "rules": json.dumps(schedule.rules),
            "created_at": schedule.created_at,
            "updated_at": schedule.updated_at,
        },
    )
    tx.execute("DELETE FROM schedule_calendars WHERE schedule_id = :id", {"id": schedule.id})
    tx.executemany(
        "INSERT INTO schedule_calendars (schedule_id, booking_calendar_id) VALUES (:schedule, :calendar)",
        [{"schedule": schedule.id, "calendar": calendar} for calendar in schedule.calendar_ids],
    )


def get(tx: Tx, schedule_id: str) -> Schedule | None:
    """The Schedule, or None."""
    found = _schedules(tx, "id = :id", {"id": schedule_id})
    return found[0] if found else None


def remove(tx: Tx, schedule_id: str) -> None:
    """Remove the Schedule."""
    tx.execute("DELETE FROM schedules WHERE id = :id", {"id": schedule_id})


def search(
    tx: Tx, location_id: str, *, user_id: str | None, calendar_id: str | None, skip: int, limit: int
) -> list[Schedule]:
    """The Schedules of a location, oldest first; only those of one User, or for one booking calendar, if given."""
    return _schedules(
        tx,
        "location_id = :location_id AND (:user_id IS NULL OR user_id = :user_id) AND (:calendar_id IS NULL OR id IN"
        " (SELECT schedule_id FROM schedule_calendars WHERE booking_calendar_id = :calendar_id))",
        {"location_id": location_id, "user_id": user_id, "calendar_id": calendar_id},
        page=(skip, limit),
    )


def for_calendar(tx: Tx, calendar_id: str) -> list[Schedule]:
    """The Schedules that name a booking calendar, oldest first."""
    named = "id IN (SELECT schedule_id FROM schedule_calendars WHERE booking_calendar_id = :calendar_id)"
    return _schedules(tx, named, {"calendar_id": calendar_id})


def general(tx: Tx, user_id: str) -> Schedule | None:
    """The newest of a User's Schedules that name no booking calendar, or None."""
    unnamed = "user_id = :user_id AND id NOT IN (SELECT schedule_id FROM schedule_calendars)"
    found = _schedules(tx, unnamed, {"user_id": user_id})
    return found[-1] if found else None


def of_user(tx: Tx, user_id: str) -> list[Schedule]:
    """A User's Schedules, oldest first."""
    return _schedules(tx, "user_id = :user_id", {"user_id": user_id})


def _schedules(tx: Tx, where: str, values: dict[str, str | None], page: tuple[int, int] = (0, 1000)) -> list[Schedule]:
    rows = tx.execute(
        "SELECT id, location_id, user_id, name, time_zone, rules, created_at, updated_at FROM schedules"
        f" WHERE {where} ORDER BY number LIMIT :limit OFFSET :skip",
        {**values, "skip": page[0], "limit": page[1]},
    ).fetchall()
    return [
        Schedule(**{**dict(row), "rules": tuple(json.loads(row["rules"])), "calendar_ids": _calendars(tx, row["id"])})
        for row in rows
    ]


def _calendars(tx: Tx, schedule_id: str) -> tuple[str, ...]:
    rows = tx.execute(
        "SELECT booking_calendar_id FROM schedule_calendars WHERE schedule_id = :id ORDER BY booking_calendar_id",
        {"id": schedule_id},
    )
    return tuple(calendar_id for (calendar_id,) in rows)
