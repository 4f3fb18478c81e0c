"""How tests of iCalendar say objects and times."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

from bridge.domain import ical
from bridge.domain.model import Interval, SlotSettings, Titles

BERLIN = "Europe/Berlin"
ME = frozenset({"ada@example.com"})


def at(text, zone=BERLIN):
    """The instant of a local time such as "2027-03-01 10:00"."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


HORIZON = Interval(at("2026-01-01"), at("2029-01-01"))


def sample(name):
    return (Path(__file__).parent / "domain" / "calendars" / f"{name}.ics").read_text()


def event(*lines, uid="upstream"):
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20270101T000000Z", *lines, "END:VEVENT", ""])


def calendar(*parts):
    return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n" + "".join(parts) + "END:VCALENDAR\r\n"


def slot(ics, zone=BERLIN, horizon=HORIZON, **settings):
    return ical.blocked_slot(
        ics, uid="slot", settings=SlotSettings(**settings), time_zone=zone, addresses=ME, horizon=horizon
    )


def titled(ics, **settings):
    return slot(ics, titles=Titles.TITLE, **settings)


def blocked(ics, zone=BERLIN, show=BERLIN, **settings):
    """When it blocks, as "2027-03-01 10:00 +60" (local start and minutes), days as "2027-03-01 all day"."""
    rendered = slot(ics, zone, **settings)
    return [] if rendered is None else list(spoken(rendered.occurrences, show))


def spoken(occurrences, show=BERLIN):
    for o in occurrences:
        start = dt.datetime.fromtimestamp(o.start, ZoneInfo(show))
        days = (dt.datetime.fromtimestamp(o.end, ZoneInfo(show)).date() - start.date()).days
        if o.all_day:
            yield f"{start:%Y-%m-%d} all day" + (f" x{days}" if days != 1 else "")
        else:
            yield f"{start:%Y-%m-%d %H:%M} +{(o.end - o.start) / 60:g}"


def one(*lines, **kwargs):
    """When a single event of these lines blocks."""
    return blocked(calendar(event(*lines)), **kwargs)
