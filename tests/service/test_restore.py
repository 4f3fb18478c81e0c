"""A store that is restored from a backup meets the events of appointments that it never heard of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.errors import SlotUnavailable
from bridge.service import backup, book, mirror, push
from bridge.service.status import status

from .agreement import assert_agreement, run_to_quiescence
from .conftest import NOW, QuickDb, World

HOUR = 3600
TUESDAY = NOW + 86_400


@pytest.fixture
async def restored(world: World) -> World:
    """A world whose store was restored, an appointment "crm-1" having been booked and pushed since the backup."""
    path = world.db.path
    copy = path.with_name("copy.db")
    backup.back_up(path, copy, secrets=True, key=None, replace=False)
    world.make(external_id="crm-1", start=TUESDAY, end=TUESDAY + HOUR)
    await push.push_due(world.context)
    world.db.close()
    backup.restore(copy, path, take_key=lambda key: None, now=world.now())
    world.context = replace(world.context, db=QuickDb(path))
    return world


def book_again(world: World, **changes: object) -> None:
    """What a CRM does that keeps what it has booked."""
    new = world.new(**{"external_id": "crm-1", "start": TUESDAY, "end": TUESDAY + HOUR, **changes})
    book.create_appointment(world.db, new, now=world.now())


@pytest.mark.parametrize("seen", [True, False])
async def test_an_appointment_that_is_sent_again_has_its_event_back(restored: World, seen: bool) -> None:
    if seen:
        await mirror.mirror_account(restored.context, restored.account_id)
        assert len(restored.merged()) == 1, "it blocks like any other event until then"
    book_again(restored)
    await push.push_due(restored.context)
    await run_to_quiescence(restored)
    assert_agreement(restored)
    assert len(restored.server.texts(restored.urls["Home"])) == 1


@pytest.mark.parametrize("seen", [True, False])
async def test_what_the_crm_changed_since_is_changed_in_that_event(restored: World, seen: bool) -> None:
    if seen:
        await mirror.mirror_account(restored.context, restored.account_id)
    book_again(restored, title="Second call", start=TUESDAY + HOUR // 2, end=TUESDAY + 2 * HOUR)
    await push.push_due(restored.context)
    await run_to_quiescence(restored)
    assert_agreement(restored)
    (text,) = restored.server.texts(restored.urls["Home"]).values()
    assert "Second call" in text
    assert status(restored.db)[0].failed == ()


async def test_for_everybody_else_the_event_takes_its_time(restored: World) -> None:
    await mirror.mirror_account(restored.context, restored.account_id)
    for external_id in (None, "crm-2"):
        with pytest.raises(SlotUnavailable):
            book_again(restored, external_id=external_id)
