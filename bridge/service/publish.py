"""Bring the merged calendar up to date with what a transaction changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bridge.domain import publish as decide
from bridge.domain.ical import Rendered
from bridge.domain.model import Account, Appointment, BlockedSlot, Calendar, MirrorItem, PublishedItem, Role, User
from bridge.store import accounts, bookings, mirror, outbox, published, users
from bridge.store.db import Tx

#: Slots rendered before the transaction began, by (calendar id, href, etag): parsing thousands of events takes seconds.
Prepared = Mapping[tuple[str, str, str], Rendered | None]


@dataclass(slots=True)
class Delta:
    """Changes to one User's merged calendar, gathered to be applied as one revision."""

    user: User
    now: int
    put: list[PublishedItem] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)

    def appointment(self, booked: Appointment) -> None:
        """The Appointment as it is now."""
        item = decide.appointment(booked, time_zone=self.user.time_zone, span=decide.horizon(self.now))
        self._replace(item, decide.appointment_href(booked.id))

    def crm_slot(self, slot: BlockedSlot) -> None:
        """The CRM BlockedSlot as it is now."""
        item = decide.crm_slot(slot, time_zone=self.user.time_zone, now=self.now)
        self._replace(item, decide.crm_slot_href(slot.id))

    def upstream(self, tx: Tx, uids: Iterable[str], prepared: Prepared | None = None) -> None:
        """The blocked slots of these upstream UIDs, from the mirror as it is now."""
        sources = sources_of(tx, self.user)
        span = decide.horizon(self.now)
        prepared = prepared or {}
        for uid in uids:
            candidates = []
            if not _is_echo(tx, uid):
                for item in mirror.by_uid(tx, self.user.id, uid):
                    key = (item.calendar_id, item.href, item.etag)
                    rendered = (
                        prepared[key] if key in prepared else decide.render(item, sources[item.calendar_id], span)
                    )
                    candidates.append((item, rendered))
            items = decide.blocked_slots(candidates)
            before = published.hrefs_with_prefix(tx, self.user.id, decide.href_prefix(uid))
            self.put += items
            self.remove += decide.differing(before, items)

    def apply(self, tx: Tx) -> int | None:
        """Write it all as one revision. Returns the revision, or None when nothing differed."""
        return published.apply(tx, self.user.id, put=self.put, remove=self.remove, now=self.now)

    def _replace(self, item: PublishedItem | None, href: str) -> None:
        if item is None:
            self.remove.append(href)
        else:
            self.put.append(item)


def sources_of(tx: Tx, user: User) -> dict[str, decide.Source]:
    """How to read the mirror items of each Calendar that is read for a User."""
    addresses = {account.id: account.addresses for account in accounts.all_of(tx, user.id)}
    return {
        calendar.id: decide.Source(calendar.settings, user.time_zone, addresses[calendar.account_id])
        for calendar in accounts.calendars(tx, user_id=user.id, roles=[Role.PRIMARY, Role.CONFLICT])
    }


def source_for(calendar: Calendar, account: Account, user: User) -> decide.Source:
    """How to read the mirror items of one Calendar."""
    return decide.Source(calendar.settings, user.time_zone, account.addresses)


def prepare(
    items: Iterable[MirrorItem], source: decide.Source, *, now: int
) -> dict[tuple[str, str, str], Rendered | None]:
    """Render the slots of items of one Calendar, outside any transaction."""
    span = decide.horizon(now)
    return {(item.calendar_id, item.href, item.etag): decide.render(item, source, span) for item in items}


def publish_appointment(tx: Tx, booked: Appointment, *, now: int) -> None:
    """Publish one Appointment as it is now, in the caller's transaction."""
    delta = Delta(_user(tx, booked.user_id), now)
    delta.appointment(booked)
    # A cancelled one's event may still be upstream, and then blocks like any other once nobody is about to remove it.
    delta.upstream(tx, [booked.uid])
    delta.apply(tx)


def publish_crm_slot(tx: Tx, slot: BlockedSlot, *, now: int) -> None:
    """Publish one CRM BlockedSlot as it is now, in the caller's transaction."""
    delta = Delta(_user(tx, slot.user_id), now)
    delta.crm_slot(slot)
    delta.apply(tx)


def _user(tx: Tx, user_id: str) -> User:
    user = users.get(tx, user_id)
    assert user is not None, "bookings have a foreign key to their User"  # noqa: S101
    return user


def _is_echo(tx: Tx, uid: str) -> bool:
    """Whether events with this UID are our own pushed appointment seen again."""
    booked = bookings.appointment_by_uid(tx, uid)
    return booked is not None and (booked.wanted_upstream or outbox.is_open(tx, booked.id))
