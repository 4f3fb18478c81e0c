"""Users and calendar passwords over HTTP."""

from __future__ import annotations

import pytest

from bridge.service import audit, booking_calendars
from bridge.store import passwords

USERS = "/v1/users"
GRACE = {"id": "grace", "locationId": "loc", "name": "Grace", "timezone": "America/New_York"}


@pytest.fixture
def admin(api):
    return api.with_token(scopes=("admin",))


async def test_a_user_is_added_changed_and_removed(admin):
    made = await admin("POST", USERS, GRACE)
    assert (made.status, made.headers["Location"]) == (201, "/v1/users/grace")
    assert made.json["calendarUrl"].endswith("/grace/crm/")
    (calendar_id,) = made.json["calendarIds"]
    assert booking_calendars.get_calendar(admin.world.db, calendar_id, locations=None).slot_minutes == 30
    changed = await admin("PATCH", f"{USERS}/grace", {"name": "Grace H.", "twoWay": "report"})
    assert (changed.json["name"], changed.json["twoWay"]) == ("Grace H.", "report")
    assert changed.json["timezone"] == "America/New_York"
    read = await admin("GET", f"{USERS}/grace")
    assert read.json == changed.json
    assert [user["id"] for user in (await admin("GET", USERS)).json["users"]] == ["ada", "grace"]
    assert (await admin("DELETE", f"{USERS}/grace")).status == 204
    assert (await admin("GET", f"{USERS}/grace")).status == 404
    log = [(entry.action, entry.subject) for entry in audit.latest(admin.world.db, limit=9)]
    assert log == [("user removed", "grace"), ("user changed", "grace"), ("user added", "grace")]


async def test_what_a_removed_user_had_is_gone(admin):
    await admin.book()
    calendar = admin.world.booking_calendar_id
    own = await admin("POST", f"/v1/calendars/schedules/event-calendar/{calendar}", {"timezone": "UTC"})
    assert own.status == 201, own.json
    assert (await admin("DELETE", f"{USERS}/ada")).status == 204
    with admin.world.db.read() as tx:
        tables = ("accounts", "appointments", "mirror_items", "published_items", "calendar_passwords")
        for table in (*tables, "booking_calendars", "schedules"):
            assert tx.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] == 0, table


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"id": None}, "/id"),
        ({"id": "../x"}, "/id"),
        ({"timezone": None}, "/timezone"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"twoWay": "maybe"}, "/twoWay"),
        ({"password": "x"}, "/password"),
    ],
)
async def test_what_can_t_be_is_refused(admin, body, pointer):
    answer = await admin("POST", USERS, {name: value for name, value in {**GRACE, **body}.items() if value is not None})
    assert (answer.status, [error["pointer"] for error in answer.json["errors"]]) == (422, [pointer])
    assert len((await admin("GET", USERS)).json["users"]) == 1


async def test_an_id_is_taken_once_whatever_its_case(admin):
    for name in ("ada", "ADA"):
        answer = await admin("POST", USERS, {**GRACE, "id": name})
        assert (answer.status, answer.json["code"]) == (409, "already_exists")


async def test_a_user_stays_in_their_location(admin):
    for body in ({"locationId": "elsewhere"}, {"id": "other"}):
        assert (await admin("PATCH", f"{USERS}/ada", body)).status == 422
    assert (await admin("PATCH", f"{USERS}/ada", {"locationId": "loc", "name": "Ada L."})).status == 200


async def test_a_repeated_request_adds_one(admin):
    first = await admin("POST", USERS, GRACE, headers={"Idempotency-Key": "g"})
    again = await admin("POST", USERS, GRACE, headers={"Idempotency-Key": "g"})
    assert (again.status, again.json) == (201, first.json)


async def test_a_calendar_password_is_shown_once_and_can_be_revoked(admin):
    path = f"{USERS}/ada/calendar-passwords"
    key = {"Idempotency-Key": "p"}
    made = await admin("POST", path, {"label": "phone"}, headers=key)
    assert (made.status, made.json["username"]) == (201, "ada")
    again = await admin("POST", path, {"label": "phone"}, headers=key)
    assert again.json == {name: value for name, value in made.json.items() if name != "password"}
    with admin.world.db.read() as tx:
        assert passwords.verify(tx, "ada", made.json["password"]) == made.json["id"]
        kept = str([tuple(row) for row in tx.execute("SELECT * FROM idempotency_keys")])
    assert made.json["password"] not in kept
    (listed,) = (await admin("GET", path)).json["calendarPasswords"]
    assert (listed["id"], listed["label"], listed["revokedAt"]) == (made.json["id"], "phone", None)
    assert made.json["password"] not in str(listed)
    assert (await admin("DELETE", f"{path}/{made.json['id']}")).status == 204
    with admin.world.db.read() as tx:
        assert passwords.verify(tx, "ada", made.json["password"]) is None
    assert (await admin("DELETE", f"{path}/{made.json['id']}")).status == 404
    assert (await admin("POST", path, {})).status == 422


async def test_another_location_s_users_do_not_exist(admin):
    admin.add_user("eve", "elsewhere")
    for method, path, body in (
        ("GET", f"{USERS}/eve", None),
        ("PATCH", f"{USERS}/eve", {"name": "x"}),
        ("DELETE", f"{USERS}/eve", None),
        ("GET", f"{USERS}/eve/calendar-passwords", None),
        ("POST", f"{USERS}/eve/calendar-passwords", {"label": "x"}),
        ("DELETE", f"{USERS}/eve/calendar-passwords/pwd_x", None),
        ("POST", USERS, {**GRACE, "locationId": "elsewhere"}),
        ("GET", f"{USERS}?locationId=elsewhere", None),
    ):
        assert (await admin(method, path, body)).status == 404, (method, path)
    assert [user["id"] for user in (await admin("GET", USERS)).json["users"]] == ["ada"]
    every = admin.with_token(locations=(), scopes=("admin",))
    assert len((await every("GET", USERS)).json["users"]) == 2
    assert len((await every("GET", USERS, params={"locationId": "elsewhere"})).json["users"]) == 1


async def test_only_administrators_may(api):
    token = api.with_token(scopes=("calendars.write", "calendars/events.write", "webhooks.write"))
    for method, path in (
        ("GET", USERS),
        ("POST", USERS),
        ("GET", f"{USERS}/ada"),
        ("PATCH", f"{USERS}/ada"),
        ("DELETE", f"{USERS}/ada"),
        ("GET", f"{USERS}/ada/calendar-passwords"),
        ("POST", f"{USERS}/ada/calendar-passwords"),
        ("DELETE", f"{USERS}/ada/calendar-passwords/pwd_x"),
    ):
        assert (await token(method, path)).status == 403, (method, path)
