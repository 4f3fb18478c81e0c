"""The pages as a browser sees them: over HTTP with a server in memory, and with Chromium over a running bridge."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from playwright.sync_api import Browser, sync_playwright

from bridge.remote.memory import MemoryServer
from bridge.service import sessions, users
from bridge.settings import Settings
from bridge.web.app import make_web_app
from tests.pages import live
from tests.service.conftest import World, make_world


@dataclass
class Page:
    """One page, read."""

    status: int
    headers: Any
    url: str
    html: str

    @property
    def text(self) -> str:
        """What a person reads."""
        body = re.sub(r"(?s)<(script|style|svg).*?</\1>", "", self.html.partition("<main")[2])
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())

    @property
    def csrf(self) -> str:
        return re.findall(r'name="csrf" value="([^"]+)"', self.html)[0]


@dataclass
class Visitor:
    """One browser, that sends forms as it found them."""

    client: TestClient[Any, Any]
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> Page:
        return await self._ask("GET", path, headers=headers)

    async def look(self, path: str, data: dict[str, str]) -> Page:
        """Send a form that changes nothing yet: the page that says what it will do."""
        return await self.get(f"{path}?{urlencode({'preview': 'yes', **data})}")

    async def post(self, path: str, data: Any = None, *, via: str | None = None, **headers: str) -> Page:
        """Send a form that stands on the page `via` (by default: where it is sent to)."""
        form = await self.get(via or path)
        fields = [("csrf", form.csrf), *(data.items() if isinstance(data, dict) else data or [])]
        return await self._ask("POST", path, data=fields, headers=headers)

    async def send(self, path: str, data: dict[str, str], **headers: str) -> Page:
        """Send a form without looking at the page before."""
        return await self._ask("POST", path, data=data, headers=headers)

    async def _ask(self, method: str, path: str, *, headers: dict[str, str], data: Any = None) -> Page:
        named = {"Accept": "text/html", **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.client.request(method, path, data=data, headers={**self.headers, **named}) as response:
            return Page(response.status, response.headers.copy(), str(response.url.path_qs), await response.text())


@dataclass
class Site:
    """The pages, with the world behind them."""

    world: World
    server: TestServer
    clients: list[TestClient[Any, Any]] = field(default_factory=list)

    async def browser(self) -> Visitor:
        """A browser that has never been here."""
        # The jar takes cookies of addresses without a name too.
        client = TestClient(self.server, cookie_jar=CookieJar(unsafe=True))
        await client.start_server()
        self.clients.append(client)
        return Visitor(client)

    async def signed_in(self, user_id: str = "ada") -> Visitor:
        """A browser in which a User has opened their settings link."""
        visitor = await self.browser()
        opened = await visitor.post(self.link(user_id))
        assert opened.status == 200, opened.text
        return visitor

    async def admin(self, *locations: str) -> Visitor:
        visitor = await self.browser()
        opened = await visitor.post("/sign-in/admin", {"token": self.token("admin", locations=locations)})
        assert opened.status == 200, opened.text
        return visitor

    def link(self, user_id: str = "ada") -> str:
        """The path of a new settings link."""
        secret, _ = sessions.make_link(self.world.db, user_id, actor="test", now=self.world.now())
        return f"/link/{secret}"

    def token(self, *scopes: str, locations: tuple[str, ...] = ()) -> str:
        return users.add_token(self.world.db, label="t", location_ids=locations, scopes=scopes, now=self.world.now())[1]

    def password(self, user_id: str = "ada", label: str = "phone") -> tuple[str, str]:
        return users.add_password(self.world.db, user_id, label, self.world.now())


@pytest.fixture
async def site(tmp_path):
    """Ada's world; and Bob, of another location, who has nothing yet."""
    site = await make_site(tmp_path)
    yield site
    await close(site)


async def make_site(tmp_path, settings: Settings | None = None) -> Site:
    world = await make_world(tmp_path / "bridge.db", MemoryServer())
    users.add_user(world.db, id="bob", location_id="elsewhere", name="Bob", time_zone="America/New_York", now=0)
    server = TestServer(make_web_app(world.context, settings))
    await server.start_server()
    return Site(world, server)


async def close(site: Site) -> None:
    for client in site.clients:
        await client.session.close()
    await site.server.close()
    site.world.db.close()


CHROMIUM = Path("/usr/bin/chromium")


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


@pytest.fixture(params=live.DEVICES)
def page(request, browser: Browser, bridge):
    """A new browser on one of the devices. Nothing it opens may ask for anything elsewhere, or trip over itself."""
    context = browser.new_context(**live.DEVICES[request.param], locale="de-DE", accept_downloads=True)
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
