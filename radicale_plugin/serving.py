"""The HTTP servers: the application in several processes under granian, or in one under Radicale's own server."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from radicale import config, log
from radicale.__main__ import run
from radicale.log import logger

from radicale_plugin.app import Application
from radicale_plugin.stalled import cut_off_stalled

#: Requests that one process answers at the same time. A slow client occupies one for as long as it receives; one that
#: stops is cut off (see `stalled`).
_THREADS = 8
#: Connections of one process at the same time: with the store's files, fewer than the 1,024 that a process may open
#: unless it is told otherwise. Others wait until one is closed.
_CONNECTIONS = 512
#: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in bytes, and M_ARENA_MAX, by their numbers in malloc.h.
_MALLOC = {-1: 1 << 20, -3: 1 << 20, -8: 2}
#: Seconds that requests under way have to finish when the server is told to end.
_PATIENCE = 5


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a server besides its configuration file."""

    store: Path
    host: str
    port: int
    config: Path
    workers: int


def under_granian(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Ends with status 1 and a message when it can't start."""
    _give_memory_back()
    try:
        configuration = _application(options).configuration
    except RuntimeError as error:
        logger.critical("The calendars can't be served: %s", error)
        sys.exit(1)
    gc.freeze()  # what the processes share stays shared
    Granian(
        "calendars",
        address=options.host,
        port=options.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=options.workers,
        blocking_threads=_THREADS,
        backpressure=_CONNECTIONS,
        respawn_failed_workers=True,
        workers_kill_timeout=_PATIENCE,
        http1_settings=HTTP1Settings(header_read_timeout=int(_timeout(configuration) * 1000)),
        log_level=LogLevels.error,
    ).serve(target_loader=partial(_worker, options, os.getpid()), wrap_loader=False)


def under_radicale(options: Options) -> None:
    """Serve with Radicale's own server and application until a signal. It closes connections after each answer."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    sys.argv = [
        "radicale",
        "--config",
        str(options.config),
        f"--storage-store={options.store}",
        f"--server-hosts={host}:{options.port}",
    ]
    run()


def end_with_parent() -> None:
    """End, in order if that takes no longer than requests may, once standard input ends: the parent holds it open."""

    def watch() -> None:
        while os.read(0, 4096):  # not through sys.stdin, whose lock would be in the way of an orderly end
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_PATIENCE + 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _give_memory_back() -> None:
    """Have glibc return freed memory to the system, also in the processes that are forked later.

    By itself, it keeps up to twice as much as the largest block that was ever freed, for each thread: after long
    answers, that was a third of a process's memory.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have none
        for parameter, value in _MALLOC.items():
            mallopt(parameter, value)


def _worker(options: Options, main: int) -> Application:
    """Runs the application in a process that ends when the main process does."""
    application = _application(options)
    timeout = _timeout(application.configuration)

    def watch() -> None:
        while os.getppid() == main:
            time.sleep(0.5)
            try:
                cut_off = cut_off_stalled(options.port, timeout)
            except OSError as e:  # such as too many open files
                logger.warning("Clients that take too long can't be cut off: %s", e)
                continue
            if cut_off:
                logger.warning("Clients that took too long, or were gone, were cut off: %d", cut_off)
        os._exit(1)  # the reads under way are nobody's any more

    threading.Thread(target=watch, daemon=True).start()
    return application


def _timeout(configuration: config.Configuration) -> float:
    """`[server] timeout`, in seconds. Radicale takes 0 for no limit: here it is a day."""
    seconds: float = configuration.get("server", "timeout")
    return seconds or 86_400


@lru_cache(maxsize=1)
def _application(options: Options) -> Application:
    """The application, made once by the main process for all processes that it forks."""
    log.setup()
    configuration = config.load([(str(options.config), False)])
    configuration.update({"storage": {"store": str(options.store)}}, "the bridge's settings")
    log.set_level(configuration.get("logging", "level"), configuration.get("logging", "backtrace_on_debug"))
    return Application(configuration)
