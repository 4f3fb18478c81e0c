"""The vocabulary, as frozen dataclasses.

Every instant is a whole number of Unix seconds, UTC; every span is half-open `[start, end)`. Time zones are IANA names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

#: The form of a User's id. It is part of URLs, so only characters are allowed that need no escaping anywhere.
USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


#: Seconds for which deleted things are still reported: by the API, and to clients of the merged calendar.
TOMBSTONE_SECONDS = 90 * 86_400


class Role(StrEnum):
    """What a remote Calendar is to its User."""

    PRIMARY = "primary"
    CONFLICT = "conflict"
    NONE = "none"


class AccountState(StrEnum):
    """The state of an Account. `needs_password` is only set on proof: a 401 on a login that used to work."""

    CONNECTED = "connected"
    NEEDS_PASSWORD = "needs_password"  # noqa: S105 - the name of a state
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"


class ListTrust(StrEnum):
    """Whether the ctags and sync-tokens in a server's list of calendars can be trusted to show every change."""

    #: No change has been seen since the Account was connected. Calendars are also asked themselves, now and then.
    UNPROVEN = "unproven"
    #: A change has been seen, and the list showed it.
    TRUSTED = "trusted"
    #: A change has been seen that the list did not show. Every calendar is asked for its changes at each poll.
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
    """Where a BlockedSlot was made."""

    ICLOUD = "icloud"
    CRM = "crm"


class SyncState(StrEnum):
    """Whether iCloud has an Appointment as it is now."""

    PENDING = "pending"
    SYNCED = "synced"
    FAILED = "failed"
    CONFLICT = "conflict"
    NOT_SYNCED = "not_synced"


class OutboxState(StrEnum):
    """The state of an OutboxEntry."""

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
    #: The owner's e-mail addresses in lower case (calendar user addresses, RFC 6638), to find their own PARTSTAT among
    #: the guests of an event. The first one is used as ORGANIZER.
    addresses: tuple[str, ...]
    list_trust: ListTrust = ListTrust.UNPROVEN


@dataclass(frozen=True, slots=True)
class SlotSettings:
    """Which events of a Calendar become blocked slots, and what these show."""

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
    #: None: the server does not say. It is taken to be writable until a write is refused with 403.
    writable: bool | None
    #: The ctag in the Account's list of calendars, just before the Calendar was last read. See also `listed_token`.
    ctag: str | None
    #: The sync-token that the Calendar itself gave when it was last read completely.
    sync_token: str | None
    settings: SlotSettings
    #: False if it is missing in the server's list of calendars.
    present: bool
    last_attempt_at: int | None
    last_success_at: int | None
    last_error: str | None
    #: The sync-token in the Account's list of calendars, just before the Calendar was last read.
    listed_token: str | None = None
    #: When the Calendar itself was last asked for changes, rather than its Account's list of calendars.
    read_at: int | None = None
    #: When it was last compared with a complete listing.
    compared_at: int | None = None
    #: Raised each time the sync state is set or forgotten, so that two simultaneous runs notice each other.
    reads: int = 0
    #: Whether it is or ever was the Primary. The bridge may delete its own events there.
    once_primary: bool = False


@dataclass(frozen=True, slots=True)
class MirrorItem:
    """Our copy of one remote object. `href` is the path of its address, as the server writes it."""

    calendar_id: str
    href: str
    etag: str
    uid: str
    ics: str
    #: Why the newest version can't be read; None: it can. `ics` is then the last readable version, or empty.
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One stretch of time that a published item covers. If `all_day`, from midnight to midnight in the User's zone."""

    start: int
    end: int
    all_day: bool = False


@dataclass(frozen=True, slots=True)
class PublishedItem:
    """What the merged calendar serves for one UID."""

    href: str
    etag: str
    ics: str
    #: The first instant covered, and the first instant after all of it; None: it has no end.
    first_start: int
    last_end: int | None
    kind: ItemKind
    #: The id of the Appointment or CRM BlockedSlot; for a mirrored event, the id of its Calendar.
    source_id: str
    occurrences: tuple[Occurrence, ...] = ()
    #: The span for which `occurrences` is complete; None: the item has no others.
    expanded: Interval | None = None

    @property
    def uid(self) -> str:
        """The UID that its text has."""
        return self.href.removesuffix(".ics")


class ItemKind(StrEnum):
    """What a published item stands for."""

    ICLOUD = "icloud"
    CRM = "crm"
    APPOINTMENT = "appointment"


@dataclass(frozen=True, slots=True)
class AppointmentFields:
    """The fields of an Appointment that its event in iCloud has as well. Two-way sync compares them."""

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
    #: The UTC offset (seconds east) in which the CRM wrote the times, if it named no time zone.
    utc_offset: int
    #: All other fields that the CRM sent. They are only kept and returned.
    extra: dict[str, object]
    version: int
    created_at: int
    updated_at: int
    deleted_at: int | None
    uid: str
    sync_state: SyncState
    sync_error: str | None
    #: When its event was last read back from its calendar; None: never.
    synced_at: int | None
    #: Where its event is upstream; None until the first push has chosen the primary calendar.
    calendar_id: str | None
    href: str | None
    #: The fields as both sides last agreed on them.
    agreed: AppointmentFields | None
    #: What attempts have sent since then without learning whether it arrived.
    attempted: tuple[AppointmentFields, ...] = ()
    #: The text by which its single times are known, where that is not its event as it was last read: the event moves to
    #: another Calendar (what a person added goes along, under its new UID), is not read any more, or has other single
    #: times than the Appointment.
    carried: str | None = None
    #: The ids of the other Users whose time it takes: the other Users of a collective calendar.
    other_user_ids: tuple[str, ...] = ()
    #: For a single time that has become an Appointment of its own: the id of the recurring Appointment.
    master_id: str | None = None
    #: For a stand-in, which exists only to delete an event upstream: the id of the Appointment that had the event.
    stands_in_for: str | None = None
    #: What the invited contact answered: a PARTSTAT in lower case; None: nothing yet.
    answer: str | None = None
    #: What it was made by, such as `api`, and when it was last changed there, in the words of that source.
    source: str = "api"
    source_updated_at: str | None = None

    @property
    def wanted_upstream(self) -> bool:
        """Whether its event should exist in iCloud. Not if it is cancelled, invalid or deleted."""
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
    #: For a hold: the instant at which it stops blocking. None: it does not expire.
    expires_at: int | None
    version: int
    created_at: int
    updated_at: int
    deleted_at: int | None


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A bearer token of the API, and what it may do. An empty `location_ids` means every location."""

    id: str
    label: str
    location_ids: frozenset[str]
    scopes: frozenset[str]
    created_at: int
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A durable intent to bring one Appointment's event in iCloud up to date with the Appointment.

    There is at most one open entry for an Appointment. What is written is decided when the entry is carried out, so
    that several changes in a row become one PUT.
    """

    id: int
    appointment_id: str
    account_id: str
    state: OutboxState
    #: Raised each time a push is asked for again. A result settles the entry only if this has not changed meanwhile.
    generation: int
    attempts: int
    next_attempt_at: int
    lease_until: int | None
    last_error: str | None
