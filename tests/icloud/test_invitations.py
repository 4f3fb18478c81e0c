"""Mail goes out when the CRM asks for it, once, and never else: at the stand-in, which counts what it sends."""

from __future__ import annotations

import pytest

from bridge.domain.model import SyncState, TwoWay
from bridge.service import roles, users
from tests.service.real import make_real_world
from tests.upstreams import icloud
from tests.upstreams.icloud import Drop, Mail

from .conftest import FIRST, rewrite, settle, the_event, writes

ATTENDEE = r"ATTENDEE(?:[^\r\n]|\r\n )*\r\n"
GRACE, JOAN = "grace@crm.example", "joan@crm.example"


@pytest.fixture
async def cloud(tmp_path):
    with icloud.running(icloud.Quirks()) as server:
        made = await make_real_world(tmp_path / "bridge.db", server)
        yield made
        await made.context.remotes.close()
        made.db.close()


def invite(world, **fields):
    return world.make(invitee=GRACE, extra={"contact": {"name": "Grace Example", "email": GRACE}}, **fields)


def mails(world):
    """Whom the server wrote to so far, and what for."""
    return [(mail.to, mail.method) for mail in world.server.mails]


def answer(world, made, partstat):
    """The contact answers: the server keeps it in the event."""
    line = f'ATTENDEE;CN="Grace Example";PARTSTAT={partstat}:mailto:{GRACE}\r\n'
    rewrite(world, made, ATTENDEE, line)


async def test_nobody_gets_mail_who_was_not_to_be_invited(cloud):
    made = cloud.make(extra={"contact": {"name": "Grace Example", "email": GRACE}})
    await settle(cloud)
    cloud.change(made, title="Other", start=FIRST + 3600, end=FIRST + 5400)
    await settle(cloud)
    cloud.cancel(made)
    await settle(cloud)
    assert cloud.server.mails == []


async def test_the_contact_is_invited_once_by_the_persons_own_address(cloud):
    made = invite(cloud)
    await settle(cloud)
    assert cloud.server.mails == [Mail(GRACE, "REQUEST", made.uid)]
    text = the_event(cloud, made)[1]
    assert f"ORGANIZER:mailto:{cloud.person.username}" in text
    assert 'ATTENDEE;CN="Grace Example"' in text.replace("\r\n ", "")
    assert cloud.stored(made).sync_state == SyncState.SYNCED
    cloud.change(made, title="Intro call")
    await settle(cloud)
    assert mails(cloud) == [(GRACE, "REQUEST")], "what changes nothing tells nobody anything"


async def test_a_lost_answer_invites_nobody_twice(cloud):
    made = invite(cloud)
    cloud.server.fail(Drop.AFTER, method="PUT")
    await settle(cloud)
    assert mails(cloud) == [(GRACE, "REQUEST")]
    assert cloud.stored(made).sync_state == SyncState.SYNCED


async def test_an_answer_reaches_the_crm_and_survives_its_changes(cloud):
    made = invite(cloud)
    await settle(cloud)
    version = cloud.stored(made).version
    answer(cloud, made, "ACCEPTED")
    await settle(cloud)
    seen = cloud.stored(made)
    assert (seen.answer, seen.version, seen.sync_state) == ("accepted", version + 1, SyncState.SYNCED)
    cloud.change(made, title="Another title", description="More to say")
    await settle(cloud)
    assert "PARTSTAT=ACCEPTED:" in the_event(cloud, made)[1]
    answer(cloud, made, "DECLINED")
    await settle(cloud)
    assert cloud.stored(made).answer == "declined"
    assert cloud.stored(made).fields.status == "confirmed", "what comes of it is up to the CRM"


async def test_an_answer_that_comes_while_a_change_is_on_its_way_is_kept(cloud):
    made = invite(cloud)
    await settle(cloud)
    cloud.change(made, title="Another title")
    answer(cloud, made, "TENTATIVE")
    await settle(cloud)
    text = the_event(cloud, made)[1]
    assert "PARTSTAT=TENTATIVE" in text and "SUMMARY:Another title" in text
    assert cloud.stored(made).answer == "tentative"


async def test_a_rule_against_the_persons_changes_is_none_against_answers(cloud):
    users.change_user(cloud.db, "ada", two_way=TwoWay.REPORT, now=cloud.now())
    made = invite(cloud)
    await settle(cloud)
    answer(cloud, made, "ACCEPTED")
    await settle(cloud)
    assert (cloud.stored(made).answer, cloud.stored(made).sync_state) == ("accepted", SyncState.SYNCED)


async def test_an_invitation_taken_back(cloud):
    made = invite(cloud)
    await settle(cloud)
    cloud.change(made, invitee=None)
    await settle(cloud)
    assert "ATTENDEE" not in the_event(cloud, made)[1]
    assert mails(cloud)[:1] == [(GRACE, "REQUEST")]
    cloud.change(made, title="Nobody hears of this")
    before = mails(cloud)
    await settle(cloud)
    assert mails(cloud) == before


async def test_another_contact_takes_the_place_of_the_first(cloud):
    made = invite(cloud)
    await settle(cloud)
    answer(cloud, made, "ACCEPTED")
    await settle(cloud)
    cloud.change(made, invitee=JOAN)
    await settle(cloud)
    text = the_event(cloud, made)[1].replace("\r\n ", "")
    assert JOAN in text and GRACE not in text
    assert (cloud.stored(made).fields.invitee, cloud.stored(made).answer) == (JOAN, None)


async def test_cancelled_the_contact_is_told(cloud):
    made = invite(cloud)
    await settle(cloud)
    cloud.cancel(made)
    await settle(cloud)
    assert mails(cloud) == [(GRACE, "REQUEST"), (GRACE, "CANCEL")]


async def test_whom_the_person_removes_is_not_invited_again(cloud):
    made = invite(cloud)
    await settle(cloud)
    rewrite(cloud, made, ATTENDEE, "")
    await settle(cloud)
    assert cloud.stored(made).fields.invitee is None
    cloud.change(made, title="Another title")
    await settle(cloud)
    assert "ATTENDEE" not in the_event(cloud, made)[1]


async def test_the_persons_own_guests_stay(cloud):
    made = invite(cloud)
    await settle(cloud)
    rewrite(cloud, made, "END:VEVENT", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:guest@x.example\r\nEND:VEVENT")
    await settle(cloud)
    cloud.change(made, invitee=None, title="Another title")
    await settle(cloud)
    text = the_event(cloud, made)[1].replace("\r\n ", "")
    assert "guest@x.example" in text and GRACE not in text


async def test_in_a_new_primary_it_invites_anew_and_in_the_old_one_no_more(cloud):
    made = invite(cloud)
    await settle(cloud)
    await roles.choose(cloud.context, "ada", primary=cloud.ids["Work"], conflicts=[])
    await settle(cloud)
    text = the_event(cloud, made, "Work")[1].replace("\r\n ", "")
    assert (text.count("ORGANIZER"), text.count("ATTENDEE"), text.count(GRACE)) == (1, 1, 1)
    assert sorted(set(mails(cloud))) == [(GRACE, "CANCEL"), (GRACE, "REQUEST")]


async def test_the_merged_calendar_names_no_guests(cloud):
    series = invite(cloud, start=FIRST + 7200, end=FIRST + 9000, rrule="RRULE:FREQ=WEEKLY;COUNT=3")
    made = invite(cloud)
    await settle(cloud)
    moved = (
        f"BEGIN:VEVENT\r\nUID:{series.uid}\r\nDTSTAMP:20270301T000000Z\r\nRECURRENCE-ID:20270316T100000Z\r\n"
        f"DTSTART:20270316T140000Z\r\nDTEND:20270316T143000Z\r\nORGANIZER:mailto:{cloud.person.username}\r\n"
        f"ATTENDEE:mailto:{GRACE}\r\nSUMMARY:Moved\r\nEND:VEVENT\r\n"
    )
    rewrite(cloud, series, "END:VCALENDAR", f"{moved}END:VCALENDAR")
    await settle(cloud)
    shown = cloud.merged()
    assert {f"{made.id}.ics", f"{series.id}.ics"} <= shown.keys()
    for item in shown.values():
        assert not any(word in item.ics for word in ("ATTENDEE", "ORGANIZER", "METHOD", "mailto", GRACE))


async def test_every_server_keeps_it_in_one_event(real):
    made = invite(real)
    await settle(real)
    real.change(made, title="Another title")
    await settle(real)
    assert (real.stored(made).sync_state, real.stored(made).fields.invitee) == (SyncState.SYNCED, GRACE)
    assert GRACE in the_event(real, made)[1].replace("\r\n ", "")
    puts = len(writes(real))
    await settle(real)
    assert (puts, len(writes(real))) == (2, 2)
