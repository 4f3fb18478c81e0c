"""Making Users, Accounts and Calendars as the settings file declares them, in one transaction.

Before that, every login that the store does not have yet is tried at its server, and the plan is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.domain import declared as decide
from bridge.domain.declared import (
    Change,
    DeclaredAccount,
    DeclaredUser,
    KnownAccount,
    KnownCalendar,
    KnownUser,
    Plan,
    What,
)
from bridge.domain.model import Account, Role, SlotSettings, TwoWay
from bridge.errors import AccountNotConnected, SecretUnreadable
from bridge.remote.base import Home
from bridge.service import calendars, connect, roles, users
from bridge.service.connect import Login
from bridge.service.context import Context
from bridge.service.publish import Prepared
from bridge.service.roles import KEEP
from bridge.store import accounts, audit, declared
from bridge.store import users as stored_users
from bridge.store.db import Tx

#: How many logins are tried at the same time.
PARALLEL = 20

#: A User's id, and the login of one of their Accounts.
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Declaration:
    """The Users that a settings file declares, and the path of the file."""

    users: tuple[DeclaredUser, ...]
    path: str
    #: The two-way setting of new Users.
    two_way: TwoWay


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what the servers answered while it was made."""

    plan: Plan
    homes: Mapping[Key, Home]
    #: The Accounts whose login does not work, and why.
    failed: tuple[tuple[DeclaredAccount, AccountNotConnected], ...]

    @property
    def possible(self) -> bool:
        """Whether the plan can be carried out."""
        return not self.failed and not self.plan.problems


async def plan(
    context: Context, declaration: Declaration, *, trying: Callable[[int], None] = lambda _logins: None
) -> Planned:
    """Plan what `carry_out` will do. This asks servers, and writes nothing.

    `trying` is called with the number of logins before they are tried, if there are any.
    """
    with context.db.read() as tx:
        wanted = _logins_to_try(declaration, _known(tx, context, declaration, {}))
    if wanted:
        trying(len(wanted))
    room = asyncio.Semaphore(PARALLEL)

    async def look(account: DeclaredAccount) -> Home | AccountNotConnected:
        try:
            password = context.remotes.clean_password(account.provider, account.password)
            async with room:
                return await connect.check(context.remotes, account.provider, account.username, password)
        except AccountNotConnected as error:
            return error

    found = dict(zip(wanted, await asyncio.gather(*map(look, wanted.values())), strict=True))
    homes = {key: home for key, home in found.items() if isinstance(home, Home)}
    failed = [(wanted[key], error) for key, error in found.items() if isinstance(error, AccountNotConnected)]
    with context.db.read() as tx:
        return Planned(_plan(tx, context, declaration, homes), homes, tuple(failed))


async def carry_out(context: Context, declaration: Declaration, planned: Planned, *, actor: str) -> bool:
    """Carry out a plan. False, and nothing is done, if the store has changed since: plan again then."""
    # In a thread: hundreds of users, or thousands of events, take seconds.
    done = await asyncio.to_thread(_carry_out, context, declaration, planned, actor=actor)
    if done:
        with context.db.read() as tx:
            known = [accounts.find(tx, *key) for key in planned.homes]
        for account in known:
            if account is not None:
                await context.remotes.forget(account.id)
        context.wake_push()
    return done


def _carry_out(context: Context, declaration: Declaration, planned: Planned, *, actor: str) -> bool:
    prepared = {user.id: _prepared(context, user) for user in declaration.users}
    now = context.clock()
    with context.db.write() as tx:
        if _plan(tx, context, declaration, planned.homes) != planned.plan:
            return False
        for user in declaration.users:
            changes = [c for c in planned.plan.changes if c.user_id == user.id and c.action in {"add", "set"}]
            if changes:
                _put_user(tx, user, declaration.two_way, now=now)
                _put_accounts(tx, context, user, planned.homes)
                _put_calendars(tx, context, user, {change.what for change in changes}, prepared[user.id], now=now)
        settings = set()
        for user in declaration.users:
            settings |= decide.settings_of(user, decide.by_login(_known_user(tx, context, user.id, user, {})))
        declared.replace(tx, settings, declaration.path)
        for change in planned.plan.changes:
            audit.record(tx, actor, _audited(change), change.user_id, now=now)
    return True


def _audited(change: Change) -> str:
    match change.action:
        case "add":
            return f"{change.what} added, by the settings file"
        case "set":
            return f"{change.field} set, by the settings file"
        case "fix":
            return f"{change.what} fixed, by the settings file"
        case _:
            return f"{change.what} no longer fixed by the settings file"


# --- What is known ----------------------------------------------------------------------------------------------------


def _plan(tx: Tx, context: Context, declaration: Declaration, homes: Mapping[Key, Home]) -> Plan:
    return decide.plan(declaration.users, _known(tx, context, declaration, homes), declared.settings(tx))


def _known(tx: Tx, context: Context, declaration: Declaration, homes: Mapping[Key, Home]) -> dict[str, KnownUser]:
    wanted: dict[str, DeclaredUser | None] = {setting.user_id: None for setting in declared.settings(tx)}
    wanted |= {user.id: user for user in declaration.users}
    return {user_id: _known_user(tx, context, user_id, user, homes) for user_id, user in wanted.items()}


def _known_user(
    tx: Tx, context: Context, user_id: str, user: DeclaredUser | None, homes: Mapping[Key, Home]
) -> KnownUser:
    said = {account.login: account for account in user.accounts} if user else {}
    found: dict[tuple[str, str], KnownAccount] = {}
    for account in accounts.all_of(tx, user_id):
        login = (account.provider, account.username)
        found[login] = KnownAccount(
            id=account.id,
            provider=account.provider,
            username=account.username,
            same_password=login not in said or _has_password(context, account, said[login].password),
            calendars=_calendars(tx, context, account, homes.get((user_id, *login))),
        )
    for login in said:
        if login not in found:
            home = homes.get((user_id, *login))
            listed = _calendars(tx, context, None, home) if home else ()
            found[login] = KnownAccount(None, *login, same_password=False, calendars=listed, listed=home is not None)
    return KnownUser(stored_users.get(tx, user_id), stored_users.two_way(tx, user_id), tuple(found.values()))


def _calendars(tx: Tx, context: Context, account: Account | None, home: Home | None) -> tuple[KnownCalendar, ...]:
    """An Account's Calendars: as its server has just listed them, if it has; otherwise those in the store."""
    stored = accounts.calendars(tx, account_id=account.id) if account else []
    if home is None:
        return tuple(KnownCalendar(c.id, c.url, c.name, c.writable, c.role, c.settings) for c in stored if c.present)
    ours = calendars.match(stored, home.calendars)
    known = []
    for found in home.calendars:
        old = ours.get(found.url)
        role, settings = (old.role, old.settings) if old else (Role.NONE, SlotSettings(titles=context.default_titles))
        known.append(KnownCalendar(old.id if old else None, found.url, found.name, found.writable, role, settings))
    return tuple(known)


def _has_password(context: Context, account: Account, password: str) -> bool:
    try:
        wanted = context.remotes.clean_password(account.provider, password)
        return context.vault.open(account.secret, account_id=account.id) == wanted
    except (SecretUnreadable, AccountNotConnected):
        return False


def _logins_to_try(declaration: Declaration, known: Mapping[str, KnownUser]) -> dict[Key, DeclaredAccount]:
    """The logins that are new, have another password, or for which the file names a calendar that is not known yet."""
    wanted = {}
    for user in declaration.users:
        ours = decide.by_login(known[user.id])
        for account in user.accounts:
            there = ours[account.login]
            unseen = any(not decide.find(there.calendars, name) for _, name in account.calendars())
            if there.id is None or not there.same_password or unseen:
                wanted[user.id, *account.login] = account
    return wanted


# --- Making it so -----------------------------------------------------------------------------------------------------


def _put_user(tx: Tx, user: DeclaredUser, two_way: TwoWay, *, now: int) -> None:
    before = stored_users.get(tx, user.id)
    if before is None:
        users.enrol(
            tx,
            id=user.id,
            location_id=user.location_id,
            name=user.name,
            time_zone=user.time_zone,
            two_way=user.two_way or two_way,
            now=now,
        )
        return
    after = replace(before, name=user.name, time_zone=user.time_zone)
    if after != before:
        users.alter(tx, before, after, now=now)
    if user.two_way is not None:
        stored_users.set_two_way(tx, user.id, user.two_way)


def _put_accounts(tx: Tx, context: Context, user: DeclaredUser, homes: Mapping[Key, Home]) -> None:
    known = decide.by_login(_known_user(tx, context, user.id, user, homes))
    for account in user.accounts:
        home, there = homes.get((user.id, *account.login)), known[account.login]
        if home is None:
            continue
        stored = accounts.get(tx, there.id) if there.id is not None else None
        if stored is not None and there.same_password:
            calendars.merge(tx, stored, home.calendars, titles=context.default_titles)
        else:
            password = context.remotes.clean_password(account.provider, account.password)
            connect.keep(tx, context, user.id, Login(account.provider, account.username, password), home)


def _put_calendars(
    tx: Tx, context: Context, user: DeclaredUser, what: Collection[What], prepared: Mapping[str, Prepared], *, now: int
) -> None:
    known = decide.by_login(_known_user(tx, context, user.id, user, {}))
    if What.SLOTS in what:
        for calendar_id, settings in _declared_settings(user, known):
            roles.put_settings(tx, user.id, calendar_id, settings, prepared.get(calendar_id, {}), now=now)
    if What.PRIMARY in what or What.CONFLICTS in what:
        primary = decide.chosen_primary(user, known)
        said = {account.login: account for account in user.accounts if account.conflicts is not None}
        conflicts: list[str | None] = []
        for login, account in known.items():
            if login in said:
                conflicts += [one.id for one in decide.chosen_conflicts(said[login], account)]
            else:
                # From the store: a Calendar that no longer exists upstream keeps its role until the User removes it.
                stored = accounts.calendars(tx, account_id=account.id or "", roles=[Role.CONFLICT])
                conflicts += [one.id for one in stored]
        chosen: Sequence[str] = [calendar_id for calendar_id in conflicts if calendar_id is not None]
        roles.assign(
            tx,
            user.id,
            KEEP if primary is None or primary.id is None else primary.id,
            chosen,
            roles.Appointments.MOVE,
            now=now,
        )
        for one in accounts.all_of(tx, user.id):
            accounts.schedule(tx, one.id, next_poll_at=now, failures=0)


def _declared_settings(
    user: DeclaredUser, known: Mapping[tuple[str, str], KnownAccount]
) -> list[tuple[str, SlotSettings]]:
    """The Calendars in the store whose settings differ from the declared ones."""
    return [
        (calendar.id, settings)
        for account in user.accounts
        for name, settings in account.slots.items()
        for calendar in decide.find(known[account.login].calendars, name)[:1]
        if calendar.id is not None and calendar.settings != settings
    ]


def _prepared(context: Context, user: DeclaredUser) -> dict[str, Prepared]:
    """The blocked slots of Calendars that get other settings, rendered before the transaction."""
    now = context.clock()
    with context.db.read() as tx:
        known = decide.by_login(_known_user(tx, context, user.id, user, {}))
        return {
            calendar_id: roles.prepare_settings(tx, user.id, calendar_id, settings, now=now)
            for calendar_id, settings in _declared_settings(user, known)
        }
