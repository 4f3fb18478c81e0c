"""Where in a TOML file something stands: `tomllib` keeps no lines, and a person needs no more than this finds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: ("users", 0, "accounts", 1, "primary")
Path = tuple[str | int, ...]

_KEY = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_SETTING = re.compile(rf"\s*({_DOTTED})\s*=")


@dataclass(frozen=True, slots=True)
class Lines:
    """The line of each table and key, by its path."""

    found: Mapping[Path, int]

    def of(self, path: Path) -> int | None:
        """The line of what is at this path, or first within it, or of the innermost table around it."""
        if path not in self.found:
            within = [line for other, line in self.found.items() if other[: len(path)] == path]
            if path and within:
                return min(within)
        return next((self.found[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.found), None)


def lines_of(text: str) -> Lines:
    """Read a file that may be wrong in any way."""
    found: dict[Path, int] = {}
    # How many tables a list of tables has so far.
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _within(_parts(header[2]), counts, opens=header[1] == "[[")
            found.setdefault(table, number)
        elif setting := _SETTING.match(line):
            found.setdefault((*table, *_parts(setting[1])), number)
    return Lines(found)


def _within(names: list[str], counts: dict[Path, int], *, opens: bool) -> Path:
    """The path of a table: where a list of tables is on the way, the newest one is meant."""
    path: Path = ()
    for position, name in enumerate(names):
        path = (*path, name)
        last = position == len(names) - 1
        if last and opens:
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _parts(dotted: str) -> list[str]:
    return [part[1:-1] if part[0] in "\"'" else part for part in re.findall(_KEY, dotted)]
