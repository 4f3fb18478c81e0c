"""What it costs one process to keep many accounts fresh.

    python bench/bench_fleet.py [--accounts 2000] [--seconds 60] [--changing 0.02]

The sidecar's own loops (`bridge.worker.run`) over a real store poll so many accounts of three calendars each, two of
them read, on a 60-second interval, at an upstream in a process of its own. `--changing` is the part of all polls that
finds a changed event. Printed are the CPU seconds that the sidecar takes for each minute of the clock, those that as
many bare HTTP requests take by themselves (the floor), and how old the oldest reading is at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import multiprocessing
import random
import re
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import niquests

from bridge import worker
from bridge.app import Bridge, build
from bridge.domain.model import Account, AccountState, Calendar, ListTrust, Role, SlotSettings
from bridge.service import users
from bridge.settings import Settings
from bridge.store import accounts

INTERVAL = 60
NAMES = ("home", "work", "hobby")

# --- The upstream, in a process of its own ---------------------------------------------------------------------------


class Upstream:
    """Answers what a poll asks, from the address alone: each account has three calendars with one event each."""

    def __init__(self, changing: float) -> None:
        self._changing = changing
        self._revisions: dict[str, int] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?im)^content-length: (\d+)", head)
                body = (await reader.readexactly(int(length[1]))).decode() if length else ""
                method, path = head.split(" ", 2)[:2]
                answer = self._answer(method, path, body).encode()
                lines = (
                    "HTTP/1.1 207 Multi-Status\r\nContent-Type: application/xml\r\n"
                    f"Content-Length: {len(answer)}\r\n\r\n"
                )
                writer.write(lines.encode() + answer)
        writer.close()

    def _answer(self, method: str, path: str, body: str) -> str:
        if method == "PROPFIND" and path.count("/") > 2:
            return multistatus([calendar(path, self._token(path)), self._object(path, data=False)])
        if method == "PROPFIND":
            first = f"{path}{NAMES[0]}/"
            if random.random() < self._changing:
                self._revisions[first] = self._revisions.get(first, 0) + 1
            return multistatus(calendar(f"{path}{name}/", self._token(f"{path}{name}/")) for name in NAMES)
        if "sync-collection" in body:
            known = re.search(r"<D:sync-token>([^<]*)", body)
            token = self._token(path)
            changed = [] if known and known[1] == token else [self._object(path, data=False)]
            return multistatus(changed, token)
        return multistatus([self._object(path, data=True)])

    def _token(self, path: str) -> str:
        return f"token-{self._revisions.get(path, 0)}"

    def _object(self, path: str, *, data: bool) -> str:
        revision = self._revisions.get(path, 0)
        ics = f"<C:calendar-data>{event(path, revision)}</C:calendar-data>" if data else ""
        return (
            f'<D:response><D:href>{path}event.ics</D:href><D:propstat><D:prop><D:getetag>"{revision}"</D:getetag>{ics}'
            "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
        )


def multistatus(rows: Iterator[str] | list[str], token: str = "") -> str:
    """An answer."""
    ending = f"<D:sync-token>{token}</D:sync-token>" if token else ""
    return (
        '<?xml version="1.0"?><D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"'
        f' xmlns:CS="http://calendarserver.org/ns/">{"".join(rows)}{ending}</D:multistatus>'
    )


def calendar(path: str, token: str) -> str:
    """A calendar's row in the list of an account's calendars."""
    return (
        f"<D:response><D:href>{path}</D:href><D:propstat><D:prop><D:resourcetype><D:collection/><C:calendar/>"
        f"</D:resourcetype><D:displayname>{path.split('/')[-2]}</D:displayname><CS:getctag>{token}</CS:getctag>"
        f"<D:sync-token>{token}</D:sync-token><C:supported-calendar-component-set><C:comp name='VEVENT'/>"
        "</C:supported-calendar-component-set><D:current-user-privilege-set><D:privilege><D:write-content/>"
        "</D:privilege></D:current-user-privilege-set></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
        "</D:response>"
    )


def event(path: str, revision: int) -> str:
    """The one event of a calendar."""
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\nBEGIN:VEVENT\r\n"
        f"UID:{path.replace('/', '-')}\r\nDTSTAMP:20270101T000000Z\r\nDTSTART:20270301T{revision % 20:02}0000Z\r\n"
        f"DTEND:20270301T{revision % 20:02}3000Z\r\nSUMMARY:Meeting\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def run_upstream(changing: float, ports: multiprocessing.Queue[int]) -> None:
    """Serve until killed."""

    async def main() -> None:
        server = await asyncio.start_server(Upstream(changing).serve, "127.0.0.1", 0, backlog=4096)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    more_files()
    asyncio.run(main())


@contextmanager
def upstream(changing: float) -> Iterator[str]:
    """The upstream's address."""
    context = multiprocessing.get_context("spawn")
    ports: multiprocessing.Queue[int] = context.Queue()
    process = context.Process(target=run_upstream, args=(changing, ports), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get(timeout=30)}/"
    finally:
        process.kill()
        process.join()


# --- The sidecar -----------------------------------------------------------------------------------------------------


def fill(bridge: Bridge, root: str, count: int) -> None:
    """So many users with an account each, as they are after a first reading."""
    now = bridge.clock()
    for number in range(count):
        user_id, account_id = f"user{number}", f"acc_{number}"
        users.add_user(bridge.db, id=user_id, location_id="loc", name=user_id, time_zone="Europe/Berlin", now=now)
        account = Account(
            id=account_id,
            user_id=user_id,
            provider="bench",
            username=user_id,
            secret=bridge.vault.seal("secret", account_id=account_id),
            home_url=f"{root}{number}/",
            state=AccountState.CONNECTED,
            state_reason="",
            state_since=now,
            addresses=(),
        )
        with bridge.db.write() as tx:
            accounts.put(tx, account, now=now)
            accounts.set_list_trust(tx, account_id, ListTrust.TRUSTED)
            for name, role in zip(NAMES, (Role.PRIMARY, Role.CONFLICT, Role.NONE), strict=True):
                put_calendar(tx, account, name, role, now)
            at = now + random.randrange(INTERVAL)
            accounts.schedule(tx, account_id, next_poll_at=at, failures=0)


def put_calendar(tx: object, account: Account, name: str, role: Role, now: int) -> None:
    """One calendar that has been read."""
    calendar_id = f"{account.id}_{name}"
    accounts.put_calendar(
        tx,
        Calendar(
            id=calendar_id,
            account_id=account.id,
            user_id=account.user_id,
            url=f"{account.home_url}{name}/",
            name=name,
            colour=None,
            role=role,
            writable=True,
            ctag=None,
            sync_token=None,
            settings=SlotSettings(),
            present=True,
            last_attempt_at=None,
            last_success_at=None,
            last_error=None,
        ),
    )
    if role == Role.NONE:
        return
    # Read at some time in the last half hour: then each calendar is asked itself.
    read_at = now - random.randrange(1800)
    token = "token-0"
    accounts.note_success(tx, calendar_id, ctag=token, listed_token=token, sync_token=token, compared=True, now=read_at)


async def measure(bridge: Bridge, seconds: int) -> float:
    """CPU seconds of the sidecar's loops for each minute, once they are running steadily."""
    loops = asyncio.create_task(worker.run(bridge))
    await asyncio.sleep(INTERVAL + 15)
    before, began = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    used = (time.process_time() - before) / (time.monotonic() - began) * 60
    loops.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loops
    return used


async def floor(root: str, requests: int) -> float:
    """CPU seconds that so many PROPFINDs take with the bare HTTP client over one connection."""
    async with niquests.AsyncSession(disable_http3=True, revocation_configuration=None) as session:
        before = time.process_time()
        for _ in range(requests):
            await session.request("PROPFIND", f"{root}0/", headers={"Depth": "1"}, data=b"<propfind/>")
        return time.process_time() - before


def more_files() -> None:
    """Each account keeps a connection open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=60, help="how long to measure, after a minute's warming up")
    parser.add_argument("--changing", type=float, default=0.02, help="the part of polls that finds a change")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    more_files()
    with tempfile.TemporaryDirectory() as directory, upstream(options.changing) as root:
        settings = Settings.model_validate(
            {
                "store": {"path": f"{directory}/bridge.db"},
                "secrets": {"key_file": f"{directory}/key"},
                "mirror": {"poll_seconds": INTERVAL},
                "providers": {"bench": {"url": root}},
            }
        )
        bridge = build(settings)
        fill(bridge, root, options.accounts)
        used = asyncio.run(measure(bridge, options.seconds))
        with bridge.db.read() as tx:
            ages = [
                bridge.clock() - one.last_success_at
                for account in accounts.all_of(tx)
                for one in accounts.calendars(tx, account_id=account.id, roles=[Role.PRIMARY, Role.CONFLICT])
                if one.last_success_at is not None and one.last_error is None
            ]
        least = asyncio.run(floor(root, options.accounts))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = Path(f"{directory}/bridge.db").stat().st_size / 2**20
    print(f"{options.accounts} accounts, every {INTERVAL} s, {options.changing:.0%} of polls find a change")
    poll = used / options.accounts * 1000
    print(f"sidecar: {used:.1f} CPU seconds a minute = {used / 60:.2f} of a core; {poll:.1f} ms a poll")
    print(f"bare HTTP client, the same number of requests: {least:.1f} CPU seconds; ratio {used / least:.2f}")
    middle = statistics.median(ages)
    print(f"readings: {len(ages)} of {2 * options.accounts} good, median {middle:.0f} s old, oldest {max(ages)} s")
    print(f"peak memory {memory:.0f} MiB, store {size:.0f} MiB")


if __name__ == "__main__":
    main()
