"""Errors as HTTP answers (RFC 9457): the only place that gives a BridgeError its status, code and sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from bridge.errors import (
    BridgeError,
    CalendarsStale,
    CursorExpired,
    DuplicateExternalId,
    Exists,
    FieldProblem,
    Invalid,
    KeyReused,
    NoPrimaryCalendar,
    NotBookable,
    ReadOnly,
    SetByAdministrator,
    SlotUnavailable,
    StoreUnavailable,
    TooMany,
    TooMuchAtOnce,
    Unknown,
    VersionMismatch,
)
from bridge.web.times import format_time

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer that reports a problem. `facts` are extension members of its document (RFC 9457 section 3.2)."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        facts: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.facts = dict(facts or {})
        self.headers = dict(headers or {})


def problem_of(error: BridgeError) -> Problem | None:  # noqa: PLR0912 - one branch for each refusal
    """The problem for an error; None for errors that no request can cause."""
    match error:
        case Unknown():
            return Problem(404, "not_found", f"There is no such {error.kind} here: check the id and the location.")
        case Invalid():
            return invalid(error.problems)
        case TooMuchAtOnce():
            return Problem(
                400,
                "range_too_large",
                f"Users times days are {error.user_days:,} here, and {error.most:,} at most are answered at once: ask"
                " about fewer users or shorter periods, and again for the rest.",
            )
        case VersionMismatch():
            return Problem(
                412,
                "version_mismatch",
                "It is not as If-Match or If-None-Match says, perhaps because it was changed in the meantime: read it"
                " again, and repeat the change on the current version.",
                facts={"currentVersion": error.current},
            )
        case ReadOnly():
            return Problem(
                403, "read_only", "This blocked slot comes from iCloud: it can only be changed there, by its owner."
            )
        case SlotUnavailable():
            return Problem(
                409,
                "slot_unavailable",
                "One of its times overlaps something else, see conflicts. Leave that out by EXDATE in the rrule, choose"
                " others, or set ignoreFreeSlotValidation."
                if error.recurring
                else "The time overlaps something else. Choose another, or set ignoreFreeSlotValidation.",
                facts={
                    "conflicts": [
                        {
                            "start": format_time(start, zone=error.time_zone, utc_offset=error.utc_offset),
                            "end": format_time(end, zone=error.time_zone, utc_offset=error.utc_offset),
                            "kind": kind,
                        }
                        for start, end, kind in error.conflicts
                    ]
                },
            )
        case NotBookable():
            code, detail = _NOT_BOOKABLE[error.reason]
            return Problem(409, code, detail, facts={"reason": error.reason})
        case StoreUnavailable():
            return Problem(
                503,
                "store_unavailable",
                "The bridge's store is in use by another program, so nothing was changed. Try again soon."
                if error.busy
                else "The bridge can't use its store at the moment, so nothing was changed. Try again soon. If that"
                " does not help, `/readyz` and the bridge's log say what is wrong.",
                headers={"Retry-After": "2" if error.busy else "30"},
            )
        case CalendarsStale() if error.needs_password:
            return Problem(
                503,
                "icloud_auth_failed",
                "An account of these users refuses its password, so it is not known whether they are free. They have to"
                " enter a new app-specific one on their settings pages.",
                facts={"userIds": list(error.needs_password)},
                headers={"Retry-After": "300"},
            )
        case CalendarsStale():
            return Problem(
                503,
                "calendar_stale",
                "The calendars of these users could not be read, so it is not known whether they are free. Try again"
                " soon; if that does not help, `bridge status` says what is wrong with their accounts.",
                facts={"userIds": list(error.user_ids)},
                headers={"Retry-After": "30"},
            )
        case DuplicateExternalId():
            return Problem(
                409,
                "duplicate_external_id",
                "The appointment with this externalId was deleted. To book it again, PUT it by its externalId."
                if error.deleted
                else "Another appointment has this externalId, with different content. Update that one instead.",
                facts={"existingId": error.existing_id},
            )
        case KeyReused():
            return Problem(
                422, "idempotency_key_reused", "This Idempotency-Key was used with a different body. Use a new key."
            )
        case NoPrimaryCalendar():
            return Problem(
                409,
                "no_primary_calendar",
                "The user has no Primary calendar yet: connect an account and choose one, then repeat.",
            )
        case SetByAdministrator():
            return Problem(
                403, "set_by_administrator", f"The {error.kind} is set by the file {error.path}: change it there."
            )
        case Exists():
            return Problem(409, "already_exists", f"There is already such a {error.kind}, here or in another location.")
        case TooMany():
            return Problem(
                409,
                "too_many",
                f"There are {error.most} {error.kind}s here, which is the most: delete one that is no longer needed.",
            )
        case CursorExpired():
            return Problem(
                410,
                "cursor_expired",
                "The changes after this cursor are not here: they are older than 30 days, or the bridge was restored"
                " from a backup. Send no cursor to get a new one, then list again.",
            )
        case _:
            return None


_NOT_BOOKABLE = {
    "outside_hours": ("outside_availability", "The time is outside working hours."),
    "off_grid": (
        "outside_availability",
        "No slot starts then: choose one of the free slots, or set ignoreFreeSlotValidation.",
    ),
    "bad_length": ("outside_availability", "A booking takes one slot or several in a row: send another endTime."),
    "day_full": ("outside_availability", "The user has as many appointments that day as the calendar allows."),
    "short_notice": ("min_notice", "The calendar needs more notice. Set ignoreDateRange to book anyway."),
    "too_far_ahead": ("max_horizon", "The calendar can't be booked so far ahead. Set ignoreDateRange to book anyway."),
}


def invalid(problems: tuple[FieldProblem, ...]) -> Problem:
    """Wrong fields, all of them. One code that only tells of itself leads the answer; else `validation_failed`."""
    codes = {problem.code for problem in problems}
    leading = codes & {"nonexistent_local_time", "unsupported_rrule"}
    code = leading.pop() if len(codes) == 1 and leading else "validation_failed"
    return Problem(
        422,
        code,
        "; ".join(f"{p.pointer}: {p.detail}" for p in problems),
        facts={"errors": [{"pointer": p.pointer, "code": p.code, "detail": p.detail} for p in problems]},
    )


def document(problem: Problem, *, path: str, trace_id: str) -> dict[str, Any]:
    """The JSON of the problem (RFC 9457), with the keys that HighLevel's clients read as well."""
    return {
        "type": f"urn:crm-calendar-bridge:problem:{problem.code.replace('_', '-')}",
        "title": problem.code.replace("_", " ").capitalize(),
        "status": problem.status,
        "detail": problem.detail,
        "instance": path,
        "code": problem.code,
        "traceId": trace_id,
        "statusCode": problem.status,
        "message": problem.detail,
        "error": HTTPStatus(problem.status).phrase,
        **problem.facts,
    }


def answer(problem: Problem, *, path: str, trace_id: str) -> web.Response:
    """The HTTP response for the problem."""
    return web.Response(
        status=problem.status,
        body=json.dumps(document(problem, path=path, trace_id=trace_id), ensure_ascii=False).encode(),
        headers={**problem.headers, "Content-Type": MEDIA_TYPE},
    )
