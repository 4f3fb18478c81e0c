"""Published items, made from mirror items, appointments and CRM blocked slots.

Pure and deterministic: the same input gives the same bytes, so that what has not changed is not published again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.domain import ical
from bridge.domain.model import (
    Appointment,
    BlockedSlot,
    Interval,
    ItemKind,
    MirrorItem,
    PublishedItem,
    SlotSettings,
    Titles,
)

DAY = 86_400
#: What the hrefs of all mirrored blocked slots begin with.
SLOT_PREFIX = "ics_"
#: Seconds before and after today for which the occurrences of recurring items are stored.
HORIZON_BACK = 400 * DAY
HORIZON_AHEAD = 800 * DAY
#: Seconds by which an item's stored occurrences may lag behind the horizon before it is expanded again.
HORIZON_LAG = 60 * DAY


def horizon(now: int) -> Interval:
    """The span for which occurrences are stored. It moves once a day: within a day, equal input gives equal items."""
    today = now - now % DAY
    return Interval(today - HORIZON_BACK, today + HORIZON_AHEAD)


@dataclass(frozen=True, slots=True)
class Source:
    """How to read the mirror items of one Calendar."""

    settings: SlotSettings
    time_zone: str
    addresses: frozenset[str]


def href_prefix(uid: str) -> str:
    """What the hrefs of all published items of one upstream UID begin with."""
    return f"{SLOT_PREFIX}{_digest(uid)}_"


def slot_href(item: MirrorItem) -> str:
    """The href of a mirror item's blocked slot in the merged calendar."""
    return f"{_slot_uid(item)}.ics"


def render(item: MirrorItem, source: Source, span: Interval) -> ical.Rendered | None:
    """The blocked slot of one mirror item; None where it does not block, or has never been readable."""
    if not item.ics:
        return None
    return ical.blocked_slot(
        item.ics,
        uid=_slot_uid(item),
        settings=source.settings,
        time_zone=source.time_zone,
        addresses=source.addresses,
        horizon=span,
    )


def blocked_slots(
    candidates: Iterable[tuple[MirrorItem, ical.Rendered | None]], booked: ical.Rendered | None = None
) -> list[PublishedItem]:
    """The published items for one upstream UID.

    `candidates` are all mirror items with this UID, those of the Primary first. The same invitation in two of the
    User's calendars becomes one blocked slot; where their times differ, both are kept, since both block. If an
    Appointment has this UID, `booked` is its rendering: items with the same times are its own event, and are left out.
    """
    published: list[PublishedItem] = []
    times = set() if booked is None else {booked.same_times}
    for item, rendered in candidates:
        if rendered is None or rendered.same_times in times:
            continue
        times.add(rendered.same_times)
        published.append(_published(slot_href(item), item.calendar_id, ItemKind.ICLOUD, rendered))
    return published


def appointment(
    booked: Appointment, *, time_zone: str, span: Interval, upstream: str | None = None
) -> PublishedItem | None:
    """The published item of an Appointment; None for a cancelled, invalid or deleted one.

    `upstream` is the text of its event in iCloud: single instances that were changed there are published as they are
    there.
    """
    rendered = render_appointment(booked, time_zone=time_zone, span=span, upstream=upstream)
    return (
        None if rendered is None else _published(appointment_href(booked.id), booked.id, ItemKind.APPOINTMENT, rendered)
    )


def render_appointment(
    booked: Appointment, *, time_zone: str, span: Interval, upstream: str | None = None
) -> ical.Rendered | None:
    """As `appointment`, but not yet as an item. None also where every single instance was deleted."""
    if not booked.wanted_upstream:
        return None
    if upstream is not None and "RECURRENCE-ID" in upstream:
        return ical.blocked_slot(
            # The event as it will be once what the CRM changed has been written.
            ical.upstream_event(booked, now=booked.updated_at, onto=upstream),
            uid=booked.id,
            settings=SlotSettings(titles=Titles.TITLE),
            time_zone=time_zone,
            addresses=frozenset(),
            horizon=span,
        )
    return ical.appointment(booked, time_zone=time_zone, horizon=span)


def appointment_href(appointment_id: str) -> str:
    """The href of an Appointment in the merged calendar."""
    return f"{appointment_id}.ics"


def crm_slot(slot: BlockedSlot, *, now: int) -> PublishedItem | None:
    """The published item of a CRM BlockedSlot; None for a deleted or expired one."""
    if slot.deleted_at is not None or (slot.expires_at is not None and slot.expires_at <= now):
        return None
    return _published(crm_slot_href(slot.id), slot.id, ItemKind.CRM, ical.crm_slot(slot))


def crm_slot_href(slot_id: str) -> str:
    """The href of a CRM BlockedSlot in the merged calendar."""
    return f"{slot_id}.ics"


def differing(before: Sequence[str], after: Iterable[PublishedItem]) -> list[str]:
    """The hrefs that were published before and no longer are."""
    kept = {item.href for item in after}
    return [href for href in before if href not in kept]


def _published(href: str, source_id: str, kind: ItemKind, rendered: ical.Rendered) -> PublishedItem:
    return PublishedItem(
        href=href,
        etag=rendered.etag,
        ics=rendered.ics,
        first_start=rendered.first_start,
        last_end=rendered.last_end,
        kind=kind,
        source_id=source_id,
        occurrences=rendered.occurrences,
        expanded=rendered.expanded,
    )


def _slot_uid(item: MirrorItem) -> str:
    """Our own UID for a mirrored object. Unique even where two objects of one calendar have the same UID upstream."""
    # Only the last part of the href counts: the path before it changes when the account moves to another partition.
    return href_prefix(item.uid) + _digest(f"{item.calendar_id}\n{item.href.rpartition('/')[2]}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
