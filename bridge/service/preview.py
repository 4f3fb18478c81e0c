"""What a change will do, shown before it is made. Nothing here writes anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bridge.domain.model import Calendar, ItemKind, OutboxState, PublishedItem, Role, SlotSettings
from bridge.domain.publish import href_prefix
from bridge.errors import NotWritable, Unknown
from bridge.service import book, publish, roles
from bridge.store import accounts, appointments, mirror, outbox, published
from bridge.store.db import Db, Tx


@dataclass(frozen=True, slots=True)
class RolesPreview:
    """What a choice of calendars will do. Counts are of appointments and slots that are not over."""

    primary_before: Calendar | None
    primary_after: Calendar | None
    #: Calendars that get a role. What they block is only known once they have been read.
    added: tuple[Calendar, ...]
    #: Calendars that lose their role.
    dropped: tuple[Calendar, ...]
    #: Appointments that will be written to the new Primary, and those of them whose event leaves another calendar.
    to_write: int
    to_move: int
    #: Blocked slots that will be removed.
    going: int

    @property
    def changes(self) -> bool:
        """Whether the choice differs from the present one."""
        before, after = self.primary_before, self.primary_after
        return bool(self.added or self.dropped) or (before and before.id) != (after and after.id)


def roles_preview(db: Db, user_id: str, *, primary: str | None, conflicts: Sequence[str], now: int) -> RolesPreview:
    """What `roles.choose` with this choice would do. Raises `Unknown`, `NotWritable`, as that does."""
    with db.read() as tx:
        calendars = {calendar.id: calendar for calendar in accounts.calendars(tx, user_id=user_id)}
        wanted = {calendar_id: roles.pick(calendars, calendar_id) for calendar_id in conflicts}
        before = next((calendar for calendar in calendars.values() if calendar.role == Role.PRIMARY), None)
        after = roles.pick(calendars, primary) if primary is not None else None
        if after is not None:
            if after.writable is False:
                raise NotWritable(after.id)
            wanted[after.id] = after
        dropped = [c for c in calendars.values() if c.role != Role.NONE and c.id not in wanted]
        to_write = to_move = 0
        if after is not None and (before is None or before.id != after.id):
            for booked in appointments.of_user(tx, user_id):
                if (
                    booked.wanted_upstream
                    and book.upcoming(booked, now)
                    and booked.calendar_id != after.id
                    and roles.comes_along(tx, booked, roles.Appointments.MOVE)
                ):
                    to_write += 1
                    to_move += booked.calendar_id in calendars
        return RolesPreview(
            primary_before=before,
            primary_after=after,
            added=tuple(calendar for calendar in wanted.values() if calendar.role == Role.NONE),
            dropped=tuple(dropped),
            to_write=to_write,
            to_move=to_move,
            going=len(_going(tx, user_id, dropped, kept=wanted.values(), now=now)),
        )


@dataclass(frozen=True, slots=True)
class DisconnectPreview:
    """What disconnecting an Account will do. Counts are of appointments and slots that are not over."""

    calendars: tuple[Calendar, ...]
    loses_primary: bool
    going: int
    #: Appointments whose events stay in the Account's calendars, and those that have yet to be written there.
    written: int
    waiting: int


def disconnect_preview(db: Db, user_id: str, account_id: str, *, now: int) -> DisconnectPreview:
    """What `connect.disconnect` would do. Raises `Unknown`."""
    with db.read() as tx:
        account = accounts.get(tx, account_id)
        if account is None or account.user_id != user_id:
            raise Unknown("account", account_id, user_id)
        all_read = accounts.calendars(tx, user_id=user_id, roles=[Role.PRIMARY, Role.CONFLICT])
        read = [calendar for calendar in all_read if calendar.account_id == account_id]
        kept = [calendar for calendar in all_read if calendar.account_id != account_id]
        ids = {calendar.id for calendar in accounts.calendars(tx, account_id=account_id)}
        open_entries = outbox.of_user(tx, user_id, states=(OutboxState.READY, OutboxState.LEASED))
        return DisconnectPreview(
            calendars=tuple(read),
            loses_primary=any(calendar.role == Role.PRIMARY for calendar in read),
            going=len(_going(tx, user_id, read, kept=kept, now=now)),
            written=sum(
                booked.wanted_upstream and booked.calendar_id in ids and book.upcoming(booked, now)
                for booked in appointments.of_user(tx, user_id)
            ),
            waiting=sum(entry.account_id == account_id for entry in open_entries),
        )


@dataclass(frozen=True, slots=True)
class SettingsPreview:
    """How many blocked slots of a Calendar will appear, go or change with other settings, among those not over."""

    coming: int
    going: int
    changing: int


def settings_preview(db: Db, user_id: str, calendar_id: str, settings: SlotSettings, *, now: int) -> SettingsPreview:
    """What `roles.set_slot_settings` would do. Reads every event of the Calendar: seconds for thousands of them.

    Raises `Unknown`.
    """
    with db.read() as tx:
        calendar, user, account = roles.calendar_of(tx, user_id, calendar_id)
        # The events of our own appointments are no blocked slots.
        items = [i for i in mirror.of_calendar(tx, calendar_id) if appointments.by_uid(tx, i.uid) is None]
    before = publish.prepare(items, publish.source_for(calendar, account, user), now=now)
    after = publish.prepare(items, publish.source_for(replace(calendar, settings=settings), account, user), now=now)
    coming = going = changing = 0
    for key, was in before.items():
        will = after[key]
        ahead = [one for one in (was, will) if one is not None and (one.last_end is None or one.last_end > now)]
        if not ahead or was == will:
            continue
        coming += was is None
        going += will is None
        changing += was is not None and will is not None
    return SettingsPreview(coming, going, changing)


def _going(
    tx: Tx, user_id: str, dropped: Sequence[Calendar], *, kept: Iterable[Calendar], now: int
) -> list[PublishedItem]:
    """The blocked slots, not yet over, that go with these Calendars: not those that a kept Calendar has as well."""
    ids = {calendar.id for calendar in dropped}
    staying = {href_prefix(uid) for calendar in kept for uid in mirror.uids_of_calendar(tx, calendar.id)}
    return [
        item
        for item in published.all_items(tx, user_id)
        if item.kind == ItemKind.ICLOUD
        and item.source_id in ids
        and (item.last_end is None or item.last_end > now)
        and item.href[: item.href.rindex("_") + 1] not in staying
    ]
