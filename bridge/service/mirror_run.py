"""One mirror run over one Calendar: reading and storing what changed, and then removing what is gone.

These are two steps, since an event that a person moves is gone from one calendar and new in another: what is new in all
Calendars of an Account is stored before anything is concluded from what is gone.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.domain import ical, plan, trouble
from bridge.domain.model import Account, Calendar, MirrorItem, Role, User
from bridge.errors import (
    BadAnswer,
    BridgeError,
    NotFound,
    RemoteError,
    ServerFault,
    TokenRejected,
    Unreadable,
)
from bridge.remote.base import Changes, Remote, RemoteCalendar, RemoteObject
from bridge.service import follow, publish
from bridge.service.context import Context
from bridge.store import accounts, mirror
from bridge.store.db import Tx

log = logging.getLogger(__name__)

#: How many objects are fetched with one multiget.
CHUNK = 50
#: How many objects are stored in one transaction: this bounds the memory of a first run, and how long writers wait.
BATCH = 200
#: How many times an object is read again that is written at the same time.
TRIES = 3
#: How many of the objects that seem to be gone are asked for one by one.
SAMPLE = 25


@dataclass(frozen=True, slots=True)
class CalendarRun:
    """What a run did to one Calendar, or would do without `dry_run`, in counts."""

    calendar_id: str
    calendar_name: str
    listed: int = 0
    fetched: int = 0
    removed: int = 0
    unreadable: int = 0
    #: Objects that seem to be gone, but are kept until that is certain.
    held: int = 0
    #: Objects that the server lists but does not deliver.
    undelivered: int = 0
    error: str | None = None


class CalendarMirror:
    """One run over one Calendar: `read`, then `finish`."""

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
        #: The etags of the objects that we hold, by href: only of those that the server names, or of all to compare.
        self.etags: dict[str, str] = {}
        #: When a push wrote those of them that are Appointments' events, by href.
        self._written_at: dict[str, int] = {}
        #: Those that the server calls removed and that we did not hold: a push may just be storing them.
        self._not_held: frozenset[str] = frozenset()
        #: Those that were ahead of the sync-token when the run began.
        self._ahead: frozenset[str] = frozenset()
        #: Those that the answer with the new sync-token names, so that it covers them.
        self._named: frozenset[str] = frozenset()
        #: The error that ended the run early, if any.
        self.trouble: RemoteError | None = None
        #: Objects whose deletion is verified.
        self.gone: list[MirrorItem] = []
        #: Events of Appointments that are gone here and were found in a Calendar without a role, by href.
        self.found_elsewhere: dict[str, MirrorItem] = {}
        #: Whether anything changed or was deleted since the last run.
        self.news = False
        self.found: RemoteCalendar | None = None
        self._token: str | None = None
        self._complete = False
        #: Objects that others wrote between the moments when this run read and stored them.
        self._written_over: set[str] = set()
        self._listed = 0
        self._fetched = 0
        self._unreadable = 0
        self._undelivered = 0
        self._kept_back = 0
        #: Whether a push or another run has stored what this run read, so that it has to be read again.
        self._overtaken = False
        #: Whether an object was left for the next run, so that the server has to report it again.
        self._postponed = False
        #: Whether the calendar is neither listed nor found: it was deleted, or the server has a fault. Its objects are
        #: kept, since a deleted calendar looks like one that is no longer shared: only the User knows.
        self.vanished = False

    async def read(self, found: RemoteCalendar | None) -> None:
        """Read what changed, store what is new, verify what is gone."""
        self.found = found
        try:
            await self._read()
        except RemoteError as error:
            self.trouble = error
            log.warning("calendar %s of user %s: %s", self.calendar.id, self.user.id, trouble.sentence(error))

    async def _read(self) -> None:
        try:
            changes = await self._changes()
        except NotFound:
            if self.found is not None:
                raise BadAnswer(self.calendar.url, "it is listed but answers that it is not there") from None
            self.vanished = True
            raise
        decided = plan.plan_mirror(self.etags, changes.changed, changes.removed, complete=changes.complete)
        gone, kept_back = await self._verify(decided.suspects, complete=changes.complete)
        self._listed, self._kept_back = len(changes.changed), len(kept_back)
        self._token, self._complete = changes.sync_token, changes.complete
        self.news = bool(decided.fetch or gone)
        if self.dry_run:
            self._fetched = len(decided.fetch)
        else:
            await self._fetch(decided.fetch)
        with self.context.db.read() as tx:
            items = [mirror.get(tx, self.calendar.id, href) for href in gone]
        self.gone = [item for item in items if item is not None]

    async def _changes(self) -> Changes:
        """The server's changes, and whether they are a complete listing."""
        url, token = self.calendar.url, self.calendar.sync_token
        with self.context.db.read() as tx:
            self._ahead = mirror.ahead(tx, self.calendar.id)
        if token is not None:
            try:
                changes = await self.remote.changes(url, token)
            except TokenRejected:
                pass  # never a sign of deletion: compare with a complete listing
            else:
                self._look_up(changes)
                if not (self._compare_is_due() or self._may_hide_removals(changes)):
                    return await self._with_unnamed(changes)
                # The token is older than the listing, so no change is missed between the two. Changes are fetched even
                # if they are missing in the listing, which may have been cut short.
                self._look_up_all()
                everything = {**changes.changed, **await self.remote.listing(url)}
                return Changes(everything, frozenset(), changes.sync_token, complete=True)
        self._look_up_all()
        try:
            changes = await self.remote.changes(url, None)
        except TokenRejected:
            changes = Changes(await self.remote.listing(url), frozenset(), None, complete=True)
        self._named = frozenset(changes.changed)
        return changes

    async def _with_unnamed(self, changes: Changes) -> Changes:
        """The changes, with the removals that the server leaves out: of what it did not have at the old token either.

        Xandikos compares the calendar as it was with the calendar as it is. So it does not name an event that was made
        and deleted in between, which a push or an unfinished run has stored.
        """
        unnamed = self._ahead - changes.changed.keys() - changes.removed
        if not unnamed:
            return changes
        gone = unnamed - (await self.remote.listing(self.calendar.url)).keys()
        with self.context.db.read() as tx:
            self.etags |= mirror.etags_of(tx, self.calendar.id, gone)
        return replace(changes, removed=changes.removed | gone)

    def _look_up(self, changes: Changes) -> None:
        """Note what we hold of the objects that the server names: the work is that for what changed."""
        self._named = frozenset(changes.changed)
        named = [*changes.changed, *changes.removed]
        with self.context.db.read() as tx:
            self.etags = mirror.etags_of(tx, self.calendar.id, named)
            self._not_held = changes.removed - self.etags.keys()
            self._written_at = mirror.written_at(tx, self.calendar.id, named)
        # What was written while the answer was on its way is taken for written by others, and asked for again.
        for href in plan.crossed(self.etags, changes.changed, self._written_since(self.started)):
            del self.etags[href]
            self._postponed = True

    def _look_up_all(self) -> None:
        """Note what we hold, before a complete listing is asked for: what is written later is not missing there."""
        with self.context.db.read() as tx:
            self.etags = mirror.etags(tx, self.calendar.id)

    def _compare_is_due(self) -> bool:
        compared_at = self.calendar.compared_at
        return compared_at is None or self.started - compared_at >= plan.COMPARE_SECONDS

    def _written_since(self, at: int) -> frozenset[str]:
        return frozenset(href for href, written_at in self._written_at.items() if written_at >= at)

    def _may_hide_removals(self, changes: Changes) -> bool:
        with self.context.db.read() as tx:
            objects = mirror.count(tx, self.calendar.id, at_most=plan.enough(0))
        written = self._written_since(self.calendar.read_at or 0)
        moved = changes.sync_token != self.calendar.sync_token
        return plan.may_hide_removals(
            self.etags, changes.changed, changes.removed, written, objects=objects, moved=moved
        )

    async def _verify(self, suspects: Sequence[str], *, complete: bool) -> tuple[list[str], list[str]]:
        """Split the objects that seem to be gone into those that are, and those that are kept for now."""
        if not suspects:
            return [], []
        with self.context.db.read() as tx:
            counted = mirror.count(tx, self.calendar.id, at_most=plan.enough(len(suspects)))
            since = mirror.held_since(tx, self.calendar.id)
        known = len(self.etags) if complete else counted
        if plan.loses_too_much(known, len(suspects), named=not complete):
            if since is None or self.started - since < plan.HOLD_SECONDS:
                return [], list(suspects)
        elif not complete and len(suspects) > SAMPLE:
            there = await self.remote.listing(self.calendar.url)
            suspects = [href for href in suspects if href not in there]
        if len(suspects) <= SAMPLE:
            gone = [href for href in suspects if await self._is_gone(href)]
            return gone, [href for href in suspects if href not in gone] if complete else []
        # Of many, only a sample is asked for: it shows whether the listing was cut short.
        sample = random.sample(suspects, SAMPLE)
        if all([await self._is_gone(href) for href in sample]):
            return list(suspects), []
        return [], list(suspects)

    async def _is_gone(self, href: str) -> bool:
        try:
            await self.remote.get(self.calendar.url, href)
        except NotFound:
            return True
        return False

    async def _fetch(self, hrefs: Sequence[str]) -> None:
        """Fetch and store objects in batches. One that is listed but not delivered is an error, not a deletion."""
        batch: list[MirrorItem] = []
        prepared: publish.Prepared = {}
        for start in range(0, len(hrefs), CHUNK):
            objects = await self._deliver(hrefs[start : start + CHUNK])
            # In a thread: reading a chunk takes a tenth of a second, during which the event loop must not be blocked.
            items, rendered = await asyncio.to_thread(self._understand, objects)
            batch += items
            prepared |= rendered
            self._fetched += len(items)
            if len(batch) >= BATCH:
                self._store(batch, prepared)
                batch, prepared = [], {}
            if self._overtaken:
                break
        if batch:
            self._store(batch, prepared)
        while self._written_over and not self._overtaken:
            await self._read_after_writer(self._written_over.pop())

    async def _read_after_writer(self, href: str) -> None:
        """Read an object again that was written between reading and storing it, mostly by a push of ours."""
        for _ in range(TRIES):
            with self.context.db.read() as tx:
                known = mirror.get(tx, self.calendar.id, href)
            self.etags.pop(href, None)
            if known is not None:
                self.etags[href] = known.etag
            try:
                found = await self.remote.get(self.calendar.url, href)
            except NotFound:
                self._postponed = True
                return
            item, rendered = await asyncio.to_thread(self._understand_one, found)
            self._store([item], rendered)
            if href not in self._written_over:
                return
            self._written_over.remove(href)
        self._overtaken = True

    async def _deliver(self, wanted: Sequence[str]) -> list[RemoteObject]:
        """Fetch the objects; one by one, if that fails: some servers fail a multiget because of one of its objects."""
        try:
            objects = {o.href: o for o in await self.remote.multiget(self.calendar.url, wanted)}
        except (BadAnswer, NotFound):
            objects = {}
        for href in wanted:
            if href not in objects:
                try:
                    objects[href] = await self.remote.get(self.calendar.url, href)
                except (NotFound, BadAnswer, ServerFault):
                    # It was deleted since the listing, or is not readable yet: the next run asks again.
                    self._undelivered += 1
        # Only new versions are asked for, so a version that we have already means that the new one is late.
        late = {href for href, found in objects.items() if found.etag == self.etags.get(href)}
        self._undelivered += len(late)
        return [objects[href] for href in wanted if href in objects and href not in late]

    def _understand(self, objects: Sequence[RemoteObject]) -> tuple[list[MirrorItem], publish.Prepared]:
        items = []
        prepared: publish.Prepared = {}
        for found in objects:
            item, rendered = self._understand_one(found)
            items.append(item)
            prepared |= rendered
        return items, prepared

    def _understand_one(self, found: RemoteObject) -> tuple[MirrorItem, publish.Prepared]:
        """Read one object in isolation. If it can't be read, its last readable text is kept, which goes on blocking."""
        try:
            item = MirrorItem(self.calendar.id, found.href, found.etag, ical.identify(found.ics), found.ics)
            if unread := ical.unread(item.ics):
                self._unreadable += 1
                last = self._last(item.href)
                ics = item.ics if last is None else ical.with_last_known(item.ics, last.ics)
                item = replace(item, ics=ics, unreadable=trouble.unread_sentence(unread))
            return item, {_key(item): publish.render(item, self.source, now=self.started)}
        except Unreadable as error:
            reason = error.reason
        except Exception as error:
            # Whatever one object triggers, it must not stop the calendar. Its text must not be logged.
            log.warning("calendar %s: an object trips the reader: %s", self.calendar.id, type(error).__name__)
            reason = f"It could not be understood ({type(error).__name__})."
        self._unreadable += 1
        last = self._last(found.href)
        item = MirrorItem(
            self.calendar.id,
            found.href,
            found.etag,
            last.uid if last else f"unreadable:{found.href}",
            last.ics if last else "",
            unreadable=reason,
        )
        return item, {}

    def _last(self, href: str) -> MirrorItem | None:
        with self.context.db.read() as tx:
            return mirror.get(tx, self.calendar.id, href)

    def _store(self, items: Sequence[MirrorItem], prepared: publish.Prepared) -> None:
        with self.context.db.write() as tx:
            current = self._current(tx)
            if current is None:
                return
            if current.settings != self.calendar.settings:
                prepared = {}  # they were rendered by settings that have changed
            before = {item.href: mirror.get(tx, self.calendar.id, item.href) for item in items}
            # What was written since this run began may be older or newer than what this run has read.
            fresh = [
                i for i in items if _etag(before[i.href]) == self.etags.get(i.href) or _etag(before[i.href]) == i.etag
            ]
            self._written_over |= {item.href for item in items} - {item.href for item in fresh}
            mirror.put(tx, self.user.id, fresh)
            delta = publish.Delta(self.user, self.context.clock())
            for item in fresh:
                follow.seen(tx, delta, item, before[item.href])
            uids = {item.uid for item in fresh} | {old.uid for old in before.values() if old is not None}
            delta.upstream(tx, sorted(uids), prepared)
            delta.apply(tx)

    def _current(self, tx: Tx) -> Calendar | None:
        """The Calendar as it is now; None (overtaken) if it lost its role, or another run has finished meanwhile."""
        current = accounts.calendar(tx, self.calendar.id)
        if current is None or current.role == Role.NONE or current.reads != self.calendar.reads:
            self._overtaken = True
            return None
        return current

    def postpone(self, href: str) -> None:
        """Leave this object for the next run: it is not known yet what happened to it."""
        self.gone = [item for item in self.gone if item.href != href]
        self._postponed = True

    def finish(self) -> CalendarRun:
        """Remove what is gone, and record the run. Only a run that has read everything advances the sync-token."""
        run = self.outcome()
        if self.dry_run:
            return run
        now = self.context.clock()
        advanced = run.error is None and not self._overtaken and not self._postponed
        with self.context.db.write() as tx:
            current = accounts.calendar(tx, self.calendar.id)
            if current is None or current.role == Role.NONE:
                return run
            if current.reads != self.calendar.reads:
                # Another run over this Calendar ended meanwhile. It is not known which of the two read the later state.
                accounts.forget_sync(tx, self.calendar.id)
                return run
            if self.gone:
                self._remove(tx, now=now)
                advanced = advanced and not self._postponed
            advanced = advanced and not mirror.etags_of(tx, self.calendar.id, self._not_held)
            if advanced:
                mirror.caught_up(tx, self.calendar.id, self._ahead | self._named)
            if run.error is not None:
                accounts.note_failure(tx, self.calendar.id, run.error, now=now)
            elif self._overtaken:
                accounts.note_overtaken(tx, self.calendar.id, now=now)
            else:
                # The ctag counts as read only if it was asked for before the changes.
                accounts.note_success(
                    tx,
                    self.calendar.id,
                    ctag=self.found.ctag if self.found is not None and advanced else None,
                    listed_token=self.found.sync_token if self.found is not None and advanced else None,
                    sync_token=self._token if advanced else self.calendar.sync_token,
                    compared=self._complete and advanced,
                    now=self.started,  # later changes may have been missed
                )
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
                    undelivered=run.undelivered,
                    token_advanced=advanced,
                    error=run.error,
                ),
            )
        return run

    def _remove(self, tx: Tx, *, now: int) -> None:
        items = [item for item in self.gone if _etag(mirror.get(tx, item.calendar_id, item.href)) == item.etag]
        self._postponed = self._postponed or len(items) < len(self.gone)  # some were written again meanwhile
        mirror.remove(tx, self.calendar.id, [item.href for item in items])
        delta = publish.Delta(self.user, now)
        for item in items:
            follow.removed(tx, delta, item, self.found_elsewhere.get(item.href))
        delta.upstream(tx, sorted({item.uid for item in items}))
        delta.apply(tx)

    def outcome(self) -> CalendarRun:
        """The outcome of the run: counts, and what is wrong in a sentence."""
        return CalendarRun(
            self.calendar.id,
            self.calendar.name,
            listed=self._listed,
            fetched=self._fetched,
            removed=len(self.gone),
            unreadable=self._unreadable,
            held=self._kept_back,
            undelivered=self._undelivered,
            error=self._error(),
        )

    def _error(self) -> str | None:
        if self.trouble is not None:
            return trouble.gone_sentence() if self.vanished else trouble.sentence(self.trouble)
        if self._kept_back:
            return trouble.held_sentence(self._kept_back)
        if self._undelivered and not self._undelivered_for_long():
            return trouble.undelivered_sentence(self._undelivered)
        return None

    def _undelivered_for_long(self) -> bool:
        with self.context.db.read() as tx:
            since = mirror.undelivered_since(tx, self.calendar.id)
        return since is not None and self.started - since >= plan.UNDELIVERED_SECONDS


def _key(item: MirrorItem) -> tuple[str, str, str]:
    return item.calendar_id, item.href, item.etag


def _etag(item: MirrorItem | None) -> str | None:
    return None if item is None else item.etag


def uid_of(found: RemoteObject) -> str | None:
    """The UID of an object; None when it can't be read."""
    try:
        return ical.identify(found.ics)
    except BridgeError:
        return None
