"""Nothing can be written, by any method, anywhere; and nobody looks at what was sent."""

from __future__ import annotations

import pytest
from radicale import app as stock

from bridge.service import users
from radicale_plugin.app import Application

from .conftest import World, ics
from .dav import CRM, Client, Unread, clark, element

ITEM = "the item"
PLACES = ["/", "/ada/", CRM, ITEM, CRM + "new.ics", "/ada/other/", "/ada/other/new.ics", "/bob/", "/bob/crm/", "/zoe/"]
# Methods that Radicale knows are forbidden; what it does not know is not allowed anywhere.
KNOWN = ["PUT", "DELETE", "MOVE", "MKCALENDAR", "MKCOL", "PROPPATCH"]
UNKNOWN = ["POST", "PATCH", "COPY", "LOCK", "UNLOCK", "ACL", "BIND", "MKACTIVITY", "ORDERPATCH", "TRACE"]


@pytest.fixture
def everything(week: World):
    """Says what is in the store, every table of it."""
    week.add_user("bob")

    def read() -> dict[str, list[tuple[object, ...]]]:
        with week.db.read() as tx:
            tables = [row[0] for row in tx.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {table: [tuple(row) for row in tx.execute(f"SELECT * FROM {table}")] for table in tables}

    before = read()
    yield week
    assert read() == before


def path_of(world: World, place: str) -> str:
    return next(iter(world.ada.sync().resources)) if place == ITEM else place


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("method", KNOWN)
def test_forbidden(everything: World, method: str, place: str) -> None:
    path = path_of(everything, place)
    more = {"destination": f"http://localhost:5232{CRM}moved.ics", "if_match": "*", "overwrite": "T", "depth": "0"}
    for headers in ({}, more):
        assert everything.ada.request(method, path, Unread(), **headers).status == 403
        anonymous = everything.nobody.request(method, path, Unread(), **headers)
        assert anonymous.status == 401
        assert anonymous.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("method", "path", "where", "privilege"),
    [
        ("PUT", CRM + "new.ics", CRM + "new.ics", "D:write-content"),
        ("PROPPATCH", CRM, CRM, "D:write-properties"),
        ("DELETE", CRM + "new.ics", CRM, "D:unbind"),
        ("DELETE", CRM, "/ada/", "D:unbind"),
        ("MKCALENDAR", "/ada/Reminders/", "/ada/", "D:bind"),
        ("MKCOL", "/bob/x%20y/", "/bob/", "D:bind"),
    ],
)
def test_what_it_would_take(
    everything: World, kind: type[stock.Application], method: str, path: str, where: str, privilege: str
) -> None:
    """RFC 3744 section 7.1.1."""
    answer = everything.ada.request(method, path, Unread(), x_script_name="/dav")
    assert answer.status == 403
    if kind is Application:
        (needed,) = answer.xml
        assert needed.tag == clark("D:need-privileges")
        assert needed.findtext(f"{clark('D:resource')}/{clark('D:href')}") == "/dav" + where
        assert [one.tag for one in needed.find(f"{clark('D:resource')}/{clark('D:privilege')}")] == [clark(privilege)]


def test_what_is_allowed_is_said(everything: World, kind: type[stock.Application]) -> None:
    if kind is Application:
        answer = everything.ada.request("OPTIONS", CRM)
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS, PROPFIND, REPORT"
        assert answer.headers["dav"] == "1, 3, calendar-access"
        assert everything.ada.propfind(CRM, "D:resourcetype").headers["dav"] == answer.headers["dav"]


@pytest.mark.parametrize("place", ["/", "/ada/", CRM, ITEM])
@pytest.mark.parametrize("method", UNKNOWN)
def test_not_allowed(everything: World, method: str, place: str) -> None:
    path = path_of(everything, place)
    for client in (everything.ada, everything.nobody):
        assert client.request(method, path, Unread()).status == 405


def test_an_item_cannot_be_moved_in_or_out(everything: World) -> None:
    item = path_of(everything, ITEM)
    # Another server would be 502 (RFC 4918 section 9.9.4).
    assert everything.ada.request("MOVE", item, destination="http://example.com/x.ics").status == 502
    for target in (CRM + "new.ics", "/ada/other/new.ics", "/bob/crm/new.ics"):
        assert everything.ada.request("MOVE", item, destination=f"http://localhost:5232{target}").status == 403
        assert everything.ada.request("COPY", item, destination=target).status == 405


@pytest.mark.parametrize(
    "body",
    [
        element(
            "D:propertyupdate",
            "<D:set>",
            "<D:prop><ICAL:calendar-color>#FF0000FF</ICAL:calendar-color></D:prop>",
            "</D:set>",
        ),
        element(
            "D:propertyupdate", "<D:set>", "<D:prop><ICAL:calendar-order>4</ICAL:calendar-order></D:prop>", "</D:set>"
        ),
        element("D:propertyupdate", "<D:set>", "<D:prop><D:displayname>Mine</D:displayname></D:prop>", "</D:set>"),
    ],
)
def test_unasked_changes_of_colour_and_order(everything: World, body: str) -> None:
    """Apple sends these by itself; the refusal is harmless as long as write-properties is not advertised."""
    assert everything.ada.request("PROPPATCH", CRM, body).status == 403
    found = everything.ada.propfind(CRM, "D:displayname", "ICAL:calendar-order", "D:current-user-privilege-set").one
    assert found.text("D:displayname") == "CRM calendar"
    assert clark("ICAL:calendar-order") in found.missing
    tags = {child.tag for child in found.found[clark("D:current-user-privilege-set")].iter()}
    assert clark("D:write-properties") not in tags


def test_a_list_of_reminders_is_not_made(everything: World) -> None:
    """iOS and macOS try, when there is none for tasks."""
    body = element("C:mkcalendar", "<D:set><D:prop><D:displayname>Reminders</D:displayname></D:prop></D:set>")
    assert everything.ada.request("MKCALENDAR", "/ada/4E1F6A8C-7F5B/", body).status == 403
    assert set(everything.ada.propfind("/ada/", "D:resourcetype", depth="1").resources) == {"/ada/", CRM}


def test_a_users_first_login_makes_nothing(everything: World) -> None:
    """Radicale makes principals at the first login, where rights allow it."""
    assert everything.ada.propfind("/ada/", "D:resourcetype").status == 207


def test_a_login_without_user_makes_nothing(world: World) -> None:
    """Removed while the request was under way: the password is gone with the user."""
    client: Client = world.add_user("bob")
    users.remove_user(world.db, "bob", now=0)
    assert client.propfind("/bob/", "D:resourcetype").status == 401


def test_the_service_still_writes(world: World) -> None:
    href = world.publish("m", ics("m", ":20270308T090000Z", ":20270308T100000Z"))
    assert world.ada.request("DELETE", CRM + href).status == 403
    assert world.ada.request("GET", CRM + href).status == 200
