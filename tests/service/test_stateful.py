"""Random edits on both sides, random faults, crashes and changes of set-up; in the end both sides are equal.

The model is simple: the set of events that the person has (by UID, with the calendar they are in), and the set of
appointments that the CRM has (by id), of which the person may have moved, renamed or deleted some. In half of the runs
the person also moves appointments between calendars, and the setting of what comes of changes is changed; then the two
sides need not be equal in the end, but all that stands in either takes time, once, and no appointment is cancelled that
nobody cancelled or deleted.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import re
from contextlib import suppress
from dataclasses import replace

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.domain.model import TwoWay
from bridge.errors import BadAnswer, BridgeError, Forbidden, ServerFault, Throttled, Unreachable
from bridge.remote.base import Changes
from bridge.remote.memory import MemoryRemote, MemoryServer
from bridge.service import book, connect, mirror, push, roles, users
from bridge.service.book import NewBlockedSlot
from bridge.store import accounts, appointments, outbox

from .agreement import SUMMARY, UID, assert_agreement, assert_all_time_is_blocked_once, run_to_quiescence
from .conftest import NOW, MemoryRemotes, QuickDb, event, make_world

NAMES = ("Home", "Work", "Hobby")
FAULTS = st.sampled_from(
    [Unreachable("u"), ServerFault("u"), BadAnswer("u"), Throttled("u", retry_after=1), Forbidden("u")]
)
METHODS = st.sampled_from(["PROPFIND", "REPORT", "GET", "PUT", "after-PUT", "DELETE", "after-DELETE"])
TITLES = st.sampled_from(["Alpha", "Beta", "Gamma"])
DAYS = st.integers(1, 25)
DAY_OF = re.compile(r"^(DT(?:START|END)[^:\n]*:)\d{8}", re.M)
#: Of a series: where it begins, and what a person made of single times.
SERIES = re.compile(r"^BEGIN:VEVENT.*?^DTSTART;TZID=Europe/Berlin:(\d{8}T\d{6}).*?^RRULE:", re.M | re.S)
SINGLY = re.compile(r"BEGIN:VEVENT\r\n(?:(?!END:VEVENT).)*RECURRENCE-ID.*?END:VEVENT\r\n", re.S)


class Crash(BaseException):
    """The process dies here."""


class FlakyRemote(MemoryRemote):
    """Drops parts of answers, when told to."""

    async def multiget(self, url, hrefs):
        found = await super().multiget(url, hrefs)
        return found[::2] if self._server.partial else found

    async def changes(self, url, token):
        if self._server.forgetful and token is not None:
            everything = await super().changes(url, None)
            return Changes(everything.changed, frozenset(), everything.sync_token, complete=False)
        return await super().changes(url, token)

    async def listing(self, url):
        full = await super().listing(url)
        return dict(list(full.items())[: len(full) // 2]) if self._server.partial else full


class FlakyServer(MemoryServer):
    partial = False
    forgetful = False


class Bridge(RuleBasedStateMachine):
    """Everything that can happen."""

    path = None
    runs = 0

    @initialize(wilful=st.booleans())
    def start(self, wilful):
        self.wilful = wilful
        type(self).runs += 1
        self.loop = asyncio.new_event_loop()
        self.server = FlakyServer()
        self.world = self.run(make_world(self.path / f"{self.runs}.db", self.server))
        self.world.context.remotes.remote = FlakyRemote
        self.count = 0
        self.events = {}  # uid -> calendar name
        self.by_hand = {}  # appointment id -> the title that a person gave its event, and nobody changed since
        self.doomed = set()  # ids of appointments that the CRM cancelled, or whose event a person deleted
        self.primaries = {"home"}

    def teardown(self):
        if hasattr(self, "loop"):
            try:
                self.settle()
            finally:
                self.world.db.close()
                self.loop.close()

    def run(self, work):
        return self.loop.run_until_complete(work)

    # --- The person ---

    @rule(name=st.sampled_from(NAMES), day=DAYS)
    def adds(self, name, day):
        self.count += 1
        uid = f"ev{self.count}"
        self.server.edit(self.world.urls[name], f"{uid}.ics", self.event(uid, day))
        self.events[uid] = name

    def event(self, uid, day):
        return event(uid, start=f"202703{day:02}T060000", end=f"202703{day:02}T070000")

    @rule(pick=st.randoms(use_true_random=False), day=DAYS)
    def edits(self, pick, day):
        if self.events:
            uid = pick.choice(sorted(self.events))
            self.server.edit(self.world.urls[self.events[uid]], f"{uid}.ics", self.event(uid, day))

    @rule(pick=st.randoms(use_true_random=False), name=st.sampled_from(NAMES))
    def moves(self, pick, name):
        if self.events:
            uid = pick.choice(sorted(self.events))
            if self.events[uid] != name:
                old = self.world.urls[self.events[uid]]
                text = next(t for h, t in self.server.texts(old).items() if h.endswith(f"/{uid}.ics"))
                self.server.edit(old, f"{uid}.ics", None)
                self.server.edit(self.world.urls[name], f"{uid}.ics", text)
                self.events[uid] = name

    @rule(pick=st.randoms(use_true_random=False))
    def deletes(self, pick):
        if self.events:
            uid = pick.choice(sorted(self.events))
            self.server.edit(self.world.urls[self.events.pop(uid)], f"{uid}.ics", None)

    def own_events(self):
        """The events of appointments, wherever they are: (calendar url, href, uid)."""
        found = [
            # The same in each run with the same steps, whatever the ids are.
            (url, re.sub(r"apt_\w+", "", text), href, UID.search(text)[1])
            for url in self.world.urls.values()
            for href, text in self.server.texts(url).items()
            if UID.search(text)[1].startswith("apt_")
        ]
        return [(url, href, uid) for url, _, href, uid in sorted(found)]

    @rule(pick=st.randoms(use_true_random=False), title=TITLES)
    def renames_an_appointment(self, pick, title):
        if own := self.own_events():
            url, href, uid = pick.choice(own)
            text = SUMMARY.sub(f"SUMMARY:{title} by hand\r", self.server.texts(url)[href])
            self.server.edit(url, href.rpartition("/")[2], text)
            with self.world.db.read() as tx:
                one = appointments.by_uid(tx, uid)
                if one is not None and one.deleted_at is None and not outbox.is_open(tx, one.id):
                    self.by_hand[one.id] = f"{title} by hand"

    @rule(pick=st.randoms(use_true_random=False))
    def deletes_an_appointment(self, pick):
        if own := self.own_events():
            url, href, uid = pick.choice(own)
            self.server.edit(url, href.rpartition("/")[2], None)
            self.doom(uid)

    def doom(self, uid):
        with self.world.db.read() as tx:
            one = appointments.by_uid(tx, uid)
        if one is not None:
            self.doomed |= {one.id, one.stands_in_for}

    @rule(pick=st.randoms(use_true_random=False), day=st.integers(9, 30))  # ahead: what is over moves no more
    def reschedules_an_appointment(self, pick, day):
        if own := self.own_events():
            url, href, _ = pick.choice(own)
            text = DAY_OF.sub(rf"\g<1>202703{day:02}", self.server.texts(url)[href])
            self.server.edit(url, href.rpartition("/")[2], text)

    @rule(pick=st.randoms(use_true_random=False), hours=st.integers(0, 5), cancelled=st.booleans())
    def changes_a_single_time(self, pick, hours, cancelled):
        """Of a series: its second time moves, or is put back, or taken out; what was made of others is forgotten."""
        own = [one for one in self.own_events() if SERIES.search(self.server.texts(one[0])[one[1]])]
        if not own:
            return
        url, href, uid = pick.choice(own)
        text = SINGLY.sub("", self.server.texts(url)[href])
        second = dt.datetime.fromisoformat(SERIES.search(text)[1]) + dt.timedelta(days=7)
        times = [second, second + dt.timedelta(hours=hours), second + dt.timedelta(hours=hours, minutes=30)]
        when = [
            f"{name};TZID=Europe/Berlin:{at:%Y%m%dT%H%M%S}\r\n"
            for name, at in zip(("RECURRENCE-ID", "DTSTART", "DTEND"), times, strict=True)
        ]
        title = SUMMARY.search(text)[1]
        status = "STATUS:CANCELLED\r\n" if cancelled else ""
        if hours or cancelled:
            moved = f"BEGIN:VEVENT\r\nUID:{uid}\r\n{''.join(when)}SUMMARY:{title}\r\n{status}END:VEVENT\r\n"
            text = text.replace("END:VCALENDAR", f"{moved}END:VCALENDAR")
        self.server.edit(url, href.rpartition("/")[2], text)

    @precondition(lambda self: self.wilful)
    @rule(pick=st.randoms(use_true_random=False), name=st.sampled_from(NAMES))
    def moves_an_appointment(self, pick, name):
        if own := self.own_events():
            url, href, _ = pick.choice(own)
            if url != self.world.urls[name]:
                text = self.server.texts(url)[href]
                self.server.edit(url, href.rpartition("/")[2], None)
                self.server.edit(self.world.urls[name], href.rpartition("/")[2], text)

    # --- The CRM ---

    @rule(title=TITLES, day=DAYS, rrule=st.sampled_from([None, "RRULE:FREQ=WEEKLY;COUNT=3"]))
    def books(self, title, day, rrule):
        start = NOW + day * 86_400
        with suppress(BridgeError):
            book.create_appointment(
                self.world.db,
                self.world.new(title=title, start=start, end=start + 1800, rrule=rrule, check_slot=False),
                now=self.world.now(),
            )

    def appointments(self):
        with self.world.db.read() as tx:
            found = appointments.of_user(tx, "ada")
        return sorted(found, key=lambda one: (one.created_at, one.version, str(one.fields), one.sync_state))

    @rule(pick=st.randoms(use_true_random=False), title=TITLES)
    def changes(self, pick, title):
        if known := self.appointments():
            self.change(pick.choice(known), {"title": title})

    @rule(pick=st.randoms(use_true_random=False), status=st.sampled_from(["cancelled", "confirmed"]))
    def changes_status(self, pick, status):
        if known := self.appointments():
            self.change(pick.choice(known), {"status": status})

    @precondition(lambda self: self.wilful)
    @rule(choice=st.sampled_from(TwoWay))
    def sets(self, choice):
        users.change_user(self.world.db, "ada", two_way=choice, now=self.world.now())

    def change(self, one, fields):
        if fields.get("status") == "cancelled":
            self.doomed.add(one.id)
        self.by_hand.pop(one.id, None)
        with suppress(BridgeError):
            self.world.change(one, **fields)

    @rule(pick=st.randoms(use_true_random=False))
    def cancels(self, pick):
        if known := self.appointments():
            one = pick.choice(known)
            self.doomed.add(one.id)
            book.delete_event(self.world.db, one.id, locations=None, expected_version=None, now=self.world.now())

    @rule(day=DAYS)
    def blocks(self, day):
        book.create_blocked_slot(
            self.world.db,
            NewBlockedSlot(
                location_id="loc",
                user_id="ada",
                booking_calendar_id=None,
                title="CRM slot",
                start=NOW + day * 86_400,
                end=NOW + day * 86_400 + 600,
                time_zone=None,
                utc_offset=0,
                expires_at=None,
            ),
            now=self.world.now(),
        )

    # --- Set-up ---

    @rule(primary=st.sampled_from(NAMES), conflicts=st.sets(st.sampled_from(NAMES)), leave=st.booleans())
    def chooses(self, primary, conflicts, leave):
        ids = {c.name: c.id for c in roles.list_calendars(self.world.db, "ada")}
        if ids:
            self.primaries.add(primary.lower())
            self.try_to(
                roles.choose(
                    self.world.context,
                    "ada",
                    primary=ids[primary],
                    conflicts=[ids[name] for name in sorted(conflicts)],
                    appointments=roles.Appointments.LEAVE if leave and self.wilful else roles.Appointments.MOVE,
                )
            )

    @rule()
    def password_revoked(self):
        self.server.password = "another"

    @rule()
    def password_renewed(self):
        self.try_to(connect.connect(self.world.context, "ada", "icloud", self.server.username, self.server.password))

    # --- Faults ---

    @rule(method=METHODS, error=FAULTS, times=st.integers(1, 3))
    def fails(self, method, error, times):
        left = [times]

        def on_call(called):
            if called == method and left[0] > 0:
                left[0] -= 1
                raise error

        self.server.on_call = on_call

    @rule(at=st.integers(0, 12))
    def crashes(self, at):
        left = [at]

        def on_call(called):
            left[0] -= 1
            if left[0] < 0:
                raise Crash

        self.server.on_call = on_call
        try:
            self.run(self.work())
        except (Crash, BaseExceptionGroup):
            self.reopen()
        self.server.on_call = lambda _: None

    def reopen(self):
        self.world.db.close()
        db = QuickDb(self.world.db.path)
        with db.write() as tx:
            outbox.release_leases(tx, now=self.world.now())
        remotes = MemoryRemotes(self.server, FlakyRemote)
        self.world = replace(self.world, context=replace(self.world.context, db=db, remotes=remotes))

    @rule()
    def tokens_forgotten(self):
        self.server.forget_tokens()

    @rule(partial=st.booleans(), forgetful=st.booleans())
    def answers_oddly(self, partial, forgetful):
        self.server.partial, self.server.forgetful = partial, forgetful

    # --- The bridge at work ---

    async def work(self):
        with self.world.db.read() as tx:
            connected = accounts.all_of(tx, "ada")
        for account in connected:
            with suppress(BridgeError):
                await mirror.mirror_account(self.world.context, account.id)
        await push.push_due(self.world.context)

    def try_to(self, work):
        with suppress(BridgeError):
            self.run(work)

    @rule(seconds=st.sampled_from([1, 40, 400]))
    def works(self, seconds):
        self.world.later(seconds)
        self.run(self.work())

    @rule()
    def mirrors(self):
        with self.world.db.read() as tx:
            connected = accounts.all_of(tx, "ada")
        for account in connected:
            self.try_to(mirror.mirror_account(self.world.context, account.id))

    @rule()
    def pushes(self):
        self.run(push.push_due(self.world.context))

    # --- What must hold ---

    def settle(self):
        """Faults off; the person gives a new password; the bridge runs until it is quiet."""
        self.server.on_call = lambda _: None
        self.server.partial = self.server.forgetful = False
        self.run(connect.connect(self.world.context, "ada", "icloud", self.server.username, self.server.password))
        self.run(run_to_quiescence(self.world, rounds=5))
        for one in self.appointments():
            push.retry(self.world.context, one.id)
        self.run(run_to_quiescence(self.world, rounds=3))
        if self.wilful:
            assert_all_time_is_blocked_once(self.world)
        else:
            assert_agreement(self.world)
            self.assert_titles()
        assert [one.id for one in self.appointments() if not one.wanted_upstream and one.id not in self.doomed] == []
        assert {href.split("/")[2] for _, href in self.server.writes} <= self.primaries
        # The person's events are where the person put them, and each as it is.
        for uid, name in self.events.items():
            assert any(h.endswith(f"/{uid}.ics") for h in self.server.texts(self.world.urls[name]))

    def assert_titles(self):
        titles = {one.id: one.fields.title for one in self.appointments() if one.wanted_upstream}
        for one, title in self.by_hand.items():
            assert titles.get(one, title) == title


def test_whatever_happens_both_sides_end_equal(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    Bridge.path = tmp_path
    Bridge.runs = 0
    run_state_machine_as_test(
        Bridge,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
            database=None,
            print_blob=False,
        ),
    )
