"""To which addresses webhooks may be sent: public ones, and those in networks that the settings name. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LONGEST_URL = 2000
#: A label of a host name. Underscores are not allowed, but common.
_LABEL = re.compile("[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
LONGEST_NAME = 253
#: Ways to write an IPv4 address that browsers and resolvers know: one number, octal, hexadecimal, fewer parts.
_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)", re.ASCII)
#: Domains that never resolve (RFC 6761, 7686, 9476), and those of local networks (RFC 6762, 8375).
_NOWHERE = {"invalid", "onion", "alt"}
_INSIDE = (".local", ".internal", ".home.arpa")
_THIS_MACHINE = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
_NOT_PUBLIC = "This address is not public. Networks that receivers may live in are named in [webhooks] networks."


def url_problem(url: str, networks: Iterable[Network]) -> str | None:
    """What is wrong with a receiver's URL; None: nothing. Host names are only looked up when connecting."""
    networks = tuple(networks)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "This is no web address."
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > LONGEST_URL or "\\" in url:
        return f"Write the address in ASCII, without spaces, in {LONGEST_URL} characters at most."
    if parts.scheme not in {"https", "http"} or not host or port == 0:
        return "Give an address that begins with https://."
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "Leave out user name, password and fragment: deliveries are signed."
    if parts.scheme == "http" and not networks:
        return "Give an https:// address. (http:// is for the networks named in the setting [webhooks] networks.)"
    encrypted = parts.scheme == "https"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _name_problem(host.removesuffix("."), encrypted=encrypted, networks=networks)
    return None if may_reach(address, encrypted=encrypted, networks=networks) else _NOT_PUBLIC


def _name_problem(name: str, *, encrypted: bool, networks: tuple[Network, ...]) -> str | None:
    """What is wrong with a host name, as far as can be told without looking it up; None: nothing."""
    if _NUMBER.fullmatch(name):
        return "Write an IP address in its usual form, such as 192.0.2.1."
    labels = name.split(".")
    if len(name) > LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)) or labels[-1] in _NOWHERE:
        return "Nothing can have this name."
    if labels[-1] == "localhost":
        here = any(may_reach(address, encrypted=encrypted, networks=networks) for address in _THIS_MACHINE)
        return None if here else _NOT_PUBLIC
    inside = len(labels) == 1 or name.endswith(_INSIDE)
    return _NOT_PUBLIC if inside and not networks else None


def may_reach(address: Address, *, encrypted: bool, networks: Iterable[Network]) -> bool:
    """Whether a webhook may be sent to this address: a public one by TLS, or one in the networks named."""
    inner = _inner(address)
    if any(inner in network for network in networks):
        return True
    inward = inner.is_multicast or inner.is_reserved or (inner.version == 6 and inner.is_site_local)
    return encrypted and inner.is_global and not inward


#: Addresses that contain an IPv4 address in the last 32 bits (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address contains, as IPv6 has several forms for that; else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        teredo = address.teredo
        return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address
    return address
