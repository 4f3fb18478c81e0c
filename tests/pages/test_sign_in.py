"""Who gets in, how, and for how long."""

from __future__ import annotations

import asyncio
import re
from html import unescape

import pytest

from bridge.service import audit, sessions, users
from bridge.settings import Settings
from bridge.web.pages import attempts
from bridge.web.pages.routes import ROUTES
from bridge.web.pages.visit import COOKIE
from tests.pages.conftest import close, make_site


async def test_a_settings_link_signs_in_once(site):
    visitor = await site.browser()
    link = site.link()
    assert "Hello, Ada" in (await visitor.get(link)).text
    opened = await visitor.post(link)
    assert opened.url == "/profile/integrations"

    other = await site.browser()
    again = await other.get(link)
    assert again.status == 410
    assert "was used already" in again.text


async def test_programs_that_look_at_links_do_not_use_them_up(site):
    link = site.link()
    for _ in range(3):
        assert (await (await site.browser()).get(link)).status == 200
    assert (await (await site.browser()).post(link)).url == "/profile/integrations"


async def test_two_who_open_a_link_at_once_are_not_both_signed_in(site):
    link = site.link()
    browsers = [await site.browser() for _ in range(5)]
    answers = await asyncio.gather(*(browser.post(link) for browser in browsers))
    assert sorted(answer.status for answer in answers) == [200, 410, 410, 410, 410]


async def test_a_settings_link_expires(site):
    link = site.link()
    site.world.later(sessions.LINK_SECONDS)
    expired = await (await site.browser()).get(link)
    assert expired.status == 410
    assert "has expired" in expired.text


async def test_a_link_that_was_never_made_is_nothing(site):
    assert (await (await site.browser()).get("/link/" + "x" * 43)).status == 404


async def test_a_calendar_password_signs_in_and_leads_on_to_what_was_asked_for(site):
    _, password = site.password()
    visitor = await site.browser()
    asked = await visitor.get("/profile/subscribe?a=b")
    assert asked.url.startswith("/sign-in?next=")
    opened = await visitor.post("/sign-in", {"user": "ada", "password": f" {password} ", "next": "/profile/subscribe"})
    assert opened.url == "/profile/subscribe"


@pytest.mark.parametrize(
    "next_page",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:x",
        "/\t/evil.example",
        " //evil.example",
        "\\\\evil.example",
    ],
)
async def test_signing_in_never_leads_elsewhere(site, next_page):
    visitor = await site.browser()
    data = {"user": "ada", "password": site.password()[1], "next": next_page}
    assert (await visitor.post("/sign-in", data)).url == "/calendar"


async def test_a_wrong_password_says_what_to_do_and_a_wrong_user_says_the_same(site):
    _, password = site.password()
    visitor = await site.browser()
    wrong = await visitor.post("/sign-in", {"user": "ada", "password": "nope"})
    unknown = await visitor.post("/sign-in", {"user": "nobody", "password": password})
    assert wrong.status == unknown.status == 401
    assert wrong.text == unknown.text
    assert "Use a calendar password" in wrong.text


async def test_many_wrong_passwords_have_to_wait_but_lock_nobody_else_out(site):
    _, password = site.password()
    visitor = await site.browser()
    right = {"user": "ada", "password": password}
    for _ in range(attempts.FAILURES):
        assert (
            await visitor.post("/sign-in", {"user": "ada", "password": "no"}, X_Forwarded_For="9.9.9.9")
        ).status == 401
        await (await site.browser()).post("/sign-in", right, X_Forwarded_For="9.9.9.9")  # which pays off nothing
    waiting = await visitor.post("/sign-in", right, X_Forwarded_For="1.1.1.1, 9.9.9.9")
    assert waiting.status == 429
    assert "Wait 10 minutes" in waiting.text
    site.world.later(attempts.SECONDS)
    assert (await visitor.post("/sign-in", right, X_Forwarded_For="9.9.9.9")).url == "/calendar"
    assert (await (await site.browser()).post("/sign-in", right, X_Forwarded_For="8.8.8.8")).url == "/calendar"


async def test_many_wrong_tokens_have_to_wait_too(site):
    visitor, right = await site.browser(), {"token": site.token("admin")}
    for _ in range(attempts.FAILURES):
        assert (await visitor.post("/sign-in/admin", {"token": "brt_no"})).status == 401
    waiting = await visitor.post("/sign-in/admin", right)
    assert waiting.status == 429
    assert "Wait 10 minutes" in waiting.text
    site.world.later(attempts.SECONDS)
    assert (await visitor.post("/sign-in/admin", right)).url == "/users"


async def test_an_administrator_needs_a_token_with_the_scope_admin(site):
    visitor = await site.browser()
    refused = await visitor.post("/sign-in/admin", {"token": site.token("calendars.write")})
    assert refused.status == 401
    opened = await visitor.post("/sign-in/admin", {"token": site.token("admin")})
    assert opened.url == "/users"


async def test_signing_out_ends_the_session_and_not_only_the_cookie(site):
    visitor = await site.signed_in()
    cookie = _cookie(site, visitor)
    assert (await visitor.post("/sign-out", via="/status")).url == "/sign-in?done=signed-out"
    thief = await site.browser()
    assert (await thief.get("/status", Cookie=f"{COOKIE}={cookie}")).url.startswith("/sign-in")


async def test_signing_out_everywhere_ends_every_session_and_withdraws_unused_links(site):
    here, there, bob = await site.signed_in(), await site.signed_in(), await site.signed_in("bob")
    link = site.link()
    await here.post("/sign-out-everywhere", via="/status")
    assert (await there.get("/status")).url.startswith("/sign-in")
    assert (await bob.get("/status")).url == "/status"
    assert (await (await site.browser()).get(link)).status == 404


async def test_revoking_a_password_ends_the_sessions_it_opened(site):
    password_id, password = site.password()
    thief = await site.browser()
    await thief.post("/sign-in", {"user": "ada", "password": password})
    assert (await thief.get("/status")).url == "/status"
    ada = await site.signed_in()
    await ada.post(f"/profile/subscribe/passwords/{password_id}/revoke")
    assert (await thief.get("/status")).url.startswith("/sign-in")
    assert (await ada.get("/status")).url == "/status"


async def test_revoking_a_token_ends_the_sessions_it_opened(site):
    admin = await site.admin()
    (token,) = users.list_tokens(site.world.db)
    users.revoke_token(site.world.db, token.id, site.world.now())
    assert (await admin.get("/users")).url.startswith("/sign-in/admin")


async def test_sessions_end_by_themselves(site):
    visitor, admin = await site.signed_in(), await site.admin()
    site.world.later(sessions.ADMIN_SECONDS)
    assert (await admin.get("/users")).url.startswith("/sign-in/admin")
    assert (await visitor.get("/status")).url == "/status"
    site.world.later(sessions.USER_SECONDS)
    assert (await visitor.get("/status")).url.startswith("/sign-in")


async def test_a_removed_user_is_signed_out(site):
    visitor = await site.signed_in("bob")
    users.remove_user(site.world.db, "bob", now=0)
    assert (await visitor.get("/status")).url.startswith("/sign-in")


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site):
    visitor = await site.browser()
    first = (await visitor.get("/sign-in")).headers["Set-Cookie"]
    assert "HttpOnly" in first
    assert "SameSite=Lax" in first
    assert "Secure" not in first  # plain http, on this machine


async def test_behind_https_the_cookie_goes_over_https_only_and_pages_may_live_below_a_path(tmp_path):
    settings = Settings.model_validate({"sidecar": {"public_url": "https://example.com/bridge/"}})
    site = await make_site(tmp_path, settings)
    try:
        visitor = await site.browser()
        page = await visitor.get("/sign-in")
        assert "Secure" in page.headers["Set-Cookie"]
        assert "Path=/bridge/" in page.headers["Set-Cookie"]
        assert 'action="/bridge/sign-in"' in page.html
        async with visitor.client.get("/calendar", allow_redirects=False) as response:
            assert response.headers["Location"].startswith("/bridge/sign-in?next=")
    finally:
        await close(site)


async def test_a_cookie_is_new_after_signing_in_and_a_forged_one_is_nothing(site):
    visitor = await site.browser()
    await visitor.get("/sign-in")
    before = _cookie(site, visitor)
    await visitor.post(site.link())
    after = _cookie(site, visitor)
    assert before != after
    secret, _, signature = after.partition(".")
    other = await site.browser()
    forged = secret + "." + signature[::-1]
    assert (await other.get("/status", Cookie=f"{COOKIE}={forged}")).url.startswith("/sign-in")


async def test_a_form_without_this_browsers_token_does_nothing(site):
    ada, bob = await site.signed_in(), await site.signed_in("bob")
    theirs = (await bob.get("/profile/subscribe")).csrf
    for given in ("", "x", theirs):
        refused = await ada.send("/profile/subscribe/passwords", {"csrf": given, "label": "stolen"})
        assert refused.status == 403
    own = (await ada.get("/profile/subscribe")).csrf
    across = await ada.send(
        "/profile/subscribe/passwords", {"csrf": own, "label": "stolen"}, Sec_Fetch_Site="cross-site"
    )
    assert across.status == 403
    assert users.list_passwords(site.world.db, "ada") == []


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES if route.method == "POST"}))
async def test_no_form_works_from_another_site(site, path):
    form = {"csrf": "guessed"}
    for visitor in (await site.signed_in(), await site.admin()):
        assert (await visitor.send(re.sub(r"{\w+}", "x", path), form)).status == 403
    nobody = await site.browser()
    assert (await nobody.send(re.sub(r"{\w+}", "x", path), form, Sec_Fetch_Site="cross-site")).status == 403


@pytest.mark.parametrize("gone", ["session", "cookie"])
@pytest.mark.parametrize(
    ("path", "via"),
    [
        ("/profile/integrations/connect?provider=icloud", "/profile/integrations/connect?provider=icloud"),
        ("/profile/calendars/conflicts", "/profile/calendars/conflicts"),
        ("/profile/subscribe/passwords", "/profile/subscribe"),
        ("/status/apt_x/retry", "/status"),
    ],
)
async def test_who_is_signed_out_while_filling_in_a_form_signs_in_and_is_back_at_it(site, path, via, gone):
    ada, elsewhere = await site.signed_in(), await site.signed_in()
    csrf = (await ada.get(via)).csrf
    await elsewhere.post("/sign-out-everywhere", via="/status")
    if gone == "cookie":
        ada.client.session.cookie_jar.clear()
    told = await ada.send(path, {"csrf": csrf, "label": "phone"})
    assert "Your session had ended, so nothing was saved." in told.text
    assert users.list_passwords(site.world.db, "ada") == []
    _, password = site.password()
    onward = re.search(r'name="next" value="([^"]*)"', told.html)[1]
    again = await ada.post("/sign-in", {"user": "ada", "password": password, "next": unescape(onward)})
    assert again.url == via


async def test_no_form_leads_to_another_host(site):
    # Written by hand: no client of ours sends such a path.
    for path in ("//elsewhere.example/x", "//elsewhere.example/sign-in"):
        reader, writer = await asyncio.open_connection(site.server.host, site.server.port)
        head = f"POST {path} HTTP/1.1\r\nHost: bridge\r\nAccept: text/html\r\nConnection: close\r\n"
        form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n"
        writer.write(f"{head}{form}".encode())
        answer = (await reader.read()).decode()
        writer.close()
        assert answer.startswith("HTTP/1.1 403 "), answer
        assert "\nlocation:" not in answer.lower()


async def test_an_administrator_who_is_signed_out_meanwhile_signs_in_as_one(site):
    admin = await site.admin()
    admin.client.session.cookie_jar.clear()
    told = await admin.send("/system/tokens", {"csrf": "x", "label": "x", "scope": "admin"})
    assert told.url.startswith("/sign-in/admin")
    assert "Your session had ended" in told.text


async def test_nothing_is_framed_kept_or_told_to_others_whatever_the_answer(site):
    visitor = await site.browser()
    for path in (site.link(), "/link/none", "/sign-in", "/sign-in/admin", "/status", "/nowhere", "/"):
        for method in ("GET", "HEAD", "POST"):
            async with visitor.client.request(
                method, path, headers={"Accept": "text/html"}, allow_redirects=False
            ) as r:
                assert (path, method, r.headers["Cache-Control"]) == (path, method, "no-store")
                assert r.headers["Referrer-Policy"] == "no-referrer"
                assert r.headers["X-Frame-Options"] == "DENY"
                assert "frame-ancestors 'none'" in r.headers["Content-Security-Policy"]


async def test_the_crm_gets_settings_links_for_its_own_users_only(site):
    visitor = await site.browser()

    async def ask(user: str, token: str):
        async with visitor.client.post(
            f"/v1/users/{user}/settings-link", headers={"Authorization": f"Bearer {token}"}
        ) as response:
            return response.status, await response.json()

    token = site.token("calendars.write", locations=("loc",))
    status, made = await ask("ada", token)
    assert status == 201
    assert made["expiresAt"] == "2027-03-08T08:30:00Z"
    path = "/link/" + made["url"].partition("/link/")[2]
    assert (await visitor.post(path)).url == "/profile/integrations"
    assert (await ask("bob", token))[0] == 404
    assert (await ask("nobody", token))[0] == 404
    assert (await ask("ada", site.token("calendars/events.write")))[0] == 403


async def test_the_audit_log_tells_who_did_what_and_no_secret(site):
    visitor = await site.signed_in()
    made = await visitor.post("/profile/subscribe/passwords", {"label": "phone"}, via="/profile/subscribe")
    told = [(entry.actor, entry.action) for entry in audit.latest(site.world.db, limit=10)]
    assert told == [("user:ada", "calendar password made"), ("user:ada", "signed in"), ("test", "settings link made")]
    assert made.status == 200


def _cookie(site, visitor):
    return visitor.client.session.cookie_jar.filter_cookies(site.server.make_url("/"))[COOKIE].value
