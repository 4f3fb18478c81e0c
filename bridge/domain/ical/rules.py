"""Recurrence rules (RFC 5545 section 3.3.10), read and written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BYDAY = re.compile(r"([+-]?\d{1,3})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"\d{8}(T\d{6}Z?)?")


class Freq(IntEnum):
    """FREQ, coarse to fine."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5
    SECONDLY = 6


#: How long a period is, at least.
SECONDS = {
    Freq.YEARLY: 365 * 86_400,
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

    def text(self, until: str | None = None) -> str:
        """The rule in canonical form, with `until` in place of its own."""
        parts = [f"FREQ={self.freq.name}"]
        if until or self.until:
            parts.append(f"UNTIL={until or self.until}")
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        if self.interval != 1:
            parts.append(f"INTERVAL={self.interval}")
        for name in LISTS:
            values: tuple[int, ...] = getattr(self, name)
            if values:
                parts.append(f"{name.upper()}={','.join(map(str, values))}")
            if name == "bymonthday" and self.byday:
                parts.append(f"BYDAY={','.join(f'{n or str()}{_DAYS[d]}' for n, d in self.byday)}")
        if self.wkst:
            parts.append(f"WKST={_DAYS[self.wkst]}")
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
    """A RECUR value, or None when not even its FREQ can be read.

    What is wrong in a part is dropped (the rest still says when something is); with `complaints`, each gets a sentence.
    """
    wrong = complaints if complaints is not None else []
    parts: dict[str, str] = {}
    for part in value.strip().strip(";").split(";"):
        name, equals, text = part.partition("=")
        name = name.strip().upper()
        if not equals or name in parts:
            wrong.append("Each part of an RRULE is NAME=VALUE, once.")
        parts.setdefault(name, text.strip().upper())
    try:
        freq = Freq[parts.pop("FREQ", "")]
    except KeyError:
        wrong.append("An RRULE needs a FREQ such as DAILY or WEEKLY.")
        return None
    numbers: dict[str, tuple[int, ...]] = {}
    for name in LISTS:
        if name.upper() in parts:
            numbers[name] = _numbers(name, parts.pop(name.upper()), wrong)
    rule = Rule(
        freq,
        interval=_positive("INTERVAL", parts, wrong) or 1,
        count=_positive("COUNT", parts, wrong),
        until=_until(parts, wrong),
        byday=_byday(parts, freq, wrong),
        wkst=_wkst(parts, wrong),
        **numbers,
    )
    wrong.extend(f"{name[:20]} is not a part of an RRULE." for name in parts if name and not name.startswith("X-"))
    return rule


def _numbers(name: str, text: str, wrong: list[str]) -> tuple[int, ...]:
    low, high, both = LISTS[name]
    found: set[int] = set()
    for piece in text.split(","):
        if not re.fullmatch(r"\s*[+-]?\d{1,4}\s*", piece):
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
    for piece in text.split(","):
        match = _BYDAY.fullmatch(piece.strip())
        if match is None or (match[1] and not 1 <= abs(int(match[1])) <= 53):
            wrong.append("BYDAY is a list of weekdays such as MO, 2TU or -1FR.")
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
