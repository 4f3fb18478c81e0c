"""The single times of a recurring Appointment, told apart by their keys: when each was to begin, as an instant."""

from __future__ import annotations

from dataclasses import replace

from bridge.domain.ical import content
from bridge.domain.ical.appointments import plain_event, upstream_event
from bridge.domain.ical.rule_changes import EVER
from bridge.domain.ical.series import Instance, Series, read
from bridge.domain.ical.slots import zones_of
from bridge.domain.model import Appointment, AppointmentFields, Interval


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


def _series(booked: Appointment, time_zone: str, upstream: str | None) -> Series:
    """The series of an Appointment, with what the CRM has still to write upstream in it already."""
    time_zone = booked.fields.time_zone or time_zone
    text = plain_event(booked.fields)
    if upstream is not None and "RECURRENCE-ID" in upstream:
        text = upstream_event(booked, now=booked.updated_at, onto=upstream)
    root = content.read(text)
    several, _ = read(root, zones_of(root, time_zone), EVER)
    if not several:  # the person left single times alone, without what they were taken from
        root = content.read(plain_event(booked.fields))
        several, _ = read(root, zones_of(root, time_zone), EVER)
    return several[0]


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
