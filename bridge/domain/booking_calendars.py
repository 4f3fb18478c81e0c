"""Booking calendars: what a CRM sets on them, under HighLevel's names, and what that means for booking. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.domain.slot_rules import Ahead, SlotRules, Unit

#: The length of a slot, and the time between two starts, where the CRM has set neither.
DEFAULT_MINUTES = 30
#: The `calendarType` of calendars that need all of their Users for each booking.
COLLECTIVE = "collective"
_MINUTES = {"mins": 1, "hours": 60}


@dataclass(frozen=True, slots=True)
class AppointmentDefaults:
    """What a new appointment gets where the request leaves it out. `length` is in seconds."""

    length: int = DEFAULT_MINUTES * 60
    status: str = "confirmed"


@dataclass(frozen=True, slots=True)
class BookingCalendar:
    """What the CRM calls a calendar: something that can be booked, with its Users. `calendarId` in the API."""

    id: str
    location_id: str
    name: str
    #: Its Users. Where nothing else decides which one to book, the first in this order is booked.
    user_ids: tuple[str, ...]
    slot_minutes: int
    created_at: int
    updated_at: int
    #: Whether it takes bookings outside working hours and at other starts than the offered ones. None: it does so as
    #: long as there are no working hours.
    any_free_time: bool | None = None
    #: All other settings, as the CRM wrote them. `rules` names those that have a meaning here; others are only kept.
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def everyone(self) -> bool:
        """Whether a booking needs all of its Users, rather than one of them."""
        return self.settings.get("calendarType") == COLLECTIVE

    @property
    def defaults(self) -> AppointmentDefaults:
        """What an appointment that is booked with it gets where the request leaves it out."""
        return AppointmentDefaults(
            self.slot_minutes * 60, "new" if self.settings.get("autoConfirm") is False else "confirmed"
        )

    def rules(self) -> SlotRules:
        """The rules for booking that follow from the settings."""
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
