"""Appointments as events: published in the merged calendar, written to the primary calendar, and read back from it.

In an event upstream, the CRM owns the times, title, description, place and status, and the invitation of the contact.
In an event that exists already, only the owned properties that differ are rewritten, line by line: a person's alarms,
notes, overrides and guests stay as they are, byte for byte.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from bridge.domain.ical import content, invitations, owned, rendering
from bridge.domain.ical.content import Component
from bridge.domain.ical.editing import Edit, with_overrides_of, without_params
from bridge.domain.ical.events import Event, Moment, event, same_kind
from bridge.domain.ical.judge import Judge
from bridge.domain.ical.moves import Move
from bridge.domain.ical.rendering import Rendered, Stretch, at, published, single_stretch, until_value
from bridge.domain.ical.repeats import normalise_rrule
from bridge.domain.ical.series import pattern, read, single
from bridge.domain.ical.slots import slot_of, years_around, zones_of
from bridge.domain.ical.vtimezones import tzid_of, vtimezones
from bridge.domain.model import Appointment, AppointmentFields, Interval, SlotSettings
from bridge.errors import Unreadable

_GONE = frozenset({"cancelled", "invalid"})


def appointment(booked: Appointment, *, time_zone: str, horizon: Interval) -> Rendered | None:
    """The published object of an Appointment, with its id as UID. `time_zone` is the User's.

    None when every single instance is excluded. An appointment without length is published, but takes no time.
    """
    fields = booked.fields
    lines = owned.lines(fields)
    root = content.read(owned.plain_event(fields))
    zones = zones_of(root, time_zone)
    series = read(root, zones, horizon.start)[0][0]
    title = content.clean(fields.title)
    details = tuple(line for line in lines if line.startswith(("DESCRIPTION:", "LOCATION:", "URL:", "STATUS:")))
    if not series.pattern.rules and not series.excluded:
        only = single(series.master)
        return single_stretch(booked.id, Stretch(only.start, only.end, only.all_day, title), zones.user, details)
    slot = slot_of(series, Judge(SlotSettings(), frozenset()), years_around(horizon))
    slot.summary, slot.details = title, details
    return published(slot, booked.id, zones.user, horizon)


def upstream_event(booked: Appointment, *, now: int, onto: str | None, sender: str | None = None) -> str:
    """The text to PUT for an Appointment.

    With `onto` None, a new object; otherwise `onto` (the object as it is upstream), with the owned properties changed
    that differ. Where none does, `onto` is returned unchanged. Where `onto` does not tell when the event is, the object
    is a new one with the overrides of `onto`. `sender` is the address that invites the contact; without it, nobody is
    invited. `now` is in Unix seconds.
    """
    if onto is None:
        return _new(booked, now, sender)
    root = content.read(onto)
    fields = booked.fields
    try:
        number, component = owned.event_of(root)
        theirs = owned.read_owned(component, root, fields)
    except Unreadable:
        return with_overrides_of(_new(booked, now, sender), onto if fields.rrule else None)
    ours = owned.as_written(fields)
    edit = Edit(onto, number)
    _write_single_times(edit, root, ours, theirs, fields)
    written = {line.partition(":")[0].partition(";")[0]: line for line in owned.lines(fields)}
    if not owned.same_when(ours, theirs):
        _write_when(edit, fields)
    for name, mine, there in (
        ("SUMMARY", ours.title, theirs.title),
        ("DESCRIPTION", ours.description, theirs.description),
        ("LOCATION", ours.address, theirs.address),
    ):
        if mine != there:
            _write_text(edit, name, written.get(name))
    if ours.address != theirs.address and (owned.is_url(theirs.address) or not edit.get("URL")):
        edit.set("URL", [written["URL"]] if "URL" in written else [])
    if theirs.status not in {ours.status, ""} or (ours.status == "CANCELLED" and not theirs.status):
        edit.set("STATUS", [f"STATUS:{ours.status}"])
        if "CANCELLED" in {ours.status, theirs.status}:
            edit.set("TRANSP", [f"TRANSP:{'TRANSPARENT' if ours.status == 'CANCELLED' else 'OPAQUE'}"])
    if sender is not None:
        _write_invitation(edit, booked, component, sender)
        if onto == booked.carried:
            invitations.sign(edit, sender)
    if edit.text == onto:
        return onto
    for line in _hints(booked):
        edit.set(line.partition(":")[0], [line])
    edit.set("LAST-MODIFIED", [f"LAST-MODIFIED:{content.utc(now)}"])
    edit.set("DTSTAMP", [f"DTSTAMP:{content.utc(now)}"])
    return edit.text


def upstream_fields(ics: str, *, like: AppointmentFields, sent: AppointmentFields | None = None) -> AppointmentFields:
    """The Appointment's fields as its event upstream has them.

    `like` are the fields of the Appointment. Where the event agrees with them as far as an event can express, they are
    returned unchanged. Of the guests, the contact is the one whom `like` or `sent` (the fields as last written)
    invites. Raises `Unreadable` when the object holds no event, or the event does not tell when it is.
    """
    root = content.read(ics)
    _, component = owned.event_of(root)
    ours, theirs = owned.as_written(like), owned.read_owned(component, root, like)
    fields = like if owned.same_when(ours, theirs) else _with_when(like, theirs)
    if theirs.status == "CANCELLED" or (theirs.excluded and _is_called_off(root, like)):
        status = like.status if like.status in _GONE else "cancelled"
    else:
        status = "confirmed" if like.status in _GONE and theirs.status else like.status
    contacts = (like.invitee, sent.invitee if sent is not None else None)
    return replace(
        fields,
        title=like.title if theirs.title == ours.title else theirs.title,
        description=like.description if theirs.description == ours.description else theirs.description,
        address=like.address if theirs.address == ours.address else theirs.address,
        status=status,
        invitee=next((one for one in contacts if one and invitations.is_invited(component, one)), None),
    )


def answer(ics: str, invitee: str | None) -> str | None:
    """What the invited contact answered: a PARTSTAT in lower case; None: nothing yet, or they are not invited."""
    if invitee is None:
        return None
    try:
        return invitations.answer(owned.event_of(content.read(ics))[1], invitee)
    except Unreadable:
        return None


# --- What an event says --------------------------------------------------------------------------------------------


def _is_called_off(root: Component, like: AppointmentFields) -> bool:
    """Whether a person deleted every single time of a series."""
    several, orphans = read(root, zones_of(root, like.time_zone or "UTC"), like.start)
    return not orphans and all(series.is_called_off for series in several)


def _with_when(like: AppointmentFields, theirs: owned.Owned) -> AppointmentFields:
    zone = theirs.zone
    if zone is None and (theirs.all_day or theirs.rule is None or theirs.event.start.zone is not dt.UTC):
        zone = like.time_zone
    rrule = None
    if theirs.rule is not None:
        start = theirs.event.start
        lines = [f"RRULE:{theirs.rule.text(until_value(theirs.until, start))}"]
        if theirs.excluded:
            moments = [at(key, start) for key in sorted(theirs.excluded)]
            days = start.is_date
            values = [content.day(m.local) if days else content.utc(m.instant) for m in moments]
            lines.append(f"EXDATE{';VALUE=DATE' if days else ''}:{','.join(values)}")
        rrule = normalise_rrule("\n".join(lines))
    return replace(like, start=theirs.start, end=theirs.end, all_day=theirs.all_day, time_zone=zone, rrule=rrule)


# --- What is written -----------------------------------------------------------------------------------------------


def _new(booked: Appointment, now: int, sender: str | None) -> str:
    invitee = booked.fields.invitee
    return content.calendar(
        [
            *_zone_lines(booked.fields),
            "BEGIN:VEVENT",
            f"UID:{booked.uid}",
            f"DTSTAMP:{content.utc(now)}",
            f"CREATED:{content.utc(booked.created_at)}",
            f"LAST-MODIFIED:{content.utc(booked.updated_at)}",
            "SEQUENCE:0",
            *owned.lines(booked.fields),
            f"TRANSP:{'TRANSPARENT' if booked.fields.status in _GONE else 'OPAQUE'}",
            *([invitations.organizer(sender), _attendee(booked, invitee)] if sender and invitee else []),
            *_hints(booked),
            "END:VEVENT",
        ]
    )


def _write_invitation(edit: Edit, booked: Appointment, there: Component, sender: str) -> None:
    invitee, before = booked.fields.invitee, booked.agreed.invitee if booked.agreed is not None else None
    if before is not None and before != invitee:
        invitations.uninvite(edit, before)
    if invitee is not None and not invitations.is_invited(there, invitee):
        invitations.invite(edit, _attendee(booked, invitee), sender)


def _attendee(booked: Appointment, invitee: str) -> str:
    contact = booked.extra.get("contact")
    name = contact.get("name") if isinstance(contact, dict) else None
    return invitations.attendee(invitee, str(name or ""))


def _hints(booked: Appointment) -> list[str]:
    """X- properties for people and programs that look at the event. The bridge never reads them."""
    meeting = booked.extra.get("meetingLocationType")
    return [
        f"X-CRM-APPOINTMENT-ID:{content.escape(booked.id)}",
        *([f"X-CRM-CONTACT-ID:{content.escape(booked.contact_id)}"] if booked.contact_id else []),
        *([f"X-CRM-MEETING-TYPE:{content.escape(meeting)}"] if isinstance(meeting, str) and meeting else []),
        f"X-CRM-SOURCE:{content.escape(booked.source)}",
    ]


def _zone_lines(fields: AppointmentFields) -> Sequence[str]:
    start, _ = owned.start_and_end(fields)
    return () if start.is_date else vtimezones([start.zone], start.local.year)


def _write_when(edit: Edit, fields: AppointmentFields) -> None:
    lines = owned.when_lines(fields)
    for name in ("DTSTART", "DTEND", "RRULE", "EXDATE"):
        new = [line for line in lines if line.startswith((f"{name}:", f"{name};"))]
        if new and name in {"DTSTART", "DTEND"}:
            new = [_with_old_params(edit, name, new[0], ("TZID", "VALUE"))]
        edit.set(name, new)
    edit.set("DURATION", [])
    start, _ = owned.start_and_end(fields)
    tzid = None if start.is_date else tzid_of(start.zone)
    if tzid is not None and not edit.defines_zone(tzid):
        edit.add_before_events(_zone_lines(fields))
    before = next((line.partition(":")[2].strip() for line in edit.get("SEQUENCE")), "")
    edit.set("SEQUENCE", [f"SEQUENCE:{int(before) + 1 if before.isascii() and before.isdigit() else 1}"])


def _write_single_times(
    edit: Edit, root: Component, ours: owned.Owned, theirs: owned.Owned, fields: AppointmentFields
) -> None:
    """Keep the overrides in step with their series: change the key of those that moved, drop those it no longer has."""
    if theirs.event.recurrence_id is not None:
        return  # there is no master, only overrides
    move = None
    if not owned.same_when(ours, theirs):
        after = replace(pattern(ours.event, ours.start), rdates=tuple(theirs.event.rdates))
        move = Move(pattern(theirs.event, theirs.start), after)
    zones = zones_of(root, fields.time_zone or "UTC")
    overrides = [event(c, zones) if "RECURRENCE-ID" in c.lines else None for c in root.walk("VEVENT")]
    gone: list[int] = []
    for number in edit.each():
        override = overrides[number]
        if override is None or override.recurrence_id is None:
            continue
        key = same_kind(override.recurrence_id, theirs.event.start).instant
        there: int | None = key
        if ours.rule is None:
            there = None
        elif move is not None and move.before.has(key):
            there = move.key(key)
        cancelled = override.component.value("STATUS").strip().upper() == "CANCELLED"
        if there is None or (there in ours.excluded and not cancelled and not override.future):
            gone.append(number)  # overrides by which the person cancelled an instance stay
        elif there != key:
            _write_single_time(edit, override, key, at(there, ours.event.start))
    for number in reversed(gone):
        edit.drop(number)


def _write_single_time(edit: Edit, override: Event, key: int, there: Moment) -> None:
    """Give an override its new key. Its own time changes as well, unless the person had moved it."""
    line = f"RECURRENCE-ID{rendering.value(there)}"
    edit.set("RECURRENCE-ID", [_with_old_params(edit, "RECURRENCE-ID", line, ("TZID", "VALUE"))])
    if override.start.instant != key:
        return
    edit.set("DTSTART", [_with_old_params(edit, "DTSTART", f"DTSTART{rendering.value(there)}", ("TZID", "VALUE"))])
    end = rendering.end_line(there, override.length)
    for name in ("DTEND", "DURATION"):
        edit.set(name, [end] if end.startswith(name) else [])


def _write_text(edit: Edit, name: str, line: str | None) -> None:
    # An ALTREP refers to another form of the old text, so it goes.
    edit.set(name, [] if line is None else [_with_old_params(edit, name, line, ("ALTREP",))])


def _with_old_params(edit: Edit, name: str, line: str, less: tuple[str, ...]) -> str:
    """The new line, with the parameters of the old one except those named in `less`."""
    old = next(iter(edit.get(name)), None)
    parts = content.split(old) if old is not None else None
    kept = without_params(parts.params, less) if parts is not None else ""
    return f"{name}{kept}{line.removeprefix(name)}"
