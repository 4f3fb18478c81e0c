"""Cuts off clients that keep a thread of granian waiting: for a body they announced, or to take their answer.

granian closes a connection on which no request's headers arrive in time, and has no limit for anything after them. The
kernel knows when each connection was last used, so requests need no bookkeeping.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress

#: The first fields of Linux's `struct tcp_info`, which only ever grows at its end: the connection's state, and the
#: milliseconds since data was last sent to the client and since it last acknowledged some.
_TCP_INFO = struct.Struct("=B43xI8xI")
#: The states ESTABLISHED and CLOSE_WAIT: an answer can be sent.
_OPEN = {1, 8}


def cut_off_stalled(port: int, longest: float) -> int:
    """Cut off each client to which this process has sent nothing, or that took nothing, for `longest` seconds.

    Returns their number: those connected to `port`. On other systems than Linux, nobody is cut off.
    """
    if sys.platform != "linux":
        return 0
    return sum(_cut_off(int(fd), port, longest * 1000) for fd in os.listdir("/proc/self/fd"))  # noqa: PTH208 - names


def _cut_off(fd: int, port: int, longest: float) -> bool:
    """Whether it was such a client's. The server may close any descriptor meanwhile, and open another as the same."""
    with suppress(OSError):  # it is no socket, or no longer there
        seen = socket.socket(fileno=fd)
        try:
            if not _stalled(seen, port, longest):
                return False
        finally:
            seen.detach()
        # Now one that the server can't close. Were it a file now, it would stay open: SQLite's locks on a file are
        # lost when any descriptor of it is closed.
        with socket.socket(fileno=os.dup(fd)) as held:
            if _stalled(held, port, longest):
                held.shutdown(socket.SHUT_RDWR)
                return True
    return False


def _stalled(connection: socket.socket, port: int, longest: float) -> bool:
    if connection.family not in {socket.AF_INET, socket.AF_INET6} or connection.getsockname()[1] != port:
        return False
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    state, since_sent, since_taken = _TCP_INFO.unpack(info)
    return state in _OPEN and max(since_sent, since_taken) >= longest
