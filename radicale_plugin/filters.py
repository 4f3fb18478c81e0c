"""Which CalDAV filters (RFC 4791 section 9.7) the store answers exactly, and which only roughly."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, replace

from radicale import xmlutils
from radicale.item import filter as radicale_filter

from bridge.domain.model import Interval
from radicale_plugin.properties import is_understood

_COMP_FILTER = xmlutils.make_clark("C:comp-filter")
_PROP_FILTER = xmlutils.make_clark("C:prop-filter")
_IS_NOT_DEFINED = xmlutils.make_clark("C:is-not-defined")
_TIME_RANGE = xmlutils.make_clark("C:time-range")
_TEXT_MATCH = xmlutils.make_clark("C:text-match")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look up: items in `span` (None: all), and of these, those with an event that has all `properties`.

    `exact`: exactly these items match. Otherwise each of them still has to be tested.
    """

    span: Interval | None = None
    properties: tuple[ET.Element, ...] = ()
    exact: bool = True

    @property
    def uid(self) -> str | None:
        """The text that the UID has to contain, if the filter asks for one: then only those items are read."""
        for wanted in self.properties:
            if wanted.get("name", "").upper() == "UID" and [child.tag for child in wanted] == [_TEXT_MATCH]:
                match = wanted[0]
                if match.get("negate-condition", "no") == "no" and match.text:
                    return match.text
        return None


def understand(filters: Sequence[ET.Element]) -> Wanted | None:
    """What the filters ask for; None when no event can match. Raises `ValueError` for an invalid time.

    These are handled exactly: comp-filters on VCALENDAR and on components in it, and for VEVENT a time-range,
    prop-filters and comp-filters. Anything else is left to Radicale, which has to parse events for it.
    """
    if any(len(one) > 1 for one in filters):
        return Wanted(exact=False)
    calendars = [child for one in filters for child in one]
    if not calendars:
        return Wanted()
    components: list[ET.Element] = []
    for calendar in calendars:
        if calendar.tag != _COMP_FILTER or calendar.get("name", "").upper() != "VCALENDAR":
            return Wanted(exact=False)
        components += calendar
    if any(component.tag != _COMP_FILTER for component in components):
        return Wanted(exact=False)
    return _of_components(components)


def _of_components(components: Sequence[ET.Element]) -> Wanted | None:
    """What filters on the components of a calendar ask for together. It only has events, and their time zones."""
    events: list[ET.Element] = []
    exact = True
    for component in components:
        name = component.get("name", "").upper()
        absent = _is_absence(component)
        if name == "VTIMEZONE":
            exact = False
        elif (name == "VEVENT") == absent:
            return None
        elif name == "VEVENT":
            events.append(component)
    if len(events) > 1:
        return Wanted(exact=False)
    wanted = _of_event(events[0]) if events else Wanted()
    return wanted if wanted is None or exact else replace(wanted, exact=False)


def _of_event(component: ET.Element) -> Wanted | None:
    """What a filter on events asks for. They contain no components: alarms are not published."""
    nested = [child for child in component if child.tag == _COMP_FILTER]
    if not all(map(_is_absence, nested)):
        return None
    ranges = [child for child in component if child.tag == _TIME_RANGE]
    properties = tuple(child for child in component if child.tag == _PROP_FILTER)
    if len(ranges) > 1 or len(ranges) + len(properties) + len(nested) < len(component):
        return Wanted(exact=False)
    span = Interval(*radicale_filter.time_range_timestamps(ranges[0])) if ranges else None
    if all(map(is_understood, properties)):
        return Wanted(span, properties)
    return Wanted(span, tuple(filter(is_understood, properties)), exact=False)


def _is_absence(component: ET.Element) -> bool:
    return [child.tag for child in component] == [_IS_NOT_DEFINED]
