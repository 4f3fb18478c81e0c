"""What a run, a booking and a change cost: work for what changed, however many events, appointments and users."""

from __future__ import annotations

from bridge.service import connect, mirror, push, users
from tests.work import counted

from .conftest import NOW, event

FEW, MANY = 20, 200


async def filled(world, first, last):
    """Events of a person's in Work, and as many Appointments in Home, and other Users with an Account."""
    server = world.server
    for number in range(first, last):
        other = f"user-{number}"
        users.add_user(world.db, id=other, location_id="loc", name=other, time_zone="Europe/Berlin", now=NOW)
        await connect.connect(world.context, other, "icloud", server.username, server.password)
        start = f"202703{8 + number % 7:02}T{8 + number % 10:02}0000"
        end = f"202703{8 + number % 7:02}T{8 + number % 10:02}3000"
        world.server.edit(world.urls["Work"], f"{number}.ics", event(f"uid-{number}", start=start, end=end))
        world.make(start=NOW + 86_400 + number * 600, end=NOW + 87_000 + number * 600)
    await push.push_due(world.context)
    await mirror.mirror_account(world.context, world.account_id)


async def mirrored(world):
    """What a mirror run does: reading the store, and writing it while others wait."""
    with counted(world.db, "reader") as reading, counted(world.db) as writing:
        await mirror.mirror_account(world.context, world.account_id)
    return reading, writing


async def edited(world, turn):
    """One event is changed by its person, and mirrored."""
    text = event("uid-3", start=f"20270312T2{turn}0000", end=f"20270312T2{turn}3000")
    world.server.edit(world.urls["Work"], "3.ics", text)
    return await mirrored(world)


async def deleted(world, turn):
    """One event is deleted by its person, and mirrored."""
    world.server.edit(world.urls["Work"], f"{turn}.ics", None)
    return await mirrored(world)


async def booked(world, turn):
    """One appointment is made, moved and cancelled."""
    with counted(world.db) as work:
        made = world.make(start=NOW + (30 + turn) * 86_400, end=NOW + (30 + turn) * 86_400 + 1_800)
        made = world.change(made, title="Another title")
        world.cancel(made)
    return (work,)


async def pushed(world, turn):
    """One appointment is made, written to its calendar and mirrored."""
    world.make(start=NOW + (60 + turn) * 86_400, end=NOW + (60 + turn) * 86_400 + 1_800)
    with counted(world.db, "reader") as reading, counted(world.db) as writing:
        await push.push_due(world.context)
    return reading, writing, *await mirrored(world)


async def test_one_event_costs_the_same_among_few_and_among_many(world):
    await filled(world, 0, FEW)
    for do in (edited, deleted, booked, pushed):
        await do(world, 0)
    few = {do.__name__: await do(world, 1) for do in (edited, deleted, booked, pushed)}
    await filled(world, FEW, MANY)
    many = {do.__name__: await do(world, 2) for do in (edited, deleted, booked, pushed)}
    for name, parts in few.items():
        for small, large in zip(parts, many[name], strict=True):
            assert large.rows == small.rows, name
            assert large.steps <= 1.25 * small.steps, name
