"""Collections: the folders on the way, and the merged calendar itself. Nothing here parses iCalendar text."""

from __future__ import annotations

import email.utils
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from radicale.item import Item
from radicale.item import filter as radicale_filter
from radicale.storage import BaseCollection

from bridge.domain import ical
from bridge.domain.model import Interval, Occurrence, PublishedItem
from bridge.store import published
from bridge.store.db import Db
from radicale_plugin.busy import BusyTimes
from radicale_plugin.filters import understand
from radicale_plugin.tree import CALENDAR, COLOUR, DESCRIPTION, DISPLAY_NAME

#: What leads a sync-token; then the store's id and the revision.
_TOKEN = "urn:crm-calendar-bridge:sync:"  # noqa: S105 - not a password


class _ReadOnly(BaseCollection):  # type: ignore[misc] # Radicale is not typed for others
    """A collection that can't be changed."""

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def path(self) -> str:
        """Without slashes at its ends."""
        return self._path

    def upload(self, href: str, item: Item) -> NoReturn:
        """Refused; rights refuse it before."""
        raise PermissionError("the merged calendar is read-only")

    def delete(self, href: str | None = None) -> NoReturn:
        """Refused; rights refuse it before."""
        raise PermissionError("the merged calendar is read-only")

    def set_meta(self, props: Mapping[str, str]) -> NoReturn:
        """Refused; rights refuse it before."""
        raise PermissionError("the merged calendar is read-only")


class Folder(_ReadOnly):
    """The root, or a User's principal."""

    def get_all(self) -> Iterable[Item]:
        """A folder holds no items."""
        return ()

    def get_multi(self, hrefs: Iterable[str]) -> Iterable[tuple[str, Item | None]]:
        """A folder holds no items."""
        return ((href, None) for href in hrefs)

    def get_meta(self, key: str | None = None) -> Any:
        """A folder has no properties."""
        return {} if key is None else None

    @property
    def etag(self) -> str:
        """Never changes."""
        return '"folder"'

    @property
    def last_modified(self) -> str:
        """Never changes."""
        return email.utils.formatdate(0, usegmt=True)


class MergedCalendar(_ReadOnly):
    """One User's merged calendar at one revision."""

    def __init__(self, db: Db, head: published.Head) -> None:
        super().__init__(f"{head.user_id}/{CALENDAR}")
        self._db = db
        self._head = head

    @property
    def etag(self) -> str:
        """Of the whole collection, the ctag: the revision."""
        return f'"{self._head.store_id}-{self._head.revision}"'

    @property
    def last_modified(self) -> str:
        """When the revision last rose."""
        return email.utils.formatdate(self._head.changed_at, usegmt=True)

    def get_meta(self, key: str | None = None) -> Any:
        """The calendar's properties."""
        meta = {
            "tag": "VCALENDAR",
            "D:displayname": DISPLAY_NAME,
            "C:calendar-description": DESCRIPTION,
            "C:supported-calendar-component-set": "VEVENT",
            "ICAL:calendar-color": COLOUR,
        }
        return meta if key is None else meta.get(key)

    def sync(self, old_token: str = "") -> tuple[str, Iterable[str]]:
        """The current token, and the hrefs of what changed or went since the old one (RFC 6578).

        Raises `ValueError` for a token of another store, from the future, or older than the kept tombstones. Without an
        old token the hrefs are looked up only when they are asked for: a PROPFIND wants the token alone.
        """
        token = f"{_TOKEN}{self._head.store_id}:{self._head.revision}"
        if not old_token:
            return token, self._all_hrefs()
        since = self._revision_of(old_token)
        if since == self._head.revision:
            return token, ()
        with self._db.read() as tx:
            return token, published.changed_since(tx, self._head.user_id, since)

    def _revision_of(self, token: str) -> int:
        prefix = f"{_TOKEN}{self._head.store_id}:"
        number = token.removeprefix(prefix)
        if not token.startswith(prefix) or not number.isascii() or not number.isdigit():
            raise ValueError("not a sync-token of this calendar")
        revision = int(number)
        if not self._head.tombstones_from <= revision <= self._head.revision:
            raise ValueError("a sync-token from before what is kept, or from the future")
        return revision

    def _all_hrefs(self) -> Iterator[str]:
        with self._db.read() as tx:
            yield from published.hrefs_with_prefix(tx, self._head.user_id, "")

    def get_multi(self, hrefs: Iterable[str]) -> Iterator[tuple[str, Item | None]]:
        """The items with these hrefs; None for those that are not there."""
        wanted = list(hrefs)
        with self._db.read() as tx:
            found = {item.href: item for item in published.get(tx, self._head.user_id, wanted)}
        for href in wanted:
            yield href, self._item(found[href]) if href in found else None

    def get_all(self) -> Iterator[Item]:
        """Every item."""
        with self._db.read() as tx:
            items = published.all_items(tx, self._head.user_id)
        return (self._item(item) for item in items)

    def get_filtered(self, filters: Iterable[ET.Element]) -> Iterator[tuple[Item, bool]]:
        """The items that may match, each with whether it certainly does: what is certain needs no parsing."""
        wanted = understand(list(filters))
        if wanted is None:
            return
        span = wanted.span
        if span is None:
            for item in self.get_all():
                yield item, wanted.exact
            return
        for item, times in self._within(span):
            if times or not wanted.exact:
                yield self._item(item, BusyTimes(times)), wanted.exact

    def _within(self, span: Interval) -> Iterator[tuple[PublishedItem, list[Occurrence]]]:
        """The items that touch the span, with their occurrences in it: stored ones, computed ones past the horizon."""
        with self._db.read() as tx:
            items = published.overlapping(tx, self._head.user_id, span)
            stored: dict[str, list[Occurrence]] = {}
            for busy in published.busy(tx, self._head.user_id, span):
                stored.setdefault(busy.href, []).append(Occurrence(busy.start, busy.end, busy.all_day))
        for item in items:
            if item.expanded is None or (item.expanded.start <= span.start and span.end <= item.expanded.end):
                yield item, stored.get(item.href, [])
            else:
                yield item, list(ical.occurrences(item.ics, span, time_zone=self._head.time_zone))

    def has_uid(self, uid: str) -> bool:
        """Whether an item has this UID."""
        return any(item.uid == uid for item in self.get_all())

    def _item(self, item: PublishedItem, busy: BusyTimes | None = None) -> Item:
        end = radicale_filter.TIMESTAMP_MAX if item.last_end is None else item.last_end
        return Item(
            collection=self,
            href=item.href,
            text=item.ics,
            etag=item.etag,
            uid=item.uid,
            name="VCALENDAR",
            component_name="VEVENT",
            time_range=(item.first_start, end),
            last_modified=self.last_modified,
            # Answers free-busy without parsing; None: Radicale parses the text if it ever needs more.
            vobject_item=busy,
        )
