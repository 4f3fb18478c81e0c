"""Random changes of a series, of parts of it and of single times: what is listed, published and in iCloud stays one."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass

import pytest
import recurring_ical_events
from icalendar import Calendar

from bridge.domain.model import Interval
from bridge.service import book, mirror, push
from bridge.service.book import AppointmentChange
from bridge.service.visibility import Listing
from bridge.store import occurrences

from .agreement import UID
from .conftest import NOW

DAY, HOUR = 86_400, 3600
FIRST = NOW + DAY
SPAN = Interval(NOW, NOW + 60 * DAY)
RULES = (
    "FREQ=DAILY;COUNT=9",
    "FREQ=DAILY;INTERVAL=2;UNTIL=20270325T120000Z",
    "FREQ=WEEKLY;BYDAY=TU,TH,SA;COUNT=9",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,WE,SU;COUNT=9",
)


@dataclass
class Time:
    """One of the times as they ought to be."""

    start: int
    title: str
    #: Which series it belongs to, or None once it goes on by itself.
    series: int | None
    #: Whether the person moved it in iCloud: there it stays.
    by_hand: bool = False


def listed(world):
    found = book.list_appointments(world.db, Listing(location_id="loc", span=SPAN, user_id="ada"), locations=None)
    return sorted(found, key=lambda one: one.fields.start)


def change(world, event_id, scope, **fields):
    book.update_appointment(
        world.db,
        event_id,
        AppointmentChange(fields=fields),
        locations=None,
        expected_version=None,
        scope=scope,
        check_slot=False,
        now=world.now(),
    )


def in_icloud(world):
    found = []
    for text in world.server.texts(world.urls["Home"]).values():
        events = recurring_ical_events.of(Calendar.from_ical(text)).between("20270301T000000Z", "20270601T000000Z")
        found += [(int(e["DTSTART"].dt.timestamp()), str(e["SUMMARY"])) for e in events]
    return sorted(found)


def shift(times, by, title):
    for time in times:
        if not time.by_hand:
            time.start += by
            time.title = title


async def settle(world):
    for _ in range(2):
        await push.push_due(world.context)
        await mirror.mirror_account(world.context, world.account_id)


def move_by_hand(world, one, start, title):
    """The person moves one time of a series, known by its id, and renames it."""
    master_id, key, _ = one.id.rsplit("_", 2)
    uid = book.get_appointment(world.db, master_id, locations=None).uid
    ((href, text),) = [
        (href, ics) for href, ics in world.server.texts(world.urls["Home"]).items() if f"UID:{uid}\r\n" in ics
    ]
    override = (
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20270301T000000Z\r\nRECURRENCE-ID:{stamp(int(key) // 1000)}\r\n"
        f"DTSTART:{stamp(start)}\r\nDTEND:{stamp(start + 1800)}\r\nSUMMARY:{title}\r\nEND:VEVENT\r\n"
    )
    text = text.replace("END:VCALENDAR", f"{override}END:VCALENDAR")
    world.server.edit(world.urls["Home"], href.rpartition("/")[2], text)


def stamp(at):
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y%m%dT%H%M%SZ")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(6))
async def test_random_changes(world, rule, seed):
    chance = random.Random(f"{rule}{seed}")
    rrule = f"RRULE:{rule}"
    book.create_appointment(world.db, world.new(rrule=rrule, start=FIRST, end=FIRST + 1800), now=world.now())
    model = [Time(one.fields.start, "Intro call", 0) for one in listed(world)]
    assert len(model) > 5
    for step in range(8):
        there = listed(world)
        number = chance.randrange(len(there))
        one, time = there[number], model[number]
        later = [t for t in model[number:] if t.series == time.series is not None]
        whole = [t for t in model if t.series == time.series is not None]
        by, title = chance.choice((-HOUR, 0, HOUR)), f"Step {step}"
        fields = {"start": one.fields.start + by, "end": one.fields.end + by, "title": title}
        match chance.choice(("single", "delete", "following", "following", "series", "by hand")):
            case "single":
                change(world, one.id, None, **fields)
                time.start, time.title, time.series, time.by_hand = time.start + by, title, None, False
            case "delete" if len(model) > 3:
                book.delete_event(world.db, one.id, locations=None, expected_version=None, now=world.now())
                del model[number]
            case "following" if time.series is not None:
                start = book.get_appointment(world.db, one.id, locations=None, scope="following").fields.start + by
                change(world, one.id, "following", start=start, end=start + 1800, title=title)
                shift(later, by, title)
                if later[0] is not whole[0]:
                    for t in later:
                        t.series = step + 1
            case "series" if time.series is not None:
                start = book.get_appointment(world.db, one.id, locations=None, scope="series").fields.start + by
                change(world, one.id, "series", start=start, end=start + 1800, title=title)
                shift(whole, by, title)
            case "by hand" if time.series is not None and not time.by_hand:
                await settle(world)
                move_by_hand(world, one, time.start + 5400, title)
                await settle(world)
                time.start, time.title, time.by_hand = time.start + 5400, title, True
        wanted = sorted((time.start, time.title) for time in model)
        assert [(one.fields.start, one.fields.title) for one in listed(world)] == wanted, step
        if chance.random() < 0.5:
            await settle(world)
            assert in_icloud(world) == wanted, step
            assert [(one.fields.start, one.fields.title) for one in listed(world)] == wanted, step
        with world.db.read() as tx:
            busy = [(b.start, b.kind) for b in occurrences.busy(tx, "ada", SPAN)]
        assert busy == [(start, "appointment") for start, _ in wanted], step


def excluded(text, at):
    """A person deletes one time of a series, as iCloud stores it: the rule's EXDATE."""
    return text.replace("RRULE:FREQ=DAILY", f"EXDATE:{stamp(at)}\r\nRRULE:FREQ=DAILY")


def called_off(text, at):
    """As others store it: the time is there, but cancelled."""
    uid = UID.search(text)[1]
    override = (
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20270301T000000Z\r\nRECURRENCE-ID:{stamp(at)}\r\n"
        f"DTSTART:{stamp(at)}\r\nDTEND:{stamp(at + 1800)}\r\nSTATUS:CANCELLED\r\nEND:VEVENT\r\n"
    )
    return text.replace("END:VCALENDAR", f"{override}END:VCALENDAR")


@pytest.mark.parametrize("take_out", [excluded, called_off])
async def test_when_a_person_has_deleted_each_time_of_a_series_it_is_cancelled(world, take_out):
    made = world.make(rrule="RRULE:FREQ=DAILY;COUNT=3", start=FIRST, end=FIRST + 1800)
    await settle(world)
    for times in (2, 1, 0):
        ((href, text),) = world.server.texts(world.urls["Home"]).items()
        world.server.edit(world.urls["Home"], href.rpartition("/")[2], take_out(text, FIRST + (2 - times) * DAY))
        await settle(world)
        assert world.stored(made).fields.status == ("confirmed" if times else "cancelled")
        with world.db.read() as tx:
            assert len(occurrences.busy(tx, "ada", SPAN)) == times
    assert listed(world)[0].fields.status == "cancelled"


async def test_a_series_of_which_a_moved_time_is_left_takes_place(world):
    made = world.make(rrule="RRULE:FREQ=DAILY;COUNT=2", start=FIRST, end=FIRST + 1800)
    await settle(world)
    one, _ = listed(world)
    move_by_hand(world, one, FIRST + 3600, "Later")
    ((href, text),) = world.server.texts(world.urls["Home"]).items()
    world.server.edit(world.urls["Home"], href.rpartition("/")[2], excluded(text, FIRST + DAY))
    await settle(world)
    assert world.stored(made).fields.status == "confirmed"
    assert [one.fields.start for one in listed(world)] == [FIRST + 3600]
