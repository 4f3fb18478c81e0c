"""WebDAV's XML: what a request asks, and how an answer is put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lxml import etree

D = "{DAV:}"
C = "{urn:ietf:params:xml:ns:caldav}"
CS = "{http://calendarserver.org/ns/}"
ICAL = "{http://apple.com/ns/ical/}"
_PREFIXES = {D: "", C: "C:", CS: "CS:", ICAL: "I:"}
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"'
    ' xmlns:CS="http://calendarserver.org/ns/" xmlns:I="http://apple.com/ns/ical/">'
)
OK, NOT_FOUND = "HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an XML body asks for."""

    kind: str
    #: Clark names; None: all.
    names: tuple[str, ...] | None
    hrefs: tuple[str, ...]
    token: str
    limit: int | None
    #: Of a calendar-query: the component asked for, and whether a property is asked for by its value.
    component: str | None
    by_property: bool

    @classmethod
    def read(cls, body: bytes) -> Asked | None:
        """None for what is not XML."""
        if not body:
            return cls("propfind", None, (), "", None, None, False)
        try:
            root = etree.fromstring(body)
        except etree.XMLSyntaxError:
            return None
        properties = root.find(f"{D}prop")
        limit = root.findtext(f"{D}limit/{D}nresults")
        component = root.find(f"{C}filter/{C}comp-filter/{C}comp-filter")
        return cls(
            kind=etree.QName(root).localname,
            names=None if properties is None else tuple(child.tag for child in properties),
            hrefs=tuple((href.text or "").strip() for href in root.findall(f"{D}href")),
            token=(root.findtext(f"{D}sync-token") or "").strip(),
            limit=int(limit) if limit else None,
            component=None if component is None else component.get("name"),
            by_property=component is not None and component.find(f"{C}prop-filter") is not None,
        )


def element(name: str, content: str = "") -> str:
    """One element. `content` is XML."""
    namespace, _, local = name.rpartition("}")
    tag = f"{_PREFIXES.get(f'{namespace}}}', '')}{local}"
    extra = "" if f"{namespace}}}" in _PREFIXES else f' xmlns="{escape(namespace[1:])}"'
    return f"<{tag}{extra}>{content}</{tag}>" if content else f"<{tag}{extra}/>"


def hrefs(*addresses: str) -> str:
    """Hrefs, as the content of a property."""
    return "".join(f"<href>{escape(address)}</href>" for address in addresses)


def response(
    href: str,
    found: Mapping[str, str],
    asked: Iterable[str] | None,
    *,
    empty_not_found: bool,
    status: str | None = None,
) -> str:
    """One response: the properties that were asked for and are there, and perhaps those that are not."""
    names = tuple(found) if asked is None else tuple(asked)
    there = "".join(element(name, found[name]) for name in names if name in found)
    missing = "".join(element(name) for name in names if name not in found)
    parts = [f"<response><href>{escape(href)}</href>"]
    if status is not None:
        parts.append(f"<status>{status}</status>")
    if there:
        parts.append(f"<propstat><prop>{there}</prop><status>HTTP/1.1 200 OK</status></propstat>")
    if missing and (empty_not_found or not there):
        parts.append(f"<propstat><prop>{missing}</prop><status>{NOT_FOUND}</status></propstat>")
    return "".join([*parts, "</response>"])


def bare(href: str, status: str) -> str:
    """A response that is a status only."""
    return f"<response><href>{escape(href)}</href><status>{status}</status></response>"


def multistatus(rows: Iterable[str], token: str | None = None) -> str:
    """A whole body."""
    ending = f"<sync-token>{escape(token)}</sync-token>" if token is not None else ""
    return f"{_HEAD}{''.join(rows)}{ending}</multistatus>"


def error(name: str) -> str:
    """The body of a refusal that names its precondition (RFC 4918 section 16)."""
    return f'<?xml version="1.0"?><error xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">{element(name)}</error>'
