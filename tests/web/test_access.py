"""Tokens: what they may do, and which locations there are for them."""

import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.service import users

from .conftest import APPOINTMENTS, BLOCKED, EVENTS, SLOTS, WEEK

READ, WRITE = "calendars/events.readonly", "calendars/events.write"


def requests_of(api, appointment="apt_x", slot="blk_x"):
    """Every endpoint with the scope it asks for."""
    listing = {"params": {**WEEK, "userId": "ada", "locationId": "loc"}}
    return [
        (WRITE, "POST", APPOINTMENTS, {"json": api.body()}),
        (READ, "GET", f"{APPOINTMENTS}/{appointment}", {}),
        (WRITE, "PUT", f"{APPOINTMENTS}/{appointment}", {"json": {"title": "x"}}),
        (WRITE, "PATCH", f"{APPOINTMENTS}/{appointment}", {"json": {"title": "x"}}),
        (WRITE, "PUT", "/v1/appointments/by-external-id/e1", {"json": api.body()}),
        (WRITE, "POST", SLOTS, {"json": api.slot()}),
        (READ, "GET", f"{SLOTS}/{slot}", {}),
        (WRITE, "PUT", f"{SLOTS}/{slot}", {"json": {"title": "x"}}),
        (WRITE, "PATCH", f"{SLOTS}/{slot}", {"json": {"title": "x"}}),
        (READ, "GET", EVENTS, listing),
        (READ, "GET", BLOCKED, listing),
        (WRITE, "DELETE", f"{EVENTS}/{appointment}", {}),
        (WRITE, "DELETE", f"{EVENTS}/{slot}", {}),
    ]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer brt_wrong",
        "Basic YWRhOnB3",
        "Bearer \udcff\udcfe",
        "Bearer \u00e9",
        "brt_x",
    ],
)
async def test_without_a_token_there_is_nothing(api, header):
    headers = {} if header is None else {"Authorization": header}
    for _, method, path, rest in requests_of(api):
        async with api.client.request(method, path, headers=headers, **rest) as response:
            problem = await response.json(content_type=None)
            assert (response.status, problem["code"]) == (401, "unauthorized"), (method, path)
            assert response.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_health_needs_no_token_and_tells_nothing(api):
    for path in ("/healthz", "/readyz"):
        async with api.client.get(path) as response:
            assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_each_endpoint_asks_for_its_scope(api):
    appointment, slot = await api.book(), await api.block()
    before = api.stored()
    for scope, method, path, rest in requests_of(api, appointment["id"], slot["id"]):
        other = WRITE if scope == READ else READ
        refused = await api.with_token(scopes=(other, "calendars.readonly", "calendars.write"))(method, path, **rest)
        assert (refused.status, refused.json["code"]) == (403, "insufficient_scope"), (method, path)
        assert scope in refused.json["detail"]
    assert api.stored() == before


async def test_admin_may_do_all(api):
    admin = api.with_token(scopes=("admin",))
    appointment = await admin.book()
    assert (await admin("GET", f"{APPOINTMENTS}/{appointment['id']}")).status == 200


async def test_another_location_s_things_do_not_exist(api):
    appointment, slot = await api.book(), await api.block()
    before = api.stored()
    stranger = api.with_token(locations=("elsewhere", "far"))
    for _, method, path, rest in requests_of(api, appointment["id"], slot["id"]):
        refused = await stranger(method, path, **rest)
        assert (refused.status, refused.json["code"]) == (404, "not_found"), (method, path)
        assert "Intro" not in str(refused.json)
    assert api.stored() == before


async def test_another_location_s_ids_can_t_be_used_in_a_body_either(api):
    calendar = api.add_user("eve", "elsewhere")
    own = await api.book()
    slot = await api.block()
    before = api.stored()
    for method, path, body in (
        ("POST", APPOINTMENTS, api.body(calendarId=calendar)),
        ("POST", APPOINTMENTS, api.body(assignedUserId="eve")),
        ("POST", SLOTS, api.slot(assignedUserId="eve")),
        ("POST", SLOTS, api.slot(assignedUserId=None, calendarId=calendar)),
        ("PUT", f"{APPOINTMENTS}/{own['id']}", {"calendarId": calendar}),
        ("PUT", f"{APPOINTMENTS}/{own['id']}", {"assignedUserId": "eve"}),
        ("PUT", f"{APPOINTMENTS}/{own['id']}", {"locationId": "elsewhere"}),
        ("PUT", f"{SLOTS}/{slot['id']}", {"assignedUserId": "eve"}),
        ("PUT", f"{SLOTS}/{slot['id']}", {"locationId": "elsewhere"}),
    ):
        refused = await api.with_token(locations=())(method, path, body)
        assert refused.status == 404, (method, body)
    assert api.stored() == before
    for path in (EVENTS, BLOCKED):
        for query in ({"userId": "eve"}, {"calendarId": calendar}, {"userId": "ada", "calendarId": calendar}):
            assert (await api("GET", path, params={**WEEK, **query})).status == 404, query


async def test_a_token_for_several_locations_has_to_say_which(api):
    both = api.with_token(locations=("loc", "elsewhere"))
    unnamed = await both("POST", APPOINTMENTS, api.body(locationId=None, title=5))
    assert unnamed.status == 422
    assert {error["pointer"] for error in unnamed.json["errors"]} == {"/locationId", "/title"}
    assert (await both("GET", EVENTS, params={**WEEK, "userId": "ada"})).status == 422
    assert (await both("POST", APPOINTMENTS, api.body())).status == 201
    every = api.with_token(locations=())
    assert (await every("POST", SLOTS, api.slot(locationId=None))).status == 422
    assert (await every("POST", SLOTS, api.slot())).status == 201


async def test_the_same_external_id_in_two_locations_is_two_appointments(api):
    await api.book(externalId="x1")
    calendar = api.add_user("eve", "elsewhere")
    every = api.with_token(locations=())
    answer = await every("POST", APPOINTMENTS, api.body(locationId="elsewhere", calendarId=calendar, externalId="x1"))
    assert answer.json["code"] == "no_primary_calendar", "and not a duplicate"


async def test_a_token_made_at_the_command_line_works_until_it_is_revoked(api, monkeypatch, tmp_path):
    config = tmp_path / "bridge.toml"
    config.write_text(f'[store]\npath = "{api.world.db.path}"\n')

    def bridge(*words):
        done = CliRunner().invoke(main, ["--config", str(config), *words])
        assert done.exit_code == 0, done.output
        return done.stdout

    secret = bridge("token", "add", "crm", "--location", "loc", "--scope", READ).splitlines()[0]
    reader = api.with_token()
    reader.token = secret
    appointment = await api.book()
    assert (await reader("GET", f"{APPOINTMENTS}/{appointment['id']}")).status == 200
    assert (await reader("DELETE", f"{EVENTS}/{appointment['id']}")).status == 403
    assert (await reader("GET", EVENTS, params={**WEEK, "userId": "ada", "locationId": "elsewhere"})).status == 404
    assert secret not in bridge("token", "list")
    (token,) = [one for one in users.list_tokens(api.world.db) if one.label == "crm"]
    bridge("token", "revoke", token.id)
    assert (await reader("GET", f"{APPOINTMENTS}/{appointment['id']}")).status == 401
    everything = bridge("token", "add", "all").splitlines()[0]
    reader.token = everything
    assert (await reader("DELETE", f"{EVENTS}/{appointment['id']}")).status == 200


async def test_pages_of_others_can_not_use_the_api_from_a_browser(api):
    """A token in a page would be everybody's who looks at the page."""
    asks = {"Origin": "https://crm.example.com", "Access-Control-Request-Method": "POST"}
    async with api.client.options(EVENTS, headers=asks) as preflight:
        assert preflight.status == 401
        assert not [name for name in preflight.headers if name.startswith("Access-Control-")]
    answer = await api("GET", EVENTS, params={**WEEK, "userId": "ada"}, headers={"Origin": "https://crm.example.com"})
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]
