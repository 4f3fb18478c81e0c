"""free-busy-query (RFC 4791 section 7.10): the union of what blocks, from stored occurrences."""

from __future__ import annotations

import pytest
from radicale import app as stock

from bridge.domain import publish as decide
from radicale_plugin.app import Application

from .conftest import BERLIN, NOW, World, at, ics, override, utc
from .dav import CRM, time_range

DAY = 86_400
LOCAL = f";TZID={BERLIN}:"
pytestmark = pytest.mark.usefixtures("no_parsing")


def busy(world: World, start: str, end: str) -> list[str]:
    """Periods of a span as `MMDDTHHMM/MMDDTHHMM`, UTC."""
    return [f"{s[4:13]}/{e[4:13]}" for s, e in world.ada.free_busy(start, end)]


def test_a_week(week: World) -> None:
    assert busy(week, "20270308T000000Z", "20270315T000000Z") == [
        "0308T0900/0308T1000",
        "0309T0900/0309T1000",
        "0310T0900/0310T1000",
    ]


def test_overlapping_and_touching_times_are_one(week: World) -> None:
    week.publish("over", ics("over", ":20270308T093000Z", ":20270308T103000Z"))
    week.publish("next", ics("next", ":20270308T103000Z", ":20270308T110000Z"))
    assert busy(week, "20270308T000000Z", "20270309T000000Z") == ["0308T0900/0308T1100"]


def test_times_are_cut_to_the_span(week: World) -> None:
    assert busy(week, "20270308T091500Z", "20270308T093000Z") == ["0308T0915/0308T0930"]
    assert busy(week, "20270308T100000Z", "20270308T110000Z") == []
    assert busy(week, "20270308T093000Z", "20270308T093000Z") == []


def test_a_series_with_an_override_and_across_a_clock_change(world: World) -> None:
    moved = override("s", f"{LOCAL}20270329T100000", f"{LOCAL}20270330T150000", f"{LOCAL}20270330T170000")
    text = ics("s", f"{LOCAL}20270315T100000", f"{LOCAL}20270315T110000", "RRULE:FREQ=WEEKLY;COUNT=4", extra=moved)
    world.publish("s", text)
    assert busy(world, "20270301T000000Z", "20270501T000000Z") == [
        "0315T0900/0315T1000",
        "0322T0900/0322T1000",
        "0330T1300/0330T1500",
        "0405T0800/0405T0900",
    ]


def test_a_whole_day_is_a_day_of_the_users(world: World) -> None:
    """In Berlin, and 23 hours long when the clocks go forward."""
    world.publish("d", ics("d", ";VALUE=DATE:20270310", ";VALUE=DATE:20270311"))
    world.publish("short", ics("short", ";VALUE=DATE:20270328", ";VALUE=DATE:20270329"))
    assert busy(world, "20270301T000000Z", "20270401T000000Z") == ["0309T2300/0310T2300", "0327T2300/0328T2200"]


def test_a_time_without_zone_is_the_users(world: World) -> None:
    world.publish("f", ics("f", ":20270310T100000", ":20270310T110000"))
    assert busy(world, "20270301T000000Z", "20270401T000000Z") == ["0310T0900/0310T1000"]


def test_what_has_no_length_takes_no_time(world: World) -> None:
    world.publish("z", ics("z", ":20270308T090000Z", ":20270308T090000Z"))
    assert busy(world, "20270308T000000Z", "20270309T000000Z") == []


def test_past_the_horizon(week: World) -> None:
    horizon = decide.horizon(NOW)
    assert len(week.ada.free_busy(utc(horizon.end + 30 * DAY), utc(horizon.end + 58 * DAY))) == 4
    # Across its edge, too: nothing is missing and nothing doubled.
    first, last = at("2029-04-01T00:00"), at("2029-07-01T00:00")
    assert first < horizon.end < last
    assert len(week.ada.free_busy(utc(first), utc(last))) == 13
    assert busy(week, "20350103T000000Z", "20350104T000000Z") == ["0103T0900/0103T1000"]


def test_no_answer_for_ever(week: World, kind: type[stock.Application]) -> None:
    """An endless series over all of time would occupy the server for minutes."""
    for span in (("20270101T000000Z", "99991231T000000Z"), ("20270101T000000Z", None), (None, None)):
        status = week.ada.report(CRM, "C:free-busy-query", time_range(*span)).status
        assert status == (403 if kind is Application else 400)


def test_a_free_calendar(world: World) -> None:
    assert world.ada.free_busy("20270301T000000Z", "20270401T000000Z") == []


def test_nobody_elses(week: World) -> None:
    bob = week.add_user("bob")
    span = time_range("20270301T000000Z", "20270401T000000Z")
    assert bob.report(CRM, "C:free-busy-query", span).status == 403
    assert week.nobody.report(CRM, "C:free-busy-query", span).status == 401


def test_as_a_page(week: World) -> None:
    answer = week.ada.request("GET", CRM, query="view=freebusy&start=20270308T000000Z&end=20270309T000000Z")
    assert answer.status == 200
    assert "20270308T090000Z/20270308T100000Z" in answer.text
