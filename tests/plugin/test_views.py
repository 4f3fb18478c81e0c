"""Every way to ask when a user is busy gives the same answer, whatever was set and changed before."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

import pytest

from bridge.domain import publish as decide
from bridge.domain.hours import merged
from bridge.domain.model import Interval, SlotSettings
from bridge.remote.memory import MemoryServer
from bridge.service import agenda, availability, book, explain, mirror, publish, push, roles, users
from bridge.service.visibility import Listing
from tests.service.conftest import World, make_world

from .conftest import application, utc
from .dav import Client
from .test_agreement import EVENTS, text_of

DAY = 86_400
ZONES = ("Europe/Berlin", "Pacific/Apia", "Asia/Kathmandu", "America/Havana", "Australia/Lord_Howe")
SAID = ("", "", "TRANSP:TRANSPARENT\r\n", "STATUS:TENTATIVE\r\n", "STATUS:CANCELLED\r\n")
Times = list[tuple[int, int]]


def union(times: Times, span: Interval) -> Times:
    """Cut to the span, overlapping and touching ones made one."""
    cut = sorted((max(start, span.start), min(end, span.end)) for start, end in times)
    return [(one[0], one[1]) for one in merged([one for one in cut if one[0] < one[1]])]


def asked(world: World, client: Client, span: Interval) -> dict[str, Times]:
    """When Ada is busy in a span, by whom is asked."""
    with world.db.read() as tx:
        user = publish.users.get(tx, "ada")
    assert user is not None
    now = world.now()
    known = availability.free_busy(world.db, ["ada"], span, locations=None, now=now, stale_seconds=None)["ada"]
    wanted = Listing(location_id="loc", span=span, user_id="ada", limit=5000)
    booked = [one.fields for one in book.list_appointments(world.db, wanted, locations=None) if one.wanted_upstream]
    blocked = book.list_blocked_slots(world.db, wanted, locations=None)
    return {
        "availability": union([(one.start, one.end) for one in known.busy], span),
        "pages": union([(one.start, one.end) for one in agenda.agenda(world.db, user, span).entries], span),
        "lists": union([(one.start, one.end) for one in (*blocked, *booked)], span),
        "merged calendar": [
            (instant(first), instant(last)) for first, last in client.free_busy(utc(span.start), utc(span.end))
        ],
    }


def instant(text: str) -> int:
    return int(dt.datetime.strptime(text, "%Y%m%dT%H%M%S%z").timestamp())


async def quiet(world: World) -> None:
    for _ in range(2):
        await push.push_due(world.context)
        await mirror.mirror_account(world.context, world.account_id)
        world.later(600)


@pytest.mark.parametrize("seed", range(6))
async def test_all_ways_to_ask_agree(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    world = await make_world(tmp_path / "bridge.db", MemoryServer())
    _, password = users.add_password(world.db, "ada", "phone", world.now())
    client = Client(application(world.db.path), "ada", password)
    for uid in EVENTS:
        text = text_of(uid).replace("END:VEVENT", f"{chance.choice(SAID)}END:VEVENT", 1)
        world.server.edit(world.urls[chance.choice(("Home", "Work"))], f"{uid}.ics", text)
    for _ in range(8):
        start = world.now() + chance.randrange(0, 20 * DAY) // 900 * 900
        match chance.choice(("zone", "settings", "settings", "book", "series", "time")):
            case "zone":
                users.change_user(world.db, "ada", now=world.now(), time_zone=chance.choice(ZONES))
            case "settings":
                blocks = {n: chance.random() < 0.5 for n in ("all_day_blocks", "tentative_blocks", "travel_blocks")}
                of = world.ids[chance.choice(("Home", "Work"))]
                roles.set_slot_settings(world.context, "ada", of, SlotSettings(**blocks))
            case "book":
                world.make(start=start, end=start + 1800)
            case "series":
                world.make(start=start, end=start + 1800, rrule="RRULE:FREQ=WEEKLY", time_zone=chance.choice(ZONES))
            case "time":
                world.later(chance.choice((DAY, 30 * DAY, 90 * DAY)))
        if chance.random() < 0.5:
            await quiet(world)
        horizon = decide.horizon(world.now())
        for around in (world.now(), horizon.end, world.now() + 1500 * DAY):
            first = (around + chance.randrange(-6 * DAY, 6 * DAY)) // 900 * 900
            span = Interval(first, first + chance.choice((3600, DAY, 4 * DAY)))
            answers = asked(world, client, span)
            busy = answers["merged calendar"]
            assert all(one == busy for one in answers.values()), (dt.datetime.fromtimestamp(first, dt.UTC), answers)
            edges = {span.start, span.end - 1, *(at + by for one in busy for at in one for by in (-1, 0))}
            for at in sorted(edge for edge in edges if span.start <= edge < span.end):
                told = explain.time(world.db, "ada", at, now=world.now())
                taken = any(start <= at < end for start, end in busy)
                assert told.blocked == any(one.blocks for one in told.findings) == taken, (utc(at), told)
    world.db.close()
