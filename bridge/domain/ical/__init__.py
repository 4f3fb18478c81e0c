"""Interim reading and writing of iCalendar."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events

from bridge.domain.model import Appointment, AppointmentFields, BlockedSlot, Interval, Occurrence, SlotSettings, Titles
from bridge.errors import Unreadable


@dataclass(frozen=True, slots=True)
class Rendered:
    ics: str
    etag: str
    first_start: int
    last_end: int | None
    occurrences: tuple[Occurrence, ...]
    expanded: Interval | None
    same_times: str


def _parse(ics: str) -> icalendar.Calendar:
    try:
        return icalendar.Calendar.from_ical(ics)
    except (ValueError, IndexError, KeyError) as e:
        raise Unreadable(f"not iCalendar: {e}") from e


def identify(ics: str) -> str:
    for event in _parse(ics).walk("VEVENT"):
        if event.get("UID"):
            return str(event["UID"])
    raise Unreadable("no event with a UID")


def summary(ics: str) -> str:
    return str(next(iter(_parse(ics).walk("VEVENT")), {}).get("SUMMARY", ""))


_KEPT = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID")


def blocked_slot(ics, *, uid, settings: SlotSettings, time_zone, addresses, horizon):
    source = _parse(ics)
    out = _calendar()
    kept = []
    for event in source.walk("VEVENT"):
        if "DTSTART" not in event or not _blocks(event, settings, addresses):
            continue
        new = icalendar.Event()
        new["UID"] = icalendar.vText(uid)
        hidden = settings.titles != Titles.TITLE or str(event.get("CLASS", "")).upper() in {"PRIVATE", "CONFIDENTIAL"}
        new["SUMMARY"] = icalendar.vText("Busy" if hidden else str(event.get("SUMMARY", "Busy")))
        new.add("DTSTAMP", dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        for name in _KEPT:
            if name in event:
                new[name] = event[name]
        new["TRANSP"] = icalendar.vText("OPAQUE")
        kept.append(new)
    if not kept:
        return None
    for event in kept:
        out.add_component(event)
    out.add_missing_timezones()
    return _rendered(out, time_zone, horizon)


def _blocks(event, settings, addresses):
    if str(event.get("TRANSP", "")).upper() == "TRANSPARENT" or str(event.get("STATUS", "")).upper() == "CANCELLED":
        return False
    attendees = event.get("ATTENDEE", [])
    for a in attendees if isinstance(attendees, list) else [attendees]:
        if str(a).lower().removeprefix("mailto:") in addresses and a.params.get("PARTSTAT", "").upper() == "DECLINED":
            return False
    return True


def crm_slot(slot: BlockedSlot, *, time_zone):
    out = _calendar()
    event = icalendar.Event()
    event.add("UID", slot.id)
    event.add("DTSTAMP", dt.datetime.fromtimestamp(slot.updated_at, dt.UTC))
    event.add("SUMMARY", slot.title or "Busy")
    event.add("DTSTART", dt.datetime.fromtimestamp(slot.start, dt.UTC))
    event.add("DTEND", dt.datetime.fromtimestamp(slot.end, dt.UTC))
    out.add_component(event)
    return _rendered(out, time_zone, None)


def appointment(appointment: Appointment, *, time_zone, horizon):
    out = _calendar()
    out.add_component(_event(appointment, appointment.id, appointment.updated_at))
    out.add_missing_timezones()
    return _rendered(out, time_zone, horizon)


def upstream_event(appointment: Appointment, *, now, onto):
    out = _calendar()
    if onto is not None and upstream_fields(onto, like=appointment.fields) == appointment.fields:
        return onto
    event = _event(appointment, appointment.uid, now)
    if onto is not None:
        for old in _parse(onto).walk("VEVENT"):
            for name, value in old.items():
                if name not in event:
                    event[name] = value
            for sub in old.subcomponents:
                event.add_component(sub)
    out.add_component(event)
    out.add_missing_timezones()
    return out.to_ical().decode()


def upstream_fields(ics, *, like: AppointmentFields):
    event = next(iter(_parse(ics).walk("VEVENT")), None)
    if event is None:
        raise Unreadable("no event")
    zone = ZoneInfo(like.time_zone or "UTC")
    start, end = (_instant(event[n].dt, zone) for n in ("DTSTART", "DTEND"))
    status = "cancelled" if str(event.get("STATUS", "")) == "CANCELLED" else like.status
    return replace(
        like,
        title=str(event.get("SUMMARY", "")),
        start=start,
        end=end,
        description=str(event.get("DESCRIPTION", "")),
        address=str(event.get("LOCATION", "")),
        status=status,
    )


def occurrences(ics, span, *, time_zone):
    zone = ZoneInfo(time_zone)
    found = []
    start, end = (dt.datetime.fromtimestamp(i, dt.UTC).astimezone(zone) for i in (span.start, span.end))
    for event in recurring_ical_events.of(_parse(ics)).between(start, end):
        s, e = _instant(event.start, zone), _instant(event.end, zone)
        if s < span.end and e > span.start:
            found.append(Occurrence(s, e, not isinstance(event.start, dt.datetime)))
    return tuple(sorted(found, key=lambda o: (o.start, o.end)))


def rrule_problem(rrule):
    return None


def normalise_rrule(rrule):
    return rrule.removeprefix("RRULE:")


def _event(a: Appointment, uid, stamp):
    f = a.fields
    event = icalendar.Event()
    event.add("UID", uid)
    event.add("DTSTAMP", dt.datetime.fromtimestamp(stamp, dt.UTC))
    event.add("SUMMARY", f.title)
    zone = ZoneInfo(f.time_zone) if f.time_zone else dt.UTC
    event.add("DTSTART", dt.datetime.fromtimestamp(f.start, zone))
    event.add("DTEND", dt.datetime.fromtimestamp(f.end, zone))
    if f.description:
        event.add("DESCRIPTION", f.description)
    if f.address:
        event.add("LOCATION", f.address)
    if f.rrule:
        event["RRULE"] = icalendar.vRecur.from_ical(f.rrule.removeprefix("RRULE:").splitlines()[0])
    event.add("STATUS", "TENTATIVE" if f.status == "new" else "CONFIRMED")
    return event


def _calendar():
    out = icalendar.Calendar()
    out.add("PRODID", "-//CRM calendar bridge//EN")
    out.add("VERSION", "2.0")
    return out


def _instant(value, zone):
    if not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time(), zone)
    if value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    return int(value.timestamp())


def _rendered(out, time_zone, horizon):
    text = out.to_ical().decode()
    span = horizon or Interval(0, 2**33)
    recurring = any("RRULE" in e or "RDATE" in e for e in out.walk("VEVENT"))
    found = occurrences(text, span if recurring else Interval(-(2**31), 2**34), time_zone=time_zone)
    if not found and not recurring:
        return None
    etag = '"' + hashlib.sha256(text.encode()).hexdigest()[:32] + '"'
    first = found[0].start if found else span.start
    return Rendered(
        text,
        etag,
        first,
        None if recurring else max(o.end for o in found),
        found,
        span if recurring else None,
        hashlib.sha256(repr(found).encode()).hexdigest(),
    )
