"""What a CRM sets on a booking calendar, in HighLevel's words, and what it means for booking. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.domain.slots import Ahead, SlotRules, Unit

#: How long a slot is, and how far starts are apart, where nobody said.
DEFAULT_MINUTES = 30
#: The kind of calendar whose Users are all needed for each booking.
COLLECTIVE = "collective"
_MINUTES = {"mins": 1, "hours": 60}


@dataclass(frozen=True, slots=True)
class Unsaid:
    """What a new appointment has where its request does not say."""

    #: From its start to its end, in seconds.
    length: int = DEFAULT_MINUTES * 60
    status: str = "confirmed"


@dataclass(frozen=True, slots=True)
class BookingCalendar:
    """What the CRM calls a calendar: something that can be booked, with its Users. `calendarId` in the API."""

    id: str
    location_id: str
    name: str
    #: Its Users, in the order in which they are chosen where nothing else decides.
    user_ids: tuple[str, ...]
    slot_minutes: int
    created_at: int
    updated_at: int
    #: Whether it takes bookings outside working hours and off the grid; None: as long as nobody gave it a schedule.
    any_free_time: bool | None = None
    #: The rest, as the CRM wrote it: known settings under the names of `rules`, unknown ones as they came.
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def everyone(self) -> bool:
        """Whether a booking needs all of its Users, rather than one of them."""
        return self.settings.get("calendarType") == COLLECTIVE

    @property
    def unsaid(self) -> Unsaid:
        """What an appointment booked with it has where nobody says."""
        return Unsaid(self.slot_minutes * 60, "new" if self.settings.get("autoConfirm") is False else "confirmed")

    def rules(self) -> SlotRules:
        """What the settings mean for booking."""
        given = self.settings
        return SlotRules(
            duration=self.slot_minutes * 60,
            interval=(_minutes(given, "slotInterval") or DEFAULT_MINUTES) * 60,
            before=_minutes(given, "preBuffer") * 60,
            after=_minutes(given, "slotBuffer") * 60,
            notice=_ahead(given, "allowBookingAfter", Unit.HOURS),
            horizon=_ahead(given, "allowBookingFor", Unit.DAYS),
            per_slot=given.get("appointmentPerSlot") or 1,
            per_day=given.get("appointmentPerDay") or None,
        )


def _minutes(settings: Mapping[str, Any], name: str) -> int:
    return int((settings.get(name) or 0) * _MINUTES[settings.get(f"{name}Unit") or "mins"])


def _ahead(settings: Mapping[str, Any], name: str, default: Unit) -> Ahead | None:
    count = settings.get(name)
    return Ahead(int(count), Unit(settings.get(f"{name}Unit") or default)) if count else None
