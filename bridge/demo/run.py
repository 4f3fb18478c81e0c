"""Runs the demo: prepares its files, starts the servers, connects the accounts, and prints how to use it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

import bridge as package
from bridge import servers
from bridge import settings as settings_of
from bridge.app import Bridge, build
from bridge.demo import announce
from bridge.demo.ports import free_ports
from bridge.demo.upstream import UpstreamAccount, lay_out
from bridge.errors import Unknown
from bridge.service import connect, roles, users
from bridge.settings import Settings
from bridge.supervisor import Child, supervise

USER = "ada"
LOCATION = "demo-location"
TIME_ZONE = "Europe/Berlin"
_ENDING = (signal.SIGTERM, signal.SIGINT)
_SCOPES = ("calendars.readonly", "calendars.write", "calendars/events.readonly", "calendars/events.write", "admin")


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The folder and the ports of the demo. None: a temporary folder, and free ports."""

    as_json: bool = False
    data: Path | None = None
    sidecar_port: int | None = None
    radicale_port: int | None = None
    upstream_port: int | None = None


def run_demo(options: DemoOptions) -> None:
    """Run until SIGTERM or Ctrl-C. Raises what `supervise` raises."""
    with _ended_by_signals(), _folder(options.data) as folder:
        asyncio.run(_Demo(folder, options).run())


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """While the supervisor does not handle signals, let them unwind the stack, so that everything is cleaned up."""

    def end(_number: int, _frame: object) -> NoReturn:
        raise SystemExit(0)

    for number in _ENDING:
        signal.signal(number, end)
    yield


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data.absolute()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # until the folder is sure to be removed
    folder = Path(tempfile.mkdtemp(prefix="bridge-demo-"))
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield folder
    finally:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C would interrupt the removal
        shutil.rmtree(folder)


class _Demo:
    def __init__(self, folder: Path, options: DemoOptions) -> None:
        self.folder = folder
        self.options = options
        self.notes = _Notes.open(folder / "demo.json")
        known = self.notes.facts
        ports = known.setdefault("ports", {})
        for name, free in zip(("sidecar", "radicale", "upstream"), free_ports(3), strict=True):
            ports[name] = getattr(options, f"{name}_port") or ports.get(name) or free
        known.setdefault("passwords", [_app_password(), _app_password()])
        first, second = known["passwords"]
        self.private = UpstreamAccount("ada@icloud.example", first, "home", ("family",))
        self.work = UpstreamAccount("ada.work@icloud.example", second, None, ("work",))
        self.upstream_url = f"http://127.0.0.1:{ports['upstream']}/"
        self.failure: BaseException | None = None
        self.setting_up: asyncio.Task[None] | None = None

    async def run(self) -> None:
        ports = self.notes.facts["ports"]
        today = dt.datetime.now(zoneinfo.ZoneInfo(TIME_ZONE)).date()
        upstream = lay_out(self.folder / "upstream", ports["upstream"], self.private, self.work, today=today)
        config = self._write_settings()
        settings = settings_of.load(config)
        bridge = build(settings)
        children = [
            self._upstream(upstream),
            servers.sidecar(settings, config, log_level="warning"),
            servers.radicale(settings),
        ]
        click.echo("Starting the stand-in, the sidecar and Radicale …", err=True)

        def ready() -> None:
            self.setting_up = asyncio.create_task(self._set_up(bridge))

        try:
            await supervise(children, ready=ready)
        finally:
            await bridge.remotes.close()
            bridge.db.close()
        if self.failure is not None:
            raise self.failure

    def _upstream(self, config: Path) -> Child:
        command = (*servers.PYTHON, "-m", "bridge.demo.upstream", str(config))
        return Child("upstream", command, "127.0.0.1", self.notes.facts["ports"]["upstream"], "OPTIONS", "/")

    async def _set_up(self, bridge: Bridge) -> None:
        """Connect the accounts and choose calendars, as a person would, then print how to use the demo."""
        try:
            facts = await self._connected(bridge)
        except Exception as error:
            self.failure = error
            os.kill(os.getpid(), signal.SIGTERM)
            return
        if self.options.as_json:
            click.echo(json.dumps(facts))
        else:
            click.echo(announce.text(facts, TIME_ZONE, dt.datetime.now(dt.UTC)))
        sys.stdout.flush()

    async def _connected(self, bridge: Bridge) -> dict[str, Any]:
        known = self.notes.facts
        now = bridge.clock()
        if "token" not in known:
            with contextlib.suppress(Unknown):
                users.remove_user(bridge.db, USER, now=now)  # left by an earlier start that was interrupted
            _, calendar = users.add_user(
                bridge.db, id=USER, location_id=LOCATION, name="Ada Example", time_zone=TIME_ZONE, now=now
            )
            known["calendar_id"] = calendar.id
            known["password"] = users.add_password(bridge.db, USER, "demo", now)[1]
            _, known["token"] = users.add_token(
                bridge.db, label="demo", location_ids=[LOCATION], scopes=_SCOPES, now=now
            )
        self.notes.save()
        click.echo("Connecting the two accounts and reading their calendars …", err=True)
        chosen: dict[str, str] = {}
        for account in (self.private, self.work):
            connected = await connect.connect(bridge, USER, "icloud", account.username, account.password)
            for found in roles.list_calendars(bridge.db, USER):
                if found.account_id == connected.id:
                    chosen[found.url.rstrip("/").rpartition("/")[2]] = found.id
        if not known.get("chosen"):
            await roles.choose(
                bridge,
                USER,
                primary=chosen[self.private.primary or ""],
                conflicts=[chosen[slug] for slug in (*self.private.conflicts, *self.work.conflicts)],
            )
            known["chosen"] = True
            self.notes.save()
        return self._facts(bridge.settings)

    def _facts(self, settings: Settings) -> dict[str, Any]:
        known = self.notes.facts
        return {
            "caldav_url": f"{settings.radicale.address}{USER}/crm/",
            "calendar_name": package.CALENDAR_NAME,
            "user": USER,
            "password": known["password"],
            "api_url": f"{settings.sidecar.address}v1",
            "api_token": known["token"],
            "location_id": LOCATION,
            "calendar_id": known["calendar_id"],
            "user_id": USER,
            "settings_url": settings.sidecar.address,
            "upstream": [self._upstream_facts(account) for account in (self.private, self.work)],
        }

    def _upstream_facts(self, account: UpstreamAccount) -> dict[str, Any]:
        def address(slug: str) -> str:
            return f"{self.upstream_url}{account.username}/{slug}/"

        return {
            "url": self.upstream_url,
            "user": account.username,
            "password": account.password,
            "primary": None if account.primary is None else address(account.primary),
            "conflicts": [address(slug) for slug in account.conflicts],
        }

    def _write_settings(self) -> Path:
        ports = self.notes.facts["ports"]
        path = self.folder / "bridge.toml"
        path.write_text(
            f"""# Written by `bridge demo`.
[store]
path = {_toml(self.folder / "bridge.db")}
[secrets]
key_file = {_toml(self.folder / "secrets.key")}
[sidecar]
port = {ports["sidecar"]}
[radicale]
port = {ports["radicale"]}
config = {_toml(_write_radicale(self.folder))}
[mirror]
poll_seconds = 2
[providers.icloud]
url = "{self.upstream_url}"
requests_per_minute = 6000
[webhooks]
networks = ["127.0.0.0/8", "::1/128"]
"""
        )
        return path


@dataclass(slots=True)
class _Notes:
    """What has to be known by a later start with the same folder."""

    path: Path
    facts: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> _Notes:
        return cls(path, json.loads(path.read_text()) if path.exists() else {})

    def save(self) -> None:
        written = self.path.with_suffix(".new")
        written.touch(mode=0o600)
        written.write_text(json.dumps(self.facts))
        written.replace(self.path)


def _write_radicale(folder: Path) -> Path:
    """Write Radicale's configuration, with the options that `config/radicale.conf` explains."""
    path = folder / "radicale.conf"
    path.write_text(
        "[auth]\ntype = radicale_plugin\ndelay = 0.1\n[rights]\ntype = radicale_plugin\n"
        "[storage]\ntype = radicale_plugin\n[web]\ntype = radicale_plugin\n"
        "[reporting]\nmax_expand_occurrence = 1000000\nmax_freebusy_occurrence = 1000000\n[logging]\nlevel = error\n"
    )
    return path


def _toml(path: Path) -> str:
    return json.dumps(str(path))  # a JSON string is a TOML basic string


def _app_password() -> str:
    """A random password in the form of Apple's app-specific ones."""
    letters = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(16))
    return "-".join(letters[i : i + 4] for i in range(0, 16, 4))


__all__ = ["DemoOptions", "run_demo"]
