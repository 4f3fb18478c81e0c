"""To which addresses an account's credentials may be sent. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from bridge.errors import CredentialsWithheld


@dataclass(frozen=True, slots=True)
class ProviderPolicy:
    """How one kind of account is reached.

    `credential_hosts` may receive its credentials besides the host of `url`; `*.icloud.com` stands for every host under
    icloud.com. Addresses on loopback count as one host, and may be spoken to in the clear.
    """

    name: str
    url: str
    credential_hosts: tuple[str, ...] = ()
    ca_file: str | None = None
    allow_http: bool = False
    #: Seconds that a server may send nothing before the request fails.
    timeout: float = 30.0
    #: The limit for one account.
    requests_per_minute: int = 120

    def check(self, url: str) -> str:
        """The url, if credentials may be sent there. Raises `CredentialsWithheld`."""
        shown = without_query(url)
        try:
            parts = urlsplit(url)
            host, _ = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise CredentialsWithheld(shown, "that is no address") from None
        if "@" in parts.netloc or "\\" in url:
            # Programs disagree about which host such an address means.
            raise CredentialsWithheld(shown, "the address is ambiguous")
        own = (urlsplit(self.url).hostname or "").lower()
        trusted = (
            host == own
            or (is_loopback(host) and is_loopback(own))
            or any(_matches(host, pattern.lower()) for pattern in self.credential_hosts)
        )
        if not trusted:
            raise CredentialsWithheld(shown, f"{host} may not receive the credentials for {own}")
        if parts.scheme != "https" and not (parts.scheme == "http" and (is_loopback(host) or self.allow_http)):
            raise CredentialsWithheld(shown, "credentials are sent over https only")
        return url


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_query(url: str) -> str:
    """The address without credentials and query, for errors and logs."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "a malformed address"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{parts.path}"


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
