"""Content lines and components (RFC 5545 section 3.1): read tolerantly, written strictly.

Only the properties that the bridge needs are read. So nothing else in an object can make it unreadable, and reading an
ordinary event takes microseconds.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

#: The properties that mean something to the bridge; all others are skipped.
_WANTED = frozenset(
    {
        *("UID", "SUMMARY", "DESCRIPTION", "LOCATION", "CLASS", "STATUS", "TRANSP", "ATTENDEE", "ORGANIZER"),
        *("DTSTART", "DTEND", "DURATION", "RRULE", "EXRULE", "RDATE", "EXDATE", "RECURRENCE-ID"),
        "X-APPLE-TRAVEL-DURATION",
        *("TZID", "TZOFFSETFROM", "TZOFFSETTO", "TZNAME"),
    }
)
_COLON = re.compile(r'(?:[^":]|"[^"]*")*?:')
#: Where the value of a date property begins, when an unquoted colon in a parameter (TZID=GMT+01:00) hides it.
_DATE_VALUE = re.compile(r":(?=\d{4}-?\d\d-?\d\d)")
_DATES = frozenset({"DTSTART", "DTEND", "RECURRENCE-ID", "RDATE", "EXDATE"})
_PARAM = re.compile(r';\s*([A-Za-z0-9-]+)\s*=\s*("[^"]*"|[^;]*)')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
#: The first and the last instant that `datetime` can express, as Unix seconds; the last is a day early, so that it can
#: be expressed in every time zone.
_FIRST, LAST = -62_135_596_800, 253_402_214_400
#: Characters that a text value can't contain even when escaped (RFC 5545 section 3.1: CONTROL).
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_DURATION = re.compile(
    r"([+-]?)P(?:(\d{1,15})W)?(?:(\d{1,15})D)?(?:T(?:(\d{1,15})H)?(?:(\d{1,15})M)?(?:(\d{1,15})S)?)?", re.IGNORECASE
)


class Line(NamedTuple):
    """One content line: its name in upper case, its parameters as written (with their semicolons), its value."""

    name: str
    params: str
    value: str

    def param(self, name: str) -> str | None:
        """A parameter's value without its quotes; None when it is not there. `name` in upper case."""
        for key, value in _PARAM.findall(self.params) if self.params else ():
            if key.upper() == name:
                return str(value).strip().strip('"')
        return None


class Component:
    """A component: its name in upper case, its lines by name (only `_WANTED` ones), and the components in it."""

    __slots__ = ("lines", "name", "parts")

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[str, list[Line]] = {}
        self.parts: list[Component] = []

    def all(self, name: str) -> list[Line]:
        """Every line of that name, in order."""
        return self.lines.get(name, [])

    def value(self, name: str) -> str:
        """The first value of that name that is not empty, else an empty string."""
        for line in self.lines.get(name, ()):
            if line.value.strip():
                return line.value
        return ""

    def walk(self, name: str) -> Iterator[Component]:
        """Every component of that name, at any depth, in order."""
        for part in self.parts:
            if part.name == name:
                yield part
            yield from part.walk(name)


def unfold(text: str) -> str:
    """The text with each logical line on one line (RFC 5545 section 3.1), and LF as line end."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\n " in text or "\n\t" in text:
        text = text.replace("\n ", "").replace("\n\t", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        # A fold stood between the octets of one character, and was read with "surrogateescape". Unfolding has put the
        # octets together again.
        text = text.encode(errors="surrogateescape" if _only_octets(text) else "replace").decode(errors="replace")
    return text


def _only_octets(text: str) -> bool:
    return not re.search("[\ud800-\udc7f\udd00-\udfff]", text)


def split(line: str) -> Line | None:
    """A logical line split into its parts; None when it is not a content line."""
    at = line.find(":")
    if at < 0:
        return None
    head = line[:at]
    semicolon = head.find(";")
    if semicolon < 0:
        return Line(head.strip().upper(), "", line[at + 1 :])
    name = head[:semicolon].strip().upper()
    if '"' in head:
        quoted = _COLON.match(line)
        if quoted is not None:
            at = quoted.end() - 1
    elif name in _DATES and not line[at + 1 : at + 5].isdigit():
        hidden = _DATE_VALUE.search(line, at + 1)
        if hidden is not None:
            at = hidden.start()
    return Line(name, line[semicolon:at], line[at + 1 :])


def read(text: str) -> Component:
    """The object, as a nameless component around everything in it. Never fails: what can't be read is left out."""
    root = Component("")
    stack = [root]
    for raw in unfold(text).split("\n"):
        name = raw[: _name_length(raw)].strip().upper()
        if name in _WANTED:
            line = split(raw)
            if line is not None:
                stack[-1].lines.setdefault(name, []).append(line)
        elif name.removeprefix("\ufeff") == "BEGIN":
            part = Component(raw.partition(":")[2].strip().upper())
            stack[-1].parts.append(part)
            stack.append(part)
        elif name == "END":
            ended = raw.partition(":")[2].strip().upper()
            depth = next((i for i in range(len(stack) - 1, 0, -1) if stack[i].name == ended), 0)
            if depth:
                del stack[depth:]
    return root


def _name_length(raw: str) -> int:
    colon = raw.find(":")
    semicolon = raw.find(";", 0, colon if colon >= 0 else len(raw))
    return colon if semicolon < 0 else semicolon


def unescape(value: str) -> str:
    """The text that a TEXT value stands for (RFC 5545 section 3.3.11). Backslashes that escape nothing stay."""
    if "\\" not in value:
        return value
    return _ESCAPED.sub(lambda m: {"n": "\n", "N": "\n"}.get(m[1], m[1] if m[1] in ',;:"\\' else m[0]), value)


def clean(text: str) -> str:
    """A text without the characters that iCalendar can't carry: line ends become LF, other controls are dropped."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def escape(text: str) -> str:
    """A text as a TEXT value, escaped (RFC 5545 section 3.3.11)."""
    text = clean(text)
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def fold(line: str, eol: str = "\r\n") -> str:
    """A logical line with its line end, folded at 75 octets, never inside a character (RFC 5545 section 3.1)."""
    if len(line) <= 75 and line.isascii():
        return line + eol
    pieces: list[str] = []
    piece = bytearray()
    room = 75
    for character in line:
        octets = character.encode()
        if len(piece) + len(octets) > room:
            pieces.append(piece.decode())
            piece = bytearray()
            room = 74  # the space that continues a line counts
        piece += octets
    pieces.append(piece.decode())
    return f"{eol} ".join(pieces) + eol


def calendar(lines: Iterable[str]) -> str:
    """A VCALENDAR object with these logical lines in it."""
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//CRM calendar bridge//EN\r\n"
        + "".join(map(fold, lines))
        + "END:VCALENDAR\r\n"
    )


def duration(value: str) -> tuple[int, int] | None:
    """A DURATION as (nominal days, exact seconds); None when it is not one.

    The two are kept apart since a nominal day need not have 24 hours (RFC 5545 section 3.3.6).
    """
    match = _DURATION.fullmatch(value.strip()) if value else None
    if match is None or not any(match.groups()[1:]):
        return None
    weeks, days, hours, minutes, seconds = (int(group or 0) for group in match.groups()[1:])
    sign = -1 if match[1] == "-" else 1
    return sign * (weeks * 7 + days), sign * (hours * 3600 + minutes * 60 + seconds)


def stamp(local: dt.datetime) -> str:
    """A local time as a DATE-TIME value without zone."""
    return f"{local.year:04}{local.month:02}{local.day:02}T{local.hour:02}{local.minute:02}{local.second:02}"


def utc(instant: int) -> str:
    """An instant (Unix seconds) as a DATE-TIME value in UTC; the nearest one that can be expressed, if beyond."""
    days, seconds = divmod(max(_FIRST, min(instant, LAST)), 86_400)
    return f"{_utc_day(days)}T{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}Z"


@lru_cache(maxsize=8192)
def _utc_day(days: int) -> str:
    return day(dt.datetime(1970, 1, 1) + dt.timedelta(days=days))


def day(local: dt.datetime) -> str:
    """The day of a local time as a DATE value."""
    return f"{local.year:04}{local.month:02}{local.day:02}"
