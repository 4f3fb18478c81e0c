"""Mirror: reading the changes in an Account's calendars, and publishing them as blocked slots.

Read, talk, write: nothing is asked of the network inside a transaction. Nothing is believed gone until that is
verified, and a run that could not read everything advances no token.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence

from bridge.domain import plan, trouble
from bridge.domain.model import Account, AccountState, Calendar, ListTrust, MirrorItem, Role, User
from bridge.errors import (
    AccountNotConnected,
    BridgeError,
    Forbidden,
    NotFound,
    RemoteError,
    SecretUnreadable,
    Throttled,
    Unauthorized,
    Unknown,
)
from bridge.remote.base import Remote, RemoteCalendar
from bridge.service import calendars, changes, follow
from bridge.service.context import Context
from bridge.service.mirror_run import CalendarMirror, CalendarRun, uid_of
from bridge.store import accounts, mirror, users

log = logging.getLogger(__name__)

__all__ = ["ACCOUNT_TROUBLE", "CalendarRun", "find", "mirror_account", "poll", "poll_anew"]

#: The errors that concern an Account as a whole.
ACCOUNT_TROUBLE = (RemoteError, SecretUnreadable, AccountNotConnected)


def poll(context: Context, account_id: str) -> asyncio.Task[list[CalendarRun]]:
    """The running `mirror_account` of an Account, or a new one. All callers in this process share it.

    It goes on if nobody waits for it any more.
    """
    task = context.polls.get(account_id)
    if task is None:
        task = context.polls[account_id] = asyncio.create_task(mirror_account(context, account_id))
        task.add_done_callback(lambda ended: _ended(context, account_id, ended))
    return task


async def poll_anew(context: Context, account_id: str) -> list[CalendarRun]:
    """As `poll`, but never a run that began before this call."""
    if (under_way := context.polls.get(account_id)) is not None:
        await asyncio.wait([under_way])
    return await asyncio.shield(poll(context, account_id))


def _ended(context: Context, account_id: str, task: asyncio.Task[list[CalendarRun]]) -> None:
    context.polls.pop(account_id)
    # Expected errors are in the Account's state. For others, this is the outermost frame if nobody waits any more.
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, BridgeError):
        log.error("account %s: mirror failed unexpectedly", account_id, exc_info=error)


async def mirror_account(context: Context, account_id: str, *, dry_run: bool = False) -> list[CalendarRun]:
    """Bring an Account's Primary and conflict calendars up to date.

    When nothing changed this is one request. Raises `Unknown`; what is in `ACCOUNT_TROUBLE` when the account as a whole
    could not be asked (its state is noted first; `AccountNotConnected`: the settings no longer name its provider).
    Trouble with one calendar is in its run, and does not keep the others from theirs.
    """
    account, user = _account_of(context, account_id)
    # Changes by people from this instant on may be missed by this run, however long it takes.
    asked_at = context.clock()
    try:
        remote = context.remotes.for_account(account)
        home_url, listed = await _look(remote, account)
    except ACCOUNT_TROUBLE as error:
        if not dry_run:
            _note_failure(context, account, error)
        raise
    read = _take_over(context, account, home_url, listed, dry_run=dry_run)
    by_key = {calendars.calendar_key(found.url): found for found in listed}
    unchanged: list[Calendar] = []
    runs: list[CalendarMirror] = []
    throttled: RemoteError | None = None
    for calendar in read:
        found = by_key.get(calendars.calendar_key(calendar.url))
        with context.db.read() as tx:
            ahead = mirror.ahead(tx, calendar.id)
        # Of what is ahead, the list proves nothing: without it, the calendar may be again what it was.
        if (
            found is not None
            and not ahead
            and plan.says_unchanged(
                calendar, ctag=found.ctag, listed_token=found.sync_token, trust=account.list_trust, now=context.clock()
            )
        ):
            unchanged.append(calendar)
            continue
        run = CalendarMirror(context, remote, account, user, calendar, dry_run=dry_run)
        runs.append(run)
        if throttled is None:
            await run.read(found)
            throttled = run.trouble if isinstance(run.trouble, Throttled) else None
        else:
            run.trouble = throttled  # further requests would only prolong it
    if not dry_run:
        await _find_moved(context, remote, account, runs)
    done = [run.finish() for run in runs]
    if not dry_run:
        trust = await _judge_list(remote, account, runs)
        held = any(run.held for run in done)
        _note_success(context, account, unchanged, trust, throttled, held=held, asked_at=asked_at)
    return [*(CalendarRun(calendar.id, calendar.name) for calendar in unchanged), *done]


def _account_of(context: Context, account_id: str) -> tuple[Account, User]:
    with context.db.read() as tx:
        account = accounts.get(tx, account_id)
        user = users.get(tx, account.user_id) if account is not None else None
    if account is None or user is None:
        raise Unknown("account", account_id)
    return account, user


async def _look(remote: Remote, account: Account) -> tuple[str, Sequence[RemoteCalendar]]:
    """The address of the Account's list of calendars, and the list: one request, unless that address has changed."""
    try:
        return account.home_url, await remote.calendars(account.home_url)
    except Unauthorized:
        # Two refusals are needed as proof: a single 401 may be a temporary fault.
        return account.home_url, await remote.calendars(account.home_url)
    except (NotFound, Forbidden) as error:
        # The account may have moved to another partition: the old one answers 403 or 404.
        try:
            home = await remote.discover()
        except RemoteError:
            raise error from None
        if home.url == account.home_url:
            raise
        log.info("account %s: its calendars are listed at another address now", account.id)
        return home.url, home.calendars


def _take_over(
    context: Context, account: Account, home_url: str, listed: Sequence[RemoteCalendar], *, dry_run: bool
) -> list[Calendar]:
    """Bring our list of calendars up to date. Returns those that have a role."""

    def known() -> list[Calendar]:
        with context.db.read() as tx:
            return accounts.calendars(tx, account_id=account.id)

    # An empty list, where there were calendars, is taken for a temporary fault.
    news = bool(listed) and calendars.differs(known(), listed)
    if not dry_run and (news or home_url != account.home_url):
        with context.db.write() as tx:
            if accounts.get(tx, account.id) is not None:
                accounts.set_home(tx, account.id, home_url)
                calendars.merge(tx, account, listed, titles=context.default_titles)
    return [calendar for calendar in known() if calendar.role != Role.NONE]


async def _find_moved(context: Context, remote: Remote, account: Account, runs: Sequence[CalendarMirror]) -> None:
    """Look for Appointments' events that are gone from their calendar: they may have been moved, not deleted.

    Also to calendars that are read: this may have happened after they were, or were listed as unchanged. In the User's
    other Accounts they are found by reading these first.
    """
    with context.db.read() as tx:
        missing = [(run, item) for run in runs for item in run.gone if follow.would_cancel(tx, item)]
        present = [c for c in accounts.calendars(tx, account_id=account.id) if c.present]
    all_read = not any(run.trouble is not None and not run.vanished for run in runs)
    if missing and all_read:
        all_read = await _others_are_read(context, account)
    for run, item in missing:
        if not all_read:
            run.postpone(item.href)  # it may be in the one that could not be read
            continue
        # Its own calendar comes last: the person may have put it back meanwhile.
        among = sorted(present, key=lambda calendar: calendar.id == run.calendar.id)
        try:
            found = await find(remote, among, item.href, item.uid)
        except RemoteError:
            run.postpone(item.href)
            continue
        if found is not None and found.calendar_id == run.calendar.id:
            run.postpone(item.href)
        elif found is not None:
            run.found_elsewhere[item.href] = found


async def find(remote: Remote, among: Iterable[Calendar], href: str, uid: str) -> MirrorItem | None:
    """The object with this UID, and the name that it has at `href`, in the first of these Calendars that has it.

    Raises `RemoteError`.
    """
    for calendar in among:
        there = f"{calendars.calendar_key(calendar.url)}/{href.rpartition('/')[2]}"
        try:
            found = await remote.get(calendar.url, there)
        except NotFound:
            continue
        if uid_of(found) == uid:
            return MirrorItem(calendar.id, there, found.etag, uid, found.ics)
    return None


async def _others_are_read(context: Context, account: Account) -> bool:
    """Read the User's other Accounts now. False where one of them can't be read for the moment.

    One that waits for a new password is left out: nobody can tell for how long.
    """
    reads = [Role.PRIMARY, Role.CONFLICT]
    with context.db.read() as tx:
        others = {c.account_id for c in accounts.calendars(tx, user_id=account.user_id, roles=reads)} - {account.id}
        known = accounts.all_of(tx, account.user_id)
    # A run under way is not waited for: it may be waiting for this one. And throttled servers must not be asked.
    asked = {
        one.id: poll(context, one.id)
        for one in known
        if one.id in others - context.polls.keys() and one.state in {AccountState.CONNECTED, AccountState.UNREACHABLE}
    }
    if asked:
        await asyncio.wait(asked.values())
    unread = others - {id_ for id_, run in asked.items() if not run.cancelled() and not run.exception()}
    with context.db.read() as tx:
        read = accounts.calendars(tx, user_id=account.user_id, roles=reads)
        unread |= {c.account_id for c in read if c.present and c.last_error and c.account_id in asked}
        waiting = {one.id for one in accounts.all_of(tx, account.user_id) if one.state != AccountState.NEEDS_PASSWORD}
    return unread.isdisjoint(waiting)


async def _judge_list(remote: Remote, account: Account, runs: Sequence[CalendarMirror]) -> ListTrust:
    """The new trust in the list: whether the Account's list of calendars showed the changes that were found."""
    trust = account.list_trust
    for run in runs:
        before, found = run.calendar, run.found
        # Only changes since a complete run tell something.
        if found is None or not run.news or before.read_at is None or before.last_error is not None:
            continue
        if before.ctag is None and before.listed_token is None:
            continue
        if (found.ctag, found.sync_token) != (before.ctag, before.listed_token):
            trust = ListTrust.TRUSTED if trust == ListTrust.UNPROVEN else trust
        elif trust != ListTrust.DISTRUSTED and await _stands_still(remote, account, found):
            log.warning("account %s: its list of calendars does not tell of changes; asking each calendar", account.id)
            trust = ListTrust.DISTRUSTED
    return trust


async def _stands_still(remote: Remote, account: Account, found: RemoteCalendar) -> bool:
    """Whether the list does not show the change even now: it may have been made after the list was read."""
    try:
        again = await remote.calendars(account.home_url)
    except RemoteError:
        return False
    return any((c.url, c.ctag, c.sync_token) == (found.url, found.ctag, found.sync_token) for c in again)


def _note_success(
    context: Context,
    account: Account,
    unchanged: Sequence[Calendar],
    trust: ListTrust,
    throttled: RemoteError | None,
    *,
    held: bool,
    asked_at: int,
) -> None:
    now = context.clock()
    interval = context.remotes.poll_seconds(account.provider)
    with context.db.write() as tx:
        if accounts.get(tx, account.id) is None:
            return
        accounts.note_unchanged(tx, [calendar.id for calendar in unchanged], now=asked_at)
        if trust != account.list_trust:
            accounts.set_list_trust(tx, account.id, trust)
        failures = 0
        if throttled is not None:
            failures = accounts.failures(tx, account.id) + 1
            interval = plan.poll_wait(throttled, failures, interval=interval)
            changes.account_state(tx, account.id, AccountState.THROTTLED, trouble.sentence(throttled), now=now)
        elif changes.account_state(tx, account.id, AccountState.CONNECTED, "", now=now):
            log.info("account %s: reachable again", account.id)
        wait = plan.HOLD_SECONDS if held and throttled is None else jittered(interval)
        accounts.schedule(tx, account.id, next_poll_at=now + wait, failures=failures)


def _note_failure(context: Context, account: Account, error: BridgeError) -> None:
    state = plan.state_after(error)
    now = context.clock()
    sentence = trouble.sentence(error)
    with context.db.write() as tx:
        current = accounts.get(tx, account.id)
        if current is None or current.secret != account.secret:
            return  # disconnected, or given a new password meanwhile: the failure is outdated
        failures = accounts.failures(tx, account.id) + 1
        wait = plan.poll_wait(error, failures, interval=context.remotes.poll_seconds(account.provider))
        accounts.schedule(tx, account.id, next_poll_at=now + jittered(wait), failures=failures)
        for calendar in accounts.calendars(tx, account_id=account.id, roles=[Role.PRIMARY, Role.CONFLICT]):
            accounts.note_failure(tx, calendar.id, sentence, now=now)
        if changes.account_state(tx, account.id, state, sentence, now=now):
            log.warning("account %s is %s: %s", account.id, state, sentence)


def due(context: Context, *, limit: int) -> list[str]:
    """The ids of the Accounts that are due, at most `limit`."""
    with context.db.read() as tx:
        return accounts.due(tx, now=context.clock(), limit=limit)


def put_off(context: Context, account_id: str) -> None:
    """Delay the next poll of an Account whose poll failed through a bug of ours."""
    with context.db.write() as tx:
        failures = accounts.failures(tx, account_id) + 1
        wait = plan.wait_after_bug(failures)
        accounts.schedule(tx, account_id, next_poll_at=context.clock() + wait, failures=failures)


def jittered(seconds: int) -> int:
    """The seconds varied by up to 20 %, so that accounts that started together don't stay together."""
    return max(1, round(seconds * random.uniform(0.8, 1.2)))  # noqa: S311 - not a secret
