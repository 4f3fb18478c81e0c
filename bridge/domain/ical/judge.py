"""What blocks, from when, and what it is called: by the Calendar's settings."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from bridge.domain.ical import content
from bridge.domain.ical.content import Component, Line
from bridge.domain.ical.events import Event
from bridge.domain.ical.series import Instance
from bridge.domain.model import SlotSettings, Titles

BUSY = "Busy"
#: From the least to the most certain to come.
_PARTSTATS = ("DECLINED", "NEEDS-ACTION", "TENTATIVE", "ACCEPTED")


class Reason(StrEnum):
    """Why a stretch of an event takes time from its owner, or does not."""

    BLOCKS = "blocks"
    #: It is on the way to the event, which takes time, too.
    TRAVEL = "travel"
    #: It recurs by a rule that can't be made out, so it may well be then.
    UNCLEAR = "unclear"
    TRANSPARENT = "transparent"
    CANCELLED = "cancelled"
    #: These three only where the Calendar's settings say so.
    TENTATIVE = "tentative"
    ALL_DAY = "all_day"
    UNANSWERED = "unanswered"
    #: By the owner themselves.
    DECLINED = "declined"
    #: It begins and ends at once: a mark in the calendar.
    NO_LENGTH = "no_length"
    #: A single instance that was taken out of its series, or put somewhere else.
    DELETED = "deleted"
    MOVED = "moved"


class Judge:
    """What blocks and what it is called, by the Calendar's settings."""

    def __init__(self, settings: SlotSettings, addresses: frozenset[str]) -> None:
        self._settings = settings
        self._addresses = addresses

    def blocks(self, event: Event) -> bool:
        """Whether an event takes time from its owner."""
        return self.objection(event) is None

    def objection(self, event: Event) -> Reason | None:
        """Why an event takes no time from its owner; None where it does."""
        component, settings = event.component, self._settings
        lines = component.lines
        if "TRANSP" in lines and component.value("TRANSP").strip().upper() == "TRANSPARENT":
            return Reason.TRANSPARENT
        status = component.value("STATUS").strip().upper() if "STATUS" in lines else ""
        if status == "CANCELLED":
            return Reason.CANCELLED
        if status == "TENTATIVE" and not settings.tentative_blocks:
            return Reason.TENTATIVE
        if event.start.is_date and not settings.all_day_blocks:
            return Reason.ALL_DAY
        if "ATTENDEE" not in lines or not self._addresses:
            return None
        match self._answer(component):
            case "DECLINED":
                return Reason.DECLINED
            case "NEEDS-ACTION" if not settings.unanswered_blocks:
                return Reason.UNANSWERED
            case "TENTATIVE" if not settings.tentative_blocks:
                return Reason.TENTATIVE
            case _:
                return None

    def _answer(self, component: Component) -> str:
        """The owner's own PARTSTAT: the firmest one, if they are invited under several addresses."""
        own = any(self._is_owner(line) for line in component.all("ORGANIZER"))
        default = "ACCEPTED" if own else "NEEDS-ACTION"  # nobody answers their own invitation
        answers = [
            (line.param("PARTSTAT") or default).upper() for line in component.all("ATTENDEE") if self._is_owner(line)
        ]
        firm = [_PARTSTATS.index(answer) if answer in _PARTSTATS else len(_PARTSTATS) for answer in answers]
        return answers[firm.index(max(firm))] if answers else "ACCEPTED"

    def _is_owner(self, line: Line) -> bool:
        address = line.value.strip().lower().removeprefix("mailto:")
        return address in self._addresses or (line.param("EMAIL") or "").lower() in self._addresses

    def title(self, event: Event, master: Event | None = None) -> str:
        """What the slot is called. An override of a private event is private, too: clients leave its CLASS out."""
        component = event.component
        if self._settings.titles != Titles.TITLE or _is_private(component):
            return BUSY
        if master is not None and _is_private(master.component):
            return BUSY
        return content.clean(content.unescape(component.value("SUMMARY"))).strip() or BUSY

    def travel(self, event: Event) -> int:
        """Seconds of travel before an event that block, too."""
        if not self._settings.travel_blocks or event.start.is_date:
            return 0
        read = content.duration(event.component.value("X-APPLE-TRAVEL-DURATION"))
        return min(max(read[0] * 86_400 + read[1], 0), 2 * 86_400) if read is not None else 0

    def with_travel(self, instance: Instance) -> Instance:
        """An instance that begins with the travel to it."""
        travel = self.travel(instance.event)
        return replace(instance, start=instance.start - travel) if travel else instance


def _is_private(component: Component) -> bool:
    """RFC 5545 3.8.1.3: a class that is not known is to be taken as PRIVATE."""
    return component.value("CLASS").strip().upper() not in {"", "PUBLIC"}
