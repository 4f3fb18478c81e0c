"""The service layer at servers that are not in memory: Radicale, Xandikos, and the stand-in for iCloud in each way."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import fields, replace
from itertools import count

import pytest

from bridge.domain.model import Interval
from bridge.errors import RemoteError
from bridge.service import mirror, push
from bridge.store import mirror as mirror_store
from bridge.store import occurrences
from tests import upstreams
from tests.service.conftest import NOW, event
from tests.service.real import make_real_world
from tests.upstreams import icloud

DAY = 86_400
#: The first instance of `World.new()`: Tuesday, 09:00 in Berlin.
FIRST = NOW + DAY

#: Ways that a single switch between iCloud and the book does not reach.
FURTHER = (
    {"hrefs": "443"},
    {"privileges_missing": True},
    {"subscribed_is_a_calendar": True},
    {"page_size": 3},
    {"multiget": "leaves_out"},
    {"multiget": "empty_hrefs"},
    {"late_data": 2},
    {"late_after_put": 1},
    {"late_after_put": 2},
    {"no_dtend": 403},
    *({"forgotten_token": status} for status in (400, 403, 404, 409, 410, 412, 507)),
    *({"duplicate_uid": status} for status in (409, 412)),
)


def _ways():
    """Names and switches: iCloud, a server by the book, and each of the two with one switch turned."""
    yield "icloud", icloud.Quirks()
    yield "by_the_book", icloud.BY_THE_BOOK
    for field in fields(icloud.Quirks):
        there, here = (getattr(quirks, field.name) for quirks in (icloud.Quirks(), icloud.BY_THE_BOOK))
        if there != here:
            yield f"icloud-{field.name}={here}", replace(icloud.Quirks(), **{field.name: here})
            yield f"book-{field.name}={there}", replace(icloud.BY_THE_BOOK, **{field.name: there})
    for change in FURTHER:
        ((name, value),) = change.items()
        yield f"icloud-{name}={value}", replace(icloud.Quirks(), **change)


WAYS = dict(_ways())
#: Ways whose difference shows in reading and in writing most.
TWO_WAYS = {name: WAYS[name] for name in ("icloud", "by_the_book")}

numbers = count(1)


@pytest.fixture(scope="session")
def radicale(tmp_path_factory):
    with upstreams.radicale(tmp_path_factory.mktemp("radicale")) as server:
        yield server


@pytest.fixture(scope="session")
def xandikos(tmp_path_factory):
    with upstreams.xandikos(tmp_path_factory.mktemp("xandikos")) as server:
        yield server


@contextmanager
def _started(request, name):
    if name in WAYS:
        with icloud.running(WAYS[name]) as server:
            yield server
    else:
        yield request.getfixturevalue(name)


async def _world(request, tmp_path):
    with _started(request, request.param) as server:
        made = await make_real_world(tmp_path / "bridge.db", server, f"anna-{next(numbers)}@example.com")
        yield made
        await made.context.remotes.close()
        made.db.close()


@pytest.fixture(params=["radicale", "xandikos", *WAYS])
async def every(request, tmp_path):
    """A world at each server, in each way."""
    async for made in _world(request, tmp_path):
        yield made


@pytest.fixture(params=["radicale", "xandikos", *TWO_WAYS])
async def real(request, tmp_path):
    """A world at each server."""
    async for made in _world(request, tmp_path):
        yield made


@pytest.fixture(params=TWO_WAYS)
async def cloud(request, tmp_path):
    """A world at the stand-in, as iCloud and by the book."""
    async for made in _world(request, tmp_path):
        yield made


# --- What scenarios do -----------------------------------------------------------------------------------------------


async def settle(world, rounds=4):
    """Read and write until all is quiet, ten minutes passing between the rounds."""
    for _ in range(rounds):
        await push.push_due(world.context)
        await poll(world)
        world.later(600)


async def poll(world):
    """One mirror run; trouble with the account as a whole is in its state."""
    try:
        return await mirror.mirror_account(world.context, world.account_id)
    except RemoteError as error:
        return error


def events_of(world, made, name="Home"):
    """The names and texts of an appointment's events in a calendar."""
    texts = world.person.texts(world.urls[name])
    return [(n, text) for n, text in texts.items() if re.search(rf"^UID:{world.stored(made).uid}\r?$", text, re.M)]


def the_event(world, made, name="Home"):
    """The name and text of an appointment's one event."""
    (found,) = events_of(world, made, name)
    return found


def rewrite(world, made, old, new, name="Home"):
    """A person changes an appointment's event."""
    where, text = the_event(world, made, name)
    assert re.search(old, text), text
    world.person.put(world.urls[name], where, re.sub(old, new, text, count=1))


def writes(world, name="Home"):
    """What the bridge tried to change in a calendar, as methods."""
    return [request.method for request in world.server.writes(world.urls[name])]


def busy(world, first=NOW, last=NOW + 60 * DAY):
    """When the merged calendar is busy."""
    with world.db.read() as tx:
        return [(b.start, b.end) for b in occurrences.busy(tx, "ada", Interval(first, last))]


def blocked(world):
    """How many blocked slots from the person's calendars there are."""
    return len([href for href in world.merged() if href.startswith("ics_")])


def fill(world, count, name="Work"):
    """Events on as many days."""
    for number in range(count):
        day = 1 + number % 28
        text = event(f"{name}-{number}", start=f"202703{day:02}T100000", end=f"202703{day:02}T110000")
        world.person.put(world.urls[name], f"{number}.ics", text)


def assert_both_sides_equal(world, read=("Home", "Work")):
    """What the bridge holds of each calendar that is read is what is there, to the letter."""
    for name in read:
        with world.db.read() as tx:
            held = {i.href.rpartition("/")[2]: i.ics for i in mirror_store.of_calendar(tx, world.ids[name])}
        there = world.person.texts(world.urls[name])
        assert {n: _lines(text) for n, text in held.items()} == {n: _lines(text) for n, text in there.items()}


def _lines(text):
    return [line for line in re.sub(r"\r?\n[ \t]", "", text).splitlines() if line]
