"""Two-way: merging what a person did to an appointment's event in iCloud with what the CRM changed meanwhile.

Each side is compared with its own past: the Appointment with what was last sent, the event with what was last read. So
a server that rewrites values when it stores them (white space, for example) does not count as a change by the person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.domain.model import AppointmentFields

#: These are merged as one: nobody wants the start from one side and the end from the other.
WHEN = ("start", "end", "time_zone", "all_day", "rrule")
#: The fields of AppointmentFields, in groups that are merged together.
GROUPS: tuple[tuple[str, ...], ...] = (
    WHEN,
    ("title",),
    ("description",),
    ("address",),
    ("status",),
    ("invitee",),
)


def same_when(one: AppointmentFields, other: AppointmentFields) -> bool:
    """Whether both take place at the same times."""
    return all(getattr(one, name) == getattr(other, name) for name in WHEN)


@dataclass(frozen=True, slots=True)
class Merge:
    """The outcome. Field names are those of AppointmentFields."""

    fields: AppointmentFields
    #: Changed by the person in iCloud, and taken over into the Appointment.
    taken: frozenset[str]
    #: Changed by both sides, to different values: the CRM's value stands.
    contested: frozenset[str]


def merge(
    ours: AppointmentFields, sent: AppointmentFields | None, was: AppointmentFields | None, theirs: AppointmentFields
) -> Merge:
    """Merge `theirs` (the event as it is now) into `ours` (the Appointment as it is now).

    `sent` is the Appointment as it was last written upstream; None: never. `was` is the event as it was last read;
    None: never, and then it is taken to be what was sent.
    """
    if sent is None:
        # The event is from an attempt of ours whose answer was lost, so nobody has changed it: the Appointment stands.
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


def arrived(agreed: AppointmentFields, sent: AppointmentFields, theirs: AppointmentFields) -> frozenset[str]:
    """The names of the fields in which the event is as an attempt has `sent` it, and not as was `agreed` before."""

    def differ(group: tuple[str, ...], one: AppointmentFields, other: AppointmentFields) -> bool:
        return any(getattr(one, name) != getattr(other, name) for name in group)

    found = [group for group in GROUPS if differ(group, sent, agreed) and not differ(group, theirs, sent)]
    return frozenset(name for group in found for name in group)


def to_write(ours: AppointmentFields, sent: AppointmentFields | None, theirs: AppointmentFields) -> AppointmentFields:
    """The fields to write: ours where the CRM changed them since `sent`, otherwise those that the event has now."""
    if sent is None:
        return ours
    result = theirs
    for group in GROUPS:
        if any(getattr(ours, name) != getattr(sent, name) for name in group):
            result = replace(result, **{name: getattr(ours, name) for name in group})
    return result
