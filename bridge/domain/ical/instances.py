"""The single times of a recurring Appointment, told apart by their keys: when each was to begin, as an instant."""

from __future__ import annotations

from dataclasses import replace

from bridge.domain.ical import content
from bridge.domain.ical.appointments import plain_event, upstream_event
from bridge.domain.ical.events import Moment
from bridge.domain.ical.rendering import at
from bridge.domain.ical.repeats import normalise_rrule, read_rrule
from bridge.domain.ical.series import Instance, Series, read
from bridge.domain.ical.slots import zones_of
from bridge.domain.model import Appointment, AppointmentFields, Interval

#: Nothing of a CRM's appointments lies before.
_EVER = -(2**36)


def instances(
    booked: Appointment, span: Interval, *, time_zone: str, upstream: str | None
) -> list[tuple[int, AppointmentFields]]:
    """Key and fields of each time of a recurring Appointment that touches the span, by start.

    `time_zone` is the User's; `upstream` its event as it is in iCloud: what a person did to single times is part of it.
    """
    found = _series(booked, time_zone, upstream).instances(span)
    return [(one.key, _fields(booked.fields, one)) for one in found if _takes_place(one)]


def instance(booked: Appointment, key: int, *, time_zone: str, upstream: str | None) -> AppointmentFields | None:
    """The fields of one of its times; None where there is none with this key, or no longer."""
    found = _series(booked, time_zone, upstream).at(key)
    return _fields(booked.fields, found) if found is not None and _takes_place(found) else None


def leaves_out(booked: Appointment, key: int, *, time_zone: str) -> bool:
    """Whether there would be a time with this key, had the CRM not taken it out."""
    series = _series(booked, time_zone, None)
    return key in series.excluded and series.pattern.has(key)


def leave_out(fields: AppointmentFields, key: int) -> str:
    """The `rrule` of a recurring Appointment without the time of this key."""
    start = _start(fields)
    there = at(key, start)
    line = f"EXDATE;VALUE=DATE:{content.day(there.local)}" if start.is_date else f"EXDATE:{content.utc(key)}"
    return normalise_rrule(f"{fields.rrule}\n{line}")


def end_before(fields: AppointmentFields, key: int) -> str:
    """The `rrule` of a recurring Appointment that ends before the time of this key."""
    repeats = read_rrule(fields.rrule or "")
    if repeats is None:
        return fields.rrule or ""
    start = _start(fields)
    until = content.day(at(key - 1, start).local) if start.is_date else content.utc(key - 1)
    rule = replace(repeats.rule, count=None, until=None).text(until)
    exdates = (f"EXDATE{line.params}:{line.value}" for line in repeats.exdates)
    return normalise_rrule("\n".join([f"RRULE:{rule}", *exdates]))


def _series(booked: Appointment, time_zone: str, upstream: str | None) -> Series:
    """The series of an Appointment, with what the CRM has still to write upstream in it already."""
    time_zone = booked.fields.time_zone or time_zone
    text = plain_event(booked.fields)
    if upstream is not None and "RECURRENCE-ID" in upstream:
        text = upstream_event(booked, now=booked.updated_at, onto=upstream)
    root = content.read(text)
    several, _ = read(root, zones_of(root, time_zone), _EVER)
    if not several:  # the person left single times alone, without what they were taken from
        root = content.read(plain_event(booked.fields))
        several, _ = read(root, zones_of(root, time_zone), _EVER)
    return several[0]


def _start(fields: AppointmentFields) -> Moment:
    root = content.read(plain_event(fields))
    return read(root, zones_of(root, fields.time_zone or "UTC"), _EVER)[0][0].master.start


def _fields(fields: AppointmentFields, one: Instance) -> AppointmentFields:
    if one.event.recurrence_id is None:
        return replace(fields, start=one.start, end=one.end)
    said = one.event.component
    return replace(
        fields,
        start=one.start,
        end=one.end,
        all_day=one.all_day,
        title=content.clean(content.unescape(said.value("SUMMARY"))),
        description=content.clean(content.unescape(said.value("DESCRIPTION"))),
        address=content.clean(content.unescape(said.value("LOCATION"))),
    )


def _takes_place(one: Instance) -> bool:
    return one.event.component.value("STATUS").strip().upper() != "CANCELLED"
