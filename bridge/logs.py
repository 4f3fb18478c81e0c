"""Logging: one line per event, on standard error, times in UTC."""

from __future__ import annotations

import logging
import time

LEVELS = ("debug", "info", "warning", "error")


def configure(level: str) -> None:
    """Log the bridge's own events from `level` up. Of libraries only warnings: some log the requests they send."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("bridge").setLevel(level.upper())
