"""What must hold when all is quiet: both sides equal, nothing lost, nothing twice."""

from __future__ import annotations

import re

from bridge.domain import ical
from bridge.domain.model import Interval, OutboxState, Role, SlotSettings
from bridge.domain.publish import href_prefix
from bridge.errors import RemoteError
from bridge.service import mirror, push
from bridge.store import accounts, appointments, occurrences, outbox, published
from bridge.store import mirror as mirror_store

SUMMARY = re.compile(r"^SUMMARY:(.*?)\r?$", re.M)
UID = re.compile(r"^UID:(.*?)\r?$", re.M)
EVER = Interval(0, 2**33)
#: 2026 to 2030.
YEARS = Interval(1_767_225_600, 1_893_456_000)


async def run_to_quiescence(world, rounds=12):
    """Mirror and push until nothing is left to do."""
    for _ in range(rounds):
        with world.db.read() as tx:
            connected = [account.id for account in accounts.all_of(tx)]
        for account_id in connected:
            try:
                await mirror.mirror_account(world.context, account_id)
            except RemoteError:
                continue
        await push.push_due(world.context)
        world.later(4000)


def times_of(text):
    """When an event takes place: (start, end) of each time that was not cancelled."""
    slot = ical.blocked_slot(
        text, uid="x", settings=SlotSettings(), time_zone="Europe/Berlin", addresses=frozenset(), horizon=YEARS
    )
    return frozenset() if slot is None else frozenset((o.start, o.end) for o in slot.occurrences)


def assert_all_time_is_blocked_once(world):
    """Whatever the person and the CRM made of each other's changes: what stands in a calendar that is read takes time.

    And an appointment's own event does so no second time, except where it is at another time than the appointment.
    """
    with world.db.read() as tx:
        read = [c for c in accounts.calendars(tx, user_id="ada") if c.role != Role.NONE]
        booked = {a.uid: a for a in appointments.of_user(tx, "ada") if a.wanted_upstream}
        busy = occurrences.busy(tx, "ada", EVER)
        shown = {uid: len(published.hrefs_with_prefix(tx, "ada", href_prefix(uid))) for uid in booked}
    elsewhere = {uid: set() for uid in booked}
    for calendar in read:
        for text in world.server.texts(calendar.url).values():
            assert times_of(text) <= {(b.start, b.end) for b in busy}, text
            if (uid := UID.search(text)[1]) in booked:
                elsewhere[uid].add(times_of(text))
    for uid, one in booked.items():
        own = frozenset((b.start, b.end) for b in busy if b.href == f"{one.id}.ics")
        assert one.fields.rrule is not None or own == {(one.fields.start, one.fields.end)}
        assert shown[uid] == len(elsewhere[uid] - {own})


def assert_agreement(world):
    """Both sides say the same; the merged calendar is their union."""
    assert_all_time_is_blocked_once(world)
    with world.db.read() as tx:
        calendars = accounts.calendars(tx, user_id="ada")
        wanted = {a.uid: a for a in appointments.of_user(tx, "ada") if a.wanted_upstream}
        waiting = outbox.of_user(tx, "ada", states=(OutboxState.READY, OutboxState.LEASED))
        dead = outbox.of_user(tx, "ada", states=(OutboxState.DEAD,))
        held = {c.id: mirror_store.etags(tx, c.id) for c in calendars}
    assert waiting == []
    assert dead == []
    assert all(c.last_error is None for c in calendars), [c.last_error for c in calendars]
    upstream = []
    foreign = 0
    for calendar in calendars:
        objects = world.server.calendars[calendar.url].objects
        if calendar.role == Role.NONE:
            assert held[calendar.id] == {}
        else:
            assert held[calendar.id] == {href: etag for href, (etag, _) in objects.items()}
        for _, text in objects.values():
            uid = UID.search(text)[1]
            if uid.startswith("apt_"):
                assert uid in wanted, text
                said = ical.upstream_fields(text, like=wanted[uid].fields)
                upstream.append((calendar.role, uid, said.title, said.start))
            elif calendar.role != Role.NONE:
                foreign += 1
    assert sorted(upstream) == sorted((Role.PRIMARY, a.uid, a.fields.title, a.fields.start) for a in wanted.values())
    merged = world.merged()
    assert {href for href in merged if href.startswith("apt_")} == {f"{a.id}.ics" for a in wanted.values()}
    assert len([href for href in merged if href.startswith("ics_")]) == foreign
    slots = {href for href in merged if href.startswith("blk_")}
    assert len(merged) == len(wanted) + foreign + len(slots)
    for calendar in calendars:
        for text in world.server.texts(calendar.url).values():
            assert "blk_" not in text
            assert "CRM slot" not in text
