"""One push: bring an Appointment's event in iCloud up to date.

What to send is decided when it is sent, from the Appointment and from what is known of its event. The calendar and href
of the event are stored before the first PUT. After each PUT the object is read back, since the server may have
rewritten it, and may have given it another ETag.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from bridge.domain import ical, plan, reconcile, trouble
from bridge.domain.model import MirrorItem, OutboxEntry, Role, SyncState
from bridge.errors import (
    BadAnswer,
    BridgeError,
    Forbidden,
    NotFound,
    PreconditionFailed,
    Refused,
    StoreUnavailable,
    Unreadable,
)
from bridge.remote.base import Remote, RemoteObject
from bridge.service import book, follow, publish
from bridge.service.context import Context
from bridge.service.mirror import poll_anew
from bridge.service.push import outcome, whereabouts
from bridge.service.push.job import Job, href_of, item_of, same_event, user_of
from bridge.store import accounts, appointments, mirror, outbox, users

log = logging.getLogger(__name__)

#: An event that was changed elsewhere is read, merged and written again this many times at once; then the push waits.
MERGES = 2


async def carry_out(context: Context, entry: OutboxEntry) -> None:
    """Carry out an outbox entry, and record the outcome. Failures are recorded, never raised.

    Raises `StoreUnavailable`: the outcome could not be recorded, and it has to be carried out again.
    """
    job = _prepare(context, entry)
    if job is None:
        return
    try:
        remote = context.remotes.for_account(job.account)
        if job.appointment.wanted_upstream:
            await _write(context, remote, job)
        else:
            await _delete(context, remote, job)
    except StoreUnavailable:
        raise
    except BridgeError as error:
        await outcome.failed(context, job, error)
    except Exception:
        # One Appointment that triggers a bug of ours must not keep the others from being written.
        log.exception("appointment %s: push failed unexpectedly", job.appointment.id)
        await outcome.failed(context, job, BadAnswer(job.calendar.url, "unexpected"))


def _prepare(context: Context, entry: OutboxEntry) -> Job | None:
    """Load what the entry is about, and store where its event will be before anything is sent there."""
    now = context.clock()
    with context.db.write() as tx:
        booked = appointments.get(tx, entry.appointment_id)
        if booked is None:
            outbox.settle(tx, entry, now=now)
            return None
        calendar = (
            accounts.primary_of(tx, booked.user_id)
            if booked.calendar_id is None
            else accounts.calendar(tx, booked.calendar_id)
        )
        account = accounts.get(tx, calendar.account_id) if calendar is not None else None
        if calendar is None or account is None:
            outcome.give_up(tx, entry, "There is no calendar to write this appointment to.", now=now)
            return None
        if not calendar.once_primary:
            # A person moved the event to a Calendar that never was the Primary: the bridge does not write there.
            outcome.give_up(tx, entry, follow.not_ours(calendar), now=now)
            return None
        if booked.wanted_upstream and calendar.role != Role.PRIMARY:
            # It may only remove what it wrote there while the Calendar was the Primary.
            outcome.give_up(
                tx, entry, "The calendar that holds this appointment's event is no longer the Primary.", now=now
            )
            return None
        tried = booked.calendar_id is not None
        if not tried:
            if not booked.wanted_upstream:
                outcome.settled(tx, entry, booked, SyncState.NOT_SYNCED, now=now)
                return None
            # What is sent is stored beforehand. If the answer is lost, and a person changes the event before the bridge
            # finds it, their change can be told from ours. But an event that is there before the first PUT was written
            # by a store that was lost, or for a User who was removed: then the CRM's fields are newer.
            href = href_of(calendar.url, booked.uid)
            agreed = booked.fields if mirror.get(tx, calendar.id, href) is None else None
            booked = replace(booked, calendar_id=calendar.id, href=href, agreed=agreed, attempted=(), synced_at=None)
            appointments.put(tx, booked)
        elif booked.wanted_upstream and booked.fields not in (booked.agreed, *booked.attempted):
            booked = replace(booked, attempted=(*booked.attempted, booked.fields))
            appointments.put(tx, booked)
        href = booked.href or href_of(calendar.url, booked.uid)
        return Job(entry, booked, account, calendar, href, mirror.get(tx, calendar.id, href), tried)


async def _write(context: Context, remote: Remote, job: Job) -> None:
    """Create the event, or change the existing one in place."""
    fields = job.appointment.fields
    known, onto = job.known, job.appointment.carried
    if known is not None:
        try:
            theirs = ical.upstream_fields(known.ics, like=fields, sent=job.appointment.agreed)
        except Unreadable:
            onto = onto or known.ics  # of which the single times are kept
            known = None
        else:
            fields = reconcile.to_write(job.appointment.fields, job.appointment.agreed, theirs)
            # Without agreed fields, the event is put back as the Appointment has it.
            back = job.appointment.agreed is None and onto is not None
            onto = ical.with_single_times_of(job.appointment, known.ics, onto) if back else known.ics
    if job.known is None and job.tried and await whereabouts.was_moved(context, remote, job):
        return
    sender = next(iter(job.account.addresses), None)
    body = ical.upstream_event(replace(job.appointment, fields=fields), now=context.clock(), onto=onto, sender=sender)
    if known is not None and body == known.ics:
        if await _was_overwritten(remote, job, known):
            await _compare(context, remote, job, PreconditionFailed(job.calendar.url))
            return
        with context.db.write() as tx:  # no unnecessary write: sharers of a calendar are notified of each one
            outcome.synced(tx, job, known, now=context.clock())
        return
    try:
        await remote.put(job.calendar.url, job.href, body, etag=job.known.etag if job.known is not None else None)
    except (PreconditionFailed, NotFound) as error:
        await _compare(context, remote, job, error)
        return
    except (Refused, Forbidden) as error:
        if isinstance(error, Forbidden) and job.entry.attempts < 2:
            raise  # may be throttling
        if job.known is None and await whereabouts.arrived(context, remote, job):
            # An earlier attempt, whose answer was lost, has created it. Another UID would make a second event.
            await _compare(context, remote, job, error)
            return
        if not _start_anew(context, job):
            raise
        return
    stored, later = await whereabouts.read_back(context, remote, job)
    if job.known is not None and stored.etag == job.known.etag:
        raise BadAnswer(job.calendar.url, "it delivers the version from before the write")
    with context.db.write() as tx:
        outcome.reached(tx, job, now=context.clock())
        outcome.synced(tx, job, item_of(job, stored), now=context.clock(), sent=body, later=item_of(job, later))


async def _was_overwritten(remote: Remote, job: Job, known: MirrorItem) -> bool:
    """Whether the event is no longer as it is known, where an attempt whose answer was lost sent something else."""
    if all(sent == job.appointment.fields for sent in job.appointment.attempted):
        return False
    try:
        found = await remote.get(job.calendar.url, job.href)
    except NotFound:
        return True
    return found.etag != known.etag


def _start_anew(context: Context, job: Job) -> bool:
    """Try once more under another UID, where a new event is refused.

    A UID that is new to this calendar may be known to another of the account, or to the server from an event that was
    deleted. iCloud refuses both.
    """
    if job.known is not None or job.appointment.uid != job.appointment.id:
        return False
    now = context.clock()
    with context.db.write() as tx:
        booked = appointments.get(tx, job.appointment.id)
        if booked is None or not outbox.holds(tx, job.entry) or not same_event(booked, job):
            return True
        uid = book.new_uid()
        carried = None if booked.carried is None else book.under_uid(booked.carried, booked, uid)
        anew = replace(booked, uid=uid, calendar_id=None, href=None, agreed=None, carried=carried)
        appointments.put(tx, anew)
        outbox.retry(tx, job.entry, at=now, error=None, now=now)
    return True


async def _compare(context: Context, remote: Remote, job: Job, error: BridgeError) -> None:
    """The event is not the version we know: find out whether it is as wanted, changed by the person, or gone."""
    try:
        _, found = await whereabouts.read_back(context, remote, job)
    except NotFound:
        if job.known is None:
            # It is listed, so it exists: the server only needs more time.
            taken = isinstance(error, PreconditionFailed) and job.href not in await remote.listing(job.calendar.url)
            if taken and _start_anew(context, job):
                return
            raise error from None  # there is no such event, but it can't be created either
        # The person deleted it, or moved it to another calendar: the mirror finds out which. If it was deleted, the
        # CRM's change is newer, and creates it anew.
        if job.entry.attempts > 1:  # its list of changes has not told of it: a complete listing will
            with context.db.write() as tx:
                accounts.forget_sync(tx, job.calendar.id)
        await poll_anew(context, job.account.id)
        found = None
    now = context.clock()
    with context.db.write() as tx:
        user = users.get(tx, job.appointment.user_id)
        if user is None or not outbox.holds(tx, job.entry):
            return
        if found is not None:
            delta = publish.Delta(user, now)
            before = mirror.get(tx, job.calendar.id, job.href)
            item = item_of(job, found)
            mirror.put(tx, user.id, [item])
            booked = appointments.get(tx, job.appointment.id)
            first_attempt = job.entry.attempts == job.entry.generation == 1
            if booked is not None and job.known is None and booked.synced_at is None and first_attempt:
                # It can't be from an attempt of ours: as in `_prepare`, the CRM's fields are newer.
                appointments.put(tx, replace(booked, agreed=None))
            follow.seen(tx, delta, item, before)
            delta.upstream(tx, [job.appointment.uid])
            delta.apply(tx)
        if job.entry.attempts <= MERGES:
            outbox.retry(tx, job.entry, at=now, error=trouble.sentence(error), now=now)
            return
    raise error


async def _delete(context: Context, remote: Remote, job: Job) -> None:
    """Delete the event. If it is gone already, and its calendar still exists, that is fine, too."""
    etag = job.known.etag if job.known is not None else None
    was_there = job.known is not None or job.appointment.synced_at is not None
    try:
        if etag is None or job.appointment.stands_in_for is not None:
            # It may have been created by an attempt whose answer was lost; and an event that is to be moved may have
            # been changed by the person.
            found = await remote.get(job.calendar.url, job.href)
            etag, was_there = found.etag, True
            _take_along(context, job, found)
        try:
            await remote.delete(job.calendar.url, job.href, etag=etag)
        except PreconditionFailed:
            # The person changed it meanwhile. The appointment is cancelled all the same: delete the present version.
            current = await remote.get(job.calendar.url, job.href)
            await remote.delete(job.calendar.url, job.href, etag=current.etag)
    except NotFound:
        # The calendar has been gone for long and was not found elsewhere, so the event is gone with it.
        if not await whereabouts.is_listed(context, remote, job) and job.entry.attempts < plan.FORBIDDEN_ATTEMPTS:
            raise
    if await whereabouts.is_there(remote, job):
        # This may be a proxy's error page, or a temporary fault of the server.
        raise BadAnswer(job.calendar.url, "it delivers what it says is gone")
    now = context.clock()
    with context.db.write() as tx:
        outcome.reached(tx, job, now=now)
        if not outbox.holds(tx, job.entry):
            return
        mirror.remove(tx, job.calendar.id, [job.href])
        booked = appointments.get(tx, job.appointment.id)
        if booked is None:
            return
        if same_event(booked, job) and was_there:
            # If it is ever wanted again, it gets another UID: iCloud may refuse the UID of a deleted event. (An event
            # that was never seen there may still appear, and is then recognised by its UID.)
            booked = replace(booked, uid=book.new_uid(), calendar_id=None, href=None, agreed=None, carried=None)
        outcome.settled(tx, job.entry, booked, SyncState.NOT_SYNCED, now=now)
        delta = publish.Delta(user_of(tx, booked), now)
        delta.upstream(tx, [job.appointment.uid])
        delta.apply(tx)


def _take_along(context: Context, job: Job, found: RemoteObject) -> None:
    """Keep changes by the person, in an event that is being moved, which the mirror has not read yet."""
    with context.db.write() as tx:
        if not outbox.holds(tx, job.entry):
            return
        delta = publish.Delta(user_of(tx, job.appointment), context.clock())
        follow.seen(tx, delta, item_of(job, found), job.known)
        delta.apply(tx)
