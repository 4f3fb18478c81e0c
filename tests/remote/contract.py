"""What every Remote does, whatever is behind it. `test_contract.py` runs it against each."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from bridge.errors import NotFound, PreconditionFailed, Refused, TokenRejected, Unauthorized
from bridge.remote.base import RemoteObject, path_of
from tests.remote.places import Events, Place

event = Events()


def href_of(url: str, name: str) -> str:
    return f"{path_of(url)}{path_of(name)}"


async def delivered(place: Place, url: str) -> dict[str, RemoteObject]:
    """Every object of a calendar, as the bridge would read it."""
    listing = await place.remote.listing(url)
    return {found.href: found for found in await place.remote.multiget(url, listing)}


class RemoteContract:
    """Subclasses give the fixture `place`."""

    # --- Discovery -----------------------------------------------------------------------------------------------

    async def test_discovery_finds_the_calendars_that_can_hold_events(self, place: Place) -> None:
        work = place.person.make_calendar("Wörk & Life", colour="#FF2968FF")
        place.person.make_calendar("Reminders", components=["VTODO"])

        home = await place.remote.discover()

        (calendar,) = home.calendars
        assert path_of(calendar.url) == path_of(work)
        assert (calendar.name, calendar.colour) == ("Wörk & Life", "#FF2968")
        assert calendar.writable is True
        assert calendar.ctag or calendar.sync_token
        assert calendar.url.endswith("/")

    async def test_the_home_lists_the_same_calendars_again(self, place: Place) -> None:
        place.person.make_calendar("Home")
        place.person.make_calendar("Work")

        home = await place.remote.discover()

        assert len(home.calendars) == 2
        assert set(await place.remote.calendars(home.url)) == set(home.calendars)

    async def test_a_login_name_that_is_an_address_is_the_owners(self, place: Place) -> None:
        assert place.person.username.lower() in (await place.remote.discover()).addresses

    async def test_a_changed_password_is_unauthorized_everywhere(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        home = await place.remote.discover()
        place.person.change_password()

        for ask in (
            place.remote.discover,
            lambda: place.remote.calendars(home.url),
            lambda: place.remote.changes(url, None),
            lambda: place.remote.listing(url),
            lambda: place.remote.put(url, href_of(url, "a.ics"), event(), etag=None),
        ):
            with pytest.raises(Unauthorized) as refused:
                await ask()
            assert place.person.password not in str(refused.value)

    # --- What changed --------------------------------------------------------------------------------------------

    async def test_a_ctag_or_token_stays_while_nothing_happens_and_moves_with_each_change(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        home = (await place.remote.discover()).url

        async def state() -> tuple[str | None, str | None]:
            (calendar,) = await place.remote.calendars(home)
            return calendar.ctag, calendar.sync_token

        seen = [await state()]
        assert await state() == seen[0]
        place.person.put(url, "a.ics", event())
        seen.append(await state())
        place.person.put(url, "a.ics", event("Moved", uid=event.made[-1]))
        seen.append(await state())
        place.person.delete(url, "a.ics")
        last = await state()
        assert last not in (seen[1], seen[2])
        assert len(set(seen)) == 3

    async def test_an_initial_sync_lists_everything(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        for name in ("a.ics", "b.ics"):
            place.person.put(url, name, event())

        changes = await place.remote.changes(url, None)

        assert changes.complete
        assert changes.removed == frozenset()
        assert dict(changes.changed) == dict(await place.remote.listing(url))
        assert changes.changed.keys() == {href_of(url, "a.ics"), href_of(url, "b.ics")}

    async def test_an_empty_calendar_lists_nothing(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        changes = await place.remote.changes(url, None)
        assert (dict(changes.changed), changes.complete) == ({}, True)
        assert await place.remote.listing(url) == {}

    async def test_changes_since_a_token_are_those_and_no_others(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        for name in ("edited.ics", "deleted.ics", "untouched.ics"):
            place.person.put(url, name, event(uid=f"{name}@example.com"))
        before = await place.remote.changes(url, None)
        place.person.put(url, "edited.ics", event("Moved", uid="edited.ics@example.com"))
        place.person.put(url, "new.ics", event())
        place.person.delete(url, "deleted.ics")

        changes = await place.remote.changes(url, before.sync_token)

        assert not changes.complete
        assert changes.changed.keys() == {href_of(url, "edited.ics"), href_of(url, "new.ics")}
        assert changes.removed == {href_of(url, "deleted.ics")}
        assert changes.changed[href_of(url, "edited.ics")] != before.changed[href_of(url, "edited.ics")]
        assert (await place.remote.changes(url, changes.sync_token)).changed == {}

    async def test_an_unknown_token_is_rejected_and_the_calendar_still_reads(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        place.person.put(url, "a.ics", event())
        with pytest.raises(TokenRejected):
            await place.remote.changes(url, "http://example.com/ns/sync/never-given-out")
        assert len((await place.remote.changes(url, None)).changed) == 1

    async def test_a_calendar_that_is_gone_is_not_found(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        place.person.put(url, "a.ics", event())
        token = (await place.remote.changes(url, None)).sync_token
        place.person.delete(url)
        for gone in (url, place.vanished_url):
            with pytest.raises(NotFound):
                await place.remote.changes(gone, token)
            with pytest.raises(NotFound):
                await place.remote.listing(gone)

    # --- Fetching ------------------------------------------------------------------------------------------------

    async def test_objects_come_as_they_were_put(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        place.person.put(url, "a.ics", event("Zahnärztin ☎ <1>"))
        (found,) = (await delivered(place, url)).values()
        assert found.href == href_of(url, "a.ics")
        assert "SUMMARY:Zahnärztin ☎ <1>" in found.ics
        got = await place.remote.get(url, found.href)
        assert (got.href, got.etag) == (found.href, found.etag)
        assert got.ics == found.ics

    async def test_what_is_gone_is_left_out_of_a_multiget_and_not_found_alone(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        place.person.put(url, "a.ics", event())
        there, gone = href_of(url, "a.ics"), href_of(url, "gone.ics")
        assert [o.href for o in await place.remote.multiget(url, [there, gone])] == [there]
        with pytest.raises(NotFound):
            await place.remote.get(url, gone)

    @pytest.mark.parametrize(
        "name",
        ["with space.ics", "at@sign.ics", "Übung ☎.ics", "50%.ics", "plus+and&amp.ics", "tilde~_-.ics", "%40.ics"],
    )
    async def test_odd_names_are_read_written_and_deleted(self, place: Place, name: str) -> None:
        url = place.person.make_calendar("Work")
        place.person.put(url, name, event(uid=f"{name}@example.com"))
        (found,) = (await delivered(place, url)).values()
        assert (await place.remote.get(url, found.href)).etag == found.etag
        await place.remote.put(url, found.href, event("Moved", uid=f"{name}@example.com"), etag=found.etag)
        assert "SUMMARY:Moved" in place.person.texts(url)[name]
        found = await place.remote.get(url, found.href)
        await place.remote.delete(url, found.href, etag=found.etag)
        assert place.person.texts(url) == {}

    # --- Writing -------------------------------------------------------------------------------------------------

    async def test_a_create_makes_one_object_and_never_replaces_one(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        href, uid = href_of(url, "appt-1@bridge.ics"), "appt-1@bridge"
        await place.remote.put(url, href, event("First", uid=uid), etag=None)
        with pytest.raises(PreconditionFailed):
            await place.remote.put(url, href, event("Second", uid=uid), etag=None)
        (text,) = place.person.texts(url).values()
        assert "SUMMARY:First" in text
        assert list(await place.remote.listing(url)) == [href]

    async def test_an_update_replaces_the_version_it_knows_and_no_other(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        place.person.put(url, "a.ics", event("First"))
        uid, href = event.made[-1], href_of(url, "a.ics")
        known = await place.remote.get(url, href)
        await place.remote.put(url, href, event("Second", uid=uid), etag=known.etag)
        with pytest.raises(PreconditionFailed):
            await place.remote.put(url, href, event("Third", uid=uid), etag=known.etag)
        assert "SUMMARY:Second" in place.person.texts(url)["a.ics"]

    async def test_a_delete_removes_the_version_it_knows_and_no_other(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        place.person.put(url, "a.ics", event("First"))
        uid, href = event.made[-1], href_of(url, "a.ics")
        known = await place.remote.get(url, href)
        place.person.put(url, "a.ics", event("Second", uid=uid))
        with pytest.raises(PreconditionFailed):
            await place.remote.delete(url, href, etag=known.etag)
        assert list(place.person.texts(url)) == ["a.ics"]
        await place.remote.delete(url, href, etag=(await place.remote.get(url, href)).etag)
        assert place.person.texts(url) == {}

    async def test_deleting_what_is_gone_is_not_found(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        with pytest.raises(NotFound):
            await place.remote.delete(url, href_of(url, "gone.ics"), etag=None)

    async def test_no_write_reaches_a_collection(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        other = place.person.make_calendar("Other")
        for calendar in (url, other):
            place.person.put(calendar, "a.ics", event())
        path = path_of(url)
        for href in (
            path,
            path.rstrip("/"),
            f"{path}../",
            f"{path}..",
            f"{path}.",
            f"{path}%2E%2E",
            href_of(other, "a.ics"),
        ):
            with pytest.raises(Refused):
                await place.remote.delete(url, href, etag=None)
            with pytest.raises(Refused):
                await place.remote.put(url, href, event(), etag=None)
        assert (list(place.person.texts(url)), list(place.person.texts(other))) == (["a.ics"], ["a.ics"])

    async def test_a_refused_write_changes_nothing(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        with pytest.raises(Refused):
            await place.remote.put(url, href_of(url, "a.ics"), "no calendar at all", etag=None)
        assert place.person.texts(url) == {}

    async def test_a_write_into_a_calendar_that_is_gone_is_not_found(self, place: Place) -> None:
        url = place.vanished_url
        with pytest.raises(NotFound):
            await place.remote.put(url, href_of(url, "a.ics"), event(), etag=None)

    async def test_every_address_is_absolute_and_every_href_a_path(self, place: Place) -> None:
        url = place.person.make_calendar("Work")
        place.person.put(url, "a.ics", event())
        home = await place.remote.discover()
        assert all(
            urlsplit(address).scheme and urlsplit(address).netloc for address in (home.url, home.calendars[0].url)
        )
        assert all(href.startswith("/") for href in await place.remote.listing(url))

    async def test_closing_twice_is_no_error(self, place: Place) -> None:
        await place.remote.discover()
        await place.remote.close()
        await place.remote.close()
