"""Each path of a person through the pages in a real browser, on a phone and at a desk, against a running bridge."""

from __future__ import annotations

import plistlib
import re
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.pages import live
from tests.upstreams.icloud.faults import Status


def test_from_a_link_to_a_calendar_in_two_minutes(page: Page, bridge, person):
    person.cloud.put(person.calendars["Home"], "dentist.ics", live.event("dentist", "Dentist", live.tomorrow(10)))
    person.cloud.put(person.calendars["Work"], "meeting.ics", live.event("meeting", "Board meeting", live.tomorrow(14)))
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
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("main")).to_contain_text("The Primary calendar will be Home")
    live.look(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("The Primary calendar is saved.")

    page.get_by_role("link", name="Edit the calendars to check for conflicts").click()
    live.look(page)
    expect(page.get_by_role("checkbox", name="Home")).to_be_disabled()
    page.get_by_role("checkbox", name="Work").check()
    page.get_by_role("checkbox", name="Club").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("main")).to_contain_text("Work is read from now on")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("The calendars to check for conflicts are saved.")

    page.get_by_role("link", name="Settings of Work").click()
    live.look(page)
    page.get_by_role("radio", name="The events' titles").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("main")).to_contain_text("1 blocked slot ahead looks different")
    live.look(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("main")).to_contain_text("Titles are shown")

    page.goto(f"{bridge.url}/calendar?date={live.tomorrow(10).date()}")
    live.look(page)
    expect(page.get_by_role("link", name=re.compile("10:00.*Busy.*Home"))).to_be_visible()
    page.get_by_role("link", name=re.compile("14:00.*Board meeting.*Work")).click()
    expect(page.get_by_role("main")).to_contain_text("An event in your calendar Work. It takes this time.")
    live.look(page)


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
    row = page.get_by_role("row").filter(has_text="Thunderbird")
    expect(live.reload_until(page, row.filter(has_text="just now"))).to_be_visible()  # when it was last used
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
        context = browser.new_context(**live.DEVICES["phone"], accept_downloads=True)
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
    person.cloud.put(person.calendars["Home"], "dentist.ics", live.event("dentist", "Dentist", live.tomorrow(10)))
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home", conflicts=("Work",))
    page.goto(f"{bridge.url}/status")
    live.look(page)
    expect(page.get_by_role("main")).to_contain_text("1 event; last read")
    expect(page.get_by_role("main")).to_contain_text("Blocked slot from Home")

    person.cloud.change_password()
    needs = page.get_by_role("main").get_by_text("Needs a new password")
    expect(live.reload_until(page, needs)).to_be_visible()
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
    page.goto(f"{bridge.url}/calendar?date={live.tomorrow(10).date()}")
    expect(page.get_by_role("main")).not_to_contain_text("Busy")


def test_an_appointment_that_failed_is_told_and_tried_again(page: Page, bridge, person):
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home")
    bridge.cloud.fail(Status(415), method="PUT", path=person.calendars["Home"], times=1000)
    times = {"startTime": live.tomorrow(15).isoformat(), "endTime": live.tomorrow(16).isoformat()}
    booked = {"locationId": "loc", "calendarId": person.booking_calendar, "title": "Intro call: Grace", **times}
    live.api(bridge, bridge.token("calendars/events.write"), "/calendars/events/appointments", booked)
    page.goto(f"{bridge.url}/status")
    retry = page.get_by_role("button", name="Retry Intro call: Grace")
    expect(live.reload_until(page, retry)).to_be_visible()
    live.look(page)
    bridge.cloud.faults.planned.clear()
    retry.click()
    expect(page.get_by_role("status")).to_have_text("It is being tried again.")
    live.look(page)
    page.goto(f"{bridge.url}/status")
    written = page.get_by_text("Everything is written to the Primary calendar.")
    expect(live.reload_until(page, written)).to_be_visible()
    assert any("Grace" in text for text in person.cloud.texts(person.calendars["Home"]).values())


def test_what_the_administrator_set_and_another_server(page: Page, bridge, person):
    live.sign_in(page, bridge, person)
    bridge.declare(person, primary="Home", conflicts=("Work",))
    marked = page.get_by_role("main").get_by_text("Set by the administrator")
    page.goto(f"{bridge.url}/profile/calendars")
    expect(live.reload_until(page, marked)).to_be_visible()
    expect(marked).to_have_count(2)
    expect(page.get_by_role("link", name="Edit the Primary Calendar")).to_have_count(0)
    live.look(page)
    page.goto(f"{bridge.url}/profile/integrations")
    expect(marked).to_have_count(1)
    expect(page.get_by_role("link", name="Disconnect")).to_have_count(0)
    live.look(page)

    # The same change lets people connect servers by their address.
    page.get_by_role("link", name="Connect another CalDAV server").click()
    live.look(page)
    page.get_by_label("Address of the server").fill("http://dav.example.com/")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("alert")).to_contain_text("Use an address that begins with https://.")
    expect(page.get_by_label("Address of the server")).to_have_value("http://dav.example.com/")
    live.look(page)
    bridge.forget_declarations()


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


def test_in_the_dark(page: Page, bridge, person):
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    person.cloud.put(person.calendars["Home"], "dentist.ics", live.event("dentist", "Dentist", live.tomorrow(10)))
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
        f"/calendar?view=day&date={live.tomorrow(10).date()}",
        "/calendar?view=month",
        "/status",
    ):
        page.goto(bridge.url + path)
        live.look(page)


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


def _propfind(url: str, user: str, password: str) -> int:
    login = b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}", "Depth": "0"}, method="PROPFIND")
    try:
        with urllib.request.urlopen(request) as response:
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
