"""Why a time is blocked or free: what each event, appointment and blocked slot around it does to it, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.domain import ical
from bridge.domain.ical import Part, Verdict
from bridge.domain.model import Appointment, BlockedSlot, Calendar, Interval, ItemKind, MirrorItem
from bridge.domain.publish import Source, slot_href
from bridge.errors import Unreadable


class Why(StrEnum):
    """Why something takes time, or does not. `_BLOCKING` are those that do.

    The members up to `moved` are the `Reason`s of a mirrored event's verdict, under the same names.
    """

    BLOCKS = "blocks"
    TRAVEL = "travel"
    UNCLEAR = "unclear"
    TRANSPARENT = "transparent"
    CANCELLED = "cancelled"
    TENTATIVE = "tentative"
    ALL_DAY = "all_day"
    UNANSWERED = "unanswered"
    DECLINED = "declined"
    NO_LENGTH = "no_length"
    DELETED = "deleted"
    MOVED = "moved"
    #: The object can't be read any more. Its last readable version blocks.
    LAST_KNOWN = "last_known"
    #: The object can't be read, and never could be.
    UNREADABLE = "unreadable"
    #: The same invitation is in another of the calendars that are read, and counts there.
    DUPLICATE = "duplicate"
    #: It is the event of an appointment: the appointment counts instead.
    ECHO = "echo"
    APPOINTMENT = "appointment"
    NOT_WANTED = "not_wanted"
    CRM_SLOT = "crm_slot"
    EXPIRED = "expired"
    REMOVED = "removed"


#: For each Why a sentence, and the property or setting that decided; empty where nothing special did.
WORDS: dict[Why, tuple[str, str]] = {
    Why.BLOCKS: ("It takes this time.", ""),
    Why.TRAVEL: ("The way to it takes this time.", "X-APPLE-TRAVEL-DURATION, and the calendar's setting for travel"),
    Why.UNCLEAR: (
        "Nobody can tell on which days it recurs, so it takes this time of every day.",
        "RRULE, not understood",
    ),
    Why.TRANSPARENT: ("It is marked as free.", "TRANSP:TRANSPARENT"),
    Why.CANCELLED: ("It is cancelled.", "STATUS:CANCELLED"),
    Why.TENTATIVE: ("It is tentative.", "STATUS or PARTSTAT is TENTATIVE, and the calendar's setting lets those pass"),
    Why.ALL_DAY: ("It lasts all day.", "DTSTART is a DATE, and the calendar's setting lets those pass"),
    Why.UNANSWERED: (
        "The invitation is not answered yet.",
        "PARTSTAT is NEEDS-ACTION, and the calendar's setting lets those pass",
    ),
    Why.DECLINED: ("The invitation was declined.", "PARTSTAT=DECLINED"),
    Why.NO_LENGTH: ("It ends when it begins.", "DTEND is DTSTART, or missing"),
    Why.DELETED: ("This time was taken out of its series.", "EXDATE or EXRULE"),
    Why.MOVED: ("It was moved to another time.", "RECURRENCE-ID"),
    Why.LAST_KNOWN: ("It can't be read any more, or not all of it, and takes the time that was last known of it.", ""),
    Why.UNREADABLE: ("It can't be read, so nobody knows what time it takes.", ""),
    Why.DUPLICATE: ("It is in another calendar, too, and counts once.", "the same UID and times"),
    Why.ECHO: ("It is the event of an appointment, which counts in its place.", "the UID of an appointment"),
    Why.APPOINTMENT: ("An appointment takes this time.", ""),
    Why.NOT_WANTED: ("The appointment was cancelled or deleted.", "its status in the CRM"),
    Why.CRM_SLOT: ("Somebody blocked this time in the CRM.", ""),
    Why.EXPIRED: ("It was held for a while, and that is over.", "expiresAt"),
    Why.REMOVED: ("It was deleted in the CRM.", ""),
}
_BLOCKING = frozenset({Why.BLOCKS, Why.TRAVEL, Why.UNCLEAR, Why.LAST_KNOWN, Why.APPOINTMENT, Why.CRM_SLOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One event, appointment or blocked slot, and what it does to the time. Titles respect the calendar's settings."""

    kind: ItemKind
    #: The id of the blocked slot or the appointment.
    id: str
    #: The UID of the event upstream, if there is one.
    uid: str | None
    calendar: Calendar | None
    title: str
    start: int
    end: int
    all_day: bool
    why: Why
    part: Part = Part.SINGLE
    #: Where a moved instance is now.
    moved_to: int | None = None
    #: What is wrong with an object that can't be read.
    trouble: str | None = None

    @property
    def blocks(self) -> bool:
        """Whether it takes time."""
        return self.why in _BLOCKING

    @property
    def sentence(self) -> str:
        """Its effect on the time, in a sentence for people."""
        return WORDS[self.why][0]

    @property
    def rule(self) -> str:
        """The property of the event or the setting that decided; empty where nothing special did."""
        return WORDS[self.why][1]


#: On an object, or an event in one, that can't be read and never could be.
_NOBODY_KNOWS = Verdict(0, 0, False, "", Part.SINGLE, ical.Reason.BLOCKS)


def verdicts(item: MirrorItem, source: Source, *, span: Interval | None) -> list[Verdict]:
    """What a mirrored object does to the time in `span`; with None, what each of its events does to its own time."""
    if not item.ics:
        return [_NOBODY_KNOWS]
    try:
        found = ical.verdicts(
            item.ics, span=span, settings=source.settings, time_zone=source.time_zone, addresses=source.addresses
        )
    except Unreadable:
        return []
    return [*found, _NOBODY_KNOWS] if item.unreadable is not None and ical.unread(item.ics) else found


def of_verdict(item: MirrorItem, calendar: Calendar, verdict: Verdict, *, published: bool, echo: bool) -> Finding:
    """The finding for a verdict on a mirrored object, with what only the rest of the calendar can tell.

    `published`: whether its blocked slot is in the merged calendar. `echo`: whether it is the event of an appointment.
    """
    why = Why(verdict.reason)
    if echo and not _is_exception(verdict):
        why = Why.ECHO
    elif why in {Why.BLOCKS, Why.TRAVEL, Why.UNCLEAR}:
        if verdict is _NOBODY_KNOWS:
            why = Why.UNREADABLE
        elif not published:
            why = Why.DUPLICATE
        elif item.unreadable is not None:
            why = Why.LAST_KNOWN
    return Finding(
        kind=ItemKind.ICLOUD,
        id=slot_href(item).removesuffix(".ics"),
        uid=item.uid,
        calendar=calendar,
        title=verdict.title,
        start=verdict.start,
        end=verdict.end,
        all_day=verdict.all_day,
        why=why,
        part=verdict.part,
        moved_to=verdict.moved_to,
        trouble=item.unreadable,
    )


def _is_exception(verdict: Verdict) -> bool:
    """Whether a single instance is missing. Also for an appointment, only its event can tell that."""
    cancelled = verdict.part == Part.OVERRIDE and verdict.reason == ical.Reason.CANCELLED
    return cancelled or verdict.reason in {ical.Reason.DELETED, ical.Reason.MOVED}


def of_appointment(booked: Appointment, calendar: Calendar | None, start: int, end: int) -> Finding:
    """What an Appointment, or one time of a recurring one, does to the time from `start` to `end`."""
    return Finding(
        kind=ItemKind.APPOINTMENT,
        id=booked.id,
        uid=booked.uid,
        calendar=calendar,
        title=booked.fields.title,
        start=start,
        end=end,
        all_day=booked.fields.all_day,
        why=Why.APPOINTMENT if booked.wanted_upstream else Why.NOT_WANTED,
        part=Part.SERIES if booked.fields.rrule is not None else Part.SINGLE,
        trouble=booked.sync_error,
    )


def of_crm_slot(slot: BlockedSlot, *, now: int) -> Finding:
    """What a CRM BlockedSlot does to its time."""
    why = Why.CRM_SLOT
    if slot.expires_at is not None and slot.expires_at <= (slot.deleted_at or now):
        why = Why.EXPIRED
    elif slot.deleted_at is not None:
        why = Why.REMOVED
    return Finding(
        kind=ItemKind.CRM,
        id=slot.id,
        uid=None,
        calendar=None,
        title=slot.title,
        start=slot.start,
        end=slot.end,
        all_day=False,
        why=why,
    )
