"""The Retry-After header (RFC 9110 section 10.2.3)."""

from __future__ import annotations

import datetime as dt
import email.utils
import math


def seconds(value: str | None) -> float | None:
    """The seconds to wait, from a number or a date; at least 0. None where the header is missing or unreadable."""
    if value is None:
        return None
    try:
        wait = float(value)  # only whole numbers are allowed, but servers also send fractions
    except ValueError:
        try:
            wait = (email.utils.parsedate_to_datetime(value) - dt.datetime.now(dt.UTC)).total_seconds()
        except (TypeError, ValueError, OverflowError):  # TypeError: a date without time zone
            return None
    return max(0.0, wait) if math.isfinite(wait) else None
