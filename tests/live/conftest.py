"""One demo of the whole bridge, as processes, for programs that nobody here wrote."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from tests.e2e.conftest import Demo
from tests.e2e.processes import BRIDGE, Program


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    program = Program([*BRIDGE, "demo", "--json", "--data", str(folder)], folder)
    try:
        yield Demo(program, folder, json.loads(program.line()))
    finally:
        program.close()


@pytest.fixture(scope="session")
def node():
    """Node.js. Where it is missing this is a reason to skip; in CI a failure."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        message = "Node.js and npm are needed: apt install nodejs npm"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return found
