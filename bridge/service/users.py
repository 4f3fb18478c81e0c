"""Users, their calendar passwords, and API tokens."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace

from bridge.domain.booking_calendars import DEFAULT_MINUTES, BookingCalendar
from bridge.domain.declared import What
from bridge.domain.model import USER_ID, ApiToken, TwoWay, User
from bridge.domain.time_zones import is_time_zone
from bridge.errors import Exists, FieldProblem, Invalid, Unknown
from bridge.service import changes, publish, visibility
from bridge.service.fixed import refuse_if_fixed
from bridge.service.visibility import Locations
from bridge.store import appointments, booking_calendars, idempotency, passwords, users
from bridge.store.db import Db, Tx

SCOPES = (
    "calendars.readonly",
    "calendars.write",
    "calendars/events.readonly",
    "calendars/events.write",
    "webhooks.write",
    "metrics",
    "admin",
)


_TIME_ZONE_PROBLEM = FieldProblem("/timezone", "invalid_time_zone", "Use an IANA time zone name such as Europe/Berlin.")


#: Called inside a use case's transaction, so that what it writes is committed together with it or not at all.
AlsoUser = Callable[[Tx, tuple[User, BookingCalendar]], None]
AlsoPassword = Callable[[Tx, tuple[str, str]], None]


def add_user(
    db: Db,
    *,
    id: str,
    location_id: str,
    name: str,
    time_zone: str,
    now: int,
    two_way: TwoWay = TwoWay.ACCEPT,
    also: AlsoUser | None = None,
) -> tuple[User, BookingCalendar]:
    """Add a User and a booking calendar of their own. Raises `Invalid` or `Exists`."""
    with db.write() as tx:
        made = enrol(tx, id=id, location_id=location_id, name=name, time_zone=time_zone, two_way=two_way, now=now)
        if also is not None:
            also(tx, made)
    return made


def enrol(
    tx: Tx, *, id: str, location_id: str, name: str, time_zone: str, two_way: TwoWay, now: int
) -> tuple[User, BookingCalendar]:
    """As `add_user`, in the caller's transaction."""
    problems = []
    if not USER_ID.fullmatch(id):
        problems.append(
            FieldProblem(
                "/id",
                "invalid_value",
                "Use 1 to 64 letters, digits, dots, dashes or underscores, a letter or digit first.",
            )
        )
    if not location_id.strip():
        problems.append(FieldProblem("/locationId", "missing", "Name the CRM's location that the User belongs to."))
    if not is_time_zone(time_zone):
        problems.append(_TIME_ZONE_PROBLEM)
    if problems:
        raise Invalid(tuple(problems))
    user = User(id=id, location_id=location_id, name=name or id, time_zone=time_zone, revision=0)
    calendar = BookingCalendar(
        id=f"cal_{secrets.token_hex(8)}",
        location_id=location_id,
        name=user.name,
        user_ids=(id,),
        slot_minutes=DEFAULT_MINUTES,
        created_at=now,
        updated_at=now,
    )
    # Some clients compare paths without regard to case, so ids must differ in more than case.
    if any(other.id.lower() == id.lower() for other in users.all_users(tx)):
        raise Exists("user", id)
    users.add(tx, user, now=now)
    users.set_two_way(tx, id, two_way)
    booking_calendars.put(tx, calendar)
    return user, calendar


def get_user(db: Db, user_id: str, *, locations: Locations = None) -> User:
    """The User. Raises `Unknown`."""
    with db.read() as tx:
        return visibility.user(tx, user_id, locations)


def change_user(
    db: Db,
    user_id: str,
    *,
    now: int,
    name: str | None = None,
    time_zone: str | None = None,
    two_way: TwoWay | None = None,
) -> User:
    """Change a User's name, time zone or two-way setting: all of them, or nothing when one is refused.

    All-day and floating events follow the zone, in one revision. Raises `Unknown`, `Invalid`, `SetByAdministrator`.
    """
    if time_zone is not None and not is_time_zone(time_zone):
        raise Invalid((_TIME_ZONE_PROBLEM,))
    with db.write() as tx:
        before = users.get(tx, user_id)
        if before is None:
            raise Unknown("user", user_id)
        after = replace(before, name=name or before.name, time_zone=time_zone or before.time_zone)
        if after != before:
            refuse_if_fixed(tx, What.USER, user_id)
            alter(tx, before, after, now=now)
        if two_way is not None and two_way != users.two_way(tx, user_id):
            refuse_if_fixed(tx, What.TWO_WAY, user_id)
            users.set_two_way(tx, user_id, two_way)
    return after


def alter(tx: Tx, before: User, after: User, *, now: int) -> None:
    """Change a User's name or time zone, in the caller's transaction."""
    users.change(tx, after)
    if after.time_zone != before.time_zone:
        publish.publish_everything(tx, after, now=now)
        changes.time_zone_changed(tx, after, now=now)


def two_way(db: Db, user_id: str) -> TwoWay:
    """What happens when a person changes an Appointment's event in iCloud. Raises `Unknown`."""
    with db.read() as tx:
        if users.get(tx, user_id) is None:
            raise Unknown("user", user_id)
        return users.two_way(tx, user_id)


def list_users(db: Db, *, locations: Locations = None) -> list[User]:
    """Every User that the caller may see, by id."""
    with db.read() as tx:
        return visibility.all_users(tx, locations)


def booking_calendars_of(db: Db, user_id: str) -> list[str]:
    """The ids of the booking calendars that a User belongs to, oldest first."""
    with db.read() as tx:
        return booking_calendars.ids_of_user(tx, user_id)


def remove_user(db: Db, user_id: str, *, now: int) -> None:
    """Remove a User and everything that belongs to them. Events in iCloud stay there.

    Only their id is kept: in the audit log, and in the last entry of the change feed about them, for the CRM. Raises
    `Unknown`, `SetByAdministrator`.
    """
    with db.write() as tx:
        user = users.get(tx, user_id)
        if user is None:
            raise Unknown("user", user_id)
        refuse_if_fixed(tx, What.USER, user_id)
        known = [password.id for password in passwords.list_for(tx, user_id)]
        for booked in appointments.of_user(tx, user_id):
            publish.withdraw(tx, booked, booked.other_user_ids, now=now)
        changes.user_removed(tx, user, now=now)
        idempotency.forget(tx, user_id)
        users.remove(tx, user_id)
    db.wipe()
    passwords.forget_use(passwords.last_use_directory(db.path), known)


def add_password(db: Db, user_id: str, label: str, now: int, *, also: AlsoPassword | None = None) -> tuple[str, str]:
    """Make a calendar password. Returns its id, and the password, which is not stored. Raises `Unknown`."""
    with db.write() as tx:
        if users.get(tx, user_id) is None:
            raise Unknown("user", user_id)
        made = passwords.add(tx, user_id, label, now)
        if also is not None:
            also(tx, made)
    return made


def list_passwords(db: Db, user_id: str) -> list[passwords.CalendarPassword]:
    """A User's calendar passwords, without the passwords themselves. Raises `Unknown`."""
    with db.read() as tx:
        if users.get(tx, user_id) is None:
            raise Unknown("user", user_id)
        found = passwords.list_for(tx, user_id)
    # Collected into the store from time to time only; whoever looks wants to see the use of a moment ago.
    uses = passwords.last_use_directory(db.path)
    return [
        replace(one, last_used_at=max(one.last_used_at or 0, passwords.last_use(uses, one.id) or 0) or None)
        for one in found
    ]


def revoke_password(db: Db, user_id: str, password_id: str, now: int) -> None:
    """Revoke one calendar password. Raises `Unknown`."""
    with db.write() as tx:
        if not passwords.revoke(tx, user_id, password_id, now):
            raise Unknown("calendar password", password_id, user_id)


def add_token(db: Db, *, label: str, location_ids: Iterable[str], scopes: Iterable[str], now: int) -> tuple[str, str]:
    """Make an API token. Returns its id, and the token, which is not stored. Raises `Invalid` for an unknown scope."""
    wanted = frozenset(scopes)
    if unknown := sorted(wanted - set(SCOPES)):
        raise Invalid(
            tuple(
                FieldProblem("/scopes", "unknown_scope", f"There is no scope {scope}; use {', '.join(SCOPES)}.")
                for scope in unknown
            )
        )
    secret = f"brt_{secrets.token_urlsafe(32)}"
    token = ApiToken(
        id=f"tok_{secrets.token_hex(6)}",
        label=label,
        location_ids=frozenset(location_ids),
        scopes=wanted,
        created_at=now,
        revoked_at=None,
    )
    with db.write() as tx:
        users.add_token(tx, token, _token_hash(secret))
    return token.id, secret


def authenticate_token(db: Db, token: str) -> ApiToken | None:
    """The API token with this secret; None where it is unknown or revoked."""
    with db.read() as tx:
        return users.token_by_hash(tx, _token_hash(token))


def list_tokens(db: Db) -> list[ApiToken]:
    """Every token, without the tokens themselves."""
    with db.read() as tx:
        return users.all_tokens(tx)


def revoke_token(db: Db, token_id: str, now: int) -> None:
    """Revoke a token. Raises `Unknown`."""
    with db.write() as tx:
        if not users.revoke_token(tx, token_id, now=now):
            raise Unknown("token", token_id)


def _token_hash(token: str) -> str:
    # 256 random bits can't be guessed from their hash, so a fast hash without salt is enough. An index finds it.
    return hashlib.sha256(token.encode()).hexdigest()
