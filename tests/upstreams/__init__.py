"""Real CalDAV servers for the tests, and what people do there with their own programs.

    with upstreams.radicale(tmp_path) as server:
        anna = server.login()
        work = anna.make_calendar("Work")
        anna.put(work, "dentist.ics", text)
        ...
        assert server.writes(work) == []

`upstreams.icloud` is a stand-in for iCloud. A server answers when the context manager yields, and is gone when it ends.
"""

from tests.upstreams.front import Request
from tests.upstreams.login import Login
from tests.upstreams.scripted import Drop, Scripted, Trickle, http, scripted
from tests.upstreams.server import Server, free_port, radicale, xandikos
from tests.upstreams.tls import certificates
from tests.upstreams.wsgi import serving

__all__ = [
    "Drop",
    "Login",
    "Request",
    "Scripted",
    "Server",
    "Trickle",
    "certificates",
    "free_port",
    "http",
    "radicale",
    "scripted",
    "serving",
    "xandikos",
]
