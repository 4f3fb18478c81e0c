"""Real servers, started once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from bridge.remote.caldav_remote import CaldavRemote
from bridge.remote.policy import ProviderPolicy
from tests import upstreams
from tests.remote.places import Place
from tests.upstreams.icloud import Cloud

pytest.register_assert_rewrite("tests.remote.contract")

numbers = count(1)


@pytest.fixture(scope="session")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[upstreams.Server]:
    with upstreams.radicale(tmp_path_factory.mktemp("radicale")) as server:
        yield server


@pytest.fixture(scope="session")
def xandikos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[upstreams.Server]:
    with upstreams.xandikos(tmp_path_factory.mktemp("xandikos")) as server:
        yield server


def place_at(server: upstreams.Server | Cloud) -> Place:
    """A new person at a server."""
    person = server.login(f"person-{next(numbers)}@example.com")
    policy = ProviderPolicy("test", server.url, requests_per_minute=10_000, timeout=10)
    return Place(person, CaldavRemote(policy, person.username, person.password), f"{person.home}never/")
