"""Appointments: as they were booked, and where their events are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from bridge.domain.model import Appointment, AppointmentFields, Interval, SyncState
from bridge.store.db import Row, Tx
from bridge.store.occurrences import LONG
from bridge.store.users import OWNER


def put(tx: Tx, appointment: Appointment) -> None:
    """Add the Appointment, or bring it up to date."""
    fields = appointment.fields
    tx.execute(
        f"INSERT INTO appointments ({_APPOINTMENT}) VALUES (:{', :'.join(_APPOINTMENT.split(', '))})"
        f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _APPOINTMENT.split(', ')[1:])}",
        {
            "id": appointment.id,
            "location_id": appointment.location_id,
            "booking_calendar_id": appointment.booking_calendar_id,
            "user_id": appointment.user_id,
            "other_user_ids": json.dumps(appointment.other_user_ids),
            "master_id": appointment.master_id,
            "stands_in_for": appointment.stands_in_for,
            "contact_id": appointment.contact_id,
            "external_id": appointment.external_id,
            "title": fields.title,
            "start_at": fields.start,
            "end_at": fields.end,
            "time_zone": fields.time_zone,
            "utc_offset": appointment.utc_offset,
            "all_day": fields.all_day,
            "description": fields.description,
            "address": fields.address,
            "rrule": fields.rrule,
            "status": fields.status,
            "invitee": fields.invitee,
            "answer": appointment.answer,
            "extra": json.dumps(appointment.extra),
            "source": appointment.source,
            "source_updated_at": appointment.source_updated_at,
            "version": appointment.version,
            "created_at": appointment.created_at,
            "updated_at": appointment.updated_at,
            "deleted_at": appointment.deleted_at,
            "uid": appointment.uid,
            "sync_state": appointment.sync_state,
            "sync_error": appointment.sync_error,
            "synced_at": appointment.synced_at,
            "calendar_id": appointment.calendar_id,
            "href": appointment.href,
            "agreed": None if appointment.agreed is None else json.dumps(asdict(appointment.agreed)),
            "attempted": json.dumps([asdict(one) for one in appointment.attempted]) if appointment.attempted else None,
            "carried": appointment.carried,
        },
    )


def get(tx: Tx, appointment_id: str) -> Appointment | None:
    """The Appointment, deleted ones too, or None."""
    return _one(tx, "id = :value", appointment_id)


def by_uid(tx: Tx, uid: str) -> Appointment | None:
    """The Appointment whose event has this UID, or None."""
    return _one(tx, "uid = :value", uid)


def by_external_id(tx: Tx, location_id: str, external_id: str) -> Appointment | None:
    """The Appointment that a location's CRM knows by this id of its own, deleted ones too, or None."""
    row = tx.execute(
        f"SELECT {_APPOINTMENT} FROM appointments WHERE location_id = :location_id AND external_id = :external_id",
        {"location_id": location_id, "external_id": external_id},
    ).fetchone()
    return _appointment(row) if row else None


def of_user(tx: Tx, user_id: str) -> list[Appointment]:
    """Every Appointment of a User that is not deleted."""
    rows = tx.execute(
        f"SELECT {_APPOINTMENT} FROM appointments WHERE user_id = :id AND deleted_at IS NULL ORDER BY start_at, id",
        {"id": user_id},
    )
    return [_appointment(row) for row in rows]


def failed_of_user(tx: Tx, user_id: str) -> list[Appointment]:
    """A User's Appointments whose event could not be written, deleted ones too, by start."""
    rows = tx.execute(
        f"SELECT {_APPOINTMENT} FROM appointments WHERE user_id = :id AND sync_state = 'failed' ORDER BY start_at, id",
        {"id": user_id},
    )
    return [_appointment(row) for row in rows]


def of_calendar(tx: Tx, calendar_id: str) -> list[Appointment]:
    """Every Appointment whose event lives, or lived, in a remote Calendar; deleted ones too."""
    rows = tx.execute(f"SELECT {_APPOINTMENT} FROM appointments WHERE calendar_id = :id", {"id": calendar_id})
    return [_appointment(row) for row in rows]


def prune(tx: Tx, *, before: int) -> None:
    """Delete what was marked as deleted before an instant, except Appointments whose event may still be upstream."""
    tx.execute(
        "DELETE FROM appointments WHERE deleted_at < :before AND (href IS NULL OR sync_state = 'not_synced')"
        " AND NOT EXISTS"
        " (SELECT 1 FROM outbox WHERE outbox.appointment_id = appointments.id AND outbox.state <> 'done')",
        {"before": before},
    )


def adrift_of_user(tx: Tx, user_id: str) -> list[Appointment]:
    """A User's Appointments, deleted ones too, whose event was left behind where an account was disconnected."""
    rows = tx.execute(
        f"SELECT {_APPOINTMENT} FROM appointments WHERE user_id = :id AND calendar_id IS NULL AND href IS NOT NULL",
        {"id": user_id},
    )
    return [_appointment(row) for row in rows]


def move_hrefs(tx: Tx, calendar_id: str, *, old: str, new: str) -> None:
    """The remote Calendar lives at another path now, and its events with it."""
    tx.execute(
        "UPDATE appointments SET href = :new || SUBSTR(href, LENGTH(:old) + 1)"
        " WHERE calendar_id = :id AND SUBSTR(href, 1, LENGTH(:old)) = :old",
        {"id": calendar_id, "old": old, "new": new},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which Appointments of a location a listing wants."""

    location_id: str
    span: Interval
    user_id: str | None = None
    #: Of any of these booking calendars; None: of all.
    booking_calendar_ids: Sequence[str] | None = None
    include_deleted: bool = False
    #: Changed after this instant.
    updated_after: int | None = None
    #: After this start and id, in their order.
    after: tuple[int, str] = (-(2**62), "")
    limit: int | None = None


def single(tx: Tx, wanted: Wanted) -> list[Appointment]:
    """Appointments that touch the span as one stretch of time, by start: all but recurring ones that take place."""
    return _listed(
        tx,
        wanted,
        f"NOT {_RECURS} AND a.end_at > :start AND (a.start_at, a.id) > (:after_start, :after_id)",
        limit=-1 if wanted.limit is None else wanted.limit,
    )


def recurring(tx: Tx, wanted: Wanted) -> list[Appointment]:
    """Recurring Appointments that take place and may touch the span."""
    goes_on = (
        "EXISTS (SELECT 1 FROM published_items p JOIN users u ON u.number = p.owner"
        " WHERE u.id = a.user_id AND p.href = a.id || '.ics' AND (p.last_end IS NULL OR p.last_end > :start))"
    )
    return _listed(tx, wanted, f"{_RECURS} AND {goes_on}", limit=-1)


_RECURS = "(a.rrule IS NOT NULL AND a.deleted_at IS NULL AND a.status NOT IN ('cancelled', 'invalid'))"


def _listed(tx: Tx, wanted: Wanted, where: str, *, limit: int) -> list[Appointment]:
    values: dict[str, object] = {
        "location_id": wanted.location_id,
        "start": wanted.span.start,
        "end": wanted.span.end,
        "after_start": wanted.after[0],
        "after_id": wanted.after[1],
        "limit": limit,
    }
    conditions = ["a.location_id = :location_id", "a.start_at < :end", where]
    if wanted.user_id is not None:
        conditions.append("a.user_id = :user_id")
        values["user_id"] = wanted.user_id
    if wanted.booking_calendar_ids is not None:
        names = {f"c{n}": calendar_id for n, calendar_id in enumerate(wanted.booking_calendar_ids)}
        conditions.append(f"a.booking_calendar_id IN ({', '.join(f':{name}' for name in names)})")
        values |= names
    if wanted.updated_after is not None:
        conditions.append("a.updated_at >= :updated_after")
        values["updated_after"] = wanted.updated_after
    if not wanted.include_deleted:
        conditions.append("a.deleted_at IS NULL")
    rows = tx.execute(
        f"SELECT {_APPOINTMENT} FROM appointments a WHERE {' AND '.join(conditions)}"
        " ORDER BY a.start_at, a.id LIMIT :limit",
        values,
    )
    return [_appointment(row) for row in rows]


def taken_out_of(tx: Tx, master_id: str) -> list[Appointment]:
    """The Appointments that were times of a recurring one and stand by themselves now, less deleted ones."""
    rows = tx.execute(
        f"SELECT {_APPOINTMENT} FROM appointments WHERE master_id = :id AND deleted_at IS NULL ORDER BY id",
        {"id": master_id},
    )
    return [_appointment(row) for row in rows]


def note_request(tx: Tx, appointment_id: str, digest: str) -> None:
    """Keep what tells the request that made an Appointment from others."""
    tx.execute("UPDATE appointments SET request = :digest WHERE id = :id", {"id": appointment_id, "digest": digest})


def request_of(tx: Tx, appointment_id: str) -> str | None:
    """What tells the request that made the Appointment from others; None for one that is older than this is kept."""
    row = tx.execute("SELECT request FROM appointments WHERE id = :id", {"id": appointment_id}).fetchone()
    return None if row is None else row["request"]


def booked_times(
    tx: Tx, user_id: str, booking_calendar_ids: Iterable[str], span: Interval
) -> list[tuple[int, int, str, str]]:
    """When appointments of these booking calendars take a User's time in the span: start, end, calendar and href."""
    occurrence = (
        "SELECT o.start_at, o.end_at, a.booking_calendar_id, p.href FROM appointments a JOIN published_items p"
        f" ON p.owner = {OWNER} AND p.href = a.id || '.ics' JOIN occurrences o ON o.item = p.id"
        " WHERE a.booking_calendar_id = :calendar_id"
        " AND o.start_at < :end AND o.end_at > :start"
    )
    found: list[tuple[int, int, str, str]] = []
    for calendar_id in booking_calendar_ids:
        rows = tx.execute(
            f"{occurrence} AND a.start_at >= :start - {LONG} AND a.start_at < :end"
            f" UNION ALL {occurrence} AND a.start_at < :start - {LONG}"
            f" AND (a.rrule IS NOT NULL OR a.end_at - a.start_at > {LONG})",
            {"user_id": user_id, "calendar_id": calendar_id, "start": span.start, "end": span.end},
        )
        found += [(start, end, calendar, href) for start, end, calendar, href in rows]
    return found


_APPOINTMENT = (
    "id, location_id, booking_calendar_id, user_id, other_user_ids, master_id, stands_in_for, contact_id, external_id,"
    " title, start_at, end_at, time_zone, utc_offset, all_day, description, address, rrule, status, invitee, answer,"
    " extra, source, source_updated_at, version, created_at, updated_at, deleted_at, uid, sync_state, sync_error,"
    " synced_at, calendar_id, href, agreed, attempted, carried"
)


def _one(tx: Tx, where: str, value: str) -> Appointment | None:
    row = tx.execute(f"SELECT {_APPOINTMENT} FROM appointments WHERE {where}", {"value": value}).fetchone()
    return _appointment(row) if row else None


def _appointment(row: Row) -> Appointment:
    return Appointment(
        id=row["id"],
        location_id=row["location_id"],
        booking_calendar_id=row["booking_calendar_id"],
        user_id=row["user_id"],
        contact_id=row["contact_id"],
        external_id=row["external_id"],
        fields=AppointmentFields(
            title=row["title"],
            start=row["start_at"],
            end=row["end_at"],
            time_zone=row["time_zone"],
            all_day=bool(row["all_day"]),
            description=row["description"],
            address=row["address"],
            rrule=row["rrule"],
            status=row["status"],
            invitee=row["invitee"],
        ),
        utc_offset=row["utc_offset"],
        extra=json.loads(row["extra"]),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        deleted_at=row["deleted_at"],
        uid=row["uid"],
        sync_state=SyncState(row["sync_state"]),
        sync_error=row["sync_error"],
        synced_at=row["synced_at"],
        calendar_id=row["calendar_id"],
        href=row["href"],
        agreed=AppointmentFields(**json.loads(row["agreed"])) if row["agreed"] else None,
        attempted=tuple(AppointmentFields(**one) for one in json.loads(row["attempted"] or "[]")),
        carried=row["carried"],
        other_user_ids=tuple(json.loads(row["other_user_ids"])),
        master_id=row["master_id"],
        stands_in_for=row["stands_in_for"],
        answer=row["answer"],
        source=row["source"],
        source_updated_at=row["source_updated_at"],
    )
