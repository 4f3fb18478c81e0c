"""Which CalDAV filters (RFC 4791 section 9.7) the store answers exactly, and which only roughly."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from radicale import xmlutils
from radicale.item import filter as radicale_filter

from bridge.domain.model import Interval

_COMP_FILTER = xmlutils.make_clark("C:comp-filter")
_PROP_FILTER = xmlutils.make_clark("C:prop-filter")
_IS_NOT_DEFINED = xmlutils.make_clark("C:is-not-defined")
_TIME_RANGE = xmlutils.make_clark("C:time-range")
_TEXT_MATCH = xmlutils.make_clark("C:text-match")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look up: items in `span`, or any; of these, those of which some event has all `properties`.

    `exact`: these match, and nothing else does. If not, each of them is still to be tested.
    """

    span: Interval | None = None
    properties: tuple[ET.Element, ...] = ()
    exact: bool = True

    @property
    def uid(self) -> str | None:
        """What the UID has to contain, if that is asked for: it saves reading the others."""
        for wanted in self.properties:
            if wanted.get("name", "").upper() == "UID" and [child.tag for child in wanted] == [_TEXT_MATCH]:
                match = wanted[0]
                if match.get("negate-condition", "no") == "no" and match.text:
                    return match.text
        return None


def understand(filters: Sequence[ET.Element]) -> Wanted | None:
    """What the filters ask for; None when no event can match. Raises `ValueError` for a time that is none.

    Understood to the letter are a comp-filter on VCALENDAR, on VEVENT in it, and in that a time-range and prop-filters.
    Anything else is left to Radicale, over all items.
    """
    if not filters:
        return Wanted()
    if len(filters) != 1 or len(filters[0]) != 1:
        return Wanted(exact=False)
    calendar = filters[0][0]
    if calendar.tag != _COMP_FILTER or calendar.get("name", "").upper() != "VCALENDAR":
        return Wanted(exact=False)
    if len(calendar) == 0:
        return Wanted()
    if len(calendar) != 1 or calendar[0].tag != _COMP_FILTER:
        return Wanted(exact=False)
    component = calendar[0]
    name = component.get("name", "").upper()
    absent = [child.tag for child in component] == [_IS_NOT_DEFINED]
    if name != "VEVENT":
        # Nothing but events is served, with the time zones that they need.
        return Wanted(exact=name != "VTIMEZONE") if absent or name == "VTIMEZONE" else None
    if absent:
        return None
    ranges = [child for child in component if child.tag == _TIME_RANGE]
    properties = tuple(child for child in component if child.tag == _PROP_FILTER)
    if len(ranges) > 1 or len(ranges) + len(properties) < len(component):
        return Wanted(exact=False)
    span = Interval(*radicale_filter.time_range_timestamps(ranges[0])) if ranges else None
    return Wanted(span, properties)
