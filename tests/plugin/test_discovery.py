"""Finding the calendar: the requests that programs send when an account is set up, in their order."""

from __future__ import annotations

import re

import pytest

from bridge.service import users
from bridge.store import occurrences, published

from .conftest import World, ics
from .dav import CRM, NAMES, Client, Resource, clark, element, prop

# What may appear in a calendar that clients are to show as read-only, and what makes each of them try to write.
READING = {"D:read", "C:read-free-busy"}
WRITING = {f"D:{name}" for name in ("all", "write", "write-content", "write-properties", "bind", "unbind")}


def privileges(resource: Resource) -> set[str]:
    found = resource.found[clark("D:current-user-privilege-set")]
    prefixes = {uri: prefix for prefix, uri in NAMES.items()}
    tags = [child.tag for privilege in found for child in privilege]
    return {f"{prefixes[uri]}:{local}" for uri, local in (tag[1:].split("}") for tag in tags)}


def test_from_the_root_to_the_calendar(week: World, no_parsing: None) -> None:
    """RFC 6764: well-known address, principal, home, calendar."""
    redirect = week.ada.request("PROPFIND", "/.well-known/caldav")
    assert (redirect.status, redirect.headers["location"]) == (301, "/")
    root = week.ada.propfind("/", "D:current-user-principal").one
    assert root.hrefs("D:current-user-principal") == ["/ada/"]
    principal = week.ada.propfind("/ada/", "C:calendar-home-set", "D:resourcetype", "D:principal-URL").one
    assert principal.hrefs("C:calendar-home-set") == principal.hrefs("D:principal-URL") == ["/ada/"]
    assert set(principal.children("D:resourcetype")) == {clark("D:principal"), clark("D:collection")}
    home = week.ada.propfind("/ada/", "D:resourcetype", depth="1").resources
    assert set(home) == {"/ada/", CRM}
    assert set(home[CRM].children("D:resourcetype")) == {clark("C:calendar"), clark("D:collection")}


@pytest.mark.parametrize("depth", ["0", "1", "infinity"])
def test_the_root_lists_nobody(week: World, depth: str) -> None:
    week.add_user("bob")
    assert set(week.ada.propfind("/", "D:resourcetype", depth=depth).resources) == {"/"}


def test_the_calendar_lists_its_objects(week: World, no_parsing: None) -> None:
    found = week.ada.propfind(CRM, "D:getetag", "D:getcontenttype", "D:resourcetype", depth="1").resources
    assert len(found) == 4 and CRM in found
    for href, resource in found.items():
        if href != CRM:
            assert href.startswith(CRM) and href.endswith(".ics")
            assert (resource.text("D:getetag") or "").startswith('"')
            assert (resource.text("D:getcontenttype") or "").startswith("text/calendar")
            assert resource.children("D:resourcetype") == []


@pytest.mark.parametrize("path", ["/", "/ada/", CRM])
def test_no_privilege_to_write_anywhere(week: World, path: str) -> None:
    for resource in week.ada.propfind(path, "D:current-user-privilege-set", depth="1").resources.values():
        assert privileges(resource) <= READING
        assert not privileges(resource) & WRITING
        assert "D:read" in privileges(resource)


def test_thunderbird_takes_it_for_read_only_and_syncs_by_token(week: World, no_parsing: None) -> None:
    """Its checkDavResourceType, and what makes it choose sync-collection over listing etags."""
    asked = ("D:resourcetype", "D:owner", "D:current-user-principal", "D:current-user-privilege-set")
    more = ("D:supported-report-set", "C:supported-calendar-component-set", "CS:getctag", "ICAL:calendar-color")
    found = week.ada.propfind(CRM, *asked, *more, "D:displayname").one
    assert not found.missing
    assert not privileges(found) & {"D:all", "D:write", "D:write-content", "D:write-properties"}
    reports = {tag for one in found.found[clark("D:supported-report-set")].iter(clark("D:report")) for tag in one}
    assert {clark("D:sync-collection"), clark("C:calendar-multiget"), clark("C:calendar-query")} <= {
        report.tag for report in reports
    }
    components = found.found[clark("C:supported-calendar-component-set")]
    assert [component.get("name") for component in components] == ["VEVENT"]


def test_thunderbird_probes_without_an_error_of_the_server(world: World) -> None:
    """Its detection sends PUT and GET to the root."""
    assert world.ada.request("PUT", "/", b"").status == 403
    assert world.ada.request("GET", "/").status in {200, 302}
    for client in (world.ada, world.nobody):
        assert client.request("GET", "/.web").status < 500
        assert client.request("GET", "/ada/").status in {401, 403}


def test_a_browser_is_shown_the_way_to_the_settings_pages(world: World) -> None:
    redirect = world.nobody.request("GET", "/")
    page = world.nobody.request("GET", redirect.headers["location"])
    assert (page.status, page.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert "settings pages" in page.text
    assert world.nobody.request("GET", "/.web/else").headers["location"] == redirect.headers["location"]


def test_evolution_finds_calendar_access(world: World) -> None:
    for client in (world.ada, world.nobody):
        for path in ("/", "/ada/", CRM):
            answer = client.request("OPTIONS", path)
            assert answer.status == 200
            assert "calendar-access" in [part.strip() for part in answer.headers["dav"].split(",")]
            assert "calendar-auto-schedule" not in answer.headers["dav"]


# What Apple's clients ask of principal and home when an account is set up, and of the home at each refresh. They drop a
# whole answer when a property they asked for is neither found nor missing.
APPLE_PRINCIPAL = (
    "C:calendar-home-set",
    "C:calendar-user-address-set",
    "C:schedule-inbox-URL",
    "C:schedule-outbox-URL",
    "CS:dropbox-home-URL",
    "CS:email-address-set",
    "CS:notification-URL",
    "D:current-user-principal",
    "D:displayname",
    "D:principal-URL",
    "D:principal-collection-set",
    "D:resource-id",
    "D:supported-report-set",
)
APPLE_HOME = (
    "C:calendar-description",
    "C:calendar-free-busy-set",
    "C:calendar-timezone",
    "C:default-alarm-vevent-date",
    "C:default-alarm-vevent-datetime",
    "C:max-attendees-per-instance",
    "C:schedule-calendar-transp",
    "C:schedule-default-calendar-URL",
    "C:supported-calendar-component-set",
    "C:supported-calendar-component-sets",
    "CS:allowed-sharing-modes",
    "CS:getctag",
    "CS:pre-publish-url",
    "CS:publish-url",
    "CS:push-transports",
    "CS:pushkey",
    "CS:source",
    "CS:subscribed-strip-alarms",
    "CS:xmpp-server",
    "D:add-member",
    "D:current-user-privilege-set",
    "D:displayname",
    "D:owner",
    "D:quota-available-bytes",
    "D:resource-id",
    "D:resourcetype",
    "D:supported-report-set",
    "D:sync-token",
    "ICAL:calendar-color",
    "ICAL:calendar-order",
    "ICAL:refreshrate",
    "ME:bulk-requests",
)


@pytest.mark.parametrize(
    ("path", "depth", "asked"),
    [("/", "0", APPLE_PRINCIPAL), ("/ada/", "0", APPLE_PRINCIPAL), ("/ada/", "1", APPLE_HOME), (CRM, "1", APPLE_HOME)],
)
def test_apple_gets_a_word_on_each_property(
    week: World, no_parsing: None, path: str, depth: str, asked: tuple[str, ...]
) -> None:
    answer = week.ada.propfind(path, *asked, depth=depth, brief="t", prefer="return=minimal")
    assert answer.headers["content-length"] == str(len(answer.body))
    assert "transfer-encoding" not in answer.headers
    assert path in answer.resources
    for resource in answer.resources.values():
        assert resource.found.keys() | resource.missing.keys() == {clark(name) for name in asked}
        assert not resource.found.keys() & resource.missing.keys()


@pytest.mark.parametrize("entered", ["/.well-known/caldav", "/", "/ada/", CRM])
def test_apple_gets_from_the_address_that_was_entered_to_the_events(
    week: World, no_parsing: None, entered: str
) -> None:
    """iOS and macOS take a host alone, a host with a path, or the full address of the calendar."""
    found = week.nobody.propfind(entered, *APPLE_PRINCIPAL)
    path = entered
    if found.status == 301:
        path = found.headers["location"]
        found = week.nobody.propfind(path, *APPLE_PRINCIPAL)
    assert (found.status, found.headers["www-authenticate"].split()[0]) == (401, "Basic")

    (principal,) = week.ada.propfind(path, *APPLE_PRINCIPAL).resources[path].hrefs("D:current-user-principal")
    assert principal == "/ada/"
    assert week.ada.request("OPTIONS", principal).status == 200
    (home,) = week.ada.propfind(principal, *APPLE_PRINCIPAL).resources[principal].hrefs("C:calendar-home-set")
    assert home == "/ada/"
    listed = week.ada.propfind(home, *APPLE_HOME, depth="1").resources
    calendars = [href for href, one in listed.items() if clark("C:calendar") in one.children("D:resourcetype")]
    assert calendars == [CRM]

    known = week.ada.propfind(CRM, "CS:getctag", "D:sync-token", depth="0").one
    etags = week.ada.propfind(CRM, "D:getetag", "D:resourcetype", depth="1").resources
    items = [href for href in etags if href != CRM]
    assert set(items) == set(week.ada.sync().resources)
    assert len(week.ada.multiget(*items).data) == 3
    assert week.ada.sync(known.text("D:sync-token") or "").resources == {}
    for refused in ("PROPPATCH", "MKCALENDAR"):
        assert week.ada.request(refused, f"{home}reminders/").status == 403


def test_apple_sees_no_scheduling(week: World) -> None:
    """With an inbox or outbox, iOS would take up invitations."""
    asked = ("C:schedule-inbox-URL", "C:schedule-outbox-URL")
    assert set(week.ada.propfind("/ada/", *asked).one.missing) == {clark(name) for name in asked}


def test_how_the_calendar_looks(week: World) -> None:
    found = week.ada.propfind(CRM, "D:displayname", "ICAL:calendar-color", "C:calendar-description").one
    assert found.text("D:displayname") == "CRM calendar"
    assert re.fullmatch(r"#[0-9A-F]{8}", found.text("ICAL:calendar-color") or "")
    assert "Read-only" in (found.text("C:calendar-description") or "")


@pytest.mark.parametrize("path", ["/", "/ada/", CRM])
@pytest.mark.parametrize("body", ["", element("D:propfind", "<D:allprop/>"), element("D:propfind", "<D:propname/>")])
def test_everything_and_names_can_be_asked_for(week: World, no_parsing: None, path: str, body: str) -> None:
    """An empty body means all properties (RFC 4918 section 9.1)."""
    assert path in week.ada.request("PROPFIND", path, body, depth="1").resources


def test_an_at_sign_is_encoded_as_apple_wants_it(world: World) -> None:
    """The bridge itself hands out no such user ids."""
    with world.db.write() as tx:
        tx.execute(
            "INSERT INTO users (id, location_id, name, time_zone, created_at)"
            " VALUES ('eve@example.com', 'loc', 'Eve', 'Europe/Berlin', 1)"
        )
    _, password = users.add_password(world.db, "eve@example.com", "phone", 1)
    eve = Client(world.app, "eve@example.com", password)
    assert eve.propfind("/", "D:current-user-principal").one.hrefs("D:current-user-principal") == [
        "/eve%40example.com/"
    ]
    for path in ("/eve@example.com/", "/eve%40example.com/"):
        assert set(eve.propfind(path, "D:resourcetype", depth="1").resources) == {
            "/eve%40example.com/",
            "/eve%40example.com/crm/",
        }


class TestThePoll:
    """What clients ask all day: it must stand still while nothing changes, and move when something does."""

    def marks(self, world: World) -> tuple[str | None, str | None, str | None]:
        found = world.ada.propfind(CRM, "CS:getctag", "D:sync-token", "D:getetag").one
        return found.text("CS:getctag"), found.text("D:sync-token"), found.text("D:getetag")

    def test_it_stands_still(self, week: World, no_parsing: None) -> None:
        before = self.marks(week)
        assert all(before)
        week.publish("monday", ics("monday", ":20270308T090000Z", ":20270308T100000Z"))
        week.ada.sync()
        assert self.marks(week) == before

    def test_each_change_moves_it(self, week: World) -> None:
        seen = [self.marks(week)]
        for text in (
            ics("new", ":20270311T090000Z", ":20270311T100000Z"),
            ics("new", ":20270311T100000Z", ":20270311T110000Z"),
            None,
        ):
            week.publish("new", text)
            seen.append(self.marks(week))
        for of_one_kind in zip(*seen, strict=True):
            assert len(set(of_one_kind)) == len(seen)

    def test_another_users_change_does_not(self, week: World) -> None:
        week.add_user("bob")
        before = self.marks(week)
        week.publish("b", ics("b", ":20270311T090000Z", ":20270311T100000Z"), user="bob")
        assert self.marks(week) == before

    def test_the_home_tells_it_too(self, week: World, no_parsing: None) -> None:
        home = week.ada.propfind("/ada/", "CS:getctag", "D:sync-token", "D:displayname", depth="1").resources
        assert (home[CRM].text("CS:getctag"), home[CRM].text("D:sync-token")) == self.marks(week)[:2]

    def test_nothing_is_listed_for_it(self, week: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_args: object) -> None:
            raise AssertionError("a poll looks at items")

        for function in ("all_items", "all_hrefs", "get", "changed_since", "unexpanded"):
            monkeypatch.setattr(published, function, refuse)
        for function in ("touching", "of_items", "taken"):
            monkeypatch.setattr(occurrences, function, refuse)
        assert all(self.marks(week))


@pytest.mark.parametrize("path", ["/", "/ada/", CRM])
@pytest.mark.parametrize(
    "report",
    [
        element("D:principal-property-search", "<D:property-search/>", prop("D:displayname")),
        element("D:principal-search-property-set"),
        element("D:expand-property", '<D:property name="owner"/>'),
        element("D:acl-principal-prop-set"),
        element("C:unheard-of"),
        "",
        "not xml",
    ],
)
def test_odd_reports_are_no_error_of_the_server(week: World, path: str, report: str) -> None:
    assert week.ada.request("REPORT", path, report).status < 500


@pytest.mark.parametrize("path", ["/", "/ada/", CRM])
def test_an_unreadable_question_is_the_clients_mistake(week: World, path: str) -> None:
    assert week.ada.request("PROPFIND", path, "not xml").status == 400
