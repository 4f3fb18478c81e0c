"""Single times of a recurring Appointment, which the CRM sees as events of their own.

Their ids have HighLevel's form, `<masterId>_<epochMillis>_<seconds>`: the start by the rule (even if the time was
moved), and the length of the series' times. When the CRM changes a single time, it is taken out of the series and
becomes an Appointment of its own with this id, for which everything holds that holds for Appointments. When the CRM
deletes one, a deleted Appointment with this id is kept. Changing a time and all later ones splits the series: the later
part becomes a recurring Appointment of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from bridge.domain import ical
from bridge.domain import publish as decide
from bridge.domain.changes import ChangeOrigin
from bridge.domain.model import Appointment, AppointmentFields, Interval, SyncState
from bridge.errors import FieldProblem, Invalid, Unknown
from bridge.service import changes, publish, visibility
from bridge.service.book import upstream
from bridge.service.visibility import Locations
from bridge.store import appointments, notes
from bridge.store.db import Tx

_ID = re.compile(r"(.+)_(-?\d{4,15})_(\d{1,9})", re.ASCII)


def split(event_id: str) -> tuple[str, int] | None:
    """The recurring Appointment's id and the key (Unix seconds) in the id of a single time; None for another id."""
    match = _ID.fullmatch(event_id)
    return (match[1], int(match[2]) // 1000) if match else None


def expand(tx: Tx, master: Appointment, span: Interval) -> list[Appointment]:
    """The times of a recurring Appointment that touch the span, ordered by start."""
    left = publish.as_the_person_left_it(tx, master)
    zone = visibility.user(tx, master.user_id).time_zone
    found = ical.instances(master, span, time_zone=zone, upstream=left)
    return [single_time(master, key, fields) for key, fields in found]


#: Which part of a recurring Appointment: a single time, that and all later ones, or everything.
Scope = Literal["instance", "following", "series"]


@dataclass(frozen=True, slots=True)
class Part:
    """One time of a recurring Appointment, or that and all later ones."""

    master: Appointment
    key: int
    #: The time as the CRM sees it; None where it was excluded, or the whole Appointment is cancelled or deleted.
    view: Appointment | None
    #: Whether all later times are included.
    rest: bool = False


def named(tx: Tx, event_id: str, scope: Scope | None, locations: Locations) -> Appointment | Part:
    """What an id means with a scope: an Appointment, or a part of a recurring one.

    Raises `Unknown`, and `Invalid` where the series can't be split there.
    """
    single = get(tx, event_id, locations)
    if single is None:
        found = visibility.appointment(tx, event_id, locations)
        if found.master_id is None or scope not in {"following", "series"}:
            return found
        if scope == "following":
            raise _not_split("This time left its series before. Name another one to change all from there on.")
        return visibility.appointment(tx, found.master_id, locations)
    if scope == "series":
        return single.master
    if scope != "following" or single.view is None:
        return single
    if ical.begins_with(single.master.fields, single.key):
        return single.master
    rest = ical.rest_from(single.master.fields, single.key)
    if rest is None:
        raise _not_split("The series can't be split at this time, which the clocks put elsewhere: take another one.")
    return replace(single, view=replace(single.view, fields=rest), rest=True)


def _not_split(detail: str) -> Invalid:
    return Invalid((FieldProblem("/scope", "invalid_value", detail),))


def get(tx: Tx, event_id: str, locations: Locations) -> Part | None:
    """The single time with this id; None for the id of a stored Appointment. Raises `Unknown` if it never existed."""
    parts = split(event_id)
    stored = None if parts is None else appointments.get(tx, event_id)
    if parts is None or (stored is not None and stored.deleted_at is None):
        return None
    master_id, key = parts
    master = visibility.appointment(tx, master_id, locations)
    if master.fields.rrule is None and stored is None:
        raise Unknown("appointment", event_id)
    zone = visibility.user(tx, master.user_id).time_zone
    left = publish.as_the_person_left_it(tx, master)
    fields = None if master.fields.rrule is None else ical.instance(master, key, time_zone=zone, upstream=left)
    if fields is None and stored is not None:
        return None  # taken out of the series, and deleted
    if fields is None and not ical.leaves_out(master, key, time_zone=zone):
        raise Unknown("appointment", event_id)
    takes_place = fields is not None and (master.wanted_upstream or master.deleted_at is not None)
    return Part(master, key, single_time(master, key, fields) if fields is not None and takes_place else None)


def take_out(tx: Tx, master: Appointment, key: int, *, now: int) -> None:
    """Exclude one time from a recurring Appointment."""
    _ruled(tx, master, ical.leave_out(master.fields, key), now=now)


def end_before(tx: Tx, master: Appointment, key: int, *, now: int) -> None:
    """End a recurring Appointment before the time of this key, and delete later times that were taken out of it."""
    if key <= master.fields.start:
        # A rule always yields its first time, so nothing is left.
        delete_in(tx, master, now=now)
        return
    _ruled(tx, master, ical.end_before(master.fields, key), now=now)
    for one in taken_out_of(tx, master.id, since=key):
        delete_in(tx, one, now=now)


def by_itself(tx: Tx, part: Part, view: Appointment, *, now: int) -> Appointment:
    """A part of a recurring Appointment as an Appointment of its own, not stored yet. `view` is that of the part."""
    made = replace(
        view,
        external_id=None,
        created_at=now,
        uid=upstream.new_uid(),
        sync_state=SyncState.NOT_SYNCED,
        sync_error=None,
        synced_at=None,
        calendar_id=None,
        href=None,
        agreed=None,
        answer=None,
        carried=None,
    )
    if not part.rest:
        return replace(made, fields=replace(made.fields, rrule=None))
    # What the person changed in the event, and on the times of this part, is kept.
    event = publish.as_the_person_left_it(tx, part.master)
    rest = None if event is None else ical.rest_of_event(part.master, part.key, event)
    carried = None if rest is None else upstream.under_uid(rest, part.master, made.uid)
    return replace(made, id=made.uid, master_id=None, version=0, carried=carried)


def take_away(tx: Tx, part: Part, after: Appointment, *, now: int) -> None:
    """Remove a part from a recurring Appointment, which continues as the Appointment given."""
    if not part.rest:
        take_out(tx, part.master, part.key, now=now)
        return
    _ruled(tx, part.master, ical.end_before(part.master.fields, part.key), now=now)
    for one in taken_out_of(tx, part.master.id, since=part.key):
        moved = replace(one, master_id=after.id, version=one.version + 1, updated_at=max(now, one.updated_at))
        appointments.put(tx, moved)
        changes.appointment(tx, one, moved, origin=ChangeOrigin.API, now=now)


def taken_out_of(tx: Tx, master_id: str, *, since: int | None = None) -> list[Appointment]:
    """The Appointments that were taken out of a recurring one; only those from a key on, if one is given."""
    return [one for one in appointments.taken_out_of(tx, master_id) if since is None or key_of(one) >= since]


def key_of(one: Appointment) -> int:
    """The key that an Appointment had as a time of its series."""
    parts = split(one.id)
    assert parts is not None, "it goes by the id that it had as one of them"  # noqa: S101
    return parts[1]


def delete_single(tx: Tx, single: Part, view: Appointment, *, now: int) -> None:
    """Delete one time of a recurring Appointment. It can be read for a while, as a deleted Appointment."""
    take_out(tx, single.master, single.key, now=now)
    gone = replace(by_itself(tx, single, view, now=now), deleted_at=now, updated_at=now, version=view.version + 1)
    appointments.put(tx, gone)
    notes.go_with(tx, gone.id)
    changes.appointment(tx, view, gone, origin=ChangeOrigin.API, now=now)


def delete_in(tx: Tx, booked: Appointment, *, now: int) -> None:
    """Delete an Appointment, and all that were taken out of it, in the caller's transaction."""
    gone = replace(booked, deleted_at=now, updated_at=now, version=booked.version + 1)
    gone = upstream.queue(tx, gone, now=now)
    appointments.put(tx, gone)
    changes.appointment(tx, booked, gone, origin=ChangeOrigin.API, now=now)
    publish.publish_appointment(tx, gone, now=now)
    if booked.fields.rrule is not None:
        for one in taken_out_of(tx, booked.id):
            delete_in(tx, one, now=now)


def _ruled(tx: Tx, master: Appointment, rrule: str, *, now: int) -> None:
    """Set a recurring Appointment's rule. If no time is left, it is deleted."""
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
    appointments.put(tx, after)
    changes.appointment(tx, master, after, origin=ChangeOrigin.API, now=now)
    publish.publish_appointment(tx, after, now=now)


def single_time(master: Appointment, key: int, fields: AppointmentFields) -> Appointment:
    """One time of a recurring Appointment, as the CRM sees it."""
    seconds = master.fields.end - master.fields.start
    event_id = f"{master.id}_{key * 1000}_{seconds}"
    return replace(master, id=event_id, fields=fields, master_id=master.id)
