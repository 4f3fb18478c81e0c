"""Reading the fields of a request. All problems are reported at once."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic.alias_generators import to_camel

from bridge.domain.time_zones import is_time_zone
from bridge.errors import FieldProblem, Invalid
from bridge.service.book import read_rrule
from bridge.web.shapes.base import Shape
from bridge.web.times import BadTime, Time, parse_day, parse_time

DAY = 86_400
#: The longest single appointment or blocked slot, and the longest span of a listing, in seconds.
LONGEST = 366 * DAY


@dataclass(slots=True)
class Reader:
    """Reads fields, and collects their problems: the first one of each field."""

    problems: list[FieldProblem] = field(default_factory=list)

    def wrong(self, name: str, code: str, detail: str) -> None:
        """Note a problem of a field."""
        if not self.is_wrong(name):
            self.problems.append(FieldProblem(f"/{name}", code, detail))

    def is_wrong(self, name: str) -> bool:
        """Whether a field, or a part of it, has a problem."""
        return any(problem.pointer.split("/")[1] == name for problem in self.problems)

    def done(self) -> None:
        """Raises `Invalid` if there is any problem."""
        if self.problems:
            raise Invalid(tuple(self.problems))

    def not_cleared(self, body: Shape, *names: str) -> None:
        """Note a problem of each of these fields, named as in the shape, that a change sends as null."""
        for name in names:
            if name in body.model_fields_set and getattr(body, name) is None:
                self.wrong(to_camel(name), "invalid_value", "It can be changed, not cleared.")

    def location(self, location_id: str | None) -> str:
        """The location, which is a problem if it is not known."""
        if location_id is None:
            self.wrong("locationId", "missing", "Name the location.")
        return location_id or ""

    def zone(self, name: str | None) -> str | None:
        """A time zone. For an invalid one, UTC is returned, so that the times can be checked as well."""
        if name is not None and not is_time_zone(name):
            self.wrong("timezone", "invalid_time_zone", "Use an IANA time zone name such as Europe/Berlin.")
        return "UTC" if self.is_wrong("timezone") else name

    def time(self, name: str, value: str | float | None, zone: str | None) -> Time | None:
        """An instant; None where none was given, or it is invalid."""
        try:
            return None if value is None else parse_time(value, zone)
        except BadTime as error:
            self.wrong(name, error.code, error.detail)
            return None

    def day(self, name: str, value: str | float | None, zone: str) -> dt.date | None:
        """A day; None where none was given, or it is invalid."""
        try:
            return None if value is None else parse_day(value, zone)
        except BadTime as error:
            self.wrong(name, error.code, error.detail)
            return None

    def order(self, start: int, end: int) -> None:
        """Check that an end is after its start, and not too long after it."""
        if end <= start:
            detail = "The end has to come after the start; of whole days, it is the day after the last."
            self.wrong("endTime", "end_before_start", detail)
        elif end - start > LONGEST:
            self.wrong("endTime", "out_of_range", "366 days at most.")

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """Add the problems of an `Invalid` that is raised within the block to those of this Reader."""
        try:
            yield
        except Invalid as error:
            self.problems += error.problems

    def rrule(self, text: str | None) -> str | None:
        """A recurrence rule in the form in which it is stored."""
        try:
            return read_rrule(text) if text else None
        except Invalid as error:
            self.problems += error.problems
            return None
