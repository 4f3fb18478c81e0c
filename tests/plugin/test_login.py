"""Who gets in, and what they see of others: nothing, not even whether they exist."""

from __future__ import annotations

import base64
import os
import stat

import pytest

from bridge.service import users
from bridge.store import passwords
from radicale_plugin import auth

from .conftest import NOW, World, application, ics
from .dav import CRM, Client, Unread

READS = [("PROPFIND", "0"), ("PROPFIND", "1"), ("REPORT", "1"), ("GET", "0"), ("HEAD", "0")]


def basic(text: bytes) -> str:
    return f"Basic {base64.b64encode(text).decode()}"


@pytest.mark.parametrize("path", ["/", "/ada/", CRM, CRM + "x.ics", "/zoe/", "/zoe/crm/"])
@pytest.mark.parametrize("method", ["PROPFIND", "REPORT", "PUT"])
def test_the_first_request_without_a_login_is_asked_for_one(world: World, path: str, method: str) -> None:
    """iOS tries without at first."""
    answer = world.nobody.request(method, path, Unread())
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith('Basic realm="')


def test_a_wrong_password(world: World) -> None:
    for user, password in (
        ("ada", ""),
        ("ada", "wrong"),
        ("ada", world.password[:-1]),
        ("ada", world.password + "x"),
        ("ada", world.password.upper()),
        ("bob", world.password),
        ("ADA", world.password),
        ("ada/crm", world.password),
        ("ada' OR '1'='1", world.password),
        ("", world.password),
    ):
        answer = Client(world.app, user, password).propfind(CRM, "D:getetag")
        assert answer.status == 401, (user, password)
        assert answer.headers["www-authenticate"].startswith("Basic ")


def test_one_of_several_passwords_is_revoked(world: World) -> None:
    laptop_id, laptop = users.add_password(world.db, "ada", "laptop", NOW)
    clients = [Client(world.app, "ada", password) for password in (world.password, laptop)]
    assert [client.propfind(CRM, "D:getetag").status for client in clients] == [207, 207]
    users.revoke_password(world.db, "ada", laptop_id, NOW)
    assert [client.propfind(CRM, "D:getetag").status for client in clients] == [207, 401]


def test_a_new_password_works_at_once(world: World) -> None:
    assert Client(world.app, "ada", "not yet").propfind(CRM, "D:getetag").status == 401
    _, password = users.add_password(world.db, "ada", "laptop", NOW)
    assert Client(world.app, "ada", password).propfind(CRM, "D:getetag").status == 207


def test_radicale_keeps_no_passwords(world: World) -> None:
    """Else a revoked one would live on in its cache, even with the cache switched on."""
    cached = application(world.db.path, auth={"cache_logins": "True", "delay": "0"})
    client = Client(cached, "ada", world.password)
    assert client.propfind(CRM, "D:getetag").status == 207
    users.revoke_password(world.db, "ada", world.password_id, NOW)
    assert client.propfind(CRM, "D:getetag").status == 401


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YWRh",
        "Basic é",
        "Basic \x00",
        basic(b"\xff\xfe"),
        "Bearer abc",
        "Digest x",
    ],
)
def test_a_header_that_makes_no_sense_is_no_login(world: World, header: str) -> None:
    assert world.nobody.propfind(CRM, "D:getetag", authorization=header).status == 401


@pytest.mark.parametrize(
    "login",
    [b"ada:", b":", b":x", b"a:b:c", "ädä:pässwörd".encode(), b"\xff\xfe:\x00", b"x" * 5000 + b":y", "🙂:x".encode()],
)
def test_odd_logins_are_refused(world: World, login: bytes) -> None:
    assert world.nobody.propfind(CRM, "D:getetag", authorization=basic(login)).status == 401


class TestOthers:
    @pytest.mark.parametrize(
        "path", ["/{}/", "/{}", "/{}/crm/", "/{}/crm", "/{}/crm/x.ics", "/{}/other/", "/{}/a/b/c/"]
    )
    def test_there_or_not_is_the_same(self, week: World, path: str) -> None:
        week.add_user("bob")
        for method, depth in READS:
            for client, status in ((week.ada, 403), (week.nobody, 401)):
                answers = [client.request(method, path.format(user), depth=depth) for user in ("bob", "zoe")]
                assert answers[0].status == status
                assert answers[0] == answers[1]

    def test_their_events_are_theirs(self, week: World) -> None:
        bob = week.add_user("bob")
        href = week.publish("b", ics("b", ":20270308T090000Z", ":20270308T100000Z"), user="bob")
        assert bob.request("GET", f"/bob/crm/{href}").status == 200
        assert week.ada.request("GET", f"/bob/crm/{href}").status == 403
        assert week.ada.request("GET", f"{CRM}{href}").status == 404
        assert href not in week.ada.sync().text

    @pytest.mark.parametrize(
        "path",
        [
            "/ada/../bob/crm/",
            "/ada/crm/../../bob/crm/",
            "/ada/crm/..%2f..%2fbob/crm/",
            "/ada/%2e%2e/bob/crm/",
            "//bob/crm/",
            "/./bob//crm/",
            "/bob%2fcrm/",
            "/ada%2f..%2fbob/crm/",
            "/BOB/crm/",
            "/bob/CRM/",
            "/ada\\..\\bob/crm/",
            "/bob/crm/..",
            "/%00bob/crm/",
            "/bob%00/crm/",
            "/%C0%AE%C0%AE/bob/crm/",
        ],
    )
    def test_no_path_leads_to_them(self, week: World, path: str) -> None:
        week.add_user("bob")
        week.publish("b", ics("b", ":20270308T090000Z", ":20270308T100000Z"), user="bob")
        for method, depth in READS:
            answer = week.ada.request(method, path, depth=depth)
            assert answer.status in {301, 302, 400, 403, 404}, (method, answer)
            assert b"BEGIN:VEVENT" not in answer.body

    @pytest.mark.parametrize(
        "path", ["/ada//crm/", "//ada/crm/", "/ada/./crm/", "/ada/crm/../crm/", "/ada%2fcrm/", "/ada/crm"]
    )
    def test_other_spellings_lead_home(self, week: World, path: str) -> None:
        assert set(week.ada.propfind(path, "D:getetag").resources) == {CRM}

    @pytest.mark.parametrize("path", ["/ada/CRM/", "/Ada/crm/", "/ada/crm%20/", "/ada/crm.ics", "/ada/crm/x/y.ics"])
    def test_nearly_right_is_not_there(self, week: World, path: str) -> None:
        assert week.ada.propfind(path, "D:getetag").status in {403, 404}


class TestLastUse:
    """Radicale only reads the store: it leaves word in empty files, and the sidecar notes it."""

    def used(self, world: World) -> dict[str, int]:
        return passwords.collect_last_use(passwords.last_use_directory(world.db.path))

    def test_word_is_left_of_the_password_that_was_used(self, world: World) -> None:
        users.add_password(world.db, "ada", "laptop", NOW)
        assert self.used(world) == {}
        world.ada.sync()
        assert set(self.used(world)) == {world.password_id}
        with world.db.write() as tx:
            passwords.note_use(tx, self.used(world))
        noted = {one.label: one.last_used_at for one in users.list_passwords(world.db, "ada")}
        assert noted == {"phone": self.used(world)[world.password_id], "laptop": None}

    def test_no_word_of_failures(self, world: World) -> None:
        Client(world.app, "ada", "wrong").sync()
        assert self.used(world) == {}

    def test_not_at_each_request(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [1000.0]
        monkeypatch.setattr(auth.time, "monotonic", lambda: clock[0])
        world.ada.sync()
        path = passwords.last_use_directory(world.db.path) / world.password_id
        os.utime(path, (1, 1))
        world.ada.sync()
        assert self.used(world) == {world.password_id: 1}
        clock[0] += 61
        world.ada.sync()
        assert self.used(world)[world.password_id] > 1

    def test_only_the_bridge_can_read_it(self, world: World) -> None:
        world.ada.sync()
        directory = passwords.last_use_directory(world.db.path)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        (path,) = directory.iterdir()
        assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (0o600, b"")

    def test_where_nothing_can_be_left_people_still_get_in(self, world: World) -> None:
        passwords.last_use_directory(world.db.path).write_text("in the way")
        assert world.ada.sync().status == 207


def test_the_store_does_not_hold_passwords(world: World) -> None:
    world.db.close()
    for path in world.db.path.parent.iterdir():
        if path.is_file():
            assert world.password.encode() not in path.read_bytes()
            assert world.password.replace("-", "").encode() not in path.read_bytes()
