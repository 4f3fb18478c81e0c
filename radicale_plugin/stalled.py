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

#: Of Linux's `struct tcp_info`, which only ever grows at its end: the connection's state, the milliseconds since data
#: was last sent to the client and since it last acknowledged some, and how many bytes wait until it makes room.
_TCP_INFO = struct.Struct("=B43xI8xI84xI")
#: The states ESTABLISHED and CLOSE_WAIT: an answer can be sent.
_OPEN = {1, 8}


def cut_off_stalled(port: int, timeout: float) -> int:
    """Cut off the clients that are connected to `port` of this process and keep it waiting; how many these were.

    That is: who has not made room for the rest of an answer for `timeout` seconds, and those to whom nothing could be
    sent, or who acknowledged nothing, for twice as long. If the server closes connections on which no request begins
    for `timeout` seconds, each request has at least that long until its answer begins. On other systems than Linux,
    nobody is cut off.
    """
    if sys.platform != "linux":
        return 0
    return sum(_cut_off(int(fd), port, timeout * 1000) for fd in os.listdir("/proc/self/fd"))  # noqa: PTH208 - names


def _cut_off(fd: int, port: int, timeout: float) -> bool:
    """Whether it was such a client's. The server may close any descriptor meanwhile, and open another as the same."""
    with suppress(OSError):  # it is no socket, or no longer there
        seen = socket.socket(fileno=fd)
        try:
            if not _stalled(seen, port, timeout):
                return False
        finally:
            seen.detach()
        # Now one that the server can't close. Were it a file now, it would stay open: SQLite's locks on a file are
        # lost when any descriptor of it is closed.
        with socket.socket(fileno=os.dup(fd)) as held:
            if _stalled(held, port, timeout):
                held.shutdown(socket.SHUT_RDWR)
                return True
    return False


def _stalled(connection: socket.socket, port: int, timeout: float) -> bool:
    if connection.family not in {socket.AF_INET, socket.AF_INET6} or connection.getsockname()[1] != port:
        return False
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    state, since_sent, since_taken, left = _TCP_INFO.unpack(info)
    longest = max(since_sent, since_taken, 2 * since_sent if left else 0)
    return state in _OPEN and longest >= 2 * timeout
