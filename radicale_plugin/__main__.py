"""`python -m radicale_plugin`: the server of the merged calendars, as `bridge serve` starts it."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from radicale_plugin.serving import Options, end_with_parent, under_granian, under_radicale


def main() -> None:
    """Serve until a signal, or until the parent process is gone."""
    parser = argparse.ArgumentParser(prog="radicale_plugin", description=__doc__)
    parser.add_argument("--store", required=True, type=Path)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--config", required=True, type=Path)
    parser.add_argument("--server", choices=["granian", "radicale"], default="granian")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--end-with-parent", action="store_true", help="end when standard input is closed")
    given = parser.parse_args()
    if given.end_with_parent:
        end_with_parent()
    # Radicale logs the name of each level at that level, even at "error".
    logging.getLogger("radicale").addFilter(lambda record: not str(record.msg).startswith("Logging"))
    options = Options(given.store, given.host, given.port, given.config, given.workers)
    (under_granian if given.server == "granian" else under_radicale)(options)


if __name__ == "__main__":
    main()
