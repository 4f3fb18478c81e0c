"""Every setting, with its default and its limits. Relative paths start at the process's current directory."""

from __future__ import annotations

import base64
import functools
import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import Field, ValidationInfo, field_validator

from bridge.domain.model import Titles, TwoWay
from bridge.remote.policy import is_loopback
from bridge.settings.base import File, Flag, Table, wrong
from bridge.settings.people import UserSettings

Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Seconds = Annotated[int, Field(strict=True, ge=1, le=86_400)]


def _web_address(address: str) -> str:
    """The address, ending in "/". Only http and https addresses without user name, query and fragment are accepted."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, or an unclosed [
        usable = False
    if not usable:
        raise wrong("is not a web address", 'write it as "https://host/" or "https://host:port/path/"')
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise wrong("carries a user name, a query or a fragment", "give scheme, host, port and path only")
    return address if address.endswith("/") else f"{address}/"


class StoreSettings(Table):
    """The database, which both processes share."""

    path: File = Path("data/bridge.db")


class SecretsSettings(Table):
    """The file with the key of the stored passwords. The variable BRIDGE_SECRETS_KEY takes precedence over it."""

    key_file: File = Path("data/secrets.key")


class _Listener(Table):
    """Where one of the two servers listens, and the address by which others reach it."""

    host: str = Field(default="127.0.0.1", min_length=1, pattern=r"^[^\s/]+$")
    port: Port
    #: None: it is reached directly, at `host` and `port`.
    public_url: str | None = None

    @field_validator("public_url")
    @classmethod
    def _is_a_web_address(cls, url: str | None) -> str | None:
        return None if url is None else _web_address(url)

    @property
    def address(self) -> str:
        """The address by which people and programs reach it; ends in "/"."""
        host = {"0.0.0.0": "localhost", "::": "localhost"}.get(self.host, self.host)  # noqa: S104 - shown, not bound
        return self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def is_encrypted(self) -> bool:
        """Whether it is reached over https."""
        return self.address.startswith("https:")

    @property
    def is_here_only(self) -> bool:
        """Whether that address only works on this machine, so that a phone can't reach it."""
        return is_loopback(urlsplit(self.address).hostname or "")


class SidecarSettings(_Listener):
    """The HTTP API, the pages and the loops that talk to iCloud."""

    port: Port = 8080


class RadicaleSettings(_Listener):
    """The CalDAV server of the merged calendars."""

    port: Port = 5232
    config: File = Path("config/radicale.conf")
    #: "granian": several processes, with persistent connections. "radicale": Radicale's own server, one process.
    server: Literal["granian", "radicale"] = "granian"
    #: The number of processes under granian.
    workers: int = Field(default=2, strict=True, ge=1, le=64)

    def calendar_address(self, user_id: str) -> str:
        """The address of a User's merged calendar."""
        return f"{self.address}{user_id}/crm/"


class PagesSettings(Table):
    """The settings pages."""

    #: Whether people may connect a CalDAV server by typing its address.
    other_servers: Flag = False


class MirrorSettings(Table):
    """How the upstream calendars are read."""

    #: Seconds between two polls of an account.
    poll_seconds: Seconds = 60
    #: How many accounts are polled at the same time.
    parallel_accounts: int = Field(default=20, strict=True, ge=1, le=1000)


class BookingSettings(Table):
    """How recently people's calendars must have been read to offer and to book their time."""

    #: Before a booking, calendars that were read longer than this many seconds ago are read first. 0: always.
    fresh_seconds: int = Field(default=15, strict=True, ge=0, le=86_400)
    #: Seconds that a booking waits for that.
    ask_seconds: int = Field(default=5, strict=True, ge=1, le=60)
    #: What happens to a booking when they can't be read: "closed" refuses it, "last-known" goes by the last reading.
    when_unreachable: Literal["closed", "last-known"] = "closed"
    #: Users whose calendars were read longer than this many seconds ago are not offered as free.
    stale_seconds: Seconds = 900


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ApiSettings(Table):
    """Limits for each API token, and whether changes need If-Match."""

    #: Requests within ten seconds.
    burst_requests: int = Field(default=5_000, strict=True, ge=1, le=1_000_000)
    #: Requests within a day. The default is as many as `burst_requests` allows in a day, so it adds no limit.
    daily_requests: int = Field(default=43_200_000, strict=True, ge=1, le=1_000_000_000)
    #: Whether changes of appointments and blocked slots must name the version that they are based on (If-Match).
    require_if_match: Flag = False


#: The public key of HighLevel's webhook signatures, as two of its users publish it: Ed25519, SPKI in base64.
HIGHLEVEL_KEY = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg="


class HighLevelSettings(Table):
    """Whether appointments made in HighLevel are booked here, by HighLevel's own webhooks."""

    ingest: Flag = False
    public_key: str = HIGHLEVEL_KEY
    #: The bridge's ids by HighLevel's, where they differ.
    calendars: dict[str, str] = Field(default_factory=dict)
    users: dict[str, str] = Field(default_factory=dict)

    @field_validator("public_key")
    @classmethod
    def _is_a_key(cls, text: str) -> str:
        _ed25519(text)
        return text

    def is_signed(self, body: bytes, signature: str) -> bool:
        """Whether this is HighLevel's signature (in base64) of the body."""
        try:
            _ed25519(self.public_key).verify(base64.b64decode(signature, validate=True), body)
        except (ValueError, InvalidSignature):
            return False
        return True


@functools.cache
def _ed25519(text: str) -> Ed25519PublicKey:
    try:
        raw = base64.b64decode(re.sub(r"-----[^-]+-----|\s", "", text), validate=True)
        key = Ed25519PublicKey.from_public_bytes(raw) if len(raw) == 32 else load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise wrong("is not an Ed25519 public key", "write it as HighLevel publishes it: PEM, or base64")
    return key


class WebhooksSettings(Table):
    """To which networks webhooks may be sent."""

    #: Networks that are allowed although they are not public. Receivers there may also be reached by plain http.
    networks: tuple[Network, ...] = ()

    @field_validator("networks", mode="before")
    @classmethod
    def _are_networks(cls, given: object) -> object:
        if not isinstance(given, Sequence) or isinstance(given, str):
            return given
        return tuple(_network(text) for text in given)


def _network(text: object) -> Network:
    try:
        network = ipaddress.ip_network(str(text))
    except ValueError:
        raise wrong(f'holds "{text}", which is not a network', 'write it as "10.1.0.0/16" or "192.168.1.5"') from None
    # Link-local addresses are where clouds serve secrets to their machines.
    if any(network.version == local.version and network.overlaps(local) for local in _LINK_LOCAL):
        raise wrong(f'holds "{text}", in which there are link-local addresses', "name the networks of the receivers")
    return network


_LINK_LOCAL = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))


class DefaultsSettings(Table):
    """The settings of new calendars and users, which can be changed later for each."""

    titles: Titles = Titles.BUSY
    #: What happens when a new user changes an appointment's event in iCloud.
    two_way: TwoWay = TwoWay.ACCEPT


class ProviderSettings(Table):
    """One CalDAV service whose accounts can be connected."""

    # Defined before `url`, whose check uses it.
    allow_http: Flag = False
    url: str
    #: Hosts, in addition to that of `url`, to which credentials may be sent; `*.` stands for any subdomain.
    credential_hosts: tuple[str, ...] = ()
    #: None: the system's certificate authorities.
    ca_file: File | None = None
    #: None: as `[mirror] poll_seconds`.
    poll_seconds: Seconds | None = None
    #: The limit for each account.
    requests_per_minute: int = Field(default=120, strict=True, ge=1, le=10_000)

    @field_validator("url")
    @classmethod
    def _is_a_safe_web_address(cls, url: str, info: ValidationInfo) -> str:
        url = _web_address(url)
        parts = urlsplit(url)
        if parts.scheme == "http" and not is_loopback(parts.hostname or "") and not info.data.get("allow_http"):
            raise wrong(
                "would send passwords over the network unencrypted",
                "use https://, or set allow_http = true beside it if you trust that network",
            )
        return url

    @field_validator("credential_hosts")
    @classmethod
    def _are_host_patterns(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            # With "*" or "*.com", a redirect could send the password to anybody.
            if not re.fullmatch(r"(\*\.[\w-]+\.)?[\w-]+(\.[\w-]+)*", host):
                raise wrong(
                    f'holds "{host}", which is not a host', 'write hosts as "caldav.example.com" or "*.example.com"'
                )
        return tuple(host.lower() for host in hosts)


#: The provider "icloud", unless the file changes it. Its partition hosts are pNN-caldav.icloud.com.
ICLOUD = {"url": "https://caldav.icloud.com/", "credential_hosts": ["*.icloud.com"]}


class Settings(Table):
    """All settings, with their defaults."""

    store: StoreSettings = StoreSettings()
    secrets: SecretsSettings = SecretsSettings()
    sidecar: SidecarSettings = SidecarSettings()
    radicale: RadicaleSettings = RadicaleSettings()
    pages: PagesSettings = PagesSettings()
    mirror: MirrorSettings = MirrorSettings()
    booking: BookingSettings = BookingSettings()
    api: ApiSettings = ApiSettings()
    webhooks: WebhooksSettings = WebhooksSettings()
    highlevel: HighLevelSettings = HighLevelSettings()
    defaults: DefaultsSettings = DefaultsSettings()
    providers: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")], ProviderSettings] = Field(
        default_factory=dict, validate_default=True
    )
    #: The users that the file declares. Others can be added by command or API.
    users: tuple[UserSettings, ...] = ()

    @field_validator("providers", mode="before")
    @classmethod
    def _icloud_is_there(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        icloud = given.get("icloud", {})
        return {**given, "icloud": {**ICLOUD, **icloud} if isinstance(icloud, dict) else icloud}

    def poll_seconds(self, provider: str) -> int:
        """Seconds between two polls of an account of this provider."""
        known = self.providers.get(provider)
        return known.poll_seconds if known and known.poll_seconds else self.mirror.poll_seconds
