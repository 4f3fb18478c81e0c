"""Recurring items past the horizon up to which their occurrences are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.domain import ical
from bridge.domain.model import Interval, PublishedItem

#: Nobody looks at more than this at once, in seconds; to expand rules without end over more would take minutes.
_LONGEST = 10 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Expansion:
    """The occurrences of one item in a span of which not all are stored, computed from its text."""

    item: PublishedItem
    span: Interval
    time_zone: str

    @property
    def _clipped(self) -> Interval:
        end = self.span.end if self.item.last_end is None else min(self.span.end, self.item.last_end)
        return Interval(max(self.span.start, self.item.first_start), end)

    @property
    def _too_long(self) -> bool:
        return self._clipped.end - self._clipped.start > _LONGEST

    def touches(self) -> bool:
        """Whether there is one. Over more than ten years, which a rule hardly skips, taken for granted."""
        return self._too_long or any(True for _ in self.times())

    def times(self) -> Iterator[Interval]:
        """All of them. Raises `ValueError` over more than ten years."""
        if self._too_long:
            raise ValueError("recurring events are not expanded over more than ten years")
        for occurrence in ical.occurrences(self.item.ics, self._clipped, time_zone=self.time_zone):
            yield Interval(occurrence.start, occurrence.end)
