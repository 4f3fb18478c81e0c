"""Whether independent implementations find the same times in calendar objects: ical.js under Node, and libical.

    python bench/compare_ical.py [--generated 3000] [--seed 1] [--show 5] [--oracle ical.js] [--oracle libical]

The generated corpus: series by random rules in several zones, with UNTIL and COUNT, EXDATE, RDATE and overrides, and
with VTIMEZONEs of the bridge's own making. A smaller one of days that recur by other calendars or with SKIP (RFC 7529),
which of the two only libical knows. The collected one: the calendars that `icalendar` and
`recurring_ical_events` bring for their own tests, each of their events by UID. For each object the stretches that it
blocks within three years are compared: everything but transparent, cancelled and empty events. Differences are counted
by class, as far as a class is known (docs/icalendar.md tells of them); the rest is printed.

ical.js is installed into `~/.cache/crm-calendar-bridge` by npm; libical is Debian's `libical3`.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime as dt
import json
import os
import random
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from dateutil.rrule import rrulestr

from bridge.domain import ical
from bridge.domain.ical import content
from bridge.domain.ical.vtimezones import vtimezones
from bridge.domain.model import Interval, SlotSettings
from bridge.errors import Unreadable

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "crm-calendar-bridge"
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC", "DATE", "FLOATING")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
Span = tuple[int, int]


@dataclass(frozen=True)
class Case:
    """One object, and the three years in which it is looked at."""

    name: str
    ics: str
    span: Interval


# --- The corpora -----------------------------------------------------------------------------------------------------


def generated(count: int, seed: int) -> Iterator[Case]:
    """Random series."""
    chance = random.Random(seed)
    span = Interval(
        int(dt.datetime(2026, 1, 1, tzinfo=BERLIN).timestamp()), int(dt.datetime(2029, 1, 1, tzinfo=BERLIN).timestamp())
    )
    for number in range(count):
        yield Case(f"generated {seed}/{number}", with_zones(series(chance)), span)


def series(chance: random.Random) -> str:
    """One random series: mostly as programs write them, now and then with a start or an override out of step."""
    zone = chance.choice(ZONES)
    start = dt.datetime(chance.randint(2024, 2027), chance.randint(1, 12), chance.randint(1, 28))
    if zone != "DATE":
        start = start.replace(hour=chance.randint(0, 23), minute=chance.choice((0, 0, 30)))
    recurs = rule(chance, start, zone)
    found: list[dt.datetime] = []
    if chance.random() < 0.9:
        found = list(islice(rrulestr(re.sub(r";UNTIL=\w+", "", recurs), dtstart=start), 60))
    start = found[0] if found else start
    minutes = 1440 * chance.randint(1, 3) if zone == "DATE" else chance.choice((15, 30, 60, 90, 600))
    length = dt.timedelta(minutes=minutes)
    lines = [f"DTSTART{value(start, zone)}", f"DTEND{value(start + length, zone)}", f"RRULE:{recurs}"]
    week = start + dt.timedelta(days=7)
    lines += [f"EXDATE{value(chance.choice(found or [week]), zone)}" for _ in range(chance.choice((0, 0, 1, 3)))]
    days = [dt.timedelta(days=chance.randint(1, 500)) for _ in range(chance.choice((0, 0, 0, 2)))]
    lines += [f"RDATE{value(start + later, zone)}" for later in days]
    if chance.random() >= 0.3:
        return event(*lines)
    was = chance.choice(found) if found and chance.random() < 0.9 else week
    now = was + dt.timedelta(days=chance.randint(-2, 2), hours=0 if zone == "DATE" else chance.randint(-20, 20))
    extra = chance.choice(([], [], ["TRANSP:TRANSPARENT"], ["STATUS:CANCELLED"]))
    moved = [f"RECURRENCE-ID{value(was, zone)}", f"DTSTART{value(now, zone)}", f"DTEND{value(now + length, zone)}"]
    return event(*lines) + event(*moved, *extra)


def scaled(count: int, seed: int) -> Iterator[Case]:
    """Random series of days by other calendars, or with SKIP, in years in which ICU has the Chinese months right.

    Without INTERVAL, with which libical loses count.
    """
    chance = random.Random(seed)
    span = Interval(
        int(dt.datetime(2023, 1, 1, tzinfo=BERLIN).timestamp()), int(dt.datetime(2026, 1, 1, tzinfo=BERLIN).timestamp())
    )
    for number in range(count):
        scale = chance.choice(("GREGORIAN", "GREGORIAN", "CHINESE", "HEBREW", "ISLAMIC-CIVIL"))
        start = dt.datetime(chance.randint(2015, 2022), 1, 1) + dt.timedelta(days=chance.randint(0, 364))
        freq = chance.choice(("YEARLY", "MONTHLY"))
        parts = [f"RSCALE={scale}", f"FREQ={freq}", f"SKIP={chance.choice(('OMIT', 'BACKWARD', 'FORWARD'))}"]
        leap = {"CHINESE": ("2L", "4L", "5L", "6L"), "HEBREW": ("5L",)}.get(scale, ())
        if freq == "YEARLY" and chance.random() < 0.6:
            parts.append(f"BYMONTH={chance.choice(('1', '2', '7', '12', '1,6', *leap))}")
        if (freq == "MONTHLY" or len(parts) > 3) and chance.random() < 0.6:
            parts.append(f"BYMONTHDAY={chance.choice(('1', '15', '29', '30', '1,30', '-1', '-30'))}")
        lines = [f"DTSTART{value(start, 'DATE')}", f"DTEND{value(start + dt.timedelta(days=1), 'DATE')}"]
        yield Case(f"scaled {seed}/{number}", with_zones(event(*lines, f"RRULE:{';'.join(parts)}")), span)


def event(*lines: str) -> str:
    """A VEVENT."""
    return "\r\n".join(["BEGIN:VEVENT", "UID:case", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT", ""])


def value(moment: dt.datetime, zone: str) -> str:
    """Parameters and value of a date property."""
    if zone == "DATE":
        return f";VALUE=DATE:{moment:%Y%m%d}"
    if zone in {"UTC", "FLOATING"}:
        return f":{moment:%Y%m%dT%H%M%S}{'Z' if zone == 'UTC' else ''}"
    return f";TZID={zone}:{moment:%Y%m%dT%H%M%S}"


def rule(chance: random.Random, start: dt.datetime, zone: str) -> str:
    """A rule such as programs write, or nearly."""
    freq = chance.choice(("DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY"))
    parts = [f"FREQ={freq}"]
    if chance.random() < 0.4:
        parts.append(f"INTERVAL={chance.randint(2, 4)}")
    match freq, chance.random():
        case "WEEKLY", p if p < 0.6:
            parts.append("BYDAY=" + ",".join(sorted(chance.sample(DAYS, chance.randint(1, 3)), key=DAYS.index)))
            if chance.random() < 0.2:
                parts.append(f"WKST={chance.choice(('SU', 'MO'))}")
        case "MONTHLY", p if p < 0.3:
            parts.append(f"BYDAY={chance.choice((-1, 1, 2, 3, 4))}{chance.choice(DAYS)}")
        case "MONTHLY", p if p < 0.5:
            parts.append(f"BYMONTHDAY={chance.choice(('1', '15', '-1', '1,15', '31', '30,-2'))}")
        case "MONTHLY", p if p < 0.65:
            parts.append(f"BYDAY=MO,TU,WE,TH,FR;BYSETPOS={chance.choice((1, -1, 2))}")
        case "YEARLY", p if p < 0.3:
            parts.append(f"BYMONTH={chance.randint(1, 12)};BYDAY={chance.choice((-1, 1, 2, 4))}{chance.choice(DAYS)}")
        case "YEARLY", p if p < 0.6:
            parts.append(f"BYMONTH={chance.randint(1, 12)};BYMONTHDAY={chance.choice((1, 15, 29, 31, -1))}")
        case "YEARLY", p if p < 0.7:
            parts.append(f"BYYEARDAY={chance.choice((1, 60, 100, 366, -1))}")
        case "DAILY", p if p < 0.3:
            parts.append(f"BYDAY={','.join(DAYS[:5])}")
        case "DAILY", p if p < 0.4:
            parts.append(f"BYMONTH={chance.randint(1, 12)}")
    if chance.random() < 0.4:
        parts.append(f"COUNT={chance.randint(1, 40)}")
    elif chance.random() < 0.5:
        until = start + dt.timedelta(days=chance.randint(0, 900))
        parts.append(
            f"UNTIL={until:%Y%m%d}"
            + ("" if zone == "DATE" else f"T{until:%H%M%S}" + ("" if zone == "FLOATING" else "Z"))
        )
    return ";".join(parts)


def with_zones(events: str) -> str:
    """An object around events, with the VTIMEZONEs they need."""
    named = sorted(set(re.findall(r"TZID=([^:;]+)", events)))
    zones = "".join(f"{line}\r\n" for line in vtimezones([ZoneInfo(name) for name in named], 2020))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\n{zones}{events}END:VCALENDAR\r\n"


def collected() -> Iterator[Case]:
    """Other projects' test calendars, an object for each UID, looked at around its first start."""
    for package in ("icalendar", "recurring_ical_events"):
        for path in sorted(Path(str(files(package))).rglob("*.ics")):
            text = path.read_bytes().decode(errors="replace")
            root = content.read(text)
            blocks = re.findall(r"(?ims)^BEGIN:VEVENT\b.*?^END:VEVENT[^\n]*\n?", text)
            zones = "".join(re.findall(r"(?ims)^BEGIN:VTIMEZONE\b.*?^END:VTIMEZONE[^\n]*\n?", text))
            by_uid: dict[str, list[str]] = {}
            for component, block in zip(root.walk("VEVENT"), blocks, strict=False):
                by_uid.setdefault(component.value("UID"), []).append(block)
            for uid, some in by_uid.items():
                year = re.search(r"(?m)^DTSTART[^:\n]*:(\d{4})", "".join(some))
                if year is None or not 1971 <= int(year[1]) <= 2035:
                    continue
                first = dt.datetime(int(year[1]), 1, 1, tzinfo=BERLIN)
                span = Interval(int(first.timestamp()), int(first.replace(year=first.year + 3).timestamp()))
                body = "".join(block if block.endswith("\n") else f"{block}\r\n" for block in some)
                yield Case(
                    f"{package} {path.name} {uid}",
                    f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{zones}{body}END:VCALENDAR\r\n",
                    span,
                )


# --- What is asked ---------------------------------------------------------------------------------------------------

SETTINGS = SlotSettings(travel_blocks=False)


def ours(case: Case) -> set[Span] | str:
    """What the bridge would block."""
    try:
        found = ical.blocked_slot(
            case.ics, uid="u", settings=SETTINGS, time_zone="Europe/Berlin", addresses=frozenset(), horizon=case.span
        )
    except Unreadable:
        return set()
    return set() if found is None else within(((o.start, o.end) for o in found.occurrences), case.span)


def within(spans: Iterator[Span], span: Interval) -> set[Span]:
    """Those that take time within the span."""
    return {(start, end) for start, end in spans if start < end and start < span.end and end > span.start}


def local(naive: str) -> int:
    """The instant of a floating time or a date, in the zone of the person."""
    return int(dt.datetime.fromisoformat(naive).replace(tzinfo=BERLIN).timestamp())


SCRIPT = """
import ICAL from "ical.js"; import fs from "fs";
const out = [];
const told = t => t.isDate || t.zone === ICAL.Timezone.localTimezone ? t.toString() : t.toUnixTime();
for (const line of fs.readFileSync(0, "utf8").split("\\n")) {
  if (!line) continue;
  const {ics, end} = JSON.parse(line);
  try {
    ICAL.TimezoneService.reset();
    const root = new ICAL.Component(ICAL.parse(ics));
    for (const zone of root.getAllSubcomponents("vtimezone")) ICAL.TimezoneService.register(new ICAL.Timezone(zone));
    const is = (v, name, value) => v.getFirstPropertyValue(name) === value;
    const free = v => is(v, "transp", "TRANSPARENT") || is(v, "status", "CANCELLED");
    const events = root.getAllSubcomponents("vevent").map(v => new ICAL.Event(v));
    const found = [];
    const add = d => { if (!free((d.item || d).component)) found.push([told(d.startDate), told(d.endDate)]); };
    for (const master of events.filter(e => !e.isRecurrenceException())) {
      for (const e of events) if (e.isRecurrenceException() && e.uid === master.uid) master.relateException(e);
      if (!master.isRecurring()) { add(master); continue; }
      const iterator = master.iterator();
      for (let n = 0, next; n < 5000 && (next = iterator.next()); n++) {
        if (next.toUnixTime() > end + 40 * 86400) break;
        add(master.getOccurrenceDetails(next));
      }
    }
    const uids = new Set(events.filter(e => !e.isRecurrenceException()).map(e => e.uid));
    for (const e of events) if (e.isRecurrenceException() && !uids.has(e.uid)) add(e);
    out.push(found);
  } catch (e) { out.push("error: " + e.message); }
}
console.log(JSON.stringify(out));
"""


class IcalJs:
    """ical.js under Node."""

    name = "ical.js"

    def __init__(self) -> None:
        self._place = CACHE / "ical.js"
        if not (self._place / "node_modules").exists():
            self._place.mkdir(parents=True, exist_ok=True)
            command = ["npm", "install", "--silent", "--prefix", str(self._place), "ical.js@2.2.1"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (self._place / "expand.mjs").write_text(SCRIPT)

    def answers(self, cases: list[Case]) -> list[set[Span] | str]:
        """What it finds in each, or what went wrong."""
        found: list[set[Span] | str] = []
        for first in range(0, len(cases), 50):
            found += self._some(cases[first : first + 50])
        return found

    def _some(self, cases: list[Case]) -> list[set[Span] | str]:
        asked = "\n".join(json.dumps({"ics": case.ics, "end": case.span.end}) for case in cases)
        # Seconds of CPU, so that what else the machine does makes no difference.
        command = ["sh", "-c", "ulimit -t 4; exec node expand.mjs"]
        try:
            done = subprocess.run(command, cwd=self._place, input=asked, capture_output=True, text=True, check=True)
        except subprocess.CalledProcessError as error:
            if -error.returncode not in {signal.SIGXCPU, signal.SIGKILL}:
                raise
            if len(cases) == 1:
                return ["never ends"]
            half = len(cases) // 2
            return [*self._some(cases[:half]), *self._some(cases[half:])]
        answers = json.loads(done.stdout)
        return [a if isinstance(a, str) else self._spans(a, case) for a, case in zip(answers, cases, strict=True)]

    @staticmethod
    def _spans(answer: list[list[int | str]], case: Case) -> set[Span]:
        def instant(told: int | str) -> int:
            return local(told) if isinstance(told, str) else told

        return within(((instant(start), instant(end)) for start, end in answer), case.span)


class _Time(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int) for name in ("year", "month", "day", "hour", "minute", "second", "is_date", "is_daylight")
    ]
    _fields_.append(("zone", ctypes.c_void_p))


class _Span(ctypes.Structure):
    _fields_ = [("start", ctypes.c_long), ("end", ctypes.c_long), ("is_busy", ctypes.c_int)]


_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(_Span), ctypes.c_void_p)
_VEVENT = 4  # ICAL_VEVENT_COMPONENT


class Libical:
    """libical through its C interface. It knows nothing of overrides across components: those are put in here."""

    name = "libical"

    def __init__(self) -> None:
        lib = self._lib = ctypes.CDLL("libical.so.3")
        for function, result, arguments in (
            ("icalparser_parse_string", ctypes.c_void_p, [ctypes.c_char_p]),
            ("icalcomponent_get_first_component", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]),
            ("icalcomponent_get_next_component", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]),
            ("icalcomponent_free", None, [ctypes.c_void_p]),
            ("icaltime_from_timet_with_zone", _Time, [ctypes.c_long, ctypes.c_int, ctypes.c_void_p]),
            ("icaltimezone_get_utc_timezone", ctypes.c_void_p, []),
            ("icalcomponent_get_recurrenceid", _Time, [ctypes.c_void_p]),
            ("icalcomponent_get_dtstart", _Time, [ctypes.c_void_p]),
            ("icalcomponent_get_summary", ctypes.c_char_p, [ctypes.c_void_p]),
            ("icalcomponent_get_status", ctypes.c_int, [ctypes.c_void_p]),
            ("icalcomponent_as_ical_string", ctypes.c_char_p, [ctypes.c_void_p]),
            ("icalcomponent_foreach_recurrence", None, [ctypes.c_void_p, _Time, _Time, _CALLBACK, ctypes.c_void_p]),
        ):
            found = getattr(lib, function)
            found.restype, found.argtypes = result, arguments

    def answers(self, cases: list[Case]) -> list[set[Span] | str]:
        """What it finds in each."""
        return [self._answer(case) for case in cases]

    def _answer(self, case: Case) -> set[Span] | str:
        lib = self._lib
        root = lib.icalparser_parse_string(case.ics.encode())
        if not root:
            return "error: it can't be read"
        try:
            events = []
            part = lib.icalcomponent_get_first_component(root, _VEVENT)
            while part:
                events.append(part)
                part = lib.icalcomponent_get_next_component(root, _VEVENT)
            moved = {self._recurrence_id(one) for one in events}
            found: list[Span] = []
            for one in events:
                of_this = self._expanded(one, case.span)
                if not lib.icalcomponent_get_recurrenceid(one).year:
                    of_this = [span for span in of_this if span[0] not in moved]
                if not self._is_free(one):
                    found += of_this
            return within(iter(found), case.span)
        finally:
            lib.icalcomponent_free(root)

    def _expanded(self, component: int, span: Interval) -> list[Span]:
        lib, utc = self._lib, self._lib.icaltimezone_get_utc_timezone()
        low, high = (
            lib.icaltime_from_timet_with_zone(at, 0, utc) for at in (span.start - 40 * 86_400, span.end + 40 * 86_400)
        )
        start = lib.icalcomponent_get_dtstart(component)
        floating = bool(start.is_date) or not start.zone
        found: list[Span] = []

        def note(_component: int, span: ctypes._Pointer[_Span], _data: int) -> None:
            begin, end = span.contents.start, span.contents.end
            if start.is_date:
                end = begin + max(round((end - begin) / 86_400) - 1, 1) * 86_400  # it counts the day of DTEND, too
            found.append((self._floating(begin), self._floating(end)) if floating else (begin, end))

        lib.icalcomponent_foreach_recurrence(component, low, high, _CALLBACK(note), None)
        return found

    def _recurrence_id(self, component: int) -> int | None:
        # icalcomponent_get_recurrenceid forgets the zone.
        text = self._lib.icalcomponent_as_ical_string(component).decode(errors="replace")
        match = re.search(r"(?m)^RECURRENCE-ID(?:;TZID=([^:;]+)|;VALUE=[A-Z-]+)*:(\d{8})(T\d{6})?(Z?)", text)
        if match is None:
            return None
        name, day, time, utc = match.groups()
        zone = dt.UTC if utc else ZoneInfo(name) if name in available_timezones() else BERLIN
        return int(dt.datetime.fromisoformat(f"{day}{time or 'T000000'}").replace(tzinfo=zone).timestamp())

    @staticmethod
    def _floating(at: int) -> int:
        return local(dt.datetime.fromtimestamp(at, dt.UTC).replace(tzinfo=None).isoformat())

    def _is_free(self, component: int) -> bool:
        text = self._lib.icalcomponent_as_ical_string(component).decode(errors="replace")
        return re.search(r"(?m)^(TRANSP:TRANSPARENT|STATUS:CANCELLED)\r?$", text) is not None


# --- What the differences come from ----------------------------------------------------------------------------------


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generated", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=5, help="so many unexplained differences are printed in full")
    parser.add_argument("--oracle", choices=["ical.js", "libical"], action="append")
    options = parser.parse_args()
    makers: dict[str, Callable[[], IcalJs | Libical]] = {"ical.js": IcalJs, "libical": Libical}
    for corpus, cases in (
        ("generated", list(generated(options.generated, options.seed))),
        ("scaled", list(scaled(options.generated // 5, options.seed))),
        ("collected", list(collected())),
    ):
        mine = [ours(case) for case in cases]
        for name in options.oracle or makers:
            if (corpus, name) == ("scaled", "ical.js"):
                continue  # it knows no other calendar
            compare(name, makers[name](), corpus, cases, mine, options.show)


def compare(
    name: str, oracle: IcalJs | Libical, corpus: str, cases: list[Case], mine: list[set[Span]], show: int
) -> None:
    """Print how far two agree."""
    classes: Counter[str] = Counter()
    for case, found, theirs in zip(cases, mine, oracle.answers(cases), strict=True):
        if theirs == found:
            continue
        why = explained(case, found, theirs, name)
        classes[why] += 1
        if why == "unexplained" and classes[why] <= show:
            print(f"--- {case.name}\n{re.sub('(?ms)^BEGIN:VTIMEZONE.*END:VTIMEZONE.', '', case.ics)}")
            if not isinstance(theirs, str):
                for who, more in (("only ours", found - theirs), (f"only {name}", theirs - found)):
                    shown = [
                        f"{dt.datetime.fromtimestamp(s, dt.UTC):%Y-%m-%dT%H:%MZ}+{(e - s) // 60}"
                        for s, e in sorted(more)[:4]
                    ]
                    print(who, len(more), *shown)
    agreed = len(cases) - sum(classes.values())
    print(
        f"{corpus}, {len(cases)} objects: {name} agrees on {agreed} ({agreed / len(cases):.1%})",
        dict(classes.most_common()),
    )


def explained(case: Case, found: set[Span], theirs: set[Span] | str, oracle: str) -> str:
    """The class of a difference."""
    if isinstance(theirs, str):
        return theirs if theirs == "never ends" else "it can't read the object"
    text = re.sub(r"\r?\n[ \t]", "", case.ics)
    more, less = found - theirs, theirs - found
    start, first, instants = starts(text)
    excluded, added = (
        set(re.findall(r"\d{8}(?:T\d{6})?", one)) for one in (lines(text, "EXDATE"), lines(text, "RDATE"))
    )
    if "RSCALE=" in text:
        return "another calendar"
    if "RANGE=THISANDFUTURE" in text:
        return "RANGE=THISANDFUTURE"
    if "VALUE=PERIOD" in text:
        return "RDATE with periods"
    if lacks_a_zone(text):
        return "a TZID without its VTIMEZONE, or with part of one"
    if oracle == "libical" and re.search(r"(?m)^RDATE;TZID=", text):
        return "RDATE with a TZID, which it takes for UTC"
    if re.search(r"(?m)^DTSTART:\d+T\d+\r?$", text) and re.search(r"(?m)^(EXDATE|RECURRENCE-ID):\d+T\d+Z", text):
        return "exceptions in UTC of a floating series"
    if overrides_that_recur(text):
        return "an override with a rule of its own"
    if of_two_kinds(text):
        return "DTSTART and DTEND, or DURATION, that do not go together"
    if re.search(r"(?m)^DURATION:P\d{9}", text):
        return "an absurd DURATION"
    if len(re.findall(r"(?ms)^BEGIN:VEVENT(?:(?!END:VEVENT|RECURRENCE-ID).)*^END:VEVENT", text)) > 1:
        return "several masters of one UID"
    if re.search(r"(?m)^DTEND", text) and ends_first(text):
        return "an end before the start"
    if start is not None and first is None:
        return "a rule that never matches"
    if oracle == "ical.js" and "INTERVAL=" in text and "BYMONTHDAY=-" in text:
        return "INTERVAL with days counted from the end of the month"
    if start is not None and first != start and len(more) <= 2 and len(less) <= 1:
        return "a start that no rule yields"
    if near_a_change(text, more | less):
        return "a change of clocks"
    if {m[0] for m in more} >= {other[0] for other in less} and first_crosses_a_change(text):
        return "a series whose first event lies across a change of clocks"
    if added & excluded and not more and len(less) <= len(added & excluded):
        return "an RDATE that an EXDATE takes away"
    overrides = re.findall(r"\d{8}(?:T\d{6})?", re.sub(r"(?m)^[^:]*:", "", lines(text, "RECURRENCE-ID")))
    missed = set(overrides) - ((instants | added) - excluded)
    if instants and missed and len(more | less) <= len(missed):
        return "an override of an instance that there is not"
    return "unexplained"


def starts(text: str) -> tuple[dt.datetime | None, dt.datetime | None, set[str]]:
    """DTSTART, the rule's first occurrence by `dateutil`, and all of them as texts; nothing without just one rule."""
    for part in re.findall(r"(?ms)^BEGIN:VEVENT.*?^END:VEVENT", text):
        rules = re.findall(r"(?m)^RRULE:(\S+)", part)
        begin = re.search(r"(?m)^DTSTART[^:\n]*:(\d{8})(T\d{6})?", part)
        if len(rules) != 1 or begin is None:
            continue
        start = dt.datetime.strptime("".join(g or "T000000" for g in begin.groups()), "%Y%m%dT%H%M%S")
        try:
            found = list(islice(rrulestr(re.sub(r";?UNTIL=\w+", "", rules[0]), dtstart=start), 3000))
        except ValueError:
            return None, None, set()
        until = re.search(r"UNTIL=(\d{8})", rules[0])
        if until is not None:
            found = [one for one in found if f"{one:%Y%m%d}" <= until[1]]
        instants = {f"{one:%Y%m%dT%H%M%S}" for one in found} | {f"{one:%Y%m%d}" for one in found}
        return start, found[0] if found else None, instants
    return None, None, set()


def lines(text: str, name: str) -> str:
    """All lines of a property."""
    return "\n".join(re.findall(rf"(?m)^{name}[:;].*$", text))


def lacks_a_zone(text: str) -> bool:
    """Whether a zone is named that the object does not bring, or one that a vendor has put a prefix to."""
    brought = {
        name
        for name, rest in re.findall(r"(?ms)^TZID:(.*?)\r?$(.*?)^END:VTIMEZONE", text)
        if "RRULE" in rest or not changes_clocks(name)  # or it says nothing but of one year
    }
    named = {name.strip('"') for name in re.findall(r'(?m)^(?:DT|EX|RD|REC)[^:\n]*TZID=("[^"]*"|[^:;]*)', text)}
    return bool(named - brought) or any(name.startswith("/") for name in named)


def changes_clocks(name: str) -> bool:
    """Whether the clocks of a zone are changed in these years."""
    if name not in available_timezones():
        return True
    zone = ZoneInfo(name)
    return any(
        dt.datetime(year, 1, 1, tzinfo=zone).utcoffset() != dt.datetime(year, 7, 1, tzinfo=zone).utcoffset()
        for year in (2018, 2026)
    )


def overrides_that_recur(text: str) -> bool:
    """Whether a VEVENT has both RECURRENCE-ID and RRULE."""
    parts = re.findall(r"(?ms)^BEGIN:VEVENT.*?^END:VEVENT", text)
    return any("\nRECURRENCE-ID" in part and "\nRRULE" in part for part in parts)


def of_two_kinds(text: str) -> bool:
    """Whether start and end are a DATE and a time, or in UTC and not; or there is both an end and a length."""
    for part in re.findall(r"(?ms)^BEGIN:VEVENT.*?^END:VEVENT", text):
        begin, end = (re.search(rf"(?m)^{name}[^:\n]*:(\d{{8}})(T\d{{6}})?(Z?)", part) for name in ("DTSTART", "DTEND"))
        if begin and end and tuple(map(bool, begin.groups())) != tuple(map(bool, end.groups())):
            return True
        if begin and "\nDURATION:" in part and (end or (not begin[2] and "T" in part.partition("\nDURATION:")[2][:12])):
            return True
    return False


def ends_first(text: str) -> bool:
    """Whether some DTEND is before its DTSTART."""
    for part in re.findall(r"(?ms)^BEGIN:VEVENT.*?^END:VEVENT", text):
        times = [re.search(rf"(?m)^{name}[^:\n]*:(\d{{8}}(?:T\d{{6}})?)", part) for name in ("DTSTART", "DTEND")]
        if all(times) and times[1][1] < times[0][1]:
            return True
    return False


def first_crosses_a_change(text: str) -> bool:
    """Whether the clocks change between a DTSTART and its DTEND."""
    found = re.findall(r"(?m)^DT(?:START|END);TZID=([^:;\n]+):(\d{8}T\d{6})", text)[:2]
    if len(found) < 2 or found[0][0] not in available_timezones():
        return False
    first, last = (dt.datetime.fromisoformat(one).replace(tzinfo=ZoneInfo(found[0][0])) for _, one in found)
    return first.utcoffset() != last.utcoffset()


def near_a_change(text: str, spans: set[Span]) -> bool:
    """Whether in each of them, or within ten days of it, some zone of the object changes its clocks."""
    zones = {ZoneInfo(name) for name in re.findall(r"TZID=([^:;\n]+)", text) if name in available_timezones()} | {
        BERLIN
    }

    def changes(start: int, end: int) -> bool:
        return any(
            dt.datetime.fromtimestamp(start - 864_000, zone).utcoffset()
            != dt.datetime.fromtimestamp(end + 864_000, zone).utcoffset()
            for zone in zones
        )

    return all(changes(start, end) for start, end in spans)


if __name__ == "__main__":
    main()
