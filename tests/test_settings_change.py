"""A program changes a settings file, and its author finds it again as it was but for that."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bridge.errors import SettingsInvalid
from bridge.settings import Settings, load
from bridge.settings.change import set_value

EXAMPLE = Path(__file__).parent.parent / "config" / "bridge.example.toml"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.toml"
    path.write_text(EXAMPLE.read_text())
    path.chmod(0o640)
    return path


def test_one_line_changes_and_no_comment_is_lost(config: Path) -> None:
    before = config.read_text().splitlines()

    assert set_value(config, "mirror.poll_seconds", "90")

    after = config.read_text().splitlines()
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [("poll_seconds = 60", "poll_seconds = 90")]
    assert load(config).mirror.poll_seconds == 90


def test_mode_stays_and_nothing_is_left_beside_it(config: Path) -> None:
    set_value(config, "defaults.titles", "title")

    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert list(config.parent.iterdir()) == [config]


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("sidecar.public_url", "https://bridge.example.com/", 'public_url = "https://bridge.example.com/"'),
        ("pages.other_servers", "true", "other_servers = true"),
        ("webhooks.networks", '["10.0.0.0/8"]', 'networks = ["10.0.0.0/8"]'),
        ("providers.icloud.requests_per_minute", "60", "requests_per_minute = 60"),
        ("providers.home.url", "https://dav.example.com/", 'url = "https://dav.example.com/"'),
    ],
)
def test_every_kind_of_value_can_be_set_where_it_belongs(config: Path, key: str, value: str, line: str) -> None:
    set_value(config, key, value)

    assert line in config.read_text().splitlines()
    load(config)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mirror.poll_seconds", "soon"),
        ("mirror.pol_seconds", "60"),
        ("sidecar.port", "5232"),
        ("nothing.here", "1"),
        ("mirror", "1"),
        ("users.ada", "1"),
        ("mirror.poll_seconds.more", "1"),
        ("mirror.", "1"),
    ],
)
def test_what_would_not_be_valid_is_refused_and_the_file_stays(config: Path, key: str, value: str) -> None:
    before = config.read_text()

    with pytest.raises(SettingsInvalid):
        set_value(config, key, value)

    assert config.read_text() == before


def test_a_file_that_is_broken_already_is_not_made_worse(config: Path) -> None:
    config.write_text("[mirror\n")

    with pytest.raises(SettingsInvalid):
        set_value(config, "mirror.poll_seconds", "90")

    assert config.read_text() == "[mirror\n"


def test_a_link_stays_one(config: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(config)

    set_value(link, "mirror.poll_seconds", "90")

    assert link.is_symlink()
    assert load(config).mirror.poll_seconds == 90


def test_declared_users_stay_as_they_were_written(config: Path) -> None:
    users = '\n[[users]] # the first one\nid = "ada"   # never changes\nlocation = "l"\ntime_zone = "UTC"\n'
    config.write_text(config.read_text() + users)

    set_value(config, "mirror.poll_seconds", "90")

    assert config.read_text().endswith(users)
    assert load(config).users[0].id == "ada"
    assert Settings().users == ()
