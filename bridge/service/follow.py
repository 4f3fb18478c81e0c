"""Two-way: taking over what people do to Appointments' events in iCloud."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from bridge.domain import ical, reconcile
from bridge.domain.changes import ChangeOrigin
from bridge.domain.model import Appointment, AppointmentFields, Calendar, MirrorItem, Role, SyncState, TwoWay
from bridge.errors import Unreadable
from bridge.service import book, changes
from bridge.service.publish import Delta
from bridge.store import accounts, appointments, mirror, outbox, users
from bridge.store.db import Tx

log = logging.getLogger(__name__)

#: The name of a difference in the single times of a series.
SINGLE_TIMES = "single times"


def seen(tx: Tx, delta: Delta, item: MirrorItem, before: MirrorItem | None) -> None:
    """Handle an object that was read: if it is an Appointment's event that a person changed, change the Appointment."""
    booked = appointments.by_uid(tx, item.uid)
    if booked is None or booked.user_id != delta.user.id:
        return  # a colleague's appointment, seen through an invitation or a shared calendar
    if _arrived_late(booked, item):
        appointments.put(tx, book.queue(tx, booked, now=delta.now))
        return
    if booked.stands_in_for is not None:
        _left_behind(tx, delta, booked, item, before)
        return
    if not booked.wanted_upstream or booked.href is None:
        return
    if (booked.calendar_id, booked.href) != (item.calendar_id, item.href):
        # A second copy does not concern the Appointment. But if the first one is gone, the event was moved here.
        if booked.agreed is not None and booked.synced_at is not None and _is_new_home(tx, booked, item):
            _moved_to(tx, delta, booked, item, before)
        return
    _changed(tx, delta, answered(tx, booked, item, now=delta.now), item, before, since=_agreed_text(booked, before))


def _agreed_text(booked: Appointment, before: MirrorItem | None) -> str | None:
    """The text of an Appointment's event from which its single times are known."""
    return before.ics if booked.carried is None and before is not None else booked.carried


def _arrived_late(booked: Appointment, item: MirrorItem) -> bool:
    """Whether this event of ours appears only after it was to be deleted: a server may show a new event late."""
    return (
        not booked.wanted_upstream
        and booked.sync_state == SyncState.NOT_SYNCED
        and (booked.calendar_id, booked.href) == (item.calendar_id, item.href)
    )


def answered(tx: Tx, booked: Appointment, item: MirrorItem, *, now: int) -> Appointment:
    """The Appointment with the invited contact's answer, which is taken over whatever the two-way setting is."""
    answer = ical.answer(item.ics, booked.fields.invitee)
    if answer == booked.answer:
        return booked
    after = replace(booked, answer=answer, version=booked.version + 1, updated_at=now)
    _put(tx, booked, after, now=now)
    return after


def _is_new_home(tx: Tx, booked: Appointment, item: MirrorItem) -> bool:
    """Whether the Appointment's event, which was read back once, is no longer where it was; or is back in the Primary.

    An event in the Primary can be written, so where one was seen in another calendar meanwhile, it is the one.
    """
    if mirror.get(tx, booked.calendar_id or "", booked.href or "") is None:
        return True
    homes = [accounts.calendar(tx, calendar_id or "") for calendar_id in (booked.calendar_id, item.calendar_id)]
    before, after = (home is not None and home.role == Role.PRIMARY for home in homes)
    return after and not before


def _left_behind(tx: Tx, delta: Delta, stand_in: Appointment, item: MirrorItem, before: MirrorItem | None) -> None:
    """Handle the event that a moving Appointment leaves behind: a person's changes of it are kept."""
    booked = appointments.get(tx, stand_in.stands_in_for or "")
    if booked is None or not booked.wanted_upstream:
        return
    if booked.carried is not None:
        carried = book.under_uid(item.ics, stand_in, booked.uid)
        if carried is not None and users.two_way(tx, booked.user_id) != TwoWay.ACCEPT:
            carried = ical.with_single_times_of(booked, carried, booked.carried)
        booked = replace(booked, carried=carried)
        appointments.put(tx, booked)
    since = before.ics if before is not None else None
    taken = _changed(tx, delta, replace(booked, agreed=stand_in.agreed), item, before, since=since)
    if taken is not None:
        # It is written to the new calendar, and must not be taken for another change there.
        appointments.put(tx, book.queue(tx, replace(taken, agreed=booked.agreed), now=delta.now))
        appointments.put(tx, replace(stand_in, agreed=taken.agreed))


def _changed(
    tx: Tx, delta: Delta, booked: Appointment, item: MirrorItem, before: MirrorItem | None, *, since: str | None
) -> Appointment | None:
    """Merge what the event says into the Appointment. Returns the Appointment where it took something over.

    What it says of single times is compared with what the text `since` says of them.
    """
    stored = booked
    try:
        was = None if before is None else ical.upstream_fields(before.ics, like=booked.fields, sent=booked.agreed)
        booked, was = _with_arrived(booked, item, was)
        theirs = ical.upstream_fields(item.ics, like=booked.fields, sent=booked.agreed)
        merged = reconcile.merge(booked.fields, booked.agreed, was, theirs)
        after = replace(booked, fields=merged.fields)
        singly = ical.changed_singly(booked, after, time_zone=delta.user.time_zone, was=since, now=item.ics)
    except Unreadable:
        return None
    changed = [*sorted(merged.taken), *([SINGLE_TIMES] if singly else [])]
    if changed and (policy := users.two_way(tx, booked.user_id)) != TwoWay.ACCEPT:
        if singly and item.uid == booked.uid:
            booked = replace(booked, carried=ical.with_single_times_of(booked, item.ics, since))
        _not_taken(tx, booked, changed, policy=policy, now=delta.now)
        return None
    if not changed and not merged.contested:
        if item.uid == booked.uid and (known := _known_by(tx, booked, item)) != stored:
            booked = known
            appointments.put(tx, booked)
        if booked.fields.rrule is not None:
            delta.appointment(tx, booked)  # the texts of single times may differ though the times do not
        return None
    if item.uid == booked.uid:
        after = _known_by(tx, after, item)
    if changed:
        after = replace(after, version=booked.version + 1, updated_at=delta.now)
        log.info("appointment %s: changed in iCloud: %s", booked.id, ", ".join(changed))
    if merged.taken and booked.agreed is not None:
        # The fields that were taken over are agreed on now; those that the CRM still has to send are not.
        taken = {name: getattr(theirs, name) for name in merged.taken}
        after = replace(after, agreed=replace(booked.agreed, **taken))
    if merged.contested:
        after = replace(
            after,
            sync_state=SyncState.CONFLICT,
            sync_error="Changed in the CRM and in iCloud at the same time: " + ", ".join(sorted(merged.contested)),
        )
        log.warning("appointment %s: changed on both sides: %s", booked.id, ", ".join(sorted(merged.contested)))
    _put(tx, booked, after, now=delta.now)
    for one in singly:
        if one.before is not None and one.after is not None:  # exclusions are reported with the rule
            parts = (book.single_time(booked, one.key, one.before), book.single_time(after, one.key, one.after))
            changes.appointment(tx, *parts, origin=ChangeOrigin.ICLOUD, now=delta.now)
    delta.appointment(tx, after)
    return after


def _with_arrived(
    booked: Appointment, item: MirrorItem, was: AppointmentFields | None
) -> tuple[Appointment, AppointmentFields | None]:
    """The Appointment, and what its event was, where it has what an attempt of ours sent whose answer was lost.

    That is agreed on then, and nobody has changed it. Raises `Unreadable`.
    """
    agreed = booked.agreed
    if agreed is None:
        return booked, was
    arrived: set[str] = set()
    for sent in booked.attempted:
        names = reconcile.arrived(agreed, sent, ical.upstream_fields(item.ics, like=sent, sent=sent))
        agreed = replace(agreed, **{name: getattr(sent, name) for name in names})
        arrived |= names
    if not arrived:
        return booked, was
    theirs = ical.upstream_fields(item.ics, like=booked.fields, sent=agreed)
    was = replace(was or agreed, **{name: getattr(theirs, name) for name in arrived})
    return replace(booked, agreed=agreed, attempted=()), was


def _known_by(tx: Tx, booked: Appointment, item: MirrorItem) -> Appointment:
    """The Appointment with the text that tells of its single times from now on: that of its event, where it is read."""
    booked = replace(booked, carried=None)
    is_read = mirror.get(tx, item.calendar_id, item.href) is not None
    return booked if is_read else book.remember(booked, item.ics)


def _not_taken(tx: Tx, booked: Appointment, changed: Sequence[str], *, policy: TwoWay, now: int) -> None:
    """Keep the Appointment as it is: show the difference, and put the event back if the setting is `restore`."""
    after = replace(
        booked,
        sync_state=SyncState.CONFLICT,
        sync_error="Changed in iCloud, but not in the CRM: " + ", ".join(changed),
    )
    if policy == TwoWay.RESTORE:
        # Without agreed fields, all fields of the CRM are written again.
        after = book.queue(tx, replace(booked, agreed=None), now=now)
    _put(tx, booked, after, now=now)


def would_cancel(tx: Tx, item: MirrorItem) -> bool:
    """Whether an Appointment would be cancelled because this object is gone, unless it is found somewhere else."""
    booked = appointments.by_uid(tx, item.uid)
    return (
        booked is not None
        and booked.wanted_upstream
        and (booked.calendar_id, booked.href) == (item.calendar_id, item.href)
        and all(other == item for other in mirror.by_uid(tx, booked.user_id, item.uid))
    )


def removed(tx: Tx, delta: Delta, item: MirrorItem, elsewhere: MirrorItem | None = None) -> None:
    """An object is verifiably gone: if it was an Appointment's event, the person cancelled the Appointment.

    Unless it was moved: to another Calendar that is read, or, as found `elsewhere`, to one that is not.
    """
    booked = appointments.by_uid(tx, item.uid)
    if booked is None or booked.user_id != delta.user.id:
        return
    if (booked.calendar_id, booked.href) != (item.calendar_id, item.href):
        return
    if not booked.wanted_upstream:
        return  # the CRM cancelled it, and the push removed the event
    elsewhere = next(iter(mirror.by_uid(tx, booked.user_id, item.uid)), elsewhere)
    if elsewhere is not None:
        _moved_to(tx, delta, booked, elsewhere, item)
        return
    home = accounts.calendar(tx, item.calendar_id)
    if home is not None and home.role == Role.PRIMARY and outbox.is_open(tx, booked.id):
        return  # the CRM has changed it since: the push will create the event again
    policy = users.two_way(tx, booked.user_id)
    if policy == TwoWay.RESTORE:
        appointments.put(tx, book.queue(tx, replace(booked, agreed=None), now=delta.now))
        return
    if policy == TwoWay.REPORT:
        after = replace(booked, sync_state=SyncState.CONFLICT, sync_error="Deleted in iCloud, but not in the CRM.")
        _put(tx, booked, after, now=delta.now)
        return
    cancelled = replace(
        booked,
        fields=replace(booked.fields, status="cancelled"),
        version=booked.version + 1,
        updated_at=delta.now,
        sync_state=SyncState.NOT_SYNCED,
        sync_error=None,
        calendar_id=None,
        href=None,
        agreed=None,
    )
    log.info("appointment %s: deleted in iCloud", booked.id)
    _put(tx, booked, cancelled, now=delta.now)
    delta.appointment(tx, cancelled)


def moved(tx: Tx, delta: Delta, appointment_id: str, item: MirrorItem) -> None:
    """An Appointment's event was found in another Calendar than it was written to: the person has moved it."""
    booked = appointments.get(tx, appointment_id)
    if booked is not None:
        _moved_to(tx, delta, booked, item, None)


def _moved_to(tx: Tx, delta: Delta, booked: Appointment, item: MirrorItem, before: MirrorItem | None) -> None:
    """Handle an event that the person moved to another Calendar, and may have changed as well."""
    home = accounts.calendar(tx, item.calendar_id)
    if home is None:
        return
    if home.role != Role.NONE and mirror.get(tx, item.calendar_id, item.href) is None:
        # It was found before its Calendar was read. If it is deleted before that, only what we hold is missed there.
        mirror.put(tx, booked.user_id, [item])
    log.info("appointment %s: moved to another calendar in iCloud", booked.id)
    booked = replace(booked, calendar_id=item.calendar_id, href=item.href)
    if not home.once_primary:
        booked = replace(booked, sync_error=not_ours(home))
    elif home.role == Role.PRIMARY and booked.sync_state == SyncState.FAILED:
        booked = book.queue(tx, booked, now=delta.now)  # what could not be written there can be written here
    elif booked.sync_state == SyncState.SYNCED:
        booked = replace(booked, sync_error=None)
    appointments.put(tx, booked)
    since = _agreed_text(booked, before)
    _changed(tx, delta, answered(tx, booked, item, now=delta.now), item, before, since=since)


def _put(tx: Tx, before: Appointment, after: Appointment, *, now: int) -> None:
    appointments.put(tx, after)
    changes.appointment(tx, before, after, origin=ChangeOrigin.ICLOUD, now=now)


def not_ours(home: Calendar) -> str:
    """The sentence why an Appointment whose event is in this Calendar is not written."""
    unread = "" if home.role != "none" else " It is not read either, so later changes there go unnoticed."
    return f'The event was moved to the calendar "{home.name}", which the bridge never writes.{unread}'
