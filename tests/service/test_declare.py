"""What the settings file declares becomes so, and nothing else does."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.domain.declared import DeclaredAccount, DeclaredSetting, DeclaredUser, What
from bridge.domain.model import Role, SlotSettings, Titles, TwoWay
from bridge.errors import SetByAdministrator, Unauthorized, Unreachable
from bridge.remote.memory import MemoryServer
from bridge.service import audit, connect, declare, mirror, roles, users
from bridge.service.declare import Declaration
from bridge.service.fixed import fixed_of
from bridge.store import declared

from .conftest import event, make_world

FILE = "config/bridge.toml"


def account(world, **said):
    return DeclaredAccount("icloud", world.server.username, world.server.password, place=("users", 0), **said)


def ada(*accounts, **said):
    said = {"name": "Ada", "time_zone": "Europe/Berlin", **said}
    return DeclaredUser("ada", "loc", accounts=accounts, place=("users", 0), **said)


async def apply(world, *people):
    """Apply, as often as it takes; the changes of the first time."""
    declaration = Declaration(people, FILE, TwoWay.ACCEPT)
    planned = await declare.plan(world.context, declaration)
    assert planned.possible, (planned.failed, planned.plan.problems)
    assert await declare.carry_out(world.context, declaration, planned, actor="test")
    return planned.plan.changes


async def planned(world, *people):
    return await declare.plan(world.context, Declaration(people, FILE, TwoWay.ACCEPT))


def lines(changes):
    return [(c.action, str(c.what), c.subject, c.field, c.before, c.after) for c in changes]


def role_names(world):
    return {c.name: str(c.role) for c in roles.list_calendars(world.db, "ada") if c.role != Role.NONE}


@pytest.fixture
async def empty(tmp_path):
    """A world without Ada, whose login works."""
    world = await make_world(tmp_path / "bridge.db", MemoryServer())
    users.remove_user(world.db, "ada", now=world.now())
    return world


async def test_somebody_new_is_there_with_account_and_calendars_in_one_go(empty):
    slots = {"Work": SlotSettings(titles=Titles.TITLE, all_day_blocks=False)}
    person = ada(account(empty, primary="Home", conflicts=("Work",), slots=slots), two_way=TwoWay.REPORT)

    changes = await apply(empty, person)

    assert lines(changes) == [
        ("add", "user", "ada", "", "", "Ada, Europe/Berlin"),
        ("set", "two_way", "ada", "changes made in iCloud", "", "report"),
        ("add", "account", "icloud ada@example.com", "", "", ""),
        ("set", "slots", "Work", "titles", "busy", "title"),
        ("set", "slots", "Work", "all-day events", "block", "do not block"),
        ("set", "primary", "ada", "Primary", "none", "Home"),
        ("set", "conflicts", "icloud ada@example.com", "checked for conflicts", "none", "Work"),
    ]
    assert role_names(empty) == {"Home": "primary", "Work": "conflict"}
    assert users.two_way(empty.db, "ada") == TwoWay.REPORT
    (one,) = connect.list_accounts(empty.db, "ada")
    assert one.secret.decode() == empty.server.password
    (work,) = [c for c in roles.list_calendars(empty.db, "ada") if c.name == "Work"]
    assert work.settings == slots["Work"]
    assert not (await planned(empty, person)).plan.changes


async def test_what_it_blocks_comes_with_the_next_look(empty):
    empty.server.edit(empty.urls["Work"], "e.ics", event("e"))
    await apply(empty, ada(account(empty, primary="Home", conflicts=("Work",))))

    (one,) = connect.list_accounts(empty.db, "ada")
    await mirror.mirror_account(empty.context, one.id)

    assert len(empty.merged()) == 1


async def test_what_is_there_already_is_taken_over_as_it_is(world):
    changes = await apply(world, ada(account(world, primary="Home")))

    assert {(c.action, str(c.what)) for c in changes} == {("fix", "user"), ("fix", "account"), ("fix", "primary")}
    assert role_names(world) == {"Home": "primary", "Work": "conflict"}


async def test_what_is_declared_can_be_changed_nowhere_else(world):
    slots = {"Work": SlotSettings()}
    conflicts = account(world, primary="Home", conflicts=("Work",), slots=slots)
    await apply(world, ada(conflicts, two_way=TwoWay.ACCEPT))
    hobby, work = world.ids["Hobby"], world.ids["Work"]

    for refused in (
        lambda: users.change_user(world.db, "ada", name="Eve", now=0),
        lambda: users.change_user(world.db, "ada", two_way=TwoWay.RESTORE, now=world.now()),
        lambda: users.change_user(world.db, "ada", name="Eve", two_way=TwoWay.ACCEPT, now=0),
        lambda: users.remove_user(world.db, "ada", now=0),
        lambda: roles.set_slot_settings(world.context, "ada", work, SlotSettings(titles=Titles.TITLE)),
    ):
        with pytest.raises(SetByAdministrator) as told:
            refused()
        assert told.value.path == FILE
    for refused in (
        connect.connect(world.context, "ada", "icloud", world.server.username, world.server.password),
        connect.disconnect(world.context, "ada", world.account_id),
        roles.choose(world.context, "ada", primary=hobby),
        roles.choose(world.context, "ada", primary=None),
        roles.choose(world.context, "ada", conflicts=[work, hobby]),
        roles.choose(world.context, "ada", conflicts=[]),
    ):
        with pytest.raises(SetByAdministrator):
            await refused
    assert role_names(world) == {"Home": "primary", "Work": "conflict"}
    assert users.get_user(world.db, "ada").name == "Ada"


async def test_a_change_of_a_user_is_refused_as_a_whole(world):
    await apply(world, ada(account(world, primary="Home")))
    before = users.two_way(world.db, "ada")

    with pytest.raises(SetByAdministrator):
        users.change_user(world.db, "ada", name="Eve", two_way=TwoWay.RESTORE, now=0)

    assert (users.get_user(world.db, "ada").name, users.two_way(world.db, "ada")) == ("Ada", before)


async def test_what_is_not_declared_stays_the_person_s_own(world):
    await apply(world, ada(account(world, primary="Home")))

    await roles.choose(world.context, "ada", conflicts=[world.ids["Hobby"]])
    roles.set_slot_settings(world.context, "ada", world.ids["Home"], SlotSettings(titles=Titles.TITLE))
    users.change_user(world.db, "ada", two_way=TwoWay.RESTORE, now=world.now())

    assert not (await planned(world, ada(account(world, primary="Home")))).plan.changes
    assert role_names(world) == {"Home": "primary", "Hobby": "conflict"}


async def test_conflict_calendars_of_another_account_keep_blocking(world):
    """What one account's list says is of that account alone."""
    # A second login of Ada's at the same server, connected by hand.
    await connect.connect(world.context, "ada", "company", world.server.username, world.server.password)
    mine = [c for c in roles.list_calendars(world.db, "ada") if c.account_id != world.account_id and c.name == "Hobby"]
    await roles.choose(world.context, "ada", conflicts=[world.ids["Work"], mine[0].id])

    changes = await apply(world, ada(account(world, primary="Home", conflicts=())))

    assert ("set", "conflicts") in {(c.action, str(c.what)) for c in changes}
    assert role_names(world) == {"Home": "primary", "Hobby": "conflict"}
    await roles.choose(world.context, "ada", conflicts=[])
    assert role_names(world) == {"Home": "primary"}


async def test_who_is_taken_out_of_the_file_stays_and_can_be_changed(world):
    await apply(world, ada(account(world, primary="Home", conflicts=("Work",))))
    world.server.edit(world.urls["Work"], "e.ics", event("e"))
    await mirror.mirror_account(world.context, world.account_id)
    assert fixed_of(world.db, "ada").user

    changes = await apply(world)

    assert {c.action for c in changes} == {"release"}
    assert role_names(world) == {"Home": "primary", "Work": "conflict"}
    assert len(world.merged()) == 1
    assert fixed_of(world.db, "ada") == replace(
        fixed_of(world.db, "ada"),
        user=False,
        primary=False,
        accounts=frozenset(),
        conflicts=frozenset(),
        slots=frozenset(),
    )
    users.change_user(world.db, "ada", name="Eve", now=0)
    await connect.disconnect(world.context, "ada", world.account_id)


async def test_one_wrong_login_among_many_and_nothing_is_changed(empty):
    wrong = replace(account(empty), password="nobody-knows-this-one", place=("users", 1, "accounts", 0))
    bob = DeclaredUser("bob", "loc", "Bob", "Europe/Berlin", accounts=(wrong,))

    found = await planned(empty, ada(account(empty, primary="Home")), bob)

    ((who, error),) = found.failed
    assert (who.place, error.reason) == (wrong.place, "bad_password")
    assert not found.possible
    assert users.list_users(empty.db) == []


async def test_calendars_that_are_not_what_the_file_takes_them_for_are_told_all_at_once(empty):
    empty.server.add_calendar("Holidays", writable=False)
    empty.server.calendars["https://memory.example/home/other/"] = replace(
        empty.server.calendars[empty.urls["Work"]], name="work"
    )
    one = account(empty, primary="Holidays", conflicts=("Work", "Wrok"), slots={"Hom": SlotSettings()})

    found = (await planned(empty, ada(one))).plan.problems

    assert [(p.place[-1], p.problem.partition(",")[0]) for p in found] == [
        ("primary", 'names "Holidays"'),
        ("conflicts", 'names "Work"'),
        ("conflicts", 'names "Wrok"'),
        ("Hom", 'names "Hom"'),
    ]
    assert empty.urls["Work"] in found[1].remedy
    assert '"Home"' in found[2].remedy


async def test_a_calendar_can_be_named_by_its_address(empty):
    await apply(empty, ada(account(empty, primary=empty.urls["Hobby"].rstrip("/"))))

    assert role_names(empty) == {"Hobby": "primary"}


async def test_a_calendar_that_was_just_made_upstream_is_looked_for_there(world):
    world.server.add_calendar("New")

    await apply(world, ada(account(world, primary="New", conflicts=())))

    assert role_names(world) == {"New": "primary"}


async def test_a_new_password_is_tried_and_kept(world):
    world.server.password = "another-password-of-hers"

    changes = await apply(world, ada(account(world, primary="Home")))

    assert ("set", "account", "icloud ada@example.com", "password", "", "new") in lines(changes)
    (one,) = connect.list_accounts(world.db, "ada")
    assert one.secret.decode() == "another-password-of-hers"
    assert one.id == world.account_id
    assert "another" not in repr(changes)


async def test_a_login_that_is_known_is_not_tried_again(world):
    await apply(world, ada(account(world, primary="Home")))
    world.server.requests.clear()
    world.server.on_call = lambda _: (_ for _ in ()).throw(Unreachable("https://memory.example/"))

    await apply(world, ada(account(world, primary="Hobby")))

    assert role_names(world) == {"Hobby": "primary", "Work": "conflict"}
    assert world.server.requests == []


async def test_another_location_is_refused_as_appointments_belong_to_it(world):
    found = await planned(world, replace(ada(account(world)), location_id="elsewhere"))

    (problem,) = found.plan.problems
    assert problem.place[-1] == "location"
    assert "loc" in problem.problem


async def test_a_store_that_changed_since_is_planned_anew(world):
    declaration = Declaration((ada(account(world, primary="Hobby")),), FILE, TwoWay.ACCEPT)
    plan = await declare.plan(world.context, declaration)
    users.change_user(world.db, "ada", name="Somebody", now=0)

    assert not await declare.carry_out(world.context, declaration, plan, actor="test")
    assert role_names(world) == {"Home": "primary", "Work": "conflict"}


async def test_what_was_done_is_in_the_audit_log_without_secrets(empty):
    await apply(empty, ada(account(empty, primary="Home")))

    entries = [(e.actor, e.action, e.subject) for e in audit.latest(empty.db, limit=20)]
    assert ("test", "user added, by the settings file", "ada") in entries
    assert empty.server.password not in repr(entries)


async def test_a_wrong_password_leaves_the_one_that_works(world):
    def refuse(_):
        raise Unauthorized("https://memory.example/")

    world.server.on_call = refuse
    found = await planned(world, ada(replace(account(world), password="a-typing-mistake")))

    assert not found.possible
    (one,) = connect.list_accounts(world.db, "ada")
    assert one.secret.decode() == world.server.password


# --- Applied twice, it does nothing the second time -------------------------------------------------------------------

NAMES = ("Home", "Work", "Hobby")
SETTINGS = st.builds(
    SlotSettings,
    titles=st.sampled_from(Titles),
    all_day_blocks=st.booleans(),
    unanswered_blocks=st.booleans(),
    tentative_blocks=st.booleans(),
    travel_blocks=st.booleans(),
)


@st.composite
def people(draw):
    """A declaration of Ada, as anybody might write it."""
    said = {"slots": draw(st.dictionaries(st.sampled_from(NAMES), SETTINGS, max_size=2))}
    if draw(st.booleans()):
        said["primary"] = draw(st.sampled_from(NAMES))
        said["conflicts"] = draw(
            st.none() | st.lists(st.sampled_from([n for n in NAMES if n != said["primary"]]), unique=True).map(tuple)
        )
    accounts = [DeclaredAccount("icloud", "ada@example.com", "abcd-efgh-ijkl-mnop", **said)]
    return DeclaredUser(
        "ada",
        "loc",
        draw(st.sampled_from(["Ada", "Countess"])),
        draw(st.sampled_from(["Europe/Berlin", "Asia/Tokyo"])),
        draw(st.none() | st.sampled_from(TwoWay)),
        tuple(accounts if draw(st.booleans()) else ()),
    )


@given(declarations=st.lists(st.lists(people(), max_size=1), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_was_applied_is_so_and_applied_again_changes_nothing(declarations):
    async def live(folder):
        world = await make_world(Path(folder) / "bridge.db", MemoryServer())
        world.server.edit(world.urls["Work"], "e.ics", event("e"))
        for said in declarations:
            await apply(world, *said)
            assert not (await planned(world, *said)).plan.changes
            with world.db.read() as tx:
                settings = declared.settings(tx)
            assert (DeclaredSetting(What.USER, "ada", "ada") in settings) == bool(said)
            for person in said:
                user = users.get_user(world.db, "ada")
                assert (user.name, user.time_zone) == (person.name, person.time_zone)
                assert person.two_way in {None, users.two_way(world.db, "ada")}
                by_name = {c.name: c for c in roles.list_calendars(world.db, "ada")}
                for one in person.accounts:
                    assert one.primary is None or by_name[one.primary].role == Role.PRIMARY
                    if one.conflicts is not None:
                        conflicts = {n for n, c in by_name.items() if c.role == Role.CONFLICT}
                        assert conflicts == set(one.conflicts)
                    for name, slots in one.slots.items():
                        assert by_name[name].settings == slots
        world.db.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(folder))
