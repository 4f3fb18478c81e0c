"""Reading VTIMEZONEs (RFC 5545 section 3.6.5): the clock changes that one lists, as a `datetime.tzinfo`."""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_right
from functools import lru_cache

from bridge.domain.ical import recurrence, rules
from bridge.domain.ical.content import Line

_EPOCH = dt.datetime(1970, 1, 1)
#: Limits for VTIMEZONEs that others wrote: onsets read from one observance, and from all observances of one zone.
_ONSETS, _ALL_ONSETS = 2_000, 5_000
#: Rules for clock changes are expanded from this year on: there were hardly any changes before.
_FIRST_CHANGES = dt.datetime(1900, 1, 1)


class Observed(dt.tzinfo):
    """A zone given by its clock changes, in order: (instant, offset before, offset after, name after)."""

    def __init__(self, changes: list[tuple[int, int, int, str]]) -> None:
        self._changes = changes
        self._instants = [change[0] for change in changes]
        # A local time counts as after a change only when it can't be before it: times that the change skips or repeats
        # are still before it.
        self._locals = [at + max(before, after) for at, before, after, _ in changes]

    def _offset(self, index: int) -> int:
        return self._changes[index - 1][2] if index else self._changes[0][1]

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        """The offset at a local time."""
        since = when.replace(tzinfo=None) - _EPOCH if when is not None else dt.timedelta()
        index = bisect_right(self._locals, since.days * 86_400 + since.seconds)
        if when is not None and when.fold and index < len(self._changes):
            at, before, after, _ = self._changes[index]
            if before > after and at + after <= since.days * 86_400 + since.seconds:
                index += 1
        return dt.timedelta(seconds=self._offset(index))

    def fromutc(self, when: dt.datetime) -> dt.datetime:
        """Local time of an instant."""
        since = when.replace(tzinfo=None) - _EPOCH
        at = since.days * 86_400 + since.seconds
        index = bisect_right(self._instants, at)
        here = when + dt.timedelta(seconds=self._offset(index))
        if index and self._changes[index - 1][1] > self._changes[index - 1][2]:
            doubled = self._changes[index - 1][1] - self._changes[index - 1][2]
            here = here.replace(fold=int(at - self._instants[index - 1] < doubled))
        return here

    def dst(self, when: dt.datetime | None) -> dt.timedelta | None:
        """None: a VTIMEZONE does not say how much of an offset is daylight saving."""
        return None

    def tzname(self, when: dt.datetime | None) -> str | None:
        """The TZNAME of the observance in force."""
        if when is None:
            return None
        offset = self.utcoffset(when).total_seconds()
        return next((name for _, _, after, name in self._changes if after == offset and name), None)


@lru_cache(maxsize=512)
def observed(observances: tuple[tuple[str, tuple[Line, ...]], ...]) -> Observed | None:
    """The zone that the STANDARD and DAYLIGHT parts of a VTIMEZONE describe; None when none of them is usable.

    `observances` are the parts, each by its name and its lines.
    """
    found: list[tuple[dt.datetime, int, int, str]] = []
    for name, lines in observances:
        if name in {"STANDARD", "DAYLIGHT"} and len(found) < _ALL_ONSETS:
            found += _onsets(lines)
    if not found:
        return None
    found.sort()
    # TZOFFSETFROM is often wrong. What the clocks showed before a change is the offset of the observance before it.
    changes: list[tuple[int, int, int, str]] = []
    for onset, before, after, label in found:
        previous = changes[-1][2] if changes else before
        since = onset - _EPOCH
        at = since.days * 86_400 + since.seconds - before
        if not changes or at > changes[-1][0]:
            changes.append((at, previous, after, label))
    return Observed(changes)


def _onsets(lines: tuple[Line, ...]) -> list[tuple[dt.datetime, int, int, str]]:
    values: dict[str, str] = {}
    for line in lines:
        values.setdefault(line.name, line.value.strip())
    after = _offset_value(values.get("TZOFFSETTO", ""))
    before = _offset_value(values.get("TZOFFSETFROM", ""))
    start = _onset(values.get("DTSTART", ""))
    if after is None or start is None:
        return []
    before = after if before is None else before
    onsets = [start]
    for line in lines:
        if line.name == "RDATE":
            onsets += [o for o in map(_onset, line.value.split(",")[:_ONSETS]) if o is not None]
        elif line.name == "RRULE" and (rule := rules.parse(line.value)) is not None:
            onsets += _recurring(rule, start, before)
    label = values.get("TZNAME", "")
    return [(onset, before, after, label) for onset in onsets]


def _recurring(rule: rules.Rule, start: dt.datetime, before: int) -> list[dt.datetime]:
    if rule.freq > rules.Freq.MONTHLY:
        return []
    until = _onset(rule.until or "")
    if until is not None and (rule.until or "").endswith("Z"):
        until += dt.timedelta(seconds=before)
    found: list[dt.datetime] = []
    for onset in recurrence.starts(rule, start, _FIRST_CHANGES, recurrence.LAST, until):
        found.append(onset)
        if len(found) == _ONSETS:
            break
    return found


def _onset(text: str) -> dt.datetime | None:
    match = re.match(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d))?", text.strip())
    if match is None:
        return None
    try:
        return dt.datetime(*(int(group or 0) for group in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None


def _offset_value(text: str) -> int | None:
    match = re.fullmatch(r"([+-]?)(\d\d):?(\d\d)(?::?(\d\d))?", text)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        return None
    seconds = int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4] or 0)
    return -seconds if match[1] == "-" else seconds
