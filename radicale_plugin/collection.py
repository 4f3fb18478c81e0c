"""Radicale's collections: the root, the principals, and the merged calendars."""

from __future__ import annotations

import email.utils
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, NoReturn

from radicale.item import Item
from radicale.item import filter as radicale_filter
from radicale.storage import BaseCollection

from bridge import CALENDAR_DESCRIPTION, CALENDAR_NAME
from bridge.domain.model import Interval, PublishedItem
from bridge.store import calendar_file, occurrences, published
from bridge.store.db import Db
from radicale_plugin.busy import BusyItem
from radicale_plugin.expansion import Effort, Expansion, TooMuch
from radicale_plugin.filters import Wanted, understand
from radicale_plugin.properties import has
from radicale_plugin.tree import CALENDAR, COLOUR

#: The beginning of a sync-token; the store's id, the User's id and number, and the revision follow.
_TOKEN = "urn:crm-calendar-bridge:sync:"  # noqa: S105 - not a password

#: At most this many events are parsed for one request; each takes milliseconds.
_MOST_PARSED = 1_000
#: How many items are read at a time.
_AT_ONCE = 500

#: Returns the times of one item in the span that was asked for.
Times = Callable[[], Iterable[Interval]]


class _Collection(BaseCollection):  # type: ignore[misc] # Radicale is not typed for others
    """A collection that can't be changed."""

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def path(self) -> str:
        """The path without slashes at its ends."""
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


class Folder(_Collection):
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


class MergedCalendar(_Collection):
    """One User's merged calendar at one revision."""

    def __init__(self, db: Db, head: published.Head) -> None:
        super().__init__(f"{head.user_id}/{CALENDAR}")
        self._db = db
        self._head = head
        self._last_modified = email.utils.formatdate(head.changed_at, usegmt=True)

    @property
    def etag(self) -> str:
        """The ctag of the collection, which is the revision."""
        return f'"{self._head.store_id}-{self._head.number}-{self._head.revision}"'

    @property
    def last_modified(self) -> str:
        """The time of the last revision."""
        return self._last_modified

    def get_meta(self, key: str | None = None) -> Any:
        """The calendar's properties."""
        meta = {
            "tag": "VCALENDAR",
            "D:displayname": CALENDAR_NAME,
            "C:calendar-description": CALENDAR_DESCRIPTION,
            "C:supported-calendar-component-set": "VEVENT",
            "ICAL:calendar-color": COLOUR,
        }
        return meta if key is None else meta.get(key)

    def sync(self, old_token: str = "") -> tuple[str, Iterable[str]]:
        """The current token, and the hrefs of the items that changed or were removed since the old one (RFC 6578).

        Raises `ValueError` for a token of another store, from the future, or older than the kept tombstones. Without an
        old token the hrefs are looked up only when they are asked for: a PROPFIND wants the token alone.
        """
        if not old_token:
            return self.token, self._all_hrefs()
        since = self._revision_of(old_token)
        if since == self._head.revision:
            return self.token, ()
        with self._db.read() as tx:
            return self.token, published.changed_since(tx, self._head.user_id, since)

    @property
    def token(self) -> str:
        """The sync-token of the revision."""
        return f"{self._lead}{self._head.revision}"

    @property
    def _lead(self) -> str:
        return f"{_TOKEN}{self._head.store_id}:{self._head.user_id}:{self._head.number}:"

    def _revision_of(self, token: str) -> int:
        number = token.removeprefix(self._lead)
        if not token.startswith(self._lead) or not number.isascii() or not number.isdigit():
            raise ValueError("not a sync-token of this calendar")
        revision = int(number)
        if not self._head.tombstones_from <= revision <= self._head.revision:
            raise ValueError("a sync-token from before what is kept, or from the future")
        return revision

    def _all_hrefs(self) -> Iterator[str]:
        with self._db.read() as tx:
            hrefs = published.all_hrefs(tx, self._head.user_id)
        yield from hrefs

    def get_multi(self, hrefs: Iterable[str]) -> Iterator[tuple[str, Item | None]]:
        """The items with these hrefs; None for those that do not exist."""
        wanted = list(hrefs)
        with self._db.read() as tx:
            found = {item.href: item for item in published.get(tx, self._head.user_id, wanted)}
        for href in wanted:
            yield href, self._item(found[href]) if href in found else None

    def get_all(self) -> Iterator[Item]:
        """Every item."""
        with self._db.read() as tx:
            yield from map(self._item, published.all_items(tx, self._head.user_id))

    def children(self) -> Iterator[Item]:
        """The items that a listing of the calendar shows."""
        return self.get_all()

    def serialize(self, vcf_to_ics: bool = False, ShareActions: dict[str, object] | None = None) -> str:  # noqa: N803
        """The whole calendar as one text. The arguments, which are Radicale's, are for address books."""
        with self._db.read() as tx:
            return b"".join(calendar_file.chunks(tx, self._head.user_id)).decode()

    def get_filtered(self, filters: Iterable[ET.Element]) -> Iterator[tuple[Item, bool]]:
        """The items that may match, each with whether it is known to match, so that Radicale need not parse it."""
        wanted = understand(list(filters))
        if wanted is None:
            return
        uncertain = 0
        for item, times in self._candidates(wanted):
            if wanted.properties and not has(item.ics, wanted.properties):
                continue
            uncertain += not wanted.exact
            if uncertain > _MOST_PARSED:
                raise TooMuch("too many events to be parsed one by one")
            if times is None or not wanted.exact:
                yield self._item(item), wanted.exact
            else:
                yield self._busy_item(item, times), True

    def _candidates(self, wanted: Wanted) -> Iterator[tuple[PublishedItem, Times | None]]:
        """The items to look at; with a time range, also their times in it."""
        user_id, span, uid = self._head.user_id, wanted.span, wanted.uid
        if span is not None:
            yield from self._within(span)
            return
        with self._db.read() as tx:
            for item in published.with_uid_like(tx, user_id, uid) if uid else published.all_items(tx, user_id):
                yield item, None

    def _within(self, span: Interval) -> Iterator[tuple[PublishedItem, Times]]:
        """The items that touch the span, by their stored occurrences and, outside the horizon, by computed ones."""
        user_id, effort = self._head.user_id, Effort()
        with self._db.read() as tx:
            beyond = {item.href: item for item in published.unexpanded(tx, user_id, span)}
            stored = occurrences.touching(tx, user_id, span)
            touching = set()
            while some := list(islice(stored, _AT_ONCE)):
                touching |= beyond.keys() & some
                some = [href for href in some if href not in beyond]
                times = occurrences.of_items(tx, user_id, some, span)
                for item in published.get(tx, user_id, some):
                    yield item, partial(times.__getitem__, item.href)
        for item in beyond.values():
            further = Expansion(item, span, self._head.time_zone, effort)
            if item.href in touching or further.touches():
                yield item, further.times

    def _item(self, item: PublishedItem) -> Item:
        return Item(**self._facts(item))

    def _busy_item(self, item: PublishedItem, times: Times) -> BusyItem:
        return BusyItem(times, **self._facts(item))

    def _facts(self, item: PublishedItem) -> dict[str, Any]:
        """The facts about an item that Radicale would otherwise get by parsing it."""
        end = radicale_filter.TIMESTAMP_MAX if item.last_end is None else item.last_end
        return {
            "collection": self,
            "href": item.href,
            "text": item.ics,
            "etag": item.etag,
            "uid": item.uid,
            "name": "VCALENDAR",
            "component_name": "VEVENT",
            "time_range": (item.first_start, end),
            "last_modified": self._last_modified,
        }
