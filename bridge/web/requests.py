"""Reading requests: bodies, queries, headers, and the locations that the token may see."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, get_origin

from aiohttp import web
from pydantic import ValidationError

from bridge.domain.model import Interval
from bridge.errors import FieldProblem, VersionMismatch
from bridge.service.visibility import Listing, Locations
from bridge.web.keys import SETTINGS, TOKEN
from bridge.web.problems import Problem
from bridge.web.reader import LONGEST, Reader
from bridge.web.shapes.base import EventsQuery, Query, Shape

S = TypeVar("S", bound=Shape)
Q = TypeVar("Q", bound=Query)
T = TypeVar("T")

#: The number of entries of a page, where a cursor is sent without a limit.
PAGE = 200

#: The longest list of ignored fields in an answer's header: clients refuse long headers.
LONGEST_HEADER = 1000


#: Seconds that a body may take to arrive.
BODY_SECONDS = 30.0
#: The encodings that are accepted for bodies.
READ_ENCODINGS = {"", "identity", "gzip", "deflate"}
ENCODINGS = Problem(
    415,
    "unsupported_media_type",
    "Send the body as it is, or with Content-Encoding: gzip or deflate.",
    headers={"Accept-Encoding": "gzip, deflate", "Connection": "close"},
)


@dataclass(frozen=True, slots=True)
class Body(Generic[S]):
    """A JSON body in its shape. `problems` are those of single fields; these fields count as not sent."""

    value: S
    problems: tuple[FieldProblem, ...]
    #: A digest of the canonical form: bodies with the same meaning have the same one.
    fingerprint: str

    def ignored(self) -> dict[str, str]:
        """The header that names unknown fields of the request, if there are any."""
        names = [name for name in self.value.unknown() if name.isascii() and name.isprintable()]
        text = ", ".join(names)
        if len(text) > LONGEST_HEADER:
            text = text[:LONGEST_HEADER].rpartition(", ")[0] + ", ..."
        return {"X-Ignored-Fields": text} if text else {}

    def with_values(self, **values: object) -> Body[S]:
        """The body, as if these fields had been sent as well."""
        return replace(self, value=self.value.model_copy(update=values))

    def strict(self) -> Body[S]:
        """The body, with unknown fields as problems: on paths that HighLevel does not have, these are mistakes."""
        unknown = (
            FieldProblem(f"/{name}", "unknown_field", "There is no such field.") for name in self.value.unknown()
        )
        return replace(self, problems=(*self.problems, *unknown))


async def raw_body(request: web.Request) -> bytes:
    """The bytes of the body. Raises `Problem` (408) when it takes too long to arrive."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        detail = f"The body did not arrive within {BODY_SECONDS:g} seconds. Send it again."
        raise Problem(408, "request_timeout", detail, headers={"Connection": "close"}) from None


async def body_of(request: web.Request, shape: type[S]) -> Body[S]:
    """The JSON body in its shape. Raises `Problem` (400, 415)."""
    if request.content_type not in {"application/json", "application/merge-patch+json"}:
        raise Problem(415, "unsupported_media_type", "Send JSON, with Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "").strip().lower() not in READ_ENCODINGS:
        raise ENCODINGS
    raw = await raw_body(request)
    try:
        document = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_no_number)
        # JSON can contain half of a surrogate pair, which can't be encoded, and so neither stored nor sent.
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        detail = "The body is not well-formed JSON in UTF-8, or names a field twice."
        raise Problem(400, "malformed_json", detail) from None
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
    """A JSON object, refused if it has a key twice: programs disagree about which of the two counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _no_number(name: str) -> None:
    raise ValueError(name)


_CODES = {
    "missing": "missing",
    "literal_error": "unknown_value",
    "unknown_value": "unknown_value",
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
        found.append(FieldProblem("/" + "/".join(parts), _CODES.get(error["type"], "invalid_value"), _detail(error)))
    return tuple(found)


def _detail(error: Mapping[str, Any]) -> str:
    """What to do about a problem that pydantic found, which words some in terms of Python."""
    limits = error.get("ctx", {})
    match error["type"]:
        case "too_long" | "string_too_long":
            what = "characters" if limits.get("field_type") in {None, "Value"} else "entries"
            return f"Use {limits['max_length']:,} {what} at most."
        case "too_short" | "string_too_short":
            return "It can't be empty."
        case "greater_than_equal":
            return f"Use {limits['ge']:,} or more."
        case "less_than_equal":
            return f"Use {limits['le']:,} or less."
        case "literal_error":
            return f"Use {limits['expected'].replace('True', 'true')}."
        case _:
            return str(error["msg"])


def problems_of(error: ValidationError) -> tuple[FieldProblem, ...]:
    """The problems of single fields of a shape."""
    return _problems(error.errors(include_url=False, include_input=False))


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


def query_of(request: web.Request, shape: type[Q]) -> tuple[Q, Reader]:
    """The query in its shape, and a Reader with its problems. Empty fields count as not sent.

    Lists come as `name=a&name=b`, `name[]=a`, or `name=a,b`. Unknown fields are left alone.
    """
    sent: dict[str, Any] = {}
    for field_name, field in shape.model_fields.items():
        name = field.alias or field_name
        values = [value for key in (name, f"{name}[]") for value in request.query.getall(key, []) if value]
        if values and get_origin(field.annotation) is tuple:
            sent[name] = [part for value in values for part in value.split(",") if part]
        elif values:
            sent[name] = values[0]
    try:
        return shape.model_validate(sent), Reader()
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
    rest = {name: value for name, value in sent.items() if name not in {str(e["loc"][0]) for e in wrong}}
    return shape.model_validate(rest), Reader(list(_problems(wrong)))


def query_time(reader: Reader, name: str, value: str | float | None) -> int | None:
    """An instant in a query, in Unix seconds; None where none was given, or it is invalid."""
    # A "+" in a query that is not encoded, as in a UTC offset, arrives as a space.
    time = reader.time(name, value.replace(" ", "+") if isinstance(value, str) else value, None)
    return None if time is None else time.at


def query_span(
    reader: Reader, names: tuple[str, str], values: tuple[str | float | None, str | float | None]
) -> Interval:
    """The span between two required fields. Raises `Invalid`."""
    times = []
    for name, value in zip(names, values, strict=True):
        if value is None:
            reader.wrong(name, "missing", "Give the span, in epoch milliseconds or RFC 3339.")
        times.append(query_time(reader, name, value))
    start, end = times
    if start is not None and end is not None and end <= start:
        reader.wrong(names[1], "end_before_start", "The end has to come after the start.")
    reader.done()
    assert start is not None and end is not None, "or the reader would have complained"  # noqa: S101
    return Interval(start, end)


def listing(request: web.Request) -> Listing:
    """The Listing that a query asks for. Raises `Problem` (400, 404) and `Invalid`."""
    query, reader = query_of(request, EventsQuery)
    if not any(request.query.get(name) for name in ("userId", "calendarId", "groupId")):
        raise Problem(400, "missing_scope_parameter", "Say whose events: give userId, calendarId or groupId.")
    location_id = reader.location(location_for(request, query.location_id))
    after = _place(reader, query.cursor)
    updated_after = query_time(reader, "updatedAfter", query.updated_after)
    span = query_span(reader, ("startTime", "endTime"), (query.start_time, query.end_time))
    if span.end - span.start > LONGEST:
        raise Problem(400, "range_too_large", "List 366 days at most; ask again for the rest.")
    limit = query.limit or (None if query.cursor is None else PAGE)
    return Listing(
        location_id=location_id,
        span=span,
        user_id=query.user_id,
        booking_calendar_id=query.calendar_id,
        group_id=query.group_id,
        include_deleted=query.include_deleted,
        updated_after=updated_after,
        after=after,
        # One more than wanted, which tells whether there is another page.
        limit=None if limit is None else limit + 1,
    )


def page(
    listing: Listing, found: Sequence[T], place: Callable[[T], tuple[int, str]]
) -> tuple[Sequence[T], dict[str, str]]:
    """The part of a listing that goes onto this page, and the cursor of the next page, if there is one."""
    if listing.limit is None or len(found) < listing.limit:
        return found, {}
    shown = found[: listing.limit - 1]
    start, id_ = place(shown[-1])
    return shown, {"nextCursor": "p_" + urlsafe_b64encode(f"{start}.{id_}".encode()).decode().rstrip("=")}


def _place(reader: Reader, cursor: str | None) -> tuple[int, str]:
    if cursor is None:
        return -(2**62), ""
    text = ""
    with contextlib.suppress(ValueError):
        text = urlsafe_b64decode(cursor.removeprefix("p_") + "==").decode()
    match = re.fullmatch(r"(-?\d{1,12})\.(.+)", text, re.ASCII | re.DOTALL)
    if match is None or not cursor.startswith("p_"):
        reader.wrong("cursor", "invalid_value", "Send the nextCursor of the previous page.")
        return -(2**62), ""
    return int(match[1]), match[2]


def expected_version(request: web.Request) -> int | None:
    """The version in If-Match; None without one, or with `*`; for a foreign ETag, a version that nothing has.

    Raises `Problem` (428) where the settings want one.
    """
    text = _if_match(request)
    if text is None:
        return None
    # Proxies that compress an answer mark its ETag as weak, though the version is the same.
    match = re.fullmatch(r'(?:W/)?"?(\d{1,9})"?', text, re.ASCII)
    return int(match.group(1)) if match else -1


def tag_of(document: Mapping[str, Any]) -> str:
    """An ETag for what has no version: a digest of the answer."""
    return f'"{hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:24]}"'


def tagged(request: web.Request, name: str, document: Mapping[str, Any], **rest: Any) -> web.Response:
    """An answer with such an ETag; 304 for a GET whose If-None-Match names it."""
    tag = tag_of(document)
    if request.method == "GET" and has_it_already(request, tag):
        return web.Response(status=304, headers={"ETag": tag})
    return web.json_response({name: document}, headers={"ETag": tag, **rest.pop("headers", {})}, **rest)


def expect_tag(request: web.Request, tag: str) -> None:
    """Raises `VersionMismatch` for an If-Match that names other ETags than this, and as `expected_version` does."""
    if (text := _if_match(request)) is not None and tag not in _tags(text):
        raise VersionMismatch(None)


def refuse_if_absent(request: web.Request) -> None:
    """Raises `VersionMismatch` for an If-Match on something that does not exist (RFC 9110 section 13.1.1)."""
    if "If-Match" in request.headers:
        raise VersionMismatch(None)


def refuse_if_present(request: web.Request, version: int) -> None:
    """Raises `VersionMismatch` for `If-None-Match: *` on something that exists (RFC 9110 section 13.1.2)."""
    if request.headers.get("If-None-Match", "").strip() == "*":
        raise VersionMismatch(version)


def has_it_already(request: web.Request, etag: str) -> bool:
    """Whether If-None-Match names this version."""
    known = _tags(request.headers.get("If-None-Match", ""))
    return etag in known or "*" in known


def _if_match(request: web.Request) -> str | None:
    """The ETags that If-Match names; None for `*`, or without the header."""
    if "If-Match" not in request.headers and request.app[SETTINGS].api.require_if_match:
        detail = "Send If-Match with the ETag of what you have seen, or with * to change whatever is there."
        raise Problem(428, "precondition_required", detail)
    text = request.headers.get("If-Match", "*").strip()
    return None if text == "*" else text


def _tags(text: str) -> list[str]:
    """The ETags in a header. W/ is ignored: proxies that compress an answer mark its ETag as weak."""
    return [part.strip().removeprefix("W/") for part in text.split(",")]


def wait_seconds(request: web.Request) -> int:
    """How long `Prefer: wait=N` asks to wait for iCloud (RFC 7240): 20 seconds at most, else 0."""
    match = re.search(r"(?:^|[,;\s])wait=\"?(\d{1,9})\b", request.headers.get("Prefer", ""), re.ASCII | re.IGNORECASE)
    return min(int(match.group(1)), 20) if match else 0
