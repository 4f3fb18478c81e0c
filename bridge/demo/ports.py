"""Free ports, for servers that are only started for a while."""

from __future__ import annotations

import contextlib
import random
import socket

#: Below the ports that systems give to outgoing connections (32768 and up on Linux), so that no such connection takes
#: the port before the server starts.
_PORTS = range(20_000, 32_768)


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 on which nothing listens right now."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = random.choice(_PORTS)  # noqa: S311 - nothing to guess
            with contextlib.suppress(OSError):  # it is taken: look for another
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    return found
