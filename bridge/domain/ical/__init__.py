"""iCalendar: reading what other programs wrote, deciding when it takes time, and writing it.

Everything is pure. A mistake in a part of an object that does not matter here never makes the object unreadable, and no
recurrence rule, however absurd, takes more than bounded time. The modules, each using those before it:

- `content`: content lines and components, read and written. `editing`: changing single properties of a text.
- `scales`, `rules`, `recurrence`, `harmless`: recurrence rules, what they yield, and making extreme ones manageable.
- `observances`, `zones`, `vtimezones`: time zones.
- `events`, `series`: one VEVENT; and a recurring one with its overrides and exceptions, as instances. `damage`: objects
  of which some VEVENTs can't be read.
- `judge`, `verdicts`: whether an event takes time from its owner, and why.
- `rendering`, `slots`: the objects that the merged calendar serves.
- `repeats`, `invitations`, `owned`, `appointments`: Appointments written as events, and read back.
- `instances`, `moves`, `rule_changes`: single times of recurring Appointments, and changes of their rule.
"""

from __future__ import annotations

import hashlib

from bridge.domain.ical import content
from bridge.domain.ical.appointments import answer, appointment, upstream_event, upstream_fields
from bridge.domain.ical.damage import unread, with_last_known
from bridge.domain.ical.events import event
from bridge.domain.ical.instances import changed_singly, instance, instances, leaves_out, with_single_times_of
from bridge.domain.ical.invitations import can_be_invited, unsigned
from bridge.domain.ical.judge import Reason
from bridge.domain.ical.rendering import Rendered
from bridge.domain.ical.repeats import normalise_rrule, rrule_problem
from bridge.domain.ical.rule_changes import (
    begins_with,
    end_before,
    ends_before_it_begins,
    leave_out,
    moved_along,
    rest_from,
    rest_of_event,
)
from bridge.domain.ical.slots import blocked_slot, crm_slot, occurrences, titles, zones_of
from bridge.domain.ical.verdicts import Part, Verdict, verdicts
from bridge.errors import Unreadable

__all__ = [
    "Part",
    "Reason",
    "Rendered",
    "Verdict",
    "answer",
    "appointment",
    "begins_with",
    "blocked_slot",
    "can_be_invited",
    "changed_singly",
    "crm_slot",
    "end_before",
    "ends_before_it_begins",
    "identify",
    "instance",
    "instances",
    "is_plain",
    "leave_out",
    "leaves_out",
    "moved_along",
    "normalise_rrule",
    "occurrences",
    "rest_from",
    "rest_of_event",
    "rrule_problem",
    "summary",
    "titles",
    "unread",
    "unsigned",
    "upstream_event",
    "upstream_fields",
    "verdicts",
    "with_last_known",
    "with_single_times_of",
]


def identify(ics: str) -> str:
    """The UID of an object; one made from its text where it has none.

    Raises `Unreadable` when it holds no event, or none of its events tells anything of when it is.
    """
    root = content.read(ics)
    events = list(root.walk("VEVENT"))
    if not events:
        raise Unreadable("The object holds no event.")
    zones = zones_of(root, "UTC")
    if all(event(component, zones) is None for component in events):
        raise Unreadable("No event in the object says when it is.")
    uids = (component.value("UID").strip() for component in events)
    return next(
        (uid for uid in uids if uid), f"without-uid-{hashlib.sha256(ics.encode(errors='replace')).hexdigest()[:32]}"
    )


def is_plain(ics: str) -> bool:
    """Whether an object is one event or series without exceptions: then it takes all of its times, or none."""
    text = ics.upper()
    return text.count("BEGIN:VEVENT") == 1 and not any(name in text for name in ("EXDATE", "EXRULE", "RECURRENCE-ID"))


def summary(ics: str) -> str:
    """The title of an object's first event."""
    component = next(content.read(ics).walk("VEVENT"), None)
    return "" if component is None else content.unescape(component.value("SUMMARY"))
