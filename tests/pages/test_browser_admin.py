"""What administrators and programmers see, in a real browser, on a phone and at a desk."""

from __future__ import annotations

import urllib.request

import pytest
from playwright.sync_api import Page, expect

from tests.pages import live


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
    hook = {"url": "https://crm.example.com/hook?key=hidden", "description": "Sales", "events": ["AppointmentCreate"]}
    live.api(bridge, bridge.token("webhooks.write", "calendars/events.readonly"), "/webhooks", hook)
    page.get_by_role("link", name="System").click()
    live.look(page)
    receiver = page.get_by_role("region", name="Receivers of webhooks").get_by_role("row").last
    expect(receiver).to_contain_text("https://crm.example.com/hook Sales")
    expect(receiver).not_to_contain_text("hidden")
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


def test_administration_in_the_dark(page: Page, bridge, person):
    page.emulate_media(color_scheme="dark")
    page.goto(f"{bridge.url}/sign-in/admin")
    live.look(page)
    page.get_by_label("API token").fill(bridge.token("admin"))
    page.get_by_role("button", name="Sign in").click()
    for path in ("/users", f"/users/{person.id}", "/system"):
        page.goto(bridge.url + path)
        live.look(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_of_the_api_can_be_read_and_followed(page: Page, bridge, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{bridge.url}/v1/docs")
    live.look(page, heaviest=400_000)
    body = page.get_by_role("link", name="AppointmentCreate").first
    expect(body).to_be_hidden()
    page.get_by_text("Book an appointment.").click()
    expect(body).to_be_visible()
    body.click()
    expect(page.locator("#AppointmentCreate")).to_be_in_viewport()
    live.look(page, heaviest=400_000)
