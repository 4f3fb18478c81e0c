"""Two-way: what a person did to a pushed appointment's event in iCloud, and what the CRM did meanwhile.

Each side is compared with its own past: ours with what we last sent, theirs with what we last read. A server that
rewrites a value on arrival (white space, say) has thereby not changed anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.domain.model import AppointmentFields

#: When and how long is one thing: a start from one side with an end from the other would be nobody's wish.
WHEN = ("start", "end", "time_zone", "all_day", "rrule")
GROUPS: tuple[tuple[str, ...], ...] = (
    WHEN,
    ("title",),
    ("description",),
    ("address",),
    ("status",),
    ("invitee",),
)


def same_when(one: AppointmentFields, other: AppointmentFields) -> bool:
    """Whether both say the same of when it is."""
    return all(getattr(one, name) == getattr(other, name) for name in WHEN)


@dataclass(frozen=True, slots=True)
class Merge:
    """The outcome. Field names are those of AppointmentFields."""

    fields: AppointmentFields
    #: What the person changed in iCloud and the Appointment takes over.
    taken: frozenset[str]
    #: What both changed, differently: the CRM's newer write stands.
    contested: frozenset[str]


def merge(
    ours: AppointmentFields, sent: AppointmentFields | None, was: AppointmentFields | None, theirs: AppointmentFields
) -> Merge:
    """Merge `theirs` (the event now) into `ours` (the Appointment now).

    `sent` is the Appointment as last written upstream (None: never), `was` the event as last read (None: never; then
    what was sent stands for it).
    """
    if sent is None:
        # Never written before: an earlier attempt that we did not hear back from. The Appointment stands.
        return Merge(ours, frozenset(), frozenset())
    past = was if was is not None else sent
    result = ours
    taken: set[str] = set()
    contested: set[str] = set()
    for group in GROUPS:
        they = {name for name in group if getattr(theirs, name) != getattr(past, name)}
        if not they or all(getattr(theirs, name) == getattr(ours, name) for name in group):
            continue
        if any(getattr(ours, name) != getattr(sent, name) for name in group):
            contested |= they
        else:
            result = replace(result, **{name: getattr(theirs, name) for name in group})
            taken |= they
    return Merge(result, frozenset(taken), frozenset(contested))


def to_write(ours: AppointmentFields, sent: AppointmentFields | None, theirs: AppointmentFields) -> AppointmentFields:
    """What the event should say: the CRM's value where the CRM changed it since it was sent, else what is there."""
    if sent is None:
        return ours
    result = theirs
    for group in GROUPS:
        if any(getattr(ours, name) != getattr(sent, name) for name in group):
            result = replace(result, **{name: getattr(ours, name) for name in group})
    return result
