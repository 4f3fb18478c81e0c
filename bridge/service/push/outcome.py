"""Recording the outcome of a push: in the outbox, in the Appointment, and in what is published of it."""

from __future__ import annotations

import logging
from dataclasses import fields, replace
from itertools import pairwise

from bridge.domain import ical, plan, trouble
from bridge.domain.changes import ChangeOrigin
from bridge.domain.model import AccountState, Appointment, AppointmentFields, MirrorItem, OutboxEntry, SyncState, User
from bridge.errors import BridgeError, ServerFault, Unauthorized
from bridge.service import changes, follow, publish
from bridge.service.context import Context
from bridge.service.push.job import Job, same_event, user_of
from bridge.store import accounts, appointments, mirror, outbox
from bridge.store.db import Tx

log = logging.getLogger(__name__)


def synced(
    tx: Tx, job: Job, item: MirrorItem, *, now: int, sent: str | None = None, later: MirrorItem | None = None
) -> None:
    """Record that the event agrees with the Appointment as it was when the entry was claimed.

    `item` is what became of what was `sent`, and `later` the version after it, if there is one already.
    """
    booked = appointments.get(tx, job.appointment.id)
    if booked is None or not outbox.holds(tx, job.entry):
        return  # the lease ran out: the next claimant finds the event as it is
    mirror.put(tx, job.appointment.user_id, [item])
    if same_event(booked, job):
        booked = replace(booked, agreed=_agreed(booked, job, later or item), attempted=(), synced_at=now)
        if not publish.other_single_times(tx, booked, item):
            booked = replace(booked, carried=None)
        booked = follow.answered(tx, booked, item, now=now)
    settled(tx, job.entry, booked, SyncState.SYNCED, now=now)
    delta = publish.Delta(user_of(tx, booked), now)
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


def _agreed(booked: Appointment, job: Job, last: MirrorItem) -> AppointmentFields:
    """What was written; but where the mirror has taken over something later meanwhile, that."""
    written = job.appointment.fields
    theirs = ical.upstream_fields(last.ics, like=written, sent=written)
    taken = {f.name for f in fields(theirs) if getattr(theirs, f.name) == getattr(booked.fields, f.name)}
    return replace(written, **{name: getattr(theirs, name) for name in taken})


def _moved(sent: str, stored: str, booked: Appointment, user: User) -> bool:
    before = ical.upstream_fields(sent, like=booked.fields)
    after = ical.upstream_fields(stored, like=booked.fields)
    singly = ical.changed_singly(booked, booked, time_zone=user.time_zone, was=sent, now=stored)
    return (before.start, before.end, before.all_day) != (after.start, after.end, after.all_day) or any(
        one.takes_other_time for one in singly
    )


def reached(tx: Tx, job: Job, *, now: int) -> None:
    """The server accepted a write. If the Account could not be polled before, it is due now."""
    current = accounts.get(tx, job.account.id)
    if current is not None and current.state == AccountState.UNREACHABLE:
        changes.account_state(tx, current.id, AccountState.CONNECTED, "", now=now)
        accounts.schedule(tx, current.id, next_poll_at=now, failures=0)


def settled(tx: Tx, entry: OutboxEntry, booked: Appointment, state: SyncState, *, now: int) -> None:
    """Record that the entry is done. Stores the Appointment."""
    if outbox.settle(tx, entry, now=now):
        if booked.sync_state == SyncState.CONFLICT:
            booked = replace(booked, synced_at=now)  # resolved, but shown as a conflict until the CRM writes again
        else:
            booked = replace(booked, sync_state=state, sync_error=None, synced_at=now)
    appointments.put(tx, booked)


def give_up(tx: Tx, entry: OutboxEntry, error: str, *, now: int) -> None:
    """Record that the entry can't be carried out, and why."""
    booked = appointments.get(tx, entry.appointment_id)
    if outbox.bury(tx, entry, error=error, now=now) and booked is not None:
        failed = replace(booked, sync_state=SyncState.FAILED, sync_error=error)
        appointments.put(tx, failed)
        changes.appointment(tx, booked, failed, origin=ChangeOrigin.BRIDGE, now=now)
        # An event that stays although the CRM cancelled it blocks like any other.
        publish.publish_appointment(tx, failed, now=now)


async def failed(context: Context, job: Job, error: BridgeError) -> None:
    """Record a failed attempt, and decide what comes next: another one, a new password, or giving up."""
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
                give_up(tx, job.entry, sentence, now=now)
    log.warning("appointment %s: push failed (attempt %d): %s", job.appointment.id, job.entry.attempts, sentence)


async def _refused_twice(context: Context, job: Job) -> bool:
    """Whether the login is refused for a PROPFIND as well: a single 401 is no proof."""
    try:
        await context.remotes.for_account(job.account).calendars(job.account.home_url)
    except Unauthorized:
        return True
    except BridgeError:
        return False
    return False
