"""A CalDAV client that speaks to the application in process, and keeps nothing between requests."""

from __future__ import annotations

import base64
import gzip
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

NAMES = {
    "D": "DAV:",
    "C": "urn:ietf:params:xml:ns:caldav",
    "CS": "http://calendarserver.org/ns/",
    "ICAL": "http://apple.com/ns/ical/",
    "ME": "http://me.com/_namespace/",
    "CR": "urn:ietf:params:xml:ns:carddav",
}
_DECLARED = " ".join(f'xmlns:{prefix}="{name}"' for prefix, name in NAMES.items())
CRM = "/ada/crm/"


def clark(name: str) -> str:
    """`D:href` as ElementTree spells it."""
    prefix, _, local = name.partition(":")
    return f"{{{NAMES[prefix]}}}{local}"


def element(name: str, /, *content: str, **attributes: str) -> str:
    """XML text of an element, its namespaces declared."""
    quoted = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in attributes.items())
    return f"<{name} {_DECLARED}{quoted}>{''.join(content)}</{name}>"


def prop(*names: str) -> str:
    """A D:prop that asks for these."""
    return element("D:prop", *(f"<{name}/>" for name in names))


def events_filter(*inside: str) -> str:
    """A C:filter on events with these tests."""
    return element(
        "C:filter", element("C:comp-filter", element("C:comp-filter", *inside, name="VEVENT"), name="VCALENDAR")
    )


def time_range(start: str | None = None, end: str | None = None) -> str:
    return element("C:time-range", **{k: v for k, v in (("start", start), ("end", end)) if v})


@dataclass
class Resource:
    """One response of a multistatus. `status` is set where the whole resource has one."""

    href: str
    status: int | None = None
    found: dict[str, ET.Element] = field(default_factory=dict)
    missing: dict[str, ET.Element] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        return self.found[clark(name)].text

    def children(self, name: str) -> list[str]:
        """The tags of what a property holds."""
        return [child.tag for child in self.found[clark(name)]]

    def hrefs(self, name: str) -> list[str | None]:
        return [href.text for href in self.found[clark(name)].iter(clark("D:href"))]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def plain(self) -> bytes:
        """The body as it was before it was compressed."""
        return gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body

    @property
    def text(self) -> str:
        return self.plain.decode()

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.plain)

    @property
    def resources(self) -> dict[str, Resource]:
        """What a multistatus says, by href as it stands there."""
        assert self.status == 207, (self.status, self.text)
        return {one.href: one for one in map(_resource, self.xml.iter(clark("D:response")))}

    @property
    def one(self) -> Resource:
        (only,) = self.resources.values()
        return only

    @property
    def sync_token(self) -> str:
        token = self.xml.find(clark("D:sync-token"))
        assert token is not None and token.text
        return token.text

    @property
    def data(self) -> dict[str, str]:
        """The calendar data of each resource, by the last part of its href."""
        return {name(href): one.text("C:calendar-data") or "" for href, one in self.resources.items()}


def name(href: str) -> str:
    return unquote(href.rstrip("/").rsplit("/", 1)[1])


def _resource(response: ET.Element) -> Resource:
    made = Resource(response.findtext(clark("D:href")) or "")
    status = response.find(clark("D:status"))
    if status is not None:
        made.status = _status(status)
    for stat in response.iter(clark("D:propstat")):
        into = {200: made.found, 404: made.missing}[_status(stat.find(clark("D:status")))]
        holder = stat.find(clark("D:prop"))
        assert holder is not None
        into.update({child.tag: child for child in holder})
    return made


def _status(found: ET.Element | None) -> int:
    assert found is not None and found.text
    return int(found.text.split()[1])


class Unread(io.RawIOBase):
    """A body that must not be looked at."""

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: object) -> int:
        raise AssertionError("the body was read")


@dataclass
class Client:
    """Asks the application as one user, or as nobody."""

    app: Callable[..., Iterable[bytes]]
    user: str | None = None
    password: str = ""

    def request(
        self, method: str, path: str, body: str | bytes | io.RawIOBase = b"", *, query: str = "", **headers: str
    ) -> Answer:
        """One request. Headers are given as keywords: `depth="1"`, `content_type="text/xml"`."""
        content = body.encode() if isinstance(body, str) else body
        environ: dict[str, object] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            # WSGI hands over the decoded path as latin-1.
            "PATH_INFO": unquote(path, encoding="latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "5232",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
            "wsgi.input": io.BytesIO(content) if isinstance(content, bytes) else content,
            "CONTENT_LENGTH": str(len(content)) if isinstance(content, bytes) else "1000",
            "CONTENT_TYPE": headers.pop("content_type", "application/xml; charset=utf-8"),
        }
        if self.user is not None and "authorization" not in headers:
            login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            environ["HTTP_AUTHORIZATION"] = f"Basic {login}"
        environ |= {f"HTTP_{key.upper()}": value for key, value in headers.items()}
        said: list[tuple[str, list[tuple[str, str]]]] = []
        got = b"".join(self.app(environ, lambda status, fields: said.append((status, fields))))
        ((status, fields),) = said
        answer = Answer(int(status.split()[0]), {key.lower(): value for key, value in fields}, got)
        if got:
            assert answer.headers["content-length"] == str(len(got))
        return answer

    def propfind(self, path: str, *names: str, depth: str = "0", **headers: str) -> Answer:
        return self.request("PROPFIND", path, element("D:propfind", prop(*names)), depth=depth, **headers)

    def report(self, path: str, kind: str, *inside: str, depth: str = "1") -> Answer:
        return self.request("REPORT", path, element(kind, *inside), depth=depth)

    def sync(self, token: str = "", *names: str, path: str = CRM) -> Answer:
        asked = prop(*(names or ("D:getetag",)))
        given = element("D:sync-token", token)
        return self.report(path, "D:sync-collection", given, "<D:sync-level>1</D:sync-level>", asked, depth="0")

    def multiget(self, *hrefs: str, path: str = CRM) -> Answer:
        asked = prop("D:getetag", "C:calendar-data")
        return self.report(path, "C:calendar-multiget", asked, *(element("D:href", href) for href in hrefs))

    def query(self, *filters: str, data: str = "<C:calendar-data/>", path: str = CRM) -> Answer:
        asked = element("D:prop", "<D:getetag/>", data)
        return self.report(path, "C:calendar-query", asked, *filters)

    def within(self, start: str | None = None, end: str | None = None) -> set[str]:
        """The names of the objects with something in a span."""
        return set(self.query(events_filter(time_range(start, end))).data)

    def free_busy(self, start: str, end: str) -> list[tuple[str, str]]:
        """The busy periods of a span, as they stand there."""
        answer = self.report(CRM, "C:free-busy-query", time_range(start, end))
        assert answer.status == 200, answer.text
        lines = [line for line in answer.text.splitlines() if line.startswith("FREEBUSY")]
        assert all(";FBTYPE=BUSY:" in line for line in lines), lines
        periods = [period for line in lines for period in line.partition(":")[2].split(",")]
        return sorted((period.split("/")[0], period.split("/")[1]) for period in periods)


def path_of(url: str) -> str:
    return urlsplit(url).path
