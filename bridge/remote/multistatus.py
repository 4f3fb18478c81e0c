"""Multistatus answers (RFC 4918 section 13), read strictly: a damaged one is `BadAnswer`, never an empty one."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urljoin

from caldav.response import DAVResponse
from lxml import etree

from bridge.errors import BadAnswer, NotFound
from bridge.remote.base import path_of
from bridge.remote.policy import without_query

D = "{DAV:}"
C = "{urn:ietf:params:xml:ns:caldav}"


class Row:
    """One response of a multistatus. Properties are from 2xx propstats only: others may contain empty elements."""

    def __init__(self, element: etree._Element, url: str, own: str) -> None:
        #: The path of the href; empty where the server left the href out.
        self.href = _href(element.findtext(f"{D}href"), url)
        status = element.findtext(f"{D}status")
        #: The status of the response as a whole, if it has one.
        self.status = _status(status, url) if status is not None else None
        self.properties: dict[str, etree._Element] = {}
        for propstat in element.findall(f"{D}propstat"):
            code = _status(propstat.findtext(f"{D}status"), url)
            if code >= 500:
                raise BadAnswer(without_query(url), f"status {code} for a property")
            if 200 <= code < 300:
                self.properties |= {child.tag: child for prop in propstat.findall(f"{D}prop") for child in prop}
        #: Whether this is about the requested resource itself: iCloud lists a collection as a member of itself.
        self.is_own = self.href.rstrip("/") == own

    @property
    def ok(self) -> bool:
        """Whether the server has nothing to say against this resource as a whole."""
        return _is_ok(self.status)

    @property
    def is_collection(self) -> bool:
        """Whether this is a collection, such as one nested in a calendar."""
        kind = self.properties.get(f"{D}resourcetype")
        return self.href.endswith("/") or (kind is not None and kind.find(f"{D}collection") is not None)

    def text(self, name: str) -> str:
        """A property's text, or an empty one."""
        return text(self.properties.get(name))


class Multistatus:
    """A complete multistatus. `url` is where it came from, after redirects."""

    def __init__(self, response: DAVResponse, asked: str) -> None:
        expect(response.status, asked)
        tree = response.tree
        if tree is None or not _is_multistatus(tree):
            raise BadAnswer(without_query(asked), _NONE)
        self.url: str = response.headers["Content-Location"]
        own = path_of(self.url).rstrip("/")
        self.rows = [Row(element, self.url, own) for element in tree.findall(f"{D}response")]
        for row in self.rows:
            _expect_own(row, asked)


class Member(NamedTuple):
    """The part of a response that listings need. Nothing else is kept, since there may be thousands."""

    href: str
    #: Empty where there is none.
    etag: str
    status: int | None
    is_own: bool
    is_collection: bool

    @property
    def ok(self) -> bool:
        """Whether the server has nothing to say against this resource as a whole."""
        return _is_ok(self.status)


class Listing:
    """Reads a multistatus of members while it arrives, holding no more than one response in memory.

    It is worth nothing before `close` has said that it was whole.
    """

    def __init__(self, url: str) -> None:
        self.members: list[Member] = []
        self.sync_token = ""
        self._url = url
        self._own = path_of(url).rstrip("/")
        self._parser = etree.XMLPullParser(
            ("end",), tag=(f"{D}response", f"{D}sync-token"), resolve_entities=False, no_network=True, huge_tree=True
        )

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises `BadAnswer`."""
        try:
            self._parser.feed(data)
        except etree.XMLSyntaxError:
            raise BadAnswer(without_query(self._url), _NONE) from None
        for _, element in self._parser.read_events():
            root = element.getparent()
            if root is None or root.getparent() is not None:
                continue  # a property of that name
            if element.tag == f"{D}response":
                self._take(Row(element, self._url, self._own))
            else:
                self.sync_token = text(element)
            # The parser still needs the element that just ended.
            while element.getprevious() is not None:
                del root[0]

    def close(self) -> None:
        """The end of the answer. Raises `BadAnswer` unless it was complete, `NotFound` as `Multistatus` does."""
        try:
            root = self._parser.close()
        except etree.XMLSyntaxError:
            root = None
        if root is None or not _is_multistatus(root):
            raise BadAnswer(without_query(self._url), _NONE)
        for member in self.members:
            _expect_own(member, self._url)

    def _take(self, row: Row) -> None:
        etag = row.text(f"{D}getetag")
        self.members.append(Member(row.href, etag, row.status, row.is_own, row.is_collection))


_NONE = "the answer is no multistatus"


def expect(status: int, asked: str) -> None:
    """Raises `NotFound` or `BadAnswer` unless it is the status of a multistatus."""
    if status in {404, 410}:
        raise NotFound(without_query(asked), f"status {status}")
    if status != 207:
        raise BadAnswer(without_query(asked), f"status {status} where a multistatus was expected")


def _is_ok(status: int | None) -> bool:
    return status is None or 200 <= status < 300


def _is_multistatus(root: etree._Element) -> bool:
    return root.tag == f"{D}multistatus" and not root.getroottree().docinfo.doctype


def _expect_own(row: Row | Member, asked: str) -> None:
    if row.is_own and row.status in {404, 410}:
        raise NotFound(without_query(asked), f"status {row.status}")


def precondition(body: etree._Element | None) -> str:
    """The name of the precondition in a DAV:error body (RFC 4918 section 16); empty where there is none."""
    if body is None or body.tag != f"{D}error":
        return ""
    return next((etree.QName(child).localname for child in body.iterchildren("*")), "")


def text(element: etree._Element | None) -> str:
    """All text in an element; empty where there is none, or no element."""
    return "" if element is None else "".join(element.itertext()).strip()


def hrefs(element: etree._Element | None) -> list[str]:
    """Every href in a property, as the server writes it."""
    return [] if element is None else [h.text.strip() for h in element.iter(f"{D}href") if h.text and h.text.strip()]


def _href(href: str | None, url: str) -> str:
    if href is None or not (href := href.strip()):
        return ""
    try:
        return path_of(href if href.startswith("/") else urljoin(url, href))
    except ValueError:
        raise BadAnswer(without_query(url), "an href that is none") from None


def _status(line: str | None, url: str) -> int:
    match = re.search(r"(?:^|\s)(\d{3})(?:\s|$)", line or "")
    if match is None:
        raise BadAnswer(without_query(url), "a status that is none")
    return int(match.group(1))
