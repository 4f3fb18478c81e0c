"""A push under way: an outbox entry with what it is about, and the event that it writes."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain.model import Account, Appointment, Calendar, MirrorItem, OutboxEntry, User
from bridge.remote.base import RemoteObject, path_of
from bridge.store import users
from bridge.store.db import Tx


@dataclass(frozen=True, slots=True)
class Job:
    """An outbox entry, and what is known about its Appointment and event when it is carried out."""

    entry: OutboxEntry
    appointment: Appointment
    account: Account
    calendar: Calendar
    href: str
    known: MirrorItem | None
    #: Whether an earlier attempt may have sent something to this calendar.
    tried: bool


def same_event(booked: Appointment, job: Job) -> bool:
    """Whether the Appointment still belongs to the event with which this job began."""
    return booked.uid == job.appointment.uid and booked.calendar_id == job.calendar.id


def item_of(job: Job, found: RemoteObject) -> MirrorItem:
    """The event as it was found, as the mirror keeps it."""
    return MirrorItem(job.calendar.id, job.href, found.etag, job.appointment.uid, found.ics)


def href_of(calendar_url: str, uid: str) -> str:
    """The href for an Appointment's event: always the same, so that a second attempt finds the first one's event."""
    return f"{path_of(calendar_url).rstrip('/')}/{path_of(uid)}.ics"


def user_of(tx: Tx, booked: Appointment) -> User:
    """The User whose Appointment it is."""
    user = users.get(tx, booked.user_id)
    assert user is not None, "appointments have a foreign key to their User"  # noqa: S101
    return user
