"""A request with good credentials, and its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from tests.upstreams.icloud.quirks import Quirks
from tests.upstreams.icloud.state import Account, State


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, of whom. `host` is 0 for the root, else the number of the partition."""

    method: str
    target: str
    #: Names in lower case.
    headers: dict[str, str]
    body: bytes
    host: int
    account: Account
    quirks: Quirks
    state: State
    #: Addresses of root and partitions, each ending in "/".
    urls: list[str]

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's parts, without percent-encoding."""
        return tuple(unquote(part) for part in urlsplit(self.target).path.strip("/").split("/") if part)

    def spelled(self, path: str) -> str:
        """A path as an href."""
        match self.quirks.hrefs:
            case "root":
                return self.urls[0].rstrip("/") + path
            case "443":
                root = urlsplit(self.urls[0])
                return f"{root.scheme}://{root.hostname}:443{path}"
            case _:
                return path


@dataclass(slots=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes = b""
    content_type: str = "application/xml; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def xml(cls, status: int, body: str) -> Answer:
        """An answer in XML."""
        return cls(status, body.encode())
