"""The single times of a recurring Appointment.

Each is identified by its key: the instant at which it begins by the rule, even where it was moved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.domain.ical import content
from bridge.domain.ical.appointments import upstream_event
from bridge.domain.ical.editing import has_master, with_overrides_of
from bridge.domain.ical.owned import plain_event
from bridge.domain.ical.rule_changes import EVER
from bridge.domain.ical.series import Instance, Series, read
from bridge.domain.ical.slots import zones_of
from bridge.domain.model import Appointment, AppointmentFields, Interval


def instances(
    booked: Appointment, span: Interval, *, time_zone: str, upstream: str | None
) -> list[tuple[int, AppointmentFields]]:
    """Key and fields of each time of a recurring Appointment that touches the span, ordered by start.

    `time_zone` is the User's. `upstream` is the text of its event in iCloud, which has what a person changed on single
    times.
    """
    found = _series(booked, time_zone, upstream).instances(span)
    return [(one.key, _fields(booked.fields, one)) for one in found if not one.event.is_cancelled]


def instance(booked: Appointment, key: int, *, time_zone: str, upstream: str | None) -> AppointmentFields | None:
    """The fields of the time with this key; None where there is none, or it was excluded or cancelled."""
    return _fields_at(booked.fields, _series(booked, time_zone, upstream), key)


def leaves_out(booked: Appointment, key: int, *, time_zone: str) -> bool:
    """Whether the time with this key belongs to the series, but was excluded by the CRM."""
    series = _series(booked, time_zone, None)
    return key in series.excluded and series.pattern.has(key)


#: The fields that a person can change on a single time.
_OF_ONE = ("start", "end", "all_day", "title", "description", "address")


@dataclass(frozen=True, slots=True)
class SingleTime:
    """A single time before and after a change in iCloud. None: it did not, or does not, take place."""

    key: int
    before: AppointmentFields | None
    after: AppointmentFields | None

    @property
    def takes_other_time(self) -> bool:
        """Whether the change concerns when it takes place, and not only its texts."""
        return any(_of(self.before, name) != _of(self.after, name) for name in _OF_ONE[:3])


def changed_singly(
    before: Appointment, after: Appointment, *, time_zone: str, was: str | None, now: str | None
) -> list[SingleTime]:
    """The single times (RECURRENCE-ID) that differ between two versions of its event, ordered by key.

    `was` and `now` are the texts of the event upstream; None stands for one without changes of single times.
    """
    texts = [text for text in (was, now) if text is not None and "RECURRENCE-ID" in text]
    if not texts or before.fields.rrule is None or after.fields.rrule is None:
        return []
    old, new = _series(before, time_zone, was), _series(after, time_zone, now)
    keys = {*old.overrides, *new.overrides, *(key for key, _ in (*old.futures, *new.futures))}
    found = (
        SingleTime(key, _fields_at(before.fields, old, key), _fields_at(after.fields, new, key)) for key in sorted(keys)
    )
    return [one for one in found if any(_of(one.before, name) != _of(one.after, name) for name in _OF_ONE)]


def _of(fields: AppointmentFields | None, name: str) -> object:
    return None if fields is None else getattr(fields, name)


def with_single_times_of(booked: Appointment, ics: str, other: str | None) -> str:
    """The event with its overrides replaced by those of `other`, another version of it; None: by none.

    Both are first brought to the Appointment's times: otherwise, overrides could refer to times that the series does
    not have in the other version.
    """
    bare = _at_our_times(booked, with_overrides_of(ics, None))
    return with_overrides_of(bare, None if other is None else _at_our_times(booked, other))


def _at_our_times(booked: Appointment, ics: str) -> str:
    return upstream_event(booked, now=booked.updated_at, onto=ics) if has_master(ics) else ics


def _series(booked: Appointment, time_zone: str, upstream: str | None) -> Series:
    """The series of an Appointment, including changes by the CRM that are still to be written upstream."""
    time_zone = booked.fields.time_zone or time_zone
    text = plain_event(booked.fields)
    if upstream is not None and "RECURRENCE-ID" in upstream:
        text = upstream_event(booked, now=booked.updated_at, onto=upstream)
    root = content.read(text)
    several, _ = read(root, zones_of(root, time_zone), EVER)
    if not several:  # the person deleted the master, and left only overrides
        root = content.read(plain_event(booked.fields))
        several, _ = read(root, zones_of(root, time_zone), EVER)
    return several[0]


def _fields_at(fields: AppointmentFields, series: Series, key: int) -> AppointmentFields | None:
    found = series.at(key)
    return _fields(fields, found) if found is not None and not found.event.is_cancelled else None


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
