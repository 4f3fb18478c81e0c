"""Recurrence rules (RFC 5545 section 3.3.10, and RFC 7529 for other calendars than the Gregorian), read and written."""

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
    """FREQ, coarse to fine."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5
    SECONDLY = 6


class Skip(StrEnum):
    """What a rule does where a month that it names lacks the day, or a year the month (RFC 7529 section 4.1)."""

    OMIT = "OMIT"
    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"


#: How long a period is, at least: the shortest year is a Hebrew one.
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
    """One RRULE. `until` is as written (a DATE, a local DATE-TIME or one in UTC): what it means depends on DTSTART."""

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
    #: The calendar that it counts in, as `scales.known` names it.
    scale: str = scales.GREGORIAN
    skip: Skip = Skip.OMIT
    #: Of BYMONTH, the leap months.
    leapmonths: tuple[int, ...] = ()

    def text(self, until: str | None = None) -> str:
        """The rule in canonical form, with `until` in place of its own."""
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


#: The lists of a rule: their range, and whether they count from the end too.
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
    """A RECUR value, or None when nobody can tell from it which days are meant.

    What is wrong in a part that only limits or ends a rule is dropped: then it yields more rather than less. With
    `complaints`, each thing that is wrong gets a sentence.
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
    # Whatever BYEASTER may be, it chooses days.
    return None if any(name.startswith("BY") for name in others) else rule


def instead(value: str) -> Rule:
    """What stands in for a rule that `parse` can't make out: every day, until its UNTIL if that much can be read.

    Its owner is busy on some of these days, and nobody knows on which.
    """
    until = re.search(r"UNTIL=([0-9T:Z-]+)", value.upper())
    return Rule(Freq.DAILY, until=_until({"UNTIL": until[1]}, []) if until is not None else None)


class _Unclear(ValueError):
    """A part of a rule that might mean any days, with a sentence."""


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
    # Weeks are numbered by the Gregorian year alone.
    if name != scales.GREGORIAN and "BYWEEKNO" in parts:
        raise _Unclear("BYWEEKNO has no meaning with this RSCALE.")
    return name


def _skip(parts: dict[str, str]) -> Skip:
    text = parts.pop("SKIP", Skip.OMIT)
    if text not in set(Skip):
        raise _Unclear("SKIP is OMIT, BACKWARD or FORWARD.")
    return Skip(text)


def _leapmonths(parts: dict[str, str]) -> tuple[int, ...]:
    """The leap months of BYMONTH, such as 5L; the others stay there."""
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
            # No clock of ours shows the leap second.
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
