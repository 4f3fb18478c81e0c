"""Explaining why a time is blocked or free, and what happened to an event or an appointment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.domain import explain as decide
from bridge.domain import ical
from bridge.domain import publish as publish_rules
from bridge.domain.explain import Finding, Why
from bridge.domain.model import Account, Appointment, Calendar, Interval, ItemKind, MirrorItem, Role, User
from bridge.domain.publish import Source
from bridge.errors import Unknown
from bridge.service import publish
from bridge.service.status import CalendarStatus, of_user
from bridge.service.visibility import Locations, sees
from bridge.store import accounts, appointments, blocked_slots, mirror, occurrences, outbox, overview, published, users
from bridge.store.db import Db, Tx
from bridge.store.outbox import DatedEntry

__all__ = ["Finding", "SlotExplained", "ThingExplained", "TimeExplained", "slot", "thing", "time"]

#: Seconds ahead in which the next times of a thing are looked for, and how many of them are returned.
AHEAD, NEXT = 366 * 86_400, 5


@dataclass(frozen=True, slots=True)
class TimeExplained:
    """Whether a User's time at an instant is blocked, and why. Instants are Unix seconds, UTC."""

    user_id: str
    at: int
    blocked: bool
    #: First the findings that block, then those that are at this time without blocking it.
    findings: tuple[Finding, ...]
    #: Objects that have never been readable. Any of them may be at this time.
    unreadable: tuple[Finding, ...]
    #: The Calendars from which the answer is derived.
    sources: tuple[CalendarStatus, ...]
    #: The names of Calendars without a role: nothing in them blocks.
    not_read: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SlotExplained:
    """Why an item of the merged calendar blocks a time."""

    finding: Finding
    #: The source for the Calendar that it comes from, or is written to.
    account: Account | None
    appointment: Appointment | None


@dataclass(frozen=True, slots=True)
class ThingExplained:
    """What happened to an event, a blocked slot or an appointment."""

    user_id: str
    #: For each of its events, what it does to its own time.
    findings: tuple[Finding, ...]
    #: The next times at which it blocks.
    next_times: tuple[Interval, ...]
    #: Its last change in the merged calendar; None: it was never there.
    change: overview.Changed | None
    appointment: Appointment | None = None
    #: For an appointment: its outbox entries, oldest first.
    pushes: tuple[DatedEntry, ...] = ()


def time(db: Db, user_id: str, at: int, *, now: int, locations: Locations = None) -> TimeExplained:
    """Why a User's time is blocked or free at an instant. Raises `Unknown`."""
    with db.read() as tx:
        user = users.get(tx, user_id)
        if user is None or not sees(locations, user.location_id):
            raise Unknown("user", user_id)
        found, blocked = _at(tx, user, at, now)
        every = accounts.calendars(tx, user_id=user.id)
        return TimeExplained(
            user_id=user.id,
            at=at,
            blocked=blocked,
            findings=tuple(one for one in found if one.why != Why.UNREADABLE),
            unreadable=tuple(one for one in found if one.why == Why.UNREADABLE),
            sources=tuple(calendar for account in of_user(tx, user).accounts for calendar in account.calendars),
            not_read=tuple(calendar.name for calendar in every if calendar.role == Role.NONE),
        )


def slot(db: Db, user: User, href: str, at: int, *, now: int) -> SlotExplained:
    """Why this item of the merged calendar takes the User's time at an instant. Raises `Unknown`."""
    with db.read() as tx:
        found = [one for one in _at(tx, user, at, now)[0] if one.blocks and f"{one.id}.ics" == href]
        if not found:
            raise Unknown("blocked slot", href)
        finding = next((one for one in found if one.start == at), found[0])
        calendar = finding.calendar
        return SlotExplained(
            finding,
            accounts.get(tx, calendar.account_id) if calendar is not None else None,
            appointments.get(tx, finding.id),
        )


def thing(db: Db, key: str, *, now: int, locations: Locations = None) -> list[ThingExplained]:
    """What happened to the thing with this id (`apt_…`, `blk_…`, `ics_…`) or UID, for each User who has it.

    Raises `Unknown`.
    """
    with db.read() as tx:
        found = list(_things(tx, key, now, locations))
    if not found:
        raise Unknown("event", key)
    return found


def _things(tx: Tx, key: str, now: int, locations: Locations) -> Iterator[ThingExplained]:
    booked = appointments.get(tx, key) or appointments.by_uid(tx, key)
    if booked is not None:
        if booked.stands_in_for is None and sees(locations, booked.location_id):
            yield _appointment(tx, booked, now)
        return
    slot = blocked_slots.get(tx, key)
    if slot is not None:
        owner = users.get(tx, slot.user_id)
        if owner is not None and sees(locations, slot.location_id):
            href = publish_rules.crm_slot_href(slot.id)
            yield _thing(tx, owner, href, [decide.of_crm_slot(slot, now=now)], now)
        return
    for user in users.all_users(tx):
        if sees(locations, user.location_id):
            read = _read(tx, user)
            for item in _items(tx, user, key):
                found = _of_item(tx, user, item, read[item.calendar_id], None)
                yield _thing(tx, user, publish_rules.slot_href(item), found, now)


def _items(tx: Tx, user: User, key: str) -> list[MirrorItem]:
    """The mirrored objects of a User with this blocked slot's id, or with this upstream UID."""
    if not key.startswith("ics_"):
        return mirror.by_uid(tx, user.id, key)
    # An id may name one time of a series by its start.
    stems = {key, key.rpartition("_")[0]}
    change = next((c for c in (overview.change_of(tx, user.id, f"{stem}.ics") for stem in sorted(stems)) if c), None)
    if change is None:
        return []
    return [i for i in mirror.of_calendar(tx, change.source_id) if publish_rules.slot_href(i) == change.href]


def _thing(tx: Tx, user: User, href: str, findings: list[Finding], now: int) -> ThingExplained:
    return ThingExplained(
        user_id=user.id,
        findings=tuple(findings),
        next_times=_next_times(tx, user, href, now),
        change=overview.change_of(tx, user.id, href),
    )


def _appointment(tx: Tx, booked: Appointment, now: int) -> ThingExplained:
    user = users.get(tx, booked.user_id)
    assert user is not None, "appointments have a foreign key to their User"  # noqa: S101
    href = publish_rules.appointment_href(booked.id)
    read = _read(tx, user)
    echoes = [
        finding
        for item in mirror.by_uid(tx, user.id, booked.uid)
        for finding in _of_item(tx, user, item, read[item.calendar_id], None)
    ]
    return ThingExplained(
        user_id=user.id,
        findings=(
            decide.of_appointment(booked, _calendar_of(tx, booked), booked.fields.start, booked.fields.end),
            *echoes,
        ),
        next_times=_next_times(tx, user, href, now),
        change=overview.change_of(tx, user.id, href),
        appointment=booked,
        pushes=tuple(outbox.of_appointment(tx, booked.id)),
    )


def _next_times(tx: Tx, user: User, href: str, now: int) -> tuple[Interval, ...]:
    busy = publish.busy(tx, user, Interval(now, now + AHEAD))
    return tuple(Interval(one.start, one.end) for one in busy if one.href == href)[:NEXT]


#: A Calendar with a role, and how its items are read.
Read = tuple[Calendar, Source]


def _read(tx: Tx, user: User) -> dict[str, Read]:
    sources = publish.sources_of(tx, user)
    found = accounts.calendars(tx, user_id=user.id, roles=[Role.PRIMARY, Role.CONFLICT])
    return {calendar.id: (calendar, sources[calendar.id]) for calendar in found}


def _at(tx: Tx, user: User, at: int, now: int) -> tuple[list[Finding], bool]:
    """The findings at an instant, those that block first; and whether the User's time is blocked then."""
    span = Interval(at, at + 1)
    busy = publish.busy(tx, user, span)
    found = [*_upstream(tx, user, span, busy), *_booked(tx, user, span, busy), *_crm_slots(tx, user, span, now)]
    return sorted(found, key=lambda one: (not one.blocks, one.start, one.end, one.id)), bool(busy)


def _upstream(tx: Tx, user: User, span: Interval, busy: list[occurrences.Busy]) -> Iterator[Finding]:
    busy_then = {one.href for one in busy}
    served = set(published.hrefs_with_prefix(tx, user.id, publish_rules.SLOT_PREFIX)) - busy_then
    for calendar_id, read in _read(tx, user).items():
        for item in mirror.of_calendar(tx, calendar_id):
            # Nearly all items are published and not at this time: there is nothing to tell about them.
            if publish_rules.slot_href(item) not in served or not ical.is_plain(item.ics):
                yield from _of_item(tx, user, item, read, span)


def _of_item(tx: Tx, user: User, item: MirrorItem, read: Read, span: Interval | None) -> list[Finding]:
    calendar, source = read
    verdicts = decide.verdicts(item, source, span=span)
    if not verdicts:
        return []  # the case of nearly all items, which needs no further query
    published_too = bool(published.get(tx, user.id, [publish_rules.slot_href(item)]))
    echo = publish.is_echo(tx, user.id, item)
    return [decide.of_verdict(item, calendar, one, published=published_too, echo=echo) for one in verdicts]


def _booked(tx: Tx, user: User, span: Interval, busy: list[occurrences.Busy]) -> Iterator[Finding]:
    told = set()
    for one in busy:
        booked = appointments.get(tx, one.source_id) if one.kind == ItemKind.APPOINTMENT else None
        if booked is not None:
            told.add(booked.id)
            yield decide.of_appointment(booked, _calendar_of(tx, booked), one.start, one.end)
    wanted = appointments.Wanted(location_id=user.location_id, span=span, user_id=user.id, include_deleted=True)
    for booked in appointments.single(tx, wanted):
        if booked.id not in told and not booked.wanted_upstream and booked.stands_in_for is None:
            yield decide.of_appointment(booked, _calendar_of(tx, booked), booked.fields.start, booked.fields.end)


def _calendar_of(tx: Tx, booked: Appointment) -> Calendar | None:
    return accounts.calendar(tx, booked.calendar_id) if booked.calendar_id is not None else None


def _crm_slots(tx: Tx, user: User, span: Interval, now: int) -> Iterator[Finding]:
    for slot in blocked_slots.between(tx, span, user_id=user.id, include_deleted=True):
        yield decide.of_crm_slot(slot, now=now)
