"""Reads the fields of a request. All that is wrong is said at once."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.domain.time_zones import is_time_zone
from bridge.errors import FieldProblem, Invalid
from bridge.service.book import read_rrule
from bridge.web.times import BadTime, Time, parse_day, parse_time

DAY = 86_400
#: The longest single appointment or blocked slot, and the longest span of a listing, in seconds.
LONGEST = 366 * DAY


@dataclass(slots=True)
class Reader:
    """Reads fields and gathers what is wrong with them: one problem for each field, the first."""

    problems: list[FieldProblem] = field(default_factory=list)

    def wrong(self, name: str, code: str, detail: str) -> None:
        """Note what is wrong with a field."""
        if not self.is_wrong(name):
            self.problems.append(FieldProblem(f"/{name}", code, detail))

    def is_wrong(self, name: str) -> bool:
        """Whether something is known to be wrong with a field, or with part of it."""
        return any(problem.pointer.split("/")[1] == name for problem in self.problems)

    def done(self) -> None:
        """Raises `Invalid` if anything was wrong."""
        if self.problems:
            raise Invalid(tuple(self.problems))

    def location(self, location_id: str | None) -> str:
        """The location, which has to be known by now."""
        if location_id is None:
            self.wrong("locationId", "missing", "Name the location.")
        return location_id or ""

    def zone(self, name: str | None) -> str | None:
        """A time zone. UTC stands in for a wrong one, so that the times are looked at too: nothing comes of it."""
        if name is not None and not is_time_zone(name):
            self.wrong("timezone", "invalid_time_zone", "Use an IANA time zone name such as Europe/Berlin.")
        return "UTC" if self.is_wrong("timezone") else name

    def time(self, name: str, value: str | float | None, zone: str | None) -> Time | None:
        """An instant; None where none was given, or none that can be read."""
        try:
            return None if value is None else parse_time(value, zone)
        except BadTime as error:
            self.wrong(name, error.code, error.detail)
            return None

    def day(self, name: str, value: str | float | None, zone: str) -> dt.date | None:
        """A day; None where none was given, or none that can be read."""
        try:
            return None if value is None else parse_day(value, zone)
        except BadTime as error:
            self.wrong(name, error.code, error.detail)
            return None

    def order(self, start: int, end: int) -> None:
        """An end has to come after its start, and not too long after."""
        if end <= start:
            detail = "The end has to come after the start; of whole days, it is the day after the last."
            self.wrong("endTime", "end_before_start", detail)
        elif end - start > LONGEST:
            self.wrong("endTime", "out_of_range", "366 days at most.")

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """What others find wrong meanwhile is said with the rest."""
        try:
            yield
        except Invalid as error:
            self.problems += error.problems

    def rrule(self, text: str | None) -> str | None:
        """A recurrence rule, as it is kept."""
        try:
            return read_rrule(text) if text else None
        except Invalid as error:
            self.problems += error.problems
            return None
