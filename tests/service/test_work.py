"""What a run, a booking and a change cost: work for what changed, however many events there are.

Counted is what is done while other writers wait. Before that, a run reads the ETags of the calendar that changed.
"""

from __future__ import annotations

import pytest

from bridge.service import mirror
from tests.work import counted

from .conftest import NOW, event

FEW, MANY = 20, 400


async def filled(world, first, last):
    for number in range(first, last):
        start = f"202703{8 + number % 7:02}T{8 + number % 10:02}0000"
        end = f"202703{8 + number % 7:02}T{8 + number % 10:02}3000"
        world.server.edit(world.urls["Work"], f"{number}.ics", event(f"uid-{number}", start=start, end=end))
    await mirror.mirror_account(world.context, world.account_id)


async def edited(world, turn):
    """One event is changed by its person, and mirrored."""
    text = event("uid-3", start=f"20270312T2{turn}0000", end=f"20270312T2{turn}3000")
    world.server.edit(world.urls["Work"], "3.ics", text)
    with counted(world.db) as work:
        await mirror.mirror_account(world.context, world.account_id)
    return work


async def booked(world, turn):
    """One appointment is made, moved and cancelled."""
    with counted(world.db) as work:
        made = world.make(start=NOW + (30 + turn) * 86_400, end=NOW + (30 + turn) * 86_400 + 1_800)
        made = world.change(made, title="Another title")
        world.cancel(made)
    return work


@pytest.mark.parametrize("do", [edited, booked])
async def test_one_event_costs_the_same_among_few_and_among_many(world, do):
    await filled(world, 0, FEW)
    await do(world, 0)
    few = await do(world, 1)
    await filled(world, FEW, MANY)
    many = await do(world, 2)
    assert many.rows == few.rows
    assert many.steps <= 1.25 * few.steps
