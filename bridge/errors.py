"""Every error of the bridge, in one small tree. The classes carry facts as attributes, and no sentences.

`bridge.web.problems` turns them into HTTP answers, `bridge.sentences` into sentences for the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BridgeError(Exception):
    """The base class of all errors that the bridge raises."""


# --- What a remote CalDAV server did -------------------------------------------------------------------------------


@dataclass
class RemoteError(BridgeError):
    """A remote server did not do what it was asked. `url` has no credentials in it, and `detail` no body."""

    url: str
    detail: str = ""

    def __str__(self) -> str:
        return (
            f"{type(self).__name__} at {self.url}: {self.detail}"
            if self.detail
            else f"{type(self).__name__} at {self.url}"
        )


class Unauthorized(RemoteError):
    """401: the user name or password was refused. Never used for 403, a timeout or a 503."""


class Forbidden(RemoteError):
    """403: refused, but not for the password. iCloud uses it for read-only calendars, policy and throttling.

    Also a 404 for a new object in a calendar that exists: it may be temporary, too.
    """


class NotFound(RemoteError):
    """404 or 410: there is nothing at this address."""


class PreconditionFailed(RemoteError):
    """412 on a write: the object exists already, or is not the version that was named."""


class Refused(RemoteError):
    """Any other 4xx on a write: sending the same again will not help."""


class TokenRejected(RemoteError):
    """The server does not know the sync-token: everything has to be listed. Never a sign that objects are deleted."""


@dataclass
class Throttled(RemoteError):
    """429 or 503. `retry_after` is what the server asks for, in seconds; None: nothing. iCloud's is often too short."""

    retry_after: float | None = None


class NoAnswer(StrEnum):
    """Why there was no answer. Each reason needs another remedy."""

    UNKNOWN_HOST = "unknown_host"
    NOT_LISTENING = "not_listening"
    #: No TLS connection: mostly because the certificate can't be verified.
    UNTRUSTED = "untrusted"
    TIMEOUT = "timeout"
    #: Anything else, such as a network that is down, or a broken connection.
    BROKEN = "unreachable"


@dataclass
class Unreachable(RemoteError):
    """The server did not answer."""

    why: NoAnswer = NoAnswer.BROKEN


class ServerFault(RemoteError):
    """A 5xx other than 503: try again later."""


class BadAnswer(RemoteError):
    """An answer that is malformed, truncated or incomplete. Nothing may be concluded from it."""


class CredentialsWithheld(RemoteError):
    """A redirect or href led to a host that may not receive this account's credentials."""


# --- What a receiver of webhooks did ---------------------------------------------------------------------------------


@dataclass
class NotTaken(BridgeError):
    """A receiver did not take a webhook. `reason` is a short sentence that quotes nothing of its answer."""

    reason: str
    #: The HTTP status; None: it did not answer.
    status: int | None = None
    #: Its Retry-After in seconds; None: it sent none.
    retry_after: float | None = None


# --- What calendar data can't tell ----------------------------------------------------------------------------------


@dataclass
class Unreadable(BridgeError):
    """A calendar object can't be read. `reason` is a sentence that quotes nothing of the object."""

    reason: str


# --- What the store, the secrets and the settings refuse -------------------------------------------------------------


@dataclass
class SecretsKeyMissing(BridgeError):
    """There is no key for the stored secrets. A new key would not open them, so none is made."""

    source: str


@dataclass
class SecretsKeyRefused(BridgeError):
    """There is a key, but it can't or must not be used.

    `reason` is one of: `open_to_others`, `malformed`, `unreadable`, `not_written`, `another`.
    """

    source: str
    reason: str
    detail: str = ""


@dataclass
class SecretUnreadable(BridgeError):
    """The key does not open this secret: it is a different key, or the secret is damaged."""

    source: str


@dataclass(frozen=True)
class SettingProblem:
    """One problem in a settings file: where, what is wrong, and what to do."""

    where: str
    line: int | None
    problem: str
    remedy: str


@dataclass
class SettingsInvalid(BridgeError):
    """The settings file can't be used. `problems` are all of its problems."""

    path: str
    problems: tuple[SettingProblem, ...]


@dataclass
class StoreUnusable(BridgeError):
    """The database can't be opened or is from a newer bridge."""

    path: str
    reason: str


@dataclass
class StoreUnavailable(BridgeError):
    """The database can't be used at the moment: the disk is full, another program holds it, … Nothing was written."""

    path: str
    reason: str
    #: Whether it only has to be waited for: another transaction is under way.
    busy: bool = False


# --- What keeps a server from running --------------------------------------------------------------------------------


@dataclass
class CannotListen(BridgeError):
    """A server can't listen at its address. `setting` is the table of the settings that sets it."""

    setting: str
    host: str
    port: int
    detail: str


@dataclass
class ChildFailed(BridgeError):
    """A server that `bridge serve` started ended before its first answer. It has printed the reason itself."""

    name: str
    status: int


# --- What a use case refuses -----------------------------------------------------------------------------------------


@dataclass
class Unknown(BridgeError):
    """There is no such thing, or the caller must not know of it: both look the same to them."""

    kind: str
    id: str
    #: The User whose things were searched; None: all were.
    user_id: str | None = None


@dataclass
class Exists(BridgeError):
    """There is one already."""

    kind: str
    id: str


@dataclass
class TooMany(BridgeError):
    """There are `most` of its kind already."""

    kind: str
    most: int


@dataclass(frozen=True)
class FieldProblem:
    """One wrong field of a request. `pointer` is a JSON pointer (RFC 6901)."""

    pointer: str
    code: str
    detail: str


@dataclass
class Invalid(BridgeError):
    """The fields of a request can't be used. `problems` are all of their problems."""

    problems: tuple[FieldProblem, ...]


@dataclass
class TooMuchAtOnce(BridgeError):
    """So many days of Users are asked about at once, and `most` would do."""

    user_days: int
    most: int


@dataclass
class SlotUnavailable(BridgeError):
    """The time is taken. `conflicts` are (start, end, kind), never titles; to be told in the zone of the request."""

    conflicts: tuple[tuple[int, int, str], ...]
    time_zone: str | None = None
    utc_offset: int = 0
    #: Whether several times were asked for, of which others may be free.
    recurring: bool = False


@dataclass
class CalendarsStale(BridgeError):
    """Calendars of these Users were never read, or too long ago, so it is not known whether they are free."""

    user_ids: tuple[str, ...]
    #: Those of them with an Account that needs a new password.
    needs_password: tuple[str, ...] = ()


@dataclass
class NotBookable(BridgeError):
    """The booking calendar's rules don't allow this time.

    `reason` is one of: `outside_hours`, `off_grid`, `bad_length`, `short_notice`, `too_far_ahead`, `day_full`.
    """

    reason: str


@dataclass
class VersionMismatch(BridgeError):
    """If-Match named another version than the current one. `current` None: there is none yet."""

    current: int | None


@dataclass
class ReadOnly(BridgeError):
    """A blocked slot that came from iCloud can't be changed here."""

    kind: str
    id: str


@dataclass
class SetByAdministrator(BridgeError):
    """The settings file at `path` declares this, so it can only be changed there."""

    kind: str
    id: str
    path: str


@dataclass
class NotWritable(BridgeError):
    """The calendar chosen as Primary can't be written by this account."""

    calendar_id: str


@dataclass
class NoPrimaryCalendar(BridgeError):
    """The User has no Primary calendar to which an appointment could be written."""

    user_id: str


@dataclass
class DuplicateExternalId(BridgeError):
    """Another appointment of this location has this externalId, with other content, or had it when it was deleted."""

    existing_id: str
    deleted: bool = False


@dataclass
class KeyReused(BridgeError):
    """The Idempotency-Key was used for another request before."""


class CursorExpired(BridgeError):
    """The changes after this cursor are no longer kept, or are of another store: everything has to be listed."""


@dataclass
class AccountNotConnected(BridgeError):
    """An Account can't be connected, for a reason that a person can remedy.

    `reason` is one of: `bad_password`, `not_app_specific_password`, `wrong_host`, `not_caldav`, `no_calendars`,
    `throttled`, `server_error`, `forbidden`, `insecure_url`, `unknown_provider`, or a NoAnswer's: `unknown_host`,
    `not_listening`, `untrusted`, `timeout`, `unreachable`.
    """

    reason: str
    provider: str
    url: str
    detail: str = ""
