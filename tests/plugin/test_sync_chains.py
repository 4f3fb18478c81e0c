"""Clients that follow sync-tokens while another process writes: whatever they do, they have what the calendar held."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bridge.domain.model import PublishedItem
from bridge.store import published
from bridge.store.db import Db

from .conftest import NOW, World, ics
from .dav import CRM, Answer, Client, clark, name

UIDS = [f"n{number}" for number in range(12)]
STEPS = 120
#: What the calendar holds: etags by name.
State = dict[str, str]


def history(world: World) -> Iterator[tuple[list[PublishedItem], list[str]]]:
    """Random transactions: what each puts and removes. Each changes something."""
    chance = random.Random(7)
    there: State = {}
    for step in range(STEPS):
        put: list[PublishedItem] = []
        remove: list[str] = []
        for uid in chance.sample(UIDS, chance.randint(1, 4)):
            (item,) = world.rendered(uid, ics(f"{uid} {step}", ":20270311T090000Z", ":20270311T100000Z"))
            if item.href in there and chance.random() < 0.5:
                remove.append(item.href)
                del there[item.href]
            else:
                put.append(item)
                there[item.href] = item.etag
        yield put, remove


def write(path: Path, steps: list[tuple[list[PublishedItem], list[str]]]) -> None:
    db = Db(path)
    for put, remove in steps:
        with db.write() as tx:
            published.apply(tx, "ada", put=put, remove=remove, now=NOW)
    db.close()


def states(steps: list[tuple[list[PublishedItem], list[str]]]) -> list[State]:
    """What the calendar holds at each revision."""
    found: list[State] = [{}]
    for put, remove in steps:
        after = found[-1] | {item.href: item.etag for item in put}
        found.append({href: etag for href, etag in after.items() if href not in remove})
    return found


def revision(token: str) -> int:
    return int(token.rpartition(":")[2])


def followed(before: State, answer: Answer) -> State:
    """What a client has that had this, and then got that."""
    after = dict(before)
    for href, resource in answer.resources.items():
        if resource.status == 404:
            after.pop(name(href), None)
        else:
            etag = resource.text("D:getetag")
            assert etag
            after[name(href)] = etag
    return after


def read(client: Client, held: list[State], seed: int) -> int:
    """Follow tokens until the last revision; how often somebody looked."""
    chance = random.Random(seed)
    copies: list[tuple[str, State]] = [("", {})]
    looks = 0
    while revision(copies[-1][0] or ":0") < STEPS:
        token, state = chance.choice([copies[-1], copies[-1], chance.choice(copies)])
        answer = client.sync(token)
        state = followed(state, answer)
        assert state == held[revision(answer.sync_token)]
        copies.append((answer.sync_token, state))
        copies.sort(key=lambda one: revision(one[0] or ":0"))
        poll = client.propfind(CRM, "CS:getctag", "D:sync-token").one
        ctag = poll.text("CS:getctag") or ""
        assert int(ctag.strip('"').rpartition("-")[2]) == revision(poll.text("D:sync-token") or "")
        there = client.multiget(*(CRM + href for href in state))
        ones = {name(href): one for href, one in there.resources.items()}
        assert ones.keys() == state.keys()
        for one in ones.values():
            assert (one.status == 404) == (clark("C:calendar-data") not in one.found)
        looks += 1
    return looks


def test_nobody_misses_or_keeps_anything(world: World) -> None:
    steps = list(history(world))
    held = states(steps)
    world.db.close()
    writer = multiprocessing.get_context("fork").Process(target=write, args=(world.db.path, steps))
    writer.start()
    with ThreadPoolExecutor(3) as pool:
        looks = list(pool.map(lambda seed: read(world.ada, held, seed), range(3)))
    writer.join()
    assert writer.exitcode == 0
    assert all(looks)
