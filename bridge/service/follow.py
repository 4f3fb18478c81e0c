"""Two-way: what happens to an Appointment's own event in iCloud comes back to the Appointment."""

from __future__ import annotations

import logging
from dataclasses import replace

from bridge.domain import ical, reconcile
from bridge.domain.model import MirrorItem, SyncState
from bridge.service.publish import Delta
from bridge.store import bookings, mirror, outbox
from bridge.store.db import Tx

log = logging.getLogger(__name__)


def seen(tx: Tx, delta: Delta, item: MirrorItem, before: MirrorItem | None) -> None:
    """An object was read: if it is an Appointment's event that a person changed, the Appointment follows."""
    booked = bookings.appointment_by_uid(tx, item.uid)
    if booked is None or item.unreadable is not None or not booked.wanted_upstream:
        return
    if booked.href is None or (booked.calendar_id, booked.href) != (item.calendar_id, item.href):
        return
    theirs = ical.upstream_fields(item.ics, like=booked.fields)
    known = before is not None and before.unreadable is None
    was = ical.upstream_fields(before.ics, like=booked.fields) if before is not None and known else None
    merged = reconcile.merge(booked.fields, booked.agreed, was, theirs)
    if not merged.taken and not merged.contested:
        return
    after = replace(booked, fields=merged.fields)
    if merged.taken and booked.agreed is not None:
        after = replace(
            after,
            version=booked.version + 1,
            updated_at=delta.now,
            # What was taken over is agreed on; what the CRM still has to send is not.
            agreed=replace(booked.agreed, **{name: getattr(theirs, name) for name in merged.taken}),
        )
        log.info("appointment %s: changed in iCloud: %s", booked.id, ", ".join(sorted(merged.taken)))
    if merged.contested:
        after = replace(
            after,
            sync_state=SyncState.CONFLICT,
            sync_error="Changed in the CRM and in iCloud at the same time: " + ", ".join(sorted(merged.contested)),
        )
        log.warning("appointment %s: changed on both sides: %s", booked.id, ", ".join(sorted(merged.contested)))
    bookings.put_appointment(tx, after)
    delta.appointment(after)


def removed(tx: Tx, delta: Delta, item: MirrorItem) -> None:
    """An object is verifiably gone: if it was an Appointment's event, the person cancelled the Appointment."""
    booked = bookings.appointment_by_uid(tx, item.uid)
    if booked is None or (booked.calendar_id, booked.href) != (item.calendar_id, item.href):
        return
    if mirror.by_uid(tx, booked.user_id, item.uid):
        return  # moved to another calendar that is read: it still stands
    if not booked.wanted_upstream:
        return  # the CRM cancelled it, and the push did its work
    if outbox.is_open(tx, booked.id):
        return  # the CRM has written since; the push finds out, and the newer wish wins
    cancelled = replace(
        booked,
        fields=replace(booked.fields, status="cancelled"),
        version=booked.version + 1,
        updated_at=delta.now,
        sync_state=SyncState.NOT_SYNCED,
        sync_error=None,
        agreed=None,
    )
    log.info("appointment %s: deleted in iCloud", booked.id)
    bookings.put_appointment(tx, cancelled)
    delta.appointment(cancelled)
