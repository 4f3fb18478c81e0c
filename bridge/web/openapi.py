"""The OpenAPI 3.1 document, made from the declared operations and the shapes of their requests and answers."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bridge.service import webhooks
from bridge.service.users import SCOPES
from bridge.web import problems
from bridge.web.codes import BODY, CODES
from bridge.web.operations import Operation
from bridge.web.problems import Problem
from bridge.web.shapes.problems import ProblemAnswer
from bridge.web.shapes.webhooks import Message

REF = "#/components/schemas/{model}"
#: The names of shapes in generated clients, where these differ from those in the code.
NAMES = {
    "AppointmentBody": "AppointmentUpdate",
    "Availability": "AvailabilityResponse",
    "AvailabilityBody": "AvailabilityRequest",
    "BlockedSlot": "BlockSlot",
    "BlockedSlotBody": "BlockSlotUpdate",
    "BlockedTime": "CalendarEvent",
    "BlockedTimes": "CalendarEvents",
    "BufferBody": "Buffer",
    "CalendarBody": "CalendarUpdate",
    "CalendarPasswordBody": "CalendarPasswordRequest",
    "Delivery": "WebhookDelivery",
    "Deliveries": "WebhookDeliveries",
    "FreeBusy": "FreeBusyResponse",
    "FreeBusyBody": "FreeBusyRequest",
    "Message": "WebhookMessage",
    "NoteBody": "NoteUpdate",
    "ParticipantsBody": "Participants",
    "ProblemAnswer": "Problem",
    "ReplayBody": "ReplayRequest",
    "ScheduleBody": "ScheduleUpdate",
    "UserBody": "UserUpdate",
    "WebhookBody": "WebhookUpdate",
}
#: Bodies with fields that are required only to create something have a second name.
_UPDATE, _CREATE = "Update", "Create"
TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "integer"}

#: Headers of requests, and what they are for.
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "Idempotency-Key": (
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
        "A key of your choice: the same request with the same key is carried out only once. Kept for 24 hours.",
    ),
    "If-Match": (
        TEXT,
        "The ETag of the version that you have seen. If the current version is another, nothing is changed (412).",
    ),
    "If-None-Match": (TEXT, "The ETag that you have: 304 if nothing has changed. With PUT, `*` only creates."),
    "Prefer": (
        TEXT,
        "`wait=N`: answer once iCloud has accepted or refused the change, or after N seconds (at most 20).",
    ),
    "Version": (TEXT, "HighLevel's header. Accepted and ignored."),
}
#: Headers of answers.
GIVEN: dict[str, tuple[dict[str, Any], str]] = {
    "X-Request-Id": (TEXT, "The id of this request in the log."),
    "X-RateLimit-Limit-Daily": (NUMBER, "The number of requests that the token can make in a day."),
    "X-RateLimit-Daily-Remaining": (NUMBER, "The number of these that are left."),
    "X-RateLimit-Daily-Reset": (NUMBER, "Milliseconds until the day's requests are available again."),
    "X-RateLimit-Interval-Milliseconds": (NUMBER, "The length of a burst in milliseconds."),
    "X-RateLimit-Max": (NUMBER, "The number of requests that the token can make in a burst."),
    "X-RateLimit-Remaining": (NUMBER, "The number of these that are left."),
    "Retry-After": (NUMBER, "Seconds after which to try again."),
    "ETag": (TEXT, "The version, for `If-Match` and `If-None-Match`."),
    "Location": (TEXT, "The address of the new object."),
    "Idempotency-Replayed": (TEXT, "`true`: this is the answer that the same request got before."),
    "Preference-Applied": (TEXT, "`wait=N`, if `Prefer` asked for it."),
    "X-Ignored-Fields": (TEXT, "The unknown fields of the body."),
    "X-Data-As-Of": (
        {**TEXT, "format": "date-time"},
        "When the calendars were read; if at different times, the oldest of these.",
    ),
    "WWW-Authenticate": (TEXT, "`Bearer`."),
}
_LIMITS = tuple(name for name in GIVEN if name.startswith("X-RateLimit-"))
_DESCRIPTION = (
    "Book appointments into people's iCloud calendars, block their time, and see when they are busy. Paths and field"
    " names are those of HighLevel's calendar API under `/v1`; everything that the bridge adds is optional. In the"
    " future, `appointmentStatus`, `sync.state`, `origin`, `type`, `kind` and `code` may get new values, and answers"
    " may get new fields: your program should be able to handle them."
)
#: Descriptions of parameters whose names don't explain themselves.
_MEANINGS = {
    "startTime": "Epoch milliseconds, or RFC 3339 with an offset.",
    "endTime": "Epoch milliseconds, or RFC 3339 with an offset; 366 days after the start at most.",
    "startDate": "Epoch milliseconds, or RFC 3339 with an offset.",
    "endDate": "Epoch milliseconds, or RFC 3339 with an offset; 31 days after the start at most.",
    "updatedAfter": "Only what was changed at this time (to the second) or later.",
    "includeDeleted": "Include deleted ones.",
    "cursor": "The `nextCursor` of the previous page.",
    "limit": "The maximum number of entries on a page.",
    "scope": "For a recurring appointment: only this time, this and all later times, or the whole series.",
    "waitSeconds": "How long to wait for a change, in seconds, at most 25.",
    "types": "Resources and types of changes, separated by commas.",
    "timezone": "An IANA name: the time zone for days and times.",
    "duration": "Minutes, for several slots in a row.",
    "eventId": "The id of an appointment or a blocked slot, or of one of the times of a recurring appointment.",
}


def document(operations: Mapping[str, Sequence[Operation]], *, server: str = "/") -> dict[str, Any]:
    """The document of these operations, which are grouped by subject."""
    every = [operation for of_tag in operations.values() for operation in of_tag]
    needed = _needed(every)
    paths: dict[str, dict[str, Any]] = {}
    for tag, of_tag in operations.items():
        for operation in of_tag:
            paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, tag, needed)
    return {
        "openapi": "3.1.0",
        "info": {"title": "CRM calendar bridge", "version": "1", "description": _DESCRIPTION},
        "servers": [{"url": server}],
        "tags": [{"name": tag} for tag in operations],
        "security": [{"bearer": []}],
        "paths": paths,
        "webhooks": {type_: {"post": _webhook(type_)} for type_ in webhooks.EVENTS if type_ != "*"},
        "components": {
            "schemas": _schemas(every),
            "examples": {code: _example(code) for code in CODES},
            "parameters": {name: _header(name, *ASKED[name]) for name in ASKED},
            "headers": {name: {"schema": schema, "description": text} for name, (schema, text) in GIVEN.items()},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token made by `bridge token add`, with some of the scopes "
                    + ", ".join(f"`{scope}`" for scope in SCOPES)
                    + ". `admin` includes all of them.",
                }
            },
        },
    }


def codes_of(operation: Operation) -> list[str]:
    """Every code that a problem of this operation can have, by status."""
    found = {"bad_request", "internal_error", *operation.problems}
    if operation.scope is not None:
        found |= {"unauthorized", "insufficient_scope", "rate_limited", "store_unavailable"}
    if operation.body is not None:
        found |= set(BODY)
    if operation.query is not None:
        found.add("validation_failed")
    if "{" in operation.path:
        found.add("not_found")
    if operation.once:
        found.add("idempotency_key_reused")
    if operation.versioned and operation.method != "GET":
        found |= {"version_mismatch", "precondition_required"}
    return sorted(found, key=lambda code: (CODES[code][0], code))


def _operation(operation: Operation, tag: str, needed: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    text = inspect.cleandoc(operation.handler.__doc__ or "")
    made: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [tag],
        "summary": text.partition("\n")[0],
        "parameters": [*_in_path(operation.path), *_in_query(operation), *_in_headers(operation)],
        "responses": {**_answers(operation), **_problems(operation)},
    }
    if operation.scope is None:
        made["security"] = []
    else:
        made["description"] = f"Scope `{operation.scope}`."
        made["x-required-scope"] = operation.scope
    if operation.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _body(operation, needed)}}}
    return made


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            **_meaning(name),
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _in_query(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(ref_template=REF)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in operation.query.NEEDED,
            "schema": _without_null(what),
            **_meaning(name),
        }
        for name, what in schema["properties"].items()
    ]


def _in_headers(operation: Operation) -> list[dict[str, Any]]:
    names = ["Version"] if operation.scope is not None else []
    names += ["Idempotency-Key"] if operation.once else []
    if operation.versioned:
        names += ["If-None-Match"] if operation.method == "GET" else ["If-Match"]
    names += ["Prefer"] if operation.waits else []
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _answers(operation: Operation) -> dict[str, Any]:
    names = ["X-Request-Id", *(_LIMITS if operation.scope is not None else ()), *operation.gives]
    names += ["ETag"] if operation.versioned or "Location" in operation.gives else []
    names += ["X-Ignored-Fields"] if operation.body is not None else []
    names += ["Idempotency-Replayed"] if operation.once else []
    names += ["Preference-Applied"] if operation.waits else []
    made: dict[str, Any] = {}
    for status, shape in operation.answers.items():
        made[str(status)] = {"description": _SAID[status], "headers": _headers(names)}
        if shape is not None:
            made[str(status)]["content"] = {"application/json": {"schema": _ref(shape)}}
        elif status == 200:
            made[str(status)]["content"] = {"text/html": {"schema": TEXT}}
    return made


_SAID = {
    200: "Done.",
    201: "Created.",
    202: "Accepted; it is being carried out.",
    204: "Removed.",
    304: "Not changed since the version that you have.",
}


def _problems(operation: Operation) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in codes_of(operation):
        by_status.setdefault(CODES[code][0], []).append(code)
    return {
        str(status): {
            "description": "; ".join(f"`{code}`: {CODES[code][1]}" for code in codes),
            "headers": _headers(["X-Request-Id", *_WITH.get(status, ())]),
            "content": {
                problems.MEDIA_TYPE: {
                    "schema": _ref(ProblemAnswer),
                    "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
                }
            },
        }
        for status, codes in by_status.items()
    }


_WITH: dict[int, tuple[str, ...]] = {401: ("WWW-Authenticate",), 429: (*_LIMITS, "Retry-After"), 503: ("Retry-After",)}


def _example(code: str) -> dict[str, Any]:
    status, text = CODES[code]
    problem = Problem(status, code, text[0].upper() + text[1:] + ".")
    return {"value": problems.document(problem, path="/v1/…", trace_id="req_3f0c9d2a71b44e58")}


def _webhook(type_: str) -> dict[str, Any]:
    return {
        "summary": type_,
        "description": "Signed as in Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.",
        "security": [],
        "requestBody": {"content": {"application/json": {"schema": _ref(Message)}}},
        "responses": {
            "2XX": {"description": "Taken."},
            "410": {"description": "The receiver wants no more messages: the webhook is disabled."},
            "default": {"description": "Not accepted: the message is sent again, after longer and longer pauses."},
        },
    }


def _schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    shapes: dict[type[BaseModel], None] = {ProblemAnswer: None, Message: None}
    for operation in operations:
        shapes |= {shape: None for shape in (operation.body, *operation.answers.values()) if shape is not None}
    _, found = models_json_schema([(shape, "validation") for shape in shapes], ref_template=REF)
    named = re.sub(r"(?<=#/components/schemas/)\w+", lambda name: _name(name[0]), json.dumps(found))
    schemas: dict[str, Any] = {}
    for shape_name, schema in json.loads(named)["$defs"].items():
        name = _name(shape_name)
        schemas[name] = {**schema, "title": name}
    for name, needed in _needed(operations).items():
        if name.endswith(_UPDATE):
            created = name.removesuffix(_UPDATE) + _CREATE
            schemas[created] = {"title": created, **_with(name, needed)}
        else:
            schemas[name]["required"] = list(needed)
    return dict(sorted(schemas.items()))


def _needed(operations: Iterable[Operation]) -> dict[str, tuple[str, ...]]:
    """The fields that are required to create something, by the name of the body."""
    found: dict[str, tuple[str, ...]] = {}
    for operation in operations:
        if operation.body is not None and operation.needed:
            found.setdefault(_name(operation.body.__name__), operation.needed)
    return found


def _body(operation: Operation, needed: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    name = _name(operation.body.__name__) if operation.body is not None else ""
    if not operation.needed or not name.endswith(_UPDATE):
        return _called(name)
    if operation.needed == needed[name]:
        return _called(name.removesuffix(_UPDATE) + _CREATE)
    return _with(name, operation.needed)


def _with(name: str, needed: Sequence[str]) -> dict[str, Any]:
    return {"allOf": [_called(name), {"type": "object", "required": list(needed)}]}


def _called(name: str) -> dict[str, Any]:
    return {"$ref": REF.format(model=name)}


def _ref(shape: type[BaseModel]) -> dict[str, Any]:
    return _called(_name(shape.__name__))


def _name(shape_name: str) -> str:
    return NAMES.get(shape_name, shape_name)


def _header(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": text}


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without null: a parameter is either present or not."""
    rest = {key: value for key, value in schema.items() if key not in {"title", "anyOf"}}
    if rest.get("default", ...) is None:
        del rest["default"]
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return {**rest, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})}


def _meaning(name: str) -> dict[str, str]:
    return {"description": _MEANINGS[name]} if name in _MEANINGS else {}
