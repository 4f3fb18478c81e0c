"""Whether an event takes time from its owner, from when, and under which title: by the settings of its Calendar."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from bridge.domain.ical import content
from bridge.domain.ical.content import Component, Line
from bridge.domain.ical.events import Event
from bridge.domain.ical.series import Instance
from bridge.domain.model import SlotSettings, Titles

BUSY = "Busy"
#: In ascending order of how certain it is that somebody comes.
_PARTSTATS = ("DECLINED", "NEEDS-ACTION", "TENTATIVE", "ACCEPTED")


class Reason(StrEnum):
    """Why a stretch of an event takes time from its owner, or does not."""

    BLOCKS = "blocks"
    #: It is travel time before an event that blocks.
    TRAVEL = "travel"
    #: Its rule can't be understood, so that it may well recur at this time.
    UNCLEAR = "unclear"
    TRANSPARENT = "transparent"
    CANCELLED = "cancelled"
    #: These three take no time only where the Calendar's settings say so.
    TENTATIVE = "tentative"
    ALL_DAY = "all_day"
    UNANSWERED = "unanswered"
    #: The owner declined the invitation.
    DECLINED = "declined"
    #: It has no length: it only marks a time in the calendar.
    NO_LENGTH = "no_length"
    #: A single instance that was deleted from its series, or moved to another time.
    DELETED = "deleted"
    MOVED = "moved"


class Judge:
    """Decides about events by a Calendar's settings. `addresses` are the owner's e-mail addresses, in lower case."""

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
        """The owner's own PARTSTAT; if they are invited under several addresses, the most certain one."""
        own = any(self._is_owner(line) for line in component.all("ORGANIZER"))
        default = "ACCEPTED" if own else "NEEDS-ACTION"  # organizers do not answer their own invitations
        answers = [
            (line.param("PARTSTAT") or default).upper() for line in component.all("ATTENDEE") if self._is_owner(line)
        ]
        firm = [_PARTSTATS.index(answer) if answer in _PARTSTATS else len(_PARTSTATS) for answer in answers]
        return answers[firm.index(max(firm))] if answers else "ACCEPTED"

    def _is_owner(self, line: Line) -> bool:
        address = line.value.strip().lower().removeprefix("mailto:")
        return address in self._addresses or (line.param("EMAIL") or "").lower() in self._addresses

    def title(self, event: Event, master: Event | None = None) -> str:
        """The title of the blocked slot. Overrides of a private event are private too: clients write no CLASS there."""
        component = event.component
        if self._settings.titles != Titles.TITLE or _is_private(component):
            return BUSY
        if master is not None and _is_private(master.component):
            return BUSY
        return content.clean(content.unescape(component.value("SUMMARY"))).strip() or BUSY

    def travel(self, event: Event) -> int:
        """The seconds of travel time before an event that block as well."""
        if not self._settings.travel_blocks or event.start.is_date:
            return 0
        read = content.duration(event.component.value("X-APPLE-TRAVEL-DURATION"))
        return min(max(read[0] * 86_400 + read[1], 0), 2 * 86_400) if read is not None else 0

    def with_travel(self, instance: Instance) -> Instance:
        """The instance with the travel time to it included."""
        travel = self.travel(instance.event)
        return replace(instance, start=instance.start - travel) if travel else instance


def _is_private(component: Component) -> bool:
    """Whether its CLASS hides it. An unknown CLASS counts as PRIVATE (RFC 5545 section 3.8.1.3)."""
    return component.value("CLASS").strip().upper() not in {"", "PUBLIC"}
