"""What is refused: clearly, and with nothing stored. Over the running demo, which has to take no harm."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from bridge.demo.ports import free_ports

from .conftest import RADICALE, Demo
from .people import ask
from .processes import BRIDGE, bindable, run


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sidecar]\nport = 'x'\n", ["line 2", "sidecar.port"]),
        ("[sidecar]\nprot = 1\n[mirror]\npoll_seconds = 0\n", ["line 2", "sidecar.prot", "line 4"]),
        ("[providers.own]\nurl = 'http://calendar.example.com/'\n", ["unencrypted", "https"]),
        ("this is no TOML", ["line 1"]),
    ],
    ids=["type", "two", "insecure", "no-toml"],
)
def test_bad_settings_are_told_and_nothing_is_made(tmp_path: Path, text: str, said: list[str]) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "bridge.toml").write_text(text)
    for command in (["serve"], ["check-config"], ["user", "add", "ada", "--location", "l", "--time-zone", "UTC"]):
        finished = run(*BRIDGE, *command, directory=tmp_path)
        assert finished.code == 1, finished
        assert "Traceback" not in finished.err
        for part in said:
            assert part in finished.err, finished
    assert [path.name for path in tmp_path.iterdir()] == ["config"], "nothing is stored"


def test_a_second_bridge_on_the_same_store_is_refused(demo: Demo, tmp_path: Path) -> None:
    sidecar_port, radicale_port = free_ports(2)
    other = tmp_path / "other.toml"
    other.write_text(
        f"[store]\npath = '{demo.folder}/bridge.db'\n[secrets]\nkey_file = '{demo.folder}/secrets.key'\n"
        f"[sidecar]\nport = {sidecar_port}\n[radicale]\nport = {radicale_port}\nconfig = '{RADICALE}'\n"
    )
    second = run(*BRIDGE, "--config", str(other), "serve", directory=tmp_path)
    assert second.code == 1
    assert "another process of the bridge is using it" in second.err
    assert bindable(sidecar_port)
    assert demo.crm.send("GET", "calendars/events/appointments/apt_of_nobody").status == 404, "the first one serves on"


def test_bad_credentials_are_told_and_nothing_is_stored(demo: Demo) -> None:
    before = json.loads(demo.done("account", "list", "--json"))
    connect = ("account", "connect", "ada", "--username", "somebody@icloud.example", "--password-stdin")
    refused = demo.command(*connect, typed="abcd-efgh-ijkl-mnop\n")
    assert refused.code == 1
    assert "refuses the user name or the password" in refused.err
    assert "abcd-efgh" not in refused.err + refused.out
    refused = demo.command(*connect, typed="My usual password\n")
    assert "app-specific" in refused.err
    assert json.loads(demo.done("account", "list", "--json")) == before


def test_bad_requests_are_told_and_nothing_is_stored(demo: Demo, noon: dt.datetime) -> None:
    token, events = demo.subscriber.sync_token(), demo.subscriber.events()
    good = demo.crm.appointment("Refused", noon)
    path = "calendars/events/appointments"
    for body, status, part in (
        ({**good, "startTime": "tomorrow"}, 422, "/startTime"),
        ({**good, "startTime": "2030-02-30T10:00:00Z"}, 422, "/startTime"),
        ({**good, "timezone": "Europe/Atlantis"}, 422, "/timezone"),
        ({**good, "endTime": good["startTime"]}, 422, "/endTime"),
        ({**good, "calendarId": "cal_of_nobody"}, 404, "not_found"),
        ({**good, "description": "x" * 40_000}, 422, "/description"),
        ({**good, "description": "x" * 300_000}, 413, "payload_too_large"),
        ([], 400, "detail"),
    ):
        answer = demo.crm.send("POST", path, body)
        assert (answer.status, part in answer.text) == (status, True), answer
    for bearer, text, status in ((demo.crm.token, "{", 400), ("nobody", "{}", 401)):
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        refused = ask("POST", f"{demo.crm.api}/{path}", headers=headers, body=text)
        assert refused.status == status, refused
    assert demo.subscriber.events() == events
    assert demo.subscriber.sync_token() == token
    assert "Refused" not in demo.people[0].everything()
