"""One person's login at a server, and what they do there with their own programs."""

from __future__ import annotations

import secrets
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote, urljoin, urlsplit
from xml.sax.saxutils import escape

from lxml import etree

from tests.upstreams.front import PERSON


class Login:
    """A login. Its methods are requests of the person's own programs: no server records them."""

    def __init__(self, url: str, username: str, home: str, set_password: Callable[[str, str], None]) -> None:
        #: The server's root.
        self.url = url
        self.username = username
        #: Where the person's calendars are.
        self.home = urljoin(url, home)
        self._set_password = set_password
        self.change_password()

    def change_password(self) -> None:
        """Give the login another password."""
        self.password = secrets.token_hex(8)
        self._set_password(self.username, self.password)

    def make_calendar(
        self, name: str, *, colour: str | None = None, components: Sequence[str] = ("VEVENT",), slug: str | None = None
    ) -> str:
        """Make a calendar; its address. `slug` is the last part of that, by default something random."""
        url = f"{self.home}{quote(slug or secrets.token_hex(4))}/"
        kinds = "".join(f'<C:comp name="{component}"/>' for component in components)
        self.send(
            "MKCALENDAR",
            url,
            '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:I="http://apple.com/ns/ical/">'
            f"<D:set><D:prop><D:displayname>{escape(name)}</D:displayname>"
            + (f"<I:calendar-color>{colour}</I:calendar-color>" if colour else "")
            + f"<C:supported-calendar-component-set>{kinds}</C:supported-calendar-component-set>"
            "</D:prop></D:set></C:mkcalendar>",
            content_type="application/xml; charset=utf-8",
        )
        return url

    def put(self, calendar_url: str, name: str, ics: str) -> None:
        """Put one object into a calendar, or replace it."""
        self.send("PUT", f"{calendar_url}{quote(name)}", ics)

    def delete(self, calendar_url: str, name: str = "") -> None:
        """Delete one object, or the whole calendar."""
        self.send("DELETE", f"{calendar_url}{quote(name)}")

    def texts(self, calendar_url: str) -> dict[str, str]:
        """Every object of a calendar: name to text."""
        body = '<D:propfind xmlns:D="DAV:"><D:prop><D:getetag/></D:prop></D:propfind>'
        listing = etree.fromstring(
            self.send("PROPFIND", calendar_url, body, content_type="application/xml", depth="1").encode()
        )
        hrefs = [(element.text or "").strip() for element in listing.iter("{DAV:}href")]
        return {
            unquote(urlsplit(href).path.rpartition("/")[2]): self.send("GET", urljoin(self.url, href))
            for href in hrefs
            if not href.endswith("/")
        }

    def send(
        self, method: str, url: str, body: str = "", *, content_type: str = "text/calendar", depth: str = "0"
    ) -> str:
        """Any other request; its answer's text. Raises `urllib.error.HTTPError`."""
        login = b64encode(f"{self.username}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": content_type, "Depth": depth, PERSON: "yes"}
        request = urllib.request.Request(url, body.encode() if body else None, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return str(response.read().decode())
