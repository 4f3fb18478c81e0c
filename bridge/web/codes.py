"""Every code that a problem can have, with its status and its meaning. A test compares the documentation with it."""

from __future__ import annotations

#: The status and a few words, by code.
CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "the request or one of its headers is invalid"),
    "malformed_json": (400, "not a JSON object, or a field occurs twice"),
    "missing_scope_parameter": (400, "a user or a calendar has to be named"),
    "range_too_large": (400, "the span is too long, or there are too many users"),
    "unauthorized": (401, "no token, an unknown token, or a revoked one"),
    "bad_signature": (401, "not signed by HighLevel, or too old"),
    "insufficient_scope": (403, "the token lacks the scope named in `detail`"),
    "read_only": (403, "a blocked slot from iCloud"),
    "set_by_administrator": (403, "the settings file declares it: change it there"),
    "not_found": (404, "does not exist, or belongs to another location"),
    "method_not_allowed": (405, "see `Allow`"),
    "request_timeout": (408, "the body did not arrive within 30 seconds"),
    "already_exists": (409, "there is already one with this id"),
    "too_many": (409, "the maximum number is reached: delete one first"),
    "slot_unavailable": (409, "the time is taken: see `conflicts`"),
    "outside_availability": (409, "the calendar's hours, slots or limits: see `reason`"),
    "min_notice": (409, "too little notice"),
    "max_horizon": (409, "too far ahead"),
    "duplicate_external_id": (409, "the appointment `existingId` has it, or had it before it was deleted"),
    "no_primary_calendar": (409, "the user has not chosen where appointments go"),
    "cursor_expired": (410, "the changes after this cursor are no longer kept"),
    "version_mismatch": (412, "not the version that was expected: see `currentVersion`"),
    "payload_too_large": (413, "256 kB at most"),
    "unsupported_media_type": (415, "send `application/json`"),
    "validation_failed": (422, "invalid fields: see `errors`"),
    "nonexistent_local_time": (422, "the same, for a time that is skipped when clocks change"),
    "unsupported_rrule": (422, "the same, for a recurrence rule that is not supported"),
    "idempotency_key_reused": (422, "the key was used with a different body"),
    "precondition_required": (428, "send `If-Match`: the settings require it"),
    "rate_limited": (429, "too many requests: see `Retry-After`"),
    "not_now": (429, "a webhook that can't be processed now: send it again"),
    "internal_error": (500, "an error in the bridge: see the log, under the `traceId`"),
    "store_unavailable": (503, "the store can't be used at the moment: try again, see `Retry-After`"),
    "calendar_stale": (503, "it is not known whether `userIds` are free; see `Retry-After`"),
    "icloud_auth_failed": (503, "the same, until `userIds` reconnect an account with a new password"),
}

BODY = ("malformed_json", "request_timeout", "payload_too_large", "unsupported_media_type", "validation_failed")
STALE = ("calendar_stale", "icloud_auth_failed")
#: The codes with which a booking can be refused because of its time.
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
