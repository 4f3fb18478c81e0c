"""The server processes of the bridge: how each is started, and how to tell that it is up."""

from __future__ import annotations

import sys
from pathlib import Path

from bridge.settings import Settings
from bridge.supervisor import Child

#: `-P`: nothing is imported from the current directory, not even a folder called "bridge".
PYTHON = (sys.executable, "-P")


def sidecar(settings: Settings, config: Path | None, *, log_level: str) -> Child:
    """The sidecar, with the settings file `config`."""
    where = settings.sidecar
    named = ["--config", str(config)] if config else []
    command = [*PYTHON, "-m", "bridge", *named, "--log-level", log_level, "sidecar", "--end-with-parent"]
    return Child("sidecar", tuple(command), where.host, where.port, "GET", "/healthz", hangs_up=True)


def radicale(settings: Settings) -> Child:
    """Radicale. The store must exist already."""
    where = settings.radicale
    command = (*radicale_command(settings), "--end-with-parent")
    return Child("radicale", command, where.host, where.port, "OPTIONS", "/")


def radicale_command(settings: Settings) -> tuple[str, ...]:
    """The command that runs Radicale alone."""
    where = settings.radicale
    return (
        *(*PYTHON, "-m", "radicale_plugin", "--store", str(settings.store.path)),
        *("--host", where.host, "--port", str(where.port), "--config", str(where.config)),
        *("--server", where.server, "--workers", str(where.workers)),
    )
