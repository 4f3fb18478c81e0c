"""A store with one User."""

from __future__ import annotations

import pytest

from bridge.domain.model import ItemKind, PublishedItem, User
from bridge.store import users
from bridge.store.db import Db

NOW = 1_804_492_800


@pytest.fixture
def db(tmp_path):
    made = Db(tmp_path / "bridge.db")
    with made.write() as tx:
        users.add(tx, User("ada", "loc", "Ada", "Europe/Berlin", 0), now=NOW)
    yield made
    made.close()


def item(name, etag="1"):
    """Something to publish."""
    return PublishedItem(
        href=f"{name}.ics",
        etag=etag,
        ics=f"BEGIN:VCALENDAR\r\nX-NAME:{name}\r\nEND:VCALENDAR\r\n",
        first_start=NOW,
        last_end=NOW + 3600,
        kind=ItemKind.ICLOUD,
        source_id="cal",
    )
