"""`bridge demo`: the bridge with everything around it, made up."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print addresses and passwords as JSON, for programs.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Where to keep it. Otherwise: nowhere.")
@click.option("--port-sidecar", type=int, help="Otherwise: a free one.")
@click.option("--port-radicale", type=int, help="Otherwise: a free one.")
def demo(as_json: bool, data: Path | None, port_sidecar: int | None, port_radicale: int | None) -> None:
    """Run the whole bridge against a made-up iCloud, with users and events to look at."""
    from bridge.demo import DemoOptions, run_demo  # noqa: PLC0415 - it brings servers that nothing else needs

    run_demo(DemoOptions(as_json=as_json, data=data, port_sidecar=port_sidecar, port_radicale=port_radicale))
