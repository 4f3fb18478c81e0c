"""The pages by keyboard alone, and as a screen reader is told of them."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.pages import live


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
    person.cloud.put(person.calendars["Home"], "dentist.ics", live.event("dentist", "Dentist", live.tomorrow(10)))
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home", conflicts=("Work",))
    for path in (
        *("/profile/integrations", "/profile/integrations/connect?provider=icloud", "/profile/calendars"),
        *("/profile/calendars/primary", "/profile/calendars/conflicts", "/profile/subscribe", "/status"),
        *(f"/calendar?view={view}&date={live.tomorrow(10).date()}" for view in ("day", "week", "month")),
    ):
        page.goto(bridge.url + path)
        reached = live.tab_stops(page)
        assert [stop for stop in reached if not stop["marked"] or not stop["name"]] == [], path
        assert reached[0]["name"] == "Skip to the content"
        assert page.evaluate(_MISSED) == [], path


#: What can be seen and used, and was not reached. Of radio buttons one is, the others are by the arrows.
_MISSED = """() => [...document.querySelectorAll('a[href], button, input, summary, [tabindex="0"]')]
  .filter((one) => one.checkVisibility() && !one.disabled && one.type !== 'radio' && !one.dataset.reached)
  .map((one) => one.outerHTML.slice(0, 200))"""


def test_a_screen_reader_finds_a_table_where_it_is_drawn_as_a_list(browser: Browser, bridge, person):
    context = browser.new_context(**live.DEVICES["phone"])
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


def test_back_and_reload_show_pages_and_send_nothing_again(page: Page, bridge, person):
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    live.choose(page, bridge, primary="Home")
    page.go_back()  # to what it would do, which is done
    expect(page.get_by_role("status")).to_have_text("It was set like this already: nothing was changed.")
    page.go_back()
    expect(page.get_by_role("radio", name="Home")).to_be_checked()
    page.get_by_role("radio", name="Work").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What this will do")
    page.reload()
    expect(page.get_by_role("main")).to_contain_text("The Primary calendar will be Work instead of Home")
    # Back to the form, which still has the choice: by the browser's button, and by that of the page.
    page.go_back()
    expect(page.get_by_role("radio", name="Work")).to_be_checked()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("link", name="Back").click()
    expect(page.get_by_role("radio", name="Work")).to_be_checked()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("The Primary calendar is saved.")


def test_a_double_click_a_reload_and_back_do_nothing_twice(page: Page, bridge, person):
    live.sign_in(page, bridge, person)
    page.get_by_role("link", name="Connect iCloud Calendar").click()
    page.get_by_label("Apple Account e-mail address").fill(person.cloud.username)
    page.get_by_label("App-specific password", exact=True).fill("my usual Apple password")
    page.get_by_role("button", name="Connect").click()
    # What went wrong is in view, and read out, whatever the screen.
    expect(page.get_by_role("alert")).to_be_focused()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Connect iCloud Calendar")
    expect(page.get_by_role("alert")).to_have_count(0)

    page.goto(f"{bridge.url}/profile/subscribe")
    page.get_by_label("Which device or program?").fill("Thunderbird")
    page.get_by_role("button", name="Make a password").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("A password for Thunderbird")
    for again in (page.reload, page.go_back, page.go_forward):
        again()
        expect(page.get_by_role("heading", level=1)).to_have_text("Subscribe")
    expect(page.get_by_role("rowheader", name="Thunderbird")).to_have_count(1)

    page.get_by_role("link", name="Revoke Thunderbird").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text("Revoked.")
    expect(page.get_by_role("status")).to_be_focused()
    live.look(page)
    page.reload()
    expect(page.get_by_role("status")).to_have_count(0)


def test_a_choice_outlives_the_session(page: Page, bridge, person):
    live.sign_in(page, bridge, person)
    live.connect(page, person)
    page.goto(f"{bridge.url}/profile/calendars/primary")
    page.get_by_role("radio", name="Work").check()
    page.context.clear_cookies()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("User name").fill(person.id)
    page.get_by_label("Calendar password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("main")).to_contain_text("The Primary calendar will be Work.")
    # Once more, with what is to be saved.
    page.context.clear_cookies()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Your session had ended, so nothing was saved.")
    live.look(page)
