"""GET and HEAD: one object, and the calendar as one file."""

from __future__ import annotations

import icalendar
import pytest

from .conftest import BERLIN, World, ics
from .dav import CRM, name

pytestmark = pytest.mark.usefixtures("no_parsing")


def test_one_object(week: World) -> None:
    for href, resource in week.ada.sync().resources.items():
        answer = week.ada.request("GET", href)
        assert answer.status == 200
        assert answer.headers["etag"] == resource.text("D:getetag")
        assert answer.headers["content-type"].startswith("text/calendar")
        (event,) = icalendar.Calendar.from_ical(answer.text).walk("VEVENT")
        assert name(href) == f"{event['UID']}.ics"
        head = week.ada.request("HEAD", href)
        assert (head.status, head.body) == (200, b"")
        assert head.headers == answer.headers


def test_the_calendar_as_one_file(week: World) -> None:
    answer = week.ada.request("GET", CRM)
    assert answer.status == 200
    whole = icalendar.Calendar.from_ical(answer.text)
    assert len(whole.walk("VEVENT")) == 3
    assert [str(zone["TZID"]) for zone in whole.walk("VTIMEZONE")] == [BERLIN]
    assert "METHOD" not in whole
    assert week.ada.request("HEAD", CRM).headers["etag"] == answer.headers["etag"]


def test_an_empty_calendar(world: World) -> None:
    answer = world.ada.request("GET", CRM)
    assert answer.status == 200
    assert icalendar.Calendar.from_ical(answer.text).walk("VEVENT") == []


def test_what_is_not_there(week: World) -> None:
    href = week.publish("gone", ics("gone", ":20270311T090000Z", ":20270311T100000Z"))
    week.publish("gone", None)
    for path in (CRM + "nowhere.ics", CRM + href, CRM + "%F0%9F%98%80.ics", CRM + "a%00b.ics", CRM + "a" * 5000):
        for method in ("GET", "HEAD", "PROPFIND", "REPORT"):
            assert week.ada.request(method, path).status in {400, 404}, (method, path)


def test_compressed(week: World) -> None:
    answer = week.ada.request("GET", CRM, accept_encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
