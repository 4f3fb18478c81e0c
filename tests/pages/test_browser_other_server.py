"""A calendar server of one's own, connected by its address in a real browser: Radicale and Xandikos behind TLS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests import upstreams
from tests.pages import live


@dataclass
class Servers:
    """Where each is to be found."""

    radicale: upstreams.Server
    xandikos: upstreams.Server
    radicale_url: str
    xandikos_url: str
    #: Its certificate is made for another name.
    disguised_url: str
    #: It sends everybody to a host elsewhere.
    moved_url: str
    #: It knows nothing of calendars.
    website_url: str
    #: The file of the authority that vouches for them.
    authority: str


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[Servers]:
    folder, other = tmp_path_factory.mktemp("servers"), tmp_path_factory.mktemp("disguised")
    authority, tls = upstreams.certificates(folder, "127.0.0.1")
    _, wrong = upstreams.certificates(other, "127.0.0.9")
    with (
        upstreams.radicale(folder / "radicale") as radicale,
        upstreams.xandikos(folder / "xandikos") as xandikos,
        upstreams.serving(radicale.app, tls) as radicale_url,
        upstreams.serving(xandikos.app, tls) as xandikos_url,
        upstreams.serving(radicale.app, wrong) as disguised_url,
        upstreams.serving(_answer("301 Moved", ("Location", "https://dav.example.com/")), tls) as moved_url,
        upstreams.serving(_answer("200 OK", ("Content-Type", "text/html")), tls) as website_url,
    ):
        urls = radicale_url, xandikos_url, disguised_url, moved_url, website_url
        yield Servers(radicale, xandikos, *urls, str(authority))


@pytest.fixture(scope="module")
def bridge(tmp_path_factory, servers):
    trusting = {"REQUESTS_CA_BUNDLE": servers.authority}
    with live.serving(tmp_path_factory.mktemp("live") / "bridge", other_servers=True, env=trusting) as bridge:
        yield bridge


def test_a_server_of_ones_own_by_its_address(page: Page, bridge, person, servers):
    anna = servers.radicale.login(f"anna-{person.id}")
    anna.put(anna.make_calendar("Choir"), "song.ics", live.event("song", "Song", live.tomorrow(19)))
    xena = servers.xandikos.login(f"xena-{person.id}")
    xena.make_calendar("Garden")
    live.sign_in(page, bridge, person)
    page.get_by_role("link", name="Connect another CalDAV server").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Connect another CalDAV server")
    # As people type it.
    _fill(page, servers.radicale_url.removeprefix("https://").rstrip("/"), anna.username, anna.password)
    expect(page.get_by_role("status")).to_contain_text("Connected.")
    live.look(page)
    page.get_by_role("link", name="Connect another CalDAV server").click()
    _fill(page, servers.xandikos_url, xena.username, xena.password)
    for login, calendar in ((anna, "Choir"), (xena, "Garden")):
        card = page.get_by_role("region", name=re.compile(f"127.0.0.1.*{login.username}"))
        expect(card).to_contain_text("1 calendar found")
        expect(card).to_contain_text(calendar)
    live.choose(page, bridge, primary="Garden", conflicts=("Choir",))
    page.goto(f"{bridge.url}/calendar?date={live.tomorrow(19).date()}")
    expect(live.reload_until(page, page.get_by_role("link", name=re.compile("19:00.*Choir")))).to_be_visible()


def test_each_way_in_which_it_can_go_wrong_is_told_and_what_to_do(page: Page, bridge, person, servers):
    anna, eve = servers.radicale.login(f"anna-{person.id}"), servers.radicale.login(f"eve-{person.id}")
    anna.make_calendar("Choir")
    url = servers.radicale_url
    live.sign_in(page, bridge, person)
    page.get_by_role("link", name="Connect another CalDAV server").click()
    live.look(page)
    for address, told in (
        ("my calendar", "This is no address of a server. Type one like https://"),
        (url.replace("https:", "http:"), "Your password would be sent unencrypted. Use an address that begins with"),
        ("https://nowhere.invalid/", "There is no server of this name. Check the address for typing errors."),
        (f"https://127.0.0.1:{upstreams.free_port()}/", "Nothing answers at this address. Check the address and its"),
        (servers.disguised_url, "The server can't prove who it is, so it was not sent your password. Check the"),
        (servers.radicale.url.replace("http:", "https:"), "The server can't prove who it is"),
        (servers.moved_url, "The server redirects to another host. Your password was not sent there."),
        (servers.website_url, "The server does not answer like a calendar server. Check the address"),
    ):
        _fill(page, address, anna.username, anna.password)
        expect(page.get_by_role("alert")).to_contain_text(told)
        # Only the password has to be typed again.
        expect(page.get_by_label("Address of the server")).to_have_value(address)
        expect(page.get_by_label("User name")).to_have_value(anna.username)
        expect(page.get_by_label("Password")).to_have_value("")
    live.look(page)
    assert [one for one in servers.radicale.requests if one.username == anna.username] == []  # no password got there
    _fill(page, url, anna.username, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("The server refuses the user name or the password. Check both")
    _fill(page, url, eve.username, eve.password)
    expect(page.get_by_role("alert")).to_contain_text("there is no calendar. Make one there, then connect again.")
    page.goto(f"{bridge.url}/profile/integrations")
    expect(page.get_by_role("link", name="Disconnect")).to_have_count(0)


def _fill(page: Page, address: str, username: str, password: str) -> None:
    page.get_by_label("Address of the server").fill(address)
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Connect").click()


def _answer(status: str, header: tuple[str, str]) -> Callable[..., list[bytes]]:
    def application(_environ, start_response):
        start_response(status, [header])
        return [b"<!doctype html><title>Hello</title>"]

    return application
