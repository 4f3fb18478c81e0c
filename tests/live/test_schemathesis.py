"""Schemathesis asks all that the OpenAPI document allows, and what it does not: no answer is one it does not have."""

from __future__ import annotations

import datetime as dt
import json
import urllib.request

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bridge.web.routes import OPERATIONS

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
DECLARED = [operation for of_tag in OPERATIONS.values() for operation in of_tag]
#: With what is really there, these would take the ground from under the others.
ROUGH = {"delete-user", "edit-user", "delete-calendar", "edit-calendar"}
#: The web server refuses longer ones by itself, in plain text.
LONGEST_ADDRESS = 8000
#: Examples of each kind for each operation.
EXAMPLES = 10


@pytest.fixture(scope="module")
def api(demo):
    """The document as the live sidecar serves it."""
    with urllib.request.urlopen(f"{demo.facts['api_url']}/openapi.json") as answer:
        document = json.load(answer)
    assert document["servers"] == [{"url": demo.facts["api_url"].removesuffix("/v1")}]
    return schemathesis.openapi.from_dict(document)


@pytest.fixture(scope="module")
def session(demo):
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {demo.facts['api_token']}"
        yield session


@pytest.fixture(scope="module")
def real(demo, session):
    """What is really there, by the names of parameters and fields: it leads further than ids that nobody has."""
    facts = demo.facts

    def ask(method, path, json=None):
        answer = session.request(method, f"{facts['api_url']}{path}", json=json, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    ids = {"locationId": facts["location_id"], "calendarId": facts["calendar_id"], "userId": facts["user_id"]}
    day = dt.datetime.now(dt.UTC).replace(hour=12, minute=0, second=0, microsecond=0) + dt.timedelta(weeks=12)
    start, end = day.isoformat(), (day + dt.timedelta(hours=1)).isoformat()
    appointment = {**ids, "startTime": start, "rrule": "FREQ=DAILY;COUNT=5", "ignoreFreeSlotValidation": True}
    schedule = {**ids, "name": "Some", "timezone": "Europe/Berlin", "rules": []}
    return {
        **ids,
        "assignedUserId": facts["user_id"],
        "eventId": ask("POST", "/calendars/events/appointments", appointment)["id"],
        "scheduleId": ask("POST", "/calendars/schedules", schedule)["schedule"]["id"],
        "webhookId": ask("POST", "/webhooks", {"url": "https://crm.example.com/hook"})["id"],
        "connectionId": ask("GET", "/connections")["connections"][0]["id"],
        "startTime": start,
        "endTime": end,
        "startDate": str(int(day.timestamp() * 1000)),
        "endDate": str(int(day.timestamp() * 1000) + 86_400_000),
        "timeMin": start,
        "timeMax": end,
        "at": start,
        "timezone": "Europe/Berlin",
        "timeZone": "Europe/Berlin",
        "periods": [{"start": start, "end": end}],
        "participants": [{"userIds": [facts["user_id"]]}],
        "items": [{"id": facts["user_id"]}],
        "rules": [{"type": "wday", "day": "monday", "intervals": [{"from": "09:00", "to": "17:00"}]}],
        "teamMembers": [{"userId": facts["user_id"]}],
        "rrule": "FREQ=WEEKLY;COUNT=4",
        "cursor": "earliest",
    }


@pytest.mark.parametrize("declared", DECLARED, ids=[operation.id for operation in DECLARED])
def test_no_answer_is_unexpected(api, demo, session, real, declared):
    operation = api[declared.path][declared.method]
    which = st.just(real.keys()) | st.sets(st.sampled_from(sorted(real)))

    def ask(mode):
        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), known=which)
        def asked(case, known):
            for part in (case.path_parameters, case.query, case.body):
                if isinstance(part, dict) and declared.id not in ROUGH:
                    part.update({name: real[name] for name in known & set(part)})
            if declared.id == "get-changes":
                case.query["waitSeconds"] = "0"
            case.headers.pop("Authorization", None)  # that nobody enters without a token is tested elsewhere
            kwargs = case.as_transport_kwargs(base_url=demo.facts["api_url"].removesuffix("/v1"))
            response = session.request(**kwargs, timeout=30)
            if len(response.request.url) < LONGEST_ADDRESS:
                case.validate_response(response, checks=CHECKS)

        asked()

    ask(GenerationMode.POSITIVE)
    if declared.scope is not None:  # what asks for nothing can be asked nothing wrong
        ask(GenerationMode.NEGATIVE)
