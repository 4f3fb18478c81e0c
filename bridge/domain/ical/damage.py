"""Objects of which a part can't be read: one event among others that does not say when it is."""

from __future__ import annotations

import datetime as dt

from bridge.domain.ical import content
from bridge.domain.ical.content import Component
from bridge.domain.ical.editing import Edit
from bridge.domain.ical.events import event
from bridge.domain.ical.zones import Zones


def unread(ics: str) -> int:
    """How many of an object's several events do not say when they are."""
    return len(_unread(_events(ics)))


def with_last_known(ics: str, last: str) -> str:
    """The object with what an earlier text of it says of the events that can't be read, where that can be."""
    events, before = _events(ics), _events(last)
    no_help = _unread(before)
    known = {_name(component): number for number, component in enumerate(before) if number not in no_help}
    edit = Edit(ics, 0)
    for number in _unread(events):
        if (there := known.get(_name(events[number]))) is not None:
            edit.replace(number, Edit(last, there).whole)
    return edit.text


def _events(ics: str) -> list[Component]:
    return list(content.read(ics).walk("VEVENT"))


def _unread(events: list[Component]) -> list[int]:
    if len(events) < 2:
        return []
    zones = Zones(Component(""), dt.UTC)
    read = [event(component, zones) for component in events]
    # Of an override without a start it is known what it replaces, not where it went.
    return [n for n, found in enumerate(read) if found is None or (found.guessed and found.recurrence_id is not None)]


def _name(component: Component) -> tuple[str, str]:
    return component.value("UID").strip(), component.value("RECURRENCE-ID").strip()
