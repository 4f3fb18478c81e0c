"""Parsing and formatting the times of the API. Pure."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bridge.domain.rfc3339 import format_time, format_utc

__all__ = ["BadTime", "Time", "day_of", "format_time", "format_utc", "parse_day", "parse_time", "start_of"]

#: The years in which times can be. Epoch seconds that are taken for milliseconds would be in 1970.
FIRST_YEAR, LAST_YEAR = 2000, 2200

_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?([Zz]|[+-]\d{2}:?\d{2})?)?", re.ASCII
)
_FIRST = int(dt.datetime(FIRST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp())
_LAST = int(dt.datetime(LAST_YEAR + 1, 1, 1, tzinfo=dt.UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Time:
    """An instant (Unix seconds, UTC), and the UTC offset (in seconds) with which it was written."""

    at: int
    utc_offset: int


class BadTime(ValueError):
    """A time that can't be used. `code` is the API's; the message says what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def parse_time(value: str | float, zone: str | None) -> Time:
    """An instant from RFC 3339 text with an offset, epoch milliseconds, or local time in `zone` (an IANA name).

    A local time that occurs twice (clocks going back) is the earlier one. Fractions of a second are dropped. Raises
    `BadTime`.
    """
    if (milliseconds := _epoch(value)) is not None:
        return _from_epoch(milliseconds)
    day, clock, offset = _parts(value)
    if clock is None:
        raise BadTime("invalid_datetime", "Add a time of day: only an appointment with allDay has dates alone.")
    local = _local(f"{day}T{clock}")
    if offset is not None:
        return _in_range(_with_offset(local, offset))
    if zone is None:
        raise BadTime("missing_offset", "Add an offset such as +01:00 or Z to the time, or name a timezone.")
    aware = local.replace(tzinfo=ZoneInfo(zone), fold=0)
    if _in_zone(int(aware.timestamp()), zone).replace(tzinfo=None) != local:
        raise BadTime("nonexistent_local_time", f"The clocks in {zone} skip this time; use another, or give an offset.")
    return _in_range(aware)


def parse_day(value: str | float, zone: str) -> dt.date:
    """The day of a date, of a local time, or of an instant in `zone`. Raises `BadTime`."""
    if (milliseconds := _epoch(value)) is not None:
        return day_of(_from_epoch(milliseconds).at, zone)
    day, clock, offset = _parts(value)
    local = _local(f"{day}T{clock or '00:00'}")
    return local.date() if offset is None else day_of(_in_range(_with_offset(local, offset)).at, zone)


def day_of(at: int, zone: str) -> dt.date:
    """The day in `zone` that an instant falls on."""
    return _in_zone(at, zone).date()


def start_of(day: dt.date, zone: str) -> Time:
    """The first instant of a day in `zone`; where the clocks skip midnight, that is later."""
    aware = dt.datetime.combine(day, dt.time(), ZoneInfo(zone))
    at = int(aware.timestamp())
    return Time(at, _offset(_in_zone(at, zone)))


def _epoch(value: str | float) -> int | None:
    """The value if it is epoch milliseconds, which in a query are text; otherwise None."""
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"-?\d{9,16}", value, re.ASCII) else None
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        raise BadTime("invalid_datetime", "Epoch times are whole numbers of milliseconds.")
    return int(value)


def _from_epoch(milliseconds: int) -> Time:
    seconds = milliseconds // 1000
    if not _FIRST <= seconds < _LAST:
        raise BadTime("out_of_range", f"Epoch times are in milliseconds, from {FIRST_YEAR} to {LAST_YEAR}.")
    return Time(seconds, 0)


def _parts(value: str | float) -> tuple[str, str | None, str | None]:
    match = _RFC3339.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise BadTime("invalid_datetime", "Write a time as RFC 3339, such as 2030-01-15T10:00:00+01:00.")
    day, clock, offset = match.groups()
    return day, clock, offset


def _local(text: str) -> dt.datetime:
    try:
        local = dt.datetime.fromisoformat(text)
    except ValueError:
        raise BadTime("invalid_datetime", "There is no such date or time of day.") from None
    if not FIRST_YEAR <= local.year <= LAST_YEAR:
        raise BadTime("out_of_range", f"Use a year from {FIRST_YEAR} to {LAST_YEAR}.")
    return local


def _with_offset(local: dt.datetime, offset: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(local.isoformat() + offset.upper().replace("Z", "+00:00"))
    except ValueError:
        raise BadTime("invalid_datetime", "There is no such offset from UTC.") from None


def _in_range(aware: dt.datetime) -> Time:
    at = int(aware.timestamp())
    if not _FIRST <= at < _LAST:
        raise BadTime("out_of_range", f"Use a year from {FIRST_YEAR} to {LAST_YEAR}.")
    return Time(at, _offset(aware))


def _in_zone(at: int, zone: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(at, ZoneInfo(zone))


def _offset(aware: dt.datetime) -> int:
    return int((aware.utcoffset() or dt.timedelta()).total_seconds())
