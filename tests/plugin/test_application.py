"""What the application for production does beside answering as Radicale does."""

from __future__ import annotations

import datetime as dt
import gc
import io
import random
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import icalendar
import pytest
import recurring_ical_events
from radicale import app as stock

from bridge.service import users
from bridge.store import calendar_file, published
from radicale_plugin import body
from radicale_plugin.app import Application
from radicale_plugin.cache import Cache
from radicale_plugin.request_key import PARTS, PROXY

from . import test_agreement as events
from .conftest import BERLIN, NOW, World, application, at, ics, override, utc
from .dav import CRM, Client, clark, element, events_filter, name, prop, time_range
from .dav import Answer as Answered

LOCAL = f";TZID={BERLIN}:"
POLL = element("D:propfind", prop("D:sync-token"))
DAY = 86_400


@pytest.fixture
def kind() -> type[stock.Application]:
    return Application


@pytest.fixture
def counted(week: World, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each look into the cache found something."""
    looks: list[bool] = []
    real = Cache.get

    def get(cache: Cache[object], key: object) -> object:
        found = real(cache, key)
        looks.append(found is not None)
        return found

    monkeypatch.setattr(Cache, "get", get)
    return looks


class TestKeptAnswers:
    """An answer that is kept is given to nobody whom Radicale would refuse, and never outlives what it says."""

    ASKED: tuple[Callable[[Client], Answered], ...] = (
        lambda client: client.propfind(CRM, "D:getetag", depth="1"),
        lambda client: client.propfind(CRM, "CS:getctag", "D:sync-token"),
        lambda client: client.propfind("/ada/", "CS:getctag", depth="1"),
        lambda client: client.sync(),
    )

    @pytest.mark.parametrize("ask", ASKED)
    def test_the_same_again(self, week: World, counted: list[bool], ask: Callable[[Client], Answered]) -> None:
        first = ask(week.ada)
        assert first == ask(week.ada) == ask(week.ada)
        assert counted == [False, True, True]

    @pytest.mark.parametrize("ask", ASKED)
    def test_not_to_others(self, week: World, counted: list[bool], ask: Callable[[Client], Answered]) -> None:
        bob = week.add_user("bob")
        assert ask(week.ada).status == 207
        assert ask(week.nobody).status == 401
        assert ask(Client(week.app, "ada", "wrong")).status == 401
        assert ask(bob).status == 403
        assert ask(week.ada).status == 207
        users.revoke_password(week.db, "ada", week.password_id, NOW)
        assert ask(week.ada).status == 401
        assert counted.count(True) == 1, "nobody who is refused is given what was kept"

    @pytest.mark.parametrize("ask", ASKED)
    def test_not_after_a_change(self, week: World, ask: Callable[[Client], Answered]) -> None:
        before = ask(week.ada)
        week.publish("new", ics("new", ":20270311T090000Z", ":20270311T100000Z"))
        after = ask(week.ada)
        assert before.body != after.body
        week.publish("new", None)
        assert ask(week.ada).body not in {before.body, after.body}, "the revision went on"

    def test_not_to_a_user_made_anew(self, week: World) -> None:
        before = week.ada.sync()
        users.remove_user(week.db, "ada", now=NOW)
        users.add_user(week.db, id="ada", location_id="loc", name="Ada", time_zone=BERLIN, now=NOW)
        _, password = users.add_password(week.db, "ada", "phone", NOW)
        for uid in ("a", "b", "c"):
            week.publish(uid, ics(uid, ":20270311T090000Z", ":20270311T100000Z"))
        after = Client(week.app, "ada", password).sync()
        assert not set(before.resources) & set(after.resources)

    def test_plain_and_compressed_ones_are_told_apart(self, week: World) -> None:
        for number in range(30):
            week.publish(f"n{number}", ics(f"n{number}", ":20270311T090000Z", ":20270311T100000Z"))
        plain = week.ada.propfind(CRM, "D:getetag", depth="1")
        packed = week.ada.propfind(CRM, "D:getetag", depth="1", accept_encoding="gzip")
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.plain == plain.body
        assert week.ada.propfind(CRM, "D:getetag", depth="1") == plain

    @pytest.mark.parametrize(
        "other",
        [
            {"depth": "0"},
            {"depth": "1", "x_script_name": "/dav"},
            {"depth": "1", "content_type": "text/xml; charset=utf-16"},
            {"depth": "1", "query": "view=freebusy"},
        ],
    )
    def test_only_to_the_same_words(self, week: World, counted: list[bool], other: dict[str, str]) -> None:
        body = element("D:propfind", prop("D:getetag"))
        usual = week.ada.request("PROPFIND", CRM, body, depth="1")
        different = week.ada.request("PROPFIND", CRM, body, **other)
        assert different.status != 207 or different.resources != usual.resources
        assert week.ada.request("PROPFIND", CRM, body, depth="1", x_forwarded_for="::1") == usual
        assert week.ada.request("PROPFIND", CRM, body, depth="1", user_agent="phone") == usual
        assert counted == [False, False, False, True]

    @pytest.mark.parametrize("method", ["PROPFIND", "REPORT"])
    def test_nothing_else_counts(self, week: World, method: str) -> None:
        """What Radicale looks at, to answer, is what a request is known again by."""
        looked_at: set[str] = set()

        class Noting(dict[str, object]):
            def get(self, name: str, default: object = None) -> object:
                looked_at.add(name)
                return super().get(name, default)

            def __getitem__(self, name: str) -> object:
                looked_at.add(name)
                return super().__getitem__(name)

            def __contains__(self, name: object) -> bool:
                looked_at.add(str(name))
                return super().__contains__(name)

        plain = application(week.db.path, stock.Application)
        client = Client(lambda environ, start: plain(Noting(environ), start), "ada", week.password)
        body = element("D:propfind", prop("D:getetag"))
        asked = body if method == "PROPFIND" else element("D:sync-collection", prop("D:getetag"))
        proxied = {"x_forwarded_for": "10.0.0.1", "x_script_name": "/dav", "user_agent": "phone", "if_match": "*"}
        for headers in ({}, proxied, {"accept_encoding": "gzip"}):
            assert client.request(method, CRM, asked, **headers).status == 207
        login_and_body = {"HTTP_AUTHORIZATION", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "wsgi.input"}
        only_logged = {"REMOTE_ADDR", "REMOTE_HOST", "HTTP_USER_AGENT", "HTTP_X_REMOTE_ADDR", "HTTPS"}
        assert "PATH_INFO" in looked_at
        assert looked_at <= {*PARTS, *PROXY, *login_and_body, *only_logged, "SERVER_PROTOCOL", "wsgi.errors"}

    def test_a_log_that_tells_of_each_request_is_not_cut_short(
        self, week: World, counted: list[bool], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", logger="radicale")
        for _ in range(3):
            assert week.ada.sync().status == 207
        assert sum("REPORT response status" in record.getMessage() for record in caplog.records) == 3

    def test_there_is_an_end_to_what_is_kept(self) -> None:
        cache = Cache[bytes]()
        for number in range(200):
            cache.put(number, b"x", 1_000_000)
            cache.get(0)
        kept = [number for number in range(200) if cache.get(number)]
        assert 0 in kept and 199 in kept, "what is asked for stays"
        assert 20 < len(kept) < 40
        cache.put("vast", b"x", 20_000_000)
        assert cache.get("vast") is None and cache.get(0) is not None

    @pytest.mark.parametrize(
        "ask",
        [
            lambda ada, n: ada.request("PROPFIND", CRM, element("D:propfind", prop("D:getetag"), f"{n:07}" * 1_000)),
            lambda ada, n: ada.request("PROPFIND", CRM, POLL, query=f"{n:07}" * 1_000),
        ],
        ids=["body", "query"],
    )
    def test_it_counts_what_was_asked_as_well(
        self, week: World, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Client, int], Answered]
    ) -> None:
        """Whoever asks in ever new, long words takes no more memory than others."""
        room = 200_000
        monkeypatch.setattr("radicale_plugin.cache._ROOM", room)
        for number in range(3):
            assert ask(week.ada, number).status == 207
        gc.collect()
        tracemalloc.start()
        try:
            for number in range(3, 150):
                ask(week.ada, number)
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 1.5 * room


class TestTheSameWordsForOtherItems:
    """A multiget is answered as the last one in the same words was, but for its items."""

    SHAPES = (
        "<C:calendar-multiget xmlns='DAV:' {0}><prop><getetag/><C:calendar-data/></prop>{1}</C:calendar-multiget>",
        "<C:calendar-multiget xmlns:D='DAV:' {0}>{2}<D:prop><D:getetag/></D:prop></C:calendar-multiget>",
        "<C:calendar-multiget xmlns='DAV:' {0}>{1}<prop><C:calendar-data><C:expand start='20270301T000000Z'"
        " end='20270401T000000Z'/></C:calendar-data></prop></C:calendar-multiget>",
        "<C:calendar-multiget xmlns='DAV:' {0}><prop><getetag/></prop>{1}<href>/ada/crm/</href></C:calendar-multiget>",
        "<C:calendar-multiget xmlns='DAV:' {0}><prop><getetag/></prop>{1}<href>/ad%61/crm/{3}</href>"
        "</C:calendar-multiget>",
        "<C:calendar-multiget xmlns='DAV:' {0}><prop><getetag/></prop><!-- {1} --><href>/ada/crm/{3}</href>"
        "</C:calendar-multiget>",
        "<C:calendar-multiget xmlns='DAV:' {0}><prop><x>{1}</x></prop><href>/ada/crm/{3}</href></C:calendar-multiget>",
        "<C:calendar-multiget xmlns='DAV:' {0}><prop><getetag/></prop><href>{1}</href></C:calendar-multiget>",
        "<C:calendar-multiget xmlns='urn:x' {0}>{1}</C:calendar-multiget>",
        "<C:calendar-query xmlns='DAV:' {0}><prop><getetag/></prop>{1}</C:calendar-query>",
        "<sync-collection xmlns='DAV:' {0}><sync-token/><prop><getetag/></prop>{1}</sync-collection>",
        "<propfind xmlns='DAV:' {0}><prop><getetag/></prop>{1}</propfind>",
    )

    def multiget(self, client: Client, *names: str, shape: str = SHAPES[0]) -> Answered:
        hrefs = "".join(f"<href>/ada/crm/{one}</href>" for one in names)
        return client.request("REPORT", CRM, shape.format("xmlns:C='urn:ietf:params:xml:ns:caldav'", hrefs))

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("gzip", [{}, {"accept_encoding": "gzip"}])
    def test_as_if_asked_for_the_first_time(self, week: World, shape: str, gzip: dict[str, str]) -> None:
        there = sorted(name(href) for href in week.ada.sync().resources)
        method = "PROPFIND" if "propfind" in shape else "REPORT"
        for names in (there[:1], there, [*there[:2], "nowhere.ics"], ["nowhere.ics", "x.ics"], [there[0], *there]):
            asked = [
                "".join(f"<{tag}>/ada/crm/{one}</{tag}>{space}" for one in names)
                for tag, space in (("href", ""), ("D:href", " \r\n\t"))
            ]
            body = shape.format("xmlns:C='urn:ietf:params:xml:ns:caldav'", *asked, there[2])
            first = Client(application(week.db.path), "ada", week.password).request(method, CRM, body, **gzip)
            assert week.ada.request(method, CRM, body, **gzip) == first

    def test_nobody_looks_twice_at_the_words(self, week: World, counted: list[bool]) -> None:
        there = sorted(name(href) for href in week.ada.sync().resources)
        answers = [self.multiget(week.ada, *names) for names in (there[:1], there, there[1:])]
        assert [len(answer.data) for answer in answers] == [1, 3, 2]
        assert counted == [False, False, True, True]

    def test_not_after_a_change(self, week: World) -> None:
        (one, *_) = (name(href) for href in week.ada.sync().resources)
        before = self.multiget(week.ada, one)
        week.publish("monday", None)
        week.publish("tuesday", None)
        week.publish("wednesdays", None)
        assert before.one.status is None and self.multiget(week.ada, one).one.status == 404

    def test_too_many_recurrences_are_refused_as_before(self, week: World) -> None:
        few = application(week.db.path, reporting={"max_expand_occurrence": "3"})
        client = Client(few, "ada", week.password)
        there = sorted(name(href) for href in week.ada.sync().resources)
        asked = [self.multiget(client, one, shape=self.SHAPES[2]).status for one in (*there, *there)]
        assert sorted(asked[:3]) == [207, 207, 403] and asked[3:] == asked[:3]


class TestWhileTheBodyIsOnItsWay:
    """The login is looked at before the body is there; what happens in between is seen by the answer or by the next."""

    def client(self, week: World, meanwhile: Callable[[], object]) -> Client:
        """Ada, whose body arrives after `meanwhile`."""

        class Late(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                meanwhile()
                return super().read(size)

        def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            return week.app({**environ, "wsgi.input": Late(environ["wsgi.input"].read())}, start)

        return Client(app, "ada", week.password)

    def test_nothing_is_kept_under_what_was_there_before(self, week: World) -> None:
        """The calendar changes, and is put back from a backup."""
        backup = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(week.db.path)) as store, closing(backup):
            store.backup(backup)
            before = Client(application(week.db.path), "ada", week.password).sync()
            new = ics("new", ":20270311T090000Z", ":20270311T100000Z")
            after = self.client(week, lambda: week.publish("new", new)).sync()
            assert len(after.resources) == len(before.resources) + 1
            backup.backup(store)
        assert week.ada.sync() == before

    def test_nothing_is_told_of_a_user_made_anew(self, week: World) -> None:
        def made_anew() -> None:
            users.remove_user(week.db, "ada", now=NOW)
            users.add_user(week.db, id="ada", location_id="loc", name="Ada", time_zone=BERLIN, now=NOW)
            week.publish("monday", ics("monday", ":20270311T090000Z", ":20270311T100000Z"))

        hrefs = "".join(f"<href>{href}</href>" for href in week.ada.sync().resources)
        words = TestTheSameWordsForOtherItems.SHAPES[0].format("xmlns:C='urn:ietf:params:xml:ns:caldav'", hrefs)
        assert week.ada.request("REPORT", CRM, words).status == 207
        assert self.client(week, made_anew).request("REPORT", CRM, words).status == 401

    def test_the_store_is_not_held(self, week: World) -> None:
        """A log that somebody reads can't be emptied, and grows."""
        emptied: list[bool] = []

        def empty() -> None:
            with closing(sqlite3.connect(week.db.path, timeout=0)) as store:
                emptied.append(store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)

        week.publish("new", ics("new", ":20270311T090000Z", ":20270311T100000Z"))
        assert self.client(week, empty).sync().status == 207
        assert emptied and all(emptied)


def test_items_and_the_calendar_itself_can_be_named_together(week: World) -> None:
    there = {name(href) for href in week.ada.sync().resources}
    (one, *_) = sorted(there)
    resources = week.ada.multiget(CRM + one, CRM, CRM + "nowhere.ics").resources
    assert {name(href): found.status for href, found in resources.items()} == {
        **dict.fromkeys(there),
        "nowhere.ics": 404,
    }


def test_a_filter_is_no_part_of_a_multiget(week: World) -> None:
    (one, *_) = (name(href) for href in week.ada.sync().resources)
    asked = prop("D:getetag", "C:calendar-data")
    nothing = events_filter(element("C:prop-filter", element("C:text-match", "nobody"), name="SUMMARY"))
    answer = week.ada.report(CRM, "C:calendar-multiget", asked, element("D:href", CRM + one), nothing)
    assert set(answer.data) == {one}


class TestLongAnswers:
    """They come from a file: with their length known, and without lying in memory."""

    @pytest.fixture
    def short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(body, "_IN_MEMORY", 2_000)

    @pytest.mark.parametrize("accepted", ["identity", "gzip"])
    def test_the_same_bytes(self, world: World, short: None, accepted: str, monkeypatch: pytest.MonkeyPatch) -> None:
        chance = random.Random(1)
        for number in range(60):
            uid = f"{chance.getrandbits(200):x}"
            world.publish(uid, ics(uid, f":20270311T09{number:02}00Z", f":20270311T10{number:02}00Z"))
        asks = (
            lambda: world.ada.query(data="<C:calendar-data/>"),
            lambda: world.ada.request("GET", CRM),
            lambda: world.ada.sync("", "D:getetag", "C:calendar-data"),
        )
        plain = [ask().body for ask in asks]
        real = Client.request
        monkeypatch.setattr(Client, "request", lambda *a, **k: real(*a, accept_encoding=accepted, **k))
        spooled = []
        make = body.Spooled.__init__
        monkeypatch.setattr(body.Spooled, "__init__", lambda *a: spooled.append(a[2]) or make(*a))
        for ask, expected in zip(asks, plain, strict=True):
            answer = ask()
            assert answer.plain == expected
            assert int(answer.headers["content-length"]) == len(answer.body) > 2_000
        assert len(spooled) == len(asks)

    def test_nothing_is_left_behind(self, world: World, short: None) -> None:
        for number in range(30):
            world.publish(f"n{number}", ics(f"n{number}", ":20270311T090000Z", ":20270311T100000Z"))

        def files() -> int:
            links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
            return sum("(deleted)" in str(path.readlink()) for path in links)

        before = files()
        for _ in range(5):
            world.ada.request("GET", CRM)
            world.ada.request("HEAD", CRM)
        assert files() == before


class TestMended:
    """What Radicale answers with 500 though the client is to blame."""

    @pytest.mark.parametrize(
        ("method", "request_"),
        [
            ("PROPFIND", element("D:propfind")),
            ("PROPFIND", "<x/>"),
            ("PROPFIND", element("C:calendar-multiget")),
            ("PROPFIND", element("D:propfind", "<D:prop><x/></D:prop>")),
            ("PROPFIND", element("D:propfind", "<D:prop>" + "<D:a>" * 1000 + "</D:a>" * 1000 + "</D:prop>")),
            ("REPORT", element("C:calendar-query", "<D:prop>" + "<D:a>" * 50_000 + "</D:a>" * 50_000 + "</D:prop>")),
            ("REPORT", ""),
            ("PROPFIND", "<!DOCTYPE x [<!ENTITY e 'x'>]><x>&e;</x>"),
            ("REPORT", "<!DOCTYPE x [<!ENTITY e 'x'>]><x>&e;</x>"),
            ("REPORT", element("C:calendar-multiget", prop("D:getetag"), element("D:href"))),
            ("REPORT", element("C:free-busy-query")),
        ],
    )
    @pytest.mark.parametrize("path", ["/ada/", CRM])
    def test_a_request_that_makes_no_sense(self, week: World, method: str, request_: str, path: str) -> None:
        assert week.ada.request(method, path, request_).status == 400

    @pytest.mark.parametrize("request_", ["<x/>", element("D:acl-principal-prop-set"), element("D:propfind", "<D:x/>")])
    def test_a_report_that_nobody_knows(self, week: World, request_: str) -> None:
        """RFC 3253 section 3.6."""
        answer = week.ada.request("REPORT", CRM, request_)
        assert answer.status == 403
        assert [child.tag for child in answer.xml] == [clark("D:supported-report")]

    @pytest.mark.parametrize("encoding", ["klingon", "hex", "undefined", "utf-7", "unicode_escape", "cp037", '"UTF-8"'])
    def test_an_encoding_that_nobody_knows(self, week: World, encoding: str) -> None:
        for more in ("", "+2AA-\\ud800"):
            asked = element("D:propfind", prop("D:getetag"), more)
            assert week.ada.request("PROPFIND", CRM, asked, content_type=f"text/xml; charset={encoding}").status == 207

    @pytest.mark.parametrize("user", ["bob", "carl"])
    @pytest.mark.parametrize("encoding", ["utf-16", "UTF-16LE", "utf-16be", "iso-8859-1"])
    @pytest.mark.parametrize("declared", ["", "<!-- one -->"])
    def test_the_login_is_not_in_the_encoding_of_the_body(
        self, week: World, user: str, encoding: str, declared: str
    ) -> None:
        """Of an odd or an even number of bytes."""
        asked = f"{declared}{element('D:propfind', prop('D:getetag'))}".encode(encoding)
        media = f"text/xml; charset={encoding}"
        assert week.add_user(user).request("PROPFIND", f"/{user}/", asked, content_type=media).status == 207

    @pytest.mark.parametrize("host", ["example.com", "[::1]:5232"])
    def test_there_is_no_profile_with_an_address_book(self, week: World, host: str) -> None:
        """The settings pages have one for this calendar."""
        assert week.ada.request("GET", "/.mobileconfig", host=host).status == 404

    def test_methods_in_small_letters(self, week: World) -> None:
        """Radicale takes them, too."""
        assert week.ada.request("get", CRM) == week.ada.request("GET", CRM)
        assert week.ada.request("Head", CRM) == week.ada.request("HEAD", CRM)
        assert week.ada.request("report", CRM, element("C:calendar-query", prop("D:getetag"))).status == 207
        assert week.ada.request("report", CRM, "").status == 400

    @pytest.mark.parametrize("report", ["D:sync-collection", "C:calendar-multiget"])
    @pytest.mark.parametrize("filters", ["C:filter", "CR:filter"])
    def test_a_filter_where_there_is_none(self, week: World, report: str, filters: str) -> None:
        """Has to be ignored (RFC 4918 section 17)."""
        hrefs = [element("D:href", href) for href in week.ada.sync().resources]
        event = element("C:comp-filter", element("C:prop-filter", name="RRULE"), name="VEVENT")
        filter_ = element(filters, element("C:comp-filter", event, name="VCALENDAR"))
        inside = [prop("D:getetag"), *hrefs, "<D:sync-token/>"]
        answer = week.ada.report(CRM, report, *inside, filter_)
        assert answer.body == week.ada.report(CRM, report, *inside).body
        assert len(answer.resources) == 3

    @pytest.mark.parametrize(("method", "kind_of"), [("PROPFIND", "D:propfind"), ("REPORT", "C:calendar-query")])
    def test_more_than_there_is_to_say(self, week: World, method: str, kind_of: str) -> None:
        """Said of each of thousands of events, it would fill the disk."""
        asked = [f"D:{'n' * 300}{n}" for n in range(100)]
        answer = week.ada.request(method, CRM, element(kind_of, prop(*asked)), depth="1")
        assert answer.status == 403
        assert [child.tag for child in answer.xml] == [clark("D:number-of-matches-within-limits")]

    def test_items_of_an_item(self, week: World) -> None:
        items = list(week.ada.sync().resources)
        assert list(week.ada.multiget(items[0], path=items[0]).resources) == items[:1]
        assert week.ada.multiget(*items, path=items[0]).status == 400

    def test_the_changes_of_an_item(self, week: World) -> None:
        (item, *_) = week.ada.sync().resources
        answer = week.ada.sync(path=item)
        assert answer.status == 403
        assert [child.tag for child in answer.xml] == [clark("D:supported-report")]

    @pytest.mark.parametrize("path", ["/ada/", CRM])
    def test_once_is_enough(self, week: World, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was asked for thousands of times would be measured as often."""
        measured = []
        real = calendar_file.chunks
        monkeypatch.setattr(calendar_file, "chunks", lambda *a: measured.append(a) or real(*a))
        asked = ["D:getcontentlength", "D:getetag"] * 600
        answer = week.ada.propfind(path, *asked, depth="1")
        assert answer.body == week.ada.propfind(path, *asked[:2], depth="1").body
        assert len(measured) == 2
        data = ["C:calendar-data", "D:getetag"] * 600
        again, once = (week.ada.report(CRM, "C:calendar-query", prop(*some)) for some in (data, data[:2]))
        assert again.body == once.body

    def test_a_filter_of_thousands(self, week: World) -> None:
        tests = [element("C:prop-filter", name="SUMMARY")] * 1_000
        assert week.ada.query(events_filter(*tests)).status == 400
        assert len(week.ada.query(events_filter(*tests[:50])).data) == 3

    def test_a_prefix_that_is_too_long(self, week: World) -> None:
        asked = element("D:propfind", prop("D:getetag"))
        assert week.ada.request("PROPFIND", CRM, asked, depth="1", x_script_name="/" + "x" * 100_000).status == 403

    def test_a_body_that_is_too_long(self, week: World) -> None:
        answer = week.ada.request("REPORT", CRM, b" " * 1_000_001)
        assert answer.status == 413


class TestWhatTheClientHasAlready:
    """GET and HEAD with If-None-Match (RFC 9110 section 13.1.2)."""

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_the_calendar_and_an_item(self, week: World, method: str) -> None:
        (item, *_) = week.ada.sync().resources
        for path in (CRM, item):
            etag = week.ada.request(method, path).headers["etag"]
            for known in (etag, f'W/"x", {etag}'):
                answer = week.ada.request(method, path, if_none_match=known)
                assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
            assert week.ada.request(method, path, if_none_match='"other"').status == 200
        week.publish("monday", None)
        assert week.ada.request(method, CRM, if_none_match=etag).status == 200


class TestExpand:
    """CALDAV:expand (RFC 4791 section 9.6.5), against an expander of another make; without expanding anything."""

    def expanded(self, world: World, start: int, end: int, *hrefs: str) -> dict[str, list[tuple[int, int]]]:
        data = element("C:calendar-data", element("C:expand", start=utc(start), end=utc(end)))
        if hrefs:
            asked = element("D:prop", "<D:getetag/>", data)
            answer = world.ada.report(CRM, "C:calendar-multiget", asked, *(element("D:href", CRM + h) for h in hrefs))
        else:
            answer = world.ada.query(events_filter(time_range(utc(start), utc(end))), data=data)
        found = {}
        for href, resource in answer.resources.items():
            assert resource.text("D:getetag")
            calendar = icalendar.Calendar.from_ical(resource.text("C:calendar-data"))
            assert not calendar.walk("VTIMEZONE")
            for event in calendar.walk("VEVENT"):
                assert not event.keys() & {"RRULE", "RDATE", "EXDATE", "DURATION"}
                assert {"UID", "DTSTAMP", "SUMMARY", "DTSTART"} <= event.keys()
            found[name(href)] = sorted(
                (instant(event["DTSTART"].dt), instant(event["DTEND"].dt)) for event in calendar.walk("VEVENT")
            )
        return found

    @pytest.mark.parametrize(
        ("first", "last"), [("2027-02-15T00:00", "2027-05-01T00:00"), ("2031-01-01T00:00", "2034-01-01T00:00")]
    )
    def test_it_says_what_upstream_says(self, world: World, no_parsing: None, first: str, last: str) -> None:
        hrefs = {uid: world.publish(uid, events.text_of(uid)) for uid in events.EVENTS}
        for span in events.spans(25, 3, at(first), at(last)):
            upstream = {hrefs[uid]: events.upstream(uid, span) for uid in hrefs}
            expected = {href: [(one.start, one.end) for one in times] for href, times in upstream.items() if times}
            assert self.expanded(world, span.start, span.end) == expected
            named = self.expanded(world, span.start, span.end, *hrefs.values())
            assert named == {href: expected.get(href, []) for href in hrefs.values()}

    def test_within_the_horizon_nothing_is_expanded(self, week: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_args: object) -> None:
            raise AssertionError("a recurrence is expanded")

        monkeypatch.setattr(recurring_ical_events, "of", refuse)
        monkeypatch.setattr("radicale_plugin.expansion.ical.occurrences", refuse)
        start = at("2027-06-01T00:00")
        (times,) = self.expanded(week, start, start + 28 * DAY).values()
        assert len(times) == 4
        assert len(week.ada.free_busy(utc(start), utc(start + 28 * DAY))) == 4

    def test_wherever_it_stands(self, week: World) -> None:
        """It is meant for all calendar data, as with Radicale, which takes the first of several."""
        expand, later = (
            element("C:expand", start=f"2027{month}01T000000Z", end=f"2027{month}20T000000Z") for month in ("03", "05")
        )
        event = element("C:comp-filter", expand, name="VEVENT")
        inside = element("C:filter", element("C:comp-filter", event, name="VCALENDAR"))
        usual = week.ada.query(events_filter(), data=element("C:calendar-data", expand))
        assert sorted(data.count("BEGIN:VEVENT") for data in usual.data.values()) == [1, 1, 2]
        for odd in (
            week.ada.query(events_filter(), expand),
            week.ada.query(events_filter(), data=f"<C:calendar-data/>{expand}"),
            week.ada.query(events_filter(), data=element("C:calendar-data", expand, later)),
            week.ada.query(inside),
        ):
            assert odd.data == usual.data

    def test_each_knows_which_one_it_is(self, world: World) -> None:
        moved = override("s", f"{LOCAL}20270315T100000", f"{LOCAL}20270316T150000", f"{LOCAL}20270316T160000")
        rule = "RRULE:FREQ=WEEKLY;COUNT=3"
        world.publish("s", ics("s", f"{LOCAL}20270308T100000", f"{LOCAL}20270308T110000", rule, extra=moved))
        world.publish("d", ics("d", ";VALUE=DATE:20270309", ";VALUE=DATE:20270310", "RRULE:FREQ=DAILY;COUNT=2"))
        world.publish("o", ics("o", f"{LOCAL}20270312T100000", f"{LOCAL}20270312T110000"))
        data = element("C:calendar-data", element("C:expand", start="20270301T000000Z", end="20270401T000000Z"))
        texts = world.ada.query(data=data).data.values()
        events_ = [event for text in texts for event in icalendar.Calendar.from_ical(text).walk("VEVENT")]
        told = {
            (str(e["SUMMARY"]), e["DTSTART"].to_ical().decode(), e["RECURRENCE-ID"].to_ical().decode())
            for e in events_
            if "RECURRENCE-ID" in e
        }
        assert told == {
            ("s", "20270308T090000Z", "20270308T090000Z"),
            ("s moved", "20270316T140000Z", "20270315T090000Z"),
            ("s", "20270322T090000Z", "20270322T090000Z"),
            ("d", "20270309", "20270309"),
            ("d", "20270310", "20270310"),
        }
        (single,) = [event for event in events_ if "RECURRENCE-ID" not in event]
        assert single["DTSTART"].to_ical() == b"20270312T090000Z"

    def test_too_much_is_refused(self, week: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(week.app, "_most", 3)
        data = element("C:calendar-data", element("C:expand", start="20270301T000000Z", end="20270401T000000Z"))
        answer = week.ada.query(data=data)
        assert answer.status == 403
        assert [child.tag for child in answer.xml] == [clark("D:number-of-matches-within-limits")]

    def test_what_is_named_and_not_there_is_said_to_be_missing(self, week: World) -> None:
        there = list(week.ada.sync().resources)
        missing = [f"{CRM}nowhere-{number}.ics" for number in range(1_200)]
        expand = element("C:expand", start="20270308T000000Z", end="20270315T000000Z")
        for data in ("<C:calendar-data/>", element("C:calendar-data", expand)):
            asked = element("D:prop", "<D:getetag/>", data)
            named = [element("D:href", href) for href in (*missing[:600], *there, *missing[600:])]
            told = week.ada.report(CRM, "C:calendar-multiget", asked, *named).resources
            assert {href for href, one in told.items() if one.status == 404} == set(missing)
            assert {href for href, one in told.items() if clark("C:calendar-data") in one.found} == set(there)

    @pytest.mark.parametrize("span", [{"start": "20270301T000000Z"}, {"start": "soon", "end": "later"}])
    def test_a_span_that_is_none(self, week: World, span: dict[str, str]) -> None:
        data = element("C:calendar-data", element("C:expand", **span))
        assert week.ada.query(data=data).status in {400, 403}


def instant(value: dt.date) -> int:
    if isinstance(value, dt.datetime):
        return int(value.timestamp())
    return at(f"{value:%Y-%m-%d}T00:00")


def test_it_serves_the_bridges_store_only() -> None:
    configuration = stock.config.load()
    configuration.update({"storage": {"type": "multifilesystem_nolock"}, "auth": {"type": "denyall"}}, "test")
    with pytest.raises(RuntimeError, match=r"type = radicale_plugin"):
        Application(configuration)


def test_what_is_published_shows_in_xml_as_it_is(world: World) -> None:
    """Each text is escaped when it is published, and read as it was."""
    title = "<b>&amp ]]> \u00fc"
    world.publish("m", ics("m", ":20270308T090000Z", ":20270308T100000Z").replace("SUMMARY:m", f"SUMMARY:{title}"))
    world.publish("p", ics("p", ":20270308T090000Z", ":20270308T100000Z"))
    with world.db.read() as tx:
        kept = {row[0] for row in tx.execute("SELECT escaped FROM published_items")}
        texts = {item.ics.replace("\r\n", "\n") for item in published.all_items(tx, "ada")}
    assert kept == {0, 1}
    assert set(world.ada.query().data.values()) == texts
    assert any(f"SUMMARY:{title}" in text for text in texts)
    assert f"SUMMARY:{title}" in world.ada.request("GET", CRM).text
    (sizes,) = {
        int(one.text("D:getcontentlength") or 0) - len(world.ada.request("GET", href).body)
        for href, one in world.ada.propfind(CRM, "D:getcontentlength", depth="1").resources.items()
    }
    assert sizes == 0
