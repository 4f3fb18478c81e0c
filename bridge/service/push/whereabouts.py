"""Finding an Appointment's event where the bridge does not know for sure: after a lost answer, a move, or a 404."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.domain import plan
from bridge.domain.model import Calendar, MirrorItem, SyncState
from bridge.errors import Forbidden, NotFound, RemoteError
from bridge.remote.base import Remote, RemoteObject
from bridge.service import follow, publish
from bridge.service.calendars import calendar_key
from bridge.service.context import Context
from bridge.service.mirror import find, poll_anew
from bridge.service.push import outcome
from bridge.service.push.job import Job, same_event, user_of
from bridge.store import accounts, appointments, mirror, outbox

#: How many times an event is read at most that the mirror reads at the same time.
READINGS = 3


async def read_back(context: Context, remote: Remote, job: Job) -> tuple[RemoteObject, RemoteObject]:
    """The event as it is read first and last: once more where the mirror may have a later version."""
    versions = []
    for _ in range(READINGS):
        before = _mirrored(context, job)
        versions.append(await remote.get(job.calendar.url, job.href))
        if _mirrored(context, job) == before:
            break
    return versions[0], versions[-1]


def _mirrored(context: Context, job: Job) -> tuple[int | None, MirrorItem | None]:
    """What tells whether the mirror has read the calendar, or has got this event from a run under way."""
    with context.db.read() as tx:
        calendar = accounts.calendar(tx, job.calendar.id)
        return calendar.reads if calendar is not None else None, mirror.get(tx, job.calendar.id, job.href)


async def was_moved(context: Context, remote: Remote, job: Job) -> bool:
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
        if booked is None or not outbox.holds(tx, job.entry) or not same_event(booked, job):
            return True
        if booked.fields == booked.agreed:
            outcome.settled(tx, job.entry, booked, SyncState.SYNCED, now=now)
        else:  # what the CRM has changed since cannot be written there
            outbox.retry(tx, job.entry, at=now, error=None, now=now)
        delta = publish.Delta(user_of(tx, booked), now)
        follow.moved(tx, delta, booked.id, found)
        delta.upstream(tx, [found.uid])
        delta.apply(tx)
    return True


async def _look_in(remote: Remote, job: Job, others: Iterable[Calendar]) -> MirrorItem | None:
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


async def arrived(context: Context, remote: Remote, job: Job) -> bool:
    """Whether there is such an event, although the server has just refused to create it.

    Raises `NotFound` where the calendar itself is gone.
    """
    try:
        await remote.get(job.calendar.url, job.href)
    except NotFound:
        if not await is_listed(context, remote, job):
            raise
        # A 404 may be a temporary fault: a second event would be worse than the cost of a listing.
        return job.href in await remote.listing(job.calendar.url)
    return True


async def is_listed(context: Context, remote: Remote, job: Job) -> bool:
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


async def is_there(remote: Remote, job: Job) -> bool:
    """Whether the server delivers the event."""
    try:
        await remote.get(job.calendar.url, job.href)
    except NotFound:
        return False
    return True
