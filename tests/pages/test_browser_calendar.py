"""The merged calendar in a real browser: what stands where, and what can be read of it."""

from __future__ import annotations

import datetime as dt
import re
from itertools import pairwise

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages import live


def test_the_calendar_by_week_day_and_month(page: Page, bridge, person):
    home = person.calendars["Home"]
    person.cloud.put(
        home, "daily.ics", live.event("daily", "Stand-up", live.tomorrow(9), recurring="RRULE:FREQ=DAILY;COUNT=40\r\n")
    )
    for number in range(4):
        person.cloud.put(home, f"same{number}.ics", live.event(f"same{number}", "At once", live.tomorrow(11)))
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home")
    token = bridge.token("calendars/events.write", "calendars.write")
    place = {"locationId": "loc", "timezone": "Europe/Berlin"}
    times = {"startTime": live.tomorrow(15).isoformat(), "endTime": live.tomorrow(16).isoformat()}
    title = {"title": "Intro call: Grace Example", "calendarId": person.booking_calendar}
    live.api(bridge, token, "/calendars/events/appointments", {**place, **times, **title})
    later = {"startTime": live.tomorrow(16).isoformat(), "endTime": live.tomorrow(17).isoformat()}
    live.api(
        bridge,
        token,
        "/calendars/events/block-slots",
        {**place, **later, "assignedUserId": person.id, "title": "Focus"},
    )

    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    rules = [{"type": "wday", "day": day, "intervals": [{"from": "08:30", "to": "17:00"}]} for day in days]
    live.api(bridge, token, "/calendars/schedules", {**place, "name": "Hours", "userId": person.id, "rules": rules})

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Calendar").click()
    live.look(page)
    expect(page.get_by_role("region", name="Legend")).to_contain_text("Appointment from the CRM")
    page.goto(f"{bridge.url}/calendar?date={live.tomorrow(9).date()}")
    for words in ("09:00.*Busy.*Blocked", "15:00.*Intro call: Grace Example.*Appointment", "16:00.*Focus.*CRM"):
        expect(page.get_by_role("link", name=re.compile(words)).first).to_be_visible()
    live.look(page)
    heading = page.get_by_role("heading", level=2).filter(has_text=f"{live.tomorrow(9).day} ").first
    expect(heading).to_contain_text("working hours 08:30 – 17:00")
    if page.viewport_size["width"] > 1000:
        colour = "e => getComputedStyle(e).backgroundColor"
        open_hours = page.locator("li.working").first
        assert open_hours.evaluate(colour) != page.locator("ul.timed").first.evaluate(colour)
        hour = page.locator(".clock li").nth(1).bounding_box()["height"]
        assert open_hours.bounding_box()["height"] == pytest.approx(8.5 * hour, rel=0.02)

    page.get_by_role("link", name="Day", exact=True).click()
    live.look(page)
    boxes = [one.bounding_box() for one in page.get_by_role("link", name=re.compile("11:00.*Busy")).all()]
    assert len(boxes) == 4
    for first in boxes:
        assert [other for other in boxes if other != first and _overlap(first, other)] == []
    page.get_by_role("link", name="Month", exact=True).click()
    live.look(page)
    page.get_by_role("link", name="Next month").click()
    live.look(page)
    page.get_by_role("link", name="Today").click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(f"{dt.datetime.now(live.BERLIN):%B %Y}")


def test_the_week_is_readable_at_a_small_desk_with_a_12_hour_clock(browser: Browser, bridge, person):
    home = person.calendars["Home"]
    person.cloud.put(home, "review.ics", live.event("review", "Quarterly budget review", live.tomorrow(9)))
    person.cloud.put(home, "call.ics", live.event("call", "Call", live.tomorrow(8), hours=0.25))
    for title in ("Design review", "Dentist", "Lunch"):
        person.cloud.put(home, f"{title[:3]}.ics", live.event(title[:3], title, live.tomorrow(12)))
    for number in range(6):
        person.cloud.put(home, f"same{number}.ics", live.event(f"same{number}", f"At once {number}", live.tomorrow(15)))
    context = browser.new_context(
        viewport={"width": 1200, "height": 900}, locale="en-US", timezone_id="America/New_York"
    )
    page = context.new_page()
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home")
    page.goto(f"{bridge.url}/profile/calendars")
    page.get_by_role("link", name="Settings of Home").click()
    page.get_by_role("radio", name="The events' titles").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("The calendar's settings are saved.")
    page.goto(f"{bridge.url}/calendar?date={live.tomorrow(9).date()}")
    live.look(page)
    elsewhere = "All times in Europe/Berlin, though this device is in America/New_York."
    expect(page.get_by_role("region", name="Legend")).to_contain_text(elsewhere)
    expect(page.locator(".clock li").filter(has_text="12 PM")).to_have_count(1)
    for hour in page.locator(".clock li").all():
        assert hour.evaluate("e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight")

    def whole(link, part):
        """Whether a line of an event stands within it, not cut through."""
        inner, outer = link.locator(part).bounding_box(), link.bounding_box()
        return inner["y"] >= outer["y"] and inner["y"] + inner["height"] <= outer["y"] + outer["height"]

    review = page.get_by_role("link", name="Quarterly budget review")
    assert all(whole(review, part) for part in (".title", ".time", ".from"))
    assert whole(page.get_by_role("link", name="Call"), ".title")
    for title in ("Design review", "Dentist", "Lunch"):
        beside = page.get_by_role("link", name=title)
        assert whole(beside, ".title")
        assert beside.locator(".title").bounding_box()["width"] > 30
        expect(beside.locator(".from")).to_be_hidden()
    beside.focus()
    expect(beside.locator(".from")).to_be_visible()
    expect(beside).to_contain_text("12:00 – 1:00 PM")
    live.look(page)

    expect(page.get_by_role("link", name=re.compile("At once"))).to_have_count(2)
    page.get_by_role("link", name="+4 more at this time").click()
    expect(page.get_by_role("link", name=re.compile("At once"))).to_have_count(6)
    context.close()


def test_what_lasts_for_days_is_one_bar_and_a_crowded_hour_hides_nothing(browser: Browser, bridge, person):
    home, today = person.calendars["Home"], dt.datetime.now(live.BERLIN).date()
    monday = today - dt.timedelta(days=today.weekday())
    days = f"{monday - dt.timedelta(days=2):%Y%m%d}", f"{monday + dt.timedelta(days=4):%Y%m%d}"
    person.cloud.put(home, "trip.ics", live.all_day("trip", "A trip to the islands in the north of the country", *days))
    for number in range(15):
        person.cloud.put(
            home, f"same{number}.ics", live.event(f"same{number}", f"Number {number + 1}.", live.tomorrow(15))
        )
    context = browser.new_context(**live.DEVICES["desk"], locale="de-DE")
    page = context.new_page()
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home")
    page.goto(f"{bridge.url}/profile/calendars")
    page.get_by_role("link", name="Settings of Home").click()
    page.get_by_role("radio", name="The events' titles").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Save").click()

    for view in ("week", "month"):
        page.goto(f"{bridge.url}/calendar?view={view}&date={monday}")
        live.look(page)
        pieces = page.get_by_role("link", name=re.compile("Day . of 6 A trip"))
        if view == "month":
            row = page.get_by_role("row").filter(has=page.locator(f"a.date[href*='{monday}']"))
            pieces = row.get_by_role("link", name=re.compile("Day . of 6 A trip"))
        expect(pieces).to_have_count(4)
        boxes = [piece.bounding_box() for piece in pieces.all()]
        assert len({round(box["y"]) for box in boxes}) == 1
        for left, right in pairwise(boxes):
            assert abs(left["x"] + left["width"] - right["x"]) < 2
        # One title, over more than one day.
        title = pieces.first.locator(".title").bounding_box()
        assert title["width"] > boxes[0]["width"]
        assert pieces.nth(1).locator(".title").bounding_box()["width"] <= 1
        pieces.last.focus()
        live.look(page)
        # Screen readers find each day's piece; the keyboard stops at the bar once.
        page.reload()
        assert len([stop for stop in live.tab_stops(page) if "A trip" in stop["name"]]) == 1

    page.goto(f"{bridge.url}/calendar?view=day&date={live.tomorrow(15).date()}")
    live.look(page)
    visible = page.get_by_role("link", name=re.compile(r"Number \d+\."))
    expect(visible).to_have_count(15)
    page.get_by_role("link", name="+4 more at this time").click()
    rest = page.get_by_role("region", name="More at the same times").get_by_role("link")
    expect(rest).to_have_count(4)
    expect(rest.last).to_be_in_viewport()
    rest.last.click()
    expect(page.get_by_role("main")).to_contain_text("It takes this time.")
    context.close()


def _overlap(first: dict, second: dict) -> bool:
    return (
        first["x"] + 1 < second["x"] + second["width"]
        and second["x"] + 1 < first["x"] + first["width"]
        and first["y"] + 1 < second["y"] + second["height"]
        and second["y"] + 1 < first["y"] + first["height"]
    )
