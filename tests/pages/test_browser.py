"""Each path through the pages in a real browser, on a phone and at a desk, against a running bridge."""

from __future__ import annotations

import datetime as dt
import json
import os
import plistlib
import re
import urllib.error
import urllib.request
from base64 import b64encode
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.pages import live

CHROMIUM = Path("/usr/bin/chromium")
DEVICES = {
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "desk": {"viewport": {"width": 1280, "height": 900}},
}
BERLIN = dt.timezone(dt.timedelta(hours=1))


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{CHROMIUM} is missing: apt-get install chromium")
        pytest.skip(f"{CHROMIUM} is missing, so the pages are not tried in a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        # No sandbox, which needs more than a container gives; only our own pages are opened.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    with live.serving(tmp_path_factory.mktemp("live") / "bridge") as bridge:
        yield bridge


@pytest.fixture(params=DEVICES)
def page(request, browser: Browser, bridge):
    """A new browser on one of the devices. Nothing it opens may ask for anything elsewhere, or trip over itself."""
    context = browser.new_context(**DEVICES[request.param], locale="de-DE", accept_downloads=True)
    context.set_default_timeout(20_000)
    page = context.new_page()
    asked, errors = [], []
    page.on("request", lambda sent: asked.append(sent.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    context.close()
    assert [url for url in asked if not url.startswith(bridge.url)] == []
    assert errors == []


@pytest.fixture
def person(bridge):
    return bridge.person()


def event(uid: str, title: str, start: dt.datetime, *, hours: float = 1, recurring: str = "") -> str:
    begins, ends = (f"{at.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}" for at in (start, start + dt.timedelta(hours=hours)))
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//phone//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20270301T000000Z\r\nDTSTART:{begins}\r\nDTEND:{ends}\r\n{recurring}"
        f"SUMMARY:{title}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def all_day(uid: str, title: str, first: str, end: str) -> str:
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//phone//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20270301T000000Z\r\nDTSTART;VALUE=DATE:{first}\r\nDTEND;VALUE=DATE:{end}\r\n"
        f"SUMMARY:{title}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def tomorrow(hour: int) -> dt.datetime:
    return dt.datetime.now(BERLIN).replace(hour=hour, minute=0, second=0, microsecond=0) + dt.timedelta(days=1)


def api(bridge, token: str, path: str, body: dict) -> dict:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{bridge.url}/v1{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def test_from_a_link_to_a_calendar_in_two_minutes(page: Page, bridge, person):
    person.cloud.put(person.calendars["Home"], "dentist.ics", event("dentist", "Dentist", tomorrow(10)))
    person.cloud.put(person.calendars["Work"], "meeting.ics", event("meeting", "Board meeting", tomorrow(14)))
    page.goto(bridge.link(person))
    live.look(page)
    page.get_by_role("button", name="Open my settings").click()
    live.look(page)

    page.get_by_role("link", name="Connect iCloud Calendar").click()
    live.look(page)
    expect(page.get_by_role("link", name="account.apple.com")).to_have_attribute("href", "https://account.apple.com/")
    page.get_by_label("Apple Account e-mail address").fill(person.cloud.username)
    page.get_by_label("App-specific password", exact=True).fill("my usual Apple password")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("alert")).to_contain_text("it is not an app-specific one")
    live.look(page)
    expect(page.get_by_label("Apple Account e-mail address")).to_have_value(person.cloud.username)
    expect(page.get_by_label("App-specific password", exact=True)).to_have_value("")
    page.get_by_label("App-specific password", exact=True).fill("abcd-efgh-ijkl-mnop")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("alert")).to_contain_text("Apple refuses this e-mail address or password")
    page.get_by_label("App-specific password", exact=True).fill(f" {person.cloud.password.replace('-', '')} ")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("status")).to_contain_text("Connected. Now choose")
    live.look(page)
    for name in person.calendars:
        expect(page.get_by_role("main")).to_contain_text(name)

    page.get_by_role("link", name="Choose calendars").click()
    live.look(page)
    page.get_by_role("link", name="Edit the Primary Calendar").click()
    live.look(page)
    expect(page.get_by_role("radio", name="Club")).to_be_disabled()
    expect(page.get_by_role("main")).to_contain_text("read and written")
    page.get_by_role("radio", name="Home").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("main")).to_contain_text("The Primary calendar will be Home")
    live.look(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("The Primary calendar is saved.")

    page.get_by_role("link", name="Edit the calendars to check for conflicts").click()
    live.look(page)
    expect(page.get_by_role("checkbox", name="Home")).to_be_disabled()
    page.get_by_role("checkbox", name="Work").check()
    page.get_by_role("checkbox", name="Club").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("main")).to_contain_text("Work is read from now on")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("The calendars to check for conflicts are saved.")

    page.get_by_role("link", name="Settings of Work").click()
    live.look(page)
    page.get_by_role("radio", name="The events' titles").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("main")).to_contain_text("1 blocked slot ahead looks different")
    live.look(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("main")).to_contain_text("Titles are shown")

    page.goto(f"{bridge.url}/calendar?date={tomorrow(10).date()}")
    live.look(page)
    expect(page.get_by_role("link", name=re.compile("10:00.*Busy.*Home"))).to_be_visible()
    page.get_by_role("link", name=re.compile("14:00.*Board meeting.*Work")).click()
    expect(page.get_by_role("main")).to_contain_text("An event in your calendar Work. It takes this time.")
    live.look(page)


def test_the_calendar_by_week_day_and_month(page: Page, bridge, person):
    home = person.calendars["Home"]
    person.cloud.put(
        home, "daily.ics", event("daily", "Stand-up", tomorrow(9), recurring="RRULE:FREQ=DAILY;COUNT=40\r\n")
    )
    for number in range(4):
        person.cloud.put(home, f"same{number}.ics", event(f"same{number}", "At once", tomorrow(11)))
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home")
    token = bridge.token("calendars/events.write", "calendars.write")
    place = {"locationId": "loc", "timezone": "Europe/Berlin"}
    times = {"startTime": tomorrow(15).isoformat(), "endTime": tomorrow(16).isoformat()}
    title = {"title": "Intro call: Grace Example", "calendarId": person.booking_calendar}
    api(bridge, token, "/calendars/events/appointments", {**place, **times, **title})
    later = {"startTime": tomorrow(16).isoformat(), "endTime": tomorrow(17).isoformat()}
    api(
        bridge,
        token,
        "/calendars/events/block-slots",
        {**place, **later, "assignedUserId": person.id, "title": "Focus"},
    )

    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    rules = [{"type": "wday", "day": day, "intervals": [{"from": "08:30", "to": "17:00"}]} for day in days]
    api(bridge, token, "/calendars/schedules", {**place, "name": "Hours", "userId": person.id, "rules": rules})

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Calendar").click()
    live.look(page)
    expect(page.get_by_role("region", name="Legend")).to_contain_text("Appointment from the CRM")
    page.goto(f"{bridge.url}/calendar?date={tomorrow(9).date()}")
    for words in ("09:00.*Busy.*Blocked", "15:00.*Intro call: Grace Example.*Appointment", "16:00.*Focus.*CRM"):
        expect(page.get_by_role("link", name=re.compile(words)).first).to_be_visible()
    live.look(page)
    heading = page.get_by_role("heading", level=2).filter(has_text=f"{tomorrow(9).day} ").first
    expect(heading).to_contain_text("working hours 08:30 – 17:00")

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
    expect(heading).to_have_text(f"{dt.datetime.now(BERLIN):%B %Y}")


def test_the_week_is_readable_at_a_small_desk_with_a_12_hour_clock(browser: Browser, bridge, person):
    home = person.calendars["Home"]
    person.cloud.put(home, "review.ics", event("review", "Quarterly budget review", tomorrow(9)))
    person.cloud.put(home, "call.ics", event("call", "Call", tomorrow(8), hours=0.25))
    for title in ("Design review", "Dentist", "Lunch"):
        person.cloud.put(home, f"{title[:3]}.ics", event(title[:3], title, tomorrow(12)))
    for number in range(6):
        person.cloud.put(home, f"same{number}.ics", event(f"same{number}", f"At once {number}", tomorrow(15)))
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
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Save").click()
    page.goto(f"{bridge.url}/calendar?date={tomorrow(9).date()}")
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
    home, today = person.calendars["Home"], dt.datetime.now(BERLIN).date()
    monday = today - dt.timedelta(days=today.weekday())
    days = f"{monday - dt.timedelta(days=2):%Y%m%d}", f"{monday + dt.timedelta(days=4):%Y%m%d}"
    person.cloud.put(home, "trip.ics", all_day("trip", "A trip to the islands in the north of the country", *days))
    for number in range(15):
        person.cloud.put(home, f"same{number}.ics", event(f"same{number}", f"Number {number + 1}.", tomorrow(15)))
    context = browser.new_context(**DEVICES["desk"], locale="de-DE")
    page = context.new_page()
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home")
    page.goto(f"{bridge.url}/profile/calendars")
    page.get_by_role("link", name="Settings of Home").click()
    page.get_by_role("radio", name="The events' titles").check()
    page.get_by_role("button", name="Save").click()
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

    page.goto(f"{bridge.url}/calendar?view=day&date={tomorrow(15).date()}")
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


def test_subscribing(page: Page, bridge, person):
    live.sign_in(page, bridge, person)
    page.get_by_role("link", name="Subscribe").click()
    live.look(page)
    for summary in page.locator("main summary").all():
        summary.click()
    live.look(page)
    address = page.locator("#address").inner_text()
    page.get_by_label("Which device or program?").fill("Thunderbird")
    page.get_by_role("button", name="Make a password").click()
    live.look(page)
    password = page.locator("#password").inner_text()
    assert _propfind(address, person.id, password) == 207

    page.goto(f"{bridge.url}/profile/subscribe")
    assert password not in page.content()
    expect(page.get_by_role("button", name="Download the profile")).to_have_count(0)
    expect(page.get_by_role("main")).to_contain_text("it leads to the bridge's own machine only")
    cells = page.locator("tr").filter(has_text="Thunderbird").locator("th, td").all()
    assert len(cells) == 4
    for cell in cells:
        box = cell.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= page.viewport_size["width"]  # not behind a slider
    page.get_by_role("link", name="Revoke Thunderbird").click()
    live.look(page)
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text("Revoked.")
    live.look(page)
    assert _propfind(address, person.id, password) == 401


def test_a_phone_and_a_profile_where_the_bridge_is_public(browser: Browser, tmp_path):
    with live.serving(tmp_path / "bridge", public=True) as public:
        person = public.person()
        context = browser.new_context(**DEVICES["phone"], accept_downloads=True)
        page = context.new_page()
        live.sign_in(page, public, person)
        page.get_by_role("link", name="Subscribe").click()
        live.look(page)
        page.get_by_label("Which device?").fill("Ada's iPhone")
        with page.expect_download() as downloading:
            page.get_by_role("button", name="Download the profile").click()
        assert downloading.value.suggested_filename.endswith(".mobileconfig")
        (account,) = plistlib.loads(Path(downloading.value.path()).read_bytes())["PayloadContent"]
        principal = f"http://127.0.0.1:{public.radicale}{account['CalDAVPrincipalURL']}"
        assert _propfind(principal, account["CalDAVUsername"], account["CalDAVPassword"]) == 207
        page.reload()
        expect(page.get_by_role("img", name="QR code of this page's address")).to_be_visible()
        page.get_by_role("button", name="Continue on my phone").click()
        expect(page.get_by_role("img", name="QR code that signs you in on your phone")).to_be_visible()
        live.look(page)
        context.close()


def test_status_reconnecting_and_disconnecting(page: Page, bridge, person):
    person.cloud.put(person.calendars["Home"], "dentist.ics", event("dentist", "Dentist", tomorrow(10)))
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home", conflicts=("Work",))
    page.goto(f"{bridge.url}/status")
    live.look(page)
    expect(page.get_by_role("main")).to_contain_text("1 event; last read")
    expect(page.get_by_role("main")).to_contain_text("Blocked slot from Home")

    person.cloud.change_password()
    needs = page.get_by_role("main").get_by_text("Needs a new password")
    expect(async_reload(page, needs)).to_be_visible()
    live.look(page)
    page.get_by_role("link", name="Reconnect").click()
    live.look(page)
    page.get_by_label("App-specific password", exact=True).fill(person.cloud.password)
    page.get_by_role("button", name="Reconnect").click()
    expect(page.get_by_role("main")).not_to_contain_text("Needs a new password")

    page.get_by_role("link", name="Disconnect").click()
    expect(page.get_by_role("main")).to_contain_text("1 blocked slot ahead goes at once")
    live.look(page)
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("status")).to_contain_text("Disconnected.")
    live.look(page)
    page.goto(f"{bridge.url}/calendar?date={tomorrow(10).date()}")
    expect(page.get_by_role("main")).not_to_contain_text("Busy")


def test_signing_in_and_out(page: Page, bridge, person):
    page.goto(bridge.url)
    live.look(page)
    page.get_by_label("User name").fill(person.id)
    page.get_by_label("Calendar password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("don't fit together")
    live.look(page)
    page.get_by_label("Calendar password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{bridge.url}/calendar")
    live.look(page)
    page.locator("details.who summary").click()
    live.look(page)
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_role("status")).to_contain_text("Every session has ended")
    page.goto(f"{bridge.url}/nowhere")
    live.look(page)
    page.goto(f"{bridge.url}/status")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_administration(page: Page, bridge, person):
    page.goto(f"{bridge.url}/sign-in/admin")
    live.look(page)
    page.get_by_label("API token").fill(bridge.token("admin"))
    page.get_by_role("button", name="Sign in").click()
    live.look(page)
    page.get_by_role("searchbox").fill(person.id)
    page.get_by_role("button", name="Search").click()
    live.look(page)
    page.get_by_role("rowheader", name=person.id).first.get_by_role("link").click()
    live.look(page)
    page.get_by_role("button", name="Make a settings link").click()
    live.look(page)
    assert page.locator("#settings-link").inner_text().startswith(f"{bridge.url}/link/")
    page.get_by_role("link", name="System").click()
    live.look(page)
    page.get_by_text("Make a token").click()
    page.get_by_label("What is it for?").fill("Prometheus")
    page.get_by_role("checkbox", name="metrics").check()
    live.look(page)
    page.get_by_role("button", name="Make it").click()
    live.look(page)
    token = page.locator("#token").inner_text()
    request = urllib.request.Request(f"{bridge.url}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as response:
        assert b"bridge_accounts" in response.read()
    page.goto(f"{bridge.url}/system")
    page.get_by_role("link", name="Revoke Prometheus").first.click()
    live.look(page)
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("main")).to_contain_text("API token revoked")
    live.look(page)


def test_in_the_dark(page: Page, bridge, person):
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    person.cloud.put(person.calendars["Home"], "dentist.ics", event("dentist", "Dentist", tomorrow(10)))
    live.sign_in(page, bridge, person)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(part) for part in re.findall(r"\d+", light)[:3]) < 150
    live.connect(page, person)
    live.choose(page, bridge, primary="Home", conflicts=("Club",))
    for path in (
        "/profile/integrations",
        "/profile/calendars",
        "/profile/calendars/primary",
        "/profile/subscribe",
        "/calendar",
        f"/calendar?view=day&date={tomorrow(10).date()}",
        "/calendar?view=month",
        "/status",
    ):
        page.goto(bridge.url + path)
        live.look(page)


def test_by_keyboard_alone(page: Page, bridge, person):
    live.sign_in(page, bridge, person)
    page.goto(f"{bridge.url}/profile/subscribe")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.get_by_label("Which device or program?").focus()
    page.keyboard.type("Evolution")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("A password for Evolution")

    # The menu opens with Enter, and closes with Escape, which leads back to it.
    menu = page.locator("details.who summary")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_hidden()
    expect(menu).to_be_focused()


def test_choosing_by_keyboard_alone(page: Page, bridge, person):
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    page.goto(f"{bridge.url}/profile/calendars/primary")
    page.get_by_role("link", name="Subscribe").focus()
    page.keyboard.press("Tab")  # into the choices; "Club" can't be chosen
    expect(page.get_by_role("radio", name="Home")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Work")).to_be_checked()
    for heading in ("What this will do", "Calendar Configuration"):
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        page.get_by_role("link", name="Subscribe").focus()
        page.keyboard.press("Tab")
    expect(page.get_by_role("region", name="Primary Calendar")).to_contain_text("Work")


def test_everything_is_reached_by_tab_and_shows_that_it_has_the_focus(page: Page, bridge, person):
    person.cloud.put(person.calendars["Home"], "dentist.ics", event("dentist", "Dentist", tomorrow(10)))
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home", conflicts=("Work",))
    for path in (
        *("/profile/integrations", "/profile/integrations/connect?provider=icloud", "/profile/calendars"),
        *("/profile/calendars/primary", "/profile/calendars/conflicts", "/profile/subscribe", "/status"),
        *(f"/calendar?view={view}&date={tomorrow(10).date()}" for view in ("day", "week", "month")),
    ):
        page.goto(bridge.url + path)
        reached = _walk_by_tab(page)
        assert [stop for stop in reached if not stop["marked"] or not stop["name"]] == [], path
        assert reached[0]["name"] == "Skip to the content"
        assert page.evaluate(_MISSED) == [], path


#: What can be seen and used, and was not reached. Of radio buttons one is, the others are by the arrows.
_MISSED = """() => [...document.querySelectorAll('a[href], button, input, summary, [tabindex="0"]')]
  .filter((one) => one.checkVisibility() && !one.disabled && one.type !== 'radio' && !one.dataset.reached)
  .map((one) => one.outerHTML.slice(0, 200))"""


def _walk_by_tab(page: Page) -> list[dict]:
    """Everything that has the focus in turn: its name, and whether an outline tells."""
    stops = []
    for _ in range(300):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => {
              const one = document.activeElement;
              if (one === document.body || one.dataset.reached) return null;
              one.dataset.reached = 'yes';
              const label = one.labels && one.labels.length ? one.labels[0].innerText : '';
              const name = one.getAttribute('aria-label') || one.innerText || label;
              return { name: name.trim(), marked: getComputedStyle(one).outlineStyle === 'solid' };
            }"""
        )
        if stop is None:
            return stops
        stops.append(stop)
    return stops


def test_a_screen_reader_finds_a_table_where_it_is_drawn_as_a_list(browser: Browser, bridge, person):
    context = browser.new_context(**DEVICES["phone"])
    page = context.new_page()
    page.goto(f"{bridge.url}/sign-in/admin")
    page.get_by_label("API token").fill(bridge.token("admin"))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("searchbox").fill(person.id)
    page.get_by_role("button", name="Search").click()
    assert page.locator("tbody tr").first.evaluate("e => getComputedStyle(e).display") == "block"
    # As the browser tells it, which goes by how it is drawn.
    tree = context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    told = [(node["role"]["value"], node["name"]["value"]) for node in tree if not node["ignored"] and "name" in node]
    assert [name for role, name in told if role == "columnheader"] == [
        *("User", "Location", "Accounts", "Waiting", "Health")
    ]
    assert [role for role, _ in told if role in {"table", "rowheader", "cell"}] == ["table", "rowheader", *["cell"] * 4]
    assert ("cell", "Location: loc") in told
    context.close()


def test_without_javascript(browser: Browser, bridge, person):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home", conflicts=("Work",))
    page.goto(f"{bridge.url}/calendar")
    expect(page.get_by_role("region", name="Legend")).to_contain_text("Home (Primary)")
    page.goto(f"{bridge.url}/profile/subscribe")
    page.get_by_label("Which device or program?").fill("phone")
    page.get_by_role("button", name="Make a password").click()
    expect(page.locator("#password")).to_be_visible()
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)  # what would do nothing is not there
    context.close()


def async_reload(page: Page, wanted):
    """Reload until the bridge has noticed: it looks every second or two."""
    for _ in range(60):
        page.reload()
        if wanted.count():
            break
        page.wait_for_timeout(250)
    return wanted.first


def _overlap(first: dict, second: dict) -> bool:
    return (
        first["x"] + 1 < second["x"] + second["width"]
        and second["x"] + 1 < first["x"] + first["width"]
        and first["y"] + 1 < second["y"] + second["height"]
        and second["y"] + 1 < first["y"] + first["height"]
    )


def _propfind(url: str, user: str, password: str) -> int:
    login = b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}", "Depth": "0"}, method="PROPFIND")
    try:
        with urllib.request.urlopen(request) as response:
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_of_the_api_can_be_read_and_followed(page: Page, bridge, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{bridge.url}/v1/docs")
    live.look(page, heaviest=400_000)
    body = page.get_by_role("link", name="AppointmentBody").first
    expect(body).to_be_hidden()
    page.get_by_text("Book an appointment.").click()
    expect(body).to_be_visible()
    body.click()
    expect(page.locator("#AppointmentBody")).to_be_in_viewport()
    live.look(page, heaviest=400_000)
