"""The `rrule` of an Appointment: an RRULE line and EXDATE lines in one text, checked, normalised and read."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from bridge.domain.ical import content, recurrence, rules
from bridge.domain.ical.content import Component, Line
from bridge.domain.ical.events import Moment, moment
from bridge.domain.ical.rules import Freq, Rule, Skip
from bridge.domain.ical.scales import GREGORIAN
from bridge.domain.ical.zones import Zones, hinted, local, named

#: Limits far above what people have in their calendars: for COUNT and the number of EXDATEs, and for INTERVAL.
_MOST = 5_000
_WIDEST = 1_000
#: The years in which appointments can be. Dates outside them have no effect, and strict servers refuse some of them.
_YEARS = range(2000, 2201)
#: The beginning of a rule that is written without "RRULE:".
_BARE_RULE = re.compile(r"[A-Za-z-]+=")


class Repeats(NamedTuple):
    """An `rrule` in parts."""

    rule: Rule
    #: One line for each value: its parameters are empty, or `;VALUE=DATE`.
    exdates: tuple[Line, ...]


def rrule_problem(rrule: str) -> str | None:
    """Why an `rrule` can't be used, in a sentence; None where it can.

    It has to be one RRULE, with or without "RRULE:" before it, and any number of EXDATE lines. The appointment's own
    start says when it begins, so neither DTSTART nor hours of the day are allowed.
    """
    complaints: list[str] = []
    read = _read(rrule, complaints)
    if complaints:
        return complaints[0]
    if read is None:
        return "Give an RRULE such as FREQ=WEEKLY;BYDAY=MO."
    rule = read.rule
    if rule.freq > Freq.DAILY:
        return "Appointments recur daily or less often, not by hours, minutes or seconds."
    if rule.byhour or rule.byminute or rule.bysecond:
        return "The start of the appointment gives its time of day: leave out BYHOUR, BYMINUTE and BYSECOND."
    if rule.scale != GREGORIAN or rule.skip != Skip.OMIT:
        return "Appointments recur by the Gregorian calendar: leave out RSCALE and SKIP."
    if rule.count is not None and rule.until is not None:
        return "Give COUNT or UNTIL, not both."
    if rule.until is not None and (
        moment(rule.until, Line("UNTIL", "", ""), _NO_ZONES, _LOCAL) is None or _year(rule.until) < _YEARS.start
    ):
        return f"UNTIL is a day that there is, from the year {_YEARS.start} on."
    if (rule.count or 1) > _MOST or rule.interval > _WIDEST or len(read.exdates) > _MOST:
        return f"COUNT and the number of EXDATE values go up to {_MOST}, INTERVAL up to {_WIDEST}."
    if recurrence.first(rule, dt.datetime(2024, 1, 1), None) is None:
        return "This rule never matches a day."
    return None


def normalise_rrule(rrule: str) -> str:
    """The canonical text of an `rrule` that has no problem: its RRULE line, then its EXDATE lines, values sorted.

    An UNTIL after the last possible year is dropped: with 99991231T235959Z, for example, programs mean "for ever".
    """
    read = _read(rrule, [])
    if read is None:
        return rrule
    rule = read.rule
    if rule.until is not None and _year(rule.until) >= _YEARS.stop:
        rule = replace(rule, until=None)
    lines = [f"RRULE:{rule.text()}"]
    kinds: dict[tuple[str, bool], set[str]] = {}
    for exdate in (one for one in read.exdates if _year(one.value) in _YEARS):
        kinds.setdefault((exdate.params, exdate.value.endswith("Z")), set()).add(exdate.value)
    lines += [f"EXDATE{params}:{','.join(sorted(values))}" for (params, _), values in sorted(kinds.items())]
    return "\n".join(lines)


def with_left_out(rrule: str, keys: Iterable[int], start: Moment) -> str:
    """The `rrule` with these times excluded as well. `keys` identify times of the series, which starts at `start`."""
    lines = [
        f"EXDATE;VALUE=DATE:{content.day(local(key, start.zone))}" if start.is_date else f"EXDATE:{content.utc(key)}"
        for key in sorted(keys)
    ]
    return normalise_rrule("\n".join([rrule, *lines]))


def read_rrule(rrule: str) -> Repeats | None:
    """The parts of a stored `rrule`; None where it has no RRULE that can be read."""
    return _read(rrule, [])


def _read(rrule: str, complaints: list[str]) -> Repeats | None:
    rule: Rule | None = None
    exdates: list[Line] = []
    for raw in content.unfold(rrule).split("\n"):
        text = raw.strip()
        if not text:
            continue
        if _BARE_RULE.match(text):
            text = f"RRULE:{text}"
        line = content.split(text)
        name = line.name if line is not None else ""
        if line is None or name not in {"RRULE", "EXDATE"}:
            complaints.append(
                "The start of the appointment is its DTSTART: leave it out of the rule."
                if name == "DTSTART"
                else "Only RRULE and EXDATE lines can be used."
            )
        elif name == "EXDATE":
            exdates += _exdates(line, complaints)
        elif rule is not None:
            complaints.append("Give one RRULE.")
        elif "DTSTART" in line.value.upper():
            complaints.append("The start of the appointment is its DTSTART: leave it out of the rule.")
        else:
            rule = rules.parse(line.value, complaints=complaints)
    return None if rule is None else Repeats(rule, tuple(exdates))


def _exdates(line: Line, complaints: list[str]) -> list[Line]:
    """The values of an EXDATE line, one line for each: in UTC, local without a zone, or a date."""
    tzid = line.param("TZID")
    zone = named(tzid) or hinted(tzid) if tzid else None
    if tzid and zone is None:
        complaints.append("The TZID of the EXDATE is not a known time zone.")
        return []
    found: list[Line] = []
    for value in line.value.split(","):
        # The TZID is dropped, since a value in a zone is written in UTC.
        at = moment(value, Line("EXDATE", line.params if tzid is None else "", ""), _NO_ZONES, zone or _LOCAL)
        if at is None:
            complaints.append("EXDATE is a list of dates or date-times, such as 20301224T090000Z.")
        elif at.is_date:
            found.append(Line("EXDATE", ";VALUE=DATE", content.day(at.local)))
        elif at.zone is _LOCAL:
            found.append(Line("EXDATE", "", content.stamp(at.local)))
        else:
            found.append(Line("EXDATE", "", content.utc(at.instant)))
    return found


def _year(value: str) -> int:
    return int(value[:4])


#: The zone of values that have none.
_LOCAL = dt.timezone(dt.timedelta(), "local")
_NO_ZONES = Zones(Component(""), dt.UTC)


def excluded(read: Repeats, start: Moment) -> list[Moment]:
    """The EXDATEs as moments. Values without a zone are in that of `start`."""
    zones = Zones(Component(""), start.zone)
    found = (moment(line.value, line, zones, start.zone) for line in read.exdates)
    return [m for m in found if m is not None]
