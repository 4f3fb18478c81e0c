"""How fast clients are answered: the bridge beside Radicale, Xandikos and Cyrus, with the same events.

    python bench/bench_caldav.py [--sizes 1000 10000 50000] [--without Radicale Xandikos] [--markdown FILE]

Starts each server on a free port of loopback, fills it, checks that the answers agree, and then asks in turns, so that
whatever else the machine does strikes all alike. A number is the median in milliseconds until the last byte was read.
Cyrus takes part where Debian's cyrus-imapd, cyrus-caldav and sasl2-bin are installed, and needs root. What takes a
server longer than `--patience` seconds is asked once, and not by several clients at the same time.

Two rows are of the bridge alone: what a listing costs the first time after a change; and the "constant", an application
on the same WSGI server that looks at the password and says one and the same thing, whatever is asked.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import caldav_load as load
import caldav_servers as servers
from caldav_servers import NOW, Server

from bridge.domain import publish as decide
from bridge.domain.model import MirrorItem, PublishedItem, SlotSettings, Titles
from bridge.store import published
from bridge.store.db import Db

WEEK = ("20270308T000000Z", "20270315T000000Z")
MONTH = ("20270308T000000Z", "20270405T000000Z")
YEARS = ("20250101T000000Z", "20290101T000000Z")
#: Hrefs of one multiget: about as many as a body may hold.
MANY = 14_000


def events(count: int) -> list[PublishedItem]:
    """Over three years, a tenth of them recurring weekly, as the bridge publishes them."""
    chance = random.Random(count)
    source = decide.Source(SlotSettings(titles=Titles.TITLE), "Europe/Berlin", frozenset())
    found = []
    for number in range(count):
        start = datetime(2026, 1, 5, 7) + timedelta(days=chance.randrange(3 * 365), minutes=15 * chance.randrange(44))
        end = start + timedelta(minutes=30 * chance.randint(1, 4))
        rule = f"RRULE:FREQ=WEEKLY;COUNT={chance.randint(5, 52)}\r\n" if number % 10 == 0 else ""
        uid = f"{number}@example.com"
        text = (
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\nBEGIN:VEVENT\r\n"
            f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:Meeting {number}{' & lunch' * (number % 20 == 0)}\r\n"
            f"DTSTART;TZID=Europe/Berlin:{start:%Y%m%dT%H%M%S}\r\nDTEND;TZID=Europe/Berlin:{end:%Y%m%dT%H%M%S}\r\n"
            f"{rule}END:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        item = MirrorItem(calendar_id="icl_bench", href=f"/home/{number}.ics", etag="1", uid=uid, ics=text)
        found += decide.blocked_slots([(item, decide.render(item, source, decide.horizon(NOW)))])
    return found


@dataclass(frozen=True)
class Row:
    """One kind of request."""

    name: str
    method: str
    depth: str
    #: The body, made for a server: of its sync-token and its hrefs.
    body: Callable[[str, list[str]], str]
    #: How often it is asked in one turn.
    times: int
    #: What is compared between servers.
    told: Callable[[bytes], object]


def names(body: bytes) -> frozenset[bytes]:
    """The names of the objects that are listed."""
    return frozenset(href.rsplit(b"/", 1)[1] for href in re.findall(rb"href>([^<]*\.ics)<", body))


def uids(body: bytes) -> frozenset[bytes]:
    """The UIDs of the objects whose data is there."""
    return frozenset(re.findall(rb"UID:(\S+?)(?:&#13;)?\r?\n", body))


def busy(body: bytes) -> int:
    """The minutes that are taken, what overlaps counted once."""
    unfolded = body.replace(b"\r\n ", b"")
    taken: set[int] = set()
    for begin, until in re.findall(rb"(\d{8}T\d{6}Z)/([0-9A-Z]+)", unfolded):
        start, end = begin.decode(), until.decode()
        first = datetime.strptime(start, "%Y%m%dT%H%M%SZ")
        last = first + _duration(end) if end.startswith("P") else datetime.strptime(end, "%Y%m%dT%H%M%SZ")
        minute = int((first - datetime(2026, 1, 1)).total_seconds()) // 60
        taken.update(range(minute, minute + int((last - first).total_seconds()) // 60))
    return len(taken)


def _duration(text: str) -> timedelta:
    days, hours, minutes = (int(found[1]) if (found := re.search(rf"(\d+){unit}", text)) else 0 for unit in "DHM")
    return timedelta(days=days, hours=hours, minutes=minutes)


ROWS = [
    Row("poll", "PROPFIND", "0", lambda *_: load.propfind("CS:getctag", "sync-token"), 100, lambda _: None),
    Row("sync, nothing changed", "REPORT", "0", lambda token, _: load.sync(token), 50, names),
    Row("sync, initial", "REPORT", "0", lambda *_: load.sync(), 10, names),
    Row("Depth 1, etags", "PROPFIND", "1", lambda *_: load.propfind("getetag"), 10, names),
    Row("multiget of 50", "REPORT", "1", lambda _, there: load.multiget(there[:50]), 20, uids),
    Row("everything with data", "REPORT", "1", lambda *_: load.query(), 3, uids),
    Row("query of a week", "REPORT", "1", lambda *_: load.query(load.time_range(*WEEK)), 20, uids),
    Row("free-busy, four weeks", "REPORT", "1", lambda *_: load.free_busy(*MONTH), 20, busy),
]


#: What takes the most memory: everything, each in another way. None of it is timed.
HARDEST = [
    Row("", "REPORT", "0", lambda *_: load.sync(more="<C:calendar-data/>"), 1, len),
    Row("", "PROPFIND", "1", lambda *_: load.propfind("getetag", "getcontentlength", "C:calendar-data"), 1, len),
    Row("", "REPORT", "1", lambda _, there: load.multiget(there[:MANY]), 1, len),
    Row("", "REPORT", "1", lambda *_: load.query(data=load.expand(*YEARS)), 1, len),
    Row("", "REPORT", "1", lambda *_: load.query(load.time_range(*YEARS)), 1, len),
    Row("", "REPORT", "1", lambda *_: load.query(load.time_range(*YEARS) + load.text_match("SUMMARY", "n")), 1, len),
    Row("", "REPORT", "1", lambda *_: load.free_busy(*YEARS), 1, len),
    Row("", "GET", "0", lambda *_: "", 1, len),
]


def prepared(row: Row, server: Server, token: str, there: list[str], *, gzip: bool) -> bytes:
    body = row.body(token, there)
    return load.request(row.method, server.path, body, login=server.login, gzip=gzip, Depth=row.depth)


def facts(server: Server) -> tuple[str, list[str]]:
    """Its sync-token, and the hrefs of its objects in the order of their names."""
    with load.Connection(server.port) as connection:
        answer = connection.ask(load.request("REPORT", server.path, load.sync(), login=server.login, Depth="0"))
    token = re.search(rb"sync-token>([^<]+)<", answer.plain)
    assert answer.status == 207 and token, (server.name, answer.status, answer.plain[:500])
    there = [href.decode() for href in re.findall(rb"href>([^<]*\.ics)<", answer.plain)]
    return token[1].decode(), sorted(there, key=lambda href: href.rsplit("/", 1)[1])


class Table:
    """The medians as they come in: by row, server, and how it was asked."""

    def __init__(self, title: str, columns: Sequence[str]) -> None:
        self.title, self.columns = title, columns
        self.cells: dict[str, dict[str, float]] = {}

    def put(self, row: str, column: str, milliseconds: float) -> None:
        self.cells.setdefault(row, {})[column] = milliseconds

    def lines(self) -> list[str]:
        """As Markdown. In brackets how many times as long as the bridge."""
        lines = [f"**{self.title}**", "", f"| request | {' | '.join(self.columns)} |"]
        lines.append("|---" + "|--:" * len(self.columns) + "|")
        for row, cells in self.cells.items():
            ours = cells.get("bridge")
            shown = [_shown(cells.get(column), ours if column != "bridge" else None) for column in self.columns]
            lines.append(f"| {row} | {' | '.join(shown)} |")
        return [*lines, ""]


def _shown(value: float | None, ours: float | None) -> str:
    if value is None:
        return ""
    digits = f"{value:.2f}" if value < 10 else f"{value:,.0f}"
    return digits if ours is None else f"{digits} ({value / ours:,.1f}×)"


def agree(row: Row, running: list[Server], known: dict[str, tuple[str, list[str]]]) -> list[str]:
    """Ask each once; what differs from the first."""
    said: dict[str, object] = {}
    for server in running:
        with load.Connection(server.port) as connection:
            answer = connection.ask(prepared(row, server, *known[server.name], gzip=False))
        assert answer.status in {200, 207}, (server.name, row.name, answer.status, answer.plain[:500])
        said[server.name] = row.told(answer.plain)
    first = said[running[0].name]
    return [
        f"{row.name}: {running[0].name} {_brief(first)}, {name} {_brief(other)}"
        for name, other in said.items()
        if other != first
    ]


def _brief(told: object) -> str:
    return f"{len(told)} objects" if isinstance(told, frozenset) else str(told)


def measure(
    row: Row, running: list[Server], known: dict[str, tuple[str, list[str]]], options: argparse.Namespace
) -> dict[tuple[str, bool, int], float]:
    """The medians of each server, by (server, gzip, clients)."""
    times: dict[tuple[str, bool, int], list[float]] = {}
    longest: dict[str, float] = {}
    for turn in range(options.turns):
        for server in running:
            for gzip in (False, True):
                for clients in options.clients:
                    key = (server.name, gzip, clients)
                    expected = longest.get(server.name, 0.0) * clients
                    if expected > options.patience and (turn or clients > 1):
                        continue
                    count = min(row.times, max(1, int(options.budget / expected))) if turn and expected else 1
                    raw = prepared(row, server, *known[server.name], gzip=gzip)
                    if clients == 1:
                        got = load.one_after_the_other(server.port, raw, count)
                        longest[server.name] = load.median_ms(got) / 1000
                    else:
                        got = load.at_once(server.port, raw, count, clients)
                    if turn or expected > options.patience or max(got) > options.patience:
                        times.setdefault(key, []).extend(got)
    return {key: load.median_ms(got) for key, got in times.items()}


def strain(server: Server, known: tuple[str, list[str]], workers: int) -> None:
    """Ask for the hardest, by as many clients as the server's processes together answer at the same time."""
    for row in HARDEST:
        for gzip in (False, True):
            load.at_once(server.port, prepared(row, server, *known, gzip=gzip), 1, 8 * workers)


def after_a_change(server: Server, store: servers.Store, item: PublishedItem, row: Row, turns: int) -> float:
    """What a listing costs that nobody has asked for since the last change: the median in milliseconds."""
    db = Db(store.path)
    raw = prepared(row, server, "", [], gzip=False)
    seconds = []
    with load.Connection(server.port) as connection:
        for turn in range(turns):
            changed = replace(item, etag=f'"{turn:032}"')
            with db.write() as tx:
                published.apply(tx, "ada", put=[changed], remove=[], now=NOW + turn)
            seconds.append(connection.ask(raw).seconds)
    with db.write() as tx:
        published.apply(tx, "ada", put=[item], remove=[], now=NOW + turns)
    db.close()
    return load.median_ms(seconds)


def compare(size: int, options: argparse.Namespace) -> list[str]:
    """All rows at one size, as lines of Markdown."""
    items = events(size)
    text = sum(len(item.ics.encode()) for item in items)
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-caldav-")))
        store = servers.make_store(directory, items)
        running = [stack.enter_context(servers.bridge(directory, store, workers=options.workers))]
        running.append(stack.enter_context(servers.plugin(directory, store)))
        peers = {"Radicale": servers.radicale, "Xandikos": servers.xandikos, "Cyrus": servers.cyrus}
        if not servers.cyrus_is_there():
            print("Cyrus is not installed, or may not be started here: it does not take part.", file=sys.stderr)
            peers.pop("Cyrus")
        for name, start in peers.items():
            if name not in options.without:
                print(f"filling {name} with {size} events", file=sys.stderr, flush=True)
                running.append(stack.enter_context(start(directory, items)))
        fixed = stack.enter_context(servers.constant(directory, store, workers=options.workers))
        known = {server.name: facts(server) for server in running}
        columns = [server.name for server in running]
        tables = {
            (gzip, clients): Table(f"{size:,} events, {'gzip' if gzip else 'identity'}, {clients} at once", columns)
            for clients in options.clients
            for gzip in (False, True)
        }
        differing: list[str] = []
        for row in ROWS:
            print(f"{size}: {row.name}", file=sys.stderr, flush=True)
            differing += agree(row, running, known)
            taking_part = [*running, fixed] if row.name in {"poll", "sync, nothing changed"} else running
            known[fixed.name] = known[running[0].name]
            for (name, gzip, clients), milliseconds in measure(row, taking_part, known, options).items():
                table = tables[gzip, clients]
                if name == fixed.name:
                    table.columns = [*columns, fixed.name]
                table.put(row.name, name, milliseconds)
        ours = running[0]
        asked = ours.memory()
        print(f"{size}: the hardest, at once", file=sys.stderr, flush=True)
        strain(ours, known[ours.name], options.workers)
        for row in ROWS[2:4]:
            table = tables[False, options.clients[0]]
            table.put(f"{row.name}, first after a change", "bridge", after_a_change(ours, store, items[0], row, 15))
        lines = [line for table in tables.values() for line in table.lines()]
        lines += [
            f"{size:,} events: the bridge answers {ours.cold:.2f} s after its start; the largest of its processes took"
            f" {asked} MB at most (plugin alone: {running[1].memory()} MB), and {ours.memory()} MB when everything was"
            f" asked for in the hardest ways by {8 * options.workers} clients at once; the events were published in one"
            f" transaction of {store.seconds:.2f} s; the database is {store.size / text:.2f} times their text.",
            "",
            *(f"Differs: {one}." for one in differing),
            "",
        ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 50_000])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--turns", type=int, default=4, help="the first of which warms up")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--patience", type=float, default=3.0, help="seconds")
    parser.add_argument("--budget", type=float, default=0.3, help="seconds that one server gets in one turn")
    parser.add_argument("--without", nargs="*", default=[], help="peers to leave out")
    parser.add_argument("--markdown", type=Path, help="also write the tables there")
    options = parser.parse_args()
    lines: list[str] = []
    started = time.time()
    for size in options.sizes:
        lines += compare(size, options)
        print("\n".join(lines), flush=True)
        if options.markdown:
            options.markdown.write_text("\n".join(lines))
    print(f"{time.time() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
