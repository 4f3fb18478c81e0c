"""WebDAV's multistatus (RFC 4918 section 13), read strictly: what can't be trusted is `BadAnswer`, never empty."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from caldav.response import DAVResponse
from lxml import etree

from bridge.errors import BadAnswer, NotFound
from bridge.remote.base import path_of
from bridge.remote.policy import without_query

D = "{DAV:}"
C = "{urn:ietf:params:xml:ns:caldav}"


class Row:
    """One response of a multistatus. Properties come from 2xx propstats only: a 404 one may carry empty elements."""

    def __init__(self, element: etree._Element, url: str, own: str) -> None:
        #: The path; an empty text when the server left the href out.
        self.href = _href(element.findtext(f"{D}href"), url)
        status = element.findtext(f"{D}status")
        #: The whole response's status, if it has one.
        self.status = _status(status, url) if status is not None else None
        self.properties: dict[str, etree._Element] = {}
        for propstat in element.findall(f"{D}propstat"):
            code = _status(propstat.findtext(f"{D}status"), url)
            if code >= 500:
                raise BadAnswer(without_query(url), f"status {code} for a property")
            if 200 <= code < 300:
                self.properties |= {child.tag: child for prop in propstat.findall(f"{D}prop") for child in prop}
        self._url = url
        #: Whether this is about the very resource that was asked: iCloud lists a collection as its own member.
        self.is_own = self.href.rstrip("/") == own

    @property
    def ok(self) -> bool:
        """Whether the server has nothing to say against this resource as a whole."""
        return self.status is None or 200 <= self.status < 300

    @property
    def is_collection(self) -> bool:
        """Whether this is a collection, such as one nested in a calendar."""
        kind = self.properties.get(f"{D}resourcetype")
        return self.href.endswith("/") or (kind is not None and kind.find(f"{D}collection") is not None)

    @property
    def etag(self) -> str:
        """The ETag. Raises `BadAnswer` when there is none: every calendar object has one (RFC 4791 section 5.3.4)."""
        etag = self.text(f"{D}getetag")
        if not etag:
            raise BadAnswer(without_query(self._url), "an object without an ETag")
        return etag

    def text(self, name: str) -> str:
        """A property's text, or an empty one."""
        return text(self.properties.get(name))


class Multistatus:
    """A whole multistatus. `url` is where it came from, redirects followed."""

    def __init__(self, response: DAVResponse, asked: str) -> None:
        shown = without_query(asked)
        if response.status in {404, 410}:
            raise NotFound(shown, f"status {response.status}")
        if response.status != 207:
            raise BadAnswer(shown, f"status {response.status} where a multistatus was expected")
        tree = response.tree
        if tree is None or tree.tag != f"{D}multistatus" or tree.getroottree().docinfo.doctype:
            raise BadAnswer(shown, "the answer is no multistatus")
        self.url: str = response.headers["Content-Location"]
        own = path_of(self.url).rstrip("/")
        self.rows = [Row(element, self.url, own) for element in tree.findall(f"{D}response")]
        for row in self.rows:
            if row.is_own and row.status in {404, 410}:
                raise NotFound(shown, f"status {row.status}")
        self.sync_token: str = (tree.findtext(f"{D}sync-token") or "").strip()


def precondition(body: etree._Element | None) -> str:
    """The name of the precondition in a DAV:error body (RFC 4918 section 16), or an empty text."""
    if body is None or body.tag != f"{D}error":
        return ""
    return next((etree.QName(child).localname for child in body.iterchildren("*")), "")


def text(element: etree._Element | None) -> str:
    """All text in an element, or an empty one."""
    return "" if element is None else "".join(element.itertext()).strip()


def hrefs(element: etree._Element | None) -> list[str]:
    """Every href in a property, as the server spells it."""
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
