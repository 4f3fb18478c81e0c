"""A real CalDAV server through the caldav library's async client, in the terms of `bridge.remote.base`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urljoin, urlsplit

from caldav.async_davclient import AsyncDAVClient
from lxml import etree
from niquests.auth import HTTPBasicAuth

from bridge.errors import BadAnswer, Forbidden, NotFound, PreconditionFailed, Refused, RemoteError, TokenRejected
from bridge.remote.base import Changes, Home, RemoteCalendar, RemoteObject, path_of
from bridge.remote.policy import ProviderPolicy, without_query
from bridge.remote.session import Session

_D = "{DAV:}"
_C = "{urn:ietf:params:xml:ns:caldav}"
_CS = "{http://calendarserver.org/ns/}"
_ICAL = "{http://apple.com/ns/ical/}"
_NAMESPACES = (
    'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/"'
    ' xmlns:I="http://apple.com/ns/ical/"'
)
#: What a server may answer to a sync-token that it does not know; RFC 6578 says 403 with a precondition.
_TOKEN_REFUSALS = frozenset({400, 405, 409, 410, 412, 415, 501, 507})
_MAX_PAGES = 1000


class CaldavRemote:
    """One Account's view of its server. Never shows its password."""

    def __init__(self, policy: ProviderPolicy, username: str, password: str) -> None:
        self._policy = policy
        self._username = username
        self._client = AsyncDAVClient(
            url=policy.url,
            # Sent with the first request: no probing for what the server would like.
            auth=HTTPBasicAuth(username.encode(), password.encode()),
            enable_rfc6764=False,
            rate_limit_handle=False,
        )
        self._client.session = Session(policy)

    def __repr__(self) -> str:
        return f"CaldavRemote({self._policy.name}, {self._username})"

    async def discover(self) -> Home:
        """Find principal, home and calendars. Raises `NotFound` when nothing there speaks CalDAV."""
        root = self._policy.url
        principal = await self._principal(root)
        if principal is None:
            try:
                principal = await self._principal(urljoin(root, "/.well-known/caldav"))
            except RemoteError:
                principal = None  # iCloud answers 501 there; the root has spoken already
        if principal is None:
            raise NotFound(without_query(root), "nothing here speaks CalDAV")
        properties = await self._properties(principal, "<C:calendar-home-set/><C:calendar-user-address-set/>")
        home = next(iter(_hrefs(properties.get(f"{_C}calendar-home-set"))), None)
        if home is None:
            raise NotFound(without_query(principal), "the account has no calendar home")
        addresses = {
            address.removeprefix("mailto:")
            for href in _hrefs(properties.get(f"{_C}calendar-user-address-set"))
            if (address := unquote(href).lower()).startswith("mailto:")
        }
        if "@" in self._username:
            addresses.add(self._username.lower())
        home_url = _directory(urljoin(principal, home))
        return Home(home_url, frozenset(addresses), await self.calendars(home_url))

    async def calendars(self, home_url: str) -> tuple[RemoteCalendar, ...]:
        """The calendars that can hold events: one PROPFIND at Depth 1."""
        body = _propfind(
            "<D:resourcetype/><D:displayname/><I:calendar-color/><C:supported-calendar-component-set/>"
            "<D:current-user-privilege-set/><CS:getctag/><D:sync-token/>"
        )
        rows = await self._multistatus("PROPFIND", home_url, body, depth="1")
        return tuple(
            _calendar(urljoin(home_url, row.href), row.properties) for row in rows if _holds_events(row.properties)
        )

    async def changes(self, url: str, sync_token: str | None) -> Changes:
        """What changed since `sync_token` (RFC 6578 section 3.2), page after page."""
        changed: dict[str, str] = {}
        removed: set[str] = set()
        token = sync_token
        for _ in range(_MAX_PAGES):
            tree = await self._sync_collection(url, token)
            page = _rows(tree, url)
            more = False
            for row in page:
                if path_of(row.href).rstrip("/") == path_of(url).rstrip("/"):
                    # iCloud lists the collection as a member of itself; a 507 there says that there is more to come.
                    more = more or row.status == 507
                elif row.status in {404, 410}:
                    removed.add(path_of(row.href))
                    changed.pop(path_of(row.href), None)
                elif row.status is not None and row.status >= 300:
                    raise BadAnswer(without_query(url), f"status {row.status} for a member")
                elif _is_object(row.href):
                    changed[path_of(row.href)] = row.etag(url)
                    removed.discard(path_of(row.href))
            new = tree.findtext(f"{_D}sync-token")
            if not new:
                raise BadAnswer(without_query(url), "no sync-token came with the changes")
            if not more:
                return Changes(changed, frozenset(removed), new, complete=sync_token is None)
            if new == token:
                break
            token = new
        raise BadAnswer(without_query(url), "the server never comes to the end of the changes")

    async def listing(self, url: str) -> Mapping[str, str]:
        """Every object, href to etag: one PROPFIND at Depth 1."""
        rows = await self._multistatus("PROPFIND", url, _propfind("<D:getetag/><D:resourcetype/>"), depth="1")
        if not any(path_of(row.href).rstrip("/") == path_of(url).rstrip("/") for row in rows):
            raise BadAnswer(without_query(url), "the listing lacks the calendar itself")
        for row in rows:
            if row.status is not None and row.status >= 300:
                raise BadAnswer(without_query(url), f"status {row.status} for a member")
        return {path_of(row.href): row.etag(url) for row in rows if _is_object(row.href)}

    async def multiget(self, url: str, hrefs: Iterable[str]) -> tuple[RemoteObject, ...]:
        """Objects by calendar-multiget (RFC 4791 section 7.9); what is gone is left out."""
        wanted = "".join(f"<D:href>{_escaped(href)}</D:href>" for href in hrefs)
        body = (
            f'<?xml version="1.0" encoding="utf-8"?><C:calendar-multiget {_NAMESPACES}>'
            f"<D:prop><D:getetag/><C:calendar-data/></D:prop>{wanted}</C:calendar-multiget>"
        )
        rows = await self._multistatus("REPORT", url, body, depth="1")
        found = []
        for row in rows:
            etag, data = row.text(f"{_D}getetag"), row.text(f"{_C}calendar-data")
            if etag and data:
                found.append(RemoteObject(path_of(row.href), etag, data))
        return tuple(found)

    async def get(self, url: str, href: str) -> RemoteObject:
        """One object. Raises `NotFound`."""
        address = self._address(url, href)
        response = await self._client.request(address, "GET", "", {"Accept": "text/calendar"})
        if response.status in {404, 410}:
            raise NotFound(without_query(address))
        if response.status != 200:
            raise BadAnswer(without_query(address), f"status {response.status}")
        etag = response.headers.get("ETag")
        if not etag:
            properties = await self._properties(address, "<D:getetag/>")
            etag = _text(properties.get(f"{_D}getetag"))
        if not etag:
            raise BadAnswer(without_query(address), "the object has no ETag")
        return RemoteObject(path_of(href), etag, response._raw_body.decode("utf-8", errors="replace"))

    async def put(self, url: str, href: str, ics: str, *, etag: str | None) -> None:
        """Create (`If-None-Match: *`) or replace that version (`If-Match`). Never `If-Match: *`: iCloud inverts it."""
        address = self._address(url, href)
        condition = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
        headers = {"Content-Type": "text/calendar; charset=utf-8", **condition}
        response = await self._client.request(address, "PUT", ics, headers)
        self._check_write(response.status, address, creating=etag is None)

    async def delete(self, url: str, href: str, *, etag: str | None) -> None:
        """Remove one object directly inside the calendar. No Depth header, which iCloud does not take."""
        address = self._address(url, href)
        response = await self._client.request(address, "DELETE", "", {} if etag is None else {"If-Match": etag})
        self._check_write(response.status, address, creating=False)

    async def close(self) -> None:
        """Give up connections."""
        await self._client.close()

    def _address(self, url: str, href: str) -> str:
        """An object's address on its calendar's own host. Guards every write against reaching a collection."""
        path = path_of(href)
        directory, _, name = path.rpartition("/")
        if not name or directory.rstrip("/") != path_of(url).rstrip("/"):
            raise ValueError(f"{path} is not directly inside {path_of(url)}")
        return urljoin(url, path)

    def _check_write(self, status: int, address: str, *, creating: bool) -> None:
        shown = without_query(address)
        if 200 <= status < 300:
            return
        if status == 412:
            raise PreconditionFailed(shown)
        if status in {404, 410} and not creating:
            raise NotFound(shown)
        # iCloud answers 404 to an event that it does not like, such as one without DTEND.
        raise Refused(shown, f"status {status}")

    async def _principal(self, url: str) -> str | None:
        try:
            properties = await self._properties(url, "<D:current-user-principal/><D:resourcetype/>")
        except NotFound:
            return None
        href = next(iter(_hrefs(properties.get(f"{_D}current-user-principal"))), None)
        if href is not None:
            return urljoin(url, href)
        kind = properties.get(f"{_D}resourcetype")
        return url if kind is not None and kind.find(f"{_D}principal") is not None else None

    async def _properties(self, url: str, names: str) -> dict[str, etree._Element]:
        """Properties of one resource, at Depth 0: iCloud refuses Depth 1 on a principal."""
        rows = await self._multistatus("PROPFIND", url, _propfind(names), depth="0")
        return rows[0].properties if rows else {}

    async def _multistatus(self, method: str, url: str, body: str, *, depth: str) -> list[_Row]:
        response = await self._client.request(url, method, body, _xml_headers(depth))
        shown = without_query(url)
        if response.status in {404, 405, 410, 501}:
            raise NotFound(shown, f"status {response.status}")
        if response.status != 207:
            raise BadAnswer(shown, f"status {response.status} where a multistatus was expected")
        return _rows(_tree(response, shown), url)

    async def _sync_collection(self, url: str, token: str | None) -> etree._Element:
        body = (
            f'<?xml version="1.0" encoding="utf-8"?><D:sync-collection {_NAMESPACES}>'
            f"<D:sync-token>{_escaped(token or '')}</D:sync-token><D:sync-level>1</D:sync-level>"
            "<D:prop><D:getetag/></D:prop></D:sync-collection>"
        )
        shown = without_query(url)
        try:
            response = await self._client.request(url, "REPORT", body, _xml_headers("0"))
        except Forbidden as error:
            if error.detail != "valid-sync-token":
                await self._properties(url, "<D:resourcetype/>")  # still readable: then it was the token
            raise TokenRejected(shown, error.detail) from error
        if response.status in {404, 410}:
            # Of the token or of the calendar? Ask the calendar.
            await self._properties(url, "<D:resourcetype/>")
            raise TokenRejected(shown, f"status {response.status}")
        if response.status in _TOKEN_REFUSALS:
            raise TokenRejected(shown, f"status {response.status}")
        if response.status != 207:
            raise BadAnswer(shown, f"status {response.status} where a multistatus was expected")
        return _tree(response, shown)


class _Row:
    """One response of a multistatus. Properties come from 2xx propstats only: a 404 one may carry empty elements."""

    def __init__(self, element: etree._Element, url: str) -> None:
        href = element.findtext(f"{_D}href")
        if not href or not href.strip():
            raise BadAnswer(without_query(url), "a response without an href")
        self.href = href.strip()
        status = element.findtext(f"{_D}status")
        self.status = _status(status) if status else None
        self.properties: dict[str, etree._Element] = {}
        for propstat in element.findall(f"{_D}propstat"):
            code = _status(propstat.findtext(f"{_D}status") or "")
            if code >= 500:
                raise BadAnswer(without_query(url), f"status {code} for a property")
            if 200 <= code < 300:
                self.properties |= {child.tag: child for prop in propstat.findall(f"{_D}prop") for child in prop}

    def text(self, name: str) -> str:
        return _text(self.properties.get(name))

    def etag(self, url: str) -> str:
        etag = self.text(f"{_D}getetag")
        if not etag:
            raise BadAnswer(without_query(url), "an object without an ETag")
        return etag


def _rows(tree: etree._Element, url: str) -> list[_Row]:
    return [_Row(element, url) for element in tree.findall(f"{_D}response")]


def _tree(response: object, shown: str) -> etree._Element:
    tree = getattr(response, "tree", None)
    if tree is None or tree.tag != f"{_D}multistatus":
        raise BadAnswer(shown, "the answer is no multistatus")
    return tree


def _status(line: str) -> int:
    match = re.search(r"\s(\d{3})(\s|$)", line)
    return int(match.group(1)) if match else 500


def _text(element: etree._Element | None) -> str:
    return "" if element is None else "".join(element.itertext()).strip()


def _hrefs(element: etree._Element | None) -> list[str]:
    return [] if element is None else [h.text.strip() for h in element.iter(f"{_D}href") if h.text and h.text.strip()]


def _holds_events(properties: Mapping[str, etree._Element]) -> bool:
    kind = properties.get(f"{_D}resourcetype")
    if kind is None or kind.find(f"{_C}calendar") is None:
        return False
    components = properties.get(f"{_C}supported-calendar-component-set")
    return components is None or any(c.get("name") == "VEVENT" for c in components.iter(f"{_C}comp"))


def _calendar(url: str, properties: Mapping[str, etree._Element]) -> RemoteCalendar:
    url = _directory(url)
    colour = re.match(r"#[0-9A-Fa-f]{6}", _text(properties.get(f"{_ICAL}calendar-color")))
    privileges = properties.get(f"{_D}current-user-privilege-set")
    writable = None
    if privileges is not None:
        names = {child.tag for privilege in privileges.iter(f"{_D}privilege") for child in privilege}
        writable = bool(names & {f"{_D}write", f"{_D}write-content", f"{_D}all"})
    return RemoteCalendar(
        url=url,
        name=_text(properties.get(f"{_D}displayname")) or unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]),
        colour=colour.group(0) if colour else None,
        writable=writable,
        ctag=_text(properties.get(f"{_CS}getctag")) or None,
        sync_token=_text(properties.get(f"{_D}sync-token")) or None,
    )


def _is_object(href: str) -> bool:
    return not urlsplit(href).path.endswith("/")


def _directory(url: str) -> str:
    return url if url.endswith("/") else f"{url}/"


def _propfind(names: str) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?><D:propfind {_NAMESPACES}><D:prop>{names}</D:prop></D:propfind>'


def _xml_headers(depth: str) -> dict[str, str]:
    return {"Depth": depth, "Content-Type": 'application/xml; charset="utf-8"'}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
