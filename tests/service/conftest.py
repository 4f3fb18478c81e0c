"""A bridge over a real store and a server in memory."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest

from bridge.domain.model import AppointmentFields, Titles
from bridge.remote.base import Home
from bridge.remote.memory import ROOT, MemoryRemote, MemoryServer
from bridge.service import book, connect, roles, users
from bridge.service.book import AppointmentChange, NewAppointment
from bridge.service.context import Context
from bridge.store import published
from bridge.store.db import Db

from .receivers import posting, receiver
from .told import assert_told

#: A Monday, 08:00 UTC.
NOW = 1_804_492_800


class OpenVault:
    """Seals nothing: what the vault does is tested with the vault."""

    def seal(self, secret, *, account_id):
        return secret.encode()

    def open(self, sealed, *, account_id):
        return sealed.decode()


class QuickDb(Db):
    """A store that survives the death of its process, but not of its machine: tests have no power failures."""

    def _connect(self, mode):
        connection = super()._connect(mode)
        connection.execute("PRAGMA synchronous = OFF")
        return connection


@dataclass
class MemoryRemotes:
    server: MemoryServer
    #: How the server is seen: tests put one in here that answers oddly.
    remote: type[MemoryRemote] = MemoryRemote

    def for_login(self, provider, username, password):
        return self.remote(self.server, username, password)

    def for_account(self, account):
        return self.remote(self.server, account.username, account.secret.decode())

    async def forget(self, account_id):
        pass

    async def close(self):
        pass

    def clean_password(self, provider, text):
        return text

    def is_app_specific(self, provider, password):
        return True

    def poll_seconds(self, provider):
        return 60


@dataclass
class World:
    """Everything a scenario needs."""

    context: Context
    server: MemoryServer
    urls: dict[str, str]
    clock: list[int]
    booking_calendar_id: str = ""
    account_id: str = ""
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def db(self):
        return self.context.db

    def now(self):
        return self.clock[0]

    def later(self, seconds):
        self.clock[0] += seconds

    def next_poll(self):
        """When the next account is due to be read."""
        with self.db.read() as tx:
            return tx.execute("SELECT MIN(next_poll_at) FROM accounts").fetchone()[0]

    def merged(self):
        """What the merged calendar serves: href to PublishedItem."""
        with self.db.read() as tx:
            return {
                item.href: item
                for item in published.get(
                    tx, "ada", [row[0] for row in tx.execute("SELECT href FROM published_items").fetchall()]
                )
            }

    def new(self, **changes):
        fields = {
            "title": "Intro call",
            "start": NOW + 86_400,
            "end": NOW + 86_400 + 1800,
            "time_zone": "Europe/Berlin",
            "all_day": False,
            "description": "",
            "address": "",
            "rrule": None,
            "status": "confirmed",
            "invitee": None,
        }
        fields |= {k: v for k, v in changes.items() if k in fields}
        rest = {k: v for k, v in changes.items() if k not in fields}
        return NewAppointment(
            **{
                "location_id": "loc",
                "booking_calendar_id": self.booking_calendar_id,
                "user_id": None,
                "contact_id": None,
                "external_id": None,
                "utc_offset": 3600,
                "extra": {},
                "check_slot": True,
                **rest,
            },
            fields=AppointmentFields(**fields),
        )

    def make(self, **changes):
        """A new appointment, as in `new`, whatever else is at that time."""
        return book.create_appointment(self.db, self.new(check_slot=False, **changes), now=self.now()).appointment

    def change(self, made, **fields):
        """The CRM changes an appointment, whatever else is at that time."""
        return book.update_appointment(
            self.db,
            made.id,
            AppointmentChange(fields=fields),
            locations=None,
            expected_version=None,
            check_slot=False,
            now=self.now(),
        )

    def cancel(self, made):
        """The CRM deletes an appointment."""
        book.delete_event(self.db, made.id, locations=None, expected_version=None, now=self.now())

    def stored(self, made):
        """An appointment as it is now."""
        return book.get_appointment(self.db, made.id, locations=None)


def event(uid, *, start="20270308T100000", end="20270308T110000", title="Dentist", extra=""):
    """One event in Berlin time; the week of NOW."""
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//phone//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20270301T000000Z\r\nDTSTART;TZID=Europe/Berlin:{start}\r\n"
        f"DTEND;TZID=Europe/Berlin:{end}\r\nSUMMARY:{title}\r\n{extra}END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


@pytest.fixture
async def world(tmp_path):
    """Ada, with Home as Primary, Work as conflict calendar, and one that is not chosen."""
    made = await make_world(tmp_path / "bridge.db", MemoryServer())
    yield made
    assert_told(made.db)


@pytest.fixture
async def hook():
    """A receiver of webhooks."""
    async with receiver() as made:
        yield made


@pytest.fixture
async def post():
    """What posts to it."""
    async with posting() as made:
        yield made


async def make_world(path, server):
    clock = [NOW]
    context = Context(
        db=QuickDb(path),
        vault=OpenVault(),
        remotes=MemoryRemotes(server),
        clock=lambda: clock[0],
        default_titles=Titles.BUSY,
        wake_push=lambda: None,
    )
    urls = {name: server.add_calendar(name) for name in ("Home", "Work", "Hobby")}
    _, calendar = users.add_user(
        context.db, id="ada", location_id="loc", name="Ada", time_zone="Europe/Berlin", now=NOW
    )
    account = await connect.connect(context, "ada", "icloud", server.username, server.password)
    made = World(context, server, urls, clock, booking_calendar_id=calendar.id, account_id=account.id)
    made.ids = {calendar.name: calendar.id for calendar in roles.list_calendars(context.db, "ada")}
    await roles.choose(context, "ada", primary=made.ids["Home"], conflicts=[made.ids["Work"]])
    return made


def move_partition(world, refusal):
    """The account moves to another partition and path; the old home answers with `refusal`. Returns the new home."""
    old, new = f"{ROOT}home/", "https://p99.example/1234/calendars/"
    for url in list(world.server.calendars):
        moved = world.server.calendars.pop(url)
        moved.objects = {h.replace("/home/", "/1234/calendars/"): o for h, o in moved.objects.items()}
        moved.log = {h.replace("/home/", "/1234/calendars/"): r for h, r in moved.log.items()}
        moved.revision += 1
        moved.oldest_token = moved.revision
        world.server.calendars[url.replace(old, new)] = moved

    async def calendars(self, home_url):
        if home_url == old:
            raise refusal
        return await MemoryRemote.calendars(self, old)

    async def discover(self):
        return Home(new, frozenset(), await MemoryRemote.calendars(self, old))

    world.context.remotes.remote = type("Moved", (MemoryRemote,), {"calendars": calendars, "discover": discover})
    return new


names = (f"event-{number}.ics" for number in itertools.count())
