"""Connecting an Account, which tries its login before anything is stored; and disconnecting it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

from bridge.domain.changes import ChangeOrigin
from bridge.domain.declared import What
from bridge.domain.model import Account, AccountState, SyncState
from bridge.errors import (
    AccountNotConnected,
    BadAnswer,
    CredentialsWithheld,
    Forbidden,
    NotFound,
    RemoteError,
    Throttled,
    Unauthorized,
    Unknown,
    Unreachable,
)
from bridge.remote.base import Home
from bridge.service import book, calendars, changes, publish
from bridge.service.context import Context, Remotes
from bridge.service.fixed import refuse_if_fixed
from bridge.store import accounts, appointments, mirror, outbox, users
from bridge.store.db import Db, Tx


async def connect(context: Context, user_id: str, provider: str, username: str, password: str) -> Account:
    """Connect an Account, or give a connected one its new password, which keeps everything that it has.

    Raises `Unknown` for the User, `AccountNotConnected` with a reason that says what to do, and `SetByAdministrator`.
    """
    username = username.strip()
    with context.db.read() as tx:
        _refuse(tx, user_id, provider, username)
    password = context.remotes.clean_password(provider, password)
    home = await check(context.remotes, provider, username, password)
    with context.db.write() as tx:
        _refuse(tx, user_id, provider, username)
        account = keep(tx, context, user_id, Login(provider, username, password), home)
    await context.remotes.forget(account.id)
    context.wake_push()
    return account


def _refuse(tx: Tx, user_id: str, provider: str, username: str) -> None:
    if users.get(tx, user_id) is None:
        raise Unknown("user", user_id)
    known = accounts.find(tx, user_id, provider, username)
    if known is not None:
        refuse_if_fixed(tx, What.ACCOUNT, known.id)


@dataclass(frozen=True, slots=True)
class Login:
    """The login of an Account, with the password in the form that its provider wants."""

    provider: str
    username: str
    password: str = field(repr=False)


def keep(tx: Tx, context: Context, user_id: str, login: Login, home: Home) -> Account:
    """Store an Account whose login was tried successfully, in the caller's transaction."""
    now = context.clock()
    known = accounts.find(tx, user_id, login.provider, login.username)
    account_id = known.id if known else f"acc_{secrets.token_hex(8)}"
    account = Account(
        id=account_id,
        user_id=user_id,
        provider=login.provider,
        username=login.username,
        secret=context.vault.seal(login.password, account_id=account_id),
        home_url=home.url,
        state=AccountState.CONNECTED,
        state_reason="",
        state_since=now,
        addresses=home.addresses,
    )
    accounts.put(tx, account, now=now)
    if known is None or known.state != account.state:
        changes.connection(tx, account, was=known.state if known else None, now=now)
    calendars.merge(tx, account, home.calendars, titles=context.default_titles)
    calendars.adopt(tx, account, now=now)
    return account


async def check(remotes: Remotes, provider: str, username: str, password: str) -> Home:
    """Try a login and list its calendars, without storing anything. Raises `AccountNotConnected`."""
    remote = remotes.for_login(provider, username, password)
    try:
        home = await remote.discover()
    except RemoteError as error:
        reason = _reason(error)
        if reason == "bad_password" and not remotes.is_app_specific(provider, password):
            reason = "not_app_specific_password"
        raise AccountNotConnected(reason, provider, error.url, error.detail) from error
    finally:
        await remote.close()
    if not home.calendars:
        raise AccountNotConnected("no_calendars", provider, home.url)
    return home


def _reason(error: RemoteError) -> str:
    match error:
        case Unauthorized():
            return "bad_password"
        case Forbidden():
            return "forbidden"
        case Throttled():
            return "throttled"
        case CredentialsWithheld():
            return "wrong_host"
        case NotFound() | BadAnswer():
            return "not_caldav"
        case Unreachable():
            return error.why
        case _:
            return "server_error"


def list_accounts(db: Db, user_id: str | None = None) -> list[Account]:
    """The Accounts of one User, or of all."""
    with db.read() as tx:
        return accounts.all_of(tx, user_id)


async def disconnect(context: Context, user_id: str, account_id: str) -> None:
    """Remove an Account with its secret, its Calendars and their blocked slots.

    Appointments that were written there stay in the CRM and in the merged calendar, and their events stay in iCloud. If
    an account with these events is connected again, they are kept in step again; otherwise the upcoming ones are
    written to the next Primary calendar. Raises `Unknown`, `SetByAdministrator`.
    """
    now = context.clock()
    with context.db.write() as tx:
        account = accounts.get(tx, account_id)
        user = users.get(tx, user_id)
        if account is None or user is None or account.user_id != user_id:
            raise Unknown("account", account_id, user_id)
        refuse_if_fixed(tx, What.ACCOUNT, account_id)
        uids = set()
        outbox.bury_account(tx, account_id, error=_DISCONNECTED, now=now)
        for calendar in accounts.calendars(tx, account_id=account_id):
            uids |= mirror.uids_of_calendar(tx, calendar.id)
            for booked in appointments.of_calendar(tx, calendar.id):
                # The href of its event is kept, in case the account is connected again.
                after = replace(book.forget_event(tx, booked), calendar_id=None)
                if booked.sync_state == SyncState.PENDING:
                    after = replace(after, sync_state=SyncState.FAILED, sync_error=_DISCONNECTED)
                appointments.put(tx, after)
                changes.appointment(tx, booked, after, origin=ChangeOrigin.BRIDGE, now=now)
        changes.connection(tx, account, was=account.state, now=now, gone=True)
        accounts.remove(tx, account_id)
        delta = publish.Delta(user, now)
        delta.upstream(tx, sorted(uids))
        delta.apply(tx)
    context.db.wipe()
    await context.remotes.forget(account_id)


_DISCONNECTED = "The account was disconnected."
