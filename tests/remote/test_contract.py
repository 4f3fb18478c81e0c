"""The contract of a Remote, at every server there is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests import upstreams
from tests.remote.conftest import place_at
from tests.remote.contract import RemoteContract
from tests.remote.places import MemoryPerson, Place
from tests.upstreams import icloud


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


class TestAtICloud(RemoteContract):
    # A forgotten token that is answered with everything there is can't be told from a known one.
    quirks = icloud.Quirks(forgotten_token=410)

    @pytest.fixture
    async def place(self) -> AsyncIterator[Place]:
        with icloud.running(self.quirks) as cloud:
            place = place_at(cloud)
            yield place
            await place.remote.close()


class TestAtAnotherICloud(TestAtICloud):
    """The switches with more than two positions, in their others."""

    quirks = icloud.Quirks(
        hrefs="443", wrong_partition=301, forgotten_token=507, page_size=1, no_dtend=403, duplicate_uid=409
    )


class TestByTheBook(TestAtICloud):
    quirks = icloud.BY_THE_BOOK
