"""Who changed by the API how the bridge works can be looked up afterwards."""

from __future__ import annotations

import pytest

from bridge.service import audit

HOOKS, CALENDARS, SCHEDULES = "/v1/webhooks", "/v1/calendars/", "/v1/calendars/schedules"
USERS = "/v1/users"


@pytest.fixture
def admin(api):
    return api.with_token(scopes=("admin",))


def log(api):
    """Actions and subjects, oldest first; their one actor is a token."""
    entries = audit.latest(api.world.db, limit=100)[::-1]
    assert len({entry.actor for entry in entries}) <= 1
    assert all(entry.actor.startswith("token:") for entry in entries)
    assert all(entry.at == api.world.now() for entry in entries)
    return [(entry.action, entry.subject) for entry in entries]


async def done(api, method, path, body=None, **rest):
    answer = await api(method, path, body, **rest)
    assert answer.status < 300, answer.json
    return answer.json


async def test_webhooks(admin):
    made = await done(admin, "POST", HOOKS, {"url": "https://crm.example.com/hook"})
    one = f"{HOOKS}/{made['id']}"
    delivery = await done(admin, "POST", f"{one}/test")
    rotated = await done(admin, "POST", f"{one}/rotate-secret")
    await done(admin, "PATCH", one, {"active": False})
    await done(admin, "POST", f"{one}/replay", {"cursor": "earliest"})
    await done(admin, "POST", f"{one}/deliveries/{delivery['id']}/retry")
    await done(admin, "DELETE", one)
    template = "/v1/webhooks/{webhookId}"
    assert log(admin) == [
        (action, made["id"])
        for action in (
            "POST /v1/webhooks",
            f"POST {template}/test",
            f"POST {template}/rotate-secret",
            f"PATCH {template}",
            f"POST {template}/replay",
            f"POST {template}/deliveries/{{deliveryId}}/retry",
            f"DELETE {template}",
        )
    ]
    assert not [secret for secret in (made["secret"], rotated["secret"]) if secret in repr(log(admin))]


async def test_booking_calendars_and_schedules(admin):
    calendar = (await done(admin, "POST", CALENDARS, {"name": "Demo", "userIds": ["ada"]}))["calendar"]["id"]
    schedule = (await done(admin, "POST", SCHEDULES, {"userId": "ada", "name": "Hours", "timezone": "Europe/Berlin"}))[
        "schedule"
    ]["id"]
    await done(admin, "PUT", f"{CALENDARS}{calendar}", {"name": "Demo call"})
    await done(admin, "PUT", f"{SCHEDULES}/{schedule}/associations/{calendar}")
    await done(admin, "PUT", f"{SCHEDULES}/{schedule}", {"name": "Opening hours"})
    await done(admin, "POST", f"{SCHEDULES}/event-calendar/{calendar}", {"timezone": "Europe/Berlin"})
    await done(admin, "DELETE", f"{SCHEDULES}/{schedule}")
    await done(admin, "DELETE", f"{CALENDARS}{calendar}")
    template = "/v1/calendars/schedules"
    assert log(admin) == [
        ("POST /v1/calendars/", calendar),
        (f"POST {template}", schedule),
        ("PUT /v1/calendars/{calendarId}", calendar),
        (f"PUT {template}/{{scheduleId}}/associations/{{calendarId}}", schedule),
        (f"PUT {template}/{{scheduleId}}", schedule),
        (f"POST {template}/event-calendar/{{calendarId}}", calendar),
        (f"DELETE {template}/{{scheduleId}}", schedule),
        ("DELETE /v1/calendars/{calendarId}", calendar),
    ]


async def test_users_their_passwords_and_links(admin):
    await done(admin, "POST", USERS, {"id": "grace", "locationId": "loc", "timezone": "Europe/London"})
    await done(admin, "PATCH", f"{USERS}/grace", {"name": "Grace"})
    password = await done(admin, "POST", f"{USERS}/grace/calendar-passwords", {"label": "phone"})
    await done(admin, "DELETE", f"{USERS}/grace/calendar-passwords/{password['id']}")
    link = await done(admin, "POST", f"{USERS}/grace/settings-link")
    await done(admin, "DELETE", f"{USERS}/grace")
    assert [action for action, _ in log(admin)] == [
        "user added",
        "user changed",
        "calendar password made",
        "calendar password revoked",
        "settings link made",
        "user removed",
    ]
    assert not [secret for secret in (password["password"], link["url"]) if secret in repr(log(admin))]


async def test_what_changes_nothing_of_that_is_not_in_it(admin):
    booked = await admin.book()
    await done(admin, "GET", HOOKS)
    await done(admin, "DELETE", f"/v1/calendars/events/{booked['id']}")
    assert (await admin("POST", HOOKS, {"url": "ftp://crm.example.com/"})).status == 422
    assert (await admin("DELETE", f"{HOOKS}/whk_0")).status == 404
    assert log(admin) == []
    for _ in range(2):
        await done(admin, "POST", HOOKS, {"url": "https://crm.example.com/"}, headers={"Idempotency-Key": "once"})
    assert len(log(admin)) == 1, "a repetition makes nothing"
