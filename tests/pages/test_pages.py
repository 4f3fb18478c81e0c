"""What the pages say and do, over HTTP: a phone without JavaScript sees the same."""

from __future__ import annotations

import plistlib
import re
from dataclasses import replace
from html import unescape
from urllib.parse import urlsplit

import pytest

from bridge.app import RemotePool
from bridge.domain.model import Role, SyncState, Titles
from bridge.errors import AccountNotConnected, Forbidden, NoAnswer, Throttled, Unreachable
from bridge.service import book, connect, mirror, push, roles, users
from bridge.settings import Settings
from tests.pages.conftest import close, make_site
from tests.pages.qr import scanned
from tests.service.conftest import NOW, event

PROFILE = ("/profile/integrations", "/profile/calendars", "/profile/subscribe")
USER_PAGES = (*PROFILE, "/calendar", "/calendar?view=month", "/calendar?view=day", "/status")
TUESDAY = "2027-03-09"


async def put(site, calendar, name, **fields):
    """An event on Ada's phone, read by the bridge."""
    site.world.server.edit(site.world.urls[calendar], f"{name}.ics", event(name, **fields))
    await mirror.mirror_account(site.world.context, site.world.account_id)


async def book_one(site, **fields):
    booked = book.create_appointment(site.world.db, site.world.new(**fields), now=site.world.now()).appointment
    await push.push_due(site.world.context)
    return booked


def role_of(site, name):
    return next(c for c in roles.list_calendars(site.world.db, "ada") if c.name == name).role


# --- Who sees what ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*USER_PAGES, "/calendar/why?item=x&at=1", "/users", "/users/ada", "/system"])
async def test_nothing_is_shown_to_those_who_are_not_signed_in(site, path):
    seen = await (await site.browser()).get(path)
    assert seen.url.startswith("/sign-in")
    assert "Ada" not in seen.html


async def test_another_users_things_do_not_exist(site):
    await put(site, "Home", "dentist")
    booked = await book_one(site)
    password_id, _ = site.password()
    (href,) = [href for href, item in site.world.merged().items() if item.kind == "icloud"]
    bob = await site.signed_in("bob")
    account, home = site.world.account_id, site.world.ids["Home"]
    at = NOW + 3600
    for path in (
        f"/profile/integrations/connect?account={account}",
        f"/profile/integrations/{account}/disconnect",
        f"/profile/calendars/{home}/settings",
        f"/profile/subscribe/passwords/{password_id}/revoke",
        f"/calendar/why?item={href}&at={at}",
        "/users",
        "/users/ada",
        "/system",
        "/nowhere",
    ):
        seen = await bob.get(path)
        assert (path, seen.status) == (path, 404)
        assert "Ada" not in seen.html
    for path, data in (
        (f"/profile/integrations/{account}/disconnect", {}),
        ("/profile/integrations/connect", {"account": account, "password": "abcd-efgh-ijkl-mnop"}),
        ("/profile/calendars/conflicts", {"conflict": home}),
        ("/profile/calendars/primary", {"primary": home}),
        (f"/profile/calendars/{home}/settings", {"titles": "title"}),
        (f"/profile/subscribe/passwords/{password_id}/revoke", {}),
        (f"/status/{booked.id}/retry", {}),
        ("/users/ada/link", {}),
        ("/system/tokens", {"label": "x", "scope": "admin"}),
    ):
        assert (path, (await bob.post(path, data, via="/profile/subscribe")).status) == (path, 404)
    assert len(connect.list_accounts(site.world.db, "ada")) == 1
    assert role_of(site, "Home") == Role.PRIMARY
    assert users.list_passwords(site.world.db, "ada")[0].revoked_at is None


async def test_an_administrator_of_one_location_sees_no_other(site):
    admin = await site.admin("loc")
    listed = await admin.get("/users")
    assert "Ada" in listed.text
    assert "Bob" not in listed.text
    assert (await admin.get("/users/bob")).status == 404
    assert (await admin.get("/system")).status == 404
    assert "System" not in listed.html
    assert (await admin.post("/users/bob/link", via="/users/ada")).status == 404


async def test_an_administrator_sees_no_calendar(site):
    await put(site, "Home", "dentist", title="Secret dentist")
    roles.set_slot_settings(
        site.world.context, "ada", site.world.ids["Home"], _settings(site, "Home", titles=Titles.TITLE)
    )
    admin = await site.admin()
    assert (await admin.get("/calendar")).status == 404
    for path in ("/users", "/users/ada", "/system"):
        assert "dentist" not in (await admin.get(path)).html


async def test_no_page_shows_a_secret(site):
    _, calendar_password = site.password()
    token = site.token("admin")
    ada, admin = await site.signed_in(), await site.admin()
    seen = [await ada.get(path) for path in USER_PAGES]
    seen += [await ada.get(f"/profile/integrations/connect?account={site.world.account_id}")]
    seen += [await admin.get(path) for path in ("/users", "/users/ada", "/system")]
    wrong = {"provider": "icloud", "username": "ada@example.com", "password": "wrong-password-of-ada"}
    seen.append(await ada.post("/profile/integrations/connect", wrong))
    for page in seen:
        for secret in (calendar_password, token, site.world.server.password, wrong["password"]):
            assert secret not in page.html


async def test_every_page_forbids_what_it_does_not_need(site):
    ada = await site.signed_in()
    for path in (*USER_PAGES, "/nowhere"):
        page = await ada.get(path)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", page.html), path
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//(?!account\.apple\.com/)', page.html), path


async def test_text_from_outside_is_only_text(site):
    site.world.server.add_calendar("<script>alert(1)</script>")
    await connect.connect(site.world.context, "ada", "icloud", "ada@example.com", site.world.server.password)
    ada = await site.signed_in()
    for path in (*PROFILE, "/profile/calendars/primary", "/profile/calendars/conflicts"):
        assert "<script>alert" not in (await ada.get(path)).html
    assert "<script>alert(1)</script>" in (await ada.get("/profile/integrations")).text


async def test_a_person_who_is_lost_gets_a_page_and_a_program_a_problem(site):
    visitor = await site.browser()
    assert "There is nothing here" in (await visitor.get("/calendars/events")).text
    async with visitor.client.get("/calendars/events", headers={"Accept": "application/json"}) as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"


# --- Integrations ----------------------------------------------------------------------------------------------------


async def test_connecting_says_what_was_found(site):
    server = site.world.server
    bob = await site.signed_in("bob")
    # Both sides of the form are pasted from somewhere.
    data = {"provider": "icloud", "username": f" {server.username} ", "password": f" {server.password} "}
    connected = await bob.post("/profile/integrations/connect", data)
    assert connected.url == "/profile/integrations?done=connected"
    assert "✓ Connected" not in connected.text  # the mark is drawn, not said
    assert "Connected 3 calendars found: Hobby Home Work" in connected.text


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Throttled("https://memory.example/"), "asks us to slow down"),
        (Unreachable("https://memory.example/"), "can't be reached"),
        (Unreachable("https://memory.example/", "", NoAnswer.UNKNOWN_HOST), "server can't be found"),
        (Unreachable("https://memory.example/", "", NoAnswer.NOT_LISTENING), "Nothing answers at this address"),
        (Unreachable("https://memory.example/", "", NoAnswer.UNTRUSTED), "can't prove who it is"),
        (Unreachable("https://memory.example/", "", NoAnswer.TIMEOUT), "does not answer in time"),
        (Forbidden("https://memory.example/"), "not because of the password"),
    ],
)
async def test_connecting_tells_a_bad_password_from_other_trouble(site, fault, words):
    bob = await site.signed_in("bob")
    server = site.world.server
    data = {"provider": "icloud", "username": server.username, "password": server.password}
    wrong = await bob.post("/profile/integrations/connect", {**data, "password": "abcd-efgh-ijkl-wron"})
    assert wrong.status == 422
    assert "Apple refuses this e-mail address or password" in wrong.text
    assert server.username in wrong.html  # need not be typed again

    def fail(method):
        raise fault

    server.on_call = fail
    other = await bob.post("/profile/integrations/connect", data)
    assert words in other.text
    assert "refuses this e-mail address" not in other.text
    assert connect.list_accounts(site.world.db, "bob") == []


async def test_nobody_tries_apples_passwords_by_the_thousand_from_here(site):
    bob = await site.signed_in("bob")
    data = {"provider": "icloud", "username": "x@example.com", "password": "abcd-efgh-ijkl-mnop"}
    for _ in range(10):
        assert (await bob.post("/profile/integrations/connect", data)).status == 422
    asked = len(site.world.server.requests)
    assert (await bob.post("/profile/integrations/connect", data)).status == 429
    assert len(site.world.server.requests) == asked


async def test_disconnecting_says_before_what_it_will_do(site):
    await put(site, "Home", "dentist")
    await put(site, "Work", "meeting")
    await book_one(site)
    ada = await site.signed_in()
    asked = await ada.get(f"/profile/integrations/{site.world.account_id}/disconnect")
    for words in (
        "Home, Work: no longer read.",
        "2 blocked slots ahead go at once",
        "1 appointment ahead stays in the CRM",
        "no Primary calendar",
        "erased for good",
    ):
        assert words in asked.text
    assert len(connect.list_accounts(site.world.db, "ada")) == 1
    done = await ada.post(f"/profile/integrations/{site.world.account_id}/disconnect")
    assert "Disconnected." in done.text
    assert connect.list_accounts(site.world.db, "ada") == []
    assert [item.kind for item in site.world.merged().values()] == ["appointment"]


async def test_other_servers_by_address_only_where_the_administrator_allows_it(site):
    ada = await site.signed_in()
    assert "Another CalDAV server" not in (await ada.get("/profile/integrations")).text
    assert (await ada.get("/profile/integrations/connect?provider=other")).status == 404
    data = {"provider": "other", "address": "https://10.0.0.1/", "username": "a", "password": "b"}
    assert (await ada.post("/profile/integrations/connect", data, via="/status")).status == 404


async def test_where_it_is_allowed_a_server_is_connected_by_its_address(tmp_path):
    site = await make_site(tmp_path, Settings.model_validate({"pages": {"other_servers": True}}))
    try:
        bob = await site.signed_in("bob")
        assert "Another CalDAV server" in (await bob.get("/profile/integrations")).text
        server = site.world.server
        data = {"provider": "other", "username": server.username, "password": server.password}
        form = "/profile/integrations/connect?provider=other"
        for address in (
            "",
            "dav.example.com and more",
            "https://user@dav.example.com/",
            "https://[",
            "file:///etc/passwd",
        ):
            refused = await bob.post("/profile/integrations/connect", {**data, "address": address}, via=form)
            assert "This is no address of a server" in refused.text
        for address in ("http://dav.example.com/", "http://127.0.0.1:5232/"):
            refused = await bob.post("/profile/integrations/connect", {**data, "address": address}, via=form)
            assert "Your password would be sent unencrypted." in refused.text
        for address in ("https://DAV.example.com/cal", "dav.example.com/cal/"):
            await bob.post("/profile/integrations/connect", {**data, "address": address}, via=form)
        (account,) = connect.list_accounts(site.world.db, "bob")
        assert account.provider == "https://dav.example.com/cal/"
        assert "dav.example.com" in (await bob.get("/profile/integrations")).text
    finally:
        await close(site)


def test_a_server_connected_by_its_address_is_the_only_one_to_get_the_password():
    pool = RemotePool(Settings(), vault=None)
    provider = pool._provider("https://dav.example.com/")
    assert (provider.url, provider.credential_hosts) == ("https://dav.example.com/", ())
    for name in ("http://dav.example.com/", "https://", "nowhere"):
        with pytest.raises(AccountNotConnected, match="unknown_provider"):
            pool._provider(name)


# --- Calendar configuration ------------------------------------------------------------------------------------------


async def test_calendars_stand_in_the_order_that_people_expect(site):
    for name in ("Room 10", "room 2", "Attic", "Room 2b"):
        site.world.server.add_calendar(name)
    await connect.connect(site.world.context, "ada", "icloud", "ada@example.com", site.world.server.password)
    ada = await site.signed_in()
    form = (await ada.get("/profile/calendars/conflicts")).html.partition("<main")[2]
    names = [name.strip() for name in re.findall(r"><span>([^<]+)", form)]
    assert names == ["Home", "Attic", "Hobby", "room 2", "Room 2b", "Room 10", "Work"]


async def test_who_has_connected_or_chosen_nothing_is_told_what_to_do_next(site):
    bob = await site.signed_in("bob")
    for view in ("week", "day", "month"):
        assert "No calendar is connected yet" in (await bob.get(f"/calendar?view={view}")).text
    status = await bob.get("/status")
    assert "Connect a calendar" in status.text
    assert "None is waiting." in status.text
    await connect.connect(site.world.context, "bob", "icloud", "ada@example.com", site.world.server.password)
    assert "No calendar is chosen yet" in (await bob.get("/calendar")).text
    status = await bob.get("/status")
    assert "No Primary calendar is chosen" in status.text
    assert "Choose calendars" in status.text
    assert "No calendar is" not in (await (await site.signed_in()).get("/calendar")).text


async def test_a_read_only_calendar_can_not_be_the_primary(site):
    site.world.server.add_calendar("Holidays", writable=False)
    await connect.connect(site.world.context, "ada", "icloud", "ada@example.com", site.world.server.password)
    (holidays,) = [c.id for c in roles.list_calendars(site.world.db, "ada") if c.name == "Holidays"]
    ada = await site.signed_in()
    form = await ada.get("/profile/calendars/primary")
    # Last, as nobody looks for it there.
    assert form.text.endswith(
        "Work checked for conflicts so far Holidays read-only, so appointments can't be written to it"
        " If I choose another, keep checking Home for conflicts Continue Cancel"
        " Before anything changes you see what it will do."
    )
    assert re.search(rf'value="{holidays}" disabled', form.html)
    for refused in (
        await ada.look("/profile/calendars/primary", {"primary": holidays}),
        await ada.post("/profile/calendars/primary", {"primary": holidays}),
    ):
        assert refused.status == 422
        assert "is read-only" in refused.text
    assert role_of(site, "Home") == Role.PRIMARY


async def test_choosing_another_primary_says_first_what_moves_and_what_goes(site):
    await put(site, "Home", "dentist")
    await book_one(site)
    ada = await site.signed_in()
    hobby = {"primary": site.world.ids["Hobby"]}
    preview = await ada.look("/profile/calendars/primary", hobby)
    assert "Primary calendar will be Hobby instead of Home" in preview.text
    assert "1 upcoming appointment is written to it; 1 event moves there" in preview.text
    assert "Home is no longer read" in preview.text
    assert "1 blocked slot ahead goes at once" in preview.text
    assert role_of(site, "Home") == Role.PRIMARY  # nothing is done yet

    kept = await ada.look("/profile/calendars/primary", {**hobby, "keep_old": "yes"})
    assert "no longer read" not in kept.text
    fields = _hidden(kept)
    saved = await ada.send("/profile/calendars/primary", fields)
    assert "The Primary calendar is saved." in saved.text
    assert (role_of(site, "Hobby"), role_of(site, "Home"), role_of(site, "Work")) == (
        Role.PRIMARY,
        Role.CONFLICT,
        Role.CONFLICT,
    )


async def test_a_preview_counts_what_really_goes(site):
    await put(site, "Home", "both")
    await put(site, "Work", "both")
    await put(site, "Work", "meeting", start="20270309T140000", end="20270309T150000")
    await put(site, "Work", "long-ago", start="20200309T140000", end="20200309T150000")
    ada = await site.signed_in()
    before = set(site.world.merged())
    preview = await ada.look("/profile/calendars/conflicts", {})
    # What also stands in Home stays, and what is over was not ahead.
    assert "1 blocked slot ahead goes at once" in preview.text
    await ada.send("/profile/calendars/conflicts", _hidden(preview))
    assert len(before - set(site.world.merged())) == 2


async def test_back_from_a_preview_the_form_has_what_was_chosen(site):
    ids, ada = site.world.ids, await site.signed_in()
    settings = f"/profile/calendars/{ids['Work']}/settings"
    for path, chosen, checked in (
        ("/profile/calendars/primary", {"primary": ids["Hobby"]}, {ids["Hobby"]}),
        ("/profile/calendars/primary", {"primary": ids["Hobby"], "keep_old": "yes"}, {ids["Hobby"], "yes"}),
        ("/profile/calendars/conflicts", {"conflict": ids["Hobby"]}, {ids["Hobby"], ids["Home"]}),  # and the Primary
        ("/profile/calendars/conflicts", {}, {ids["Home"]}),
        (settings, {"titles": "title"}, {"title"}),
    ):
        preview = await ada.look(path, chosen)
        (back,) = re.findall(r'href="([^"]+)">Back<', preview.html)
        form = await ada.get(unescape(back))
        assert set(re.findall(r'value="(\w+)" checked', form.html)) == checked, path


async def test_saving_what_is_already_so_changes_nothing(site):
    ada = await site.signed_in()
    work = {"conflict": site.world.ids["Work"]}
    for same in (
        await ada.look("/profile/calendars/conflicts", work),
        await ada.post("/profile/calendars/conflicts", work),
    ):
        assert "nothing was changed." in same.text


async def test_settings_of_a_calendar_say_first_what_they_do(site):
    await put(site, "Home", "dentist", title="Dentist")
    site.world.server.edit(
        site.world.urls["Home"],
        "off.ics",
        event("off", title="Off")
        .replace("DTSTART;TZID=Europe/Berlin:20270308T100000", "DTSTART;VALUE=DATE:20270310")
        .replace("DTEND;TZID=Europe/Berlin:20270308T110000", "DTEND;VALUE=DATE:20270311"),
    )
    await mirror.mirror_account(site.world.context, site.world.account_id)
    ada = await site.signed_in()
    path = f"/profile/calendars/{site.world.ids['Home']}/settings"
    chosen = {"titles": "title", "unanswered": "yes", "tentative": "yes", "travel": "yes"}
    preview = await ada.look(path, chosen)
    assert "1 blocked slot ahead goes" in preview.text
    assert "1 blocked slot ahead looks different" in preview.text
    assert "Dentist" not in (await ada.get(f"/calendar?date={TUESDAY}")).text
    saved = await ada.send(path, _hidden(preview))
    assert "settings are saved" in saved.text
    assert "Titles are shown; all-day events don't block." in saved.text
    week = (await ada.get(f"/calendar?date={TUESDAY}")).text
    assert "Dentist" in week
    assert "Off" not in week


@pytest.mark.parametrize(
    ("off", "said"),
    [
        ("all_day", "all-day events don't block"),
        ("unanswered", "unanswered invitations don't block"),
        ("tentative", "tentative events don't block"),
        ("travel", "travel time doesn't block"),
    ],
)
async def test_each_setting_of_a_calendar_can_be_turned_off_and_on(site, off, said):
    ada = await site.signed_in()
    path = f"/profile/calendars/{site.world.ids['Home']}/settings"
    on = {"titles": "busy", "all_day": "yes", "unanswered": "yes", "tentative": "yes", "travel": "yes"}
    preview = await ada.look(path, {name: value for name, value in on.items() if name != off})
    assert said in preview.text
    await ada.send(path, _hidden(preview))
    form = (await ada.get(path)).html
    checked = re.findall(r'name="(\w+)" value="yes" checked', form)
    assert set(checked) == {"all_day", "unanswered", "tentative", "travel"} - {off}
    await ada.send(path, _hidden(await ada.look(path, on)))
    assert said not in (await ada.get("/profile/calendars")).text


# --- Calendar --------------------------------------------------------------------------------------------------------


async def test_the_week_tells_appointments_and_both_kinds_of_blocked_slots_apart(site):
    await put(site, "Work", "meeting")
    await book_one(site, title="Intro call: Grace", start=NOW + 86_400, end=NOW + 86_400 + 1800)
    book.create_blocked_slot(
        site.world.db,
        book.NewBlockedSlot(
            location_id="loc",
            user_id="ada",
            booking_calendar_id=None,
            title="Focus",
            start=NOW + 7200,
            end=NOW + 9000,
            time_zone="Europe/Berlin",
            utc_offset=3600,
            expires_at=None,
        ),
        now=NOW,
    )
    ada = await site.signed_in()
    week = (await ada.get("/calendar", Accept_Language="de-DE")).text
    assert "10:00 – 11:00 Busy Blocked · Work" in week
    assert "09:00 – 09:30 Intro call: Grace Appointment" in week
    assert "11:00 – 11:30 Focus Blocked in the CRM" in week


async def test_a_changed_time_of_a_series_goes_by_its_own_title(site):
    shown = _settings(site, "Home", titles=Titles.TITLE)
    roles.set_slot_settings(site.world.context, "ada", site.world.ids["Home"], shown)
    changed = event(
        "sync",
        start="20270309T113000",
        end="20270309T120000",
        title="Sync with Bob",
        extra="RECURRENCE-ID;TZID=Europe/Berlin:20270309T100000\r\n",
    )
    changed = changed[changed.index("BEGIN:VEVENT") : changed.index("END:VCALENDAR")]
    series = event("sync", title="Weekly sync", extra="RRULE:FREQ=DAILY;COUNT=3\r\n")
    series = series.replace("END:VCALENDAR", f"{changed}END:VCALENDAR")
    site.world.server.edit(site.world.urls["Home"], "sync.ics", series)
    await mirror.mirror_account(site.world.context, site.world.account_id)
    ada = await site.signed_in()
    week = await ada.get(f"/calendar?date={TUESDAY}")
    assert (week.text.count("Weekly sync"), week.text.count("Sync with Bob")) == (2, 1)
    day = await ada.get(f"/calendar?view=day&date={TUESDAY}")
    assert ("Sync with Bob" in day.text, "Weekly sync" in day.text) == (True, False)
    (link,) = re.findall(r'href="(/calendar/why[^"]+)"', day.html)
    assert "<h1>Sync with Bob</h1>" in (await ada.get(unescape(link))).html


async def test_why_is_this_blocked(site):
    await put(site, "Work", "meeting")
    booked = await book_one(site, title="Intro call")
    site.world.later(180)
    ada = await site.signed_in()
    week = await ada.get("/calendar")
    blocked, appointment = [unescape(link) for link in re.findall(r'href="(/calendar/why[^"]+)"', week.html)]
    told = (await ada.get(blocked)).text
    assert "An event in your calendar Work" in told
    assert "It takes this time." in told
    assert "ada@example.com" in told
    assert "Last read 3 minutes ago" in told
    told = (await ada.get(appointment)).text
    assert "Written to your Primary calendar." in told
    assert booked.fields.title in told
    assert (await ada.get(blocked + "1")).status == 404


@pytest.mark.parametrize(
    ("language", "first", "time"),
    [("de-DE,de;q=0.9", "8–14 Mar 2027", "14:00 – 15:30"), ("en-US", "Mar 7 – 13, 2027", "2:00 – 3:30 PM")],
)
async def test_the_week_begins_and_the_clock_runs_as_the_reader_is_used_to(site, language, first, time):
    await put(site, "Home", "dentist", start="20270309T140000", end="20270309T153000")
    ada = await site.signed_in()
    week = (await ada.get(f"/calendar?date={TUESDAY}", Accept_Language=language)).text
    assert first in week
    assert time in week


async def test_times_are_in_the_users_zone_whatever_the_event_says(site):
    await put(site, "Home", "call", start="20270309T140000", end="20270309T150000")
    with site.world.db.write() as tx:
        tx.execute("UPDATE users SET time_zone = 'America/New_York' WHERE id = 'ada'")
    week = (await (await site.signed_in()).get(f"/calendar?date={TUESDAY}", Accept_Language="en-GB")).text
    assert "08:00 – 09:00" in week
    assert "America/New_York" in week


@pytest.mark.parametrize("query", ["view=year", "date=2027-13-01", "date=x", "view=week&date=0000-01-01"])
async def test_an_address_that_means_nothing_is_not_found(site, query):
    assert (await (await site.signed_in()).get(f"/calendar?{query}")).status == 404


@pytest.mark.parametrize("date", ["0001-01-01", "9999-12-31", "2027-03-28", "2027-10-31"])
@pytest.mark.parametrize("view", ["day", "week", "month"])
async def test_any_day_can_be_looked_at(site, view, date):
    assert (await (await site.signed_in()).get(f"/calendar?view={view}&date={date}")).status == 200


async def test_no_page_is_too_large_however_full_the_calendar(site):
    for number in range(150):
        site.world.server.edit(
            site.world.urls["Work"],
            f"e{number}.ics",
            event(f"e{number}", title="x" * 300, extra="RRULE:FREQ=DAILY;COUNT=5\r\n"),
        )
    await mirror.mirror_account(site.world.context, site.world.account_id)
    roles.set_slot_settings(
        site.world.context, "ada", site.world.ids["Work"], _settings(site, "Work", titles=Titles.TITLE)
    )
    ada = await site.signed_in()
    for view in ("day", "week", "month"):
        page = await ada.get(f"/calendar?view={view}&date=2027-03-10")
        assert len(page.html.encode()) < 100_000, view
    assert "and 126 more" in (await ada.get("/calendar?date=2027-03-10")).text
    day = await ada.get("/calendar?view=day&date=2027-03-10")
    (rest,) = re.findall(r'href="([^"]+)">and 30 more</a>', day.html)
    last = await ada.get("/calendar" + unescape(rest))
    items = [re.findall(r'href="/calendar/why\?item=([^&]+)&', page.html) for page in (day, last)]
    assert (len(items[0]), len(items[1]), len({*items[0], *items[1]})) == (120, 30, 150)
    assert "Back" in last.text
    assert len((await ada.get("/status")).html.encode()) < 100_000


# --- Subscribe -------------------------------------------------------------------------------------------------------


async def test_a_password_is_shown_once_and_can_be_revoked(site):
    ada = await site.signed_in()
    assert (await ada.post("/profile/subscribe/passwords", {"label": "  "}, via="/profile/subscribe")).status == 422
    made = await ada.post("/profile/subscribe/passwords", {"label": "Thunderbird"}, via="/profile/subscribe")
    (password,) = re.findall(r'id="password">([^<]+)<', made.html)
    (kept,) = users.list_passwords(site.world.db, "ada")
    listed = await ada.get("/profile/subscribe")
    assert "Thunderbird" in listed.text
    assert password not in listed.html
    other = await site.browser()
    assert (await other.post("/sign-in", {"user": "ada", "password": password})).url == "/calendar"
    gone = await ada.post(f"/profile/subscribe/passwords/{kept.id}/revoke")
    assert "Revoked." in gone.text
    assert (await ada.get(f"/profile/subscribe/passwords/{kept.id}/revoke")).status == 404
    other = await site.browser()
    assert (await other.post("/sign-in", {"user": "ada", "password": password})).status == 401


@pytest.fixture
async def public_site(tmp_path):
    """Where phones find it. Its own pages in the clear: behind https, its cookie would not reach the test's browser."""
    there = {"public_url": "http://bridge.example.com/"}, {"public_url": "https://dav.example.com/"}
    site = await make_site(tmp_path, Settings.model_validate(dict(zip(("sidecar", "radicale"), there, strict=True))))
    yield site
    await close(site)


async def test_a_configuration_profile_is_a_property_list_with_what_apple_asks_for(public_site):
    site = public_site
    ada = await site.signed_in()
    form = await ada.get("/profile/subscribe")
    data = {"csrf": form.csrf, "label": "iPhone"}
    async with ada.client.post("/profile/subscribe/profile", data=data) as response:
        assert response.content_type == "application/x-apple-aspen-config"
        assert response.headers["Cache-Control"] == "no-store"
        profile = plistlib.loads(await response.read())
    assert profile["PayloadType"] == "Configuration"
    assert profile["PayloadVersion"] == 1
    assert profile["PayloadRemovalDisallowed"] is False
    (account,) = profile["PayloadContent"]
    for payload in (profile, account):
        assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", payload["PayloadUUID"])
        assert payload["PayloadIdentifier"]
        assert payload["PayloadDisplayName"]
    assert profile["PayloadUUID"] != account["PayloadUUID"]
    assert account["PayloadType"] == "com.apple.caldav.account"
    assert account["PayloadVersion"] == 1
    assert account["CalDAVAccountDescription"]
    assert account["CalDAVHostName"] == "dav.example.com"
    assert account["CalDAVPort"] == 443
    assert account["CalDAVPrincipalURL"] == "/ada/"
    assert account["CalDAVUseSSL"] is True
    assert account["CalDAVUsername"] == "ada"
    other = await site.browser()
    assert (await other.post("/sign-in", {"user": "ada", "password": account["CalDAVPassword"]})).url == "/calendar"


async def test_the_steps_have_the_values_filled_in(site):
    told = (await (await site.signed_in()).get("/profile/subscribe")).text
    address = "http://127.0.0.1:5232/ada/crm/"
    for program, values in (
        ("iPhone and iPad, by hand", (f"Server: {address}", "User name: ada ;")),
        (
            "Mac, by hand",
            ("User name: ada ;", "Server address: 127.0.0.1 ; server path: /ada/ ; port: 5232 ; Use SSL: no"),
        ),
        ("Thunderbird", (f"User name: ada ; location: {address}",)),
        ("Android, with DAVx⁵", (f"Base URL: {address} ; user name: ada ;",)),
        ("Evolution", (f"URL: {address} ; User: ada",)),
        ("vdirsyncer", ("[storage crm_bridge]",)),
    ):
        steps = told.partition("Step by step")[2].partition(f" {program} ")[2]
        assert [value for value in values if value not in steps[:700]] == [], program
    assert 'url = "http://127.0.0.1:5232/ada/crm/"' in told
    assert 'username = "ada"' in told


async def test_a_phone_goes_on_by_a_code_that_signs_in_once(public_site):
    ada = await public_site.signed_in()
    here = (await ada.get("/profile/subscribe")).html.partition('id="qr"')[2]
    assert scanned(here) == "http://bridge.example.com/profile/subscribe"
    shown = await ada.post("/profile/subscribe/phone", via="/profile/subscribe")
    link = urlsplit(scanned(shown.html.partition("<main")[2]))
    assert link.netloc == "bridge.example.com"
    phone = await public_site.browser()
    assert (await phone.post(link.path)).status == 200
    assert (await phone.get("/profile/subscribe")).url == "/profile/subscribe"
    assert "used already" in (await ada.get(link.path)).text
    assert "/link/" not in shown.html  # only in the code
    assert "It works once" in shown.text


async def test_what_no_phone_can_use_is_not_offered_and_says_what_to_set(site):
    ada = await site.signed_in()
    page = await ada.get("/profile/subscribe")
    assert "<svg" not in page.html.partition('id="qr"')[2]
    for words in (
        "They can't use this address: it leads to the bridge's own machine only.",
        "public_url under [radicale]",
        "A phone can't open http://127.0.0.1:8080/profile/subscribe",
        "public_url under [sidecar]",
    ):
        assert words in page.text
    for path in ("/profile/subscribe/profile", "/profile/subscribe/phone"):
        assert (await ada.post(path, {"label": "iPhone"}, via="/profile/subscribe")).status == 422
    assert users.list_passwords(site.world.db, "ada") == []


# --- Status ----------------------------------------------------------------------------------------------------------


async def test_what_keeps_all_calendars_from_being_read_is_said_once(site):
    site.world.server.on_call = lambda _: (_ for _ in ()).throw(Unreachable("u", "", NoAnswer.TIMEOUT))
    with pytest.raises(Unreachable):
        await mirror.mirror_account(site.world.context, site.world.account_id)
    ada, admin = await site.signed_in(), await site.admin()
    for page in (await ada.get("/status"), await ada.get("/profile/calendars"), await admin.get("/users/ada")):
        assert page.text.count("does not answer in time") == 1


async def test_recent_changes_say_when_in_the_terms_of_the_event(site):
    ada = await site.signed_in()
    for name in ("a", "b", "c"):
        await put(site, "Home", name)  # so that the calendar does not lose most of what it holds
    await put(site, "Home", "timed", start="20270309T100000", end="20270309T110000")
    await put(site, "Work", "weekly", start="20200106T100000", end="20200106T110000", extra="RRULE:FREQ=WEEKLY\r\n")
    holiday = event("holiday").replace(";TZID=Europe/Berlin:20270308T100000", ";VALUE=DATE:20270311")
    holiday = holiday.replace(";TZID=Europe/Berlin:20270308T110000", ";VALUE=DATE:20270313")
    site.world.server.edit(site.world.urls["Home"], "holiday.ics", holiday)
    await mirror.mirror_account(site.world.context, site.world.account_id)
    told = (await ada.get("/status")).text
    assert "from Home , 9 Mar 2027, 10:00 just now" in told
    assert "from Home , 11–12 Mar 2027 just now" in told  # not "00:00"
    assert "from Work , repeats, next 8 Mar 2027, 10:00 just now" in told
    assert "2020" not in told
    site.world.server.edit(site.world.urls["Home"], "holiday.ics", None)
    site.world.server.edit(site.world.urls["Home"], "timed.ics", None)
    await mirror.mirror_account(site.world.context, site.world.account_id)
    told = (await ada.get("/status")).text
    assert "from Home removed, 11 Mar 2027 just now" in told
    assert "from Home removed, 9 Mar 2027, 10:00 just now" in told


async def test_a_failed_appointment_is_told_and_can_be_tried_again(site):
    def refuse(method):
        if method == "PUT":
            raise Forbidden("https://memory.example/")

    site.world.server.on_call = refuse
    booked = await book_one(site, title="Intro call")
    for _ in range(20):
        site.world.later(7200)
        await push.push_due(site.world.context)
    ada = await site.signed_in()
    status = await ada.get("/status")
    assert "Intro call" in status.text
    assert "Retry" in status.text
    admin = await site.admin()
    assert "Appointments failed" in (await admin.get("/users")).text
    site.world.server.on_call = lambda method: None
    tried = await ada.post(f"/status/{booked.id}/retry", via="/status")
    assert "It is being tried again." in tried.text
    assert "1 appointment on the way" in tried.text
    await push.push_due(site.world.context)
    assert "Everything is written" in (await ada.get("/status")).text
    assert book.get_appointment(site.world.db, booked.id, locations=None).sync_state == SyncState.SYNCED


async def test_an_account_that_needs_a_password_says_so_everywhere_and_is_mended_by_reconnecting(site):
    await put(site, "Home", "dentist")
    server = site.world.server
    server.password = "qrst-uvwx-yzab-cdef"
    site.world.later(3600)
    with pytest.raises(Exception, match="Unauthorized"):
        await mirror.mirror_account(site.world.context, site.world.account_id)
    ada, admin = await site.signed_in(), await site.admin()
    for page in (await ada.get("/status"), await ada.get("/profile/integrations"), await admin.get("/users")):
        assert "Needs a new password" in page.text
    form = f"/profile/integrations/connect?account={site.world.account_id}"
    for path in ("/status", "/profile/integrations", "/profile/calendars"):
        assert f'href="{form}">Reconnect' in (await ada.get(path)).html, path
    data = {"account": site.world.account_id, "provider": "x", "password": server.password}
    mended = await ada.post("/profile/integrations/connect", data)
    assert "Needs a new password" not in mended.text
    assert role_of(site, "Home") == Role.PRIMARY
    assert len(site.world.merged()) == 1


# --- Administrators --------------------------------------------------------------------------------------------------


async def test_an_administrator_finds_users_by_any_part_of_them(site):
    admin = await site.admin()
    assert "2 users" in (await admin.get("/users")).text
    found = (await admin.get("/users?q=ELSE+bo")).text
    assert "1 user found" in found
    assert "Bob" in found
    assert "Ada" not in found


async def test_many_users_are_shown_page_by_page(site):
    for number in range(120):
        users.add_user(
            site.world.db, id=f"u{number:03}", location_id="loc", name="", time_zone="Europe/Berlin", now=NOW
        )
    admin = await site.admin()
    pages = [await admin.get(f"/users?page={number}") for number in (1, 2, 3)]
    shown = [set(re.findall(r'href="/users/([^"?]+)"', page.html)) for page in pages]
    assert [len(ids) for ids in shown] == [50, 50, 22]
    assert all(len(page.html.encode()) < 100_000 for page in pages)


async def test_the_system_is_told_in_numbers(site):
    shown = (await (await site.admin()).get("/system")).text
    assert re.search(r"\b2 users\b", shown)
    assert re.search(r"\b1 account connected\b", shown)


async def test_an_administrator_makes_links_and_signs_users_out(site):
    admin, ada = await site.admin(), await site.signed_in()
    made = await admin.post("/users/ada/link", via="/users/ada")
    (link,) = re.findall(r"http://127\.0\.0\.1:8080(/link/[\w-]+)", made.html)
    assert (await (await site.browser()).post(link)).url == "/profile/integrations"
    told = (await admin.get("/users/ada")).text
    assert "bridge user export ada ada.zip" in told
    assert "bridge user remove ada" in told
    await admin.post("/users/ada/sign-out", via="/users/ada")
    assert (await ada.get("/status")).url.startswith("/sign-in")


async def test_an_administrator_makes_and_revokes_tokens(site):
    admin = await site.admin()
    made = await admin.post(
        "/system/tokens",
        [("label", "crm"), ("locations", "loc two"), ("scope", "metrics"), ("scope", "calendars.write")],
        via="/system",
    )
    (secret,) = re.findall(r'id="token">([^<]+)<', made.html)
    token = users.authenticate_token(site.world.db, secret)
    assert token.location_ids == {"loc", "two"}
    assert token.scopes == {"metrics", "calendars.write"}
    assert (await admin.post("/system/tokens", {"label": "x", "scope": "everything"}, via="/system")).status == 422
    await admin.post(f"/system/tokens/{token.id}/revoke")
    assert users.authenticate_token(site.world.db, secret) is None
    assert "API token revoked" in (await admin.get("/system")).text


async def test_metrics_ask_for_a_token_and_tell_numbers_only(site):
    await put(site, "Home", "dentist")
    client = (await site.browser()).client
    for header in ({}, {"Authorization": f"Bearer {site.token('calendars.write')}"}, {"Authorization": "Bearer ü"}):
        async with client.get("/metrics", headers=header) as response:
            assert response.status == 401
    async with client.get("/metrics", headers={"Authorization": f"Bearer {site.token('metrics')}"}) as response:
        text = await response.text()
    assert "bridge_users 2.0" in text
    assert 'bridge_accounts{state="connected"} 1.0' in text
    assert "bridge_calendars 2.0" in text
    assert "bridge_published_items 1.0" in text
    assert 'bridge_outbox_entries{state="dead"} 0.0' in text
    for name in ("Ada", '"ada"', "example.com", '"loc"'):
        assert name not in text


def _settings(site, name, **changes):
    return replace(next(c for c in roles.list_calendars(site.world.db, "ada") if c.name == name).settings, **changes)


def _hidden(page):
    """What a preview's form would send."""
    form = page.html.partition("<main")[2].partition("<form")[2].partition("</form>")[0]
    return dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form))


async def test_the_month_says_of_what_began_the_day_before_when_it_ends(site):
    await put(site, "Work", "flight", start="20270309T171000", end="20270310T015500")

    page = (await (await site.signed_in("ada")).get("/calendar?view=month&date=" + TUESDAY)).html

    assert re.findall(r'<span class="time">(.*?)</span>', page) == ["17:10", "until 01:55"]
