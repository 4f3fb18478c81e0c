"""Changing single properties in the text of an object. Everything else in it stays as it is, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from bridge.domain.ical import content

_ZONE = re.compile(r"^BEGIN:VTIMEZONE\b.*?^END:VTIMEZONE\b[^\n]*\n", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_PHYSICAL = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")


class Edit:
    """The text of an object, for changes to one of its VEVENTs: `number` counts them in order, from 0."""

    def __init__(self, text: str, number: int) -> None:
        self._eol = "\r\n" if "\r\n" in text else "\n"
        #: The logical lines as they are written, with their folds and line ends.
        self._raw = _lines(text)
        self._number = number

    @property
    def text(self) -> str:
        """The text as it is now."""
        return "".join(self._raw)

    def each(self) -> Iterator[int]:
        """Select each of the VEVENTs in turn; afterwards, the one that was selected before."""
        before = self._number
        for number in range(len(self._begins())):
            self._number = number
            yield number
        self._number = before

    def get(self, name: str) -> list[str]:
        """The properties of this name of the selected event (not those of its alarms), as unfolded lines."""
        return [_logical(self._raw[at]) for at in self._own() if self._name(at) == name]

    def set(self, name: str, lines: Iterable[str]) -> None:
        """Replace the selected event's properties of this name by these unfolded lines.

        A line that is there already keeps the form in which it is written.
        """
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

    def add_zones(self, texts: Iterable[str]) -> None:
        """Insert these VTIMEZONEs, as they are written, before the first VEVENT."""
        at = self._begin(0)
        self._raw[at:at] = [line for text in texts for line in _lines(text)]

    def add_after_events(self, texts: Iterable[str]) -> None:
        """Insert these VEVENTs, as they are written, after the last one."""
        at = self._end(len(self._begins()) - 1)
        self._raw[at:at] = [line for text in texts for line in _lines(text)]

    @property
    def whole(self) -> str:
        """The text of the selected event, with everything in it."""
        return "".join(self._raw[self._begin(self._number) : self._end(self._number)])

    def replace(self, number: int, text: str) -> None:
        """Replace the VEVENT with this number by `text`, a VEVENT as it is written."""
        self._raw[self._begin(number) : self._end(number)] = _lines(text)

    def drop(self, number: int) -> None:
        """Remove the VEVENT with this number, with everything in it. It must not be the selected one."""
        del self._raw[self._begin(number) : self._end(number)]
        self._number -= number < self._number

    def _name(self, at: int) -> str:
        return re.split("[:;]", self._raw[at], maxsplit=1)[0].strip().upper()

    def _own(self) -> list[int]:
        """The indexes of the selected event's own properties, without those of its alarms."""
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
        """The index of the line after an event."""
        lines = range(self._begin(number), len(self._raw))
        return 1 + next((at for at in lines if _marks(self._raw[at], "END")), len(self._raw) - 1)

    def _begins(self) -> list[int]:
        return [at for at, raw in enumerate(self._raw) if _marks(raw, "BEGIN")]

    def _end_of_own(self) -> int:
        """The index at which a new property is inserted: before the first alarm, or the end of the event."""
        for at in range(self._begin(self._number) + 1, len(self._raw)):
            if self._name(at) in {"BEGIN", "END"}:
                return at
        return len(self._raw)


def has_master(text: str) -> bool:
    """Whether the object has an event that is not an override. There may be none if a person deleted the series."""
    return len(_overrides(text)) < sum(1 for _ in content.read(text).walk("VEVENT"))


def with_overrides_of(text: str, other: str | None) -> str:
    """The object with its overrides replaced by those of `other`, another version of it; None: by none.

    VTIMEZONEs that only `other` has come with them. An object without a master is replaced as a whole.
    """
    if not has_master(text):
        return text if other is None else other
    edit = Edit(text, 0)
    for number in reversed(_overrides(text)):
        edit.drop(number)
    if other is not None and (overrides := _overrides(other)):
        edit.add_zones(zone for tzid, zone in _zones(other).items() if not edit.defines_zone(tzid))
        edit.add_after_events(Edit(other, number).whole for number in overrides)
    return edit.text


def _overrides(text: str) -> list[int]:
    events = content.read(text).walk("VEVENT")
    return [number for number, component in enumerate(events) if "RECURRENCE-ID" in component.lines]


def _zones(text: str) -> dict[str, str]:
    """The VTIMEZONEs of an object, as they are written, by TZID."""
    found = ((content.read(zone).walk("VTIMEZONE"), zone) for zone in _ZONE.findall(text))
    return {component.value("TZID").strip(): zone for components, zone in found for component in components}


def _lines(text: str) -> list[str]:
    found: list[str] = []
    for physical in _PHYSICAL.findall(text):
        if found and physical[:1] in {" ", "\t"}:
            found[-1] += physical
        else:
            found.append(physical)
    return found


def _marks(raw: str, name: str) -> bool:
    """Whether this line is where an event begins or ends, read as tolerantly as `content.read` does."""
    said, _, what = _logical(raw).partition(":")
    return said.removeprefix("\ufeff").strip().upper() == name and what.strip().upper() == "VEVENT"


def _logical(raw: str) -> str:
    return content.unfold(raw).rstrip("\n").rstrip()


def without_params(params: str, names: Collection[str]) -> str:
    """The parameters as they are written, without those with these names (in upper case)."""
    kept = re.findall(r';[^";=]*=(?:"[^"]*"|[^";])*', params)
    return "".join(p for p in kept if p[1:].partition("=")[0].strip().upper() not in names)
