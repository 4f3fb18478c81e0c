"""The shape of a problem."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from bridge.web.shapes.base import Shape


class WrongField(Shape):
    """What is wrong with one field of a request, with its JSON pointer."""

    pointer: str
    code: str
    detail: str


class InTheWay(Shape):
    """What takes the time already, without its title."""

    start: AwareDatetime
    end: AwareDatetime
    kind: str


class ProblemAnswer(Shape):
    """A problem (RFC 9457), with HighLevel's keys added. `code` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    trace_id: str
    status_code: int
    message: str
    error: str
    errors: list[WrongField] | None = None
    conflicts: list[InTheWay] | None = None
    reason: str | None = None
    user_ids: list[str] | None = None
    existing_id: str | None = None
    current_version: int | None = Field(default=None)
