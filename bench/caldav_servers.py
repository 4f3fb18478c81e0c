"""The bridge and its peers, each with the same events, on free ports of loopback."""

from __future__ import annotations

import grp
import imaplib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from caldav_load import Connection, propfind, request

from bridge.demo.ports import free_ports
from bridge.domain.model import PublishedItem
from bridge.service import users
from bridge.store import published
from bridge.store.db import Db

ROOT = Path(__file__).parents[1]
CYRUS = Path("/usr/lib/cyrus/bin")
LOGIN = ("ada", "secret")
NOW = 1_804_492_800


@dataclass
class Server:
    """One that is running, with the calendar at `path`."""

    name: str
    port: int
    path: str
    login: tuple[str, str]
    pid: int
    #: Seconds from its start to its first answer to a poll.
    cold: float = 0.0

    def memory(self) -> int:
        """The largest amount that one of its processes ever took, in MB."""
        return max(_peak(pid) for pid in [self.pid, *_children(self.pid)]) // 1024


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for child in map(int, found) for one in (child, *_children(child))]


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


@contextmanager
def _running(
    name: str,
    command: list[str],
    port: int,
    path: str,
    login: tuple[str, str],
    directory: Path,
    *,
    prepare: Callable[[int], None] | None = None,
    **environment: str,
) -> Iterator[Server]:
    """Start, wait for the first answer to a poll, and end again."""
    log = directory / f"{name.replace(' ', '-')}.log"
    started = time.perf_counter()
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, **environment})
    try:
        poll = request("PROPFIND", path, propfind("CS:getctag"), login=login, Depth="0")
        while True:
            try:
                with Connection(port) as connection:
                    connection.ask(poll)
                break
            except (OSError, EOFError):
                if process.poll() is not None or time.perf_counter() - started > 120:
                    raise RuntimeError(f"{name} does not start: {log.read_text(errors='replace')[-2000:]}") from None
                time.sleep(0.01)
        cold = time.perf_counter() - started
        if prepare is not None:
            prepare(port)
        yield Server(name, port, path, login, process.pid, cold)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Store:
    """The bridge's store with the events published in it."""

    path: Path
    password: str
    #: Seconds that it took to publish them, in one transaction.
    seconds: float
    #: Of the database file, against the published text.
    size: int


def make_store(directory: Path, items: list[PublishedItem]) -> Store:
    path = directory / "bridge.db"
    db = Db(path)
    users.add_user(db, id="ada", location_id="loc", name="Ada", time_zone="Europe/Berlin", now=NOW)
    _, password = users.add_password(db, "ada", "bench", NOW)
    started = time.perf_counter()
    with db.write() as tx:
        published.apply(tx, "ada", put=items, remove=[], now=NOW)
    seconds = time.perf_counter() - started
    db.wipe()
    db.close()
    return Store(path, password, seconds, path.stat().st_size)


@contextmanager
def bridge(directory: Path, store: Store, *, workers: int) -> Iterator[Server]:
    """As `bridge serve` runs it."""
    with _bridge("bridge", directory, store, "granian", workers) as server:
        yield server


@contextmanager
def plugin(directory: Path, store: Store) -> Iterator[Server]:
    """The plugin alone, under Radicale's own server."""
    with _bridge("plugin alone", directory, store, "radicale", 1) as server:
        yield server


@contextmanager
def _bridge(name: str, directory: Path, store: Store, server: str, workers: int) -> Iterator[Server]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "radicale_plugin", "--store", str(store.path), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--config", str(ROOT / "config" / "radicale.conf")]
    command += ["--server", server, "--workers", str(workers)]
    login = ("ada", store.password)
    with _running(name, command, port, "/ada/crm/", login, directory, PYTHONPATH=str(ROOT)) as running:
        yield running


@contextmanager
def constant(directory: Path, store: Store, *, workers: int) -> Iterator[Server]:
    """One answer whatever is asked, from the same WSGI server, after the same look at the password."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", str(workers), "--blocking-threads", "8", "--http", "1", "--no-ws", "--log-level", "error"]
    command.append("caldav_constant:application")
    there = f"{ROOT}:{Path(__file__).parent}"
    login = ("ada", store.password)
    more = {"PYTHONPATH": there, "STORE": str(store.path)}
    with _running("constant", command, port, "/ada/crm/", login, directory, **more) as running:
        yield running


@contextmanager
def radicale(directory: Path, items: list[PublishedItem]) -> Iterator[Server]:
    """Radicale as it comes, its collection written as it writes it."""
    folder = directory / "radicale"
    collection = folder / "collection-root" / "ada" / "crm"
    collection.mkdir(parents=True)
    (collection / ".Radicale.props").write_text('{"tag": "VCALENDAR"}')
    for item in items:
        (collection / item.href).write_bytes(item.ics.encode())
    accounts = directory / "htpasswd"
    accounts.write_text(":".join(LOGIN) + "\n")
    (port,) = free_ports(1)
    settings = directory / "radicale.conf"
    settings.write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n"
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {accounts}\nhtpasswd_encryption = plain\n"
        f"[storage]\nfilesystem_folder = {folder}\n[logging]\nlevel = error\n"
        "[reporting]\nmax_expand_occurrence = 10000000\nmax_freebusy_occurrence = 10000000\n"
    )
    command = [sys.executable, "-m", "radicale", "--config", str(settings)]
    with _running("Radicale", command, port, "/ada/crm/", LOGIN, directory) as running:
        yield running


@contextmanager
def xandikos(directory: Path, items: list[PublishedItem]) -> Iterator[Server]:
    """Xandikos as it comes: it asks for no password."""
    folder = directory / "xandikos"
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "xandikos", "serve", "--no-detect-systemd", "-d", str(folder)]
    command += ["-l", "127.0.0.1", "-p", str(port), "--current-user-principal", "/ada/", "--defaults"]
    with _running("Xandikos", command, port, "/ada/calendars/calendar/", LOGIN, directory):
        pass  # makes the calendar
    repository = folder / "ada" / "calendars" / "calendar"
    for item in items:
        (repository / item.href).write_bytes(item.ics.encode())
    git = ["git", "-C", str(repository), "-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    for words in (["add", "-A"], ["commit", "-q", "-m", "Events"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    with _running("Xandikos", command, port, "/ada/calendars/calendar/", LOGIN, directory) as running:
        yield running


def cyrus_is_there() -> bool:
    """Whether Debian's cyrus-imapd and cyrus-caldav are installed, and may be started here."""
    return (CYRUS / "master").exists() and os.geteuid() == 0 and shutil.which("saslpasswd2") is not None


@contextmanager
def cyrus(directory: Path, items: list[PublishedItem]) -> Iterator[Server]:
    """Cyrus as Debian packages it, in a directory of its own. The events are PUT one by one."""
    home = directory / "cyrus"
    imap, port = free_ports(2)
    for part in (
        "conf/db",
        "conf/socket",
        "conf/user",
        "conf/quota",
        "conf/msg",
        "conf/log",
        "spool",
        "run/proc",
        "run/lock",
        "run/socket",
    ):
        (home / part).mkdir(parents=True)
    settings = home / "imapd.conf"
    settings.write_text(
        f"configdirectory: {home}/conf\nproc_path: {home}/run/proc\nmboxname_lockpath: {home}/run/lock\n"
        f"defaultpartition: default\npartition-default: {home}/spool\nservername: bench\nadmins: cyrus\n"
        "unixhierarchysep: no\naltnamespace: no\n"
        "allowplaintext: yes\nsasl_pwcheck_method: auxprop\nsasl_auxprop_plugin: sasldb\n"
        f"sasl_sasldb_path: {home}/sasldb2\nsasl_mech_list: PLAIN\nhttpmodules: caldav\nhttpallowcompress: yes\n"
        f"idlesocket: {home}/run/socket/idle\nnotifysocket: {home}/run/socket/notify\n"
    )
    services = home / "cyrus.conf"
    services.write_text(
        f'START {{\n recover cmd="ctl_cyrusdb -C {settings} -r"\n}}\nSERVICES {{\n'
        f' imap cmd="imapd -C {settings}" listen="127.0.0.1:{imap}" prefork=0\n'
        f' http cmd="httpd -C {settings}" listen="127.0.0.1:{port}" prefork=8\n}}\nEVENTS {{\n}}\n'
    )
    for name in ("cyrus", LOGIN[0]):
        words = ["saslpasswd2", "-p", "-c", "-f", str(home / "sasldb2"), "-u", "bench", name]
        subprocess.run(words, input=LOGIN[1], text=True, check=True, capture_output=True)
    user, group = pwd.getpwnam("cyrus").pw_uid, grp.getgrnam("mail").gr_gid
    for path in (home, *home.rglob("*")):
        os.chown(path, user, group)
    for path in (directory, *directory.parents):
        if path.stat().st_uid == 0 and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)

    def fill(port: int) -> None:
        with imaplib.IMAP4("127.0.0.1", imap) as client:
            client.login("cyrus", LOGIN[1])
            client.create(f"user.{LOGIN[0]}")
        with Connection(port) as connection:
            connection.ask(request("PROPFIND", "/dav/calendars/user/ada/", login=LOGIN, Depth="1"))
            for item in items:
                put = request("PUT", f"{path_}{item.href}", item.ics, login=LOGIN, Content_Type="text/calendar")
                answer = connection.ask(put)
                assert answer.status == 201, (answer.status, answer.body[:300])

    path_ = "/dav/calendars/user/ada/Default/"
    command = [str(CYRUS / "master"), "-C", str(settings), "-M", str(services), "-p", str(home / "pid")]
    with _running("Cyrus", command, port, path_, LOGIN, directory, prepare=fill) as running:
        yield running
