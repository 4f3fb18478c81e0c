"""Answers that can't be trusted are never taken for empty ones; those that are merely odd are read."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bridge.errors import BadAnswer, Forbidden, NotFound, PreconditionFailed, Refused, ServerFault, TokenRejected
from bridge.remote import session
from bridge.remote.caldav_remote import CaldavRemote
from bridge.remote.policy import ProviderPolicy
from tests import upstreams
from tests.remote.dav import CALENDAR, OK, etag, multistatus, row, status_row, xml
from tests.remote.places import Events
from tests.upstreams import Drop, Scripted, http

ICS = Events()()


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with upstreams.scripted() as script:
        yield script


@pytest.fixture
async def remote(server: Scripted) -> AsyncIterator[CaldavRemote]:
    remote = CaldavRemote(ProviderPolicy("test", server.url, timeout=5), "ada@example.com", "secret-word")
    yield remote
    await remote.close()


@pytest.fixture
def url(server: Scripted) -> str:
    return f"{server.url}c/"


Ask = Callable[[CaldavRemote, str], Awaitable[object]]

READS: dict[str, Ask] = {
    "calendars": lambda remote, url: remote.calendars(url),
    "changes": lambda remote, url: remote.changes(url, "token-1"),
    "initial": lambda remote, url: remote.changes(url, None),
    "listing": lambda remote, url: remote.listing(url),
    "multiget": lambda remote, url: remote.multiget(url, ["/c/a.ics"]),
    "get": lambda remote, url: remote.get(url, "/c/a.ics"),
}
WHOLE = xml(row("/c/", CALENDAR), row("/c/a.ics", etag("1")), token="token-2")

BROKEN: dict[str, bytes | Drop] = {
    "no body": http(207),
    "cut off before its length": Drop(http(207, WHOLE)[:-40]),
    "cut off without a length": Drop(f"HTTP/1.1 207 OK\r\nConnection: close\r\n\r\n{WHOLE[:-40]}".encode()),
    "a chunk that never comes": Drop(f"HTTP/1.1 207 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n{WHOLE}".encode()),
    "half a gzip": http(207, gzip.compress(WHOLE.encode())[:-20], Content_Encoding="gzip"),
    "no gzip at all": http(207, WHOLE, Content_Encoding="gzip"),
    "not well-formed": http(207, WHOLE.replace("</D:response>", "", 1)),
    "a page for people": http(207, "<html><body>Please log in</body></html>", Content_Type="text/html"),
    "a page instead": http(200, "<html><body>Please log in</body></html>", Content_Type="text/html"),
    "another document": http(207, '<D:error xmlns:D="DAV:"/>'),
    "bytes of another charset": http(207, WHOLE.replace("/c/a.ics", "/c/\xe4.ics").encode("latin-1")),
    "entities": http(207, f'<!DOCTYPE x [<!ENTITY a "/c/">]>{WHOLE.partition("?>")[2]}'.replace(">/c/<", ">&a;<")),
    "a property that failed": multistatus(row("/c/", CALENDAR), row("/c/a.ics", etag("1"), status="HTTP/1.1 500 No")),
    "a status that is none": multistatus(row("/c/", CALENDAR, status="fine")),
    "a status of 204": http(204),
    "too many redirects": http(301, Location="/c/"),
}


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("<D:href>mailto:b@x</D:href><D:href preferred='1'>MAILTO:c@x</D:href>", ("c@x", "ada@example.com", "b@x")),
        ("<D:href>mailto:b@x</D:href><D:href>mailto:Ada%40example.com</D:href>", ("ada@example.com", "b@x")),
        ("<D:href>/ada/principal/</D:href><D:href>urn:uuid:1</D:href>", ("ada@example.com",)),
    ],
)
async def test_the_address_to_invite_from_comes_first(
    server: Scripted, remote: CaldavRemote, listed: str, found: tuple[str, ...]
) -> None:
    principal = "<D:current-user-principal><D:href>/p/</D:href></D:current-user-principal>"
    home = (
        "<C:calendar-home-set><D:href>/h/</D:href></C:calendar-home-set>"
        f"<C:calendar-user-address-set>{listed}</C:calendar-user-address-set>"
    )
    server.answer(multistatus(row("/", principal)), multistatus(row("/p/", home)), multistatus(row("/h/", CALENDAR)))
    assert (await remote.discover()).addresses == found


@pytest.mark.parametrize("ask", READS.values(), ids=READS)
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_a_broken_answer_is_an_error(
    server: Scripted, remote: CaldavRemote, url: str, answer: bytes | Drop, ask: Ask
) -> None:
    server.answer(*[answer] * (session.MAX_REDIRECTS + 1))
    with pytest.raises(BadAnswer):
        await ask(remote, url)


@pytest.mark.parametrize("ask", READS.values(), ids=READS)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_an_endless_answer_is_given_up(
    server: Scripted, remote: CaldavRemote, url: str, ask: Ask, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MAX_BODY", 100_000)
    body = WHOLE.encode() + b" " * 10_000_000
    sent = body if encoding == "identity" else gzip.compress(body)
    # Its length is not announced, and it never ends: only what was read so far can tell.
    server.answer(Drop(f"HTTP/1.1 207 OK\r\nContent-Encoding: {encoding}\r\n\r\n".encode() + sent))
    with pytest.raises(BadAnswer, match="far too long"):
        await ask(remote, url)


async def test_a_long_answer_is_read_to_its_end(server: Scripted, remote: CaldavRemote, url: str) -> None:
    rows = [row(f"/c/{number}.ics", etag(str(number))) for number in range(10_000)]
    server.answer(multistatus(row("/c/", CALENDAR), *rows))
    assert len(await remote.listing(url)) == 10_000


async def test_an_object_of_more_than_ten_megabytes_is_read(server: Scripted, remote: CaldavRemote, url: str) -> None:
    text = ICS.replace("SUMMARY:", f"ATTACH:{'A' * 11_000_000}\r\nSUMMARY:")
    server.answer(multistatus(row("/c/a.ics", f"{etag('1')}<C:calendar-data>{text}</C:calendar-data>")))
    (found,) = await remote.multiget(url, ["/c/a.ics"])
    assert len(found.ics) > 11_000_000


# --- Listings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row("/c/a.ics", etag("1"))],
        [row("/c/", CALENDAR), row("/c/a.ics", "<D:getetag/>")],
        [row("/c/", CALENDAR), row("/c/a.ics", "<D:getetag/>", status="HTTP/1.1 404 Not Found")],
        [row("/c/", CALENDAR), status_row("/c/a.ics", "HTTP/1.1 507 Insufficient Storage")],
        [row("/c/", CALENDAR), status_row("/c/a.ics", "HTTP/1.1 403 Forbidden")],
        [row("/c/", CALENDAR), row("", etag("1"))],
        [row("/c/", CALENDAR), status_row("/c/", "HTTP/1.1 507 Insufficient Storage")],
    ],
    ids=["nothing", "not itself", "no etag", "etag not found", "507", "403", "no href", "507 of itself"],
)
async def test_a_listing_is_complete_or_an_error(
    server: Scripted, remote: CaldavRemote, url: str, rows: list[str]
) -> None:
    server.answer(multistatus(*rows))
    with pytest.raises(BadAnswer):
        await remote.listing(url)


async def test_nested_collections_and_odd_spellings_in_a_listing(
    server: Scripted, remote: CaldavRemote, url: str
) -> None:
    server.answer(
        multistatus(
            row("https://other.example:443/c", CALENDAR),
            row("https://other.example:443/c/a.ics", etag("1")),
            row("b%20c.ics", etag("2")),
            row(" /c/%61%40x.ics\n", etag("3")),
            row("/c/nested/", "<D:resourcetype><D:collection/></D:resourcetype>"),
            row("/c/nested-too", "<D:resourcetype><D:collection/></D:resourcetype>"),
        )
    )
    assert await remote.listing(url) == {"/c/a.ics": '"1"', "/c/b%20c.ics": '"2"', "/c/a@x.ics": '"3"'}


async def test_properties_come_from_the_propstat_that_has_them(
    server: Scripted, remote: CaldavRemote, url: str
) -> None:
    two = (
        f"<D:response><D:href>/c/w/</D:href><D:propstat><D:prop>{CALENDAR}<D:displayname>Work</D:displayname>"
        f"<CS:getctag>1</CS:getctag></D:prop><D:status>{OK}</D:status></D:propstat>"
        "<D:propstat><D:prop><CS:getctag/><D:displayname/><D:sync-token/><C:supported-calendar-component-set/></D:prop>"
        "<D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>"
    )
    server.answer(multistatus(row("/c/", "<D:resourcetype><D:collection/></D:resourcetype>"), two))
    (calendar,) = await remote.calendars(url)
    assert (calendar.name, calendar.ctag, calendar.sync_token, calendar.writable) == ("Work", "1", None, None)


def privileges(*names: str) -> str:
    inside = "".join(f"<D:privilege><{name}/></D:privilege>" for name in names)
    return f"<D:current-user-privilege-set>{inside}</D:current-user-privilege-set>"


@pytest.mark.parametrize(
    ("given", "writable"),
    [
        ("", None),
        (privileges("D:read"), False),
        (privileges("D:read", "D:write-properties"), False),
        (privileges("D:read", "D:write-content"), True),
        (privileges("D:write"), True),
        (privileges("D:all"), True),
    ],
    ids=["not told", "read", "properties", "content", "write", "all"],
)
async def test_whether_a_calendar_can_be_written(
    server: Scripted, remote: CaldavRemote, url: str, given: str, writable: bool | None
) -> None:
    server.answer(multistatus(row("/c/w/", f"{CALENDAR}{given}")))
    (calendar,) = await remote.calendars(url)
    assert calendar.writable is writable


async def test_only_calendars_for_events_are_listed(server: Scripted, remote: CaldavRemote, url: str) -> None:
    def of_kind(slug: str, kinds: str, components: str = "") -> str:
        return row(f"/c/{slug}/", f"<D:resourcetype><D:collection/>{kinds}</D:resourcetype>{components}")

    def components(*names: str) -> str:
        inside = "".join(f'<C:comp name="{name}"/>' for name in names)
        return f"<C:supported-calendar-component-set>{inside}</C:supported-calendar-component-set>"

    server.answer(
        multistatus(
            of_kind("", ""),
            of_kind("inbox", "<C:schedule-inbox/>"),
            of_kind("outbox", "<C:schedule-outbox/>"),
            of_kind("notification", "<CS:notification/>"),
            of_kind("tasks", "<C:calendar/>", components("VTODO")),
            of_kind("subscribed", "<CS:subscribed/>", components("VEVENT")),
            of_kind("events", "<C:calendar/>", components("VEVENT")),
            of_kind("both", "<C:calendar/>", components("VEVENT", "VTODO")),
            of_kind("any", "<C:calendar/>"),
            of_kind("unsaid", "<C:calendar/>", components()),
            of_kind("shared", "<C:calendar/><CS:shared/>", components("VEVENT")),
            row("/c/refused/", CALENDAR, status="HTTP/1.1 403 Forbidden"),
        )
    )
    names = [calendar.name for calendar in await remote.calendars(url)]
    assert names == ["events", "both", "any", "unsaid", "shared"]


# --- Changes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        [row("/c/a.ics", etag("1"), status="HTTP/1.1 404 Not Found")],
        [status_row("/c/a.ics", "HTTP/1.1 403 Forbidden")],
        [status_row("/c/a.ics", "HTTP/1.1 200 OK")],
        [status_row("/c/", "HTTP/1.1 500 Oh")],
        [row("", etag("1"))],
    ],
    ids=["propstat 404", "member 403", "no etag", "itself 500", "no href"],
)
async def test_changes_that_can_not_be_told_are_an_error_and_no_deletion(
    server: Scripted, remote: CaldavRemote, url: str, rows: list[str]
) -> None:
    server.answer(multistatus(*rows, token="token-2"))
    with pytest.raises(BadAnswer):
        await remote.changes(url, "token-1")


async def test_changes_without_a_new_token_are_an_error(server: Scripted, remote: CaldavRemote, url: str) -> None:
    server.answer(multistatus(row("/c/a.ics", etag("1"))))
    with pytest.raises(BadAnswer):
        await remote.changes(url, "token-1")


async def test_changes_with_statuses_of_their_own_and_the_collection_among_them(
    server: Scripted, remote: CaldavRemote, url: str
) -> None:
    new = row("/c/a.ics", etag("1")).replace("<D:propstat>", f"<D:status>{OK}</D:status><D:propstat>")
    gone = status_row("/c/b.ics", "HTTP/1.1 404 Not Found"), status_row("/c/c.ics", "HTTP/1.1 410 Gone")
    server.answer(multistatus(row("/c/", etag("9")), status_row("/c/", OK), new, *gone, token="token-2"))
    changes = await remote.changes(url, "token-1")
    assert (dict(changes.changed), changes.removed) == ({"/c/a.ics": '"1"'}, {"/c/b.ics", "/c/c.ics"})
    assert (changes.sync_token, changes.complete) == ("token-2", False)


async def test_changes_come_page_by_page(server: Scripted, remote: CaldavRemote, url: str) -> None:
    more = status_row("/c/", "HTTP/1.1 507 Insufficient Storage")
    server.answer(
        multistatus(row("/c/a.ics", etag("1")), row("/c/b.ics", etag("1")), more, token="page-2"),
        multistatus(status_row("/c/b.ics", "HTTP/1.1 404 Not Found"), row("/c/c.ics", etag("1")), token="page-3"),
    )
    changes = await remote.changes(url, None)
    assert (changes.changed.keys(), changes.removed) == ({"/c/a.ics", "/c/c.ics"}, {"/c/b.ics"})
    assert (changes.sync_token, changes.complete) == ("page-3", True)
    assert b"<D:sync-token>page-2</D:sync-token>" in server.asked[1].body


async def test_pages_that_never_end_are_an_error(server: Scripted, remote: CaldavRemote, url: str) -> None:
    more = status_row("/c/", "HTTP/1.1 507 Insufficient Storage")
    server.answer(*[multistatus(row("/c/a.ics", etag("1")), more, token="token-1")] * 2)
    with pytest.raises(BadAnswer):
        await remote.changes(url, "token-1")


VALID_TOKEN = '<D:error xmlns:D="DAV:"><D:valid-sync-token/></D:error>'
THERE = multistatus(row("/c/", CALENDAR))


@pytest.mark.parametrize(
    "answers",
    [
        [http(403, VALID_TOKEN)],
        [http(403, "<html>no</html>"), THERE],
        [http(404), THERE],
        [http(410), THERE],
        *([http(status)] for status in (400, 405, 409, 412, 415, 422, 501, 507)),
    ],
)
async def test_a_refused_token_is_a_refused_token(
    server: Scripted, remote: CaldavRemote, url: str, answers: list[bytes]
) -> None:
    server.answer(*answers)
    with pytest.raises(TokenRejected):
        await remote.changes(url, "token-1")


@pytest.mark.parametrize("answers", [[http(404), http(404)], [http(410), http(410)], [http(403), http(404)]])
async def test_a_calendar_that_is_gone_is_not_taken_for_a_refused_token(
    server: Scripted, remote: CaldavRemote, url: str, answers: list[bytes]
) -> None:
    server.answer(*answers)
    with pytest.raises(NotFound):
        await remote.changes(url, "token-1")


# --- Objects ----------------------------------------------------------------------------------------------------


async def test_a_multiget_leaves_out_what_came_without_href_or_data(
    server: Scripted, remote: CaldavRemote, url: str
) -> None:
    data = f"{etag('1')}<C:calendar-data>{ICS}</C:calendar-data>"
    server.answer(
        multistatus(
            row("/c/a.ics", data),
            row("", data),
            row("/c/b.ics", f"{etag('1')}<C:calendar-data/>"),
            row("/c/c.ics", f"<C:calendar-data>{ICS}</C:calendar-data>"),
            status_row("/c/d.ics", "HTTP/1.1 404 Not Found"),
            row("/c/e.ics", f"{etag('1')}<C:calendar-data/>", status="HTTP/1.1 404 Not Found"),
        )
    )
    assert [found.href for found in await remote.multiget(url, ["/c/a.ics"])] == ["/c/a.ics"]


async def test_what_was_asked_for_is_escaped(server: Scripted, remote: CaldavRemote, url: str) -> None:
    server.answer(THERE)
    await remote.multiget(url, ["/c/a&b<c>.ics"])
    assert b"<D:href>/c/a&amp;b&lt;c&gt;.ics</D:href>" in server.asked[0].body


@pytest.mark.parametrize("charset", ["utf-8", "cp1252"])
async def test_an_object_is_read_in_the_charset_that_it_has(
    server: Scripted, remote: CaldavRemote, url: str, charset: str
) -> None:
    text = ICS.replace("Dentist", "Zahnärztin")
    server.answer(http(200, text.encode(charset), Content_Type="text/calendar", ETag='"1"'))
    found = await remote.get(url, "/c/a.ics")
    assert (found.ics, found.etag) == (text, '"1"')
    assert server.asked[0].headers["Accept-Encoding"] == "identity"


async def test_an_etag_that_a_get_leaves_out_is_asked_for(server: Scripted, remote: CaldavRemote, url: str) -> None:
    server.answer(http(200, ICS, Content_Type="text/calendar"), multistatus(row("/c/a.ics", etag("7"))))
    assert (await remote.get(url, "/c/a.ics")).etag == '"7"'


@pytest.mark.parametrize("body", [b"", b" \r\n", b"<html>Please log in</html>"])
async def test_an_object_without_a_calendar_in_it_is_an_error(
    server: Scripted, remote: CaldavRemote, url: str, body: bytes
) -> None:
    server.answer(http(200, body, ETag='"1"'))
    with pytest.raises(BadAnswer):
        await remote.get(url, "/c/a.ics")


# --- Writes -----------------------------------------------------------------------------------------------------

UID_CONFLICT = '<D:error xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><C:no-uid-conflict/></D:error>'


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([http(412)], PreconditionFailed),
        ([http(412, UID_CONFLICT)], Refused),
        ([http(400)], Refused),
        ([http(405), THERE], Refused),
        ([http(405), http(404)], NotFound),
        ([http(409, UID_CONFLICT), THERE], Refused),
        ([http(413)], Refused),
        ([http(415)], Refused),
        ([http(404), THERE], Forbidden),
        ([http(404), http(404)], NotFound),
        ([http(409), http(404)], NotFound),
        ([http(423)], ServerFault),
        ([http(507)], ServerFault),
        ([http(500)], ServerFault),
    ],
)
async def test_what_became_of_a_create(
    server: Scripted, remote: CaldavRemote, url: str, answers: list[bytes], error: type[Exception]
) -> None:
    server.answer(*answers)
    with pytest.raises(error):
        await remote.put(url, "/c/a.ics", ICS, etag=None)
    assert server.asked[0].headers["If-None-Match"] == "*"


@pytest.mark.parametrize(("status", "error"), [(412, PreconditionFailed), (404, NotFound), (410, NotFound)])
async def test_what_became_of_an_update_or_delete(
    server: Scripted, remote: CaldavRemote, url: str, status: int, error: type[Exception]
) -> None:
    server.answer(http(status), http(status))
    with pytest.raises(error):
        await remote.put(url, "/c/a.ics", ICS, etag='"1"')
    with pytest.raises(error):
        await remote.delete(url, "/c/a.ics", etag='"1"')
    assert [asked.headers.get("If-Match") for asked in server.asked] == ['"1"', '"1"']


async def test_a_write_is_sent_as_it_is_and_a_delete_without_depth(
    server: Scripted, remote: CaldavRemote, url: str
) -> None:
    text = ICS.replace("Dentist", "Zahnärztin ☎")
    server.answer(http(201), http(204))
    await remote.put(url, "/c/a.ics", text, etag=None)
    await remote.delete(url, "/c/a.ics", etag=None)
    put, delete = server.asked
    assert (put.body.decode(), put.headers["Content-Type"]) == (text, "text/calendar; charset=utf-8")
    assert "Depth" not in delete.headers
    assert "If-Match" not in delete.headers
