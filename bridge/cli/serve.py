"""`bridge serve`, `bridge sidecar` and `bridge radicale`: the servers."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import click

from bridge import servers
from bridge.cli.opened import Opened, pass_opened
from bridge.cli.output import progress
from bridge.supervisor import cannot_listen, end_with_parent, supervise

if TYPE_CHECKING:
    from bridge.app import Bridge


@click.command()
@pass_opened
def serve(opened: Opened) -> None:
    """Run the whole bridge, until SIGTERM or Ctrl-C.

    Changes to the settings file apply within seconds, or at once on SIGHUP. Changes to ports, to the store or to
    Radicale's own settings need a restart.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it is listened to
    settings = opened.settings
    progress("Starting the sidecar and Radicale …")
    from bridge.app import build  # noqa: PLC0415 - takes most of a second to import

    # Makes the store that Radicale only reads, and tells of a wrong store or key before anything is started.
    build(settings).db.close()

    def ready() -> None:
        click.echo(f"Ready. API: {settings.sidecar.address}  Calendars: {settings.radicale.address}")

    sidecar = servers.sidecar(settings, opened.config, log_level=opened.log_level)
    asyncio.run(supervise([sidecar, servers.radicale(settings)], ready=ready))


@click.command()
@click.option(
    "--end-with-parent", "with_parent", is_flag=True, help="Stop when standard input ends. Used by `bridge serve`."
)
@pass_opened
def sidecar(opened: Opened, with_parent: bool) -> None:
    """Run the sidecar alone: API, settings pages, iCloud.

    Changes to the settings file apply within seconds, or at once on SIGHUP.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it is listened to
    if with_parent:
        end_with_parent()
    from bridge.sidecar import run  # noqa: PLC0415 - takes most of a second to import

    where = opened.settings.sidecar

    async def work(bridge: Bridge) -> None:
        try:
            await run(bridge, host=where.host, port=where.port, config=opened.config)
        except OSError as e:
            raise cannot_listen(e, "sidecar", where.host, where.port) from e

    opened.run(work)


@click.command()
@pass_opened
def radicale(opened: Opened) -> None:
    """Run Radicale alone, which serves the merged calendars.

    The store has to exist.
    """
    command = servers.radicale_command(opened.settings)
    os.execv(command[0], command)  # noqa: S606 - becomes Radicale; the command holds settings only
