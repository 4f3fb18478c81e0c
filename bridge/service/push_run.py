"""One push: bring an Appointment's event in iCloud up to date.

What to send is decided when it is sent, from the Appointment and from what is known of its event. The calendar and href
of the event are stored before the first PUT. After each PUT the object is read back, since the server may have
rewritten it, and may have given it another ETag.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import pairwise

from bridge.domain import ical, plan, reconcile, trouble
from bridge.domain.changes import ChangeOrigin
from bridge.domain.model import (
    Account,
    AccountState,
    Appointment,
    AppointmentFields,
    Calendar,
    MirrorItem,
    OutboxEntry,
    Role,
    SyncState,
    User,
)
from bridge.errors import (
    BadAnswer,
    BridgeError,
    Forbidden,
    NotFound,
    PreconditionFailed,
    Refused,
    RemoteError,
    ServerFault,
    StoreUnavailable,
    Unauthorized,
    Unreadable,
)
from bridge.remote.base import Remote, RemoteObject, path_of
from bridge.service import book, changes, follow, publish
from bridge.service.calendars import calendar_key
from bridge.service.context import Context
from bridge.service.mirror import find, poll_anew
from bridge.store import accounts, appointments, mirror, outbox, users
from bridge.store.db import Tx

log = logging.getLogger(__name__)

#: An event that was changed elsewhere is read, merged and written again this many times at once; then the push waits.
MERGES = 2
#: How many times an event is read at most that the mirror reads at the same time.
READINGS = 3


@dataclass(frozen=True, slots=True)
class _Job:
    """An outbox entry, and what is known about its Appointment and event when it is carried out."""

    entry: OutboxEntry
    appointment: Appointment
    account: Account
    calendar: Calendar
    href: str
    known: MirrorItem | None
    #: Whether an earlier attempt may have sent something to this calendar.
    tried: bool


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
        await _failed(context, job, error)
    except Exception:
        # One Appointment that triggers a bug of ours must not keep the others from being written.
        log.exception("appointment %s: push failed unexpectedly", job.appointment.id)
        await _failed(context, job, BadAnswer(job.calendar.url, "unexpected"))


def _prepare(context: Context, entry: OutboxEntry) -> _Job | None:
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
            _give_up(tx, entry, "There is no calendar to write this appointment to.", now=now)
            return None
        if not calendar.once_primary:
            # A person moved the event to a Calendar that never was the Primary: the bridge does not write there.
            _give_up(tx, entry, follow.not_ours(calendar), now=now)
            return None
        if booked.wanted_upstream and calendar.role != Role.PRIMARY:
            # It may only remove what it wrote there while the Calendar was the Primary.
            _give_up(tx, entry, "The calendar that holds this appointment's event is no longer the Primary.", now=now)
            return None
        tried = booked.calendar_id is not None
        if not tried:
            if not booked.wanted_upstream:
                _settled(tx, entry, booked, SyncState.NOT_SYNCED, now=now)
                return None
            # What is sent is stored beforehand. If the answer is lost, and a person changes the event before the bridge
            # finds it, their change can be told from ours. But an event that is there before the first PUT was written
            # by a store that was lost, or for a User who was removed: then the CRM's fields are newer.
            href = _href(calendar.url, booked.uid)
            agreed = booked.fields if mirror.get(tx, calendar.id, href) is None else None
            booked = replace(booked, calendar_id=calendar.id, href=href, agreed=agreed, synced_at=None)
            appointments.put(tx, booked)
        href = booked.href or _href(calendar.url, booked.uid)
        return _Job(entry, booked, account, calendar, href, mirror.get(tx, calendar.id, href), tried)


async def _write(context: Context, remote: Remote, job: _Job) -> None:
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
    if job.known is None and job.tried and await _was_moved(context, remote, job):
        return
    sender = next(iter(job.account.addresses), None)
    body = ical.upstream_event(replace(job.appointment, fields=fields), now=context.clock(), onto=onto, sender=sender)
    if known is not None and body == known.ics:
        with context.db.write() as tx:  # no unnecessary write: sharers of a calendar are notified of each one
            _synced(tx, job, known, now=context.clock())
        return
    try:
        await remote.put(job.calendar.url, job.href, body, etag=job.known.etag if job.known is not None else None)
    except (PreconditionFailed, NotFound) as error:
        await _compare(context, remote, job, error)
        return
    except (Refused, Forbidden) as error:
        if isinstance(error, Forbidden) and job.entry.attempts < 2:
            raise  # may be throttling
        if job.known is None and await _arrived(context, remote, job):
            # An earlier attempt, whose answer was lost, has created it. Another UID would make a second event.
            await _compare(context, remote, job, error)
            return
        if not _start_anew(context, job):
            raise
        return
    stored, later = await _read(context, remote, job)
    if job.known is not None and stored.etag == job.known.etag:
        raise BadAnswer(job.calendar.url, "it delivers the version from before the write")
    with context.db.write() as tx:
        _reached(tx, job, now=context.clock())
        _synced(tx, job, _item(job, stored), now=context.clock(), sent=body, later=_item(job, later))


async def _read(context: Context, remote: Remote, job: _Job) -> tuple[RemoteObject, RemoteObject]:
    """The event as it is read first and last: once more where the mirror may have a later version."""
    versions = []
    for _ in range(READINGS):
        before = _mirrored(context, job)
        versions.append(await remote.get(job.calendar.url, job.href))
        if _mirrored(context, job) == before:
            break
    return versions[0], versions[-1]


def _mirrored(context: Context, job: _Job) -> tuple[int | None, MirrorItem | None]:
    """What tells whether the mirror has read the calendar, or has got this event from a run under way."""
    with context.db.read() as tx:
        calendar = accounts.calendar(tx, job.calendar.id)
        return calendar.reads if calendar is not None else None, mirror.get(tx, job.calendar.id, job.href)


async def _was_moved(context: Context, remote: Remote, job: _Job) -> bool:
    """Whether an earlier attempt, whose answer was lost, created the event, and a person has moved it since.

    Then the Appointment follows it: another event would be a second one.
    """
    with context.db.read() as tx:
        others = [c for c in accounts.calendars(tx, account_id=job.account.id) if c.id != job.calendar.id and c.present]
        read = mirror.by_uid(tx, job.appointment.user_id, job.appointment.uid)
    found = next(iter(read), None) or await _look_in(remote, job, others)
    if found is None:
        return False
    now = context.clock()
    with context.db.write() as tx:
        booked = appointments.get(tx, job.appointment.id)
        if booked is None or not outbox.holds(tx, job.entry) or not _same_event(booked, job):
            return True
        if booked.fields == booked.agreed:
            _settled(tx, job.entry, booked, SyncState.SYNCED, now=now)
        else:  # what the CRM has changed since cannot be written there
            outbox.retry(tx, job.entry, at=now, error=None, now=now)
        delta = publish.Delta(_user(tx, booked), now)
        follow.moved(tx, delta, booked.id, found)
        delta.upstream(tx, [found.uid])
        delta.apply(tx)
    return True


async def _look_in(remote: Remote, job: _Job, others: Iterable[Calendar]) -> MirrorItem | None:
    for calendar in others:
        try:
            found = await find(remote, [calendar], job.href, job.appointment.uid)
        except RemoteError:
            # A calendar that can't be asked for so long must not keep the event from the Primary for good.
            if job.entry.attempts < plan.FORBIDDEN_ATTEMPTS:
                raise
        else:
            if found is not None:
                return found
    return None


async def _arrived(context: Context, remote: Remote, job: _Job) -> bool:
    try:
        await remote.get(job.calendar.url, job.href)
    except NotFound:
        if not await _is_listed(context, remote, job):
            raise
        # A 404 may be a temporary fault: a second event would be worse than the cost of a listing.
        return job.href in await remote.listing(job.calendar.url)
    return True


async def _is_listed(context: Context, remote: Remote, job: _Job) -> bool:
    """Whether the calendar still exists at its address, so that an event that is not found there is gone.

    Where it is not, the account may have moved, and its events with it: that is looked for, and the job tried again.
    """
    try:
        listed = await remote.calendars(job.account.home_url)
    except (NotFound, Forbidden):
        listed = ()
    if any(calendar_key(found.url) == calendar_key(job.calendar.url) for found in listed):
        return True
    await poll_anew(context, job.account.id)
    return False


def _start_anew(context: Context, job: _Job) -> bool:
    """Try once more under another UID, where a new event is refused.

    A UID that is new to this calendar may be known to another of the account, or to the server from an event that was
    deleted. iCloud refuses both.
    """
    if job.known is not None or job.appointment.uid != job.appointment.id:
        return False
    now = context.clock()
    with context.db.write() as tx:
        booked = appointments.get(tx, job.appointment.id)
        if booked is None or not outbox.holds(tx, job.entry) or not _same_event(booked, job):
            return True
        uid = book.new_uid()
        carried = None if booked.carried is None else book.under_uid(booked.carried, booked, uid)
        anew = replace(booked, uid=uid, calendar_id=None, href=None, agreed=None, carried=carried)
        appointments.put(tx, anew)
        outbox.retry(tx, job.entry, at=now, error=None, now=now)
    return True


async def _compare(context: Context, remote: Remote, job: _Job, error: BridgeError) -> None:
    """The event is not the version we know: find out whether it is as wanted, changed by the person, or gone."""
    try:
        _, found = await _read(context, remote, job)
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
            item = _item(job, found)
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


async def _delete(context: Context, remote: Remote, job: _Job) -> None:
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
        if not await _is_listed(context, remote, job) and job.entry.attempts < plan.FORBIDDEN_ATTEMPTS:
            raise
    if await _is_there(remote, job):
        # This may be a proxy's error page, or a temporary fault of the server.
        raise BadAnswer(job.calendar.url, "it delivers what it says is gone")
    now = context.clock()
    with context.db.write() as tx:
        _reached(tx, job, now=now)
        if not outbox.holds(tx, job.entry):
            return
        mirror.remove(tx, job.calendar.id, [job.href])
        booked = appointments.get(tx, job.appointment.id)
        if booked is None:
            return
        if _same_event(booked, job) and was_there:
            # If it is ever wanted again, it gets another UID: iCloud may refuse the UID of a deleted event. (An event
            # that was never seen there may still appear, and is then recognised by its UID.)
            booked = replace(booked, uid=book.new_uid(), calendar_id=None, href=None, agreed=None, carried=None)
        _settled(tx, job.entry, booked, SyncState.NOT_SYNCED, now=now)
        delta = publish.Delta(_user(tx, booked), now)
        delta.upstream(tx, [job.appointment.uid])
        delta.apply(tx)


async def _is_there(remote: Remote, job: _Job) -> bool:
    try:
        await remote.get(job.calendar.url, job.href)
    except NotFound:
        return False
    return True


def _take_along(context: Context, job: _Job, found: RemoteObject) -> None:
    """Keep changes by the person, in an event that is being moved, which the mirror has not read yet."""
    with context.db.write() as tx:
        if not outbox.holds(tx, job.entry):
            return
        delta = publish.Delta(_user(tx, job.appointment), context.clock())
        follow.seen(tx, delta, _item(job, found), job.known)
        delta.apply(tx)


async def _failed(context: Context, job: _Job, error: BridgeError) -> None:
    if isinstance(error, Unauthorized) and not await _refused_twice(context, job):
        error = ServerFault(error.url, "refused the login once, and took it the next time")
    now = context.clock()
    sentence = trouble.sentence(error)
    with context.db.write() as tx:
        if not outbox.holds(tx, job.entry):
            return
        match plan.after_push(error, job.entry.attempts, now=now):
            case plan.RetryAt(at):
                outbox.retry(tx, job.entry, at=at, error=sentence, now=now)
            case plan.PauseAccount():
                # The entry stays ready, but is not due until there is a new password.
                outbox.retry(tx, job.entry, at=now, error=sentence, now=now)
                current = accounts.get(tx, job.account.id)
                if current is not None and current.secret == job.account.secret:
                    changes.account_state(tx, job.account.id, AccountState.NEEDS_PASSWORD, sentence, now=now)
            case plan.Dead():
                _give_up(tx, job.entry, sentence, now=now)
    log.warning("appointment %s: push failed (attempt %d): %s", job.appointment.id, job.entry.attempts, sentence)


async def _refused_twice(context: Context, job: _Job) -> bool:
    """Whether the login is refused for a PROPFIND as well: a single 401 is no proof."""
    try:
        await context.remotes.for_account(job.account).calendars(job.account.home_url)
    except Unauthorized:
        return True
    except BridgeError:
        return False
    return False


def _synced(
    tx: Tx, job: _Job, item: MirrorItem, *, now: int, sent: str | None = None, later: MirrorItem | None = None
) -> None:
    """Record that the event agrees with the Appointment as it was when the entry was claimed.

    `item` is what became of what was `sent`, and `later` the version after it, if there is one already.
    """
    booked = appointments.get(tx, job.appointment.id)
    if booked is None or not outbox.holds(tx, job.entry):
        return  # the lease ran out: the next claimant finds the event as it is
    mirror.put(tx, job.appointment.user_id, [item])
    if _same_event(booked, job):
        booked = replace(booked, agreed=_agreed(booked, job, later or item), synced_at=now)
        if not publish.other_single_times(tx, booked, item):
            booked = replace(booked, carried=None)
        booked = follow.answered(tx, booked, item, now=now)
    _settled(tx, job.entry, booked, SyncState.SYNCED, now=now)
    delta = publish.Delta(_user(tx, booked), now)
    versions = [item]
    if sent is not None and _moved(sent, item.ics, booked, delta.user):
        # Servers may rewrite texts, but not times: a person moved the event between our PUT and reading it back.
        versions.insert(0, replace(item, ics=sent))
    if later is not None and later.etag != item.etag:
        mirror.put(tx, job.appointment.user_id, [later])
        versions.append(later)
    for before, after in pairwise(versions):
        follow.seen(tx, delta, after, before)
    if len(versions) > 1:
        delta.upstream(tx, [item.uid])
        delta.apply(tx)
        return
    # It may be published as a blocked slot, if the mirror read it before the Appointment had its href.
    publish.publish_appointment(tx, booked, now=now)


def _agreed(booked: Appointment, job: _Job, last: MirrorItem) -> AppointmentFields:
    """What was written; but where the mirror has taken over something later meanwhile, that."""
    written = job.appointment.fields
    theirs = ical.upstream_fields(last.ics, like=written, sent=written)
    taken = {f.name for f in fields(theirs) if getattr(theirs, f.name) == getattr(booked.fields, f.name)}
    return replace(written, **{name: getattr(theirs, name) for name in taken})


def _reached(tx: Tx, job: _Job, *, now: int) -> None:
    """The server accepted a write. If the Account could not be polled before, it is due now."""
    current = accounts.get(tx, job.account.id)
    if current is not None and current.state == AccountState.UNREACHABLE:
        changes.account_state(tx, current.id, AccountState.CONNECTED, "", now=now)
        accounts.schedule(tx, current.id, next_poll_at=now, failures=0)


def _user(tx: Tx, booked: Appointment) -> User:
    user = users.get(tx, booked.user_id)
    assert user is not None, "appointments have a foreign key to their User"  # noqa: S101
    return user


def _moved(sent: str, stored: str, booked: Appointment, user: User) -> bool:
    before = ical.upstream_fields(sent, like=booked.fields)
    after = ical.upstream_fields(stored, like=booked.fields)
    singly = ical.changed_singly(booked, booked, time_zone=user.time_zone, was=sent, now=stored)
    return (before.start, before.end, before.all_day) != (after.start, after.end, after.all_day) or any(
        one.takes_other_time for one in singly
    )


def _settled(tx: Tx, entry: OutboxEntry, booked: Appointment, state: SyncState, *, now: int) -> None:
    if outbox.settle(tx, entry, now=now):
        if booked.sync_state == SyncState.CONFLICT:
            booked = replace(booked, synced_at=now)  # resolved, but shown as a conflict until the CRM writes again
        else:
            booked = replace(booked, sync_state=state, sync_error=None, synced_at=now)
    appointments.put(tx, booked)


def _give_up(tx: Tx, entry: OutboxEntry, error: str, *, now: int) -> None:
    booked = appointments.get(tx, entry.appointment_id)
    if outbox.bury(tx, entry, error=error, now=now) and booked is not None:
        failed = replace(booked, sync_state=SyncState.FAILED, sync_error=error)
        appointments.put(tx, failed)
        changes.appointment(tx, booked, failed, origin=ChangeOrigin.BRIDGE, now=now)
        # An event that stays although the CRM cancelled it blocks like any other.
        publish.publish_appointment(tx, failed, now=now)


def _same_event(booked: Appointment, job: _Job) -> bool:
    """Whether the Appointment still belongs to the event with which this job began."""
    return booked.uid == job.appointment.uid and booked.calendar_id == job.calendar.id


def _item(job: _Job, found: RemoteObject) -> MirrorItem:
    return MirrorItem(job.calendar.id, job.href, found.etag, job.appointment.uid, found.ics)


def _href(calendar_url: str, uid: str) -> str:
    """The href for an Appointment's event: always the same, so that a second attempt finds the first one's event."""
    return f"{path_of(calendar_url).rstrip('/')}/{path_of(uid)}.ics"
