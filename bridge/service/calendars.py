"""Keeping our list of an Account's Calendars like the server's: added, renamed, recoloured, moved and removed ones."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bridge.domain.model import Account, Calendar, Role, SlotSettings, Titles
from bridge.remote.base import RemoteCalendar, path_of
from bridge.service import book
from bridge.store import accounts, appointments, mirror
from bridge.store.db import Tx


def calendar_key(url: str) -> str:
    """What identifies a calendar within its Account: the path of its URL. The host changes with the partition."""
    return path_of(url).rstrip("/")


def merge(tx: Tx, account: Account, listed: Sequence[RemoteCalendar], *, titles: Titles) -> None:
    """Update our list from the server's. When a calendar has moved, our copies of its objects are kept."""
    known = accounts.calendars(tx, account_id=account.id)
    matched = match(known, listed)
    for found in listed:
        old = matched.get(found.url)
        fresh = _calendar_from(found, account, old, titles)
        if fresh == old:
            continue
        if old is not None and calendar_key(old.url) != calendar_key(fresh.url):
            _move(tx, old, fresh)
        accounts.put_calendar(tx, fresh)
    for vanished in {c.id: c for c in known}.keys() - {c.id for c in matched.values()}:
        calendar = accounts.calendar(tx, vanished)
        if calendar is not None and calendar.present:
            accounts.put_calendar(tx, replace(calendar, present=False))


def differs(known: Sequence[Calendar], listed: Sequence[RemoteCalendar]) -> bool:
    """Whether `merge` would change anything."""
    matched = match(known, listed)
    told = {c.id: (c.url, c.name, c.colour, c.writable, c.present) for c in known if c.present}
    news = {
        (old.id if old else found.url): (found.url, found.name, found.colour, found.writable, True)
        for found in listed
        for old in [matched.get(found.url)]
    }
    return told != news


def match(known: Sequence[Calendar], listed: Sequence[RemoteCalendar]) -> Mapping[str, Calendar]:
    """Which of our Calendars each listed one is, by the URL of the listed one.

    It is the one with the same path, or else the only one with the same last part of the path: an Account that moves to
    another partition may get another path to its home.
    """
    by_key = {calendar_key(c.url): c for c in known}
    matched = {f.url: by_key[calendar_key(f.url)] for f in listed if calendar_key(f.url) in by_key}
    taken = {c.id for c in matched.values()}
    for found in listed:
        if found.url not in matched:
            same = [c for c in known if c.present and c.id not in taken and _tail(c.url) == _tail(found.url)]
            if len(same) == 1:
                matched[found.url] = same[0]
                taken.add(same[0].id)
    return matched


def adopt(tx: Tx, account: Account, *, now: int) -> None:
    """Reconnect Appointments whose Account was disconnected to the Calendar of this Account that holds their events.

    Events of Appointments that were cancelled meanwhile are then removed. The others are written again once the
    Calendar is the Primary.
    """
    by_key = {calendar_key(c.url): c for c in accounts.calendars(tx, account_id=account.id)}
    for booked in appointments.adrift_of_user(tx, account.user_id):
        home = by_key.get((booked.href or "").rpartition("/")[0])
        if home is not None:
            accounts.note_written(tx, home.id)
            adopted = replace(booked, calendar_id=home.id)
            appointments.put(tx, adopted if booked.wanted_upstream else book.queue(tx, adopted, now=now))


def _tail(url: str) -> str:
    return calendar_key(url).rpartition("/")[2]


def _move(tx: Tx, old: Calendar, fresh: Calendar) -> None:
    paths = {"old": calendar_key(old.url) + "/", "new": calendar_key(fresh.url) + "/"}
    mirror.move_hrefs(tx, old.id, **paths)
    appointments.move_hrefs(tx, old.id, **paths)
    accounts.forget_sync(tx, old.id)  # compare with a complete listing; objects with an unchanged etag are not fetched


def _calendar_from(found: RemoteCalendar, account: Account, old: Calendar | None, default: Titles) -> Calendar:
    """Our Calendar updated with what the server says; a new one, if we did not have it."""
    if old is not None:
        return replace(old, url=found.url, name=found.name, colour=found.colour, writable=found.writable, present=True)
    return Calendar(
        id=f"icl_{secrets.token_hex(8)}",
        account_id=account.id,
        user_id=account.user_id,
        url=found.url,
        name=found.name,
        colour=found.colour,
        role=Role.NONE,
        writable=found.writable,
        ctag=None,
        sync_token=None,
        settings=SlotSettings(titles=default),
        present=True,
        last_attempt_at=None,
        last_success_at=None,
        last_error=None,
    )
