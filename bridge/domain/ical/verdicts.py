"""Why an upstream object takes time from its owner or does not, for each instance."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from bridge.domain.ical import content
from bridge.domain.ical.events import Event
from bridge.domain.ical.judge import Judge, Reason
from bridge.domain.ical.series import Instance, Series, read, single
from bridge.domain.ical.slots import zones_of
from bridge.domain.ical.zones import local
from bridge.domain.model import Interval, SlotSettings

#: The longest travel time before an event, in seconds.
_TRAVEL = 2 * 86_400
#: A series is read from this many seconds before a span: longer than all but the strangest single events last.
_BEFORE = 10 * 366 * 86_400
_ALL = Interval(-(2**36), 2**38)


class Part(StrEnum):
    """The part of an object that a verdict is about."""

    SINGLE = "single"
    SERIES = "series"
    #: A single instance that was changed.
    OVERRIDE = "override"
    #: An override whose series is not in the object.
    ORPHAN = "orphan"


class Verdict(NamedTuple):
    """An instance of an object, or one that was deleted or moved, and why it takes time or not.

    Instants are Unix seconds, UTC.
    """

    start: int
    end: int
    all_day: bool
    title: str
    part: Part
    reason: Reason
    #: Where a moved instance is now.
    moved_to: int | None = None


def verdicts(
    ics: str, *, span: Interval | None, settings: SlotSettings, time_zone: str, addresses: frozenset[str]
) -> list[Verdict]:
    """Verdicts on the instances that touch the span, or would if they had not been moved or deleted, ordered by start.

    With `span` None: one verdict for each event, at the first start of a series. An instance without length touches the
    span in which it begins.
    """
    root = content.read(ics)
    judge = Judge(settings, addresses)
    near = _ALL if span is None else Interval(span.start - _BEFORE, span.end)
    several, orphans = read(root, zones_of(root, time_zone), near.start)
    found: list[Verdict] = []
    for series in several:
        found += _whole(series, judge) if span is None else _of_series(series, judge, span)
    for orphan in orphans:
        verdict = _judged(single(orphan), Part.ORPHAN, judge, span)
        if span is None or _touches(verdict, span):
            found.append(verdict)
    return sorted(found, key=lambda v: (v.start, v.end, v.part))


def _whole(series: Series, judge: Judge) -> Iterator[Verdict]:
    yield _judged(single(series.master), _part(series, series.master), judge, None)
    for override in (*series.overrides.values(), *(future for _, future in series.futures)):
        yield _judged(single(override), Part.OVERRIDE, judge, None, series.master)


def _of_series(series: Series, judge: Judge, span: Interval) -> Iterator[Verdict]:
    # A second earlier, for instances without length; and later, for those whose travel time begins within the span.
    for instance in series.instances(Interval(span.start - 1, span.end + _TRAVEL)):
        verdict = _judged(instance, _part(series, instance.event), judge, span, series.master)
        if _touches(verdict, span):
            yield verdict
    if series.pattern.coarse:
        return  # single instances can't be told apart, so excluded ones block as well
    for key in series.taken_out(span) - series.overrides.keys():
        yield from _absent(series, judge, span, key=key, reason=Reason.DELETED)
    for key, override in series.overrides.items():
        if not _touches(_judged(single(override), Part.OVERRIDE, judge, span), span):
            yield from _absent(series, judge, span, key=key, reason=Reason.MOVED, moved_to=override.start.instant)


def _absent(
    series: Series, judge: Judge, span: Interval, *, key: int, reason: Reason, moved_to: int | None = None
) -> Iterator[Verdict]:
    """The verdict on the instance that a series would have at this instant, if it has one there."""
    master = series.master
    zone = series.pattern.start.zone
    end = master.length.end(local(key, zone), zone, key)
    verdict = Verdict(key, end, master.start.is_date, judge.title(master), Part.SERIES, reason, moved_to)
    if _touches(verdict, span) and series.pattern.has(key):
        yield verdict


def _part(series: Series, event: Event) -> Part:
    if event is not series.master:
        return Part.OVERRIDE
    return Part.SERIES if event.recurs else Part.SINGLE


def _judged(
    instance: Instance, part: Part, judge: Judge, span: Interval | None, master: Event | None = None
) -> Verdict:
    reason = judge.objection(instance.event)
    start = instance.start
    if reason is None:
        start = judge.with_travel(instance).start
        if start >= instance.end:
            reason = Reason.NO_LENGTH
        elif span is not None and span.end <= instance.start:
            reason = Reason.TRAVEL
        elif instance.event.stand_ins and instance.start != instance.event.start.instant:
            reason = Reason.UNCLEAR
        else:
            reason = Reason.BLOCKS
    return Verdict(start, instance.end, instance.all_day, judge.title(instance.event, master), part, reason)


def _touches(verdict: Verdict, span: Interval) -> bool:
    if verdict.start == verdict.end:
        return span.start <= verdict.start < span.end
    return verdict.start < span.end and verdict.end > span.start
