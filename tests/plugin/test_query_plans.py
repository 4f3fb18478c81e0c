"""Whatever a request asks of the store is found by index: no query walks through a table of all users."""

from __future__ import annotations

import re
import sqlite3

import pytest

from bridge.service import publish

from .conftest import NOW, World, ics
from .dav import CRM, element, events_filter, name, time_range

#: Single rows, or as many as there are users; or a list in a parameter.
SMALL = ("store_facts", "f", "json_each")


@pytest.fixture
def asked(week: World) -> list[str]:
    """The statements that the application and the service send, collected as they are sent."""
    statements: list[str] = []
    for db in (week.app._storage._db, week.db):
        real = db._connect

        def connect(mode: str, real=real) -> sqlite3.Connection:
            connection = real(mode)
            connection.set_trace_callback(statements.append)
            return connection

        db.close()
        db._connect = connect  # type: ignore[method-assign]
    return statements


def plans(world: World, statements: list[str]) -> dict[str, list[str]]:
    """The plan of each SELECT, UPDATE and DELETE; statements come with their parameters filled in."""
    found = {}
    with world.db.read() as tx:
        for statement in dict.fromkeys(statements):
            if re.match(r"(SELECT|UPDATE|DELETE|WITH)\b", statement):
                found[statement] = [row["detail"] for row in tx.execute(f"EXPLAIN QUERY PLAN {statement}")]
    return found


def assert_by_index(world: World, statements: list[str]) -> None:
    seen = plans(world, statements)
    assert seen
    for statement, steps in seen.items():
        for step in steps:
            assert not step.startswith("SCAN") or step.split()[1] in SMALL or "CONSTANT ROW" in step, (statement, steps)


def test_requests(week: World, asked: list[str]) -> None:
    ada = week.ada
    token = ada.sync().sync_token
    hrefs = [CRM + name(href) for href in ada.sync().resources]
    week.publish("monday", None)
    ada.sync(token)
    ada.propfind("/", "D:current-user-principal")
    ada.propfind("/ada/", "CS:getctag", "D:sync-token", depth="1")
    ada.propfind(CRM, "D:getetag", depth="1")
    ada.multiget(*hrefs)
    ada.request("GET", hrefs[0])
    ada.request("GET", CRM)
    ada.query()
    ada.within("20270308T000000Z", "20270315T000000Z")
    ada.within("20200101T000000Z", "20400101T000000Z")
    uid = element("C:prop-filter", element("C:text-match", "abc"), name="UID")
    ada.query(events_filter(uid))
    ada.query(events_filter(time_range("20270308T000000Z"), uid))
    ada.free_busy("20270308T000000Z", "20270315T000000Z")
    assert len([statement for statement in asked if statement.startswith("SELECT")]) > 20
    assert_by_index(week, asked)


def test_what_touches_a_span_is_found_by_start_and_length(week: World, asked: list[str]) -> None:
    week.ada.within("20270308T000000Z", "20270315T000000Z")
    (steps,) = [plan for statement, plan in plans(week, asked).items() if " UNION SELECT o.item " in statement]
    text = "\n".join(steps)
    assert "USING COVERING INDEX occurrences_by_start (owner=? AND start_at>? AND start_at<?)" in text
    assert "USING COVERING INDEX long_occurrences (owner=? AND end_at>?)" in text


def test_publishing_and_the_horizon(week: World, asked: list[str]) -> None:
    week.publish("new", ics("new", ":20270311T090000Z", ":20270311T100000Z"))
    week.publish("new", None)
    assert publish.move_horizon(week.db, now=NOW + 100 * 86_400, limit=10) == 1
    assert_by_index(week, asked)
