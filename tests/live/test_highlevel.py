"""HighLevel's own client, published by HighLevel, with the bridge's address and token in place of theirs."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "highlevel"


@pytest.fixture(scope="session")
def program(node, tmp_path_factory):
    """The program with its packages, installed as its lock says."""
    folder = tmp_path_factory.mktemp("highlevel")
    for name in ("package.json", "package-lock.json", "client.js"):
        shutil.copy(PROGRAM / name, folder)
    npm = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    done = subprocess.run(npm, check=False, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [node, str(folder / "client.js")]


def test_a_program_for_highlevel_works_with_the_bridge(demo, program):
    facts = demo.facts
    day = dt.datetime.now(dt.UTC).date() + dt.timedelta(weeks=11)
    env = {
        "BRIDGE": facts["api_url"],
        "TOKEN": facts["api_token"],
        "LOCATION": facts["location_id"],
        "CALENDAR": facts["calendar_id"],
        "USER_ID": facts["user_id"],
        "DAY": day.isoformat(),
    }
    done = subprocess.run(program, check=False, env={**os.environ, **env}, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.splitlines() == ["2021-04-15: all of it works", "v3: all of it works"]
