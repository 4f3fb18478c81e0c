"""A bridge over a real store and a real CalDAV server."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.domain.model import Titles
from bridge.remote.caldav_remote import CaldavRemote
from bridge.remote.policy import ProviderPolicy
from bridge.service import connect, roles, users
from bridge.service.context import Context

from .conftest import NOW, MemoryRemotes, OpenVault, QuickDb, World


@dataclass
class RealRemotes(MemoryRemotes):
    """Connections to a real server."""

    open: dict = field(default_factory=dict)

    def for_login(self, provider, username, password):
        policy = ProviderPolicy("test", self.server.url, requests_per_minute=100_000, timeout=10)
        return CaldavRemote(policy, username, password)

    def for_account(self, account):
        key = (account.id, account.secret)
        if key not in self.open:
            self.open[key] = self.for_login(account.provider, account.username, account.secret.decode())
        return self.open[key]

    async def close(self):
        for remote in self.open.values():
            await remote.close()


@dataclass
class RealWorld(World):
    """A scenario at a real server. What a `person` does is no request of the bridge's."""

    person: object = None


async def make_real_world(path, server, username="anna@example.com"):
    """Ada's bridge with the calendars of a new person at the server: Home as Primary, Work checked for conflicts."""
    person = server.login(username)
    urls = {name: person.make_calendar(name) for name in ("Home", "Work", "Hobby")}
    clock = [NOW]
    context = Context(
        db=QuickDb(path),
        vault=OpenVault(),
        remotes=RealRemotes(server),
        clock=lambda: clock[0],
        default_titles=Titles.BUSY,
        wake_push=lambda: None,
    )
    _, calendar = users.add_user(
        context.db, id="ada", location_id="loc", name="Ada", time_zone="Europe/Berlin", now=NOW
    )
    account = await connect.connect(context, "ada", "icloud", person.username, person.password)
    world = RealWorld(context, server, urls, clock, booking_calendar_id=calendar.id, account_id=account.id)
    world.person = person
    world.ids = {calendar.name: calendar.id for calendar in roles.list_calendars(context.db, "ada")}
    await roles.choose(context, "ada", primary=world.ids["Home"], conflicts=[world.ids["Work"]])
    return world
