"""The whole circle, over one running demo: real servers, real clients, real processes."""

from __future__ import annotations

import datetime as dt
import re

import caldav
import pytest
from caldav.lib import error as caldav_error

from .conftest import Demo
from .people import Vdirsyncer, ask, event
from .processes import eventually

HOUR = dt.timedelta(hours=1)


def hours(start: dt.datetime, demo: Demo) -> list[dt.datetime]:
    """One hour for each calendar that is read."""
    return [start + 2 * HOUR * number for number in range(len(demo.read))]


def test_events_of_every_calendar_come_move_and_go(demo: Demo, noon: dt.datetime, vdirsyncer: Vdirsyncer) -> None:
    made = list(zip(demo.read, hours(noon, demo), strict=True))
    moved = [(owned, start + dt.timedelta(days=400)) for owned, start in made]

    def by_both(starts: list[dt.datetime]) -> None:
        for events in (demo.subscriber.events(), vdirsyncer.events()):
            assert {seen.start: seen.title for seen in events.values() if seen.start in starts} == dict.fromkeys(
                starts, "Busy"
            )

    def by_nobody(starts: list[dt.datetime]) -> None:
        for events in (demo.subscriber.events(), vdirsyncer.events()):
            assert not [seen for seen in events.values() if seen.start in starts]

    for (person, calendar), start in made:
        person.put(calendar, "lifecycle.ics", event(f"lifecycle-{calendar}", start, title="Therapy"))
    eventually(lambda: by_both([start for _, start in made]) or True)
    hrefs = {seen.uid for seen in demo.subscriber.events().values() if seen.start in [start for _, start in made]}

    for (person, calendar), start in moved:
        person.put(calendar, "lifecycle.ics", event(f"lifecycle-{calendar}", start, title="Therapy"))
    eventually(lambda: by_both([start for _, start in moved]) or True)
    by_nobody([start for _, start in made])
    same = {seen.uid for seen in demo.subscriber.events().values() if seen.start in [start for _, start in moved]}
    assert same == hrefs, "a moved event is the same event"

    for (person, calendar), _ in moved:
        person.delete(calendar, "lifecycle.ics")
    eventually(lambda: by_nobody([start for _, start in moved]) or True)


def test_an_event_moved_between_calendars_follows(demo: Demo, noon: dt.datetime, vdirsyncer: Vdirsyncer) -> None:
    (person, home), (_, family) = demo.read[:2]
    unread = f"{person.url}{person.user}/birthdays/"
    person.put(home, "wanderer.ics", event("wanderer", noon, title="Wanderer"))
    eventually(lambda: len(demo.subscriber.at(noon)) == 1)

    person.move(home, "wanderer.ics", family)
    # Edited where it is now, so that there is something to wait for.
    person.put(family, "wanderer.ics", event("wanderer", noon + HOUR, title="Wanderer"))
    eventually(lambda: len(demo.subscriber.at(noon + HOUR)) == 1)
    assert not demo.subscriber.at(noon)
    assert [seen.start for seen in vdirsyncer.events().values() if seen.start in (noon, noon + HOUR)] == [noon + HOUR]

    person.move(family, "wanderer.ics", unread)
    eventually(lambda: not demo.subscriber.at(noon + HOUR))

    person.move(unread, "wanderer.ics", home)
    eventually(lambda: len(demo.subscriber.at(noon + HOUR)) == 1)


def test_titles_are_shown_only_where_the_calendar_says_so(
    demo: Demo, noon: dt.datetime, vdirsyncer: Vdirsyncer
) -> None:
    (person, home), (_, family) = demo.read[:2]
    person.put(home, "secret.ics", event("secret", noon, title="Secret plan"))
    person.put(family, "open.ics", event("open", noon + HOUR, title="Open day"))
    private = event("confidential", noon + 2 * HOUR, title="Surprise party", extra="CLASS:PRIVATE\r\n")
    person.put(family, "private.ics", private)

    def titles() -> list[str]:
        starts = [noon, noon + HOUR, noon + 2 * HOUR]
        return [seen.title for start in starts for seen in demo.subscriber.at(start)]

    eventually(lambda: titles() == ["Busy", "Busy", "Busy"])
    demo.done("calendars", "settings", "ada", "Family", "--titles", "title")
    try:
        assert titles() == ["Busy", "Open day", "Busy"]
        copied = {seen.title for seen in vdirsyncer.events().values()}
        assert "Open day" in copied
        assert not copied & {"Secret plan", "Surprise party"}
    finally:
        demo.done("calendars", "settings", "ada", "Family", "--titles", "busy")
    assert titles() == ["Busy", "Busy", "Busy"]
    assert "Open day" not in {seen.title for seen in vdirsyncer.events().values()}


def test_an_appointment_is_everywhere_once_changes_in_place_and_goes(
    demo: Demo, noon: dt.datetime, vdirsyncer: Vdirsyncer
) -> None:
    person = demo.people[0]
    booked = demo.crm.book("Call with Grace", noon)
    assert [seen.start for seen in demo.subscriber.titled("Call with Grace")] == [noon], "it is published at once"

    def upstream(title: str) -> dict[str, str]:
        return {
            address: text
            for one in demo.people
            for calendar in one.calendars()
            for address, text in one.objects(calendar).items()
            if f"SUMMARY:{title}" in text
        }

    eventually(lambda: demo.crm.synced(booked["id"]))
    ((address, text),) = upstream("Call with Grace").items()
    assert address.startswith(demo.primary)
    uid = re.findall(r"UID:(\S+)", text)
    (merged,) = demo.subscriber.titled("Call with Grace")
    assert "Call with Grace" in {seen.title for seen in vdirsyncer.events().values()}

    later = noon + HOUR
    demo.crm.change(
        booked["id"], title="Call with Ada", startTime=later.isoformat(), endTime=(later + HOUR / 2).isoformat()
    )
    assert [(seen.uid, seen.start) for seen in demo.subscriber.titled("Call with Ada")] == [(merged.uid, later)]
    eventually(lambda: demo.crm.synced(booked["id"]))
    ((same_address, text),) = upstream("Call with Ada").items()
    assert (same_address, re.findall(r"UID:(\S+)", text)) == (address, uid)
    assert not upstream("Call with Grace")

    # The person's own calendar program sees it as any event; that it is ours must not make a blocked slot of it.
    person.put(demo.primary, "witness.ics", event("witness", noon + 6 * HOUR, title="Witness"))
    eventually(lambda: len(demo.subscriber.at(noon + 6 * HOUR)) == 1)
    assert len(demo.subscriber.at(later)) == 1

    demo.crm.cancel(booked["id"])
    assert not demo.subscriber.at(later), "it is gone at once"
    eventually(lambda: not upstream("Call with Ada"))
    assert not [seen for seen in vdirsyncer.events().values() if seen.start == later]


def test_what_the_person_does_to_an_appointment_comes_back_to_the_crm(demo: Demo, noon: dt.datetime) -> None:
    person = demo.people[0]
    booked = demo.crm.book("Two-way", noon)
    eventually(lambda: demo.crm.synced(booked["id"]))
    ((address, text),) = ((a, t) for a, t in person.objects(demo.primary).items() if "SUMMARY:Two-way" in t)
    name = address.rpartition("/")[2]

    person.put(demo.primary, name, text.replace("SUMMARY:Two-way", "SUMMARY:Renamed by Ada"))
    eventually(lambda: demo.crm.read(booked["id"])["title"] == "Renamed by Ada")
    assert [seen.start for seen in demo.subscriber.titled("Renamed by Ada")] == [noon]

    person.delete(demo.primary, name)
    eventually(lambda: demo.crm.read(booked["id"])["appointmentStatus"] == "cancelled")
    assert not demo.subscriber.at(noon)


def test_a_slot_blocked_in_the_crm_blocks_and_never_leaves(
    demo: Demo, noon: dt.datetime, vdirsyncer: Vdirsyncer
) -> None:
    slot = demo.crm.block("Deep thought", noon)
    assert [seen.start for seen in demo.subscriber.titled("Deep thought")] == [noon]
    assert "Deep thought" in {seen.title for seen in vdirsyncer.events().values()}
    assert f"{noon:%Y%m%dT%H%M%SZ}" in demo.subscriber.busy(noon - HOUR, noon + 2 * HOUR)
    taken = demo.crm.send("POST", "calendars/events/appointments", demo.crm.appointment("Over it", noon))
    assert (taken.status, taken.json["code"]) == (409, "slot_unavailable")

    # An appointment made after it, once it has arrived upstream, shows that whatever was to be written has been.
    booked = demo.crm.book("Messenger", noon + 2 * HOUR)
    eventually(lambda: demo.crm.synced(booked["id"]))
    everything = "\n".join(person.everything() for person in demo.people)
    assert "Messenger" in everything
    for trace in ("Deep thought", slot, slot.removeprefix("blk_"), f"{noon:%Y%m%dT%H}"):
        assert trace not in everything

    demo.crm.cancel(slot)
    assert not demo.subscriber.at(noon)
    assert not demo.subscriber.busy(noon, noon + HOUR)


def test_the_caldav_library_can_write_nothing(demo: Demo, noon: dt.datetime) -> None:
    before = demo.subscriber.events()
    with demo.subscriber.client() as client:
        calendar = client.calendar(url=demo.subscriber.url)
        mine = calendar.events()[0]
        with pytest.raises(caldav_error.AuthorizationError):
            calendar.add_event(event("intruder", noon, title="Intruder"))
        mine.data = mine.data.replace("SUMMARY:Busy", "SUMMARY:Mine now")
        with pytest.raises(caldav_error.AuthorizationError):
            mine.save()
        with pytest.raises(caldav_error.DAVError):
            mine.delete()
        with pytest.raises(caldav_error.DAVError):
            calendar.delete()
        with pytest.raises(caldav_error.DAVError):
            client.principal().make_calendar("Another")
    assert demo.subscriber.events() == before


def test_every_write_method_is_refused_everywhere(demo: Demo, noon: dt.datetime) -> None:
    login = demo.subscriber.user, demo.subscriber.password
    before, token = demo.subscriber.events(), demo.subscriber.sync_token()
    with demo.subscriber.client() as client:
        there = str(client.calendar(url=demo.subscriber.url).events()[0].url)
    colour = '<propertyupdate xmlns="DAV:"><set><prop><displayname>Mine</displayname></prop></set></propertyupdate>'
    bodies = {"PUT": event("intruder", noon, title="Intruder"), "PROPPATCH": colour}
    headers = {"Destination": f"{demo.subscriber.url}elsewhere.ics", "Content-Type": "text/calendar"}
    home = demo.subscriber.url.removesuffix("crm/")
    for address in (there, f"{demo.subscriber.url}new.ics", demo.subscriber.url, home, f"{home}new/"):
        for method in ("PUT", "DELETE", "PROPPATCH", "MKCALENDAR", "MKCOL", "MOVE"):
            answer = ask(method, address, login=login, headers=headers, body=bodies.get(method))
            assert answer.status == 403, (method, address, answer)
        for method in ("POST", "COPY", "LOCK", "ACL", "PATCH"):  # which nobody offers
            answer = ask(method, address, login=login, headers=headers, body=bodies["PUT"])
            assert answer.status in {403, 405, 501}, (method, address, answer)
    assert demo.subscriber.events() == before
    assert demo.subscriber.sync_token() == token


def test_vdirsyncer_s_changes_are_refused(demo: Demo, noon: dt.datetime, vdirsyncer: Vdirsyncer) -> None:
    before = vdirsyncer.events()
    victim, deleted = sorted(vdirsyncer.copy.glob("*.ics"))[:2]
    victim.write_text(victim.read_text().replace("END:VEVENT", "LOCATION:Elsewhere\r\nEND:VEVENT", 1))
    deleted.unlink()
    (vdirsyncer.copy / "intruder.ics").write_text(event("intruder", noon, title="Intruder"), newline="")

    refused = vdirsyncer.sync()

    assert refused.code == 1
    assert "403" in refused.err
    assert demo.subscriber.events() == before


def test_another_s_calendar_is_neither_readable_nor_listed(demo: Demo) -> None:
    demo.done("user", "add", "eve", "--location", demo.crm.location, "--name", "Eve", "--time-zone", "Europe/Paris")
    password = re.findall(r"\w{4}(?:-\w{4}){7}", demo.done("password", "add", "eve", "laptop"))[0]
    eve = "eve", password
    root = demo.subscriber.url.removesuffix("ada/crm/")
    assert ask("PROPFIND", f"{root}eve/crm/", login=eve, headers={"Depth": "0"}).status == 207

    for method in ("GET", "PROPFIND", "REPORT", "PUT", "DELETE"):
        for address in (f"{root}ada/", f"{root}ada/crm/"):
            answer = ask(method, address, login=eve, headers={"Depth": "1"})
            assert answer.status in {403, 404}, (method, address, answer)
            assert "SUMMARY" not in answer.text
    listed = ask("PROPFIND", root, login=eve, headers={"Depth": "1"})
    assert "/ada/" not in listed.text

    for login in (("eve", "wrong"), ("ada", password), ("", ""), None):
        assert ask("PROPFIND", demo.subscriber.url, login=login, headers={"Depth": "0"}).status == 401
    wrong = caldav.DAVClient(url=demo.subscriber.url, username="ada", password="wrong")
    with wrong, pytest.raises(caldav_error.AuthorizationError):
        wrong.principal()


def test_choosing_other_calendars_is_reflected_in_full_in_one_revision(demo: Demo, noon: dt.datetime) -> None:
    (person, home), (_, family), (work_person, _) = demo.read
    starts = [noon + HOUR * number for number in range(3)]
    for (owner, calendar), start in zip(demo.read, starts, strict=True):
        owner.put(calendar, "roles.ics", event(f"roles-{start:%H}", start, title="Roles"))
    trips = f"{work_person.url}{work_person.user}/trips/"
    work_person.put(trips, "roles.ics", event("roles-trips", noon + 3 * HOUR, title="Roles"))

    def there() -> list[int]:
        wanted = {noon + HOUR * number: number for number in range(6)}
        return sorted(wanted[seen.start] for seen in demo.subscriber.events().values() if seen.start in wanted)

    booked = demo.crm.book("Moves along", noon + 4 * HOUR)
    eventually(lambda: demo.crm.synced(booked["id"]))
    eventually(lambda: there() == [0, 1, 2, 4])
    try:
        token = demo.subscriber.sync_token()
        demo.done("calendars", "set", "ada", "--no-conflicts")
        assert there() == [0, 4]
        assert demo.subscriber.sync_token() == token + 1, "the slots of two calendars went in one revision"
        sources = demo.done("calendars", "list", "ada", "--json")
        assert sources.count('"conflict"') == 0

        demo.done("calendars", "set", "ada", "--conflict", "Trips")
        assert there() == [0, 3, 4]

        demo.done("calendars", "set", "ada", "--primary", "Family", "--no-conflicts")
        assert there() == [1, 4]
        eventually(lambda: demo.crm.synced(booked["id"]))
        eventually(lambda: "Moves along" not in "".join(person.objects(home).values()))
        assert "".join(person.objects(family).values()).count("SUMMARY:Moves along") == 1
        assert there() == [1, 4]
    finally:
        demo.done("calendars", "set", "ada", "--primary", "Home", "--conflict", "Family", "--conflict", "Work")
    assert there() == [0, 1, 2, 4]
    eventually(lambda: "".join(person.objects(home).values()).count("SUMMARY:Moves along") == 1)
    eventually(lambda: "Moves along" not in "".join(person.objects(family).values()))
    assert there() == [0, 1, 2, 4]
