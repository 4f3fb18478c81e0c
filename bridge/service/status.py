"""The status of Users, Accounts and Calendars."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain import trouble
from bridge.domain.model import Account, AccountState, Calendar, OutboxState, Role, User
from bridge.errors import Unknown
from bridge.store import accounts, appointments, mirror, outbox, published, users
from bridge.store.db import Db, Tx


@dataclass(frozen=True, slots=True)
class CalendarStatus:
    """One Calendar with a role. Instants are Unix seconds, UTC."""

    id: str
    name: str
    role: Role
    objects: int
    unreadable: int
    #: What is wrong with the unreadable ones, the most frequent first.
    why_unreadable: tuple[str, ...]
    held: int
    #: Objects that the server listed, but did not deliver, in the last mirror run.
    undelivered: int
    last_attempt_at: int | None
    last_success_at: int | None
    trouble: str | None


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """One Account, and those of its Calendars that have a role."""

    id: str
    provider: str
    username: str
    state: AccountState
    reason: str
    since: int
    calendars: tuple[CalendarStatus, ...]


@dataclass(frozen=True, slots=True)
class FailedAppointment:
    """An Appointment whose event could not be written, and why."""

    id: str
    title: str
    start: int
    error: str


@dataclass(frozen=True, slots=True)
class UserStatus:
    """One User."""

    id: str
    name: str
    revision: int
    accounts: tuple[AccountStatus, ...]
    waiting: int
    failed: tuple[FailedAppointment, ...]
    #: What the User has to do, in sentences.
    advice: tuple[str, ...]


def status(db: Db, user_id: str | None = None) -> list[UserStatus]:
    """The status of one User, or of every User. Raises `Unknown`."""
    with db.read() as tx:
        if user_id is None:
            return [of_user(tx, user) for user in users.all_users(tx)]
        user = users.get(tx, user_id)
        if user is None:
            raise Unknown("user", user_id)
        return [of_user(tx, user)]


def of_user(tx: Tx, user: User) -> UserStatus:
    """The status of a User, in the caller's transaction."""
    head = published.head(tx, user.id)
    connected = tuple(_account(tx, account) for account in accounts.all_of(tx, user.id))
    primary = accounts.primary_of(tx, user.id)
    advice = []
    if not connected:
        advice.append("No account is connected yet.")
    elif primary is None:
        advice.append("No Primary calendar is chosen, so appointments can't be written.")
    elif not primary.present:
        advice.append("The Primary calendar is no longer there, so appointments can't be written. Choose another one.")
    elif primary.writable is False:
        advice.append("The Primary calendar can no longer be written. Choose another one.")
    return UserStatus(
        id=user.id,
        name=user.name,
        revision=head.revision if head else 0,
        accounts=connected,
        waiting=len(outbox.of_user(tx, user.id, states=(OutboxState.READY, OutboxState.LEASED))),
        failed=tuple(
            FailedAppointment(booked.id, booked.fields.title, booked.fields.start, booked.sync_error or "")
            for booked in appointments.failed_of_user(tx, user.id)
        ),
        advice=tuple(advice),
    )


def _account(tx: Tx, account: Account) -> AccountStatus:
    calendars = accounts.calendars(tx, account_id=account.id, roles=[Role.PRIMARY, Role.CONFLICT])
    return AccountStatus(
        id=account.id,
        provider=account.provider,
        username=account.username,
        state=account.state,
        reason=account.state_reason,
        since=account.state_since,
        calendars=tuple(_calendar(tx, calendar) for calendar in calendars),
    )


def _calendar(tx: Tx, calendar: Calendar) -> CalendarStatus:
    objects, unreadable = mirror.counts(tx, calendar.id)
    run = mirror.last_run(tx, calendar.id)
    return CalendarStatus(
        id=calendar.id,
        name=calendar.name,
        role=calendar.role,
        objects=objects,
        unreadable=unreadable,
        why_unreadable=tuple(mirror.why_unreadable(tx, calendar.id)) if unreadable else (),
        held=run.held if run else 0,
        undelivered=run.undelivered if run else 0,
        last_attempt_at=calendar.last_attempt_at,
        last_success_at=calendar.last_success_at,
        trouble=calendar.last_error or (None if calendar.present else trouble.gone_sentence()),
    )
