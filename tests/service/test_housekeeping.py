"""What passing time takes away, and what it must not."""

from __future__ import annotations

import pytest

from bridge.domain.model import TOMBSTONE_SECONDS
from bridge.errors import Unknown
from bridge.service import book, housekeeping, mirror, push
from bridge.service.book import NewBlockedSlot
from bridge.store import blocked_slots, published

from .conftest import NOW, event


def cancel(world, thing_id):
    book.delete_event(world.db, thing_id, locations=None, expected_version=None, now=world.now())


async def test_what_was_deleted_is_forgotten_after_ninety_days_and_no_sooner(world):
    world.server.edit(world.urls["Work"], "a.ics", event("a"))
    world.server.edit(world.urls["Work"], "b.ics", event("b", start="20270309T100000", end="20270309T110000"))
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    slot = book.create_blocked_slot(
        world.db,
        NewBlockedSlot(
            location_id="loc",
            booking_calendar_id=None,
            user_id="ada",
            title="Lunch",
            start=NOW + 7200,
            end=NOW + 9000,
            time_zone=None,
            utc_offset=0,
            expires_at=None,
        ),
        now=world.now(),
    )
    await push.push_due(world.context)
    await mirror.mirror_account(world.context, world.account_id)
    with world.db.read() as tx:
        before = published.head(tx, "ada").revision
    cancel(world, made.id)
    cancel(world, slot.id)
    world.server.edit(world.urls["Work"], "a.ics", None)
    await push.push_due(world.context)
    await mirror.mirror_account(world.context, world.account_id)

    world.later(TOMBSTONE_SECONDS)
    housekeeping.tidy(world.db, now=world.now())
    assert book.get_appointment(world.db, made.id, locations=None).deleted_at is not None
    with world.db.read() as tx:
        assert published.head(tx, "ada").tombstones_from <= before, "whoever asked then is told what went"
        assert len(published.changed_since(tx, "ada", before)) == 3

    world.later(1)
    housekeeping.tidy(world.db, now=world.now())
    with pytest.raises(Unknown):
        book.get_appointment(world.db, made.id, locations=None)
    with world.db.read() as tx:
        assert blocked_slots.get(tx, slot.id) is None
        head = published.head(tx, "ada")
        assert before < head.tombstones_from <= head.revision, "who asked before has to ask for everything"
    assert len(world.merged()) == 1, "what is there stays"


async def test_a_deleted_appointment_whose_event_could_not_be_removed_is_not_forgotten(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    await push.push_due(world.context)
    world.server.password = "another"
    cancel(world, made.id)
    await push.push_due(world.context)
    world.later(2 * TOMBSTONE_SECONDS)
    housekeeping.tidy(world.db, now=world.now())
    world.server.password = "abcd-efgh-ijkl-mnop"
    await mirror.mirror_account(world.context, world.account_id)
    await push.push_due(world.context)
    assert world.server.texts(world.urls["Home"]) == {}
    assert world.merged() == {}
    housekeeping.tidy(world.db, now=world.now())
    with pytest.raises(Unknown):
        book.get_appointment(world.db, made.id, locations=None)
