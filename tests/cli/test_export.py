"""`bridge user export`: an archive that its reader can use, without a secret in it."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import icalendar

if TYPE_CHECKING:
    from tests.cli.conftest import Command
    from tests.upstreams import Login

EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:dentist\r\nDTSTAMP:20261101T000000Z\r\n"
    "DTSTART:20270301T100000Z\r\nDTEND:20270301T110000Z\r\nSUMMARY:Dentist\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def test_everything_of_a_user_in_one_archive(anna: Command, home: Login, tmp_path: Path) -> None:
    home.put(home.make_calendar("Private"), "e.ics", EVENT)
    login = ("--provider", "home", "--username", home.username, "--password-stdin")
    anna.done("account", "connect", "anna", *login, typed=f"{home.password}\n")
    anna.done("calendars", "set", "anna", "--primary", "Private")

    anna.done("user", "export", "anna", "anna.zip")

    path = tmp_path / "anna.zip"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name).decode() for name in archive.namelist()}
    person = json.loads(content["user.json"])
    assert person["user"]["name"] == "Anna"
    assert person["accounts"][0]["username"] == home.username
    assert person["calendar_passwords"][0]["label"] == "first"
    merged = icalendar.Calendar.from_ical(content["calendar.ics"])
    assert [str(event["SUMMARY"]) for event in merged.walk("VEVENT")] == ["Busy"]
    assert json.loads(content["notes.json"]) == []
    (mirrored,) = json.loads(content["mirrored.json"])
    assert mirrored["calendar"] == "Private"
    assert "SUMMARY:Dentist" in content[mirrored["ics"]]
    assert not [name for name, text in content.items() if home.password in text or '"secret"' in text]


def test_a_file_that_is_there_is_not_overwritten(anna: Command, tmp_path: Path) -> None:
    (tmp_path / "anna.zip").write_text("precious")

    assert "anna.zip" in anna.refused("user", "export", "anna", "anna.zip")
    assert (tmp_path / "anna.zip").read_text() == "precious"


def test_who_is_not_there_is_told_and_no_file_made(anna: Command, tmp_path: Path) -> None:
    assert 'There is no user "bob"' in anna.refused("user", "export", "bob", "bob.zip")
    assert not (tmp_path / "bob.zip").exists()
