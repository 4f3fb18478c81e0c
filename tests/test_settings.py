"""The settings file: what it may say, and how its mistakes are told."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from bridge.domain.model import Titles
from bridge.errors import SettingsInvalid
from bridge.settings import Settings, load, parse

EXAMPLE = Path(__file__).parent.parent / "config" / "bridge.example.toml"


def problems(text: str) -> dict[str, tuple[int | None, str, str]]:
    with pytest.raises(SettingsInvalid) as caught:
        parse(text, Path("bridge.toml"))
    return {p.where: (p.line, p.problem, p.remedy) for p in caught.value.problems}


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    settings = load()

    assert settings == Settings()
    assert settings.store.path == Path("data/bridge.db")
    assert settings.sidecar.address == "http://127.0.0.1:8080/"
    assert settings.radicale.address == "http://127.0.0.1:5232/"
    assert settings.providers["icloud"].url == "https://caldav.icloud.com/"
    assert settings.providers["icloud"].credential_hosts == ("*.icloud.com",)


def test_config_bridge_toml_is_read_when_no_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "bridge.toml").write_text("[sidecar]\nport = 9000\n")

    assert load().sidecar.port == 9000


def test_a_named_file_that_is_not_there_is_a_problem_and_not_the_defaults(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load(tmp_path / "absent.toml")

    assert caught.value.path.endswith("absent.toml")
    assert "No such file" in caught.value.problems[0].problem


def test_a_file_in_another_encoding_is_told_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_bytes("[store]\n# für\n".encode("latin-1"))

    with pytest.raises(SettingsInvalid) as caught:
        load(path)

    assert (caught.value.problems[0].line, caught.value.problems[0].problem) == (2, "is not UTF-8 text")


def test_a_mark_that_an_editor_put_at_the_beginning_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_bytes(b"\xef\xbb\xbf[sidecar]\nport = 8090\n")

    assert load(path).sidecar.port == 8090


def test_the_file_overrides_single_settings_of_icloud() -> None:
    icloud = parse("[providers.icloud]\npoll_seconds = 30\n", Path("f")).providers["icloud"]

    assert (icloud.poll_seconds, icloud.url) == (30, "https://caldav.icloud.com/")


def test_a_provider_is_polled_at_its_own_pace_or_at_that_of_the_mirror() -> None:
    settings = parse(
        """
        [mirror]
        poll_seconds = 90
        [providers.home]
        url = "https://dav.example.com"
        poll_seconds = 15
        """,
        Path("f"),
    )

    assert settings.poll_seconds("home") == 15
    assert settings.poll_seconds("icloud") == 90
    assert settings.providers["home"].url == "https://dav.example.com/"


def test_the_address_people_type_is_the_public_one_where_there_is_one() -> None:
    settings = parse('[radicale]\nhost = "::1"\n[sidecar]\npublic_url = "https://bridge.example.com"\n', Path("f"))

    assert settings.radicale.address == "http://[::1]:5232/"
    assert settings.sidecar.address == "https://bridge.example.com/"


def test_all_problems_are_told_at_once_each_with_its_line_and_a_remedy() -> None:
    found = problems(
        """\
[store]
pth = "x"

[sidecar]
port = "80"
host = ""

[radicale]
port = 99999
public_url = "ftp://calendar.example.com"

[providers.icloud]
poll_seconds = true

[defaults]
titles = "full"
"""
    )

    assert found["store.pth"] == (2, "is not a setting", 'did you mean "path"?')
    assert found["sidecar.port"][:2] == (5, "is not a whole number")
    assert found["sidecar.host"][:2] == (6, "is empty")
    assert found["radicale.port"][:2] == (9, "is too large")
    assert found["radicale.public_url"][:2] == (10, "is not a web address")
    assert found["providers.icloud.poll_seconds"][:2] == (13, "is not a whole number")
    assert found["defaults.titles"][:2] == (16, "is not one of the allowed values")
    assert len(found) == 7
    assert all(remedy for _, _, remedy in found.values())


def test_an_unknown_table_is_told_with_the_one_that_was_meant() -> None:
    assert problems("[defaluts]\ntitles = 'busy'\n") == {
        "defaluts": (1, "is not a setting", 'did you mean "defaults"?'),
    }


def test_a_setting_like_no_other_is_told_with_all_that_exist() -> None:
    assert problems("[store]\nzzz = 1\n")["store.zzz"][2] == "remove it, or use path"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("[store]\npath = \n", 2, "has a value that is not valid TOML"),
        ("[store]\npath = data/bridge.db\n", 2, "has a value that is not valid TOML"),
        ('[store]\npath = "data\n', 2, "ends within a text"),
        ("[store]\n[radicale]\n[store]\n", 3, "opens [store] a second time"),
        ("[a.b]\n[a.b]\n", 2, "opens [a.b] a second time"),
        ("[store\n", 1, "is not TOML: Expected ']' at the end of a table declaration"),
        ('[store]\npath = "a"\npath = "b"\n', 3, "sets a value that is already set above"),
        ('\n[store]\npath = """', 3, "is not TOML: Unterminated string"),
    ],
)
def test_a_syntax_error_is_told_with_its_line(text: str, line: int, problem: str) -> None:
    told = problems(text)[""]

    assert told[0] == line
    assert told[1].startswith(problem)


@pytest.mark.parametrize("text", ["store = 3", "providers = 3", "[providers]\nicloud = 3"])
def test_a_value_in_place_of_a_table_is_told(text: str) -> None:
    assert [problem for _, problem, _ in problems(text).values()] == ["is not a table"]


@pytest.mark.parametrize("path", ["", "/", "."])
def test_a_path_names_a_file(path: str) -> None:
    assert problems(f'[store]\npath = "{path}"\n')["store.path"][1] == "names no file"


def test_both_servers_on_one_port_are_refused() -> None:
    line, problem, _ = problems("[sidecar]\nport = 5232\n")["sidecar.port"]

    assert (line, "same port" in problem) == (2, True)


@pytest.mark.parametrize("url", ["http://dav.example.com/", "http://127.0.0.1.example.com/", "http://192.168.1.4/"])
def test_passwords_do_not_go_unencrypted_to_other_machines_unless_allowed(url: str) -> None:
    line, problem, remedy = problems(f'[providers.home]\nurl = "{url}"\n')["providers.home.url"]

    assert (line, problem) == (2, "would send passwords over the network unencrypted")
    assert "https://" in remedy
    assert parse(f'[providers.home]\nurl = "{url}"\nallow_http = true\n', Path("f")).providers["home"].url == url


@pytest.mark.parametrize("url", ["http://localhost:8000/dav/", "http://127.8.0.1/", "http://[::1]:5232/"])
def test_plain_http_on_this_machine_is_fine(url: str) -> None:
    assert parse(f'[providers.home]\nurl = "{url}"\n', Path("f")).providers["home"].url == url


@pytest.mark.parametrize(
    "url", ["dav.example.com", "https://", "https://x:port/", "https://[::1", "caldavs://example.com/", "https://x:0/"]
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    assert problems(f'[providers.home]\nurl = "{url}"\n')["providers.home.url"][1] == "is not a web address"


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    found = problems('[providers.home]\nurl = "https://me:hunter2@dav.example.com/"\n')

    assert "user name" in found["providers.home.url"][1]
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("host", ["*", "*.com", "https://dav.example.com", "dav.example.com/", "", "a*.example.com"])
def test_a_host_pattern_that_could_be_anybody_is_refused(host: str) -> None:
    found = problems(f'[providers.home]\nurl = "https://dav.example.com/"\ncredential_hosts = ["{host}"]\n')

    assert found["providers.home.credential_hosts"][0] == 3


def test_a_provider_needs_an_address_and_a_plain_name() -> None:
    found = problems("[providers.Home]\nurl = 'https://dav.example.com/'\n[providers.work]\nallow_http = false\n")

    assert found["providers.Home"][:2] == (1, "is not a provider's name")
    assert found["providers.work.url"] == (3, "is missing", "add url to [providers.work]")


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().defaults.titles = Titles.TITLE


def test_the_example_says_the_defaults() -> None:
    assert parse(EXAMPLE.read_text(encoding="utf-8"), EXAMPLE) == Settings()


def test_the_example_names_every_setting_exactly_once_with_a_comment_above() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    lines = text.splitlines()
    named = [n for n, line in enumerate(lines) if re.match(r"#?\w+ = ", line)]

    assert paths(tomllib.loads(uncommented(text))) == all_settings(Settings)
    assert len(named) == len(all_settings(Settings))
    assert [lines[n] for n in named if not lines[n - 1].startswith("# ")] == []


def test_the_user_in_the_example_is_one_that_can_be(tmp_path: Path) -> None:
    text = uncommented(EXAMPLE.read_text(encoding="utf-8")).replace("password_env", "#")
    (ada,) = parse(text.replace("/etc/ssl/private-ca.pem", str(tmp_path / "ca.pem")), EXAMPLE).users

    assert (ada.id, ada.accounts[0].conflicts) == ("ada", ("Work", "Family"))
    assert ada.accounts[0].slots["Work"].titles == Titles.TITLE


def uncommented(example: str) -> str:
    return re.sub(r"(?m)^#(\w+ = |\[)", r"\1", example)


def paths(table: dict[str, object], above: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in table.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            found |= paths(value[0], f"{above}{name}.")
        else:
            found |= paths(value, f"{above}{name}.") if isinstance(value, dict) and value else {f"{above}{name}"}
    return found


def all_settings(table: type[BaseModel], above: str = "") -> set[str]:
    found: set[str] = set()
    for name, field in table.model_fields.items():
        inside = [one for one in (field.annotation, *get_args(field.annotation)) if is_table(one)]
        between = {"providers": "icloud.", "slots": "Work."}.get(name, "")
        found |= all_settings(inside[0], f"{above}{name}.{between}") if inside else {f"{above}{name}"}
    return found


def is_table(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
