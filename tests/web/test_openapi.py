"""The OpenAPI document and its page: they say what is there, all of it, and need no token and nobody else's server."""

import re

import openapi_spec_validator
import pytest

from bridge.web import openapi
from bridge.web.routes import OPERATIONS, ROUTES

DECLARED = [operation for of_tag in OPERATIONS.values() for operation in of_tag]


@pytest.fixture
def document():
    return openapi.document(OPERATIONS)


def test_it_is_openapi(document):
    openapi_spec_validator.validate(document)
    assert document["openapi"] == "3.1.0"


async def test_every_route_is_in_it(api, document):
    served = {
        f"{route.method} {route.resource.canonical}"
        for route in api.client.app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/v1/") and route.method != "HEAD"
    }
    told = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert served == {one for one in told if " /v1/" in one}
    assert len(ROUTES) == len(DECLARED)


def test_names_are_unique_and_highlevel_s_where_it_has_one():
    names = [operation.id for operation in DECLARED]
    assert len(names) == len(set(names))
    assert {
        "create-appointment", "edit-appointment", "get-appointment", "get-calendar-events", "get-blocked-slots",
        "create-block-slot", "edit-block-slot", "delete-event", "get-slots",
    } <= set(names)  # fmt: skip


def test_generated_clients_get_the_api_s_own_words(document):
    schemas = document["components"]["schemas"]
    assert {
        "Appointment", "AppointmentCreate", "AppointmentUpdate", "BlockSlot", "CalendarEvent", "FreeSlots",
        "AvailabilityRequest", "AvailabilityResponse", "FreeBusyRequest", "FreeBusyResponse", "Change", "Webhook",
        "WebhookDelivery", "Problem",
    } <= set(schemas)  # fmt: skip
    assert not [name for name in schemas if name.endswith("Body")]
    assert all(schema.get("title", name) == name for name, schema in schemas.items())
    create = document["paths"]["/v1/calendars/events/appointments"]["post"]["requestBody"]["content"]
    assert create["application/json"]["schema"] == {"$ref": "#/components/schemas/AppointmentCreate"}
    assert schemas["AppointmentCreate"]["allOf"][1]["required"] == ["calendarId", "startTime"]
    assert schemas["AvailabilityRequest"]["required"] == ["periods"]
    own = document["paths"]["/v1/calendars/schedules/event-calendar/{calendarId}"]["post"]["requestBody"]["content"]
    assert own["application/json"]["schema"]["allOf"][1]["required"] == ["timezone"]
    assert "AppointmentUpdate" in document["webhooks"], "what is sent to receivers"


def test_every_scope_and_every_problem_is_told(document):
    for operation in DECLARED:
        told = document["paths"][operation.path][operation.method.lower()]
        if operation.scope is None:
            assert told["security"] == []
        else:
            assert operation.scope in told["description"]
        for code in openapi.codes_of(operation):
            answer = told["responses"][str(openapi.CODES[code][0])]
            assert f"`{code}`" in answer["description"]
        assert told["summary"].endswith((".", "?")), operation.id


def test_whatever_is_created_can_be_created_once():
    """But for links: another one does no harm, and the first would be of no use to whom its answer was lost to."""
    creating = {o.id for of_tag in OPERATIONS.values() for o in of_tag if o.method == "POST" and 201 in o.answers}
    once = {o.id for of_tag in OPERATIONS.values() for o in of_tag if o.once}
    assert creating - once == {"create-settings-link"}
    assert once <= creating


@pytest.mark.parametrize("path", ["/v1/openapi.json", "/v1/docs"])
async def test_nobody_needs_a_token_to_read_it(api, path):
    async with api.client.get(path) as response:
        text = await response.text()
        assert response.status == 200
    if path.endswith("json"):
        assert (await api.client.get(path)).headers["Content-Type"].startswith("application/json")
        return
    for operation in DECLARED:
        assert f"<b>{operation.method}</b> {operation.path}</code>" in text
    assert "`" not in text
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    elsewhere = re.findall(r"""(?:src|href)=["'](?!/|#)[^"']*|<style|style=""", text)
    assert elsewhere == [], "nothing from elsewhere, nothing that the page's own policy forbids"
    anchors, targets = re.findall(r'href="#([^"]+)"', text), re.findall(r'id="([^"]+)"', text)
    assert set(anchors) <= set(targets)
    assert len(targets) == len(set(targets))


async def test_the_rest_still_needs_one(api):
    for path in ("/v1/openapi.json/", "/v1/docs/x", "/v1/calendars/events"):
        async with api.client.get(path) as response:
            assert response.status == 401, path
