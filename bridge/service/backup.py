"""Backup and restore of the whole store."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bridge.domain import changes as news
from bridge.errors import Exists, StoreUnusable
from bridge.store import audit, changes, users
from bridge.store import backup as whole
from bridge.store.db import Db
from bridge.store.lock import at_work

#: Numbers of the change feed that a restore leaves out, for each second since 1970: more than could have been given
#: out since the backup, and since it was restored the last time. A number comes once, and so do the ids of webhooks.
LEFT_OUT_PER_SECOND = 1000


def back_up(store: Path, target: Path, *, secrets: bool, key: str | None, replace: bool) -> None:
    """Write a copy of the store, as it is at one moment, into a file that its owner alone can read.

    Others go on meanwhile. Without `secrets`, sealed passwords are left out; `key` goes into it, if it is given.
    Raises `Exists` for a file that is there, unless it may be replaced; `StoreUnusable`.
    """
    if target.exists() and not replace:
        raise Exists("file", str(target))
    if not store.exists():
        raise StoreUnusable(str(store), "there is none yet")
    with whole.copy(store, target.parent) as made:
        if not secrets:
            whole.leave_out_secrets(made)
        elif key is not None:
            whole.put_key(made, key)
        with made.open("rb") as file:
            os.fsync(file.fileno())
        made.replace(target)


def restore(source: Path, store: Path, *, take_key: Callable[[str], None], now: int) -> tuple[Path | None, bool]:
    """Put a backup in the store's place. Returns where the former store is kept, and whether the backup held a key.

    `take_key` is given the key, and may refuse it; nothing has been changed then. The restored store is another one to
    whoever knew the former: sync-tokens and cursors are refused, so that everybody lists anew, and nobody is signed in.
    Raises `StoreUnusable` while a bridge works on the store, and for a file that is no backup, or a newer one.
    """
    store = store.resolve()  # a link stays, and goes on leading to the store
    store.parent.mkdir(parents=True, exist_ok=True)
    with at_work(store) as alone:
        if not alone:
            raise StoreUnusable(str(store), "a bridge is using it: stop it first")
        if not source.exists():
            raise StoreUnusable(str(source), "there is no such file")
        kept = store.with_name(f"{store.name}.before-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}")
        if kept.exists():
            raise Exists("file", str(kept))
        with whole.copy(source, store.parent) as made:
            key = _make_ours(made, source, now=now)
            if store.exists():
                whole.settle(store)
            if key is not None:
                take_key(key)
            was_there = store.exists()
            whole.put_in_place(made, store, kept)
    return kept if was_there else None, key is not None


def _make_ours(made: Path, source: Path, *, now: int) -> str | None:
    db = _opened(made, source)
    with db.write() as tx:
        key = whole.take_key(tx)
        whole.begin_anew(tx)
        head = changes.head(tx)
        changes.record(tx, [news.resync(user, "restored") for user in users.all_users(tx)], now=now)
        whole.renumber(tx, after=head, by=now * LEFT_OUT_PER_SECOND)
        audit.record(tx, "command line", "backup restored", source.name, now=now)
    whole.finish(db)
    return key


def _opened(made: Path, source: Path) -> Db:
    """The copy, brought to this version. Raises `StoreUnusable`, in the name of what it was copied from."""
    if not whole.is_store(made):
        raise StoreUnusable(str(source), "it is a database, but no backup of a bridge")
    try:
        return Db(made)
    except StoreUnusable as error:
        raise StoreUnusable(str(source), error.reason) from error
