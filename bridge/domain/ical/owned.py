"""The properties of an event that the CRM owns: written for an Appointment's fields, and read from an event.

Both come in the same form (`Owned`), so that an event can be compared with what would be written for an Appointment.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from bridge.domain.ical import content, rendering
from bridge.domain.ical.content import Component
from bridge.domain.ical.events import Event, Moment, event, same_kind, until_of
from bridge.domain.ical.recurrence import LAST
from bridge.domain.ical.rendering import at, until_value
from bridge.domain.ical.repeats import excluded, read_rrule
from bridge.domain.ical.rules import Rule
from bridge.domain.ical.series import single
from bridge.domain.ical.slots import zones_of
from bridge.domain.ical.vtimezones import tzid_of
from bridge.domain.ical.zones import Zones, local
from bridge.domain.model import AppointmentFields
from bridge.errors import Unreadable

_URL = re.compile(r"https?://\S+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """The owned properties of an event, in a form in which two events can be compared. Instants are Unix seconds."""

    event: Event
    start: int
    end: int
    all_day: bool
    #: The IANA zone of its start; None: UTC, or a zone without an IANA name.
    zone: str | None
    #: The RRULE without its UNTIL, which stands in `until` as a local time.
    rule: Rule | None
    until: dt.datetime | None
    #: The instants of the times of the series that are excluded or cancelled.
    excluded: frozenset[int]
    title: str
    description: str
    address: str
    status: str


def event_of(root: Component) -> tuple[int, Component]:
    """The VEVENT of the Appointment, and its position: the master, or the first override if there is no master.

    Raises `Unreadable` when the object holds no event.
    """
    components = list(root.walk("VEVENT"))
    for number, component in enumerate(components):
        if "RECURRENCE-ID" not in component.lines:
            return number, component
    if not components:
        raise Unreadable("The object holds no event.")
    return 0, components[0]


def read_owned(component: Component, root: Component, like: AppointmentFields) -> Owned:
    """The owned properties of an event of the object `root`. Floating times are in the time zone of `like`.

    Raises `Unreadable` when the event does not tell when it is.
    """
    zones = zones_of(root, like.time_zone or "UTC")
    found = event(component, zones)
    if found is None or found.guessed:  # a guess is enough to block time, but not to move an Appointment
        raise Unreadable("The event does not say when it is.")
    instance = single(found)
    start = found.start
    has_iana_zone = isinstance(start.zone, ZoneInfo) and not start.is_date and tzid_of(start.zone) is not None
    rule = found.rules[0] if found.rules else None
    until = until_of(rule, start) if rule is not None else None
    return Owned(
        event=found,
        start=instance.start,
        end=instance.end,
        all_day=start.is_date,
        zone=tzid_of(start.zone) if has_iana_zone else None,
        rule=replace(rule, until=None) if rule is not None else None,
        until=until if until is not None and until < LAST else None,
        excluded=_excluded(found, root, zones) if rule is not None else frozenset(),
        title=_text(component, "SUMMARY"),
        description=_text(component, "DESCRIPTION"),
        address=_text(component, "LOCATION"),
        status=component.value("STATUS").strip().upper(),
    )


def _excluded(master: Event, root: Component, zones: Zones) -> frozenset[int]:
    start = master.start
    of_day = dt.timedelta(hours=start.local.hour, minutes=start.local.minute, seconds=start.local.second)
    moments = [same_kind(m, start) for m in [*master.exdates, *_cancelled(root, zones)]]
    # A DATE, where the series has times, excludes the time of that day.
    timed = (start._replace(local=m.local + of_day) if m.is_date and not start.is_date else m for m in moments)
    return frozenset(m.instant for m in timed)


def _text(component: Component, name: str) -> str:
    return content.clean(content.unescape(component.value(name)))


def _cancelled(root: Component, zones: Zones) -> list[Moment]:
    """The RECURRENCE-IDs of overrides that are cancelled: some clients delete single instances like this."""
    found = [event(c, zones) for c in root.walk("VEVENT") if c.value("STATUS").strip().upper() == "CANCELLED"]
    return [e.recurrence_id for e in found if e is not None and e.recurrence_id is not None]


def plain_event(fields: AppointmentFields) -> str:
    """A VEVENT that has the owned properties for these fields, and nothing else."""
    return "\n".join(["BEGIN:VEVENT", *lines(fields), "END:VEVENT"])


def as_written(fields: AppointmentFields) -> Owned:
    """The owned properties of an event that was written for these fields."""
    root = content.read(plain_event(fields))
    return read_owned(root.parts[0], root, fields)


def same_when(ours: Owned, theirs: Owned) -> bool:
    """Whether two events take place at the same times."""
    names = ("start", "end", "all_day", "rule", "until", "excluded")
    same = all(getattr(ours, name) == getattr(theirs, name) for name in names)
    # A server may rewrite a single time in UTC. For a recurring event, the zone matters.
    return same and (ours.zone == theirs.zone or (theirs.zone is None and theirs.rule is None))


def lines(fields: AppointmentFields) -> list[str]:
    """The content lines of the owned properties for these fields."""
    written = [f"SUMMARY:{content.escape(fields.title)}", *when_lines(fields)]
    if fields.description:
        written.append(f"DESCRIPTION:{content.escape(fields.description)}")
    if fields.address:
        written.append(f"LOCATION:{content.escape(fields.address)}")
    if is_url(fields.address):
        written.append(f"URL:{content.clean(fields.address).strip()}")
    return [*written, f"STATUS:{_status(fields.status)}"]


def _status(status: str) -> str:
    """The STATUS for an appointment's status. Outcomes such as "noshow" matter to the CRM only: CONFIRMED."""
    return {"new": "TENTATIVE", "cancelled": "CANCELLED", "invalid": "CANCELLED"}.get(status, "CONFIRMED")


def is_url(address: str) -> bool:
    """Whether an address is a link, to be written as URL as well."""
    return _URL.fullmatch(address.strip()) is not None


def when_lines(fields: AppointmentFields) -> list[str]:
    """The content lines that say when it takes place: DTSTART, DTEND, RRULE and EXDATE."""
    start, end = start_and_end(fields)
    written = [f"DTSTART{rendering.value(start)}", f"DTEND{rendering.value(end)}"]
    repeats = read_rrule(fields.rrule) if fields.rrule else None
    if repeats is not None:
        rule = replace(repeats.rule, until=None)
        written.append(f"RRULE:{rule.text(until_value(until_of(repeats.rule, start), start))}")
        at_start = start.local - start.local.replace(hour=0, minute=0, second=0)
        moments = [same_kind(m, start) for m in excluded(repeats, start)]
        keys = {
            (m._replace(local=m.local + at_start, is_date=start.is_date)).instant if m.is_date else m.instant
            for m in moments
        }
        if keys:
            written.append(f"EXDATE{rendering.values([at(key, start) for key in sorted(keys)])}")
    return written


def start_and_end(fields: AppointmentFields) -> tuple[Moment, Moment]:
    """Start and end as they are written: in the appointment's time zone, or in UTC where it has none."""
    zone: dt.tzinfo = zones_of(Component(""), fields.time_zone).user if fields.time_zone else dt.UTC
    start, end = (Moment(local(at, zone), zone, False) for at in (fields.start, fields.end))
    if fields.all_day:
        first, after = (m.local.replace(hour=0, minute=0, second=0) for m in (start, end))
        after = max(after, first + dt.timedelta(days=1))
        return Moment(first, zone, True), Moment(after, zone, True)
    if (start.instant, end.instant) != (fields.start, fields.end) and fields.rrule is None:
        # The second occurrence of a repeated hour can't be expressed in its own zone.
        start, end = (Moment(local(at, dt.UTC), dt.UTC, False) for at in (fields.start, fields.end))
    return start, end
