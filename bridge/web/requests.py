"""What is asked for over HTTP: bodies, queries, headers, and what the token may see."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic import ValidationError

from bridge.domain.model import Interval
from bridge.errors import FieldProblem, VersionMismatch
from bridge.service.book import Locations
from bridge.web.fields import LONGEST, Reader
from bridge.web.keys import TOKEN
from bridge.web.problems import Problem
from bridge.web.shapes import Shape

S = TypeVar("S", bound=Shape)

#: The most that names of ignored fields take in the answer's header; more, and clients refuse it.
LONGEST_HEADER = 1000


@dataclass(frozen=True, slots=True)
class Body(Generic[S]):
    """A JSON body in its shape. What is wrong with a field by itself is in `problems`; the field counts as not sent."""

    value: S
    problems: tuple[FieldProblem, ...]
    #: Of the canonical form: two bodies that say the same have the same.
    fingerprint: str

    def ignored(self) -> dict[str, str]:
        """The header that names fields nobody knows, if there are any."""
        names = [name for name in self.value.unknown() if name.isascii() and name.isprintable()]
        text = ", ".join(names)
        if len(text) > LONGEST_HEADER:
            text = text[:LONGEST_HEADER].rpartition(", ")[0] + ", ..."
        return {"X-Ignored-Fields": text} if text else {}

    def with_values(self, **values: object) -> Body[S]:
        """The same body, as if it said these too."""
        return replace(self, value=self.value.model_copy(update=values))

    def strict(self) -> Body[S]:
        """The same body, with unknown fields for problems: on paths of the bridge's own, they are mistakes."""
        unknown = (
            FieldProblem(f"/{name}", "unknown_field", "There is no such field.") for name in self.value.unknown()
        )
        return replace(self, problems=(*self.problems, *unknown))


async def body_of(request: web.Request, shape: type[S]) -> Body[S]:
    """The JSON body in its shape. Raises `Problem` (400, 415)."""
    if request.content_type not in {"application/json", "application/merge-patch+json"}:
        raise Problem(415, "unsupported_media_type", "Send JSON, with Content-Type: application/json.")
    try:
        raw = await request.read()
    except web.RequestPayloadError:
        detail = "The body is not encoded as its headers say."
        raise Problem(400, "bad_request", detail, headers={"Connection": "close"}) from None
    try:
        document = json.loads(raw, object_pairs_hook=_object, parse_constant=_no_number)
        # Half a character, which JSON can spell, is nothing that can be stored or sent: it does not encode.
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Problem(400, "malformed_json", "The body is not well-formed JSON, or names a field twice.") from None
    if not isinstance(document, dict):
        raise Problem(400, "malformed_json", "Send a JSON object.")
    fingerprint = hashlib.sha256(canonical).hexdigest()
    try:
        return Body(shape.model_validate(document), (), fingerprint)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
    rest = {name: value for name, value in document.items() if name not in {str(e["loc"][0]) for e in wrong}}
    return Body(shape.model_validate(rest), _problems(wrong), fingerprint)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two fields with one name, readers take different ones: nobody could say what is booked."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _no_number(name: str) -> None:
    raise ValueError(name)


_CODES = {
    "missing": "missing",
    "literal_error": "unknown_value",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "invalid_datetime": "invalid_datetime",
}


def _problems(wrong: Iterable[Mapping[str, Any]]) -> tuple[FieldProblem, ...]:
    found = []
    for error in wrong:
        parts = [str(part).replace("~", "~0").replace("/", "~1") for part in error["loc"] if part != "[key]"]
        found.append(FieldProblem("/" + "/".join(parts), _CODES.get(error["type"], "invalid_value"), error["msg"]))
    return tuple(found)


def locations_of(request: web.Request) -> Locations:
    """The locations that the token may see; None: every location."""
    return request[TOKEN].location_ids or None


def location_for(request: web.Request, given: str | None) -> str | None:
    """The location meant: the one given, or the token's only one, or None.

    A foreign one does not exist, for this token. Raises `Problem` (404).
    """
    allowed = request[TOKEN].location_ids
    if given is None:
        return next(iter(allowed)) if len(allowed) == 1 else None
    if allowed and given not in allowed:
        raise Problem(404, "not_found", "There is no such location here: check the id and the token.")
    return given


@dataclass(frozen=True, slots=True)
class Listing:
    """What a listing asks for."""

    location_id: str
    span: Interval
    user_id: str | None
    calendar_id: str | None
    include_deleted: bool


def listing(request: web.Request) -> Listing:
    """A listing's query. Raises `Problem` (400, 404) and `Invalid`."""
    query = {name: value for name, value in request.query.items() if value}
    reader = Reader()
    user_id, calendar_id = query.get("userId"), query.get("calendarId")
    if user_id is None and calendar_id is None:
        raise Problem(400, "missing_scope_parameter", "Say whose: give userId or calendarId.")
    location_id = reader.location(location_for(request, query.get("locationId")))
    for name in ("startTime", "endTime"):
        if name not in query:
            reader.wrong(name, "missing", "Give the span to list, in epoch milliseconds or RFC 3339.")
    # An unencoded "+" of an offset arrives as a space.
    start = reader.time("startTime", query.get("startTime", "").replace(" ", "+") or None, None)
    end = reader.time("endTime", query.get("endTime", "").replace(" ", "+") or None, None)
    if start is not None and end is not None and end.at <= start.at:
        reader.wrong("endTime", "end_before_start", "The end has to come after the start.")
    reader.done()
    assert start is not None and end is not None, "or the reader would have complained"  # noqa: S101
    if end.at - start.at > LONGEST:
        raise Problem(400, "range_too_large", "List 366 days at most; ask again for the rest.")
    include_deleted = query.get("includeDeleted", "").lower() in {"1", "true"}
    return Listing(location_id, Interval(start.at, end.at), user_id, calendar_id, include_deleted)


def expected_version(request: web.Request) -> int | None:
    """The version in If-Match; None without one, or with `*`; one that nothing can have, for an ETag of others."""
    text = request.headers.get("If-Match", "*").strip()
    if text == "*":
        return None
    # Proxies that compress an answer mark its ETag as weak, though the version is the same.
    match = re.fullmatch(r'(?:W/)?"?(\d{1,9})"?', text, re.ASCII)
    return int(match.group(1)) if match else -1


def refuse_if_absent(request: web.Request) -> None:
    """Raises `VersionMismatch` for an If-Match on something that is not there yet (RFC 9110 section 13.1.1)."""
    if "If-Match" in request.headers:
        raise VersionMismatch(None)


def refuse_if_present(request: web.Request, version: int) -> None:
    """Raises `VersionMismatch` for `If-None-Match: *` on something that is there (RFC 9110 section 13.1.2)."""
    if request.headers.get("If-None-Match", "").strip() == "*":
        raise VersionMismatch(version)


def has_it_already(request: web.Request, etag: str) -> bool:
    """Whether If-None-Match says that the sender has this version."""
    known = [part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")]
    return etag in known or "*" in known


def wait_seconds(request: web.Request) -> int:
    """How long `Prefer: wait=N` asks to wait for iCloud (RFC 7240): 20 seconds at most, else 0."""
    match = re.search(r"(?:^|[,;\s])wait=\"?(\d{1,9})\b", request.headers.get("Prefer", ""), re.ASCII | re.IGNORECASE)
    return min(int(match.group(1)), 20) if match else 0
