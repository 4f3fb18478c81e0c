"""Names of time zones."""

from __future__ import annotations

import difflib
import functools
import zoneinfo


def is_time_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone name."""
    return name in _known()


def advice(name: str) -> str:
    """What to write instead of a name that is not a time zone."""
    close = difflib.get_close_matches(name, sorted(_known()), n=1)
    return f'did you mean "{close[0]}"?' if close else "use an IANA name such as Europe/Berlin."


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())  # reads the whole time zone database on each call
