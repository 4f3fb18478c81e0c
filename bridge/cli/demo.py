"""`bridge demo`: the bridge with a sample user, and a stand-in for iCloud."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from bridge import logs
from bridge.errors import CannotListen

_PORT = click.IntRange(0, 65535)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when everything is ready, for programs.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep all data there. Default: a temporary folder.",
)
@click.option("--sidecar-port", type=_PORT, default=0, help="Default: a free port.")
@click.option("--radicale-port", type=_PORT, default=0, help="Default: a free port.")
@click.option("--upstream-port", type=_PORT, default=0, help="The stand-in's port. Default: a free port.")
@click.pass_context
def demo(
    ctx: click.Context, *, as_json: bool, data: Path | None, sidecar_port: int, radicale_port: int, upstream_port: int
) -> None:
    """Run the whole bridge against a stand-in for iCloud. No account is needed."""
    from bridge.demo.run import DemoOptions, run_demo  # noqa: PLC0415 - imports servers that no other command needs

    if ctx.find_root().get_parameter_source("log_level") is ParameterSource.DEFAULT:
        logs.configure("warning")  # the demo itself prints what its user needs to know
    options = DemoOptions(
        as_json=as_json,
        data=data,
        sidecar_port=sidecar_port or None,
        radicale_port=radicale_port or None,
        upstream_port=upstream_port or None,
    )
    try:
        run_demo(options)
    except CannotListen as error:
        raise click.ClickException(
            f"The {error.setting} can't listen at port {error.port}: {error.detail}."
            f" Stop the program that uses it, or choose another port: --{error.setting}-port"
        ) from error
