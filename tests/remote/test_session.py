"""Requests as they travel: where credentials go, what HTTP errors mean, time-outs, connections, TLS."""

from __future__ import annotations

import datetime as dt
import email.utils
import hashlib
import logging
import traceback
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiolimiter import AsyncLimiter

from bridge.errors import (
    BadAnswer,
    CredentialsWithheld,
    Forbidden,
    NoAnswer,
    NotFound,
    RemoteError,
    ServerFault,
    Throttled,
    Unauthorized,
    Unreachable,
)
from bridge.remote import session
from bridge.remote.caldav_remote import CaldavRemote
from bridge.remote.policy import ProviderPolicy
from tests import upstreams
from tests.remote.dav import CALENDAR, home_is, multistatus, principal_is, row
from tests.remote.places import Events
from tests.upstreams import Drop, Scripted, Trickle, http

ICS = Events()()
PASSWORD = "päss:word"
BASIC = "Basic " + b64encode(f"ada@example.com:{PASSWORD}".encode()).decode()
COLLECTION = "<D:resourcetype><D:collection/></D:resourcetype>"
LISTING = multistatus(row("/c/", CALENDAR))


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with upstreams.scripted() as script:
        yield script


@pytest.fixture
async def partition() -> AsyncIterator[Scripted]:
    """Another host, where the calendars are."""
    async with upstreams.scripted("127.0.0.2") as script:
        yield script


@pytest.fixture
async def remote(server: Scripted) -> AsyncIterator[CaldavRemote]:
    remote = CaldavRemote(ProviderPolicy("test", server.url, timeout=5), "ada@example.com", PASSWORD)
    yield remote
    await remote.close()


# --- Credentials, redirects and discovery -----------------------------------------------------------------------


async def test_the_first_request_carries_the_credentials(server: Scripted, remote: CaldavRemote) -> None:
    server.answer(LISTING)
    await remote.listing(f"{server.url}c/")
    (asked,) = server.asked
    assert (asked.headers["Authorization"], asked.headers["User-Agent"]) == (BASIC, "crm-calendar-bridge")


def digest_of(method: str, path: str, fields: dict[str, str]) -> str:
    """What RFC 7616 section 3.4.1 makes of a login, for MD5 and `auth`."""

    def hashed(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()

    login = hashed("ada@example.com", fields["realm"], PASSWORD)
    rest = (fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"])
    return hashed(login, *rest, hashed(method, path))


async def test_a_server_that_takes_digest_alone(server: Scripted, remote: CaldavRemote) -> None:
    """Baïkal's setting as it comes."""
    refused = http(401, **{"WWW-Authenticate": 'Digest realm="BaikalDAV",qop="auth",nonce="5f1",opaque="ab"'})
    server.answer(refused, refused, LISTING)
    await remote.listing(f"{server.url}c/")
    assert server.asked[0].headers["Authorization"] == BASIC
    server.answer(http(201))
    await remote.put(f"{server.url}c/", "/c/a.ics", ICS, etag=None)
    for asked in (server.asked[2], server.asked[-1]):
        scheme, _, rest = asked.headers["Authorization"].partition(" ")
        fields = urllib.request.parse_keqv_list(urllib.request.parse_http_list(rest))
        assert (scheme, fields["username"], fields["uri"]) == ("Digest", "ada@example.com", asked.target)
        assert fields["response"] == digest_of(asked.method, asked.target, fields)


@pytest.mark.parametrize(
    "offered", ['Digest realm="a", nonce="b", Basic realm="a"', 'Basic realm="digest "', "Negotiate"]
)
async def test_elsewhere_a_refused_password_is_refused(server: Scripted, remote: CaldavRemote, offered: str) -> None:
    server.answer(http(401, **{"WWW-Authenticate": offered}))
    with pytest.raises(Unauthorized):
        await remote.listing(f"{server.url}c/")
    assert len(server.asked) == 1


async def test_a_wrong_password_at_a_server_that_takes_digest(server: Scripted, remote: CaldavRemote) -> None:
    refused = http(401, **{"WWW-Authenticate": 'Digest realm="BaikalDAV",qop="auth",nonce="5f1",opaque="ab"'})
    server.answer(*[refused] * 3)
    with pytest.raises(Unauthorized):
        await remote.listing(f"{server.url}c/")


async def test_discovery_from_the_root_to_a_partition_on_another_host(
    server: Scripted, partition: Scripted, remote: CaldavRemote
) -> None:
    server.answer(principal_is("/1/principal/"), home_is(f"{partition.url}1/calendars/"))
    work = f"{server.url}1/calendars/work/"  # iCloud's hrefs may name the root's host
    partition.answer(multistatus(row("/1/calendars/", COLLECTION), row(work, CALENDAR)))
    home = await remote.discover()
    assert home.url == f"{partition.url}1/calendars/"
    assert [calendar.url for calendar in home.calendars] == [f"{partition.url}1/calendars/work/"]
    assert [(asked.method, asked.headers["Depth"]) for asked in server.asked] == [("PROPFIND", "0")] * 2
    assert [asked.headers["Authorization"] for asked in partition.asked] == [BASIC]


async def test_hrefs_after_a_redirect_belong_to_where_it_led(
    server: Scripted, partition: Scripted, remote: CaldavRemote
) -> None:
    server.answer(http(301, Location=f"{partition.url}dav/"))
    partition.answer(
        principal_is("/1/principal/"),
        home_is("../calendars"),
        http(308, Location="/1/real/calendars/"),
        multistatus(row("/1/real/calendars/", COLLECTION), row("work", CALENDAR)),
    )
    home = await remote.discover()
    assert len(server.asked) == 1
    assert home.url == f"{partition.url}1/real/calendars/"
    assert [calendar.url for calendar in home.calendars] == [f"{partition.url}1/real/calendars/work/"]


@pytest.mark.parametrize("status", [404, 405, 400, 403, 500, 501, 200, 207])
async def test_the_well_known_address_helps_where_the_root_does_not(
    server: Scripted, remote: CaldavRemote, status: int
) -> None:
    root = multistatus(row("/", COLLECTION)) if status == 207 else http(status, "<html>Welcome</html>")
    server.answer(root, http(302, Location="/dav/"), principal_is("/p/"), home_is("/c/"), LISTING)
    assert (await remote.discover()).url == f"{server.url}c/"
    assert [asked.target for asked in server.asked] == ["/", "/.well-known/caldav", "/dav/", "/p/", "/c/"]


@pytest.mark.parametrize(
    ("root", "well_known", "error"),
    [
        (404, 404, NotFound),
        (200, 501, NotFound),
        (403, 404, Forbidden),
        (500, 404, ServerFault),
        (404, 401, Unauthorized),
        (404, 503, Throttled),
        (401, 404, Unauthorized),
    ],
)
async def test_discovery_says_what_was_wrong(
    server: Scripted, remote: CaldavRemote, root: int, well_known: int, error: type[RemoteError]
) -> None:
    server.answer(http(root), http(well_known))
    with pytest.raises(error):
        await remote.discover()


async def test_an_account_without_a_home_is_not_found(server: Scripted, remote: CaldavRemote) -> None:
    server.answer(principal_is("/p/"), multistatus(row("/p/", "<C:calendar-home-set/>", status="HTTP/1.1 404 No")))
    with pytest.raises(NotFound):
        await remote.discover()


ELSEWHERE = "http://elsewhere.example/c/"


@pytest.mark.parametrize(
    "answers",
    [
        [http(301, Location=ELSEWHERE)],
        [http(301, Location="//elsewhere.example/")],
        [http(404), http(307, Location=ELSEWHERE)],
        [principal_is(ELSEWHERE)],
        [principal_is("/p/"), home_is(ELSEWHERE)],
        [principal_is("/p/"), home_is("/c/"), http(302, Location=ELSEWHERE)],
    ],
)
async def test_no_answer_leads_the_credentials_to_another_host(
    server: Scripted, remote: CaldavRemote, answers: list[bytes]
) -> None:
    server.answer(*answers)
    with pytest.raises(CredentialsWithheld, match=r"elsewhere\.example may not receive"):
        await remote.discover()


async def test_a_redirected_write_goes_on_as_the_same_write(server: Scripted, remote: CaldavRemote) -> None:
    server.answer(http(301, Location="/moved/a.ics"), http(204))
    await remote.put(f"{server.url}c/", "/c/a.ics", ICS, etag='"1"')
    first, second = server.asked
    assert (second.method, second.target, second.body) == ("PUT", "/moved/a.ics", first.body)
    assert second.headers["If-Match"] == '"1"'


@pytest.mark.parametrize("location", ["/c/", "/c/b.ics", "/", "/c/a.ics/"])
async def test_a_redirected_write_never_ends_up_at_something_else(
    server: Scripted, remote: CaldavRemote, location: str
) -> None:
    server.answer(http(307, Location=location))
    with pytest.raises(BadAnswer):
        await remote.delete(f"{server.url}c/", "/c/a.ics", etag='"1"')
    assert len(server.asked) == 1


@pytest.mark.parametrize("location", ["http://[broken/", "http://127.0.0.1:99999/"])
async def test_a_redirect_to_an_address_that_is_none(server: Scripted, remote: CaldavRemote, location: str) -> None:
    server.answer(http(301, Location=location))
    with pytest.raises((BadAnswer, CredentialsWithheld)):
        await remote.listing(f"{server.url}c/")


# --- What HTTP errors mean --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Unauthorized), (403, Forbidden), (429, Throttled), (503, Throttled), (500, ServerFault), (502, ServerFault)],
)
async def test_what_a_status_means(
    server: Scripted, remote: CaldavRemote, status: int, error: type[RemoteError]
) -> None:
    url = f"{server.url}c/"
    asks = (
        lambda: remote.listing(url),
        lambda: remote.calendars(url),
        lambda: remote.get(url, "/c/a.ics"),
        lambda: remote.put(url, "/c/a.ics", ICS, etag=None),
        lambda: remote.delete(url, "/c/a.ics", etag='"1"'),
    )
    for ask in asks:
        server.answer(http(status))
        with pytest.raises(error):
            await ask()
    assert len(server.asked) == len(asks), "nothing is tried again at once"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120), ("0.5", 0.5), ("-3", 0), ("soon", None), ("inf", None), ("nan", None), ("", None)],
)
async def test_how_long_a_server_wants_to_be_left_alone(
    server: Scripted, remote: CaldavRemote, value: str, seconds: float | None
) -> None:
    server.answer(http(503, Retry_After=value))
    with pytest.raises(Throttled) as throttled:
        await remote.listing(f"{server.url}c/")
    assert throttled.value.retry_after == seconds


async def test_a_server_may_name_the_time_until_when_it_wants_to_be_left_alone(
    server: Scripted, remote: CaldavRemote
) -> None:
    until = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    server.answer(*[http(503, Retry_After=email.utils.format_datetime(at, usegmt=True)) for at in (until, past)])
    with pytest.raises(Throttled) as throttled:
        await remote.listing(f"{server.url}c/")
    assert throttled.value.retry_after == pytest.approx(3600, abs=60)
    with pytest.raises(Throttled) as throttled:
        await remote.listing(f"{server.url}c/")
    assert throttled.value.retry_after == 0


# --- Time-outs and connections ----------------------------------------------------------------------------------


async def test_a_silent_server_is_unreachable(server: Scripted) -> None:
    remote = CaldavRemote(ProviderPolicy("test", server.url, timeout=0.1), "ada", PASSWORD)
    for ask in (remote.listing(f"{server.url}c/"), remote.put(f"{server.url}c/", "/c/a.ics", ICS, etag=None)):
        with pytest.raises(Unreachable, match="no answer in time") as raised:
            await ask
        assert raised.value.why == NoAnswer.TIMEOUT
    assert [asked.method for asked in server.asked] == ["PROPFIND", "PUT"]
    await remote.close()


async def test_a_server_that_goes_silent_in_the_middle_is_unreachable(server: Scripted) -> None:
    remote = CaldavRemote(ProviderPolicy("test", server.url, timeout=0.1), "ada", PASSWORD)
    server.answer(LISTING[:-20])
    with pytest.raises(Unreachable):
        await remote.listing(f"{server.url}c/")
    await remote.close()


async def test_an_answer_that_trickles_for_ever_is_given_up(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "PATIENCE", 2)
    remote = CaldavRemote(ProviderPolicy("test", server.url, timeout=0.2), "ada", PASSWORD)
    server.answer(Trickle(LISTING.replace(b"Content-Length", b"X-Length")), LISTING)
    with pytest.raises(Unreachable, match="no answer in time"):
        await remote.listing(f"{server.url}c/")
    assert await remote.listing(f"{server.url}c/") == {}, "the next request is as good as new"
    await remote.close()


async def test_nobody_there_is_unreachable() -> None:
    url = f"http://127.0.0.1:{upstreams.free_port()}/"
    remote = CaldavRemote(ProviderPolicy("test", url), "ada", PASSWORD)
    with pytest.raises(Unreachable) as raised:
        await remote.listing(f"{url}c/")
    assert raised.value.why == NoAnswer.NOT_LISTENING
    await remote.close()


async def test_a_host_without_an_address_is_unreachable() -> None:
    remote = CaldavRemote(ProviderPolicy("test", "https://nowhere.invalid/", timeout=5), "ada", PASSWORD)
    with pytest.raises(Unreachable) as raised:
        await remote.discover()
    assert raised.value.why == NoAnswer.UNKNOWN_HOST
    await remote.close()


async def test_connections_are_kept_and_closed_at_the_end(server: Scripted, remote: CaldavRemote) -> None:
    server.answer(LISTING, http(404), LISTING, http(201))
    url = f"{server.url}c/"
    await remote.listing(url)
    with pytest.raises(NotFound):
        await remote.get(url, "/c/a.ics")
    await remote.listing(url)
    await remote.put(url, "/c/a.ics", ICS, etag=None)
    assert [asked.connection for asked in server.asked] == [1, 1, 1, 1]
    await remote.close()
    assert await server.closed.get() == 1


async def test_a_connection_closed_while_idle_costs_nothing(server: Scripted, remote: CaldavRemote) -> None:
    server.answer(Drop(LISTING), Drop(LISTING), LISTING)
    for _ in range(3):
        await remote.listing(f"{server.url}c/")
    assert [asked.connection for asked in server.asked] == [1, 2, 3]


async def test_a_read_that_meets_a_closing_connection_is_sent_once_more(server: Scripted, remote: CaldavRemote) -> None:
    server.answer(LISTING, Drop(), LISTING)
    await remote.listing(f"{server.url}c/")
    assert await remote.listing(f"{server.url}c/") == {}
    server.answer(Drop(), Drop(), LISTING)
    with pytest.raises(Unreachable):
        await remote.listing(f"{server.url}c/")
    assert len(server.asked) == 5


async def test_a_write_that_meets_a_closing_connection_is_not_sent_again(
    server: Scripted, remote: CaldavRemote
) -> None:
    server.answer(Drop(), Drop(), http(201))
    with pytest.raises(Unreachable) as raised:
        await remote.put(f"{server.url}c/", "/c/a.ics", ICS, etag=None)
    assert raised.value.why == NoAnswer.BROKEN
    with pytest.raises(Unreachable):
        await remote.delete(f"{server.url}c/", "/c/a.ics", etag='"1"')
    assert [asked.method for asked in server.asked] == ["PUT", "DELETE"]


async def test_every_attempt_is_taken_from_the_accounts_budget(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets: list[CountingLimiter] = []

    class CountingLimiter(AsyncLimiter):
        def __init__(self, max_rate: float, time_period: float) -> None:
            super().__init__(max_rate, time_period)
            self.taken = 0
            budgets.append(self)

        async def acquire(self, amount: float = 1) -> None:
            self.taken += 1
            await super().acquire(amount)

    monkeypatch.setattr(session, "AsyncLimiter", CountingLimiter)
    remote = CaldavRemote(ProviderPolicy("test", server.url, requests_per_minute=7), "ada", PASSWORD)
    server.answer(Drop(), http(301, Location="/d/"), LISTING.replace(b"/c/", b"/d/"))
    await remote.listing(f"{server.url}c/")
    await remote.close()
    assert [(budget.max_rate, budget.time_period, budget.taken) for budget in budgets] == [(7, 60, 3)]


# --- Secrets ----------------------------------------------------------------------------------------------------


async def test_the_password_is_in_no_message_and_no_log(
    server: Scripted, remote: CaldavRemote, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [repr(remote), str(remote)]
    for answer in (http(401), http(403), http(500), http(207, "<broken"), Drop(), http(301, Location=ELSEWHERE)):
        server.answer(answer, answer)
        try:
            await remote.discover()
        except RemoteError as error:
            said += [repr(error), *traceback.format_exception(error)]
        server.answers.clear()
    text = "\n".join([*said, caplog.text])
    assert "401" in text or "Unauthorized" in text
    for secret in (PASSWORD, BASIC.removeprefix("Basic "), b64encode(PASSWORD.encode()).decode()):
        assert secret not in text


async def test_what_a_calendar_holds_is_in_no_log(
    server: Scripted, remote: CaldavRemote, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.answer(http(207, f"<broken>{ICS}"), http(200, ICS, ETag='"1"', Content_Type="application/odd"))
    with pytest.raises(BadAnswer):
        await remote.multiget(f"{server.url}c/", ["/c/a.ics"])
    await remote.get(f"{server.url}c/", "/c/a.ics")
    assert "Dentist" not in caplog.text


# --- TLS --------------------------------------------------------------------------------------------------------


async def test_a_certificate_authority_of_ones_own(tmp_path: Path) -> None:
    ca_file, tls = upstreams.certificates(tmp_path, "127.0.0.1")
    async with upstreams.scripted(tls=tls) as server:
        server.answer(LISTING, LISTING)
        remote = CaldavRemote(ProviderPolicy("test", server.url, ca_file=str(ca_file)), "ada", PASSWORD)
        assert await remote.listing(f"{server.url}c/") == {}
        assert await remote.listing(f"{server.url}c/") == {}
        await remote.close()
        assert server.connections == 1


@pytest.mark.parametrize(("given", "certified"), [(False, "127.0.0.1"), (True, "127.0.0.9")])
async def test_nothing_is_sent_to_a_server_that_no_authority_vouches_for(
    tmp_path: Path, given: bool, certified: str
) -> None:
    ca_file, tls = upstreams.certificates(tmp_path, certified)
    async with upstreams.scripted(tls=tls) as server:
        policy = ProviderPolicy("test", server.url, ca_file=str(ca_file) if given else None)
        remote = CaldavRemote(policy, "ada", PASSWORD)
        with pytest.raises(Unreachable, match="certificate") as raised:
            await remote.listing(f"{server.url}c/")
        assert raised.value.why == NoAnswer.UNTRUSTED
        await remote.close()
        assert server.asked == []
