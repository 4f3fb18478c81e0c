"""What the change feed told agrees with what is there: checked after every test that has a world."""

from __future__ import annotations

import json

from bridge.domain import ical
from bridge.store import changes, published, users


def assert_told(db):
    """Each version of an appointment and of a CRM blocked slot was told once, and each blocked slot from iCloud."""
    with db.read() as tx:
        if changes.forgotten(tx):
            return
        told = tx.execute("SELECT * FROM changes ORDER BY sequence").fetchall()
        for table in ("appointments", "blocked_slots"):
            for thing in tx.execute(f"SELECT * FROM {table} WHERE location_id <> ''"):
                versions = [
                    row["version"]
                    for row in told
                    if row["resource_id"] == thing["id"] and row["type"].endswith(("Create", "Update", "Delete"))
                ]
                wanted = list(range(1, thing["version"] + 1))
                if table == "appointments" and thing["master_id"] is not None:
                    # A single time of a series has the versions of that before it goes on by itself, and between.
                    wanted = sorted({*versions, thing["version"]})
                assert versions == wanted, f"{table} {thing['id']}: told {versions}"
        for user in users.all_users(tx):
            _slots(tx, user, [row for row in told if row["user_id"] == user.id])


def _slots(tx, user, told):
    if any(row["type"] == "ResyncRequired" for row in told):
        return
    there = {}
    for row in told:
        if row["resource"] == "blockedSlot" and row["resource_id"].startswith("ics_"):
            assert (row["type"] == "BlockedSlotCreate") == (row["resource_id"] not in there), dict(row)
            there[row["resource_id"]] = json.loads(row["document"])
            if row["type"] == "BlockedSlotDelete":
                del there[row["resource_id"]]
    items = {item.uid: item for item in published.all_items(tx, user.id) if item.kind == "icloud"}
    assert there.keys() == items.keys()
    assert {key: slot["title"] for key, slot in there.items()} == {i.uid: ical.summary(i.ics) for i in items.values()}
