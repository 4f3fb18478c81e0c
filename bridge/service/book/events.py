"""Deleting events, which may be appointments or blocked slots."""

from __future__ import annotations

from bridge.domain.changes import ChangeOrigin
from bridge.domain.model import Appointment
from bridge.errors import FieldProblem, Invalid, ReadOnly
from bridge.service import visibility
from bridge.service.book import blocked_slots, instances
from bridge.service.book.instances import Scope
from bridge.service.visibility import Locations
from bridge.store.db import Db, Tx


def delete_event(
    db: Db,
    event_id: str,
    *,
    locations: Locations,
    expected_version: int | None,
    scope: Scope | None = None,
    now: int,
) -> None:
    """Delete an Appointment (its event in iCloud goes too) or a CRM BlockedSlot. Doing so again changes nothing.

    Of a recurring one's single time just that goes, unless the `scope` says more. Raises `Unknown`, `ReadOnly` for an
    iCloud blocked slot, `VersionMismatch`, `Invalid` for one time of what names none.
    """
    with db.write() as tx:
        if blocked_slots.is_icloud(event_id):
            blocked_slots.icloud_slot(tx, event_id, locations)
            raise ReadOnly("blocked slot", event_id)
        if blocked_slots.is_crm(event_id):
            slot = visibility.slot(tx, event_id, locations)
            if slot.deleted_at is None:
                visibility.expect(slot.version, expected_version)
                blocked_slots.delete_in(tx, slot, origin=ChangeOrigin.API, now=now)
            return
        single = instances.get(tx, event_id, locations)
        booked = single.master if single is not None else visibility.appointment(tx, event_id, locations)
        if single is None and booked.fields.rrule is not None and scope == "instance":
            raise Invalid((FieldProblem("/scope", "invalid_value", "Name one of its times by its own id."),))
        if booked.deleted_at is not None or (
            single is not None and single.view is None and scope in {None, "instance"}
        ):
            return
        visibility.expect(booked.version, expected_version)
        if single is None or scope == "series":
            _delete_all(tx, booked, scope, now=now)
        elif scope == "following":
            instances.end_before(tx, booked, single.key, now=now)
        elif single.view is not None:
            instances.delete_single(tx, single, single.view, now=now)


def _delete_all(tx: Tx, booked: Appointment, scope: Scope | None, *, now: int) -> None:
    """The Appointment; of one that was taken out of a recurring one, by its scope, the rest of that too."""
    master = None if booked.master_id is None else visibility.appointment(tx, booked.master_id, None)
    if master is None or scope not in {"following", "series"} or master.deleted_at is not None:
        instances.delete_in(tx, booked, now=now)
    elif scope == "series":
        instances.delete_in(tx, master, now=now)
    else:
        instances.end_before(tx, master, instances.key_of(booked), now=now)
