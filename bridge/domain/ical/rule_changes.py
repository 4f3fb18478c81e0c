"""What becomes of the `rrule` of a recurring Appointment whose times are changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bridge.domain.ical import content, recurrence
from bridge.domain.ical.appointments import plain_event, upstream_event
from bridge.domain.ical.moves import Move, along, fits
from bridge.domain.ical.rendering import at
from bridge.domain.ical.repeats import read_rrule, with_left_out
from bridge.domain.ical.series import Series, read
from bridge.domain.ical.slots import zones_of
from bridge.domain.model import Appointment, AppointmentFields, Interval

#: Nothing of a CRM's appointments lies before.
EVER = -(2**36)
#: For so long two series have to agree to be the same, in seconds.
_LONG = 3 * 366 * 86_400


def leave_out(fields: AppointmentFields, key: int) -> str:
    """The `rrule` of a recurring Appointment without the time of this key."""
    return with_left_out(fields.rrule or "", [key], _series(fields).pattern.start)


def end_before(fields: AppointmentFields, key: int) -> str:
    """The `rrule` of a recurring Appointment that ends before the time of this key."""
    repeats = read_rrule(fields.rrule or "")
    if repeats is None:
        return fields.rrule or ""
    series = _series(fields)
    start = series.pattern.start
    until = content.day(at(key - 1, start).local) if start.is_date else content.utc(key - 1)
    rule = replace(repeats.rule, count=None, until=None).text(until)
    return with_left_out(f"RRULE:{rule}", (one for one in series.excluded if one < key), start)


def begins_with(fields: AppointmentFields, key: int) -> bool:
    """Whether a recurring Appointment has no time before that of this key."""
    return not any(one.key < key for one in _series(fields).instances(Interval(EVER, key)))


def rest_from(fields: AppointmentFields, key: int) -> AppointmentFields | None:
    """A recurring Appointment's fields from the time of this key on, as a series by itself.

    None where it has no such time, or no such series would have the same times: where the clocks skip that one, say.
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
    """A recurring Appointment's event upstream, as that of the series from the time of this key on.

    With what a person did to it and to those of its times. None where there is no such series.
    """
    rest = rest_from(booked.fields, key)
    if rest is None:
        return None
    now = booked.updated_at
    return upstream_event(replace(booked, fields=rest), now=now, onto=upstream_event(booked, now=now, onto=ics))


def moved_along(before: AppointmentFields, after: AppointmentFields, apart: Iterable[int]) -> AppointmentFields | None:
    """The fields `after` a change of a series' times, with what was left out of it left out still.

    Where just its start moved, its weekdays and its last time go along. A rule that was changed is taken at its word,
    less the times that go on by themselves (`apart`, by their keys before). None where a rule does not fit the start.
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
