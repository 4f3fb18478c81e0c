"""How large the database is: below three times the text that it holds, whatever the users' ids look like."""

from __future__ import annotations

import datetime as dt

import pytest

from bridge.domain import publish as decide
from bridge.domain.model import MirrorItem, PublishedItem, SlotSettings, Titles, User
from bridge.store import published, users
from bridge.store.db import Db

from .conftest import NOW


def events(count: int) -> list[PublishedItem]:
    """Meetings over three years as they are published, a tenth of them weekly for half a year."""
    source = decide.Source(SlotSettings(titles=Titles.TITLE), "Europe/Berlin", frozenset())
    found = []
    for number in range(count):
        start = dt.date(2026, 1, 5) + dt.timedelta(days=number * 389 % (3 * 365))
        rule = "" if number % 10 else "RRULE:FREQ=WEEKLY;COUNT=26\r\n"
        text = (
            f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:{number}@example.com\r\nSUMMARY:Meeting {number}\r\n"
            f"DTSTART;TZID=Europe/Berlin:{start:%Y%m%d}T{8 + number % 10:02}0000\r\nDURATION:PT1H\r\n"
            f"{rule}END:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        item = MirrorItem("icl_0123456789abcdef", f"/home/{number}.ics", '"1"', f"{number}@example.com", text)
        found += decide.blocked_slots([(item, decide.render(item, source, decide.horizon(NOW)))])
    return found


@pytest.mark.parametrize("user_id", ["ada", "ocQHyuzHvysMo5N5VsXc"])
def test_the_database_is_below_three_times_the_text_of_a_thousand_events(tmp_path, user_id):
    items = events(1_000)
    assert len(items) == 1_000
    db = Db(tmp_path / "bridge.db")
    with db.write() as tx:
        users.add(tx, User(user_id, "loc", "Ada", "Europe/Berlin", 0), now=NOW)
        published.apply(tx, user_id, put=items, remove=[], now=NOW)
    db.wipe()
    db.close()
    assert db.path.stat().st_size < 3 * sum(len(item.ics.encode()) for item in items)
