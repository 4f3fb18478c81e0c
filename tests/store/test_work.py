"""What a change costs: work for what changed, however much else is published."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.domain.model import Interval, Occurrence
from bridge.store import published
from tests.work import EVERY, counted

from .conftest import NOW, item


def timed(name, etag="1"):
    """An item with a time of its own in the year, of a series of three weeks."""
    start = NOW + sum(map(ord, name)) * 7_919 % 50_000 * 600
    times = tuple(Occurrence(start + week * 604_800, start + week * 604_800 + 1_800, False) for week in range(3))
    return replace(item(name, etag), first_start=start, last_end=times[-1].end, occurrences=times)


def publish(db, put, remove=()):
    with db.write() as tx:
        return published.apply(tx, "ada", put=put, remove=remove, now=NOW)


def changes(db):
    """The work for one event that is new, changed, unchanged, expanded anew and removed."""
    new = timed("new")
    anew = replace(new, etag="2", expanded=Interval(NOW, NOW + 86_400))
    for put, remove in (
        ([new], ()),
        ([replace(new, etag="2")], ()),
        ([replace(new, etag="2")], ()),
        ([anew], ()),
        ([], ["new.ics"]),
    ):
        with counted(db) as work:
            publish(db, put, remove)
        yield work


def test_one_changed_event_costs_the_same_in_a_calendar_of_any_size(db):
    publish(db, [timed(f"few-{number}") for number in range(20)])
    few = list(changes(db))
    publish(db, [timed(f"many-{number}") for number in range(5_000)])
    many = list(changes(db))
    for small, large in zip(few, many, strict=True):
        assert large.rows == small.rows
        assert large.steps <= small.steps * 1.1 + 10 * EVERY


def test_ten_times_as_many_events_cost_ten_times_as_much_and_are_one_revision(db):
    with counted(db) as few:
        assert publish(db, [timed(f"few-{number}") for number in range(1_000)]) == 1
    with counted(db) as many:
        assert publish(db, [timed(f"many-{number}") for number in range(10_000)]) == 2
    assert many.rows <= 10 * few.rows
    assert many.steps <= 10.5 * few.steps


@pytest.mark.parametrize("size", [20, 5_000])
def test_a_client_that_asks_what_is_new_costs_what_is_new(db, size):
    publish(db, [timed(f"old-{number}") for number in range(size)])
    since = publish(db, [timed("new")]) - 1
    with counted(db, "reader") as work, db.read() as tx:
        assert published.head(tx, "ada").revision == since + 1
        assert published.changed_since(tx, "ada", since) == ["new.ics"]
    assert work.steps < 500


def test_forgetting_old_removals_costs_the_same_in_a_calendar_of_any_size(db):
    def forget():
        publish(db, [timed("old")])
        publish(db, [], ["old.ics"])
        with counted(db) as work, db.write() as tx:
            published.prune(tx, before=NOW + 1)
        return work

    publish(db, [timed(f"few-{number}") for number in range(20)])
    few = forget()
    publish(db, [timed(f"many-{number}") for number in range(5_000)])
    many = forget()
    assert (few.rows, many.rows) == (2, 2)
    assert many.steps <= few.steps * 1.1 + 10 * EVERY
