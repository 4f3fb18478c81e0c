"""The adapter under each of iCloud's ways, with the switch on and off."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bridge.errors import (
    BadAnswer,
    Forbidden,
    NotFound,
    PreconditionFailed,
    Refused,
    RemoteError,
    Throttled,
    TokenRejected,
    Unauthorized,
    Unreachable,
)
from bridge.remote.base import path_of
from bridge.remote.caldav_remote import CaldavRemote
from bridge.remote.policy import ProviderPolicy
from tests import upstreams
from tests.remote.contract import event, href_of
from tests.upstreams import icloud
from tests.upstreams.icloud import BY_THE_BOOK, Cloud, CloudLogin, Cut, Drop, Hang, Mail, Notice, Quirks, Status

Running = Callable[[Quirks], Cloud]
Connect = Callable[[Cloud, CloudLogin], CaldavRemote]


@pytest.fixture
def running() -> Iterator[Running]:
    """Starts stand-ins."""
    with ExitStack() as stack:
        yield lambda quirks: stack.enter_context(icloud.running(quirks))


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens connections for a login."""
    opened: list[CaldavRemote] = []

    def connect(cloud: Cloud, person: CloudLogin) -> CaldavRemote:
        policy = ProviderPolicy("icloud", cloud.url, timeout=5, requests_per_minute=10_000)
        opened.append(CaldavRemote(policy, person.username, person.password))
        return opened[-1]

    yield connect
    for remote in opened:
        await remote.close()


def both(**switch: object) -> pytest.MarkDecorator:
    """Runs a test with iCloud's ways and by the book, both with these switches."""
    ways = {"icloud": replace(Quirks(), **switch), "by the book": replace(BY_THE_BOOK, **switch)}
    return pytest.mark.parametrize("quirks", ways.values(), ids=ways)


# --- Discovery --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hrefs", ["path", "root", "443"])
@both()
async def test_calendars_are_asked_at_their_partition_however_hrefs_are_spelled(
    running: Running, connect: Connect, quirks: Quirks, hrefs: str
) -> None:
    cloud = running(replace(quirks, hrefs=hrefs))
    anna = cloud.login()
    work = anna.make_calendar("Work")
    anna.put(work, "a.ics", event())
    remote = connect(cloud, anna)
    home = await remote.discover()
    assert home.url == f"{anna.home}"
    (calendar,) = home.calendars
    assert calendar.url == work
    assert list(await remote.listing(calendar.url)) == [href_of(work, "a.ics")]
    assert {request.status for request in cloud.requests} == {207}, "nothing is asked that iCloud refuses"
    assert len(cloud.requests) == 4


async def test_discovery_over_tls(tmp_path: Path) -> None:
    ca_file, tls = upstreams.certificates(tmp_path, "127.0.0.1", "127.0.0.2", "127.0.0.3")
    with icloud.running(tls=tls) as cloud:
        anna = cloud.login()
        work = anna.make_calendar("Work")
        remote = CaldavRemote(ProviderPolicy("icloud", cloud.url, ca_file=str(ca_file)), anna.username, anna.password)
        assert [calendar.url for calendar in (await remote.discover()).calendars] == [work]
        assert urlsplit(work).scheme == "https"
        await remote.close()


@both()
async def test_the_owners_addresses(running: Running, connect: Connect, quirks: Quirks) -> None:
    cloud = running(quirks)
    anna = cloud.login("anna@icloud.example", aliases=("Anna@Me.example",))
    home = await connect(cloud, anna).discover()
    assert home.addresses == ("anna@icloud.example", "anna@me.example")


@both()
async def test_only_what_can_hold_events_is_a_calendar(running: Running, connect: Connect, quirks: Quirks) -> None:
    cloud = running(quirks)
    anna, ben = cloud.login(), cloud.login("ben@icloud.example")
    anna.make_calendar("Work", colour="#FF2968FF")
    anna.make_calendar("Reminders", components=("VTODO",))
    anna.make_calendar("Holidays", kind="subscribed")
    ben.share(ben.make_calendar("Family"), anna)
    found = {calendar.name: calendar for calendar in (await connect(cloud, anna).discover()).calendars}
    assert found.keys() == {"Work", "Family"}
    assert (found["Work"].colour, found["Family"].colour) == ("#FF2968", None)


async def test_a_subscribed_calendar_that_looks_like_one_is_read_as_one(running: Running, connect: Connect) -> None:
    cloud = running(Quirks(subscribed_is_a_calendar=True))
    anna = cloud.login()
    url = anna.make_calendar("Holidays", kind="subscribed", writable=False)
    anna.put(url, "easter.ics", event())
    remote = connect(cloud, anna)
    (calendar,) = (await remote.discover()).calendars
    assert (calendar.name, calendar.writable) == ("Holidays", False)
    assert len(await remote.listing(url)) == 1


@pytest.mark.parametrize(("missing", "said"), [(False, (True, False)), (True, (None, None))])
@both()
async def test_what_may_be_written(
    running: Running, connect: Connect, quirks: Quirks, missing: bool, said: tuple[object, object]
) -> None:
    cloud = running(replace(quirks, privileges_missing=missing))
    anna = cloud.login()
    anna.make_calendar("Mine")
    read_only = anna.make_calendar("Theirs", writable=False)
    remote = connect(cloud, anna)
    mine, theirs = (await remote.discover()).calendars
    assert (mine.writable, theirs.writable) == said
    with pytest.raises(Forbidden):
        await remote.put(read_only, href_of(read_only, "a.ics"), event(), etag=None)
    assert anna.texts(read_only) == {}


# --- Logins -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("two", [True, False])
async def test_only_the_primary_address_and_an_app_specific_password_log_in(running: Running, two: bool) -> None:
    cloud = running(Quirks(two_challenges=two))
    anna = cloud.login("anna@icloud.example", aliases=("anna@me.example",))
    other = anna.issue_password()
    logins = [(anna.username, anna.password, True), (anna.username, other, True), ("ANNA@icloud.example", other, True)]
    logins += [("anna@me.example", other, False), (anna.username, "her-apple-password", False)]
    for username, password, good in logins:
        remote = CaldavRemote(ProviderPolicy("icloud", cloud.url), username, password)
        if good:
            await remote.discover()
        else:
            with pytest.raises(Unauthorized):
                await remote.discover()
        await remote.close()


async def test_a_revoked_password_is_unauthorized_and_a_new_one_reads_on(running: Running, connect: Connect) -> None:
    cloud = running(Quirks())
    anna = cloud.login()
    work = anna.make_calendar("Work")
    remote = connect(cloud, anna)
    token = (await remote.changes(work, None)).sync_token
    anna.revoke(anna.password)
    with pytest.raises(Unauthorized):
        await remote.changes(work, token)
    anna.put(work, "a.ics", event())
    anna.password = anna.issue_password()
    assert (await connect(cloud, anna).changes(work, token)).changed.keys() == {href_of(work, "a.ics")}


async def test_a_403_is_no_wrong_password(running: Running, connect: Connect) -> None:
    cloud = running(Quirks())
    anna = cloud.login()
    work = anna.make_calendar("Work")
    remote = connect(cloud, anna)
    cloud.fail(Status(403), times=2)
    with pytest.raises(Forbidden):
        await remote.calendars(anna.home)
    with pytest.raises(Forbidden):
        await remote.listing(work)
    assert await remote.listing(work) == {}


# --- Partitions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong_partition", [301, 403])
async def test_an_account_that_moved_is_found_again(running: Running, connect: Connect, wrong_partition: int) -> None:
    cloud = running(Quirks(wrong_partition=wrong_partition))
    anna = cloud.login()
    anna.put(anna.make_calendar("Work"), "a.ics", event())
    remote = connect(cloud, anna)
    before = await remote.discover()
    token = (await remote.changes(before.calendars[0].url, None)).sync_token
    cloud.move_partition(anna)

    if wrong_partition == 301:
        followed = await remote.calendars(before.url)
        assert [urlsplit(calendar.url).hostname for calendar in followed] == ["127.0.0.3"]
        assert (await remote.changes(before.calendars[0].url, token)).changed == {}
    else:
        with pytest.raises(Forbidden):
            await remote.calendars(before.url)
        with pytest.raises(Forbidden):
            await remote.changes(before.calendars[0].url, token)

    after = await remote.discover()
    assert urlsplit(after.url).hostname == "127.0.0.3"
    assert [path_of(calendar.url) for calendar in after.calendars] == [path_of(before.calendars[0].url)]
    assert (await remote.changes(after.calendars[0].url, token)).changed == {}


async def test_a_write_to_where_an_account_was_is_redirected_to_where_it_is(running: Running, connect: Connect) -> None:
    cloud = running(Quirks(wrong_partition=301))
    anna = cloud.login()
    work = anna.make_calendar("Work")
    cloud.move_partition(anna)
    await connect(cloud, anna).put(work, href_of(work, "a.ics"), event(), etag=None)
    assert list(anna.texts(work)) == ["a.ics"]


# --- Changes ----------------------------------------------------------------------------------------------------


@both(page_size=None)
@pytest.mark.parametrize("switch", ["lists_itself", "member_status", "no_content_type", "limit_ignored"])
@pytest.mark.parametrize("on", [True, False])
async def test_changes_whatever_stands_beside_them(
    running: Running, connect: Connect, quirks: Quirks, switch: str, on: bool
) -> None:
    cloud = running(replace(quirks, **{switch: on}))
    anna = cloud.login()
    work = anna.make_calendar("Work")
    for name in ("a.ics", "b.ics"):
        anna.put(work, name, event())
    remote = connect(cloud, anna)
    before = await remote.changes(work, None)
    anna.delete(work, "a.ics")
    anna.put(work, "c.ics", event())
    after = await remote.changes(work, before.sync_token)
    assert before.changed.keys() == {href_of(work, "a.ics"), href_of(work, "b.ics")}
    assert (after.changed.keys(), after.removed) == ({href_of(work, "c.ics")}, {href_of(work, "a.ics")})


@pytest.mark.parametrize("page_size", [None, 1, 3, 100])
async def test_changes_in_pages_or_at_once(running: Running, connect: Connect, page_size: int | None) -> None:
    cloud = running(Quirks(page_size=page_size))
    anna = cloud.login()
    work = anna.make_calendar("Work")
    for number in range(7):
        anna.put(work, f"{number}.ics", event())
    remote = connect(cloud, anna)
    everything = await remote.changes(work, None)
    assert (len(everything.changed), everything.complete) == (7, True)
    anna.delete(work, "3.ics")
    anna.put(work, "new.ics", event())
    after = await remote.changes(work, everything.sync_token)
    assert (after.changed.keys(), after.removed) == ({href_of(work, "new.ics")}, {href_of(work, "3.ics")})


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 412, 507])
@pytest.mark.parametrize("precondition", [True, False])
async def test_a_forgotten_token_is_rejected(
    running: Running, connect: Connect, status: int, precondition: bool
) -> None:
    cloud = running(Quirks(forgotten_token=status, token_precondition=precondition))
    anna = cloud.login()
    work = anna.make_calendar("Work")
    anna.put(work, "a.ics", event())
    remote = connect(cloud, anna)
    token = (await remote.changes(work, None)).sync_token
    anna.forget_tokens()
    with pytest.raises(TokenRejected):
        await remote.changes(work, token)
    assert len((await remote.changes(work, None)).changed) == 1


async def test_a_forgotten_token_may_be_answered_with_everything(running: Running, connect: Connect) -> None:
    """The answer names no deletion and is not known to be complete: a listing has to tell what is gone."""
    cloud = running(Quirks(forgotten_token="everything"))
    anna = cloud.login()
    work = anna.make_calendar("Work")
    for name in ("a.ics", "b.ics"):
        anna.put(work, name, event())
    remote = connect(cloud, anna)
    token = (await remote.changes(work, None)).sync_token
    anna.delete(work, "b.ics")
    anna.forget_tokens()
    changes = await remote.changes(work, token)
    assert (changes.changed.keys(), changes.removed, changes.complete) == ({href_of(work, "a.ics")}, frozenset(), False)
    assert (await remote.changes(work, changes.sync_token)).changed == {}


async def test_one_request_tells_what_changed_in_any_calendar(running: Running, connect: Connect) -> None:
    cloud = running(Quirks())
    anna = cloud.login()
    urls = [anna.make_calendar(f"Calendar {number}") for number in range(5)]
    remote = connect(cloud, anna)
    before = {calendar.url: calendar for calendar in await remote.calendars(anna.home)}
    anna.put(urls[3], "a.ics", event())
    cloud.requests.clear()
    after = {calendar.url: calendar for calendar in await remote.calendars(anna.home)}
    assert [url for url in urls if after[url] != before[url]] == [urls[3]]
    assert len(cloud.requests) == 1


async def test_an_event_moved_between_calendars_is_gone_here_and_new_there(running: Running, connect: Connect) -> None:
    cloud = running(Quirks())
    anna = cloud.login()
    home, work = anna.make_calendar("Home"), anna.make_calendar("Work")
    anna.put(home, "a.ics", event())
    remote = connect(cloud, anna)
    tokens = {url: (await remote.changes(url, None)).sync_token for url in (home, work)}
    anna.move(home, "a.ics", work, new_name="b.ics")
    assert (await remote.changes(home, tokens[home])).removed == {href_of(home, "a.ics")}
    assert (await remote.changes(work, tokens[work])).changed.keys() == {href_of(work, "b.ics")}


# --- Objects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("way", "delivered"), [("works", 4), ("leaves_out", 2), ("empty_hrefs", 0)])
async def test_what_a_multiget_does_not_deliver_can_be_fetched_alone(
    running: Running, connect: Connect, way: str, delivered: int
) -> None:
    cloud = running(Quirks(multiget=way))
    anna = cloud.login()
    work = anna.make_calendar("Work")
    for number in range(4):
        anna.put(work, f"{number}.ics", event())
    remote = connect(cloud, anna)
    listing = await remote.listing(work)
    found = {o.href: o for o in await remote.multiget(work, listing)}
    assert len(found) == delivered
    for href in listing:
        alone = await remote.get(work, href)
        assert alone.etag == listing[href]
        assert href not in found or found[href].ics == alone.ics


@pytest.mark.parametrize("late", [0, 2])
async def test_data_that_comes_later_than_its_href_is_never_taken_for_empty(
    running: Running, connect: Connect, late: int
) -> None:
    cloud = running(Quirks(late_data=late))
    anna = cloud.login()
    work = anna.make_calendar("Work")
    anna.put(work, "a.ics", event("First"))
    remote, href = connect(cloud, anna), href_of(work, "a.ics")
    assert list(await remote.listing(work)) == [href]
    if late:
        assert await remote.multiget(work, [href]) == ()
        with pytest.raises(NotFound):
            await remote.get(work, href)
    first = await remote.get(work, href)
    assert "SUMMARY:First" in first.ics
    anna.put(work, "a.ics", event("Second", uid=event.made[-1]))
    listed = (await remote.listing(work))[href]
    if late:
        (old,) = await remote.multiget(work, [href])
        assert (old.etag, old.ics) == (first.etag, first.ics), "the old version under its own ETag, not the listed one"
        assert (await remote.get(work, href)).etag == first.etag
    second = await remote.get(work, href)
    assert (second.etag, "SUMMARY:Second" in second.ics) == (listed, True)


# --- Writes -----------------------------------------------------------------------------------------------------


@both()
@pytest.mark.parametrize("rewrites", [True, False])
@pytest.mark.parametrize("without_etag", [True, False])
async def test_what_was_written_is_read_back_and_can_be_written_again(
    running: Running, connect: Connect, quirks: Quirks, rewrites: bool, without_etag: bool
) -> None:
    cloud = running(replace(quirks, put_rewrites=rewrites, put_without_etag=without_etag))
    anna = cloud.login()
    work = anna.make_calendar("Work")
    remote, href, text = connect(cloud, anna), href_of(work, "a.ics"), event("First")
    await remote.put(work, href, text, etag=None)
    stored = await remote.get(work, href)
    assert (stored.ics == text) is not rewrites
    await remote.put(work, href, stored.ics.replace("First", "Second"), etag=stored.etag)
    with pytest.raises(PreconditionFailed):
        await remote.put(work, href, text, etag=stored.etag)
    with pytest.raises(PreconditionFailed):
        await remote.put(work, href, text, etag=None)
    assert "SUMMARY:Second" in anna.texts(work)["a.ics"]
    await remote.delete(work, href, etag=(await remote.get(work, href)).etag)
    assert anna.texts(work) == {}
    assert cloud.mails == []


@pytest.mark.parametrize("status", [404, 403, None])
async def test_an_event_without_an_end(running: Running, connect: Connect, status: int | None) -> None:
    cloud = running(Quirks(no_dtend=status))
    anna = cloud.login()
    work = anna.make_calendar("Work")
    remote = connect(cloud, anna)
    text = "\r\n".join(line for line in event().split("\r\n") if not line.startswith("DTEND"))
    if status is None:
        await remote.put(work, href_of(work, "a.ics"), text, etag=None)
    else:
        with pytest.raises(Forbidden):
            await remote.put(work, href_of(work, "a.ics"), text, etag=None)
    assert len(anna.texts(work)) == (status is None)


@pytest.mark.parametrize(
    ("status", "error"), [(403, Forbidden), (409, Refused), (412, PreconditionFailed), (None, None)]
)
async def test_a_uid_that_is_in_another_calendar_of_the_account(
    running: Running, connect: Connect, status: int | None, error: type[RemoteError] | None
) -> None:
    cloud = running(Quirks(duplicate_uid=status))
    anna, ben = cloud.login(), cloud.login("ben@icloud.example")
    home, work = anna.make_calendar("Home"), anna.make_calendar("Work")
    bens = ben.make_calendar("Work")
    text = event()
    anna.put(home, "a.ics", text)
    remote = connect(cloud, anna)
    if error is None:
        await remote.put(work, href_of(work, "b.ics"), text, etag=None)
    else:
        with pytest.raises(error):
            await remote.put(work, href_of(work, "b.ics"), text, etag=None)
        anna.delete(home, "a.ics")
        await remote.put(work, href_of(work, "b.ics"), text, etag=None)
    await connect(cloud, ben).put(bens, href_of(bens, "b.ics"), text, etag=None)
    assert (len(anna.texts(work)), len(ben.texts(bens))) == (1, 1)


@pytest.mark.parametrize("sends", [True, False])
async def test_attendees_get_mail(running: Running, connect: Connect, sends: bool) -> None:
    cloud = running(Quirks(sends_invitations=sends))
    anna = cloud.login()
    work = anna.make_calendar("Work")
    remote, href = connect(cloud, anna), href_of(work, "a.ics")
    people = (
        "ORGANIZER:mailto:anna@icloud.example",
        "ATTENDEE:mailto:anna@icloud.example",
        "ATTENDEE:mailto:ben@x.example",
    )
    text = event(uid="meeting").replace("SUMMARY", "\r\n".join([*people, "SUMMARY"]))
    await remote.put(work, href, text, etag=None)
    await remote.delete(work, href, etag=(await remote.get(work, href)).etag)
    told = [Mail("ben@x.example", "REQUEST", "meeting"), Mail("ben@x.example", "CANCEL", "meeting")]
    assert cloud.mails == (told if sends else [])


@pytest.mark.parametrize("notifies", [True, False])
async def test_those_who_share_a_calendar_are_told_of_each_write(
    running: Running, connect: Connect, notifies: bool
) -> None:
    cloud = running(Quirks(notifies_sharers=notifies))
    anna, ben = cloud.login(), cloud.login("ben@icloud.example")
    mine = anna.make_calendar("Family")
    bens = anna.share(mine, ben)
    remote = connect(cloud, ben)
    await remote.put(bens, href_of(bens, "a.ics"), event(), etag=None)
    assert list(anna.texts(mine)) == ["a.ics"]
    await remote.delete(bens, href_of(bens, "a.ics"), etag=None)
    told = [Notice(anna.username, "Family", "PUT"), Notice(anna.username, "Family", "DELETE")]
    assert cloud.notices == (told if notifies else [])
    assert ben.has(bens)


async def test_a_calendar_is_never_left_by_deleting_from_it(running: Running, connect: Connect) -> None:
    cloud = running(Quirks())
    anna, ben = cloud.login(), cloud.login("ben@icloud.example")
    bens = anna.share(anna.make_calendar("Family"), ben)
    with pytest.raises(Refused):
        await connect(cloud, ben).delete(bens, path_of(bens), etag=None)
    assert ben.has(bens)
    assert cloud.writes(bens) == []


# --- Faults -----------------------------------------------------------------------------------------------------

READS: dict[str, Callable[[CaldavRemote, str, str], Awaitable[object]]] = {
    "calendars": lambda remote, home, url: remote.calendars(home),
    "changes": lambda remote, home, url: remote.changes(url, None),
    "listing": lambda remote, home, url: remote.listing(url),
    "multiget": lambda remote, home, url: remote.multiget(url, [href_of(url, "a.ics")]),
    "get": lambda remote, home, url: remote.get(url, href_of(url, "a.ics")),
}


@pytest.mark.parametrize("ask", READS.values(), ids=READS)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Drop.IN_BODY, BadAnswer),
        (Cut(), BadAnswer),
        (Cut(0.95), BadAnswer),
        (Cut(0), BadAnswer),
        (Status(403), (Forbidden, TokenRejected)),  # of changes: the server may not do sync-collection
        (Status(429), Throttled),
        (Status(503, "1"), Throttled),
    ],
    ids=str,
)
async def test_a_read_that_goes_wrong_is_an_error_and_the_next_is_as_good_as_new(
    running: Running,
    connect: Connect,
    ask: Callable[[CaldavRemote, str, str], Awaitable[object]],
    fault: icloud.Drop | icloud.Cut | icloud.Status,
    error: type[RemoteError] | tuple[type[RemoteError], ...],
) -> None:
    cloud = running(Quirks())
    anna = cloud.login()
    work = anna.make_calendar("Work")
    anna.put(work, "a.ics", event())
    remote = connect(cloud, anna)
    expected = await ask(remote, anna.home, work)
    cloud.fail(fault)
    with pytest.raises(error):
        await ask(remote, anna.home, work)
    assert await ask(remote, anna.home, work) == expected


async def test_the_throttle_lasts_longer_than_it_says(running: Running, connect: Connect) -> None:
    cloud = running(Quirks())
    anna = cloud.login()
    remote = connect(cloud, anna)
    cloud.throttle(3, retry_after="1")
    for _ in range(3):
        with pytest.raises(Throttled) as throttled:
            await remote.calendars(anna.home)
        assert throttled.value.retry_after == 1
    assert await remote.calendars(anna.home) == ()
    assert len(cloud.requests) == 4


async def test_a_server_that_never_answers(running: Running) -> None:
    cloud = running(Quirks())
    anna = cloud.login()
    cloud.fail(Hang(), nth=2)
    policy = ProviderPolicy("icloud", cloud.url, timeout=0.2)
    remote = CaldavRemote(policy, anna.username, anna.password)
    assert await remote.calendars(anna.home) == ()
    with pytest.raises(Unreachable):
        await remote.calendars(anna.home)
    assert await remote.calendars(anna.home) == ()
    await remote.close()


@pytest.mark.parametrize(("drop", "there"), [(Drop.BEFORE, False), (Drop.AFTER, True)])
async def test_a_write_without_an_answer_may_or_may_not_have_happened(
    running: Running, connect: Connect, drop: Drop, there: bool
) -> None:
    cloud = running(Quirks())
    anna = cloud.login()
    work = anna.make_calendar("Work")
    remote, href, text = connect(cloud, anna), href_of(work, "a.ics"), event()
    cloud.fail(drop, method="PUT", path=work)
    with pytest.raises(Unreachable):
        await remote.put(work, href, text, etag=None)
    assert len(anna.texts(work)) == there
    assert len(cloud.writes(work)) == 1, "a write is never repeated behind the caller's back"
    if there:
        with pytest.raises(PreconditionFailed):
            await remote.put(work, href, text, etag=None)
    else:
        await remote.put(work, href, text, etag=None)
    assert list(anna.texts(work)) == ["a.ics"]


async def test_a_read_without_an_answer_is_asked_once_more(running: Running, connect: Connect) -> None:
    cloud = running(Quirks())
    anna = cloud.login()
    work = anna.make_calendar("Work")
    remote = connect(cloud, anna)
    cloud.fail(Drop.BEFORE, method="PROPFIND", path=work)
    assert await remote.listing(work) == {}
    assert [request.status for request in cloud.requests] == [0, 207]
