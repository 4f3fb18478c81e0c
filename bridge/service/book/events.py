"""What holds for events of both kinds, appointments and blocked slots."""

from __future__ import annotations

from dataclasses import replace

from bridge.domain.changes import ChangeOrigin
from bridge.errors import ReadOnly
from bridge.service import changes, publish
from bridge.service.book import blocked_slots, upstream, visibility
from bridge.service.book.visibility import Locations
from bridge.store import bookings
from bridge.store.db import Db


def delete_event(db: Db, event_id: str, *, locations: Locations, expected_version: int | None, now: int) -> None:
    """Delete an Appointment (its event in iCloud goes too) or a CRM BlockedSlot. Doing so again changes nothing.

    Raises `Unknown`, `ReadOnly` for an iCloud blocked slot, `VersionMismatch`.
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
        before = visibility.appointment(tx, event_id, locations)
        if before.deleted_at is None:
            visibility.expect(before.version, expected_version)
            appointment = replace(before, deleted_at=now, updated_at=now, version=before.version + 1)
            appointment = upstream.queue(tx, appointment, now=now)
            bookings.put_appointment(tx, appointment)
            changes.appointment(tx, before, appointment, origin=ChangeOrigin.API, now=now)
            publish.publish_appointment(tx, appointment, now=now)
