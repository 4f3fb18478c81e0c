"""VEVENTs as the bridge understands them: when they are, how long, how they recur."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.domain.ical import content, recurrence, rules
from bridge.domain.ical.content import Component, Line
from bridge.domain.ical.rules import Rule
from bridge.domain.ical.zones import Zones, instant, local

#: The length of an event whose end is before its start or unreadable: the one that clients propose for new events.
UNKNOWN_LENGTH = dt.timedelta(hours=1)
#: The longest DURATION, in days: all that `datetime` can express.
_LONGEST = 3_000_000
#: No more values of one property than this are read one by one.
MANY = 20_000

_MOMENT = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[Tt ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,]\d+)?)?\s*([Zz]|[+-]\d\d:?\d\d)?)?"
)
_ZERO = dt.timedelta()
_DAY = dt.timedelta(days=1)


class Moment(NamedTuple):
    """A DATE or DATE-TIME: wall clock and zone. A DATE is midnight in the User's zone."""

    local: dt.datetime
    zone: dt.tzinfo
    is_date: bool

    @property
    def instant(self) -> int:
        """Unix seconds."""
        return instant(self.local, self.zone)


class Length(NamedTuple):
    """A length in two parts, added in this order: `wall` on the wall clock, then `exact` seconds.

    The time from DTSTART to DTEND and the days of a DURATION count on the wall clock; the hours, minutes and seconds of
    a DURATION are exact (RFC 5545 section 3.3.6).
    """

    wall: dt.timedelta
    exact: int = 0

    @property
    def is_none(self) -> bool:
        """Whether it takes no time."""
        return self.wall <= _ZERO and self.exact <= 0

    def longer(self, seconds: int) -> Length:
        """This length and so many seconds more."""
        if self.exact:
            return Length(self.wall, self.exact + seconds)
        return Length(self.wall + dt.timedelta(seconds=seconds))

    def end(self, start: dt.datetime, zone: dt.tzinfo, at: int) -> int:
        """The instant at which something ends that starts at the local time `start`, which is the instant `at`."""
        plainly = at + int(self.wall.total_seconds()) + self.exact
        end = plainly
        if self.wall:
            try:
                end = instant(start + self.wall, zone) + self.exact
            except OverflowError:
                end = content.LAST
        # Where the clocks skip hours, the end computed on the wall clock may lie before the start.
        return min(end if end > at else plainly, max(content.LAST, at))


@dataclass(slots=True)
class Event:
    """One VEVENT."""

    component: Component
    start: Moment
    length: Length
    rules: list[Rule] = field(default_factory=list)
    #: Rules used in place of those that can't be understood: see `rules.stand_in`.
    stand_ins: list[Rule] = field(default_factory=list)
    #: EXRULEs (RFC 2445 section 4.8.5.2): the instances that they yield are excluded.
    exrules: list[Rule] = field(default_factory=list)
    rdates: list[tuple[Moment, Length | None]] = field(default_factory=list)
    exdates: list[Moment] = field(default_factory=list)
    recurrence_id: Moment | None = None
    #: RANGE=THISANDFUTURE.
    future: bool = False
    #: Its start could not be read, and was derived from its RECURRENCE-ID or its end.
    guessed: bool = False

    @property
    def recurs(self) -> bool:
        """Whether it may have more than one instance."""
        return bool(self.rules or self.stand_ins or self.rdates)

    @property
    def is_cancelled(self) -> bool:
        """Whether it is there to say that it does not take place."""
        return self.component.value("STATUS").strip().upper() == "CANCELLED"


def moment(value: str, line: Line, zones: Zones, floating: dt.tzinfo) -> Moment | None:
    """One DATE or DATE-TIME value of a line; None when it can't be read.

    Accepted beside RFC 5545: dashes and colons, no seconds, UTC offsets, 24:00. `floating` is the zone for values
    without one.
    """
    match = _MOMENT.fullmatch(value.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, where = match.groups()
    try:
        date = dt.datetime(_calculable(int(year)), int(month), int(day))
        if hour is None or (line.params and (line.param("VALUE") or "").upper() == "DATE"):
            return Moment(date, zones.user, True)
        of_day = dt.timedelta(hours=int(hour), minutes=int(minute), seconds=min(int(second or 0), 59))
        if int(minute) > 59 or of_day > _DAY:
            return None
        wall = date + of_day
    except (ValueError, OverflowError):
        return None
    if where is None:
        tzid = line.param("TZID") if line.params else None
        return Moment(wall, zones.of(tzid) if tzid else floating, False)
    if where in "Zz":
        return Moment(wall, dt.UTC, False)
    shift = dt.timedelta(hours=int(where[1:3]), minutes=int(where[-2:]))
    return Moment(wall + (shift if where[0] == "-" else -shift), dt.UTC, False)


def _calculable(year: int) -> int:
    """A year at which date arithmetic can't overflow: near the ends, the one 400 years away, with the same weekdays."""
    return year + 400 if 0 < year < 100 else year - 400 if year > 9900 else year


def event(component: Component, zones: Zones) -> Event | None:
    """A VEVENT; None when it tells nothing about when it is: no readable start, RECURRENCE-ID or end."""
    start = _first(component, "DTSTART", zones, zones.user)
    around = start.zone if start is not None and not start.is_date else zones.user
    recurrence_id = _first(component, "RECURRENCE-ID", zones, around) if "RECURRENCE-ID" in component.lines else None
    end = _first(component, "DTEND", zones, around) if "DTEND" in component.lines else None
    if start is not None:
        start, length = _length(component, start, end, zones)
        found = Event(component, start, length, recurrence_id=recurrence_id)
    elif (guessed := _guessed(component, recurrence_id, end)) is not None:
        found, start, length = guessed, guessed.start, guessed.length
    else:
        return None
    if len(component.lines) < 2:
        return found
    if recurrence_id is not None:
        found.future = any(
            (line.param("RANGE") or "").upper() == "THISANDFUTURE" for line in component.all("RECURRENCE-ID")
        )
        return found
    for line in component.lines.get("RRULE", ()):
        if line.value.strip():
            rule = _rule(line, start)
            into = found.rules if rule is not None else found.stand_ins
            rule = rule or rules.stand_in(line.value)
            if rule not in into:
                into.append(rule)
    if "EXRULE" in component.lines:
        # An EXRULE that can't be understood excludes nothing.
        read = (_rule(line, start) for line in component.lines["EXRULE"])
        found.exrules = [rule for rule in read if rule is not None]
    if "RDATE" in component.lines:
        found.rdates = _rdates(component, start, length, zones)
    if "EXDATE" in component.lines:
        found.exdates = _exdates(component, zones, start)
    return found


def _rule(line: Line, start: Moment) -> Rule | None:
    rule = rules.parse(line.value)
    return rule if rule is not None and recurrence.is_known(rule, start.local) else None


def _first(component: Component, name: str, zones: Zones, floating: dt.tzinfo) -> Moment | None:
    for line in component.lines.get(name, ()):
        found = moment(line.value, line, zones, floating)
        if found is not None:
            return found
    return None


def _guessed(component: Component, recurrence_id: Moment | None, end: Moment | None) -> Event | None:
    length = Length(UNKNOWN_LENGTH)
    if recurrence_id is not None:
        if recurrence_id.is_date:
            length = Length(_DAY)
        return Event(component, recurrence_id, length, recurrence_id=recurrence_id, guessed=True)
    if end is None:
        return None
    length = Length(_DAY) if end.is_date else length
    return Event(component, end._replace(local=end.local - length.wall), length, guessed=True)


def _length(component: Component, start: Moment, end: Moment | None, zones: Zones) -> tuple[Moment, Length]:
    """The start and the length. Where just one of DTSTART and DTEND is a DATE, it counts as a midnight."""
    if end is None:
        for line in component.lines.get("DURATION", ()):
            read = content.duration(line.value)
            if read is not None:
                return _lasting(start, *read)
        # With an unreadable end the length is unknown; without any end, RFC 5545 section 3.6.1 defines it.
        broken = bool(component.value("DTEND").strip() or component.value("DURATION").strip())
        if start.is_date:
            return start, Length(_DAY)
        return start, Length(UNKNOWN_LENGTH if broken else _ZERO)
    if start.is_date and end.is_date:
        return start, Length(max(end.local - start.local, _DAY))
    if start.is_date:
        start = Moment(start.local, zones.user, False)
    elif end.is_date:
        end = Moment(end.local, start.zone, False)
    if end.zone is start.zone:
        wall = end.local - start.local
        return start, Length(wall if wall >= _ZERO else UNKNOWN_LENGTH)
    exact = end.instant - start.instant
    return start, Length(_ZERO, exact) if exact >= 0 else Length(UNKNOWN_LENGTH)


def _lasting(start: Moment, days: int, seconds: int) -> tuple[Moment, Length]:
    if days * 86_400 + seconds < 0:
        return start, Length(_DAY if start.is_date else UNKNOWN_LENGTH)
    days, seconds = min(days, _LONGEST), min(seconds, _LONGEST * 86_400)
    if start.is_date:  # only whole days are allowed (RFC 5545 section 3.6.1), so a part of a day counts as one
        return start, Length(max(dt.timedelta(days=days + -(-seconds // 86_400)), _DAY))
    return start, Length(dt.timedelta(days=days), seconds)


def _rdates(component: Component, start: Moment, length: Length, zones: Zones) -> list[tuple[Moment, Length | None]]:
    found: list[tuple[Moment, Length | None]] = []
    for line in component.lines["RDATE"]:
        values = line.value.split(",")
        if len(found) + len(values) > MANY:
            # Too many to list one by one: the days on which they are, as whole days.
            days = sorted({value.strip()[:8] for value in values})[:MANY]
            dates = [moment(day, Line("RDATE", "", day), zones, start.zone) for day in days]
            longer = Length(length.wall + 2 * _DAY, length.exact)
            found += [
                (Moment(date.local - _DAY / 2, start.zone, start.is_date), longer) for date in dates if date is not None
            ]
            continue
        for value in values:
            begin, slash, end = value.partition("/")
            at = moment(begin, line, zones, start.zone)
            if at is None:
                continue
            if at.is_date and not start.is_date:
                at = Moment(dt.datetime.combine(at.local.date(), start.local.time()), start.zone, False)
            elif start.is_date and not at.is_date:
                at = Moment(dt.datetime.combine(at.local.date(), dt.time()), zones.user, True)
            elif not at.is_date:
                # Of a local time that is skipped, the one that the clocks show at that instant.
                at = at._replace(local=local(at.instant, at.zone))
            found.append((at, _period(at, end, line, zones) if slash and not at.is_date else None))
    return found


def _period(start: Moment, end: str, line: Line, zones: Zones) -> Length | None:
    read = content.duration(end)
    if read is not None:
        return _lasting(start, *read)[1]
    until = moment(end, line, zones, start.zone)
    if until is None or until.is_date or until.instant < start.instant:
        return None
    if until.zone is start.zone:
        return Length(until.local - start.local)
    return Length(_ZERO, until.instant - start.instant)


def _exdates(component: Component, zones: Zones, start: Moment) -> list[Moment]:
    found: list[Moment] = []
    floating = zones.user if start.is_date else start.zone
    for line in component.lines["EXDATE"]:
        values = line.value.split(",")
        # Of an absurd number of values only the last ones are read. The instances of the others block.
        values = values[-(MANY - len(found)) :] if len(found) < MANY else []
        for value in dict.fromkeys(values):
            at = moment(value, line, zones, floating)
            if at is not None:
                found.append(at)
    return found


def same_kind(moment: Moment, start: Moment) -> Moment:
    """A RECURRENCE-ID or EXDATE value, converted to the kind (DATE or DATE-TIME) and zone of its DTSTART."""
    if start.is_date:
        if moment.is_date:
            return moment
        return Moment(dt.datetime.combine(_date_meant(moment, start.zone), dt.time()), start.zone, True)
    if moment.is_date or moment.zone is start.zone:
        return moment
    return Moment(local(moment.instant, start.zone), start.zone, False)


def until_of(rule: Rule, start: Moment) -> dt.datetime | None:
    """UNTIL in the local time of DTSTART; None: no end, or an unreadable one. A DATE includes all of that day."""
    if rule.until is None:
        return None
    try:
        until = dt.datetime(int(rule.until[:4]), int(rule.until[4:6]), int(rule.until[6:8]))
        if len(rule.until) == 8:
            return until if start.is_date else until + _DAY - dt.timedelta(seconds=1)
        seconds = int(rule.until[9:11]) * 3600 + int(rule.until[11:13]) * 60 + int(rule.until[13:15])
        until += dt.timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return None
    zone = dt.UTC if rule.until.endswith("Z") else start.zone
    if start.is_date:
        return dt.datetime.combine(_date_meant(Moment(until, zone, False), start.zone), dt.time())
    return until if zone is start.zone else local(instant(until, zone), start.zone)


def _date_meant(moment: Moment, zone: dt.tzinfo) -> dt.date:
    """The day meant by a DATE-TIME where a DATE is expected: the one that begins then in `zone`, else as written."""
    there = local(moment.instant, zone)
    return there.date() if there.time() == dt.time() else moment.local.date()
