"""Requests: refusing those on which Radicale would fail, and removing from them what it need not do for each item."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from radicale import xmlutils
from radicale.item import filter as radicale_filter

from bridge.domain.model import Interval
from radicale_plugin.asked import Asked
from radicale_plugin.refusals import UnknownReport
from radicale_plugin.sample import PRESENT

_PROP = xmlutils.make_clark("D:prop")
_PROPFIND = xmlutils.make_clark("D:propfind")
_HREF = xmlutils.make_clark("D:href")
_MULTIGET = xmlutils.make_clark("C:calendar-multiget")
_SYNC = xmlutils.make_clark("D:sync-collection")
_QUERY = xmlutils.make_clark("C:calendar-query")
_FILTERS = (xmlutils.make_clark("C:filter"), xmlutils.make_clark("CR:filter"))
_FREE_BUSY = xmlutils.make_clark("C:free-busy-query")
_TIME_RANGE = xmlutils.make_clark("C:time-range")
_EXPAND = xmlutils.make_clark("C:expand")

#: The reports that Radicale answers. Some of the answers are empty, but clients rely on them.
_REPORTS = frozenset(
    {
        *(_MULTIGET, _QUERY, _FREE_BUSY, _SYNC),
        *map(xmlutils.make_clark, ("CR:addressbook-multiget", "CR:addressbook-query", "D:expand-property")),
        *map(xmlutils.make_clark, ("D:principal-search-property-set", "D:principal-property-search")),
    }
)
#: Requests that are nested deeper are refused: Radicale would run out of stack.
_DEEPEST = 50
#: Filters with more elements are refused: they would be tested against each event.
_MOST_TESTS = 100

#: The name of a published item, written without escapes.
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def check(request: ET.Element, method: str, *, of_item: bool) -> None:
    """Raises `RuntimeError` where something is missing that Radicale relies on, `UnknownReport` for other reports.

    Only a collection has changes (RFC 6578 section 3.2) and several items (RFC 4791 section 7.9) to report. Radicale
    would hold each of them in memory.
    """
    level = [request]
    for _ in range(_DEEPEST):
        level = [child for one in level for child in one]
    if level:
        raise RuntimeError("elements in elements without end")
    if sum(1 for name in _FILTERS for one in request.iter(name) for _ in one.iter()) > _MOST_TESTS:
        raise RuntimeError("a filter with more tests than anybody needs")
    if method == "PROPFIND":
        if request.tag != _PROPFIND or len(request) == 0:
            raise RuntimeError("a PROPFIND of nothing")
        if not all(element.tag.startswith("{") for element in request.iter()):
            raise RuntimeError("an element without a namespace")
    elif request.tag not in _REPORTS or (of_item and request.tag == _SYNC):
        raise UnknownReport(request.tag[:100])
    if request.tag == _MULTIGET:
        if not all(href.text for href in request.iter(_HREF)):
            raise RuntimeError("an empty href")
        if of_item and len(request.findall(_HREF)) > 1:
            raise RuntimeError("several items of one")
    if request.tag == _FREE_BUSY and request.find(_TIME_RANGE) is None:
        raise RuntimeError("a free-busy-query without a time-range")


def note_asked(request: ET.Element, asked: Asked, lead: str) -> None:
    """Move the names of items and CALDAV:expand from the request to the Asked.

    `lead` is the beginning of the hrefs of items. Anything unusual stays in the request, for Radicale to handle.
    """
    asked.free_busy = request.tag == _FREE_BUSY
    if request.tag != _QUERY:
        # Other reports have no filters, and unexpected elements have to be ignored (RFC 4918 section 17).
        for name in _FILTERS:
            for found in request.findall(name):
                request.remove(found)
    if request.tag == _MULTIGET:
        hrefs = request.findall(_HREF)
        usual = [href for href in hrefs if _is_usual(href, lead)]
        for href in usual:
            request.remove(href)
        asked.name((href.text or "")[len(lead) :] for href in usual)
        asked.only_names = len(usual) == len(hrefs)
        if asked.names:
            ET.SubElement(request, _HREF).text = lead + PRESENT
    expand = request.find(f".//{_EXPAND}")  # Radicale, too, takes the first one, wherever it is
    if expand is not None and expand.get("start") and expand.get("end"):
        try:
            asked.expand = Interval(*radicale_filter.time_range_timestamps(expand))
        except ValueError:
            return
        for parent in list(request.iter()):
            for found in parent.findall(_EXPAND):
                parent.remove(found)


def drop_repetitions(request: ET.Element) -> None:
    """Remove properties that are asked for again: Radicale would find each out, and say it, as often as that."""
    for prop in request.iter(_PROP):
        first: dict[str, ET.Element] = {}
        for one in prop:
            first.setdefault(one.tag, one)
        prop[:] = first.values()


def _is_usual(href: ET.Element, lead: str) -> bool:
    text = href.text or ""
    return len(href) == 0 and text.startswith(lead) and _PLAIN.fullmatch(text, len(lead)) is not None
