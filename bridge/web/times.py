"""Instants as CRMs write them, and back. Pure."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

#: Years that an appointment can lie in; beyond them are typing errors.
FIRST_YEAR, LAST_YEAR = 1970, 2200

_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?([Zz]|[+-]\d{2}:?\d{2})?)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Time:
    """An instant (Unix seconds, UTC) and the offset from UTC, in seconds, that it was written with."""

    at: int
    utc_offset: int


class BadTime(ValueError):
    """A time that can't be used. `code` is the API's; the message says what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def parse_time(value: str | int | float, zone: str | None, *, date_only: bool = False) -> Time:
    """An instant from RFC 3339 text with an offset, epoch milliseconds, or local time in `zone` (an IANA name).

    A local time that occurs twice (clocks going back) is the earlier one. With `date_only` the day's first instant in
    `zone` is meant. Raises `BadTime`.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise BadTime("invalid_datetime", "Write a time as text, such as 2030-01-15T10:00:00+01:00.")
    if not isinstance(value, str) or re.fullmatch(r"-?\d{9,16}", value, re.ASCII):
        return _from_epoch(int(value))
    match = _RFC3339.fullmatch(value.strip())
    if match is None:
        raise BadTime("invalid_datetime", "Write a time as RFC 3339, such as 2030-01-15T10:00:00+01:00.")
    day, clock, offset = match.groups()
    if clock is None and not date_only:
        raise BadTime("invalid_datetime", "Give a time of day too, or set allDay.")
    try:
        local = dt.datetime.fromisoformat(f"{day}T{clock or '00:00'}")
    except ValueError:
        raise BadTime("invalid_datetime", "There is no such date or time of day.") from None
    if not FIRST_YEAR <= local.year <= LAST_YEAR:
        raise BadTime("out_of_range", f"Use a year from {FIRST_YEAR} to {LAST_YEAR}.")
    if date_only:
        local = local.replace(hour=0, minute=0, second=0)
        offset = None
    if offset is not None:
        aware = dt.datetime.fromisoformat(local.isoformat() + offset.upper().replace("Z", "+00:00"))
    elif zone is None:
        raise BadTime("missing_offset", "Add an offset such as +01:00 or Z to the time, or name a timezone.")
    else:
        aware = _in_zone(local, zone, all_day=date_only)
    shift = aware.utcoffset() or dt.timedelta()
    return Time(int(aware.timestamp()), int(shift.total_seconds()))


def _from_epoch(milliseconds: int) -> Time:
    seconds = milliseconds // 1000
    first = dt.datetime(FIRST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp()
    last = dt.datetime(LAST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp()
    if not first <= seconds <= last:
        raise BadTime("out_of_range", "Epoch times are in milliseconds, from 1970 to 2200.")
    return Time(seconds, 0)


def _in_zone(local: dt.datetime, zone: str, *, all_day: bool) -> dt.datetime:
    aware = local.replace(tzinfo=ZoneInfo(zone), fold=0)
    there_and_back = aware.astimezone(dt.UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if there_and_back != local and not all_day:
        raise BadTime("nonexistent_local_time", f"The clocks in {zone} skip this time; use another, or give an offset.")
    return aware


def format_time(at: int, *, zone: str | None, utc_offset: int) -> str:
    """RFC 3339 with seconds: in `zone` if there is one, else with the offset."""
    where: dt.tzinfo = ZoneInfo(zone) if zone else dt.timezone(dt.timedelta(seconds=utc_offset))
    return dt.datetime.fromtimestamp(at, where).isoformat(timespec="seconds")


def format_utc(at: int) -> str:
    """RFC 3339 in UTC."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
