"""Changes of a recurring Appointment's `rrule`: excluding a time, splitting the series, moving it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bridge.domain.ical import content, recurrence
from bridge.domain.ical.appointments import upstream_event
from bridge.domain.ical.events import until_of
from bridge.domain.ical.moves import Move, along, fits
from bridge.domain.ical.owned import plain_event
from bridge.domain.ical.rendering import at
from bridge.domain.ical.repeats import read_rrule, with_left_out
from bridge.domain.ical.series import Series, read
from bridge.domain.ical.slots import zones_of
from bridge.domain.model import Appointment, AppointmentFields, Interval

#: An instant before all appointments.
EVER = -(2**36)
#: Seconds over which two series are compared to see whether they have the same times.
_LONG = 3 * 366 * 86_400


def ends_before_it_begins(fields: AppointmentFields) -> bool:
    """Whether UNTIL is before the start: of the whole series, only the start itself would be left."""
    repeats = read_rrule(fields.rrule or "")
    if repeats is None:
        return False
    start = _series(replace(fields, rrule=None)).pattern.start
    until = until_of(repeats.rule, start)
    return until is not None and until < start.local


def leave_out(fields: AppointmentFields, key: int) -> str:
    """The `rrule` of a recurring Appointment with the time of this key excluded."""
    return with_left_out(fields.rrule or "", [key], _series(fields).pattern.start)


def end_before(fields: AppointmentFields, key: int) -> str:
    """The `rrule` of a recurring Appointment, ended before the time of this key."""
    repeats = read_rrule(fields.rrule or "")
    if repeats is None:
        return fields.rrule or ""
    series = _series(fields)
    start = series.pattern.start
    until = content.day(at(key - 1, start).local) if start.is_date else content.utc(key - 1)
    rule = replace(repeats.rule, count=None, until=None).text(until)
    return with_left_out(f"RRULE:{rule}", (one for one in series.excluded if one < key), start)


def begins_with(fields: AppointmentFields, key: int) -> bool:
    """Whether a recurring Appointment has no time before the one of this key."""
    return not any(one.key < key for one in _series(fields).instances(Interval(EVER, key)))


def rest_from(fields: AppointmentFields, key: int) -> AppointmentFields | None:
    """A recurring Appointment's fields for a series of its own that begins with the time of this key.

    None where there is no such time, or where no series that begins with it has the same times as the rest: for example
    when the clocks skip that time.
    """
    repeats, series = read_rrule(fields.rrule or ""), _series(fields)
    first = series.at(key)
    if repeats is None or first is None:
        return None
    rule, start = repeats.rule, series.pattern.start
    if rule.count is not None:
        passed = recurrence.starts(rule, start.local, start.local, at(key, start).local)
        rule = replace(rule, count=rule.count - sum(start._replace(local=one).instant < key for one in passed))
    rrule = with_left_out(f"RRULE:{rule.text()}", (one for one in series.excluded if one > key), start)
    rest = replace(fields, start=key, end=first.end, rrule=rrule)
    span = Interval(key, key + _LONG)
    return rest if _keys(_series(rest), span) == _keys(series, span) else None


def rest_of_event(booked: Appointment, key: int, ics: str) -> str | None:
    """The event for the series that begins with the time of this key, made from the recurring Appointment's event.

    `ics` is that event as it is upstream. What a person added to it, and changed on these times, is kept. None where
    `rest_from` is.
    """
    rest = rest_from(booked.fields, key)
    if rest is None:
        return None
    now = booked.updated_at
    return upstream_event(replace(booked, fields=rest), now=now, onto=upstream_event(booked, now=now, onto=ics))


def moved_along(before: AppointmentFields, after: AppointmentFields, apart: Iterable[int]) -> AppointmentFields | None:
    """The fields `after` a change of a series' start or rule, with the same times excluded as before.

    Where only the start changed, the weekdays and UNTIL of the rule move with it. A changed rule stays as it is.
    `apart` are the keys before the change of times that have become Appointments of their own: they are excluded as
    well. None where a rule that yielded its start would no longer do so.
    """
    repeats = read_rrule(after.rrule or "")
    if repeats is None or before.rrule is None:
        return after
    was, now = _series(before), _series(after)
    rule, start = repeats.rule, now.pattern.start
    gone, stays = set(apart), now.excluded
    if after.rrule == before.rrule:
        rule = along(rule, was.pattern.start, start)
        if fits(repeats.rule, was.pattern.start) and not fits(rule, start):
            return None
        gone, stays = gone | was.excluded, frozenset()
    bare = f"RRULE:{rule.text()}"
    move = Move(was.pattern, _series(replace(after, rrule=bare)).pattern)
    left_out = stays | {there for key in gone if (there := move.key(key)) is not None}
    if left_out == now.excluded and rule == repeats.rule:
        return after
    return replace(after, rrule=with_left_out(bare, left_out, start))


def _series(fields: AppointmentFields) -> Series:
    root = content.read(plain_event(fields))
    return read(root, zones_of(root, fields.time_zone or "UTC"), EVER)[0][0]


def _keys(series: Series, span: Interval) -> list[int]:
    return [one.key for one in series.instances(span) if one.key >= span.start]
