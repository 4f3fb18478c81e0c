"""`inviteContact`: asked for, taken back, answered, and what it takes."""

import pytest

from bridge.store import accounts

from .conftest import APPOINTMENTS, EVENTS

CONTACT = {"name": "Grace Example", "email": "grace@example.com"}


async def upstream(api):
    """Push, read, and the one event that is in iCloud then, unfolded."""
    await api.push()
    await api.poll()
    (text,) = api.world.server.texts(api.world.urls["Home"]).values()
    return text.replace("\r\n ", "")


async def test_by_default_nobody_is_invited(api):
    made = await api.book(contact=CONTACT)
    assert (made["inviteContact"], "invitation" in made) == (False, False)
    assert "grace" not in await upstream(api)


async def test_the_contact_is_invited_when_asked_for(api):
    made = await api.book(contact=CONTACT, inviteContact=True)
    assert (made["inviteContact"], made["invitation"]) == (True, {"email": "grace@example.com", "answer": None})
    text = await upstream(api)
    assert "ORGANIZER:mailto:ada@example.com\r\n" in text
    assert text.count("ATTENDEE") == 1
    (item,) = api.world.merged().values()
    assert "grace" not in item.ics
    again = await api("PUT", f"{APPOINTMENTS}/{made['id']}", made)
    assert (again.status, again.json["version"]) == (200, 1), "what was read can be sent back"


@pytest.mark.parametrize(
    ("contact", "code"),
    [(None, "missing"), ({"name": "Grace"}, "missing"), ({"email": " "}, "missing"), ({"email": "x"}, "invalid_value")],
)
async def test_without_an_address_it_is_refused(api, contact, code):
    before = api.stored()
    answer = await api("POST", APPOINTMENTS, api.body(contact=contact, inviteContact=True))
    assert answer.status == 422
    ((problem),) = answer.json["errors"]
    assert (problem["pointer"], problem["code"]) == ("/contact/email", code)
    assert api.stored() == before


async def test_where_the_account_has_no_address_it_is_refused(api):
    with api.world.db.write() as tx:
        tx.execute("UPDATE accounts SET addresses = '[]'")
        assert accounts.get(tx, api.world.account_id).addresses == ()
    before = api.stored()
    answer = await api("POST", APPOINTMENTS, api.body(contact=CONTACT, inviteContact=True))
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/inviteContact")
    assert api.stored() == before


async def test_it_can_be_asked_for_later_and_taken_back(api):
    made = await api.book(contact=CONTACT)
    path = f"{APPOINTMENTS}/{made['id']}"
    asked = await api("PATCH", path, {"inviteContact": True})
    assert (asked.json["inviteContact"], asked.json["version"]) == (True, 2)
    assert "grace@example.com" in await upstream(api)
    other = await api("PATCH", path, {"contact": {"email": "joan@example.com"}})
    assert other.json["invitation"]["email"] == "joan@example.com"
    text = await upstream(api)
    assert "joan@example.com" in text and "grace" not in text
    refused = await api("PATCH", path, {"contact": None})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/contact/email")
    back = await api("PATCH", path, {"inviteContact": None})
    assert (back.json["inviteContact"], "invitation" in back.json) == (False, False)
    assert "ATTENDEE" not in await upstream(api)


async def answers(api, partstat):
    """The contact's answer reaches the event."""
    ((href, ics),) = api.world.server.texts(api.world.urls["Home"]).items()
    name = href.rpartition("/")[2]
    text = ics.replace("\r\n ", "").replace("PARTSTAT=NEEDS-ACTION", f"PARTSTAT={partstat}")
    api.world.server.edit(api.world.urls["Home"], name, text)
    await api.poll()


async def test_the_answer_is_told(api):
    made = await api.book(contact=CONTACT, inviteContact=True)
    await upstream(api)
    start = (await api("GET", "/v1/changes")).json["nextCursor"]
    await answers(api, "ACCEPTED")
    seen = (await api("GET", f"{APPOINTMENTS}/{made['id']}")).json["event"]
    assert (seen["invitation"]["answer"], seen["version"], seen["sync"]["state"]) == ("accepted", 2, "synced")
    (change,) = (await api("GET", "/v1/changes", params={"cursor": start})).json["changes"]
    assert (change["type"], change["origin"], change["changedFields"]) == (
        "AppointmentUpdate",
        "icloud",
        ["invitation"],
    )
    await api("PATCH", f"{APPOINTMENTS}/{made['id']}", {"title": "Other"})
    assert "PARTSTAT=ACCEPTED" in await upstream(api)


async def test_cancelled_and_confirmed_again_it_invites_again(api):
    made = await api.book(contact=CONTACT, inviteContact=True)
    await upstream(api)
    await answers(api, "ACCEPTED")
    await api("PATCH", f"{APPOINTMENTS}/{made['id']}", {"appointmentStatus": "cancelled"})
    await api.push()
    assert api.world.server.texts(api.world.urls["Home"]) == {}
    await api("PATCH", f"{APPOINTMENTS}/{made['id']}", {"appointmentStatus": "confirmed"})
    assert "PARTSTAT=NEEDS-ACTION" in await upstream(api)
    seen = (await api("GET", f"{APPOINTMENTS}/{made['id']}")).json["event"]
    assert seen["invitation"]["answer"] is None


async def test_one_time_that_leaves_its_series_goes_on_inviting(api):
    await api.book(contact=CONTACT, inviteContact=True, rrule="FREQ=DAILY;COUNT=3")
    span = {"startTime": "2027-03-01T00:00:00+01:00", "endTime": "2027-04-01T00:00:00+02:00", "userId": "ada"}
    ids = [event["id"] for event in (await api("GET", EVENTS, params=span)).json["events"]]
    changed = await api("PATCH", f"{APPOINTMENTS}/{ids[1]}", {"startTime": "2027-03-10T15:00:00"})
    assert changed.json["inviteContact"] is True
    await api.push()
    for text in api.world.server.texts(api.world.urls["Home"]).values():
        assert "mailto:grace@example.com" in text.replace("\r\n ", "")
