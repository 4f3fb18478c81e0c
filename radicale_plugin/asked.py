"""What one request asks of one calendar, while Radicale answers it for samples (see `sample`)."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

from bridge.domain.model import Interval
from bridge.store.published import Head


@dataclass(slots=True)
class Asked:
    """Filled in as the request is understood. The items that are asked for: all, those changed since, or by name."""

    head: Head
    #: What the world's paths begin with, before ours.
    prefix: str = ""
    #: Whether the request is for the calendar itself, rather than for the home that it is in.
    itself: bool = False
    everything: bool = False
    #: Those that changed or went after this revision.
    since: int | None = None
    #: By name, whether there or not, in order.
    names: dict[str, None] = field(default_factory=dict)
    #: Whether all there is to the request is these names, each spelled as it is.
    only_names: bool = False
    #: Those with something in this span, all of which is stored.
    within: Interval | None = None
    #: By name, all of them there.
    found: list[str] = field(default_factory=list)
    #: Recurrences are to be written out, for this span.
    expand: Interval | None = None
    #: Only busy times are asked for: these.
    free_busy: bool = False
    busy: list[Interval] = field(default_factory=list)
    #: Whether the whole calendar is asked for as one file.
    whole: bool = False
    #: Why it is too much to be answered, if it is.
    too_much: str = ""
    #: Whether the answer depends on nothing but the revision.
    lasts: bool = True

    def name(self, hrefs: Iterable[str]) -> None:
        """Add items by name."""
        self.names.update(dict.fromkeys(hrefs))


#: Of the request at hand; None where Radicale is to answer for each item itself.
ASKED: ContextVar[Asked | None] = ContextVar("asked", default=None)
