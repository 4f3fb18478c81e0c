"""An HTTP server of its own for a WSGI application."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import unquote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        # Radicale takes the path as text, as its own server gives it; others want it as it was sent.
        return {**super().get_environ(), "PATH_INFO": unquote(urlsplit(self.path).path), "RAW_URI": self.path}

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(app: Any, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve a WSGI application from a thread; its address."""
    server = make_server("127.0.0.1", 0, app, _Server, _Handler)
    if tls is not None:
        # The handshake is left to the thread of the connection, so that one that fails holds up no other.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
