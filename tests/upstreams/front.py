"""What stands before each server: a record of every request that a program (not the person) makes."""

from __future__ import annotations

import http.client
from base64 import b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

#: Marks what a person does with their own programs: not recorded.
PERSON = "X-Person"
#: Everything else may change something.
READING = frozenset({"OPTIONS", "GET", "HEAD", "PROPFIND", "REPORT"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was answered. Paths are without percent-encoding; `sent` and `received` are bytes of bodies."""

    username: str | None
    method: str
    path: str
    status: int
    sent: int
    received: int
    #: Where a MOVE or COPY goes to.
    destination: str | None = None

    def writes_to(self, path: str) -> bool:
        """Whether this tries to change something at or below `path`."""
        touched = [self.path, self.destination] if self.destination is not None else [self.path]
        return self.method not in READING and any(p.startswith(path) or p == path.rstrip("/") for p in touched)


class Front:
    """A WSGI application that records what passes through to another."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.requests: list[Request] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answered: list[int] = []

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            answered.append(int(status.split(maxsplit=1)[0]))
            return start_response(status, headers, *rest)

        body = b"".join(self.app(environ, start))
        if f"HTTP_{PERSON.upper().replace('-', '_')}" not in environ:
            destination = environ.get("HTTP_DESTINATION")
            self.requests.append(
                Request(
                    username=credentials(environ)[0],
                    method=environ["REQUEST_METHOD"],
                    path=unquote(urlsplit(environ["RAW_URI"]).path),
                    status=answered[-1],
                    sent=int(environ.get("CONTENT_LENGTH") or 0),
                    received=len(body),
                    destination=unquote(urlsplit(destination).path) if destination else None,
                )
            )
        return [body]


class Forward:
    """A WSGI application that checks passwords and passes requests on to a server which leaves that to a proxy."""

    def __init__(self, port: int, passwords: dict[str, str]) -> None:
        self._port = port
        self._passwords = passwords

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        username, password = credentials(environ)
        if username is None or self._passwords.get(username) != password:
            start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="upstream"')])
            return [b""]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").title(): value
            for name, value in environ.items()
            if name.startswith("HTTP_") and name not in {"HTTP_AUTHORIZATION", "HTTP_CONNECTION"}
        }
        if environ.get("CONTENT_TYPE"):
            headers["Content-Type"] = environ["CONTENT_TYPE"]
        headers["X-Remote-User"] = username
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(environ["REQUEST_METHOD"], environ["RAW_URI"], body, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        hop = {"connection", "keep-alive", "transfer-encoding", "content-length"}
        kept = [(name, value) for name, value in response.getheaders() if name.lower() not in hop]
        start_response(f"{response.status} {response.reason}", kept)
        return [content]


def credentials(environ: dict[str, Any]) -> tuple[str | None, str]:
    """User name and password of a request with Basic authentication."""
    scheme, _, value = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "basic":
        return None, ""
    username, _, password = b64decode(value).decode().partition(":")
    return username, password
