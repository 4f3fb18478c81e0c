"""The merged calendar as one file: the events as they are stored, and each VTIMEZONE once."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bridge import CALENDAR_DESCRIPTION, CALENDAR_NAME
from bridge.store import fragments
from bridge.store.db import Tx

_ZONE = re.compile(r"BEGIN:VTIMEZONE\r\n.*?END:VTIMEZONE\r\n", re.DOTALL)
_TZID = re.compile(r"^TZID:(.*)\r$", re.MULTILINE)
_ONSET = re.compile(r"^DTSTART:(.*)\r$", re.MULTILINE)


def chunks(tx: Tx, user_id: str) -> Iterator[bytes]:
    """The bytes of one User's merged calendar, many at a time."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//CRM calendar bridge//EN"]
    lines += [f"X-WR-CALNAME:{CALENDAR_NAME}", f"X-WR-CALDESC:{CALENDAR_DESCRIPTION}"]
    yield b"".join(_folded(line.encode()) for line in lines)
    yield "".join(_zones(fragments.zones(tx, user_id))).encode()
    yield from fragments.events(tx, user_id)
    yield b"END:VCALENDAR\r\n"


def _zones(texts: list[str]) -> list[str]:
    """Of each zone the one that reaches back the furthest: they differ in nothing else."""
    chosen: dict[str, tuple[str, str]] = {}
    for text in texts:
        for zone in _ZONE.findall(text):
            tzid, since = (found[1] if (found := of.search(zone)) else "" for of in (_TZID, _ONSET))
            if tzid not in chosen or since < chosen[tzid][0]:
                chosen[tzid] = (since, zone)
    return [zone for _, (_, zone) in sorted(chosen.items())]


def _folded(line: bytes) -> bytes:
    """At 75 octets (RFC 5545 section 3.1); these lines are ASCII."""
    return b"\r\n ".join([line[:75], *(line[at : at + 74] for at in range(75, len(line), 74))]) + b"\r\n"
