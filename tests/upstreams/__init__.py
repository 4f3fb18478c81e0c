"""Real CalDAV servers for the tests, and what people do there with their own programs.

    with upstreams.radicale(tmp_path) as server:
        anna = server.login()
        work = anna.make_calendar("Work")
        anna.put(work, "dentist.ics", text)
        ...
        assert server.writes(work) == []

A server answers when the context manager yields, and is gone when it ends.
"""

from upstreams.front import Request
from upstreams.http import free_port, serving
from upstreams.login import Login
from upstreams.server import Server, radicale, xandikos

__all__ = ["Login", "Request", "Server", "free_port", "radicale", "serving", "xandikos"]
