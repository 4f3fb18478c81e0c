"""HighLevel's own webhooks: what it signed becomes bookings, once, in whatever order it comes."""

import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge.service import roles, users
from bridge.settings import Settings
from bridge.store.db import Db
from bridge.web.app import make_web_app
from bridge.web.keys import SETTINGS
from bridge.web.times import format_utc

from .conftest import APPOINTMENTS, EVENTS, WEEK

PATH = "/v1/ingest/highlevel"
KEY = Ed25519PrivateKey.generate()
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@pytest.fixture
async def highlevel(api, aiohttp_client):
    """What sends webhooks as HighLevel does, to a bridge that takes them."""
    settings = Settings.model_validate(
        {
            "highlevel": {
                "ingest": True,
                "public_key": PUBLIC,
                "calendars": {"CVokAlI8fgw4WYWoCtQz": api.world.booking_calendar_id},
                "users": {"0007BWpSzSwfiuSl0tR2": "ada"},
            }
        }
    )
    ingesting = replace(api, client=await aiohttp_client(make_web_app(api.world.context, settings)))
    return HighLevel(ingesting)


class HighLevel:
    def __init__(self, api):
        self.api = api
        self.number = 0

    def message(self, type_="AppointmentCreate", *, webhook_id=None, at=None, **changes):
        """An event as HighLevel documents it."""
        self.number += 1
        appointment = {
            "id": "0TkCdp9PfvLeWKYRRvIz",
            "address": "https://meet.example.com/abc",
            "title": "Demo of the product",
            "calendarId": "CVokAlI8fgw4WYWoCtQz",
            "contactId": "contact-1",
            "groupId": "9NkT25Vor1v4aQatFsv2",
            "appointmentStatus": "confirmed",
            "assignedUserId": "0007BWpSzSwfiuSl0tR2",
            "users": ["0007BWpSzSwfiuSl0tR2"],
            "notes": "not for the calendar's eyes",
            "source": "booking_widget",
            "startTime": "2027-03-09T15:30:00+05:30",
            "endTime": "2027-03-09T16:00:00+05:30",
            "dateAdded": "2027-03-08T08:00:00.000Z",
            "dateUpdated": "2027-03-08T08:00:00.000Z",
            **changes,
        }
        return {
            "type": type_,
            "locationId": "loc",
            "webhookId": webhook_id or f"hook-{self.number}",
            "timestamp": format_utc(self.api.world.now() if at is None else at),
            "appointment": appointment,
        }

    async def __call__(self, message, *, key=KEY, signed=None, header="X-GHL-Signature"):
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        signature = base64.b64encode(key.sign(body if signed is None else signed)).decode()
        headers = {header: signature, "Content-Type": "application/json", "Authorization": ""}
        return await self.api("POST", PATH, data=body, headers=headers)

    async def events(self):
        answer = await self.api("GET", EVENTS, params={**WEEK, "userId": "ada"})
        return answer.json["events"]


async def test_what_is_booked_there_is_booked_here(highlevel):
    answer = await highlevel(highlevel.message())
    assert (answer.status, answer.json["result"]) == (200, "booked")
    (event,) = await highlevel.events()
    assert event["id"] == answer.json["id"]
    wanted = {
        "externalId": "0TkCdp9PfvLeWKYRRvIz",
        "createdBy": {"source": "highlevel"},
        "calendarId": highlevel.api.world.booking_calendar_id,
        "assignedUserId": "ada",
        "contactId": "contact-1",
        "title": "Demo of the product",
        "address": "https://meet.example.com/abc",
        "startTime": "2027-03-09T15:30:00+05:30",
        "endTime": "2027-03-09T16:00:00+05:30",
    }
    assert {name: event[name] for name in wanted} == wanted
    await highlevel.api.push()
    (ics,) = highlevel.api.world.server.texts(highlevel.api.world.urls["Home"]).values()
    assert "SUMMARY:Demo of the product" in ics
    assert "not for the calendar" not in ics


async def test_changes_and_deletions_follow(highlevel):
    await highlevel(highlevel.message())
    later = {"startTime": "2027-03-09T17:30:00+05:30", "endTime": "2027-03-09T18:00:00+05:30"}
    changed = await highlevel(
        highlevel.message("AppointmentUpdate", dateUpdated="2027-03-08T09:00:00.000Z", title="Later", **later)
    )
    assert (changed.status, changed.json["result"]) == (200, "changed")
    (event,) = await highlevel.events()
    assert (event["title"], event["startTime"], event["version"]) == ("Later", later["startTime"], 2)
    deleted = await highlevel(highlevel.message("AppointmentDelete", dateUpdated="2027-03-08T10:00:00.000Z"))
    assert (deleted.status, deleted.json["result"]) == (200, "deleted")
    assert await highlevel.events() == []


async def test_what_comes_twice_is_taken_once(highlevel):
    message = highlevel.message()
    await highlevel(message)
    before = highlevel.api.stored()
    assert (await highlevel(message)).json["result"] == "ignored"
    assert highlevel.api.stored() == before
    again = await highlevel(highlevel.message("AppointmentUpdate"))
    assert (again.status, again.json["result"]) == (200, "changed")
    assert (await highlevel.events())[0]["version"] == 1, "it says nothing new"


async def test_an_update_that_comes_first_books_and_older_news_undoes_nothing(highlevel):
    first = await highlevel(highlevel.message("AppointmentUpdate", title="New", dateUpdated="2027-03-08T09:00:00Z"))
    assert first.json["result"] == "booked"
    late = await highlevel(highlevel.message("AppointmentCreate", title="Old"))
    assert (late.status, late.json["result"]) == (200, "ignored")
    assert (await highlevel.events())[0]["title"] == "New"
    await highlevel(highlevel.message("AppointmentDelete", dateUpdated="2027-03-08T10:00:00Z"))
    for type_ in ("AppointmentUpdate", "AppointmentCreate", "AppointmentDelete"):
        answer = await highlevel(highlevel.message(type_, dateUpdated="2027-03-08T11:00:00Z"))
        assert (answer.status, answer.json["result"]) == (200, "ignored"), type_
    assert await highlevel.events() == []


async def test_a_deletion_holds_whatever_the_time_of_its_last_update(highlevel):
    await highlevel(highlevel.message("AppointmentUpdate", dateUpdated="2027-03-08T09:00:00Z"))
    deleted = await highlevel(highlevel.message("AppointmentDelete", dateUpdated="2027-03-08T08:59:59Z"))
    assert (deleted.status, deleted.json["result"]) == (200, "deleted")
    assert await highlevel.events() == []


async def test_a_deletion_that_comes_first_keeps_what_comes_late_from_booking(highlevel):
    world = highlevel.api.world
    await roles.choose(world.context, "ada", primary=None, conflicts=[])
    created = highlevel.message()
    assert (await highlevel(created)).status == 429
    await roles.choose(world.context, "ada", primary=world.ids["Home"], conflicts=[])
    deleted = await highlevel(highlevel.message("AppointmentDelete"))
    assert (deleted.status, deleted.json["result"]) == (200, "ignored")
    world.later(660)
    for message in (created, highlevel.message("AppointmentUpdate", title="Earlier")):
        late = await highlevel(message)
        assert (late.status, late.json["result"]) == (200, "ignored")
    assert await highlevel.events() == []


async def test_what_highlevel_has_booked_is_booked_whatever_else_is_there(highlevel):
    await highlevel.api.book(startTime="2027-03-09T10:00:00Z", endTime="2027-03-09T11:00:00Z")
    assert (await highlevel(highlevel.message())).json["result"] == "booked"
    assert len(await highlevel.events()) == 2


async def test_only_what_highlevel_signed_is_taken(highlevel):
    message = highlevel.message()
    before = highlevel.api.stored()
    for refused in (
        await highlevel(message, key=Ed25519PrivateKey.generate()),
        await highlevel(message, signed=json.dumps(highlevel.message(title="Other")).encode()),
        await highlevel(message, header="X-WH-Signature"),
        await highlevel.api("POST", PATH, message, headers={"X-GHL-Signature": "é"}),
        await highlevel.api("POST", PATH, message),
    ):
        assert (refused.status, refused.json["code"]) == (401, "bad_signature")
    assert highlevel.api.stored() == before


@pytest.mark.parametrize("off", [-301, 301])
async def test_nothing_old_is_taken(highlevel, off):
    now = highlevel.api.world.now()
    assert (await highlevel(highlevel.message(at=now + off))).status == 401
    assert (await highlevel({**highlevel.message(), "timestamp": "yesterday"})).status == 401
    assert await highlevel.events() == []
    assert (await highlevel(highlevel.message(at=now + off - off // 300))).status == 200


async def test_what_is_not_ours_is_let_go_for_good(highlevel):
    for message in (
        highlevel.message("ContactCreate"),
        {"type": "INSTALL", "appId": "x", "timestamp": format_utc(highlevel.api.world.now()), "webhookId": "w"},
        highlevel.message(calendarId="of-somebody-else"),
        {**highlevel.message(), "locationId": "elsewhere"},
        highlevel.message("AppointmentDelete", id="never-seen"),
    ):
        answer = await highlevel(message)
        assert (answer.status, answer.json["result"]) == (200, "ignored"), message
        assert answer.json["reason"]
    assert await highlevel.events() == []


async def test_a_user_who_is_not_of_the_calendar_is_left_to_its_turn(highlevel):
    answer = await highlevel(highlevel.message(assignedUserId="somebody-else"))
    assert answer.json["result"] == "booked"
    assert (await highlevel.events())[0]["assignedUserId"] == "ada"


async def test_what_can_t_be_read_is_refused(highlevel):
    for body, status in (
        (b"{", 400),
        (b"[]", 422),
        (json.dumps(highlevel.message(startTime="tomorrow")).encode(), 422),
        (json.dumps(highlevel.message(startTime={"a": 1})).encode(), 422),
        (json.dumps(highlevel.message(id="")).encode(), 422),
    ):
        answer = await highlevel(body)
        assert answer.status == status, (body, answer.json)
    assert await highlevel.events() == []


async def test_what_can_t_be_taken_now_is_taken_when_it_is_sent_again(highlevel, aiohttp_client):
    world = highlevel.api.world
    await roles.choose(world.context, "ada", primary=None, conflicts=[])
    message = highlevel.message()
    refused = await highlevel(message)
    assert (refused.status, refused.json["code"], refused.headers["Retry-After"]) == (429, "not_now", "600")
    world.later(660)
    await roles.choose(world.context, "ada", primary=world.ids["Home"], conflicts=[])
    settings = highlevel.api.client.app[SETTINGS]
    restarted = await aiohttp_client(make_web_app(world.context, settings))
    highlevel.api = replace(highlevel.api, client=restarted)
    assert (await highlevel(message)).json["result"] == "booked", "though its timestamp is old by now"
    world.later(3 * 3600)
    assert (await highlevel({**message, "webhookId": "another"})).status == 401


async def test_trouble_of_our_own_is_no_5xx(highlevel, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(Db, "write", broken)
    answer = await highlevel(highlevel.message())
    assert (answer.status, answer.json["code"]) == (429, "not_now")
    assert "can't be taken" in caplog.text


async def test_it_is_off_unless_the_settings_say_so(api):
    answer = await api("POST", PATH, {"type": "AppointmentCreate"})
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_the_key_may_be_written_as_pem(highlevel):
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    settings = Settings.model_validate({"highlevel": {"public_key": pem}}).highlevel
    assert settings.is_signed(b"x", base64.b64encode(KEY.sign(b"x")).decode())
    with pytest.raises(ValueError, match="Ed25519"):
        Settings.model_validate({"highlevel": {"public_key": "bm9uZQ=="}})


async def test_the_crm_can_go_on_with_it(highlevel):
    booked = await highlevel(highlevel.message())
    users.add_token(highlevel.api.world.db, label="x", location_ids=["loc"], scopes=["admin"], now=0)
    changed = await highlevel.api("PATCH", f"{APPOINTMENTS}/{booked.json['id']}", {"title": "By the API"})
    assert (changed.status, changed.json["createdBy"]) == (200, {"source": "highlevel"})
