"""Mirror: what is new in an Account's calendars comes in, becomes blocked slots, and is published.

Read, talk, write: nothing is asked of the network inside a transaction. Nothing is believed gone until that is
verified, and a run that could not read everything advances no token.
"""

from __future__ import annotations

import logging
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.domain import ical, plan, trouble
from bridge.domain.ical import Rendered
from bridge.domain.model import Account, AccountState, Calendar, MirrorItem, Role, SlotSettings, Titles, User
from bridge.errors import (
    BadAnswer,
    NotFound,
    RemoteError,
    Throttled,
    TokenRejected,
    Unauthorized,
    Unknown,
    Unreadable,
)
from bridge.remote.base import Remote, RemoteCalendar, RemoteObject, path_of
from bridge.service import follow, publish
from bridge.service.context import Context
from bridge.store import accounts, mirror, users
from bridge.store.db import Tx

log = logging.getLogger(__name__)

#: Objects in one multiget.
CHUNK = 50
#: Objects written in one transaction, which bounds the memory of a first mirror.
BATCH = 1000
#: When most of a calendar seems to be gone, so many of the missing objects are asked for one by one.
SAMPLE = 25


@dataclass(frozen=True, slots=True)
class CalendarRun:
    """What a run did, or with `dry_run` would do, to one Calendar. Counts only."""

    calendar_id: str
    calendar_name: str
    listed: int = 0
    fetched: int = 0
    removed: int = 0
    unreadable: int = 0
    #: Objects that seem to be gone but are kept until that is certain.
    held: int = 0
    error: str | None = None


async def mirror_account(context: Context, account_id: str, *, dry_run: bool = False) -> list[CalendarRun]:
    """Bring an Account's Primary and conflict calendars up to date.

    When nothing changed this is one request. Raises `Unknown`; `RemoteError` when the account as a whole could not be
    asked (its state is noted first). Trouble with one calendar is in its run, and does not keep the others from theirs.
    """
    db = context.db
    with db.read() as tx:
        account = accounts.get(tx, account_id)
        if account is None:
            raise Unknown("account", account_id)
        user = users.get(tx, account.user_id)
        calendars = accounts.calendars(tx, account_id=account_id, roles=[Role.PRIMARY, Role.CONFLICT])
    if user is None:
        raise Unknown("user", account.user_id)
    remote = context.remotes.for_account(account)
    try:
        listed = await remote.calendars(account.home_url)
    except RemoteError as error:
        if not dry_run:
            await _note_account_failure(context, remote, account, error)
        raise
    runs = []
    unchanged: list[str] = []
    news = {calendar_key(found.url): found for found in listed}
    for calendar in calendars:
        found = news.get(calendar_key(calendar.url))
        if found is not None and _says_unchanged(calendar, found):
            unchanged.append(calendar.id)
            runs.append(CalendarRun(calendar.id, calendar.name))
            continue
        runs.append(await _CalendarMirror(context, remote, account, user, calendar, dry_run=dry_run).run(found))
    if not dry_run:
        _note_account_success(context, account, listed, unchanged)
    return runs


def calendar_key(url: str) -> str:
    """What identifies a calendar within its account: its path. The host may be another partition tomorrow."""
    return path_of(url).rstrip("/")


def _says_unchanged(calendar: Calendar, found: RemoteCalendar) -> bool:
    """Whether the calendar's ctag or sync-token is the one up to which it was read."""
    if calendar.last_success_at is None or calendar.last_error is not None:
        return False
    if found.sync_token is not None and calendar.sync_token is not None:
        return found.sync_token == calendar.sync_token
    return found.ctag is not None and found.ctag == calendar.ctag


class _CalendarMirror:
    """One run over one Calendar."""

    def __init__(
        self, context: Context, remote: Remote, account: Account, user: User, calendar: Calendar, *, dry_run: bool
    ) -> None:
        self.context = context
        self.remote = remote
        self.user = user
        self.calendar = calendar
        self.source = publish.source_for(calendar, account, user)
        self.dry_run = dry_run
        self.started = context.clock()
        with context.db.read() as tx:
            self.held = mirror.etags(tx, calendar.id)
        self.fetched = 0
        self.unreadable = 0
        #: Neither listed nor there: the calendar itself was deleted, or its server is not itself today.
        self.vanished = False

    async def run(self, found: RemoteCalendar | None) -> CalendarRun:
        try:
            return await self._run(found)
        except RemoteError as error:
            sentence = trouble.sentence(error)
            log.warning("calendar %s of user %s: %s", self.calendar.id, self.user.id, sentence)
            run = CalendarRun(self.calendar.id, self.calendar.name, fetched=self.fetched, error=sentence)
            if not self.dry_run:
                self._record(run, ctag=None, sync_token=None)
            return run

    async def _run(self, found: RemoteCalendar | None) -> CalendarRun:
        try:
            changed, removed, complete, token = await self._changes()
        except NotFound:
            if found is not None:
                raise BadAnswer(self.calendar.url, "it is listed but answers that it is not there") from None
            self.vanished = True
            changed, removed, complete, token = {}, frozenset(), True, None
        decided = plan.plan_mirror(self.held, changed, removed, complete=complete)
        gone, kept_back = await self._verify(decided.suspects, complete=complete)
        if self.dry_run:
            return self._outcome(len(changed), len(gone), len(kept_back), fetched=len(decided.fetch))
        await self._fetch(decided.fetch)
        run = self._outcome(len(changed), len(gone), len(kept_back), fetched=self.fetched)
        if kept_back:
            run = replace(run, error=trouble.held_sentence(len(kept_back)))
        # Only what was asked before the changes were read can be claimed to have been read.
        ctag = found.ctag if found is not None else None
        self._record(run, ctag=ctag, sync_token=token, gone=gone)
        return run

    async def _changes(self) -> tuple[Mapping[str, str], frozenset[str], bool, str | None]:
        """(href to etag of what changed, hrefs said to be removed, whether that is everything, the new token)."""
        url, token = self.calendar.url, self.calendar.sync_token
        try:
            changes = await self.remote.changes(url, token)
        except TokenRejected:
            # Never a sign of deletion: start over from everything there is.
            if token is not None:
                try:
                    changes = await self.remote.changes(url, None)
                except TokenRejected:
                    return await self.remote.listing(url), frozenset(), True, None
            else:
                return await self.remote.listing(url), frozenset(), True, None
        if token is not None and not changes.complete and self.held and self.held.keys() <= changes.changed.keys():
            # Some servers forget a token and send everything as if it had changed; then only a listing tells what is
            # gone. The token it came with is from before the listing, so nothing falls between the two.
            return await self.remote.listing(url), frozenset(), True, changes.sync_token
        return changes.changed, changes.removed, changes.complete, changes.sync_token

    async def _verify(self, suspects: Sequence[str], *, complete: bool) -> tuple[list[str], list[str]]:
        """Split what seems to be gone into what is, and what is kept for now."""
        if not suspects:
            return [], []
        if self.vanished or plan.loses_most(len(self.held), len(suspects)):
            since = self._held_since()
            if since is None or self.context.clock() - since < plan.HOLD_SECONDS:
                return [], list(suspects)
            sample = random.sample(suspects, min(SAMPLE, len(suspects)))
            if not all([await self._is_gone(href) for href in sample]):
                return [], list(suspects)
            return list(suspects), []
        if complete:
            # Absence from a complete listing is a verification by itself (it was read to its end, or it is an error).
            return list(suspects), []
        if len(suspects) > SAMPLE:
            there = await self.remote.listing(self.calendar.url)
            return [href for href in suspects if href not in there], []
        return [href for href in suspects if await self._is_gone(href)], []

    async def _is_gone(self, href: str) -> bool:
        try:
            await self.remote.get(self.calendar.url, href)
        except NotFound:
            return True
        return False

    def _held_since(self) -> int | None:
        """When the present hold began: the first of the runs in a row that kept objects back."""
        with self.context.db.read() as tx:
            return mirror.held_since(tx, self.calendar.id)

    async def _fetch(self, hrefs: Sequence[str]) -> None:
        """Fetch and store in batches; what is listed but not delivered is an error, never a deletion."""
        batch: list[MirrorItem] = []
        prepared: dict[tuple[str, str, str], Rendered | None] = {}
        for start in range(0, len(hrefs), CHUNK):
            wanted = hrefs[start : start + CHUNK]
            objects = {o.href: o for o in await self.remote.multiget(self.calendar.url, wanted)}
            for href in wanted:
                if href not in objects:
                    try:
                        objects[href] = await self.remote.get(self.calendar.url, href)
                    except NotFound:
                        continue  # gone between the listing and now: the next run sees that by itself
            items = [self._read(objects[href]) for href in wanted if href in objects]
            prepared |= publish.prepare(items, self.source, now=self.started)
            batch += items
            self.fetched += len(items)
            if len(batch) >= BATCH:
                self._store(batch, prepared)
                batch, prepared = [], {}
        if batch:
            self._store(batch, prepared)

    def _read(self, found: RemoteObject) -> MirrorItem:
        """Read one object in isolation. An unreadable one keeps its last good text, and with it what it blocks."""
        try:
            uid = ical.identify(found.ics)
            return MirrorItem(self.calendar.id, found.href, found.etag, uid, found.ics)
        except Unreadable as error:
            self.unreadable += 1
            with self.context.db.read() as tx:
                last = mirror.get(tx, self.calendar.id, found.href)
            return MirrorItem(
                self.calendar.id,
                found.href,
                found.etag,
                last.uid if last else f"unreadable:{found.href}",
                last.ics if last else "",
                unreadable=error.reason,
            )

    def _store(self, items: Sequence[MirrorItem], prepared: publish.Prepared) -> None:
        now = self.context.clock()
        with self.context.db.write() as tx:
            if not _still_read(tx, self.calendar.id):
                return
            if accounts.settings_of(tx, self.calendar.id) != self.calendar.settings:
                prepared = {}  # rendered by settings that no longer hold
            before = {item.href: mirror.get(tx, self.calendar.id, item.href) for item in items}
            # A push may have written an object while this run was reading it: then ours is the newer copy.
            items = [
                i for i in items if _etag(before[i.href]) == self.held.get(i.href) or _etag(before[i.href]) == i.etag
            ]
            mirror.put(tx, self.user.id, items)
            delta = publish.Delta(self.user, now)
            for item in items:
                follow.seen(tx, delta, item, before[item.href])
            uids = {item.uid for item in items} | {old.uid for old in before.values() if old is not None}
            delta.upstream(tx, sorted(uids), prepared)
            delta.apply(tx)

    def _record(self, run: CalendarRun, *, ctag: str | None, sync_token: str | None, gone: Sequence[str] = ()) -> None:
        now = self.context.clock()
        advanced = run.error is None
        with self.context.db.write() as tx:
            if not _still_read(tx, self.calendar.id):
                return
            if gone:
                self._remove(tx, gone, now=now)
            if advanced:
                accounts.note_success(tx, self.calendar.id, ctag=ctag, sync_token=sync_token, now=now)
            else:
                accounts.note_failure(tx, self.calendar.id, run.error or "", now=now)
            mirror.record_run(
                tx,
                mirror.MirrorRun(
                    calendar_id=self.calendar.id,
                    started_at=self.started,
                    finished_at=now,
                    listed=run.listed,
                    fetched=run.fetched,
                    removed=run.removed,
                    unreadable=run.unreadable,
                    held=run.held,
                    token_advanced=advanced,
                    error=run.error,
                ),
            )

    def _remove(self, tx: Tx, gone: Sequence[str], *, now: int) -> None:
        items = [item for href in gone if (item := mirror.get(tx, self.calendar.id, href)) is not None]
        # Written by a push since this run began: then it is there again.
        items = [item for item in items if item.etag == self.held.get(item.href)]
        mirror.remove(tx, self.calendar.id, [item.href for item in items])
        delta = publish.Delta(self.user, now)
        if not self.vanished:  # deleting a calendar is not cancelling what was booked into it
            for item in items:
                follow.removed(tx, delta, item)
        delta.upstream(tx, sorted({item.uid for item in items}))
        delta.apply(tx)

    def _outcome(self, listed: int, removed: int, held: int, *, fetched: int) -> CalendarRun:
        return CalendarRun(
            self.calendar.id,
            self.calendar.name,
            listed=listed,
            fetched=fetched,
            removed=removed,
            unreadable=self.unreadable,
            held=held,
        )


def _etag(item: MirrorItem | None) -> str | None:
    return None if item is None else item.etag


def _still_read(tx: Tx, calendar_id: str) -> bool:
    """Whether the Calendar still has a role: it may have been deselected or disconnected during the run."""
    calendar = accounts.calendar(tx, calendar_id)
    return calendar is not None and calendar.role != Role.NONE


def _note_account_success(
    context: Context, account: Account, listed: Sequence[RemoteCalendar], unchanged: Sequence[str]
) -> None:
    now = context.clock()
    interval = context.remotes.poll_seconds(account.provider)
    with context.db.write() as tx:
        if accounts.get(tx, account.id) is None:
            return
        accounts.note_unchanged(tx, unchanged, now=now)
        merge_calendars(tx, account, listed, titles=context.default_titles)
        if accounts.set_state(tx, account.id, AccountState.CONNECTED, "", now=now):
            log.info("account %s: reachable again", account.id)
        accounts.schedule(tx, account.id, next_poll_at=now + jittered(interval), failures=0)


async def _note_account_failure(context: Context, remote: Remote, account: Account, error: RemoteError) -> None:
    if isinstance(error, Unauthorized):
        # Proof takes two: a single 401 may be a server's bad moment.
        try:
            await remote.calendars(account.home_url)
        except RemoteError as second:
            error = second
        else:
            return
    state = {Unauthorized: AccountState.NEEDS_PASSWORD, Throttled: AccountState.THROTTLED}.get(
        type(error), AccountState.UNREACHABLE
    )
    now = context.clock()
    sentence = trouble.sentence(error)
    with context.db.write() as tx:
        if accounts.get(tx, account.id) is None:
            return
        failures = accounts.failures(tx, account.id) + 1
        wait = plan.poll_wait(error, failures, interval=context.remotes.poll_seconds(account.provider))
        accounts.schedule(tx, account.id, next_poll_at=now + jittered(wait), failures=failures)
        for calendar in accounts.calendars(tx, account_id=account.id, roles=[Role.PRIMARY, Role.CONFLICT]):
            accounts.note_failure(tx, calendar.id, sentence, now=now)
        if accounts.set_state(tx, account.id, state, sentence, now=now):
            log.warning("account %s is %s: %s", account.id, state, sentence)


def merge_calendars(tx: Tx, account: Account, listed: Sequence[RemoteCalendar], *, titles: Titles) -> list[Calendar]:
    """Bring our list of an Account's calendars up to date with the server's: new, renamed, recoloured, gone."""
    known = {calendar_key(calendar.url): calendar for calendar in accounts.calendars(tx, account_id=account.id)}
    merged = []
    for found in listed:
        old = known.pop(calendar_key(found.url), None)
        fresh = _calendar_from(found, account, old, titles)
        if fresh != old:
            accounts.put_calendar(tx, fresh)
        merged.append(fresh)
    for vanished in known.values():
        if vanished.present:
            accounts.put_calendar(tx, replace(vanished, present=False))
    return merged


def _calendar_from(found: RemoteCalendar, account: Account, old: Calendar | None, default: Titles) -> Calendar:
    """What the server says of a calendar, over what we know of it."""
    if old is not None:
        # A partition that moved changes the host; the path, which identifies the calendar, stays.
        return replace(old, url=found.url, name=found.name, colour=found.colour, writable=found.writable, present=True)
    return Calendar(
        id=f"icl_{secrets.token_hex(8)}",
        account_id=account.id,
        user_id=account.user_id,
        url=found.url,
        name=found.name,
        colour=found.colour,
        role=Role.NONE,
        writable=found.writable,
        ctag=None,
        sync_token=None,
        settings=SlotSettings(titles=default),
        present=True,
        last_attempt_at=None,
        last_success_at=None,
        last_error=None,
    )


def jittered(seconds: int) -> int:
    """Spread over ±20 %, so that accounts that started together don't stay together."""
    return max(1, round(seconds * random.uniform(0.8, 1.2)))  # noqa: S311 - not a secret
