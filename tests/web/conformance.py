"""Holds every answer that any test gets to what the OpenAPI document says of it."""

from __future__ import annotations

import re

from bridge.web import openapi, problems
from bridge.web.routes import OPERATIONS
from bridge.web.shapes.base import Shape
from bridge.web.shapes.problems import ProblemAnswer

_DECLARED = [
    (re.compile(re.sub(r"\{\w+\}", "[^/]+", operation.path)), operation)
    for of_tag in OPERATIONS.values()
    for operation in of_tag
]
#: Shapes whose fields are the CRM's own, beside those that are named.
_OPEN = {"BookingCalendar", "FreeSlots", "Document"}


def check(method, path, status, headers, json):
    """Raises `AssertionError` for an answer that the document does not have."""
    operation = next((o for pattern, o in _DECLARED if o.method == method and pattern.fullmatch(path)), None)
    if operation is None:
        return
    where = f"{method} {path}: {status}"
    if status >= 400:
        assert headers["Content-Type"] == problems.MEDIA_TYPE, where
        assert json["code"] in openapi.codes_of(operation), f"{where} {json['code']}"
        ProblemAnswer.model_validate(json)
        return
    assert status in operation.answers, where
    shape = operation.answers[status]
    if shape is None:
        assert json is None, where
        return
    found = shape.model_validate(json)
    assert _unknown(found) == [], where


def _unknown(found):
    if isinstance(found, list):
        return [name for one in found for name in _unknown(one)]
    if not isinstance(found, Shape) or type(found).__name__ in _OPEN:
        return []
    inner = (getattr(found, name) for name in type(found).model_fields)
    return [*(found.model_extra or {}), *(name for value in inner for name in _unknown(value))]
