"""Which CalDAV filters (RFC 4791 section 9.7) the store answers exactly, and which only roughly."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from radicale import xmlutils
from radicale.item import filter as radicale_filter

from bridge.domain.model import Interval

_COMP_FILTER = xmlutils.make_clark("C:comp-filter")
_TIME_RANGE = xmlutils.make_clark("C:time-range")


@dataclass(frozen=True, slots=True)
class Candidates:
    """What to look up: items in `span`, or all of them. `exact`: they match, and nothing else does."""

    span: Interval | None
    exact: bool


def understand(filters: Sequence[ET.Element]) -> Candidates | None:
    """What the filters ask for; None when no event can match.

    Understood to the letter are a comp-filter on VCALENDAR, on VEVENT in it, and a time-range in that. Anything else is
    left to Radicale, over all items.
    """
    if len(filters) != 1 or len(filters[0]) != 1:
        return Candidates(None, exact=not filters)
    calendar = filters[0][0]
    if calendar.tag != _COMP_FILTER or calendar.get("name", "").upper() != "VCALENDAR":
        return Candidates(None, exact=False)
    if len(calendar) == 0:
        return Candidates(None, exact=True)
    if len(calendar) != 1 or calendar[0].tag != _COMP_FILTER:
        return Candidates(None, exact=False)
    component = calendar[0]
    name = component.get("name", "").upper()
    if name in {"VTODO", "VJOURNAL"} and not any(child.tag.endswith("is-not-defined") for child in component):
        return None
    if name != "VEVENT":
        return Candidates(None, exact=False)
    if len(component) == 0:
        return Candidates(None, exact=True)
    if len(component) == 1 and component[0].tag == _TIME_RANGE:
        start, end = radicale_filter.time_range_timestamps(component[0])
        return Candidates(Interval(start, end), exact=True)
    return Candidates(None, exact=False)
