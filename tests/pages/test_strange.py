"""What no browser sends: answered, and never with a 500."""

from __future__ import annotations

import contextlib
import sqlite3

import aiohttp
import pytest
from yarl import URL

from bridge.web.pages.visit import COOKIE

STRANGE = ("%ff%fe", "%00", "%ed%a0%80", "%", "x" * 5000, "%F0%9F%97%93", "../../etc/passwd", "1e9", "-1", "'")


@pytest.mark.parametrize("text", STRANGE)
async def test_strange_addresses(site, text):
    ada, admin = await site.signed_in(), await site.admin()
    for path in (
        f"/link/{text}",
        f"/sign-in?next={text}&done={text}",
        f"/static/{text}",
        f"/calendar?view={text}",
        f"/calendar?date={text}",
        f"/calendar/why?item={text}&at={text}",
        f"/profile/integrations/connect?provider={text}",
        f"/profile/integrations/connect?account={text}",
        f"/profile/integrations/{text}/disconnect",
        f"/profile/calendars/{text}/settings",
        f"/profile/subscribe/passwords/{text}/revoke",
        f"/users/{text}",
        f"/users?q={text}&page={text}",
        f"/system?page={text}",
        *(
            f"/profile/calendars/{form}?preview={text}&primary={text}&conflict={text}"
            for form in ("primary", "conflicts")
        ),
        f"/profile/calendars/{site.world.ids['Home']}/settings?preview={text}&titles={text}&travel={text}",
        f"/system/tokens/{text}/revoke",
    ):
        for visitor in (ada, admin):
            seen = await visitor._ask("GET", URL(path, encoded=True), headers={})
            assert seen.status < 500, path


@pytest.mark.parametrize("text", STRANGE)
async def test_strange_forms(site, text):
    ada, admin, nobody = await site.signed_in(), await site.admin(), await site.browser()
    home = site.world.ids["Home"]
    for visitor, via, path, names in (
        (nobody, "/sign-in", "/sign-in", ("user", "password", "next")),
        (nobody, "/sign-in", "/sign-in/admin", ("token", "next")),
        (ada, "/status", "/profile/integrations/connect", ("provider", "username", "password", "address", "account")),
        (ada, "/status", "/profile/calendars/primary", ("primary", "keep_old")),
        (ada, "/status", "/profile/calendars/conflicts", ("conflict",)),
        (ada, "/status", f"/profile/calendars/{home}/settings", ("titles", "all_day")),
        (ada, "/status", "/profile/subscribe/passwords", ("label",)),
        (ada, "/status", "/profile/subscribe/profile", ("label",)),
        (admin, "/users", "/system/tokens", ("label", "scope", "locations")),
    ):
        csrf = (await visitor.get(via)).csrf
        body = f"csrf={csrf}&" + "&".join(f"{name}={text}" for name in names)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await visitor._ask("POST", path, headers=form, data=body.encode())).status < 500, path
        broken = {"Content-Type": "multipart/form-data"}
        assert (await visitor._ask("POST", path, headers=broken, data=text.encode())).status < 500, path
        bad_token = f"csrf={text}".encode()
        refused = await visitor._ask("POST", path, headers=form, data=bad_token)
        assert refused.status in {400, 403} or refused.url == f"{path}?done=ended", path


@pytest.mark.parametrize("cookie", ["x", ".", "x.y", "%ff.%fe", "\xff.\xfe", "x" * 4000, '"'])
async def test_strange_cookies_are_nobody(site, cookie):
    visitor = await site.browser()
    assert (await visitor.get("/status", Cookie=f"{COOKIE}={cookie}")).url.startswith("/sign-in")


@pytest.mark.parametrize("language", ["\xff", ";;;", "en;q=nan", "en-" * 500, "i-klingon", "zh-Hant-TW-x-y"])
async def test_strange_languages(site, language):
    ada = await site.signed_in()
    assert (await ada.get("/calendar", Accept_Language=language)).status == 200


async def test_a_file_is_no_field(site):
    ada = await site.signed_in()
    csrf = (await ada.get("/status")).csrf
    form = aiohttp.FormData({"csrf": csrf})
    form.add_field("label", b"x", filename="x.txt")
    assert (await ada._ask("POST", "/profile/subscribe/passwords", headers={}, data=form)).status == 400


async def test_a_form_that_is_too_large_is_refused(site):
    ada = await site.signed_in()
    answer = await ada.post("/profile/subscribe/passwords", {"label": "x" * 300_000}, via="/profile/subscribe")
    assert answer.status == 413


async def test_a_store_that_can_t_be_written_is_told_and_pages_are_shown_all_the_same(site):
    ada = await site.signed_in()
    site.world.db.wait_at_most(0)
    with contextlib.closing(sqlite3.connect(site.world.db.path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        refused = await ada.post("/profile/subscribe/passwords", {"label": "phone"}, via="/profile/subscribe")
        assert refused.status == 503
        assert "Nothing was changed" in refused.text
        assert (await ada.get("/status")).status == 200
