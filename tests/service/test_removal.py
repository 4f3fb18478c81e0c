"""A user can take everything along, and leaves nothing behind."""

from __future__ import annotations

import pytest

from bridge.domain.changes import ChangeOrigin
from bridge.domain.model import SlotSettings, Titles
from bridge.errors import Unknown
from bridge.service import book, connect, connections, mirror, notes, roles, sessions, users, webhooks
from bridge.service.book import NewBlockedSlot
from bridge.service.export import export
from bridge.store import declared, idempotency, passwords
from bridge.store.idempotency import Answer, Claim

from .conftest import NOW, event

#: What only Ada's data has in it, wherever it ends up.
MARKS = (
    "Dentist", "Lovelace", "Secret lunch", "Secret-note", "phone-of-hers", "ada@example.com", "abcd-efgh-ijkl-mnop",
    "Intro-call",
)  # fmt: skip


@pytest.fixture
async def full(world):
    """Ada, with something of hers in every corner of the store; and Bob, who has as much."""
    now = world.now()
    webhooks.create(
        world.context,
        webhooks.WebhookChange(url="https://crm.example.com/", origins=list(ChangeOrigin)),
        location_ids=[],
        signature=webhooks.Signature.V1,
        token_id="tok",
        networks=[],
    )
    users.change_user(world.db, "ada", name="Lovelace", now=now)
    users.add_user(world.db, id="bob", location_id="loc", name="Bob", time_zone="Europe/Berlin", now=now)
    world.server.edit(world.urls["Work"], "e.ics", event("e", title="Dentist"))
    await mirror.mirror_account(world.context, world.account_id)
    roles.set_slot_settings(world.context, "ada", world.ids["Work"], SlotSettings(titles=Titles.TITLE))
    new = world.new(title="Intro-call", check_slot=False)
    world.ids["appointment"] = book.create_appointment(world.db, new, now=now).appointment.id
    notes.create(world.db, world.ids["appointment"], "Secret-note", None, locations=None, now=now)
    book.create_blocked_slot(
        world.db,
        NewBlockedSlot(
            location_id="loc",
            booking_calendar_id=None,
            user_id="ada",
            title="Secret lunch",
            start=NOW + 7200,
            end=NOW + 9000,
            time_zone=None,
            utc_offset=0,
            expires_at=None,
        ),
        now=now,
    )
    webhooks.spread(world.context)
    world.ids["password"], _ = users.add_password(world.db, "ada", "phone-of-hers", now)
    world.ids["bob's"], _ = users.add_password(world.db, "bob", "phone", now)
    used = passwords.last_use_directory(world.db.path)
    used.mkdir()
    for name in ("password", "bob's"):
        (used / world.ids[name]).touch()
    secret, _ = sessions.make_link(world.db, "ada", actor="test", now=now)
    sessions.sign_in_by_link(world.db, secret, now=now)
    sessions.make_link(world.db, "ada", actor="test", now=now)
    with world.db.write() as tx:
        body = '{"id": "apt_1", "assignedUserId": "ada", "title": "Intro-call"}'
        idempotency.record(tx, Claim("tok", "POST /v1/x", "k", "f"), Answer(201, body), now=now)
        idempotency.record(tx, Claim("tok", "POST /v1/x", "k2", "f"), Answer(201, '{"assignedUserId": "bob"}'), now=now)
    return world


def everything(world):
    """Every value of every table, by table."""
    with world.db.read() as tx:
        tables = [row["name"] for row in tx.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: [str(value) for row in tx.execute(f"SELECT * FROM {table}") for value in tuple(row)]
            for table in tables
        }


def naming(world, word):
    """The tables in which a value has this word in it."""
    return {table for table, values in everything(world).items() if any(word in value for value in values)}


async def test_nothing_of_a_removed_user_is_left_in_any_table(full):
    for mark in MARKS:
        assert naming(full, mark), f"the test has put no {mark} anywhere"
    assert {"webhook_deliveries", "changes", "published_items", "mirror_items", "idempotency_keys"} <= {
        table for mark in MARKS for table in naming(full, mark)
    }
    ids = [value for value in (full.account_id, *full.ids.values()) if value != full.ids["bob's"]]

    await connections.remove_user(full.context, "ada")

    assert {mark: naming(full, mark) for mark in MARKS} == {mark: set() for mark in MARKS}
    assert {table for one in ids for table in naming(full, one)} <= {"audit_log"}
    # That she was there is in the audit log; and that she is gone, in the feed's last word on her.
    quoted = {table for table, values in everything(full).items() if any(v == "ada" or '"ada"' in v for v in values)}
    assert quoted <= {"audit_log", "changes"}
    with full.db.read() as tx:
        assert tx.execute("SELECT count(*) AS n FROM changes WHERE user_id = 'ada'").fetchone()["n"] == 1
        assert tx.execute("SELECT count(*) AS n FROM occurrences").fetchone()["n"] == 0
        assert tx.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_nothing_of_a_removed_user_is_left_in_the_files(full):
    users.remove_user(full.db, "ada", now=full.now())

    folder = full.db.path.parent
    assert [path.name for path in passwords.last_use_directory(full.db.path).iterdir()] == [full.ids["bob's"]]
    for path in folder.glob("bridge.db*"):
        content = path.read_bytes()
        assert not [mark for mark in MARKS if mark.encode() in content], path.name


async def test_others_keep_what_is_theirs(full):
    users.remove_user(full.db, "ada", now=full.now())

    assert [one.label for one in users.list_passwords(full.db, "bob")] == ["phone"]
    with full.db.read() as tx:
        kept = [row["key"] for row in tx.execute("SELECT key FROM idempotency_keys")]
    assert kept == ["k2"]


async def test_everything_of_a_user_can_be_taken_along(full):
    with full.db.read() as tx:
        found = export(tx, "ada")

    assert [one.fields.title for one in found.appointments] == ["Intro-call"]
    assert [one.body for one in found.notes] == ["Secret-note"]
    assert [one.title for one in found.blocked_slots] == ["Secret lunch"]
    assert ["Dentist" in one.ics for one in found.mirrored] == [True]
    assert [one.label for one in found.person.calendar_passwords] == ["phone-of-hers"]
    assert {one.name for one in found.person.calendars} == {"Home", "Work", "Hobby"}
    assert found.changes
    assert {one.subject for one in found.audit} == {"ada"}
    assert "abcd-efgh-ijkl-mnop" not in repr(found)


async def test_who_is_not_there_has_nothing_to_take(world):
    with world.db.read() as tx, pytest.raises(Unknown):
        export(tx, "nobody")
    with world.db.read() as tx:
        assert declared.settings(tx) == set()


async def test_notes_on_a_time_that_somebody_else_took_over_go_with_it(world):
    _, theirs = users.add_user(
        world.db, id="bob", location_id="loc", name="Bob", time_zone="Europe/Berlin", now=world.now()
    )
    await connect.connect(world.context, "bob", "icloud", world.server.username, world.server.password)
    ids = {one.name: one.id for one in roles.list_calendars(world.db, "bob")}
    await roles.choose(world.context, "bob", primary=ids["Hobby"])
    made = world.make(rrule="RRULE:FREQ=WEEKLY;COUNT=4")
    second = f"{made.id}_{(made.fields.start + 7 * 86_400) * 1000}_1800"
    notes.create(world.db, second, "Wants a discount", None, locations=None, now=world.now())
    book.update_appointment(
        world.db,
        second,
        book.AppointmentChange(booking_calendar_id=theirs.id, user_id="bob"),
        locations=None,
        expected_version=None,
        check_slot=True,
        now=world.now(),
    )
    with world.db.read() as tx:
        assert [one.body for one in export(tx, "bob").notes] == ["Wants a discount"]
        assert export(tx, "ada").notes == ()
    users.remove_user(world.db, "ada", now=world.now())
    kept = notes.list_notes(world.db, second, locations=None, skip=0, limit=20)
    assert [one.body for one in kept.notes] == ["Wants a discount"]
