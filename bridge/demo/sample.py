"""Sample events for the demo: a week in somebody's life, which begins on a given Monday."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

_ZONES = {
    "Europe/Berlin": """BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
END:DAYLIGHT
END:VTIMEZONE""",
    "America/New_York": """BEGIN:VTIMEZONE
TZID:America/New_York
BEGIN:STANDARD
DTSTART:20071104T020000
RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU
TZOFFSETFROM:-0400
TZOFFSETTO:-0500
TZNAME:EST
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:20070311T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU
TZOFFSETFROM:-0500
TZOFFSETTO:-0400
TZNAME:EDT
END:DAYLIGHT
END:VTIMEZONE""",
}
BERLIN, NEW_YORK = _ZONES


@dataclass(frozen=True, slots=True)
class SampleCalendar:
    """A calendar of the stand-in: its name, its colour, and its events, as texts by file name."""

    slug: str
    name: str
    colour: str
    events: dict[str, str]


def calendars(monday: dt.date, owner: str, owner_at_work: str) -> tuple[list[SampleCalendar], list[SampleCalendar]]:
    """The calendars of the private and of the work account, for the week that begins on `monday`."""
    private = [
        SampleCalendar("home", "Home", "#1BADF8", dict(_home(monday))),
        SampleCalendar("family", "Family", "#63DA38", dict(_family(monday))),
        SampleCalendar("birthdays", "Birthdays", "#CC73E1", dict(_birthdays(monday))),
    ]
    work = [
        SampleCalendar("work", "Work", "#FF9500", dict(_work(monday, owner, owner_at_work))),
        SampleCalendar("trips", "Trips", "#A2845E", dict(_trips(monday))),
    ]
    return private, work


def _home(monday: dt.date) -> Iterator[tuple[str, str]]:
    yield _event("dentist", "Dentist", _at(monday, 1, 8, 0), _at(monday, 1, 9, 0), lines=["LOCATION:Hauptstr. 1"])
    yield _event(
        "gym",
        "Gym",
        _at(monday, -7, 18, 30),
        _at(monday, -7, 20, 0),
        lines=["RRULE:FREQ=WEEKLY;BYDAY=MO,TH", f"EXDATE;TZID={BERLIN}:{_at(monday, 3, 18, 30)}"],
    )
    yield _event(
        "doctor", "Results of the blood test", _at(monday, 2, 12, 0), _at(monday, 2, 12, 45), lines=["CLASS:PRIVATE"]
    )
    yield _event(
        "flight",
        "Flight to New York",
        _at(monday, 4, 17, 10),
        _at(monday, 4, 19, 55),
        end_zone=NEW_YORK,
        lines=["DESCRIPTION:LH 404\\, seat 12A"],
    )
    yield _all_day("moving", "Help Kim move", monday, 5, 6)


def _family(monday: dt.date) -> Iterator[tuple[str, str]]:
    piano = _at(monday, 2, 17, 0)
    yield _event(
        "piano",
        "Piano lesson",
        _at(monday, -12, 17, 0),
        _at(monday, -12, 17, 45),
        lines=["RRULE:FREQ=WEEKLY;COUNT=20"],
        override=("Piano lesson (moved)", piano, _at(monday, 2, 18, 0), _at(monday, 2, 18, 45)),
    )
    yield _all_day("holidays", "Grandparents are here", monday, 5, 7)
    yield _event("bins", "Bins out", _at(monday, 3, 7, 0), _at(monday, 3, 7, 15), lines=["TRANSP:TRANSPARENT"])


def _birthdays(monday: dt.date) -> Iterator[tuple[str, str]]:
    born = (monday + dt.timedelta(days=3)).replace(year=1990, day=min(28, (monday + dt.timedelta(days=3)).day))
    yield _all_day("birthday-kim", "Kim's birthday", born, 0, 1, lines=["RRULE:FREQ=YEARLY"])


def _work(monday: dt.date, owner: str, owner_at_work: str) -> Iterator[tuple[str, str]]:
    yield _event(
        "standup",
        "Stand-up",
        _at(monday, -28, 9, 15),
        _at(monday, -28, 9, 30),
        lines=["RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", f"EXDATE;TZID={BERLIN}:{_at(monday, 4, 9, 15)}"],
    )
    yield _event(
        "budget",
        "Budget review",
        _at(monday, 0, 10, 0),
        _at(monday, 0, 11, 30),
        lines=_invitation(owner_at_work, "ACCEPTED"),
    )
    yield _event(
        "offsite",
        "Planning (invitation)",
        _at(monday, 3, 10, 0),
        _at(monday, 3, 11, 0),
        lines=_invitation(owner_at_work, "NEEDS-ACTION"),
    )
    yield _event(
        "allhands",
        "All hands (declined)",
        _at(monday, 3, 13, 0),
        _at(monday, 3, 14, 0),
        lines=_invitation(owner_at_work, "DECLINED"),
    )
    yield _event(
        "call", "Call with New York", _at(monday, 1, 11, 30), _at(monday, 1, 12, 0), zone=NEW_YORK, end_zone=NEW_YORK
    )


def _trips(monday: dt.date) -> Iterator[tuple[str, str]]:
    yield _all_day("lisbon", "Lisbon?", monday, 12, 15, lines=["STATUS:TENTATIVE"])


def _invitation(owner: str, answer: str) -> list[str]:
    return [
        "ORGANIZER;CN=Sam Boss:mailto:sam.boss@work.example",
        "ATTENDEE;CN=Sam Boss;PARTSTAT=ACCEPTED:mailto:sam.boss@work.example",
        f"ATTENDEE;CN=Ada;PARTSTAT={answer};RSVP=TRUE:mailto:{owner}",
    ]


def _at(monday: dt.date, day: int, hour: int, minute: int) -> str:
    return (monday + dt.timedelta(days=day)).strftime("%Y%m%d") + f"T{hour:02}{minute:02}00"


def _all_day(
    slug: str, title: str, monday: dt.date, first: int, end: int, *, lines: list[str] | None = None
) -> tuple[str, str]:
    start, after = ((monday + dt.timedelta(days=day)).strftime("%Y%m%d") for day in (first, end))
    times = [f"DTSTART;VALUE=DATE:{start}", f"DTEND;VALUE=DATE:{after}"]
    return _object(slug, [_component(slug, title, [*times, *(lines or [])])], zones=[])


def _event(
    slug: str,
    title: str,
    start: str,
    end: str,
    *,
    zone: str = BERLIN,
    end_zone: str = BERLIN,
    lines: list[str] | None = None,
    override: tuple[str, str, str, str] | None = None,
) -> tuple[str, str]:
    times = [f"DTSTART;TZID={zone}:{start}", f"DTEND;TZID={end_zone}:{end}"]
    components = [_component(slug, title, [*times, *(lines or [])])]
    if override is not None:
        new_title, instance, new_start, new_end = override
        moved = [
            f"RECURRENCE-ID;TZID={zone}:{instance}",
            f"DTSTART;TZID={zone}:{new_start}",
            f"DTEND;TZID={zone}:{new_end}",
        ]
        components.append(_component(slug, new_title, moved))
    return _object(slug, components, zones=sorted({zone, end_zone}))


def _component(slug: str, title: str, lines: list[str]) -> str:
    head = [f"UID:{slug}-demo@icloud.example", "DTSTAMP:20260101T000000Z", f"SUMMARY:{title}"]
    return "\n".join(["BEGIN:VEVENT", *head, *lines, "END:VEVENT"])


def _object(slug: str, components: list[str], *, zones: list[str]) -> tuple[str, str]:
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Stand-in//Demo//EN"]
    text = "\n".join([*head, *(_ZONES[zone] for zone in zones), *components, "END:VCALENDAR", ""])
    return f"{slug}.ics", text.replace("\n", "\r\n")
