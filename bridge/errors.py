"""One small tree of errors. Each class carries facts; sentences and HTTP statuses are made elsewhere, once.

`bridge.web.problems` turns these into HTTP answers, `bridge.sentences` into words for the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BridgeError(Exception):
    """Anything the bridge reports by itself. Facts are attributes."""


# --- What a remote CalDAV server did -------------------------------------------------------------------------------


@dataclass
class RemoteError(BridgeError):
    """A remote did not do what was asked. `url` never carries credentials; `detail` never carries a body."""

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
    """403: refused, but not for the password. iCloud uses it for read-only calendars, policy and throttling."""


class NotFound(RemoteError):
    """404 or 410: nothing lives at this address."""


class PreconditionFailed(RemoteError):
    """412 on a write: the object exists already, or is not the version we knew."""


class Refused(RemoteError):
    """Any other 4xx on a write: sending the same again will not help."""


class TokenRejected(RemoteError):
    """The sync-token is unknown to the server: list everything and compare. Never a sign of deletion."""


@dataclass
class Throttled(RemoteError):
    """429 or 503. `retry_after` is the server's wish in seconds, if it gave one; iCloud's is often too short."""

    retry_after: float | None = None


class NoAnswer(StrEnum):
    """Why there was no answer: each calls for something else."""

    UNKNOWN_HOST = "unknown_host"
    NOT_LISTENING = "not_listening"
    #: TLS could not be begun: most often the certificate can't be verified.
    UNTRUSTED = "untrusted"
    TIMEOUT = "timeout"
    #: Anything else, such as a network that is down, or a connection that broke off.
    BROKEN = "unreachable"


@dataclass
class Unreachable(RemoteError):
    """No answer, and why."""

    why: NoAnswer = NoAnswer.BROKEN


class ServerFault(RemoteError):
    """A 5xx other than 503: try again later."""


class BadAnswer(RemoteError):
    """An answer that can't be trusted: malformed, truncated or partial. Nothing may be concluded from it."""


class CredentialsWithheld(RemoteError):
    """A redirect or href led to a host that may not receive this account's credentials."""


# --- What a receiver of webhooks did ---------------------------------------------------------------------------------


@dataclass
class NotTaken(BridgeError):
    """A receiver did not take a webhook. `reason` is a short sentence that quotes nothing of its answer."""

    reason: str
    #: None: it did not answer.
    status: int | None = None
    #: Its wish in seconds, if it gave one.
    retry_after: float | None = None


# --- What calendar data can't tell ----------------------------------------------------------------------------------


@dataclass
class Unreadable(BridgeError):
    """A calendar object that can't be read. `reason` is a sentence that quotes nothing of it."""

    reason: str


# --- What the store, the secrets and the settings refuse -------------------------------------------------------------


@dataclass
class SecretsKeyMissing(BridgeError):
    """No key to open the stored secrets with. A new key is never made silently, as it could not open them."""

    source: str


@dataclass
class SecretsKeyRefused(BridgeError):
    """There is a key, but it is not to be used, or can't be.

    `reason` is one of: `open_to_others`, `malformed`, `unreadable`, `not_written`, `another`.
    """

    source: str
    reason: str
    detail: str = ""


@dataclass
class SecretUnreadable(BridgeError):
    """The key does not open this secret: it is another key, or the secret was damaged."""

    source: str


@dataclass(frozen=True)
class SettingProblem:
    """One thing wrong in a settings file: where, what, and what to do."""

    where: str
    line: int | None
    problem: str
    remedy: str


@dataclass
class SettingsInvalid(BridgeError):
    """The settings file can't be used; every problem is listed."""

    path: str
    problems: tuple[SettingProblem, ...]


@dataclass
class StoreUnusable(BridgeError):
    """The database can't be opened or is from a newer bridge."""

    path: str
    reason: str


@dataclass
class StoreNotWritable(BridgeError):
    """The database takes no writes at the moment: the disk is full, another program holds it, … Nothing was written."""

    path: str
    reason: str


# --- What keeps a server from running --------------------------------------------------------------------------------


@dataclass
class CannotListen(BridgeError):
    """A server can't listen where it should. `setting` names the table that says where."""

    setting: str
    host: str
    port: int
    detail: str


@dataclass
class ChildFailed(BridgeError):
    """A server that `bridge serve` started ended before it ever answered. It has said why by itself."""

    name: str
    status: int


# --- What a use case refuses -----------------------------------------------------------------------------------------


@dataclass
class Unknown(BridgeError):
    """No such thing, or it belongs to somebody else: both look the same from outside."""

    kind: str
    id: str
    #: The User among whose things it was looked for; None: among all.
    user_id: str | None = None


@dataclass
class Exists(BridgeError):
    """It is there already."""

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
    """A request whose fields can't be used; all problems at once."""

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
    """Calendars of these Users were not read, or too long ago: whether they are free can't be told."""

    user_ids: tuple[str, ...]
    #: Those of them who have to give an account's new password first.
    needs_password: tuple[str, ...] = ()


@dataclass
class NotBookable(BridgeError):
    """The booking calendar's rules don't allow this time.

    `reason` is one of: `outside_hours`, `off_grid`, `bad_length`, `short_notice`, `too_far_ahead`, `day_full`.
    """

    reason: str


@dataclass
class VersionMismatch(BridgeError):
    """If-Match named another version than the current one; None: there is none yet."""

    current: int | None


@dataclass
class ReadOnly(BridgeError):
    """A blocked slot that came from iCloud can't be changed here."""

    kind: str
    id: str


@dataclass
class SetByAdministrator(BridgeError):
    """The settings file at `path` declares this, so that it can only be changed there."""

    kind: str
    id: str
    path: str


@dataclass
class NotWritable(BridgeError):
    """The calendar chosen as Primary can't be written by this account."""

    calendar_id: str


@dataclass
class NoPrimaryCalendar(BridgeError):
    """The User has no Primary calendar, so an appointment has nowhere to go."""

    user_id: str


@dataclass
class DuplicateExternalId(BridgeError):
    """Another appointment of this location has this externalId, with other content, or had it when it was deleted."""

    existing_id: str
    deleted: bool = False


@dataclass
class KeyReused(BridgeError):
    """An Idempotency-Key came with another request before."""


class CursorExpired(BridgeError):
    """What a cursor of the change feed stands for is no longer kept, or never was in this store: list anew."""


@dataclass
class AccountNotConnected(BridgeError):
    """Connecting failed for a reason that a person can mend.

    `reason` is one of: `bad_password`, `not_app_specific_password`, `wrong_host`, `not_caldav`, `no_calendars`,
    `throttled`, `server_error`, `forbidden`, `insecure_url`, `unknown_provider`, or a NoAnswer's: `unknown_host`,
    `not_listening`, `untrusted`, `timeout`, `unreachable`.
    """

    reason: str
    provider: str
    url: str
    detail: str = ""
