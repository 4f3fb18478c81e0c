"""The contract of a Remote, at every server there is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import upstreams

from tests.remote.conftest import place_at
from tests.remote.contract import RemoteContract
from tests.remote.places import MemoryPerson, Place


class TestInMemory(RemoteContract):
    @pytest.fixture
    async def place(self) -> AsyncIterator[Place]:
        person = MemoryPerson()
        yield Place(person, person.remote(), person.vanished_url)


class TestAtRadicale(RemoteContract):
    @pytest.fixture
    async def place(self, radicale: upstreams.Server) -> AsyncIterator[Place]:
        place = place_at(radicale)
        yield place
        await place.remote.close()


class TestAtXandikos(RemoteContract):
    @pytest.fixture
    async def place(self, xandikos: upstreams.Server) -> AsyncIterator[Place]:
        place = place_at(xandikos)
        yield place
        await place.remote.close()
