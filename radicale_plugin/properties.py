"""Prop-filters: the attributes that Radicale's filters read from parsed events, provided from their text.

vobject needs milliseconds to parse an event: minutes, when a title is searched for in a whole calendar. Radicale's
filters only read names, values and parameters of properties, so the objects here provide just these.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from radicale import xmlutils
from radicale.item import filter as radicale_filter

from bridge.domain.ical import content

_TIME_RANGE = xmlutils.make_clark("C:time-range")
_LISTS = frozenset({"CATEGORIES", "RESOURCES"})
_COMMA = re.compile(r"(?<!\\),")
_PARAM = re.compile(r';\s*([A-Za-z0-9-]+)\s*=\s*((?:"[^"]*"|[^;])*)')
_VALUE = re.compile(r'"([^"]*)"|([^",]+)')


def has(ics: str, wanted: Sequence[ET.Element]) -> bool:
    """Whether a published object has, for each of these prop-filters, an event that passes it (RFC 4791 section 9.7.2).

    Raises `ValueError` for one that Radicale does not understand.
    """
    names = {one.get("name", "").upper() for one in wanted}
    events = list(_events(ics, names))
    return all(any(radicale_filter.prop_match(event, one, "C") for event in events) for one in wanted)


def is_understood(wanted: ET.Element) -> bool:
    """Whether `has` can decide these filters. For a time-range in a prop-filter, Radicale needs a parsed event."""
    return wanted.find(_TIME_RANGE) is None


@dataclass(frozen=True, slots=True)
class _Property:
    """One property, with vobject's attributes. The values of each parameter are a list."""

    value: str | list[str]
    params: dict[str, list[str]]


class _Event:
    """An event, with vobject's attributes: its properties by name in lower case."""

    def __init__(self) -> None:
        self.contents: dict[str, list[_Property]] = {}

    def __getattr__(self, name: str) -> list[_Property]:
        """`summary_list`, and so on."""
        if not name.endswith("_list"):
            raise AttributeError(name)
        return self.contents.get(name.removesuffix("_list"), [])


def _events(ics: str, names: Collection[str]) -> Iterator[_Event]:
    """The events with these of their properties."""
    event: _Event | None = None
    for text in content.unfold(ics).split("\n"):
        if text == "BEGIN:VEVENT":
            event = _Event()
        elif text == "END:VEVENT" and event is not None:
            yield event
            event = None
        elif (
            event is not None
            and text.partition(":")[0].partition(";")[0].upper() in names
            and (line := content.split(text)) is not None
        ):
            event.contents.setdefault(line.name.lower(), []).append(_property(line))


def _property(line: content.Line) -> _Property:
    value: str | list[str] = content.unescape(line.value)
    if line.name in _LISTS:
        value = [content.unescape(one) for one in _COMMA.split(line.value)]
    params = {
        name.upper(): [quoted or plain for quoted, plain in _VALUE.findall(values)]
        for name, values in (_PARAM.findall(line.params) if line.params else ())
    }
    return _Property(value, params)
