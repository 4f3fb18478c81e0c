"""The vocabulary as frozen dataclasses.

Every instant is a whole number of Unix seconds, UTC; every span is half-open `[start, end)`. Time zones are IANA names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

#: A User's id is the first part of their calendar's address, so it keeps to what every client and URL takes as it is.
USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


#: How long what was deleted is told of, in seconds: by the API, and to who synchronises the merged calendar.
TOMBSTONE_SECONDS = 90 * 86_400


class Role(StrEnum):
    """What a remote Calendar is to its User."""

    PRIMARY = "primary"
    CONFLICT = "conflict"
    NONE = "none"


class AccountState(StrEnum):
    """How an Account is doing. `needs_password` is set on proof only: a 401 on a login that used to work."""

    CONNECTED = "connected"
    NEEDS_PASSWORD = "needs_password"  # noqa: S105 - the name of a state
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"


class Marks(StrEnum):
    """Whether a server's list of calendars (their ctags and sync-tokens) tells when one of them changed."""

    #: Nothing has changed yet since the Account was connected: asked again now and then.
    UNPROVEN = "unproven"
    #: A change has been seen to move them.
    TRUSTED = "trusted"
    #: Something changed and they stood still: each calendar is asked for its changes at each poll.
    DISTRUSTED = "distrusted"


class TwoWay(StrEnum):
    """What happens when a person changes an Appointment's event in iCloud."""

    #: The Appointment follows.
    ACCEPT = "accept"
    #: The Appointment stays, the event stays as the person left it, and the difference is shown.
    REPORT = "report"
    #: The Appointment stays, and the event is put back.
    RESTORE = "restore"


class Origin(StrEnum):
    """Where a thing, or a change to it, came from."""

    ICLOUD = "icloud"
    CRM = "crm"


class SyncState(StrEnum):
    """Where an Appointment stands with iCloud."""

    PENDING = "pending"
    SYNCED = "synced"
    FAILED = "failed"
    CONFLICT = "conflict"
    NOT_SYNCED = "not_synced"


class OutboxState(StrEnum):
    """Where an OutboxEntry stands."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"


class Titles(StrEnum):
    """Whether blocked slots of a Calendar show the event's title or just "Busy"."""

    BUSY = "busy"
    TITLE = "title"


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """Half-open `[start, end)`, Unix seconds, UTC."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class User:
    """A CRM user; owns one merged calendar; the CalDAV principal `/<id>/`."""

    id: str
    location_id: str
    name: str
    time_zone: str
    revision: int


@dataclass(frozen=True, slots=True)
class Account:
    """One connected CalDAV login. `secret` is sealed; only `bridge.secrets` opens it."""

    id: str
    user_id: str
    provider: str
    username: str
    secret: bytes = field(repr=False)
    home_url: str
    state: AccountState
    state_reason: str
    state_since: int
    #: Calendar user addresses of the owner (e-mail addresses, lower case), to find their own PARTSTAT; the one that
    #: they invite from comes first.
    addresses: tuple[str, ...]
    marks: Marks = Marks.UNPROVEN


@dataclass(frozen=True, slots=True)
class SlotSettings:
    """What of one Calendar becomes a blocked slot, and how it looks."""

    titles: Titles = Titles.BUSY
    all_day_blocks: bool = True
    unanswered_blocks: bool = True
    tentative_blocks: bool = True
    travel_blocks: bool = True


@dataclass(frozen=True, slots=True)
class Calendar:
    """One remote collection of an Account. `url` is absolute; hrefs of its objects are paths."""

    id: str
    account_id: str
    user_id: str
    url: str
    name: str
    colour: str | None
    role: Role
    #: None: the server did not say. Assume writable, learn from a 403.
    writable: bool | None
    #: What the account's list of calendars said of it just before it was last read: ctag, and (below) listed_token.
    ctag: str | None
    #: What the calendar itself said when it was last read in full: changes are asked for since then.
    sync_token: str | None
    settings: SlotSettings
    #: False once the server's list of calendars no longer has it.
    present: bool
    last_attempt_at: int | None
    last_success_at: int | None
    last_error: str | None
    listed_token: str | None = None
    #: When it was last asked for its changes itself, rather than by its account's list.
    read_at: int | None = None
    #: When it was last compared with a complete listing.
    compared_at: int | None = None
    #: Rises each time the sync state is set or forgotten, so that two runs at once notice each other.
    reads: int = 0
    #: Whether it is or ever was the Primary: what the bridge put there it may also take back.
    once_primary: bool = False


@dataclass(frozen=True, slots=True)
class MirrorItem:
    """Our copy of one remote object. `href` is the path part of its address, as the server spells it."""

    calendar_id: str
    href: str
    etag: str
    uid: str
    ics: str
    #: Why it can't be read, if it can't. It then blocks what was last known of it.
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One stretch of time that a published item covers. `all_day` ones are already in the User's zone."""

    start: int
    end: int
    all_day: bool = False


@dataclass(frozen=True, slots=True)
class PublishedItem:
    """What the merged calendar serves for one UID."""

    href: str
    uid: str
    etag: str
    ics: str
    #: The first instant covered, and the first instant after all of it; None: it has no end.
    first_start: int
    last_end: int | None
    #: What it stands for: `icloud` blocked slot, `crm` blocked slot, or `appointment`.
    kind: ItemKind
    #: The id of the Appointment or BlockedSlot, or the Calendar's id for a mirrored one.
    source_id: str
    occurrences: tuple[Occurrence, ...] = ()
    #: The span for which `occurrences` is complete; None: they are all of them.
    expanded: Interval | None = None


class ItemKind(StrEnum):
    """What a published item stands for."""

    ICLOUD = "icloud"
    CRM = "crm"
    APPOINTMENT = "appointment"


@dataclass(frozen=True, slots=True)
class AppointmentFields:
    """The fields of an Appointment that live in the iCloud event too: what two-way sync compares."""

    title: str
    start: int
    end: int
    #: IANA name; None: written in UTC.
    time_zone: str | None
    all_day: bool
    description: str
    address: str
    #: RRULE and EXDATE content lines joined by newlines, or None.
    rrule: str | None
    status: str
    #: The contact's e-mail address, where the event invites them; None: it invites nobody.
    invitee: str | None = None


@dataclass(frozen=True, slots=True)
class Appointment:
    """A CRM booking; written to the primary calendar."""

    id: str
    location_id: str
    booking_calendar_id: str
    user_id: str
    contact_id: str | None
    external_id: str | None
    fields: AppointmentFields
    #: Seconds east of UTC that the CRM wrote its times with, when it named no time zone.
    utc_offset: int
    #: The rest of the CRM's fields: kept and given back, nothing more.
    extra: dict[str, object]
    version: int
    created_at: int
    updated_at: int
    deleted_at: int | None
    uid: str
    sync_state: SyncState
    sync_error: str | None
    #: When its event was last read back from where it lives; None: not yet.
    synced_at: int | None
    #: Where the event lives upstream; None until the first push chose the primary calendar.
    calendar_id: str | None
    href: str | None
    #: The fields as both sides last agreed on them.
    agreed: AppointmentFields | None
    #: The event's text as it is to be where it differs from the one that is there: in the Calendar that it leaves (what
    #: a person added goes along, under its new UID), or with its single times as the Appointment has them.
    carried: str | None = None
    #: The Users whose time it takes beside its own User's: those of a collective calendar.
    beside: tuple[str, ...] = ()
    #: Of a single time: the recurring Appointment that it is, or was, one of.
    master_id: str | None = None
    #: Of a stand-in: the Appointment whose former event it removes.
    stands_in_for: str | None = None
    #: What the invited contact answered, as the event says it: a PARTSTAT in lower case; None: nothing yet.
    answer: str | None = None
    #: What made it, and when it was last changed there, as that said it.
    source: str = "api"
    source_updated_at: str | None = None

    @property
    def wanted_upstream(self) -> bool:
        """Whether an event should exist in iCloud: not for cancelled, invalid or deleted ones."""
        return self.deleted_at is None and self.fields.status not in {"cancelled", "invalid"}


@dataclass(frozen=True, slots=True)
class BlockedSlot:
    """Busy time made in the CRM. It never leaves the bridge."""

    id: str
    location_id: str
    user_id: str
    booking_calendar_id: str | None
    title: str
    start: int
    end: int
    time_zone: str | None
    utc_offset: int
    #: A hold: it stops blocking at this instant.
    expires_at: int | None
    version: int
    created_at: int
    updated_at: int
    deleted_at: int | None


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What a bearer token may do. No locations: every location."""

    id: str
    label: str
    location_ids: frozenset[str]
    scopes: frozenset[str]
    created_at: int
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A durable intent: bring one Appointment's event in iCloud to what the Appointment says.

    There is at most one open entry per appointment; what is written is decided when it is carried out, so that several
    changes in a row become one PUT.
    """

    id: int
    appointment_id: str
    account_id: str
    state: OutboxState
    #: Rises with each new wish; a result only settles the entry if nothing was wished for meanwhile.
    generation: int
    attempts: int
    next_attempt_at: int
    lease_until: int | None
    last_error: str | None
