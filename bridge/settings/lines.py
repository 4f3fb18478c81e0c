"""The lines of tables and keys in a TOML file, for error messages: `tomllib` does not keep them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.domain.declared import Place

_KEY = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_SETTING = re.compile(rf"\s*({_DOTTED})\s*=")


@dataclass(frozen=True, slots=True)
class Lines:
    """The line of each table and key, by its place."""

    found: Mapping[Place, int]

    def of(self, place: Place) -> int | None:
        """The line of this place; otherwise the first line within it; otherwise that of the table around it."""
        if place not in self.found:
            within = [line for other, line in self.found.items() if other[: len(place)] == place]
            if place and within:
                return min(within)
        return next((self.found[place[:n]] for n in range(len(place), 0, -1) if place[:n] in self.found), None)


def lines_of(text: str) -> Lines:
    """The lines of a file that need not be valid TOML."""
    found: dict[Place, int] = {}
    # How many tables each list of tables has so far.
    counts: dict[Place, int] = {}
    table: Place = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _within(_parts(header[2]), counts, opens=header[1] == "[[")
            found.setdefault(table, number)
        elif setting := _SETTING.match(line):
            found.setdefault((*table, *_parts(setting[1])), number)
    return Lines(found)


def _within(names: list[str], counts: dict[Place, int], *, opens: bool) -> Place:
    """The place of a table. A name of a list of tables means the newest table of that list."""
    place: Place = ()
    for position, name in enumerate(names):
        place = (*place, name)
        last = position == len(names) - 1
        if last and opens:
            counts[place] = counts.get(place, 0) + 1
        if place in counts:
            place = (*place, counts[place] - 1)
    return place


def _parts(dotted: str) -> list[str]:
    return [part[1:-1] if part[0] in "\"'" else part for part in re.findall(_KEY, dotted)]
