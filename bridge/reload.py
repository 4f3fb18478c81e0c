"""Follows the settings file while the sidecar runs: changed settings take effect, and what it declares is applied.

A file that can't be used changes nothing. That is logged once, and the last valid settings stay in force.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

from bridge import settings as files
from bridge.app import Bridge
from bridge.apply import NotNow, apply, line_of
from bridge.domain.declared import Plan
from bridge.errors import BridgeError, SettingsInvalid, StoreUnavailable
from bridge.sentences import sentence
from bridge.settings import Settings
from bridge.settings.declaration import references

log = logging.getLogger(__name__)

#: Seconds between two looks at the file; and seconds until what failed for the moment is tried again.
LOOK_SECONDS, AGAIN_SECONDS = 2, 60

#: Settings that only take effect at the next start, by table.
_FIXED = {
    "store": ("path",),
    "secrets": ("key_file",),
    "sidecar": ("host", "port"),
    "radicale": ("host", "port", "config", "server", "workers"),
}

Stamp = tuple[tuple[str, int, int, int], ...]


class Follower:
    """Notices changes of the file. It has to be made before the settings are read for the first time."""

    def __init__(self, config: Path | None) -> None:
        self._config = config
        self._references: list[Path] = []
        self._seen: Stamp | None = None
        self._told = ""
        #: Whether somebody waits to hear that the file is in force: it could not be used before, or they asked.
        self._awaited = False
        self._asked = asyncio.Event()
        self._again_at: float | None = None

    @contextlib.contextmanager
    def on_hangup(self) -> Iterator[None]:
        """Look at the file at once when the process gets SIGHUP."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._asked.set)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    async def next(self, bridge: Bridge) -> Settings:
        """Apply what the file declares, now and whenever it changes. Returns the settings once they have changed."""
        while True:
            if self._is_news():
                settings = self._load(bridge.settings)
                if settings is not None:
                    if settings.model_copy(update={"users": ()}) != bridge.settings.model_copy(update={"users": ()}):
                        self._seen = None  # what the file declares is applied under the new settings
                        return settings
                    await self._apply(bridge, settings)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()

    def _is_news(self) -> bool:
        due = self._again_at is not None and asyncio.get_running_loop().time() >= self._again_at
        if self._stamp() == self._seen and not self._asked.is_set() and not due:
            return False
        if self._asked.is_set():
            log.info("settings: asked to read them again")
            self._awaited = True
        self._asked.clear()
        self._again_at = None
        return True

    def _stamp(self) -> Stamp:
        path = files.path_of(self._config)
        return _stamp([*([path] if path else []), *self._references])

    def _load(self, before: Settings) -> Settings | None:
        """The settings of the file, except those that only take effect at the next start. None: they can't be used."""
        with contextlib.suppress(SettingsInvalid):  # told below, with those of the passwords
            # Also if a password can't be read: that is mended in its own file.
            self._references = references(files.load(self._config))
        self._seen = self._stamp()  # before it is read: what changes meanwhile is noticed next time
        try:
            settings = files.load(self._config, passwords=True)
        except SettingsInvalid as error:
            self._tell(error)
            return None
        kept, waiting = {}, []
        for table, names in _FIXED.items():
            old, new = getattr(before, table), getattr(settings, table)
            changed = [name for name in names if getattr(old, name) != getattr(new, name)]
            waiting += [f"[{table}] {name}" for name in changed]
            kept[table] = new.model_copy(update={name: getattr(old, name) for name in changed})
        if waiting:
            self._warn(f"settings: {', '.join(waiting)} will change with the next start of the bridge")
        return settings.model_copy(update=kept)

    async def _apply(self, bridge: Bridge, settings: Settings) -> None:
        path = files.path_of(self._config)
        if path is None:
            return

        def show(plan: Plan) -> None:
            for change in plan.changes:
                log.info("settings: %s", line_of(change))

        try:
            plan = await apply(bridge, settings, path, actor="settings file", show=show)
        except (NotNow, StoreUnavailable) as error:
            self._again_at = asyncio.get_running_loop().time() + AGAIN_SECONDS
            self._tell(error)
        except SettingsInvalid as error:
            self._tell(error)
        else:
            if plan.changes:
                log.info("settings: %d changes made", len(plan.changes))
            elif self._awaited:
                log.info("settings: %s is in force; no user had to be changed", path)
            self._told, self._awaited = "", False

    def _tell(self, error: BridgeError) -> None:
        self._warn(f"settings: nothing is changed. {sentence(error)}")
        self._awaited = True

    def _warn(self, text: str) -> None:
        if text != self._told:
            log.warning("%s", text)
        self._told = text


def _stamp(paths: list[Path]) -> Stamp:
    """A value that changes with the files, made without reading them."""
    found = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            found.append((str(path), 0, 0, 0))
        else:
            # The time of the last change of anything, also of the mode: a password file that was made private.
            found.append((str(path), stat.st_ctime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
