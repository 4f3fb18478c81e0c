"""Real clients against a real server process: Radicale with the plugin, started both ways."""

from __future__ import annotations

import datetime as dt
import http.client
import os
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import caldav
import pytest
from caldav.lib import error as caldav_error

from tests.upstreams import free_port

from .conftest import World, at, ics
from .dav import CRM, Answer, element, prop
from .servers import PATIENCE, Server, command, serving

SERVERS = ["alone", "radicale", "granian"]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, week: World) -> Iterator[Server]:
    with serving(request.param, week.db.path) as running:
        yield running


@pytest.fixture
def subscribed(week: World, server: Server) -> Iterator[caldav.Calendar]:
    """The calendar as the caldav library discovers it."""
    with caldav.DAVClient(server.url, username="ada", password=week.password) as client:
        (calendar,) = client.principal().calendars()
        yield calendar


def test_the_caldav_library(week: World, server: Server, subscribed: caldav.Calendar) -> None:
    assert str(subscribed.url).endswith(CRM)
    assert subscribed.get_display_name() == "CRM calendar"
    assert subscribed.get_supported_components() == ["VEVENT"]
    assert {str(e.icalendar_component["SUMMARY"]) for e in subscribed.events()} == {"monday", "tuesday", "wednesdays"}

    def found(start: str, end: str, **options: bool) -> list[tuple[str, int]]:
        span = [dt.datetime.fromtimestamp(at(text), dt.UTC) for text in (start, end)]
        events = [e.icalendar_component for e in subscribed.search(start=span[0], end=span[1], event=True, **options)]
        return sorted((str(e["SUMMARY"]), int(e["DTSTART"].dt.timestamp())) for e in events)

    assert found("2027-03-16T00:00", "2027-04-01T00:00", expand=True) == [
        ("wednesdays", at(f"2027-03-{day}T10:00")) for day in (17, 24, 31)
    ]
    assert [title for title, _ in found("2027-03-08T00:00", "2027-03-09T00:00")] == ["monday"]
    (monday,) = [e for e in subscribed.events() if str(e.icalendar_component["SUMMARY"]) == "monday"]
    uid = str(monday.icalendar_component["UID"])
    assert subscribed.get_event_by_uid(uid).data == monday.data

    synced = subscribed.get_objects_by_sync_token(load_objects=True)
    assert len(list(synced)) == 3
    week.publish("tuesday", None)
    new = week.publish("new", ics("new", ":20270312T090000Z", ":20270312T100000Z"))
    updated, deleted = synced.sync()
    assert [str(one.url).rpartition("/")[2] for one in updated] == [new]
    assert len(list(deleted)) == 1

    busy = subscribed.freebusy_request(dt.datetime(2027, 3, 8, tzinfo=dt.UTC), dt.datetime(2027, 3, 9, tzinfo=dt.UTC))
    assert "20270308T090000Z/20270308T100000Z" in busy.data

    for refused in (
        lambda: subscribed.add_event(ics("mine", ":20270308T090000Z", ":20270308T100000Z")),
        monday.delete,
        subscribed.delete,
    ):
        with pytest.raises(caldav_error.AuthorizationError):
            refused()
    assert server.process.poll() is None
    assert "Traceback" not in server.said.read_text()


class Vdirsyncer:
    """A copy of the merged calendar in files, kept with the vdirsyncer command."""

    def __init__(self, directory: Path, server: Server, password: str, *options: str, pair: str = "") -> None:
        self.directory = directory
        self.files = directory / "files" / "crm"
        self.files.mkdir(parents=True)
        more = "\n".join(options)
        (directory / "config").write_text(
            f"""[general]
status_path = "{directory}/status/"
[pair ada]
a = "here"
b = "there"
collections = ["crm"]
{pair}
[storage here]
type = "filesystem"
path = "{directory}/files/"
fileext = ".ics"
[storage there]
type = "caldav"
url = "{server.url}/"
username = "ada"
password = "{password}"
{more}
"""
        )
        assert self.run("discover").returncode == 0

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vdirsyncer", "--config", str(self.directory / "config"), *words],
            check=False,
            input="y\n" * 10,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )

    def titles(self) -> set[str]:
        return {
            line.partition(":")[2].strip()
            for path in self.files.glob("*.ics")
            for line in path.read_text().splitlines()
            if line.startswith("SUMMARY")
        }


@pytest.fixture
def plain(week: World) -> Iterator[Server]:
    with serving("granian", week.db.path) as running:
        yield running


def test_vdirsyncer_as_its_users_are_told_to_set_it_up(week: World, plain: Server, tmp_path: Path) -> None:
    copy = Vdirsyncer(tmp_path / "v", plain, week.password, "read_only = true", pair='partial_sync = "revert"')
    assert copy.run("sync").returncode == 0
    assert copy.titles() == {"monday", "tuesday", "wednesdays"}
    week.publish("tuesday", None)
    week.publish("new", ics("new", ":20270312T090000Z", ":20270312T100000Z"))
    assert copy.run("sync").returncode == 0
    assert copy.titles() == {"monday", "new", "wednesdays"}
    with week.db.read() as tx:
        before = [tuple(row) for row in tx.execute("SELECT * FROM published_items ORDER BY href")]
    # Local changes are taken back: one event edited, one thrown away, one invented.
    edited, thrown, _ = sorted(copy.files.glob("*.ics"))
    edited.write_text(edited.read_text().replace("SUMMARY:", "SUMMARY:not "))
    thrown.unlink()
    (copy.files / "mine.ics").write_text(ics("mine", ":20270313T090000Z", ":20270313T100000Z"))
    for _ in range(2):
        assert copy.run("sync").returncode == 0
    assert copy.titles() == {"monday", "new", "wednesdays"}
    with week.db.read() as tx:
        assert [tuple(row) for row in tx.execute("SELECT * FROM published_items ORDER BY href")] == before


def test_vdirsyncer_as_a_plain_pair(week: World, plain: Server, tmp_path: Path) -> None:
    """It reads all the same; what is changed on its side is refused, and it says so."""
    copy = Vdirsyncer(tmp_path / "v", plain, week.password)
    assert copy.run("sync").returncode == 0
    assert copy.titles() == {"monday", "tuesday", "wednesdays"}
    (copy.files / "mine.ics").write_text(ics("mine", ":20270313T090000Z", ":20270313T100000Z"))
    refused = copy.run("sync")
    assert refused.returncode == 1
    assert "403" in refused.stderr
    assert len(week.ada.sync().resources) == 3


def test_a_large_body_is_refused_and_the_answer_arrives(week: World, plain: Server) -> None:
    login = b64encode(f"ada:{week.password}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", plain.port, timeout=PATIENCE)
    body = b"x" * 900_000
    connection.request("PUT", f"{CRM}new.ics", body, {"Authorization": f"Basic {login}"})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Content-Length")) == (403, str(len(answer.read())))
    connection.close()


class TestABodyWithoutALength:
    """Sent in chunks (RFC 9112 section 7.1), as some proxies and libraries do."""

    def ask(self, week: World, server: Server, pieces: list[str], password: str | None = None) -> Answer:
        login = b64encode(f"ada:{password or week.password}".encode()).decode()
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may be refused before all of it is sent
                connection.request("REPORT", CRM, map(str.encode, pieces), {"Authorization": f"Basic {login}"})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def test_it_is_read_or_refused_and_never_taken_to_be_empty(self, week: World, server: Server) -> None:
        body = element("D:sync-collection", "<D:sync-token/><D:sync-level>1</D:sync-level>", prop("D:getetag"))
        for pieces in ([body], [body[:10], body[10:11], body[11:]]):
            answer = self.ask(week, server, pieces)
            if server.said.name == "granian.log":
                assert set(answer.resources) == set(week.ada.sync().resources)
            else:
                assert answer.status == 400
        assert self.ask(week, server, ["not xml"]).status == 400
        assert self.ask(week, server, [body], password="wrong").status == 401

    def test_too_long_a_one(self, week: World) -> None:
        with serving("granian", week.db.path) as server:
            assert self.ask(week, server, [" " * 100_000] * 11).status == 413
            assert self.ask(week, server, [element("D:expand-property"), " " * 900_000]).status < 400


@pytest.mark.parametrize("how", SERVERS)
def test_without_a_store_it_ends_and_says_why(tmp_path: Path, how: str) -> None:
    done = subprocess.run(
        command(how, tmp_path / "nowhere.db", free_port()),
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert f"The bridge's store {tmp_path}/nowhere.db can't be used" in done.stderr
    assert "there is no store yet" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_ends_when_asked_to(week: World) -> None:
    with serving("granian", week.db.path) as running:
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(PATIENCE)
    assert "Traceback" not in running.said.read_text()


def test_it_only_reads_the_store(week: World, plain: Server) -> None:
    """Nothing but the notes of last use is written, so another machine may serve a copy."""
    week.db.close()
    before = week.db.path.read_bytes()
    with caldav.DAVClient(plain.url, username="ada", password=week.password) as client:
        assert client.principal().calendars()
    assert week.db.path.read_bytes() == before
