"""Users, accounts and calendars that the settings file declares, and what is said about mistakes in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.domain.model import SlotSettings, Titles, TwoWay
from bridge.errors import SettingProblem, SettingsInvalid
from bridge.settings import load, parse
from bridge.settings.declaration import declared

ADA = """\
[[users]]
id = "ada"
location = "loc_1"
time_zone = "Europe/Berlin"
"""


def problems(text: str, path: Path = Path("bridge.toml")) -> tuple[SettingProblem, ...]:
    with pytest.raises(SettingsInvalid) as caught:
        parse(text, path, passwords=True)
    return caught.value.problems


def account(password: str = 'password_env = "ADA"') -> str:
    return f'{ADA}[[users.accounts]]\nusername = "ada@icloud.example"\n{password}\n'


def test_what_is_declared_is_read_with_its_password(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("abcd-efgh-ijkl-mnop\nnot this\n")
    secret.chmod(0o600)
    text = f"""\
[defaults]
titles = "title"
{ADA}name = "Ada"
two_way = "report"
[[users.accounts]]
username = "ada@icloud.example"
password_file = "{secret}"
primary = "Home"
conflicts = ["Work"]
[users.accounts.slots."Work"]
all_day = false
[users.accounts.slots."https://caldav.example.com/1/x.y/"]
titles = "busy"
"""
    path = tmp_path / "bridge.toml"
    path.write_text(text)

    (ada,) = declared(load(path, passwords=True))

    assert (ada.id, ada.name, ada.time_zone, ada.two_way) == ("ada", "Ada", "Europe/Berlin", TwoWay.REPORT)
    (one,) = ada.accounts
    assert (one.login, one.password) == (("icloud", "ada@icloud.example"), "abcd-efgh-ijkl-mnop")
    assert (one.primary, one.conflicts) == ("Home", ("Work",))
    assert one.slots == {
        "Work": SlotSettings(titles=Titles.TITLE, all_day_blocks=False),
        "https://caldav.example.com/1/x.y/": SlotSettings(titles=Titles.BUSY),
    }
    assert "abcd" not in repr(ada)


def test_what_is_not_said_is_not_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADA", "secret")

    (ada,) = declared(parse(account(), Path("f"), passwords=True))

    assert (ada.name, ada.two_way, ada.says_primary, ada.accounts[0].conflicts) == ("ada", None, False, None)
    assert ada.accounts[0].password == "secret"


def test_no_conflict_calendars_is_something_else_than_nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADA", "secret")

    (ada,) = declared(parse(account() + 'primary = "Home"\nconflicts = []\n', Path("f"), passwords=True))

    assert ada.accounts[0].conflicts == ()


def test_twenty_mistakes_get_twenty_clear_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    everybodys, empty = tmp_path / "open", tmp_path / "empty"
    everybodys.write_text("hunter2-hunter2\n")
    everybodys.chmod(0o644)
    empty.touch(mode=0o600)
    text = f"""\
[store]
pth = "bridge.db"

[sidecar]
port = "8080"
public_url = "bridge.example.com"

[radicale]
port = 99999

[mirror]
poll_seconds = 0

[booking]
when_unreachable = "maybe"

[webhooks]
networks = ["10.0.0.0/33"]

[defaults]
titles = "full"

[providers.home]
url = "http://dav.example.com/"

[[users]]
id = "ada lovelace"
location = "loc_1"
time_zone = "Europe/Berln"

[[users.accounts]]
provider = "hme"
username = "ada@example.com"
password = "hunter2-hunter2"
primary = "Home"
conflicts = ["Home"]

[[users.accounts]]
username = "ada@icloud.example"
password_env = "NOWHERE"
primary = "Private"

[[users]]
id = "bob"
location = ""

[[users.accounts]]
username = "bob@icloud.example"
password_file = "{tmp_path}/absent"
[users.accounts.slots."Work"]
allday = false

[[users.accounts]]
username = "bob@icloud.example"
password_file = "{everybodys}"

[[users]]
id = "Bob"
location = "loc_1"
time_zone = "Europe/London"
accounts = "bob@icloud.example"

[[users]]
id = "eve"
location = "loc_1"
time_zone = "Europe/London"
[[users.accounts]]
username = "eve@icloud.example"
[[users.accounts]]
username = "eve@example.com"
password_file = "{empty}"
password_env = "NOWHERE"
conflicts = "Work"
"""

    told = problems(text)

    assert [(p.line, p.where, p.problem) for p in told] == [
        (2, "store.pth", "is not a setting"),
        (5, "sidecar.port", "is not a whole number"),
        (6, "sidecar.public_url", "is not a web address"),
        (9, "radicale.port", "is too large"),
        (12, "mirror.poll_seconds", "is too small"),
        (15, "booking.when_unreachable", "is not one of the allowed values"),
        (18, "webhooks.networks", 'holds "10.0.0.0/33", which is not a network'),
        (21, "defaults.titles", "is not one of the allowed values"),
        (24, "providers.home.url", "would send passwords over the network unencrypted"),
        (27, "users.ada lovelace.id", "is not an id"),
        (29, "users.ada lovelace.time_zone", "is not a time zone"),
        (32, "users.ada lovelace.accounts.ada@example.com.provider", "names no provider"),
        (34, "users.ada lovelace.accounts.ada@example.com.password", "does not belong here"),
        (36, "users.ada lovelace.accounts.ada@example.com.conflicts", "names the Primary, which blocks anyway"),
        (40, "users.ada lovelace.accounts.ada@icloud.example.password_env", "names a variable that is not set"),
        (41, "users.ada lovelace.accounts.ada@icloud.example.primary", "is the second one of this user"),
        (43, "users.bob.time_zone", "is missing"),
        (45, "users.bob.location", "is empty"),
        (
            49,
            "users.bob.accounts.bob@icloud.example.password_file",
            "names a file that can't be read: No such file or directory",
        ),
        (51, "users.bob.accounts.bob@icloud.example.slots.Work.allday", "is not a setting"),
        (54, "users.bob.accounts.bob@icloud.example.username", "is that of another account of this user"),
        (55, "users.bob.accounts.bob@icloud.example.password_file", "names a file that everybody can read"),
        (58, "users.Bob.id", 'is that of another user, "bob"'),
        (61, "users.Bob.accounts", "is not a list of tables"),
        (67, "users.eve.accounts.eve@icloud.example.password_file", "is missing"),
        (71, "users.eve.accounts.eve@example.com.password_file", "names a file without a first line"),
        (72, "users.eve.accounts.eve@example.com.password_env", "is set in addition to password_file"),
        (72, "users.eve.accounts.eve@example.com.password_env", "names a variable that is not set"),
        (73, "users.eve.accounts.eve@example.com.conflicts", "is not a list"),
        (73, "users.eve.accounts.eve@example.com.conflicts", "is set without a Primary"),
    ]
    assert all(p.remedy for p in told)
    assert {p.where: p.remedy for p in told}["users.ada lovelace.time_zone"] == 'did you mean "Europe/Berlin"?'
    assert "hunter2" not in repr(told)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("users = 3", "is not a list of tables"),
        ("users = ['ada']", "is not a list of tables"),
        ("[users]\nid = 'ada'", "is not a list of tables"),
        ("[users.ada]\nid = 'ada'", "is not a list of tables"),
        ("[[users]]\nid = 3\nlocation = 'l'\ntime_zone = 'UTC'", "is not text"),
    ],
)
def test_users_that_are_none_are_told(text: str, problem: str) -> None:
    assert [one.problem for one in problems(text)] == [problem]


def test_a_line_is_that_of_the_right_one_of_several_users() -> None:
    text = "".join(ADA.replace("ada", name).replace("Berlin", zone) for name, zone in (("a", "Berlin"), ("b", "Brln")))

    assert [(p.line, p.where) for p in problems(text)] == [(8, "users.b.time_zone")]


def test_commands_that_need_no_password_do_not_ask_for_it(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(account('password_file = "/nowhere/at/all"'))

    assert load(path).users[0].id == "ada"
    with pytest.raises(SettingsInvalid):
        load(path, passwords=True)
