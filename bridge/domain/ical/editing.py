"""Changing single properties of an object's text, so that all the rest stays as it is, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from bridge.domain.ical import content

_PHYSICAL = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")


class Edit:
    """The text of an object, open for changes to one of its VEVENTs (the first, second … in order)."""

    def __init__(self, text: str, number: int) -> None:
        self._eol = "\r\n" if "\r\n" in text else "\n"
        #: Logical lines as they are written, folds and line ends included.
        self._raw = _lines(text)
        self._number = number

    @property
    def text(self) -> str:
        """The text as it is now."""
        return "".join(self._raw)

    def each(self) -> Iterator[int]:
        """Open each of the VEVENTs in turn, and in the end the one again that was open."""
        before = self._number
        for number in range(len(self._begins())):
            self._number = number
            yield number
        self._number = before

    def get(self, name: str) -> list[str]:
        """The event's own properties of that name, as logical lines."""
        return [_logical(self._raw[at]) for at in self._own() if self._name(at) == name]

    def set(self, name: str, lines: Iterable[str]) -> None:
        """Put these logical lines in the place of the event's properties of that name; what is there already stays."""
        wanted = list(lines)
        places = [at for at in self._own() if self._name(at) == name]
        there = [_logical(self._raw[at]) for at in places]
        if there == wanted:
            return
        as_written = {line: self._raw[at] for line, at in zip(there, places, strict=True)}
        new = [as_written.get(line) or content.fold(line, self._eol) for line in wanted]
        begin = places[0] if places else self._end_of_own()
        for at in reversed(places):
            del self._raw[at]
        self._raw[begin:begin] = new

    def defines_zone(self, tzid: str) -> bool:
        """Whether the object has a VTIMEZONE of that name."""
        return any(z.value("TZID").strip() == tzid for z in content.read(self.text).walk("VTIMEZONE"))

    def add_before_events(self, lines: Iterable[str]) -> None:
        """Insert logical lines before the first VEVENT."""
        at = self._begin(0)
        self._raw[at:at] = [content.fold(line, self._eol) for line in lines]

    def add_after_events(self, texts: Iterable[str]) -> None:
        """Insert VEVENTs as they are written, after the last one."""
        at = self._end(len(self._begins()) - 1)
        self._raw[at:at] = [line for text in texts for line in _lines(text)]

    @property
    def whole(self) -> str:
        """The event as it is written, with all that is in it."""
        return "".join(self._raw[self._begin(self._number) : self._end(self._number)])

    def replace(self, number: int, text: str) -> None:
        """Put a VEVENT as it is written in the place of another."""
        self._raw[self._begin(number) : self._end(number)] = _lines(text)

    def drop(self, number: int) -> None:
        """Take another of the VEVENTs out, with all that is in it."""
        del self._raw[self._begin(number) : self._end(number)]
        self._number -= number < self._number

    def _name(self, at: int) -> str:
        return re.split("[:;]", self._raw[at], maxsplit=1)[0].strip().upper()

    def _own(self) -> list[int]:
        """Where the properties of the event itself are: not those of its alarms."""
        begin = self._begin(self._number)
        depth, found = 0, []
        for at in range(begin + 1, len(self._raw)):
            name = self._name(at)
            if name == "BEGIN":
                depth += 1
            elif name == "END":
                if depth == 0:
                    break
                depth -= 1
            elif depth == 0:
                found.append(at)
        return found

    def _begin(self, number: int) -> int:
        return self._begins()[number]

    def _end(self, number: int) -> int:
        """Where what follows an event begins."""
        lines = range(self._begin(number), len(self._raw))
        return 1 + next((at for at in lines if _logical(self._raw[at]).upper() == "END:VEVENT"), len(self._raw) - 1)

    def _begins(self) -> list[int]:
        return [at for at, raw in enumerate(self._raw) if _logical(raw).upper() == "BEGIN:VEVENT"]

    def _end_of_own(self) -> int:
        """Where a new property goes: before the first alarm, or the event's end."""
        for at in range(self._begin(self._number) + 1, len(self._raw)):
            if self._name(at) in {"BEGIN", "END"}:
                return at
        return len(self._raw)


def _lines(text: str) -> list[str]:
    found: list[str] = []
    for physical in _PHYSICAL.findall(text):
        if found and physical[:1] in {" ", "\t"}:
            found[-1] += physical
        else:
            found.append(physical)
    return found


def _logical(raw: str) -> str:
    return content.unfold(raw).rstrip("\n").rstrip()


def without_params(params: str, names: Collection[str]) -> str:
    """Parameters as they are written, less those."""
    kept = re.findall(r';[^";=]*=(?:"[^"]*"|[^";])*', params)
    return "".join(p for p in kept if p[1:].partition("=")[0].strip().upper() not in names)
