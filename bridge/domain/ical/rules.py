"""Recurrence rules, read and written: RFC 5545 section 3.3.10, and RFC 7529 for non-Gregorian calendars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from bridge.domain.ical import scales

_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BYDAY = re.compile(r"([+-]?\d{1,3})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"\d{8}(T\d{6}Z?)?")
_ONCE = "Each part of an RRULE is NAME=VALUE, once."


class Freq(IntEnum):
    """FREQ, ordered from coarse to fine."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5
    SECONDLY = 6


class Skip(StrEnum):
    """SKIP: what a rule yields for a day or leap month that does not exist in a period (RFC 7529 section 4.1)."""

    OMIT = "OMIT"
    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"


#: The shortest length of a period, in seconds. The shortest year is a Hebrew one.
SECONDS = {
    Freq.YEARLY: 353 * 86_400,
    Freq.MONTHLY: 28 * 86_400,
    Freq.WEEKLY: 7 * 86_400,
    Freq.DAILY: 86_400,
    Freq.HOURLY: 3600,
    Freq.MINUTELY: 60,
    Freq.SECONDLY: 1,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One RRULE. `until` is the value as written, since its meaning depends on DTSTART: see `events.until_of`."""

    freq: Freq
    interval: int = 1
    count: int | None = None
    until: str | None = None
    bymonth: tuple[int, ...] = ()
    byweekno: tuple[int, ...] = ()
    byyearday: tuple[int, ...] = ()
    bymonthday: tuple[int, ...] = ()
    #: (ordinal or 0, weekday from Monday = 0)
    byday: tuple[tuple[int, int], ...] = ()
    byhour: tuple[int, ...] = ()
    byminute: tuple[int, ...] = ()
    bysecond: tuple[int, ...] = ()
    bysetpos: tuple[int, ...] = ()
    wkst: int = 0
    #: The calendar that it counts in (RSCALE), under the name that `scales.known` returns.
    scale: str = scales.GREGORIAN
    skip: Skip = Skip.OMIT
    #: The leap months of BYMONTH.
    leapmonths: tuple[int, ...] = ()

    def text(self, until: str | None = None) -> str:
        """The rule in canonical form; `until`, if given, is written instead of its own."""
        elsewhere = self.scale != scales.GREGORIAN or self.skip != Skip.OMIT
        parts = [f"RSCALE={self.scale}"] if elsewhere else []
        parts.append(f"FREQ={self.freq.name}")
        if until or self.until:
            parts.append(f"UNTIL={until or self.until}")
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        if self.interval != 1:
            parts.append(f"INTERVAL={self.interval}")
        for name in LISTS:
            values = [str(value) for value in getattr(self, name)]
            if name == "bymonth":
                values += [f"{month}L" for month in self.leapmonths]
            if values:
                parts.append(f"{name.upper()}={','.join(values)}")
            if name == "bymonthday" and self.byday:
                parts.append(f"BYDAY={','.join(f'{n or str()}{_DAYS[d]}' for n, d in self.byday)}")
        if self.wkst:
            parts.append(f"WKST={_DAYS[self.wkst]}")
        if self.skip != Skip.OMIT:
            parts.append(f"SKIP={self.skip}")
        return ";".join(parts)


#: The parts of a rule that are lists of numbers: the range, and whether negative numbers count from the end.
LISTS = {
    "bymonth": (1, 12, False),
    "byweekno": (1, 53, True),
    "byyearday": (1, 366, True),
    "bymonthday": (1, 31, True),
    "byhour": (0, 23, False),
    "byminute": (0, 59, False),
    "bysecond": (0, 60, False),
    "bysetpos": (1, 366, True),
}


def parse(value: str, *, complaints: list[str] | None = None) -> Rule | None:
    """A RECUR value; None when it does not tell which days are meant.

    Mistakes in parts that only limit or end a rule are ignored, so that the rule yields too much rather than too
    little. A sentence about each mistake is added to `complaints`, if given.
    """
    wrong = complaints if complaints is not None else []
    try:
        parts = _parts(value, wrong)
        freq = _freq(parts)
        scale = _scale(parts)
        leapmonths = _leapmonths(parts) if scale != scales.GREGORIAN else ()
        numbers = {name: _numbers(name, parts.pop(name.upper()), wrong) for name in LISTS if name.upper() in parts}
        rule = Rule(
            freq,
            interval=_positive("INTERVAL", parts, wrong) or 1,
            count=_positive("COUNT", parts, wrong),
            until=_until(parts, wrong),
            byday=_byday(parts, freq, wrong),
            wkst=_wkst(parts, wrong),
            scale=scale,
            skip=_skip(parts),
            leapmonths=leapmonths,
            **numbers,
        )
    except _Unclear as unclear:
        wrong.append(unclear.args[0])
        return None
    others = [name for name in parts if name and not name.startswith("X-")]
    wrong.extend(f"{name[:20]} is not a part of an RRULE." for name in others)
    # An unknown part such as BYEASTER chooses days in a way that is not known here.
    return None if any(name.startswith("BY") for name in others) else rule


def stand_in(value: str) -> Rule:
    """The rule used instead of one that `parse` can't understand: every day, until its UNTIL if that can be read.

    The owner is busy on some of these days, and it is not known on which.
    """
    until = re.search(r"UNTIL=([0-9T:Z-]+)", value.upper())
    return Rule(Freq.DAILY, until=_until({"UNTIL": until[1]}, []) if until is not None else None)


class _Unclear(ValueError):
    """It can't be told which days a part of a rule means. The argument is a sentence."""


def _parts(value: str, wrong: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in value.strip().strip(";").split(";"):
        name, equals, text = (piece.strip().upper() for piece in part.partition("="))
        if name.startswith(("FREQ", "BY")) and found.get(name, text) != text:
            raise _Unclear(_ONCE)
        if not equals or name in found:
            wrong.append(_ONCE)
        found.setdefault(name, text)
    return found


def _freq(parts: dict[str, str]) -> Freq:
    try:
        return Freq[parts.pop("FREQ", "")]
    except KeyError:
        raise _Unclear("An RRULE needs a FREQ such as DAILY or WEEKLY.") from None


def _scale(parts: dict[str, str]) -> str:
    name = scales.known(parts.pop("RSCALE", scales.GREGORIAN))
    if name is None:
        raise _Unclear("The RSCALE is none that is known here.")
    # Weeks are numbered in the Gregorian calendar only.
    if name != scales.GREGORIAN and "BYWEEKNO" in parts:
        raise _Unclear("BYWEEKNO has no meaning with this RSCALE.")
    return name


def _skip(parts: dict[str, str]) -> Skip:
    text = parts.pop("SKIP", Skip.OMIT)
    if text not in set(Skip):
        raise _Unclear("SKIP is OMIT, BACKWARD or FORWARD.")
    return Skip(text)


def _leapmonths(parts: dict[str, str]) -> tuple[int, ...]:
    """Take the leap months, such as 5L, out of BYMONTH. The other months stay in `parts`."""
    pieces = [piece.strip() for piece in parts.get("BYMONTH", "").split(",")]
    leap = {int(piece[:-1]) for piece in pieces if re.fullmatch(r"[1-9]\d?L", piece)}
    others = [piece for piece in pieces if not piece.endswith("L")]
    if leap and others:
        parts["BYMONTH"] = ",".join(others)
    elif leap:
        del parts["BYMONTH"]
    return tuple(sorted(leap))


def _numbers(name: str, text: str, wrong: list[str]) -> tuple[int, ...]:
    low, high, both = LISTS[name]
    found: set[int] = set()
    for piece in text.split(","):
        if not re.fullmatch(r"\s*[+-]?\d{1,4}\s*", piece):
            if piece.strip():
                raise _Unclear(f"{name.upper()} holds something that is not a number.")
            wrong.append(f"{name.upper()} holds something that is not a number.")
            continue
        number = int(piece)
        if low <= number <= high or (both and low <= -number <= high):
            # `datetime` has no leap seconds.
            found.add(min(number, 59) if name == "bysecond" else number)
        else:
            wrong.append(f"{name.upper()} holds a number out of its range.")
    return tuple(sorted(found))


def _positive(name: str, parts: dict[str, str], wrong: list[str]) -> int | None:
    text = parts.pop(name, None)
    if text is None:
        return None
    if re.fullmatch(r"\+?\d{1,15}", text) and int(text) > 0:
        return int(text)
    wrong.append(f"{name} is a whole number from 1.")
    return None


def _until(parts: dict[str, str], wrong: list[str]) -> str | None:
    text = parts.pop("UNTIL", None)
    if text is None:
        return None
    text = text.replace("-", "").replace(":", "")
    if _UNTIL.fullmatch(text):
        return text
    wrong.append("UNTIL is a date or a date-time, such as 20301231T235959Z.")
    return None


def _byday(parts: dict[str, str], freq: Freq, wrong: list[str]) -> tuple[tuple[int, int], ...]:
    text = parts.pop("BYDAY", None)
    if text is None:
        return ()
    found: set[tuple[int, int]] = set()
    complaint = "BYDAY is a list of weekdays such as MO, 2TU or -1FR."
    for piece in text.split(","):
        match = _BYDAY.fullmatch(piece.strip())
        if match is None or (match[1] and not 1 <= abs(int(match[1])) <= 53):
            if piece.strip():
                raise _Unclear(complaint)
            wrong.append(complaint)
            continue
        ordinal = int(match[1] or 0)
        if ordinal and freq not in {Freq.YEARLY, Freq.MONTHLY}:
            wrong.append("Only yearly and monthly rules number their weekdays.")
            ordinal = 0
        found.add((ordinal, _DAYS.index(match[2])))
    return tuple(sorted(found, key=lambda chosen: (chosen[1], chosen[0])))


def _wkst(parts: dict[str, str], wrong: list[str]) -> int:
    text = parts.pop("WKST", "MO")
    if text in _DAYS:
        return _DAYS.index(text)
    wrong.append("WKST is a weekday.")
    return 0
