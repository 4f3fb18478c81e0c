"""What one request asks of one calendar, noted while Radicale answers it for samples (see `sample`)."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

from bridge.domain.model import Interval
from bridge.store.published import Head


@dataclass(slots=True)
class Asked:
    """What a request asks for. It is filled in while Radicale interprets the request."""

    head: Head
    #: The prefix of paths, if a proxy adds one (SCRIPT_NAME).
    prefix: str = ""
    #: Whether the request is for the calendar itself, rather than for the home that contains it.
    itself: bool = False
    everything: bool = False
    #: The items that changed or were removed after this revision.
    since: int | None = None
    #: Items by name, in order, whether they exist or not.
    names: dict[str, None] = field(default_factory=dict)
    #: Whether the request consists of these names only, each without escapes.
    only_names: bool = False
    #: The items with stored occurrences in this span.
    within: Interval | None = None
    #: Items by name, all of which exist.
    found: list[str] = field(default_factory=list)
    #: The span for which recurrences are to be expanded (CALDAV:expand).
    expand: Interval | None = None
    #: For a free-busy query: the busy times.
    free_busy: bool = False
    busy: list[Interval] = field(default_factory=list)
    #: Whether the calendar is asked for as one file.
    whole: bool = False
    #: Why it is too much to be answered, if it is.
    too_much: str = ""
    #: Whether the answer depends on nothing but the request and the revision.
    lasts: bool = True

    def name(self, hrefs: Iterable[str]) -> None:
        """Add items by name."""
        self.names.update(dict.fromkeys(hrefs))


#: The Asked of the current request; None where Radicale answers for each item itself.
ASKED: ContextVar[Asked | None] = ContextVar("asked", default=None)
