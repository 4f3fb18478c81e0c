"""GET and HEAD: one object, and the calendar as one file."""

from __future__ import annotations

import gzip

import icalendar
import pytest
from radicale import app as stock

from radicale_plugin.app import Application

from .conftest import BERLIN, World, ics
from .dav import CRM, name

LOCAL = f";TZID={BERLIN}:"

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


@pytest.mark.parametrize(
    "accepted", ["gzip", "gzip, deflate, br", "br, gzip;q=0.5", "identity", "gzip;q=0", "gzip;\tQ=0.0"]
)
def test_compressed(week: World, accepted: str, kind: type[stock.Application]) -> None:
    for number in range(20):
        week.publish(f"n{number}", ics(f"n{number}", ":20270311T090000Z", ":20270311T100000Z"))
    plain = week.ada.request("GET", CRM)
    answer = week.ada.request("GET", CRM, accept_encoding=accepted)
    if accepted.startswith("gzip,") or accepted == "gzip" or (kind is Application and "q=0.5" in accepted):
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(answer.body) == plain.body
    else:
        assert answer == plain


def test_what_fits_in_a_packet_is_not_compressed(week: World, kind: type[stock.Application]) -> None:
    answer = week.ada.propfind(CRM, "CS:getctag", accept_encoding="gzip")
    assert ("content-encoding" in answer.headers) == (kind is stock.Application)


def test_each_time_zone_once_and_from_the_earliest_event_on(world: World) -> None:
    new_york = ";TZID=America/New_York:"
    for uid, zone, year in (("late", LOCAL, 2027), ("early", LOCAL, 2001), ("abroad", new_york, 2027)):
        day = f"{zone}{year}0308T1"
        world.publish(uid, ics(uid, f"{day}00000", f"{day}10000", "RRULE:FREQ=WEEKLY"))
    whole = icalendar.Calendar.from_ical(world.ada.request("GET", CRM).text)
    assert [str(zone["TZID"]) for zone in whole.walk("VTIMEZONE")] == ["America/New_York", BERLIN]
    assert min(part["DTSTART"].dt.year for part in whole.walk("VTIMEZONE")[1].subcomponents) <= 2001
    assert len(whole.walk("VEVENT")) == 3


def test_a_title_that_looks_like_a_component(world: World) -> None:
    for uid, title in (("a", "BEGIN:VTIMEZONE"), ("b", "x\\nBEGIN:VEVENT"), ("c", "END:VCALENDAR")):
        text = ics(uid, ":20270308T090000Z", ":20270308T100000Z").replace(f"SUMMARY:{uid}", f"SUMMARY:{title}")
        world.publish(uid, text)
    whole = icalendar.Calendar.from_ical(world.ada.request("GET", CRM).text)
    titles = {str(event["SUMMARY"]) for event in whole.walk("VEVENT")}
    assert titles == {"BEGIN:VTIMEZONE", "x\nBEGIN:VEVENT", "END:VCALENDAR"}
    assert whole.walk("VTIMEZONE") == []
