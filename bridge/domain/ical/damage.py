"""Objects of which only a part can be read: one of several VEVENTs does not tell when it is."""

from __future__ import annotations

import datetime as dt

from bridge.domain.ical import content
from bridge.domain.ical.content import Component
from bridge.domain.ical.editing import Edit
from bridge.domain.ical.events import event
from bridge.domain.ical.zones import Zones


def unread(ics: str) -> int:
    """How many events of an object with several do not tell when they are."""
    return len(_unread(_events(ics)))


def with_last_known(ics: str, last: str) -> str:
    """The object with unreadable events replaced by those of `last`, an earlier version, where these are readable."""
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
    # An override without a start tells which instance it replaces, but not to what time that was moved.
    return [n for n, found in enumerate(read) if found is None or (found.guessed and found.recurrence_id is not None)]


def _name(component: Component) -> tuple[str, str]:
    return component.value("UID").strip(), component.value("RECURRENCE-ID").strip()
