"""Choosing the Primary and the conflict calendars, and which of their events become blocked slots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from bridge.domain import trouble
from bridge.domain.declared import What
from bridge.domain.model import Account, Appointment, Calendar, Role, SlotSettings, SyncState, User
from bridge.errors import NotWritable, Unknown
from bridge.service import book, publish
from bridge.service import mirror as mirror_service
from bridge.service.context import Context
from bridge.service.fixed import refuse_if_fixed
from bridge.store import accounts, appointments, mirror, users
from bridge.store.db import Db, Tx

#: Seconds after which the worker reads newly chosen calendars, if the use case has not done so.
READ_WITHIN = 30


class Keep(Enum):
    """The marker for a choice that stays as it is."""

    KEEP = 0


KEEP = Keep.KEEP


class Appointments(StrEnum):
    """What happens to upcoming appointments when another Calendar becomes the Primary."""

    #: Their events move to the new one.
    MOVE = "move"
    #: Their events stay where they are. When the CRM changes one later, it moves; when it cancels one, it is removed.
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Change:
    """The outcome of a choice."""

    primary: Calendar | None
    conflicts: tuple[Calendar, ...]
    #: Calendars that lost their role.
    dropped: tuple[Calendar, ...]
    #: How many upcoming appointments will be written to the Primary.
    moved: int
    #: Calendars that could not be read yet: name and what is wrong. The bridge tries again by itself.
    troubles: tuple[tuple[str, str], ...] = ()


def list_calendars(db: Db, user_id: str) -> list[Calendar]:
    """All Calendars of a User's Accounts, Primary first, then by name. Raises `Unknown`."""
    with db.read() as tx:
        if users.get(tx, user_id) is None:
            raise Unknown("user", user_id)
        found = accounts.calendars(tx, user_id=user_id)
    return sorted(found, key=lambda c: (c.role != Role.PRIMARY, _as_people_sort(c.name), c.id))


def _as_people_sort(name: str) -> list[tuple[int, str]]:
    """The key by which people sort names: without regard to case, and with "2" before "10"."""
    parts = re.findall(r"(\d{1,15})|(\D+)", name.casefold())
    return [(int(digits or 0), text) for digits, text in parts]


async def choose(
    context: Context,
    user_id: str,
    *,
    primary: str | Keep | None = KEEP,
    conflicts: Sequence[str] | Keep = KEEP,
    appointments: Appointments = Appointments.MOVE,
) -> Change:
    """Choose the Primary (None: no Primary) and the conflict calendars, by id, and read them.

    Blocked slots of calendars that lose their role are removed at once, in one revision. Raises `Unknown`,
    `NotWritable`, `SetByAdministrator`.
    """
    now = context.clock()
    with context.db.write() as tx:
        before = accounts.calendars(tx, user_id=user_id)
        change = assign(tx, user_id, primary, conflicts, appointments, now=now)
        _refuse(tx, user_id, before, accounts.calendars(tx, user_id=user_id))
    context.wake_push()
    troubles: list[tuple[str, str]] = []
    read = [*([change.primary] if change.primary else []), *change.conflicts]
    for account_id in sorted({calendar.account_id for calendar in read}):
        try:
            runs = await mirror_service.poll_anew(context, account_id)
        except mirror_service.ACCOUNT_TROUBLE as error:
            said = trouble.sentence(error)
            troubles += [(calendar.name, said) for calendar in read if calendar.account_id == account_id]
        else:
            troubles += [(run.calendar_name, run.error) for run in runs if run.error]
    return replace(change, troubles=tuple(troubles))


def _refuse(tx: Tx, user_id: str, before: Sequence[Calendar], after: Sequence[Calendar]) -> None:
    """Raises `SetByAdministrator` where a choice differs from what the settings file chooses."""

    def having(role: Role, calendars: Sequence[Calendar], account_id: str | None = None) -> set[str]:
        return {c.id for c in calendars if c.role == role and account_id in {None, c.account_id}}

    if having(Role.PRIMARY, before) != having(Role.PRIMARY, after):
        refuse_if_fixed(tx, What.PRIMARY, user_id)
    for account_id in {calendar.account_id for calendar in before}:
        if having(Role.CONFLICT, before, account_id) != having(Role.CONFLICT, after, account_id):
            refuse_if_fixed(tx, What.CONFLICTS, account_id)


def assign(
    tx: Tx,
    user_id: str,
    primary: str | Keep | None,
    conflicts: Sequence[str] | Keep,
    choice: Appointments,
    *,
    now: int,
) -> Change:
    """As `choose`, in the caller's transaction, without reading anything. Raises `Unknown`, `NotWritable`."""
    user = users.get(tx, user_id)
    if user is None:
        raise Unknown("user", user_id)
    before = {calendar.id: calendar for calendar in accounts.calendars(tx, user_id=user_id)}
    old_primary = next((c for c in before.values() if c.role == Role.PRIMARY), None)
    new_primary = pick(before, primary) if not isinstance(primary, Keep) and primary is not None else None
    if isinstance(primary, Keep):
        new_primary = old_primary
    elif new_primary is not None and new_primary.writable is False:
        raise NotWritable(new_primary.id)
    if isinstance(conflicts, Keep):
        chosen = [calendar for calendar in before.values() if calendar.role == Role.CONFLICT]
    else:
        chosen = [pick(before, calendar_id) for calendar_id in conflicts]
    roles = {calendar.id: Role.CONFLICT for calendar in chosen}
    if new_primary is not None:
        roles[new_primary.id] = Role.PRIMARY  # the Primary blocks anyway
    changed = [calendar for calendar in before.values() if roles.get(calendar.id, Role.NONE) != calendar.role]
    dropped = [calendar for calendar in changed if calendar.id not in roles]
    uids = set().union(*(mirror.uids_of_calendar(tx, calendar.id) for calendar in changed))
    # The old Primary loses its role first: there must never be two.
    for calendar in sorted(changed, key=lambda c: roles.get(c.id, Role.NONE) == Role.PRIMARY):
        accounts.set_role(tx, calendar.id, roles.get(calendar.id, Role.NONE))
    for account_id in {calendar.account_id for calendar in changed}:
        # This use case reads it in a moment. If that fails, the worker does.
        accounts.schedule(tx, account_id, next_poll_at=now + READ_WITHIN, failures=0)
    moved = 0
    if new_primary is not None and (old_primary is None or old_primary.id != new_primary.id):
        moved = _bring_appointments(tx, new_primary, choice, now=now)
    for calendar in dropped:  # only now: moved appointments take along what was read of their events
        for booked in appointments.of_calendar(tx, calendar.id):
            appointments.put(tx, book.forget_event(tx, booked))
        mirror.remove_all(tx, calendar.id)
    delta = publish.Delta(user, now)
    delta.upstream(tx, sorted(uids))
    delta.apply(tx)
    after = accounts.calendars(tx, user_id=user_id)
    return Change(
        primary=next((c for c in after if c.role == Role.PRIMARY), None),
        conflicts=tuple(c for c in after if c.role == Role.CONFLICT),
        dropped=tuple(dropped),
        moved=moved,
    )


def pick(calendars: Mapping[str, Calendar], calendar_id: str) -> Calendar:
    """The Calendar to choose. Raises `Unknown`, also for one that its server no longer has, unless it has a role."""
    calendar = calendars.get(calendar_id)
    if calendar is None or not (calendar.present or calendar.role != Role.NONE):
        raise Unknown("calendar", calendar_id)
    return calendar


def _bring_appointments(tx: Tx, primary: Calendar, choice: Appointments, *, now: int) -> int:
    """Queue the upcoming appointments for the new Primary. Past ones stay where they are."""
    moved = 0
    for booked in appointments.of_user(tx, primary.user_id):
        if not booked.wanted_upstream or not book.upcoming(booked, now):
            continue
        if booked.calendar_id == primary.id:
            if booked.sync_state != SyncState.SYNCED:
                appointments.put(tx, book.queue(tx, booked, now=now))
        elif comes_along(tx, booked, choice):
            moved += 1
            appointments.put(tx, book.queue(tx, book.detach(tx, booked, now=now), now=now))
    return moved


def comes_along(tx: Tx, booked: Appointment, choice: Appointments) -> bool:
    """Whether an upcoming appointment in another Calendar, or in none, is written to a new Primary."""
    home = accounts.calendar(tx, booked.calendar_id) if booked.calendar_id is not None else None
    # An event that a person moved to a Calendar to which the bridge has never written stays there.
    return home is None or (choice == Appointments.MOVE and home.once_primary)


def set_slot_settings(context: Context, user_id: str, calendar_id: str, settings: SlotSettings) -> None:
    """Set which events of a Calendar become blocked slots, and what these show. All slots change in one revision.

    Raises `Unknown`, `SetByAdministrator`.
    """
    now = context.clock()
    with context.db.read() as tx:
        prepared = prepare_settings(tx, user_id, calendar_id, settings, now=now)
    with context.db.write() as tx:
        refuse_if_fixed(tx, What.SLOTS, calendar_id)
        put_settings(tx, user_id, calendar_id, settings, prepared, now=now)


def prepare_settings(tx: Tx, user_id: str, calendar_id: str, settings: SlotSettings, *, now: int) -> publish.Prepared:
    """Render a Calendar's blocked slots by other settings, before the transaction that stores them.

    Thousands of events take seconds, during which no other writer may wait. Raises `Unknown`.
    """
    calendar, user, account = calendar_of(tx, user_id, calendar_id)
    source = publish.source_for(replace(calendar, settings=settings), account, user)
    return publish.prepare(mirror.of_calendar(tx, calendar_id), source, now=now)


def put_settings(
    tx: Tx, user_id: str, calendar_id: str, settings: SlotSettings, prepared: publish.Prepared, *, now: int
) -> None:
    """Set a Calendar's settings, in the caller's transaction. Raises `Unknown`."""
    _, user, _ = calendar_of(tx, user_id, calendar_id)
    accounts.set_settings(tx, calendar_id, settings)
    delta = publish.Delta(user, now)
    delta.upstream(tx, sorted(mirror.uids_of_calendar(tx, calendar_id)), prepared)
    delta.apply(tx)


def calendar_of(tx: Tx, user_id: str, calendar_id: str) -> tuple[Calendar, User, Account]:
    """A Calendar of this User, with its User and Account. Raises `Unknown`."""
    calendar = accounts.calendar(tx, calendar_id)
    user = users.get(tx, user_id)
    account = accounts.get(tx, calendar.account_id) if calendar else None
    if calendar is None or user is None or account is None or calendar.user_id != user_id:
        raise Unknown("calendar", calendar_id, user_id)
    return calendar, user, account
