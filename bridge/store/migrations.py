"""The schema, as migrations: functions that are applied once each, in order, when a store is opened.

A migration that has been released is never edited; add another one. Nothing has been released yet, so everything is in
the first. Instants are Unix seconds, UTC. Apart from AUTOINCREMENT, BLOB and WITHOUT ROWID, the statements keep to what
SQLite and PostgreSQL share.
"""

from __future__ import annotations

import secrets
import time

from sqlite_utils import Database, Migrations

migrations = Migrations("bridge")


@migrations()
def m0001_schema(db: Database) -> None:
    """Every table, by what it is about."""
    for subject in (
        _STORE,
        _USERS,
        _API,
        _SIGN_IN,
        _ACCOUNTS,
        _MIRROR,
        _BOOKING_CALENDARS,
        _BOOKINGS,
        _OUTBOX,
        _PUBLISHED,
        _CHANGES,
        _WEBHOOKS,
        _DECLARED,
    ):
        for statement in subject.split(";\n\n"):
            db.execute(statement)
    # Names this store in sync-tokens, so that a token of another store is never taken for one of ours.
    db.execute("INSERT INTO store_facts (name, value) VALUES ('store_id', ?)", [secrets.token_hex(8)])
    db.execute("INSERT INTO store_facts (name, value) VALUES ('created_at', ?)", [str(int(time.time()))])
    # What the ids of appointments with an externalId are made with. It outlives a restore, and so do those ids.
    db.execute("INSERT INTO store_facts (name, value) VALUES ('appointment_ids_key', ?)", [secrets.token_hex(16)])


_STORE = """\
CREATE TABLE store_facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    -- The id of what was done something to. Not a foreign key: the entry outlives it.
    subject TEXT NOT NULL
)"""

_USERS = """\
CREATE TABLE users (
    -- A User's place in indexes that have many entries: an id of the CRM's takes ten times as much. Never given again,
    -- so it also tells a User who was removed from one who was added under the same id, in the same second even.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    location_id TEXT NOT NULL,
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    two_way TEXT NOT NULL DEFAULT 'accept',
    revision INTEGER NOT NULL DEFAULT 0,
    -- When the revision last rose.
    changed_at INTEGER NOT NULL DEFAULT 0,
    -- Tombstones of removals up to this revision are gone: older sync-tokens are refused.
    tombstones_from INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);

CREATE TABLE calendar_passwords (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    last_used_at INTEGER
);

CREATE INDEX calendar_passwords_by_user ON calendar_passwords (user_id)"""

_API = """\
CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    -- JSON list of locationIds; an empty list: every location.
    location_ids TEXT NOT NULL,
    -- JSON list of scope names.
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
);

CREATE TABLE idempotency_keys (
    token_id TEXT NOT NULL,
    -- Method and path of the request.
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    -- Of the canonical body: the key belongs to this request and no other.
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (token_id, operation, key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at)"""

_SIGN_IN = """\
CREATE TABLE settings_links (
    hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) WITHOUT ROWID;

CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    -- Either a User's, or an administrator's by their API token.
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    token_id TEXT REFERENCES api_tokens (id) ON DELETE CASCADE,
    password_id TEXT REFERENCES calendar_passwords (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
)"""

_ACCOUNTS = """\
CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    username TEXT NOT NULL,
    secret BLOB NOT NULL,
    home_url TEXT NOT NULL,
    addresses TEXT NOT NULL,
    state TEXT NOT NULL,
    state_reason TEXT NOT NULL DEFAULT '',
    state_since INTEGER NOT NULL,
    -- Whether the server's list of calendars can be trusted to show every change.
    list_trust TEXT NOT NULL DEFAULT 'unproven',
    -- Not asked before this instant: throttling and polling interval.
    next_poll_at INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    UNIQUE (user_id, provider, username)
);

CREATE INDEX accounts_by_poll ON accounts (next_poll_at);

CREATE TABLE calendars (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    name TEXT NOT NULL,
    colour TEXT,
    role TEXT NOT NULL DEFAULT 'none',
    -- Whether it is or ever was the Primary.
    once_primary INTEGER NOT NULL DEFAULT 0,
    writable INTEGER,
    settings TEXT NOT NULL DEFAULT '{}',
    present INTEGER NOT NULL DEFAULT 1,
    ctag TEXT,
    sync_token TEXT,
    -- The sync-token that the account's listing gave, when the calendar was last read, and when last compared in full.
    listed_token TEXT,
    read_at INTEGER,
    compared_at INTEGER,
    -- Rises with each read, so that two runs at once notice each other.
    reads INTEGER NOT NULL DEFAULT 0,
    last_attempt_at INTEGER,
    last_success_at INTEGER,
    last_error TEXT,
    UNIQUE (account_id, url)
);

CREATE INDEX calendars_by_user ON calendars (user_id);

CREATE UNIQUE INDEX one_primary_calendar ON calendars (user_id) WHERE role = 'primary'"""

_MIRROR = """\
CREATE TABLE mirror_items (
    calendar_id TEXT NOT NULL REFERENCES calendars (id) ON DELETE CASCADE,
    href TEXT NOT NULL,
    -- The number of the User.
    owner INTEGER NOT NULL,
    etag TEXT NOT NULL,
    uid TEXT NOT NULL,
    ics TEXT NOT NULL,
    unreadable TEXT,
    PRIMARY KEY (calendar_id, href)
);

CREATE INDEX mirror_items_by_uid ON mirror_items (owner, uid);

-- Objects that were stored since their Calendar's sync-token was read, so that the token may not cover them.
CREATE TABLE mirror_ahead (
    calendar_id TEXT NOT NULL,
    href TEXT NOT NULL,
    PRIMARY KEY (calendar_id, href),
    FOREIGN KEY (calendar_id, href) REFERENCES mirror_items (calendar_id, href) ON DELETE CASCADE ON UPDATE CASCADE
) WITHOUT ROWID;

CREATE TABLE mirror_runs (
    id INTEGER PRIMARY KEY,
    calendar_id TEXT NOT NULL REFERENCES calendars (id) ON DELETE CASCADE,
    started_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    listed INTEGER NOT NULL,
    fetched INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    unreadable INTEGER NOT NULL,
    undelivered INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL,
    token_advanced INTEGER NOT NULL,
    error TEXT
);

CREATE INDEX mirror_runs_by_calendar ON mirror_runs (calendar_id, started_at)"""

_BOOKING_CALENDARS = """\
CREATE TABLE booking_calendars (
    id TEXT PRIMARY KEY,
    location_id TEXT NOT NULL,
    name TEXT NOT NULL,
    slot_minutes INTEGER NOT NULL DEFAULT 30,
    -- JSON: what the CRM has set, in its words.
    settings TEXT NOT NULL DEFAULT '{}',
    -- Whether it takes bookings outside working hours and off the grid; NULL: until there is a schedule.
    any_free_time INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER
);

CREATE INDEX booking_calendars_by_location ON booking_calendars (location_id);

CREATE TABLE booking_calendar_users (
    booking_calendar_id TEXT NOT NULL REFERENCES booking_calendars (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    PRIMARY KEY (booking_calendar_id, user_id)
) WITHOUT ROWID;

CREATE INDEX booking_calendar_users_by_user ON booking_calendar_users (user_id, booking_calendar_id);

CREATE TABLE schedules (
    -- In the order in which they were made: of two the newer one holds.
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    location_id TEXT NOT NULL,
    -- NULL: whoever belongs to the booking calendars that it names.
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    -- JSON: rules by weekday and by date.
    rules TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE INDEX schedules_by_location ON schedules (location_id, number);

CREATE INDEX schedules_by_user ON schedules (user_id);

CREATE TABLE schedule_calendars (
    schedule_id TEXT NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    booking_calendar_id TEXT NOT NULL REFERENCES booking_calendars (id) ON DELETE CASCADE,
    PRIMARY KEY (schedule_id, booking_calendar_id)
) WITHOUT ROWID;

CREATE INDEX schedule_calendars_by_calendar ON schedule_calendars (booking_calendar_id)"""

_BOOKINGS = """\
CREATE TABLE appointments (
    id TEXT PRIMARY KEY,
    location_id TEXT NOT NULL,
    booking_calendar_id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- JSON list: the ids of the other Users whose time it takes.
    other_user_ids TEXT NOT NULL DEFAULT '[]',
    -- The recurring one that it was a time of, and went on by itself; and of a stand-in, whose former event it removes.
    master_id TEXT,
    stands_in_for TEXT,
    contact_id TEXT,
    external_id TEXT,
    title TEXT NOT NULL,
    start_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    time_zone TEXT,
    utc_offset INTEGER NOT NULL,
    all_day INTEGER NOT NULL,
    description TEXT NOT NULL,
    address TEXT NOT NULL,
    rrule TEXT,
    status TEXT NOT NULL,
    -- The contact's e-mail address where the event invites them, and what they answered.
    invitee TEXT,
    answer TEXT,
    -- JSON: the CRM's fields that the bridge only keeps and gives back.
    extra TEXT NOT NULL,
    -- Where it came from, and when it was last changed there, as it was told.
    source TEXT NOT NULL DEFAULT 'api',
    source_updated_at TEXT,
    -- Tells the request that made it from others, whatever became of it since.
    request TEXT,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    uid TEXT NOT NULL UNIQUE,
    sync_state TEXT NOT NULL,
    sync_error TEXT,
    synced_at INTEGER,
    -- Where the event lives upstream. Kept as text: the calendar may be disconnected while the appointment stays.
    calendar_id TEXT,
    href TEXT,
    -- JSON: the fields as both sides last agreed on them.
    agreed TEXT,
    -- JSON list: the fields that attempts have sent since then without learning whether they arrived; NULL: none.
    attempted TEXT,
    -- What the event said in the calendar that it leaves, to be written to the next one.
    carried TEXT,
    UNIQUE (location_id, external_id)
);

CREATE INDEX appointments_by_user ON appointments (user_id, start_at);

CREATE INDEX appointments_by_booking_calendar ON appointments (booking_calendar_id, start_at);

-- The only ones that may touch a span though they begin long before it.
CREATE INDEX long_appointments ON appointments (booking_calendar_id, start_at)
    WHERE rrule IS NOT NULL OR end_at - start_at > 172800;

CREATE INDEX deleted_appointments ON appointments (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE notes (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    -- What it is on: the appointment, or one of its times by an id of that time's own.
    event_id TEXT NOT NULL,
    appointment_id TEXT NOT NULL REFERENCES appointments (id) ON DELETE CASCADE,
    body TEXT NOT NULL,
    author_id TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE INDEX notes_by_event ON notes (event_id, number);

CREATE INDEX notes_by_appointment ON notes (appointment_id);

CREATE INDEX appointments_by_master ON appointments (master_id) WHERE master_id IS NOT NULL;

CREATE TABLE blocked_slots (
    id TEXT PRIMARY KEY,
    location_id TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    booking_calendar_id TEXT,
    title TEXT NOT NULL,
    start_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    time_zone TEXT,
    utc_offset INTEGER NOT NULL,
    expires_at INTEGER,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
);

CREATE INDEX blocked_slots_by_user ON blocked_slots (user_id, start_at);

CREATE INDEX deleted_blocked_slots ON blocked_slots (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE INDEX blocked_slots_by_expiry ON blocked_slots (expires_at)
    WHERE expires_at IS NOT NULL AND deleted_at IS NULL"""

_OUTBOX = """\
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    -- Not a foreign key: an intent outlives what it was about, until it is settled.
    appointment_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    state TEXT NOT NULL,
    generation INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    lease_until INTEGER,
    last_error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE UNIQUE INDEX one_open_entry ON outbox (appointment_id) WHERE state IN ('ready', 'leased');

CREATE INDEX outbox_due ON outbox (state, next_attempt_at);

CREATE INDEX outbox_by_account ON outbox (account_id, state)"""

_PUBLISHED = """\
CREATE TABLE published_items (
    id INTEGER PRIMARY KEY,
    -- The number of the User.
    owner INTEGER NOT NULL REFERENCES users (number) ON DELETE CASCADE,
    href TEXT NOT NULL,
    -- The revision at which it last changed, and when; a row without ics is a tombstone.
    revision INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    etag TEXT NOT NULL,
    -- As it stands in XML; and whether that takes escapes, which few texts have.
    ics TEXT,
    escaped INTEGER NOT NULL,
    first_start INTEGER NOT NULL,
    last_end INTEGER,
    kind TEXT NOT NULL,
    source_id TEXT NOT NULL,
    -- The span for which its occurrences are stored; NULL: all of them are.
    expanded_from INTEGER,
    expanded_until INTEGER,
    UNIQUE (owner, href)
);

CREATE INDEX published_items_by_revision ON published_items (owner, revision);

CREATE INDEX tombstones ON published_items (changed_at) WHERE ics IS NULL;

-- Recurring items, whose occurrences are stored up to a horizon.
CREATE INDEX published_items_by_horizon ON published_items (owner, expanded_until, expanded_from)
    WHERE expanded_until IS NOT NULL;

-- Those with occurrences beyond it.
CREATE INDEX published_items_by_lag ON published_items (expanded_until)
    WHERE expanded_until IS NOT NULL AND (last_end IS NULL OR last_end > expanded_until);

CREATE TABLE occurrences (
    item INTEGER NOT NULL REFERENCES published_items (id) ON DELETE CASCADE,
    start_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    all_day INTEGER NOT NULL,
    -- The number of the User. Last, since it is not in the key: SQLite 3.40 checks the columns in the order of storage.
    owner INTEGER NOT NULL,
    PRIMARY KEY (item, start_at, end_at, all_day)
) WITHOUT ROWID;

-- What touches a span is found without walking through all that comes before or after it.
CREATE INDEX occurrences_by_start ON occurrences (owner, start_at, end_at, item, all_day);

-- Longer than two days: few, and the only ones that may touch a span though they begin long before it.
CREATE INDEX long_occurrences ON occurrences (owner, end_at, start_at, item, all_day)
    WHERE end_at - start_at > 172800"""

_CHANGES = """\
CREATE TABLE changes (
    -- The newest row is never deleted, so that no number comes twice.
    sequence INTEGER PRIMARY KEY,
    -- No foreign keys: what happened outlives whom it happened to.
    location_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    type TEXT NOT NULL,
    origin TEXT NOT NULL,
    -- JSON: the names of the fields that changed, and what they were.
    changed_fields TEXT NOT NULL,
    previous TEXT NOT NULL,
    version INTEGER,
    -- JSON: the thing as it was after the change.
    document TEXT NOT NULL,
    occurred_at INTEGER NOT NULL
);

CREATE INDEX changes_by_location ON changes (location_id, sequence);

CREATE INDEX changes_by_age ON changes (occurred_at)"""

_WEBHOOKS = """\
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    -- JSON list of locationIds; an empty list: every location.
    location_ids TEXT NOT NULL,
    -- Whose token made it. Not a foreign key: it goes on when the token is revoked.
    token_id TEXT NOT NULL,
    url TEXT NOT NULL,
    -- JSON lists of names; ["*"]: every event.
    events TEXT NOT NULL,
    origins TEXT NOT NULL,
    description TEXT NOT NULL,
    signature TEXT NOT NULL,
    secret BLOB NOT NULL,
    -- JSON: secrets that it had, sealed, each with the instant until which it signs too.
    former_secrets TEXT NOT NULL DEFAULT '[]',
    active INTEGER NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT NOT NULL DEFAULT '',
    -- Since when, and how many times in a row, deliveries have failed.
    failing_since INTEGER,
    failures INTEGER NOT NULL DEFAULT 0,
    -- The receiver asked to be left alone until then.
    rest_until INTEGER NOT NULL DEFAULT 0,
    -- The last change that was looked at for it.
    place INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE TABLE webhook_deliveries (
    number INTEGER PRIMARY KEY,
    -- The webhook-id that receivers see: the same at each attempt.
    id TEXT NOT NULL UNIQUE,
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    -- Of the change; NULL: it tells of none.
    sequence INTEGER,
    type TEXT NOT NULL,
    -- What it is about: one delivery at a time, in order.
    resource_id TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    -- NULL: when the earlier ones about the same thing are settled.
    next_attempt_at INTEGER,
    -- Of the last attempt: the status that was answered, if any, and what was wrong.
    last_status INTEGER,
    last_reason TEXT,
    last_attempt_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_attempt_at, sequence)
    WHERE state = 'pending';

CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (webhook_id, resource_id, sequence)
    WHERE state = 'pending';

CREATE INDEX webhook_deliveries_tests ON webhook_deliveries (webhook_id, next_attempt_at, sequence)
    WHERE state = 'pending' AND type = 'WebhookTest';

CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (webhook_id, number);

CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (updated_at) WHERE state <> 'pending'"""

_DECLARED = """\
CREATE TABLE declared (
    -- user, two_way, account, primary, conflicts or slots; and the id of the User, Account or Calendar it is set for.
    what TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The file, as it was named.
    path TEXT NOT NULL,
    PRIMARY KEY (what, subject)
)"""
