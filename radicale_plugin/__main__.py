"""`python -m radicale_plugin`: Radicale as `bridge serve` starts it, told where store and port are."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading

from radicale.__main__ import run


def main() -> None:
    """Serve until a signal, or until the parent process is gone."""
    parser = argparse.ArgumentParser(prog="radicale_plugin", description=__doc__)
    parser.add_argument("--store", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--config", required=True)
    parser.add_argument("--end-with-parent", action="store_true", help="end when standard input is closed")
    options = parser.parse_args()
    if options.end_with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    # Radicale announces each level on that level, as if it were an error.
    logging.getLogger("radicale").addFilter(lambda record: not str(record.msg).startswith("Logging"))
    host = f"[{options.host}]" if ":" in options.host else options.host
    sys.argv = [
        "radicale",
        "--config",
        options.config,
        f"--storage-store={options.store}",
        f"--server-hosts={host}:{options.port}",
    ]
    run()


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not through sys.stdin, whose lock would be in the way of an orderly end
        pass
    os._exit(0)  # the reads under way are nobody's any more


if __name__ == "__main__":
    main()
