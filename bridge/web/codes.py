"""Every code that a problem can have, with its status and what it means. The documentation is held to it."""

from __future__ import annotations

#: By code: the status, and a few words.
CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "a header or the request itself can't be read"),
    "malformed_json": (400, "no JSON object, or a field twice in one"),
    "missing_scope_parameter": (400, "it is not said whose"),
    "range_too_large": (400, "the span is too long, or it is about too many users"),
    "unauthorized": (401, "no token, an unknown one, or a revoked one"),
    "bad_signature": (401, "not signed by HighLevel, or too old"),
    "insufficient_scope": (403, "the token lacks the scope that is named"),
    "read_only": (403, "a blocked slot from iCloud"),
    "set_by_administrator": (403, "the settings file declares it: change it there"),
    "not_found": (404, "no such thing, or another location's"),
    "method_not_allowed": (405, "see `Allow`"),
    "request_timeout": (408, "the body did not arrive within 30 seconds"),
    "already_exists": (409, "there is such a thing already"),
    "too_many": (409, "as many as there can be: delete one first"),
    "slot_unavailable": (409, "something else is there: `conflicts`"),
    "outside_availability": (409, "the calendar's hours, slots or limits: `reason`"),
    "min_notice": (409, "too short before"),
    "max_horizon": (409, "too far ahead"),
    "duplicate_external_id": (409, "`existingId` has it, or had it when it was deleted"),
    "no_primary_calendar": (409, "the user has not chosen where appointments go"),
    "cursor_expired": (410, "the changes after this cursor are no longer kept"),
    "version_mismatch": (412, "changed meanwhile: `currentVersion`"),
    "payload_too_large": (413, "256 kB at most"),
    "unsupported_media_type": (415, "send `application/json`"),
    "validation_failed": (422, "wrong fields: `errors`"),
    "nonexistent_local_time": (422, "the same, where the clocks skip the time"),
    "unsupported_rrule": (422, "the same, for a recurrence that can't be kept"),
    "idempotency_key_reused": (422, "the key came with another body"),
    "precondition_required": (428, "send `If-Match`: the settings want it"),
    "rate_limited": (429, "too many requests: see `Retry-After`"),
    "not_now": (429, "a webhook that can't be taken just now: send it again"),
    "internal_error": (500, "the log has it, under the `traceId`"),
    "calendar_stale": (503, "not known whether `userIds` are free; see `Retry-After`"),
    "icloud_auth_failed": (503, "the same, until `userIds` give an account's new password"),
}

BODY = ("malformed_json", "request_timeout", "payload_too_large", "unsupported_media_type", "validation_failed")
STALE = ("calendar_stale", "icloud_auth_failed")
#: What a time that is booked can meet.
BOOKING = (
    "not_found",
    "slot_unavailable",
    "outside_availability",
    "min_notice",
    "max_horizon",
    "no_primary_calendar",
    *STALE,
    "duplicate_external_id",
    "unsupported_rrule",
    "nonexistent_local_time",
)
LISTING = ("missing_scope_parameter", "range_too_large", "not_found")
