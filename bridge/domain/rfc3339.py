"""Instants as text that programs read (RFC 3339)."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo


def format_time(at: int, *, zone: str | None, utc_offset: int) -> str:
    """Unix seconds as RFC 3339: in the time zone `zone` if it is given, else at `utc_offset` (seconds east of UTC)."""
    where: dt.tzinfo = ZoneInfo(zone) if zone else dt.timezone(dt.timedelta(seconds=utc_offset))
    return dt.datetime.fromtimestamp(at, where).isoformat(timespec="seconds")


def format_utc(at: int) -> str:
    """Unix seconds as RFC 3339 in UTC, ending in Z."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
