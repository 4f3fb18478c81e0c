"""The merged calendar as it is shown to Radicale: one sample item in place of all items that a request asks for."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from radicale.app.report import test_filter as passes
from radicale.item import Item

from bridge.domain.hours import merged
from bridge.domain.model import Interval
from bridge.store import calendar_file, occurrences, published
from bridge.store.db import Db
from radicale_plugin.asked import Asked
from radicale_plugin.collection import MergedCalendar
from radicale_plugin.expansion import Effort, Expansion, TooMuch
from radicale_plugin.filters import Wanted, understand
from radicale_plugin.sample import ABSENT, PRESENT, Measured, Sample

#: How many busy times are held in memory at a time, besides the joined ones.
_AT_ONCE = 10_000


class SampledCalendar(MergedCalendar):
    """Notes which items are asked for, and answers with samples."""

    def __init__(self, db: Db, asked: Asked) -> None:
        super().__init__(db, asked.head)
        self._asked = asked

    def children(self) -> Iterator[Item]:
        """A sample. It notes that every item is asked for."""
        self._asked.everything = True
        yield self._sample()

    def sync(self, old_token: str = "") -> tuple[str, Iterable[str]]:
        """The current token, and samples of a changed and of a removed item."""
        if not old_token:
            self._asked.everything = True
            return self.token, (PRESENT,)
        since = self._revision_of(old_token)
        if since == self._head.revision:
            return self.token, ()
        self._asked.since = since
        return self.token, (PRESENT, ABSENT)

    def get_multi(self, hrefs: Iterable[str]) -> Iterator[tuple[str, Item | None]]:
        """Samples of an item that exists, and of one that does not."""
        given = list(hrefs)
        self._asked.name(href for href in given if href not in {PRESENT, ABSENT})
        self._asked.lasts &= not self._asked.names
        if self._asked.names or ABSENT in given:
            yield ABSENT, None
        if self._asked.names or PRESENT in given:
            yield PRESENT, self._sample()

    def get_filtered(self, filters: Iterable[ET.Element]) -> Iterator[tuple[Item, bool]]:
        """A sample, if any item may match."""
        given = list(filters)
        try:
            yield from self._sampled(given)
        except TooMuch as e:
            self._asked.too_much = str(e)

    def _sampled(self, given: list[ET.Element]) -> Iterator[tuple[Item, bool]]:
        wanted = understand(given)
        if self._asked.free_busy:
            self._asked.busy = [] if wanted is None or wanted.span is None else self._busy(wanted.span)
            return
        if wanted == Wanted():
            self._asked.everything = True
        elif wanted is not None:
            self._asked.lasts = False
            self._look_for(wanted, given)
        # Where items are named in addition to the calendar itself, they have added the sample already.
        if wanted is not None and not self._asked.names:
            yield self._sample(), True

    def serialize(self, vcf_to_ics: bool = False, ShareActions: dict[str, object] | None = None) -> str:  # noqa: N803
        """An empty text: for GET, the calendar is filled in later; otherwise it reports the calendar's length."""
        if self._asked.whole:
            self._asked.everything = True
            return ""
        with self._db.read() as tx:
            return Measured("", sum(map(len, calendar_file.chunks(tx, self._head.user_id))))

    def _look_for(self, wanted: Wanted, filters: list[ET.Element]) -> None:
        """Note which items match."""
        span = wanted.span
        if span is None or wanted.properties or not wanted.exact:
            self._asked.found = [
                item.href
                for item, certain in super().get_filtered(filters)
                if certain or all(passes("VCALENDAR", item, one) for one in filters)
            ]
            return
        with self._db.read() as tx:
            beyond = published.unexpanded(tx, self._head.user_id, span)
            found = dict.fromkeys(occurrences.touching(tx, self._head.user_id, span) if beyond else ())
        if not beyond:
            self._asked.within = span
        effort = Effort()
        for item in beyond:
            if item.href not in found and Expansion(item, span, self._head.time_zone, effort).touches():
                found[item.href] = None
        self._asked.found = list(found)

    def _busy(self, span: Interval) -> list[Interval]:
        """The busy times in the span, cut to it, in order; those that overlap or touch are joined."""
        user_id, effort = self._head.user_id, Effort()
        joined: list[tuple[int, int]] = []
        with self._db.read() as tx:
            beyond = published.unexpanded(tx, user_id, span)
            computed = (one for item in beyond for one in Expansion(item, span, self._head.time_zone, effort).times())
            stored = occurrences.taken(tx, user_id, span, leave_out=[item.href for item in beyond])
            times = chain(stored, ((one.start, one.end) for one in computed))
            while some := list(islice(times, _AT_ONCE)):
                joined = merged([*joined, *((start, end) for start, end in some if start < end)])
        cut = ((max(start, span.start), min(end, span.end)) for start, end in joined)
        return [Interval(start, end) for start, end in cut if start < end]

    def _sample(self) -> Sample:
        return Sample(collection=self, last_modified=self.last_modified)
