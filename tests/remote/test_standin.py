"""The stand-in iCloud's ways that a well-behaved client never meets: asked for directly, with the switch both ways."""

from __future__ import annotations

import contextlib
import gc
import http.client
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from tests.remote.contract import event
from tests.upstreams import icloud
from tests.upstreams.icloud import BY_THE_BOOK, Cloud, CloudLogin, Hang, Quirks

PROPFIND = b'<propfind xmlns="DAV:"><prop><resourcetype/><displayname/><getcontenttype/></prop></propfind>'
QUERY = (
    b'<C:calendar-query xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><prop><getetag/></prop><C:filter>'
    b'<C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">%s</C:comp-filter></C:comp-filter></C:filter>'
    b"</C:calendar-query>"
)
BY_UID = QUERY % b'<C:prop-filter name="UID"><C:text-match>x</C:text-match></C:prop-filter>'
FREE_BUSY = b'<C:free-busy-query xmlns:C="urn:ietf:params:xml:ns:caldav"/>'


def ask(
    person: CloudLogin | None, method: str, url: str, body: bytes = b"", **headers: str
) -> tuple[int, Mapping[str, str], str]:
    """One request as it is: status, headers, body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if person is not None:
        named["Authorization"] = f"Basic {b64encode(f'{person.username}:{person.password}'.encode()).decode()}"
    request = urllib.request.Request(url, body or None, named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


def started(cloud: Cloud) -> tuple[CloudLogin, str, str]:
    """A person, their calendar, and an object in it."""
    anna = cloud.login()
    work = anna.make_calendar("Work")
    anna.put(work, "a.ics", event())
    return anna, work, f"{work}a.ics"


@pytest.mark.parametrize("on", [True, False])
def test_who_is_asked_for_a_password_may_choose_how_to_show_it(on: bool) -> None:
    with icloud.running(Quirks(two_challenges=on)) as cloud:
        status, headers, _ = ask(None, "PROPFIND", cloud.url)
        assert status == 401
        first = 'X-MobileMe-AuthToken realm="MMCalDav", ' if on else ""
        assert headers["WWW-Authenticate"] == f'{first}Basic realm="MMCalDav"'


@pytest.mark.parametrize(
    ("quirks", "well_known", "deep_principal", "by_uid", "free_busy"),
    [(Quirks(), 501, 400, 412, 400), (BY_THE_BOOK, 405, 207, 207, 501)],
    ids=["icloud", "by the book"],
)
def test_what_is_refused(quirks: Quirks, well_known: int, deep_principal: int, by_uid: int, free_busy: int) -> None:
    with icloud.running(quirks) as cloud:
        anna, work, _ = started(cloud)
        # urllib follows the redirect to the root as a GET, which no CalDAV root takes.
        assert ask(anna, "GET", f"{cloud.url}.well-known/caldav")[0] == well_known
        assert ask(anna, "PROPFIND", f"{cloud.url}1000000000/principal/", PROPFIND, Depth="1")[0] == deep_principal
        assert ask(anna, "REPORT", work, BY_UID)[0] == by_uid
        assert ask(anna, "REPORT", work, QUERY % b"")[0] == 207
        assert ask(anna, "REPORT", work, FREE_BUSY)[0] == free_busy


@pytest.mark.parametrize("on", [True, False])
def test_what_is_not_there_comes_empty_or_not_at_all(on: bool) -> None:
    with icloud.running(Quirks(empty_not_found=on, no_content_type=True)) as cloud:
        anna, work, _ = started(cloud)
        _, _, body = ask(anna, "PROPFIND", work, PROPFIND, Depth="1")
        assert ("404 Not Found" in body and "<getcontenttype/>" in body) is on


@pytest.mark.parametrize("on", [True, False])
def test_allprop_knows_the_kind_of_a_resource_or_not(on: bool) -> None:
    with icloud.running(Quirks(allprop_without_resourcetype=on)) as cloud:
        anna, work, _ = started(cloud)
        _, _, body = ask(anna, "PROPFIND", work, Depth="0")
        assert ("resourcetype" not in body) is on


@pytest.mark.parametrize(("inverted", "existing", "missing"), [(True, 412, 201), (False, 204, 412)])
def test_if_match_any(inverted: bool, existing: int, missing: int) -> None:
    with icloud.running(Quirks(if_match_any_inverted=inverted)) as cloud:
        anna, work, there = started(cloud)
        same = event(uid=event.made[-1]).encode()
        assert ask(anna, "PUT", there, same, If_Match="*")[0] == existing
        assert ask(anna, "PUT", f"{work}b.ics", event().encode(), If_Match="*")[0] == missing


@pytest.mark.parametrize("on", [True, False])
def test_what_a_put_says_of_the_etag(on: bool) -> None:
    with icloud.running(Quirks(put_without_etag=on)) as cloud:
        anna, work, _ = started(cloud)
        status, headers, _ = ask(anna, "PUT", f"{work}b.ics", event().encode(), If_None_Match="*")
        assert (status, "ETag" in headers) == (201, not on)


@pytest.mark.parametrize("on", [True, False])
def test_invitations_that_are_none(on: bool) -> None:
    with icloud.running(Quirks(method_refused=on, attendee_needs_organizer=on)) as cloud:
        anna, work, _ = started(cloud)
        with_method = event().replace("VERSION", "METHOD:REQUEST\r\nVERSION").encode()
        alone = event().replace("SUMMARY", "ATTENDEE:mailto:ben@x.example\r\nSUMMARY").encode()
        assert ask(anna, "PUT", f"{work}b.ics", with_method)[0] == (403 if on else 201)
        assert ask(anna, "PUT", f"{work}c.ics", alone)[0] == (403 if on else 201)


@pytest.mark.parametrize("on", [True, False])
def test_a_delete_with_a_depth(on: bool) -> None:
    with icloud.running(Quirks(delete_without_depth=on)) as cloud:
        anna, work, there = started(cloud)
        assert ask(anna, "DELETE", there, Depth="infinity")[0] == (400 if on else 204)
        assert len(anna.texts(work)) == on


def test_deleting_a_shared_calendar_leaves_it() -> None:
    with icloud.running() as cloud:
        anna, work, _ = started(cloud)
        ben = cloud.login("ben@icloud.example")
        bens = anna.share(work, ben)
        assert ask(ben, "DELETE", bens)[0] == 204
        assert (ben.has(bens), anna.has(work)) == (False, True)
        assert [request.method for request in cloud.writes(bens)] == ["DELETE"]


def test_nobody_sees_another_account() -> None:
    with icloud.running() as cloud:
        _, work, there = started(cloud)
        ben = cloud.login("ben@icloud.example")
        assert ask(ben, "PROPFIND", work, PROPFIND)[0] == 403
        assert ask(ben, "GET", there)[0] == 403


def test_calendars_are_not_made_by_programs() -> None:
    with icloud.running() as cloud:
        anna, work, _ = started(cloud)
        for method in ("MKCALENDAR", "PROPPATCH", "MOVE", "COPY"):
            assert ask(anna, method, f"{work}b.ics", Destination=f"{work}c.ics")[0] == 403
        assert [request.method for request in cloud.writes(work)] == ["MKCALENDAR", "PROPPATCH", "MOVE", "COPY"]
        assert list(anna.texts(work)) == ["a.ics"]


def test_what_a_person_does_is_no_request() -> None:
    with icloud.running() as cloud:
        anna, work, _ = started(cloud)
        anna.rename_calendar(work, "Office", colour="#00FF00FF")
        anna.move(work, "a.ics", anna.make_calendar("Home"))
        assert cloud.requests == []
        _, _, body = ask(anna, "PROPFIND", work, PROPFIND, Depth="0")
        assert "<displayname>Office</displayname>" in body
        (request,) = cloud.requests
        assert (request.username, request.status, request.sent, request.received) == (
            anna.username,
            207,
            len(PROPFIND),
            len(body.encode()),
        )


def test_it_ends_in_order_after_a_client_gave_up(caplog: pytest.LogCaptureFixture) -> None:
    with icloud.running() as cloud:
        cloud.fail(Hang())
        with contextlib.closing(http.client.HTTPConnection(urlsplit(cloud.url).netloc, timeout=0.1)) as client:
            client.request("GET", "/")
            with pytest.raises(TimeoutError):
                client.getresponse()
        while not cloud.requests:
            time.sleep(0.01)
    gc.collect()
    assert caplog.text == "", "asyncio complains of tasks that were not ended"
