"""What the commands work on, opened when they need it and closed afterwards."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from bridge import settings
from bridge.service import audit
from bridge.settings import Settings
from bridge.settings.tables import SecretsSettings, StoreSettings
from bridge.store.db import Db

if TYPE_CHECKING:
    from bridge.app import Bridge

T = TypeVar("T")

#: The actor of all commands in the audit log.
ACTOR = "command line"


@dataclass
class Opened:
    """The settings, and through them the store and the whole Bridge."""

    config: Path | None
    log_level: str

    @cached_property
    def settings(self) -> Settings:
        """The settings. Raises `SettingsInvalid`."""
        return settings.load(self.config)

    @property
    def now(self) -> int:
        """Unix seconds, UTC."""
        return int(time.time())

    @contextmanager
    def store(self, *, read_only: bool = False) -> Iterator[Db]:
        """The store alone, for commands that need no network. Raises `StoreUnusable`."""
        db = Db(self.settings.store.path, read_only=read_only)
        try:
            yield db
        finally:
            db.close()

    def note(self, db: Db, action: str, subject: str) -> None:
        """Write what was done into the audit log. `subject` is an id, never a secret."""
        audit.record(db, ACTOR, action, subject, now=self.now)

    def run(self, work: Callable[[Bridge], Awaitable[T]]) -> T:
        """Do `work` with the whole Bridge, in an event loop of its own."""
        return asyncio.run(self._run(work, self.settings))

    def try_out(self, work: Callable[[Bridge], Awaitable[T]]) -> T:
        """As `run`, for work that writes nothing. If there is no store yet, none is left behind."""
        if self.settings.store.path.exists():
            return self.run(work)
        with tempfile.TemporaryDirectory(prefix="bridge-") as folder:
            passing = {
                "store": StoreSettings(path=Path(folder) / "bridge.db"),
                "secrets": SecretsSettings(key_file=Path(folder) / "secrets.key"),
            }
            return asyncio.run(self._run(work, self.settings.model_copy(update=passing)))

    async def _run(self, work: Callable[[Bridge], Awaitable[T]], settings: Settings) -> T:
        # The CalDAV client takes most of a second to import, which commands on the store alone need not wait for.
        from bridge.app import build  # noqa: PLC0415

        bridge = build(settings)
        try:
            return await work(bridge)
        finally:
            await bridge.remotes.close()
            bridge.db.close()


pass_opened = click.make_pass_decorator(Opened)
