"""A User's merged calendar as the settings pages show it to them."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain.hours import Opening, openings
from bridge.domain.model import Appointment, Calendar, Interval, ItemKind, Titles, User
from bridge.service import people, publish
from bridge.store import accounts, appointments, blocked_slots
from bridge.store.db import Db, Tx
from bridge.store.occurrences import Busy


@dataclass(frozen=True, slots=True)
class Entry:
    """One stretch of the merged calendar. Instants are Unix seconds, UTC."""

    start: int
    end: int
    all_day: bool
    title: str
    kind: ItemKind
    href: str
    #: The Calendar from which a mirrored blocked slot comes, or to which an appointment is written.
    calendar: Calendar | None
    appointment: Appointment | None = None


@dataclass(frozen=True, slots=True)
class Agenda:
    """The entries of a span, ordered by start, and the User's working hours; empty where none are set."""

    entries: list[Entry]
    working: tuple[Opening, ...]


def agenda(db: Db, user: User, span: Interval) -> Agenda:
    """Everything in the span, read in one snapshot."""
    with db.read() as tx:
        hours = people.working_hours(tx, user)
        working = openings(hours, span) if hours is not None else ()
        return Agenda(_entries(tx, user, publish.busy(tx, user, span)), working)


def _entries(tx: Tx, user: User, busy: list[Busy]) -> list[Entry]:
    calendars = {calendar.id: calendar for calendar in accounts.calendars(tx, user_id=user.id)}
    # The published item has to be read only where the Calendar's settings show titles.
    showing = {calendar.id for calendar in calendars.values() if calendar.settings.titles == Titles.TITLE}
    shown = [one for one in busy if one.kind == ItemKind.ICLOUD and one.source_id in showing]
    titles = publish.titles(tx, user, shown)
    found = []
    for one in busy:
        booked, calendar_id, title = None, one.source_id, titles.get(one, "Busy")
        if one.kind == ItemKind.APPOINTMENT:
            booked = appointments.get(tx, one.source_id)
            calendar_id, title = (booked.calendar_id or "", booked.fields.title) if booked else ("", "")
        elif one.kind == ItemKind.CRM:
            slot = blocked_slots.get(tx, one.source_id)
            title = slot.title if slot else ""
        calendar = calendars.get(calendar_id)
        found.append(Entry(one.start, one.end, one.all_day, title, one.kind, one.href, calendar, appointment=booked))
    return sorted(found, key=lambda entry: (entry.start, -entry.end, entry.title))
