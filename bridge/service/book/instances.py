"""Single times of a recurring Appointment, as events of their own to the CRM.

The CRM names one as HighLevel does: `<masterId>_<epochMillis>_<seconds>`, by when it was to begin, whatever became of
it since, and how long the series' times are. One that the CRM changes is taken out of the series and goes on as an
Appointment by itself, under that very id: then all that holds for appointments holds for it too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from bridge.domain import ical
from bridge.domain import publish as decide
from bridge.domain.changes import ChangeOrigin
from bridge.domain.model import Appointment, AppointmentFields, Interval, SyncState
from bridge.errors import Unknown
from bridge.service import changes, publish, visibility
from bridge.service.book import upstream
from bridge.service.visibility import Locations
from bridge.store import bookings
from bridge.store.db import Tx

_ID = re.compile(r"(.+)_(-?\d{4,15})_(\d{1,9})", re.ASCII)


def split(event_id: str) -> tuple[str, int] | None:
    """The recurring Appointment's id and the key (Unix seconds) that the id of a single time is made of; else None."""
    match = _ID.fullmatch(event_id)
    return (match[1], int(match[2]) // 1000) if match else None


def series_of(event_id: str) -> str:
    """The id of the recurring Appointment whose single time this is; else the id itself."""
    parts = split(event_id)
    return event_id if parts is None else parts[0]


def expand(tx: Tx, master: Appointment, span: Interval) -> list[Appointment]:
    """Each time of a recurring Appointment that touches the span, by start."""
    left = publish.as_the_person_left_it(tx, master)
    zone = visibility.user(tx, master.user_id).time_zone
    found = ical.instances(master, span, time_zone=zone, upstream=left)
    return [_view(master, key, fields) for key, fields in found]


@dataclass(frozen=True, slots=True)
class Single:
    """One time of a recurring Appointment."""

    master: Appointment
    key: int
    #: How the CRM sees it; None where it was deleted, or the whole Appointment takes place no longer.
    view: Appointment | None


def get(tx: Tx, event_id: str, locations: Locations) -> Single | None:
    """The single time with this id; None for the id of anything else. Raises `Unknown` where there never was one."""
    parts = split(event_id)
    if parts is None or bookings.appointment(tx, event_id) is not None:
        return None
    master_id, key = parts
    master = visibility.appointment(tx, master_id, locations)
    if master.fields.rrule is None:
        raise Unknown("appointment", event_id)
    zone = visibility.user(tx, master.user_id).time_zone
    left = publish.as_the_person_left_it(tx, master)
    fields = ical.instance(master, key, time_zone=zone, upstream=left)
    if fields is None and not ical.leaves_out(master, key, time_zone=zone):
        raise Unknown("appointment", event_id)
    return Single(master, key, None if fields is None or not master.wanted_upstream else _view(master, key, fields))


def take_out(tx: Tx, master: Appointment, key: int, *, now: int) -> None:
    """Take one time out of a recurring Appointment."""
    _ruled(tx, master, ical.leave_out(master.fields, key), now=now)


def end_before(tx: Tx, master: Appointment, key: int, *, now: int) -> None:
    """End a recurring Appointment before the time of this key, with those that were taken out of it."""
    if key <= master.fields.start:
        # No rule says less than the first of its times.
        delete_in(tx, master, now=now)
        return
    _ruled(tx, master, ical.end_before(master.fields, key), now=now)
    for one in bookings.taken_out_of(tx, master.id):
        if (parts := split(one.id)) is not None and parts[1] >= key:
            delete_in(tx, one, now=now)


def by_itself(view: Appointment, *, now: int) -> Appointment:
    """A single time as an Appointment of its own, which is stored nowhere yet."""
    return replace(
        view,
        external_id=None,
        fields=replace(view.fields, rrule=None),
        created_at=now,
        uid=upstream.new_uid(),
        sync_state=SyncState.NOT_SYNCED,
        sync_error=None,
        synced_at=None,
        calendar_id=None,
        href=None,
        agreed=None,
        carried=None,
    )


def delete_in(tx: Tx, booked: Appointment, *, now: int) -> None:
    """Delete an Appointment in the caller's transaction; with a recurring one what was taken out of it."""
    gone = replace(booked, deleted_at=now, updated_at=now, version=booked.version + 1)
    gone = upstream.queue(tx, gone, now=now)
    bookings.put_appointment(tx, gone)
    changes.appointment(tx, booked, gone, origin=ChangeOrigin.API, now=now)
    publish.publish_appointment(tx, gone, now=now)
    if booked.fields.rrule is not None:
        for one in bookings.taken_out_of(tx, booked.id):
            delete_in(tx, one, now=now)


def _ruled(tx: Tx, master: Appointment, rrule: str, *, now: int) -> None:
    """Give a recurring Appointment another rule. Where nothing is left of it, it is deleted."""
    after = replace(master, fields=replace(master.fields, rrule=rrule), updated_at=max(now, master.updated_at))
    zone = visibility.user(tx, master.user_id).time_zone
    left = decide.appointment(
        after, time_zone=zone, span=decide.horizon(now), upstream=publish.as_the_person_left_it(tx, after)
    )
    after = replace(after, version=master.version + 1)
    if left is None:
        after = upstream.queue(tx, replace(after, deleted_at=now), now=now)
    else:
        after = upstream.requeue(tx, after, now=now)
    bookings.put_appointment(tx, after)
    changes.appointment(tx, master, after, origin=ChangeOrigin.API, now=now)
    publish.publish_appointment(tx, after, now=now)


def _view(master: Appointment, key: int, fields: AppointmentFields) -> Appointment:
    seconds = master.fields.end - master.fields.start
    event_id = f"{master.id}_{key * 1000}_{seconds}"
    return replace(master, id=event_id, fields=fields, master_id=master.id)
