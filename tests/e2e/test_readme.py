"""What the README and the administrator's guide tell people to type works."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click
import pytest

from bridge.cli import main

from .conftest import Demo
from .people import Seen, read_events
from .processes import run

README = (Path(__file__).parents[2] / "README.md").read_text()
GUIDE = (Path(__file__).parents[2] / "docs" / "administration.md").read_text()
COMMANDS = sorted(set(re.findall(r"(?:^|`) *(bridge [a-z-][^`\n#]*)", README + GUIDE, re.MULTILINE)))


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_there_with_its_options(line: str) -> None:
    command: click.Command = main
    context = click.Context(main, info_name="bridge")
    words = shlex.split(line)[1:]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"there is no {name} in {line}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    command.make_parser(context).parse_args(words)


def test_vdirsyncer_takes_the_settings_and_takes_back_what_was_changed_in_the_copy(demo: Demo, tmp_path: Path) -> None:
    (settings,) = re.findall(r"```ini\n(.*?)```", README, re.DOTALL)
    copy, config = tmp_path / "copy", tmp_path / "config"
    copy.mkdir()
    for before, after in (
        ("~/calendars/crm", str(copy)),
        ("~/.vdirsyncer/status/", str(tmp_path / "status")),
        ("https://YOUR.HOST/ada/crm/", demo.subscriber.url),
        ('password.fetch = ["prompt", "bridge password"]', f'password = "{demo.subscriber.password}"'),
    ):
        assert before in settings, before
        settings = settings.replace(before, after)
    config.write_text(settings)

    def vdirsyncer(command: str) -> None:
        done = run(sys.executable, "-m", "vdirsyncer", "-c", str(config), command, directory=tmp_path)
        assert done.code == 0, done

    def copied() -> dict[str, Seen]:
        return read_events([path.read_text() for path in copy.glob("*.ics")])

    vdirsyncer("discover")
    vdirsyncer("sync")
    whole = copied()
    assert whole == demo.subscriber.events()

    changed, deleted = sorted(copy.glob("*.ics"))[:2]
    changed.write_text(changed.read_text().replace("SUMMARY:", "SUMMARY:Mine "), newline="")
    deleted.unlink()
    vdirsyncer("sync")
    vdirsyncer("sync")
    assert copied() == whole
    assert demo.subscriber.events() == whole
