"""Bringing the merged calendar up to date in the transaction that changes something."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from bridge.domain import ical, reconcile
from bridge.domain import publish as decide
from bridge.domain.ical import Rendered
from bridge.domain.model import (
    Account,
    Appointment,
    BlockedSlot,
    Calendar,
    Interval,
    ItemKind,
    MirrorItem,
    PublishedItem,
    Role,
    User,
)
from bridge.errors import Unreadable
from bridge.service import changes
from bridge.store import accounts, appointments, blocked_slots, mirror, occurrences, outbox, published, users
from bridge.store.db import Db, Tx
from bridge.store.occurrences import Busy

log = logging.getLogger(__name__)

#: Slots rendered before the transaction (parsing thousands of events takes seconds), by (calendar id, href, etag).
Prepared = dict[tuple[str, str, str], Rendered | None]


@dataclass(slots=True)
class Delta:
    """Changes to one User's merged calendar, collected to be applied as one revision."""

    user: User
    now: int
    put: list[PublishedItem] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)

    def appointment(self, tx: Tx, booked: Appointment) -> None:
        """Add the Appointment as it is now. To the other Users whose time it takes, it is published at once."""
        upstream = as_the_person_left_it(tx, booked)

        def item(user: User) -> PublishedItem | None:
            span = decide.horizon(self.now)
            return decide.appointment(booked, time_zone=user.time_zone, span=span, upstream=upstream)

        self._replace(item(self.user), decide.appointment_href(booked.id))
        for other in (users.get(tx, user_id) for user_id in booked.other_user_ids):
            if other is not None and other.id != self.user.id:
                delta = Delta(other, self.now)
                delta._replace(item(other), decide.appointment_href(booked.id))
                delta.apply(tx)

    def crm_slot(self, slot: BlockedSlot) -> None:
        """Add the CRM BlockedSlot as it is now."""
        item = decide.crm_slot(slot, now=self.now)
        self._replace(item, decide.crm_slot_href(slot.id))

    def upstream(self, tx: Tx, uids: Iterable[str], prepared: Prepared | None = None) -> None:
        """Add the blocked slots of these upstream UIDs, from the mirror as it is now."""
        sources: dict[str, decide.Source] = {}
        span = decide.horizon(self.now)
        prepared = prepared or {}
        for uid in uids:
            candidates = []
            before = published.hrefs_with_prefix(tx, self.user.id, decide.href_prefix(uid))
            for item in mirror.by_uid(tx, self.user.id, uid):
                if is_echo(tx, self.user.id, item):
                    continue
                sources = sources or sources_of(tx, self.user)
                key = (item.calendar_id, item.href, item.etag)
                try:
                    rendered = (
                        prepared[key] if key in prepared else decide.render(item, sources[item.calendar_id], span)
                    )
                except Unreadable:
                    # An object that can't be read goes on blocking what it blocked before.
                    before = [href for href in before if href != decide.slot_href(item)]
                else:
                    candidates.append((item, rendered))
            items = decide.blocked_slots(candidates, self._booked(tx, uid, span) if candidates else None)
            self.put += items
            self.remove += decide.differing(before, items)

    def apply(self, tx: Tx) -> int | None:
        """Apply all changes as one revision. Returns the revision, or None where no text changed."""
        changes.icloud_slots(tx, self.user, self.put, self.remove, now=self.now)
        return published.apply(tx, self.user.id, put=self.put, remove=self.remove, now=self.now)

    def _booked(self, tx: Tx, uid: str, span: Interval) -> Rendered | None:
        """The User's own Appointment with this UID, rendered as it is published; None where there is none."""
        booked = appointments.by_uid(tx, uid)
        if booked is None or booked.user_id != self.user.id:
            return None
        left = as_the_person_left_it(tx, booked)
        return decide.render_appointment(booked, time_zone=self.user.time_zone, span=span, upstream=left)

    def _replace(self, item: PublishedItem | None, href: str) -> None:
        if item is None:
            self.remove.append(href)
        else:
            self.put.append(item)


def sources_of(tx: Tx, user: User) -> dict[str, decide.Source]:
    """How to read the mirror items of each Calendar with a role, by its id."""
    addresses = {account.id: frozenset(account.addresses) for account in accounts.all_of(tx, user.id)}
    return {
        calendar.id: decide.Source(calendar.settings, user.time_zone, addresses[calendar.account_id])
        for calendar in accounts.calendars(tx, user_id=user.id, roles=[Role.PRIMARY, Role.CONFLICT])
    }


def source_for(calendar: Calendar, account: Account, user: User) -> decide.Source:
    """How to read the mirror items of one Calendar."""
    return decide.Source(calendar.settings, user.time_zone, frozenset(account.addresses))


def render(item: MirrorItem, source: decide.Source, *, now: int) -> Rendered | None:
    """Render the slot of one item, outside any transaction. Raises `Unreadable`."""
    return decide.render(item, source, decide.horizon(now))


def prepare(items: Iterable[MirrorItem], source: decide.Source, *, now: int) -> Prepared:
    """Render the slots of items of one Calendar, outside any transaction. Those that can't be read are left out."""
    prepared: Prepared = {}
    for item in items:
        with suppress(Unreadable):
            prepared[item.calendar_id, item.href, item.etag] = render(item, source, now=now)
    return prepared


def publish_appointment(tx: Tx, booked: Appointment, *, now: int) -> None:
    """Publish one Appointment as it is now, in the caller's transaction."""
    delta = Delta(_user(tx, booked.user_id), now)
    delta.appointment(tx, booked)
    # The event of a cancelled one may still be upstream. Unless it is about to be removed, it blocks like any other.
    delta.upstream(tx, [booked.uid])
    delta.apply(tx)


def withdraw(tx: Tx, booked: Appointment, user_ids: Iterable[str], *, now: int) -> None:
    """Remove the Appointment from the merged calendars of these Users, whose time it no longer takes."""
    for user_id in user_ids:
        other = users.get(tx, user_id)
        if other is not None and other.id != booked.user_id:
            Delta(other, now, remove=[decide.appointment_href(booked.id)]).apply(tx)


def publish_everything(tx: Tx, user: User, *, now: int) -> None:
    """Publish everything of a User again, as one revision, after a change that affects all of it."""
    delta = Delta(user, now)
    own = appointments.of_user(tx, user.id)
    # Those of others that take this User's time, too.
    published_ids = {i.source_id for i in published.all_items(tx, user.id) if i.kind == ItemKind.APPOINTMENT}
    shared = [appointments.get(tx, id_) for id_ in sorted(published_ids - {booked.id for booked in own})]
    for booked in (*own, *(one for one in shared if one is not None)):
        delta.appointment(tx, booked)
    for slot in blocked_slots.of_user(tx, user.id):
        delta.crm_slot(slot)
    delta.upstream(tx, sorted(mirror.uids_of_user(tx, user.id)))
    delta.apply(tx)
    published.expand(tx, user.id, delta.put)  # the same text may mean other times now, as for all-day events


def publish_crm_slot(tx: Tx, slot: BlockedSlot, *, now: int) -> None:
    """Publish one CRM BlockedSlot as it is now, in the caller's transaction."""
    delta = Delta(_user(tx, slot.user_id), now)
    delta.crm_slot(slot)
    delta.apply(tx)


def busy(tx: Tx, user: User, span: Interval) -> list[Busy]:
    """The User's busy times in the span, ordered by start: stored ones, and computed ones outside the horizon."""
    beyond = {item.href: item for item in published.unexpanded(tx, user.id, span)}
    found = [stored for stored in occurrences.busy(tx, user.id, span) if stored.href not in beyond]
    for item in beyond.values():
        found += [
            Busy(o.start, o.end, o.all_day, item.href, item.kind, item.source_id)
            for o in ical.occurrences(item.ics, span, time_zone=user.time_zone)
        ]
    return sorted(found, key=lambda one: (one.start, one.end, one.href))


def titles(tx: Tx, user: User, of: Iterable[Busy]) -> dict[Busy, str]:
    """The title that each of these stretches has in the merged calendar."""
    by_item: dict[str, list[Busy]] = {}
    for one in of:
        by_item.setdefault(one.href, []).append(one)
    found: dict[Busy, str] = {}
    for item in published.get(tx, user.id, by_item):
        stretches = by_item[item.href]
        own: dict[int, str] = {}
        if "\nRECURRENCE-ID" in item.ics:  # only then can a time of a series have another title
            span = Interval(min(one.start for one in stretches), max(one.end for one in stretches))
            own = ical.titles(item.ics, span, time_zone=user.time_zone)
        series = ical.summary(item.ics)
        found |= {one: own.get(one.start, series) for one in stretches}
    return found


def move_horizon(db: Db, *, now: int, limit: int) -> int:
    """Expand up to `limit` recurring items again whose stored occurrences end too early. Returns how many these were.

    No client is told: the events are the same.
    """
    span = decide.horizon(now)
    with db.read() as tx:
        lagging = published.least_expanded(tx, before=span.end - decide.HORIZON_LAG, limit=limit)
        owners = [(_user(tx, user_id), items) for user_id, items in lagging.items()]
    done = 0
    for user, items in owners:
        moved = [item for item in (_expanded_anew(item, user, span) for item in items) if item is not None]
        with db.write() as tx:
            published.expand(tx, user.id, moved)
        done += len(moved)
    return done


def _expanded_anew(item: PublishedItem, user: User, span: Interval) -> PublishedItem | None:
    try:
        occurrences = ical.occurrences(item.ics, span, time_zone=user.time_zone)
    except Unreadable:
        # The bridge wrote the text itself, so this is a bug. The item keeps its occurrences, and others go on.
        log.exception("user %s: item %s can't be expanded anew", user.id, item.href)
        return None
    return replace(item, occurrences=tuple(occurrences), expanded=span)


def _user(tx: Tx, user_id: str) -> User:
    user = users.get(tx, user_id)
    assert user is not None, "bookings have a foreign key to their User"  # noqa: S101
    return user


def as_the_person_left_it(tx: Tx, booked: Appointment) -> str | None:
    """The text of a recurring Appointment's event, as it is or will be: only it has the changes of single instances."""
    if booked.fields.rrule is None:
        return None
    item = None if booked.carried is not None else mirror.get(tx, booked.calendar_id or "", booked.href or "")
    return booked.carried if item is None else item.ics


def is_echo(tx: Tx, user_id: str, item: MirrorItem) -> bool:
    """Whether an object is an Echo: the event of the User's own Appointment, which counts in its place.

    That is so only where the Appointment's event lives, and while it says when the Appointment is, or is about to. What
    else has the UID (a copy; the event seen through another account; a person's other time for it, which the
    Appointment does not follow by setting) takes time like any other event. So it does for a colleague.
    """
    booked = appointments.by_uid(tx, item.uid)
    if (
        booked is None
        or booked.user_id != user_id
        or (booked.calendar_id, booked.href) != (item.calendar_id, item.href)
    ):
        return False
    waits = outbox.is_open(tx, booked.id)
    if not booked.wanted_upstream:
        return waits  # to be removed
    if waits and booked.agreed is not None and not reconcile.same_when(booked.fields, booked.agreed):
        return True  # to be moved by the CRM
    try:
        said = ical.upstream_fields(item.ics, like=booked.fields)
        return reconcile.same_when(booked.fields, said) and not other_single_times(tx, booked, item)
    except Unreadable:
        return True


def other_single_times(tx: Tx, booked: Appointment, item: MirrorItem) -> bool:
    """Whether single times of the event are at other times than those of the Appointment. Raises `Unreadable`."""
    if booked.carried is None:
        return False
    zone = _user(tx, booked.user_id).time_zone
    found = ical.changed_singly(booked, booked, time_zone=zone, was=booked.carried, now=item.ics)
    return any(one.takes_other_time for one in found)
