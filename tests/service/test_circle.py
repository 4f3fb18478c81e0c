"""The circle: events come in as blocked slots, appointments go out once, in place, and come back."""

from dataclasses import replace

import pytest

from bridge.domain.model import Interval, ItemKind, Role, SlotSettings, SyncState, Titles
from bridge.errors import AccountNotConnected, Forbidden, SecretUnreadable, SlotUnavailable, Unreachable
from bridge.service import book, connect, mirror, preview, push, roles, users
from bridge.service.book import AppointmentChange
from bridge.store import appointments, occurrences

from .conftest import NOW, event


async def poll(world):
    return await mirror.mirror_account(world.context, world.account_id)


async def test_an_event_in_either_calendar_becomes_a_blocked_slot(world):
    world.server.edit(world.urls["Home"], "a.ics", event("a"))
    world.server.edit(world.urls["Work"], "b.ics", event("b", start="20270309T100000", end="20270309T110000"))
    world.server.edit(world.urls["Hobby"], "c.ics", event("c"))
    await poll(world)
    slots = world.merged().values()
    assert len(slots) == 2
    assert all("SUMMARY:Busy" in slot.ics and "Dentist" not in slot.ics for slot in slots)


async def test_edits_and_deletions_come_through(world):
    url = world.urls["Work"]
    world.server.edit(url, "a.ics", event("a"))
    await poll(world)
    (before,) = world.merged().values()
    world.server.edit(url, "a.ics", event("a", start="20270308T130000", end="20270308T140000"))
    await poll(world)
    (after,) = world.merged().values()
    assert (after.href, after.first_start - before.first_start) == (before.href, 3 * 3600)
    world.server.edit(url, "a.ics", None)
    await poll(world)
    assert world.merged() == {}


async def test_one_request_when_nothing_changed(world):
    await poll(world)
    world.server.requests.clear()
    await poll(world)
    assert world.server.requests == ["PROPFIND"]


async def test_an_invitation_in_two_calendars_is_one_blocked_slot(world):
    for name in ("Home", "Work"):
        world.server.edit(world.urls[name], "x.ics", event("shared"))
    await poll(world)
    assert len(world.merged()) == 1
    world.server.edit(world.urls["Home"], "x.ics", None)
    await poll(world)
    assert len(world.merged()) == 1, "the other calendar's copy takes its place"


async def test_an_appointment_is_written_once_and_published_at_once(world):
    created = book.create_appointment(world.db, world.new(), now=world.now())
    assert list(world.merged()) == [f"{created.appointment.id}.ics"]
    assert await push.push_due(world.context) == 1
    await poll(world)
    assert list(world.merged()) == [f"{created.appointment.id}.ics"], "the echo is no second slot"
    assert [method for method, _ in world.server.writes] == ["PUT"]
    stored = book.get_appointment(world.db, created.appointment.id, locations=None)
    assert stored.sync_state == SyncState.SYNCED


async def test_an_update_changes_the_event_in_place_and_keeps_what_is_not_ours(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    await push.push_due(world.context)
    url = world.urls["Home"]
    (href,) = world.server.texts(url)
    with_alarm = world.server.texts(url)[href].replace(
        "END:VEVENT", "BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\nEND:VEVENT"
    )
    world.server.edit(url, href.rpartition("/")[2], with_alarm)
    await poll(world)
    book.update_appointment(
        world.db,
        made.id,
        AppointmentChange(fields={"title": "Second call"}),
        locations=None,
        expected_version=1,
        check_slot=True,
        now=world.now(),
    )
    await push.push_due(world.context)
    assert list(world.server.texts(url)) == [href]
    text = world.server.texts(url)[href]
    assert "SUMMARY:Second call" in text
    assert "TRIGGER:-PT15M" in text


async def test_a_cancelled_appointment_leaves_icloud_and_the_merged_calendar(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    await push.push_due(world.context)
    world.cancel(made)
    assert world.merged() == {}
    await push.push_due(world.context)
    assert world.server.texts(world.urls["Home"]) == {}
    await poll(world)
    assert world.merged() == {}


async def test_what_a_person_does_to_the_event_comes_back(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    await push.push_due(world.context)
    url = world.urls["Home"]
    ((href, text),) = world.server.texts(url).items()
    name = href.rpartition("/")[2]
    world.server.edit(url, name, text.replace("SUMMARY:Intro call", "SUMMARY:Call Ada"))
    await poll(world)
    renamed = world.stored(made)
    assert (renamed.fields.title, renamed.version) == ("Call Ada", 2)
    assert await push.push_due(world.context) == 0, "and is not written back"
    world.server.edit(url, name, None)
    await poll(world)
    gone = world.stored(made)
    assert gone.fields.status == "cancelled"
    assert world.merged() == {}


async def test_a_blocked_slot_made_in_the_crm_never_leaves(world):
    book.create_blocked_slot(
        world.db,
        book.NewBlockedSlot(
            location_id="loc",
            user_id="ada",
            booking_calendar_id=None,
            title="Lunch",
            start=NOW + 3600,
            end=NOW + 7200,
            time_zone=None,
            utc_offset=0,
            expires_at=None,
        ),
        now=NOW,
    )
    assert await push.push_due(world.context) == 0
    await poll(world)
    assert world.server.writes == []
    assert len(world.merged()) == 1


async def test_a_taken_time_is_not_booked_twice(world):
    book.create_appointment(world.db, world.new(), now=world.now())
    with pytest.raises(SlotUnavailable) as refused:
        book.create_appointment(world.db, world.new(start=NOW + 86_400 + 900, end=NOW + 90_000), now=world.now())
    assert refused.value.conflicts == ((NOW + 86_400, NOW + 86_400 + 1800, "appointment"),)
    touching = world.new(start=NOW + 86_400 + 1800, end=NOW + 86_400 + 3600)
    assert book.create_appointment(world.db, touching, now=world.now())


async def test_deselecting_a_calendar_takes_its_slots_away_in_one_revision(world):
    for number in range(5):
        world.server.edit(
            world.urls["Work"],
            f"{number}.ics",
            event(f"w{number}", start=f"2027030{number + 1}T100000", end=f"2027030{number + 1}T110000"),
        )
    await poll(world)
    assert len(world.merged()) == 5
    with world.db.read() as tx:
        before = tx.execute("SELECT revision FROM users").fetchone()[0]
    change = await roles.choose(world.context, "ada", conflicts=[])
    assert [calendar.name for calendar in change.dropped] == ["Work"]
    assert world.merged() == {}
    with world.db.read() as tx:
        assert tx.execute("SELECT revision FROM users").fetchone()[0] == before + 1


async def test_a_new_primary_gets_the_upcoming_appointments_and_the_old_one_loses_them(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    await push.push_due(world.context)
    await roles.choose(world.context, "ada", primary=world.ids["Hobby"])
    await push.push_due(world.context)
    await poll(world)
    assert world.server.texts(world.urls["Home"]) == {}
    assert len(world.server.texts(world.urls["Hobby"])) == 1
    assert list(world.merged()) == [f"{made.id}.ics"]


async def test_titles_are_shown_where_the_calendar_s_owner_says_so(world):
    world.server.edit(world.urls["Work"], "a.ics", event("a"))
    world.server.edit(
        world.urls["Work"],
        "p.ics",
        event("p", start="20270309T100000", end="20270309T110000", extra="CLASS:PRIVATE\r\n"),
    )
    await poll(world)
    roles.set_slot_settings(world.context, "ada", world.ids["Work"], SlotSettings(titles=Titles.TITLE))
    assert sorted("Dentist" in slot.ics for slot in world.merged().values()) == [False, True]


async def test_conflict_calendars_are_never_written(world):
    book.create_appointment(world.db, world.new(), now=world.now())
    await push.push_due(world.context)
    assert {href.split("/")[2] for _, href in world.server.writes} == {"home"}
    with world.db.read() as tx:
        assert Role.CONFLICT in {calendar.role for calendar in roles.accounts.calendars(tx, user_id="ada")}


@pytest.mark.parametrize(
    "error",
    [Unreachable("https://cal.example.com/"), SecretUnreadable("elsewhere"), AccountNotConnected("gone", "icloud", "")],
    ids=lambda error: type(error).__name__,
)
async def test_a_choice_stands_when_its_calendars_can_not_be_read_yet(world, monkeypatch, error):
    def refuse(account):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(world.context.remotes, "for_account", refuse)
        change = await roles.choose(world.context, "ada", conflicts=[world.ids["Hobby"]])
    assert [calendar.name for calendar in change.conflicts] == ["Hobby"]
    assert {name for name, _ in change.troubles} == {"Home", "Hobby"}
    assert all("://" not in said for _, said in change.troubles)


async def test_what_a_new_primary_will_bring_is_told_before_as_it_is_done(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    later = NOW + 2 * 86_400
    book.create_appointment(world.db, world.new(start=later, end=later + 1800), now=world.now())
    await push.push_due(world.context)
    with world.db.write() as tx:  # the person took one into a calendar that the bridge has never written to
        booked = appointments.get(tx, made.id)
        appointments.put(tx, replace(booked, calendar_id=world.ids["Work"]))
    will = preview.roles_preview(
        world.db, "ada", primary=world.ids["Hobby"], conflicts=[world.ids["Work"]], now=world.now()
    )
    change = await roles.choose(world.context, "ada", primary=world.ids["Hobby"])
    assert (will.to_write, will.to_move, change.moved) == (1, 1, 1)


async def test_a_colleague_who_reads_an_appointment_s_event_is_kept_busy_by_it_and_does_not_move_it(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    await push.push_due(world.context)
    ((href, text),) = world.server.texts(world.urls["Home"]).items()
    users.add_user(world.db, id="bob", location_id="loc", name="Bob", time_zone="Europe/Berlin", now=NOW)
    account = await connect.connect(world.context, "bob", "icloud", world.server.username, world.server.password)
    hobby = next(c for c in roles.list_calendars(world.db, "bob") if c.name == "Hobby")
    await roles.choose(world.context, "bob", primary=hobby.id)
    world.server.edit(world.urls["Hobby"], "invitation.ics", text.replace("SUMMARY:Intro call", "SUMMARY:Not yours"))

    await mirror.mirror_account(world.context, account.id)

    with world.db.read() as tx:
        (slot,) = occurrences.busy(tx, "bob", Interval(made.fields.start, made.fields.end))
    assert slot.kind == ItemKind.ICLOUD
    kept = world.stored(made)
    assert (kept.fields.title, kept.href) == ("Intro call", href)


async def test_a_lost_answer_and_then_a_refusal_make_no_second_event(world):
    made = book.create_appointment(world.db, world.new(), now=world.now()).appointment
    told = []

    def lose_the_first_answer_and_refuse_the_next(method):
        if method == "after-PUT" and not told:
            told.append(method)
            raise Unreachable("https://memory.example/", "no answer in time")
        if method == "PUT" and told:
            raise Forbidden("https://memory.example/")

    world.server.on_call = lose_the_first_answer_and_refuse_the_next
    for _ in range(4):
        await push.push_due(world.context)
        world.later(120)

    assert len(world.server.texts(world.urls["Home"])) == 1
    assert world.stored(made).sync_state == SyncState.SYNCED
