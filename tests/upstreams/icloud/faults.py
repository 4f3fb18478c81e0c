"""What may go wrong with a request, whatever it asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto


class Drop(Enum):
    """The connection is closed: before anything is done, after it was done, or in the middle of the answer."""

    BEFORE = auto()
    AFTER = auto()
    IN_BODY = auto()


@dataclass(frozen=True, slots=True)
class Cut:
    """The answer is sent as if it were whole, but only so much of it: XML that is not well-formed, or half an event."""

    part: float = 0.5


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing is done and nothing is answered, until the client gives up."""


@dataclass(frozen=True, slots=True)
class Status:
    """Nothing is done. `retry_after` is what the server says, not how long it goes on."""

    status: int
    retry_after: str | None = None


Fault = Drop | Cut | Hang | Status


@dataclass(slots=True)
class Planned:
    """A fault to come: at the `nth` request that fits, and the `times` - 1 that follow."""

    fault: Fault
    method: str | None
    path: str
    nth: int
    times: int
    met: int = 0


@dataclass(slots=True)
class Faults:
    """What is to go wrong, in the order in which it was asked for."""

    planned: list[Planned] = field(default_factory=list)

    def meet(self, method: str, path: str) -> Fault | None:
        """What happens to this request."""
        found = None
        for planned in list(self.planned):
            if planned.method not in {None, method} or not path.startswith(planned.path):
                continue
            planned.met += 1
            if planned.met >= planned.nth and found is None:
                found = planned.fault
            if planned.met >= planned.nth + planned.times - 1:
                self.planned.remove(planned)
        return found
