"""Storage: collections from the store, which can't be written through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

from radicale import config
from radicale.item import Item
from radicale.storage import BaseCollection, BaseStorage

from bridge.store import published
from bridge.store.db import Tx
from radicale_plugin.asked import ASKED, Asked
from radicale_plugin.collection import Folder, MergedCalendar
from radicale_plugin.sampled_calendar import SampledCalendar
from radicale_plugin.settings import open_store
from radicale_plugin.tree import CALENDAR

#: The heads that were read in the current snapshot; None outside of one.
_SEEN: ContextVar[dict[str, published.Head | None] | None] = ContextVar("seen", default=None)


class Storage(BaseStorage):  # type: ignore[misc] # Radicale is not typed for others
    """The merged calendars of all Users. Each request sees one snapshot of the store; there is no lock to wait for."""

    _supports_unicode = True
    _supports_trailing_whitespace = True
    _supports_problematic_chars = True

    def __init__(self, configuration: config.Configuration) -> None:
        super().__init__(configuration)
        self._db = open_store(configuration)

    def discover(
        self,
        path: str,
        depth: str = "0",
        child_context_manager: Callable[[str, str | None], AbstractContextManager[None]] | None = None,
        user_groups: set[str] = frozenset(),  # type: ignore[assignment] # as in the base class, unused
    ) -> Iterator[BaseCollection | Item]:
        """What is at `path`, which Radicale has sanitized; with a depth, also its children. The root lists none."""
        parts = path.strip("/").split("/")
        if parts == [""]:
            yield Folder("")
            return
        head = self.head(parts[0])
        if head is None:
            return
        asked = ASKED.get()
        match parts[1:]:
            case []:
                yield Folder(parts[0])
                if depth != "0":
                    yield self._calendar(head, asked)
            case [name] if name == CALENDAR:
                calendar = self._calendar(head, asked)
                yield calendar
                if depth != "0":
                    yield from calendar.children()
            case [name, href] if name == CALENDAR:
                single = MergedCalendar(self._db, head).get_multi([href])
                yield from (item for _, item in single if item is not None)

    def _calendar(self, head: published.Head, asked: Asked | None) -> MergedCalendar:
        return MergedCalendar(self._db, head) if asked is None else SampledCalendar(self._db, asked)

    def head(self, user_id: str) -> published.Head | None:
        """The state of a User's merged calendar; read once per snapshot."""
        seen = _SEEN.get()
        if seen is None or user_id not in seen:
            with self._db.read() as tx:
                found = published.head(tx, user_id)
            if seen is None:
                return found
            seen[user_id] = found
        return seen[user_id]

    @contextmanager
    def snapshot(self) -> Iterator[Tx]:
        """One snapshot of the store for everything that is read within the block."""
        with self._db.read() as tx:
            before = _SEEN.set({}) if _SEEN.get() is None else None
            try:
                yield tx
            finally:
                if before is not None:
                    _SEEN.reset(before)

    @contextmanager
    def acquire_lock(self, mode: str, user: str = "", *args: Any, **kwargs: Any) -> Iterator[None]:
        """One snapshot for everything that the request reads. There is no lock."""
        with self._db.read():
            yield

    def move(self, item: Item, to_collection: BaseCollection, to_href: str) -> NoReturn:
        """Refused; rights refuse it before."""
        raise PermissionError("the merged calendar is read-only")

    def create_collection(
        self, href: str, items: Iterable[Item] | None = None, props: Mapping[str, str] | None = None
    ) -> NoReturn:
        """Refused; rights refuse it before."""
        raise PermissionError("the merged calendar is read-only")

    def verify(self) -> bool:
        """Whether the store can be read."""
        with self._db.read() as tx:
            return bool(tx.execute("PRAGMA quick_check").fetchone()[0] == "ok")
