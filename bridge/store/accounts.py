"""Accounts and their Calendars."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from bridge.domain.model import Account, AccountState, Calendar, ListTrust, Role, SlotSettings, Titles
from bridge.store.db import Row, Tx


def put(tx: Tx, account: Account, *, now: int) -> None:
    """Add an Account, or give the one with the same login its new secret and state."""
    tx.execute(
        "INSERT INTO accounts (id, user_id, provider, username, secret, home_url, addresses, state, state_reason,"
        " state_since, created_at) VALUES (:id, :user_id, :provider, :username, :secret, :home_url, :addresses, :state,"
        " :state_reason, :state_since, :now)"
        " ON CONFLICT (id) DO UPDATE SET secret = excluded.secret, home_url = excluded.home_url,"
        " addresses = excluded.addresses, state = excluded.state, state_reason = excluded.state_reason,"
        " state_since = excluded.state_since, next_poll_at = 0, failures = 0",
        {
            "id": account.id,
            "user_id": account.user_id,
            "provider": account.provider,
            "username": account.username,
            "secret": account.secret,
            "home_url": account.home_url,
            "addresses": json.dumps(account.addresses),
            "state": account.state,
            "state_reason": account.state_reason,
            "state_since": account.state_since,
            "now": now,
        },
    )


def get(tx: Tx, account_id: str) -> Account | None:
    """The Account, or None."""
    row = tx.execute(f"SELECT {_ACCOUNT} FROM accounts WHERE id = :id", {"id": account_id}).fetchone()
    return _account(row) if row else None


def find(tx: Tx, user_id: str, provider: str, username: str) -> Account | None:
    """The User's Account with this login, or None."""
    row = tx.execute(
        f"SELECT {_ACCOUNT} FROM accounts WHERE user_id = :user_id AND provider = :provider AND username = :username",
        {"user_id": user_id, "provider": provider, "username": username},
    ).fetchone()
    return _account(row) if row else None


def all_of(tx: Tx, user_id: str | None = None) -> list[Account]:
    """The Accounts of one User, or of all."""
    of = "" if user_id is None else " WHERE user_id = :user_id"
    rows = tx.execute(
        f"SELECT {_ACCOUNT} FROM accounts{of} ORDER BY user_id, created_at, id",
        {"user_id": user_id},
    )
    return [_account(row) for row in rows]


def any_secret(tx: Tx) -> bool:
    """Whether the store holds a sealed secret."""
    return tx.execute("SELECT 1 FROM accounts WHERE length(secret) > 0 LIMIT 1").fetchone() is not None


def due(tx: Tx, *, now: int, limit: int) -> list[str]:
    """The ids of Accounts that are due to be polled, the longest due first."""
    rows = tx.execute(
        "SELECT id FROM accounts WHERE next_poll_at <= :now ORDER BY next_poll_at LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [row["id"] for row in rows]


def failures(tx: Tx, account_id: str) -> int:
    """How many polls of the Account have failed in a row."""
    row = tx.execute("SELECT failures FROM accounts WHERE id = :id", {"id": account_id}).fetchone()
    return int(row["failures"]) if row else 0


def schedule(tx: Tx, account_id: str, *, next_poll_at: int, failures: int) -> None:
    """Set when the Account is polled next, and how many polls have failed in a row."""
    tx.execute(
        "UPDATE accounts SET next_poll_at = :at, failures = :failures WHERE id = :id",
        {"id": account_id, "at": next_poll_at, "failures": failures},
    )


def bring_forward(tx: Tx, *, now: int) -> None:
    """Make every Account due now: their next polls were planned by a clock that was wrong.

    Instants in the future at which Calendars were read come from that clock, too, and are forgotten.
    """
    tx.execute("UPDATE accounts SET next_poll_at = :now WHERE next_poll_at > :now", {"now": now})
    for column in ("last_attempt_at", "last_success_at", "read_at", "compared_at"):
        tx.execute(f"UPDATE calendars SET {column} = NULL WHERE {column} > :now", {"now": now})


def last_attempt(tx: Tx) -> int:
    """When any Calendar was last asked for news, Unix seconds; 0 if none ever was."""
    return int(tx.execute("SELECT COALESCE(MAX(last_attempt_at), 0) AS at FROM calendars").fetchone()["at"])


def set_state(tx: Tx, account_id: str, state: AccountState, reason: str, *, now: int) -> bool:
    """Set the Account's state. False when it was in this state, for this reason, already."""
    return (
        tx.execute(
            "UPDATE accounts SET state = :state, state_reason = :reason, state_since = :now"
            " WHERE id = :id AND (state <> :state OR state_reason <> :reason)",
            {"id": account_id, "state": state, "reason": reason, "now": now},
        ).rowcount
        > 0
    )


def set_list_trust(tx: Tx, account_id: str, trust: ListTrust) -> None:
    """Set whether the Account's list of calendars can be trusted to show changes."""
    tx.execute("UPDATE accounts SET list_trust = :trust WHERE id = :id", {"id": account_id, "trust": trust})


def set_home(tx: Tx, account_id: str, home_url: str) -> None:
    """Set the address at which the Account's calendars are listed."""
    tx.execute("UPDATE accounts SET home_url = :url WHERE id = :id", {"id": account_id, "url": home_url})


def remove(tx: Tx, account_id: str) -> None:
    """Remove the Account with its secret, its Calendars and their mirror."""
    tx.execute("DELETE FROM accounts WHERE id = :id", {"id": account_id})


def calendars(
    tx: Tx, *, user_id: str | None = None, account_id: str | None = None, roles: Iterable[Role] = Role
) -> list[Calendar]:
    """The Calendars with one of `roles`, of one User or of one Account, Primary first, then by id."""
    wanted = ", ".join(f"'{Role(role).value}'" for role in roles)
    column, value = ("account_id", account_id) if account_id is not None else ("user_id", user_id)
    rows = tx.execute(
        f"SELECT {_CALENDAR} FROM calendars WHERE {column} = :value AND role IN ({wanted})"
        " ORDER BY CASE role WHEN 'primary' THEN 0 ELSE 1 END, id",
        {"value": value},
    )
    return [_calendar(row) for row in rows]


def calendar(tx: Tx, calendar_id: str) -> Calendar | None:
    """The Calendar, or None."""
    row = tx.execute(f"SELECT {_CALENDAR} FROM calendars WHERE id = :id", {"id": calendar_id}).fetchone()
    return _calendar(row) if row else None


def primary_of(tx: Tx, user_id: str) -> Calendar | None:
    """The User's Primary calendar, or None."""
    found = calendars(tx, user_id=user_id, roles=[Role.PRIMARY])
    return found[0] if found else None


def put_calendar(tx: Tx, calendar: Calendar) -> None:
    """Add a Calendar; of one that is there, update what its server says (address, name, colour, writable, present)."""
    tx.execute(
        "INSERT INTO calendars (id, account_id, user_id, url, name, colour, role, writable, settings, present)"
        " VALUES (:id, :account_id, :user_id, :url, :name, :colour, :role, :writable, :settings, :present)"
        " ON CONFLICT (id) DO UPDATE SET url = excluded.url, name = excluded.name, colour = excluded.colour,"
        " writable = excluded.writable, present = excluded.present",
        {
            "id": calendar.id,
            "account_id": calendar.account_id,
            "user_id": calendar.user_id,
            "url": calendar.url,
            "name": calendar.name,
            "colour": calendar.colour,
            "role": calendar.role,
            "writable": calendar.writable,
            "settings": json.dumps(asdict(calendar.settings)),
            "present": calendar.present,
        },
    )


def set_role(tx: Tx, calendar_id: str, role: Role) -> None:
    """Set the Calendar's role. With `none` it is no longer read, so its sync state is forgotten."""
    tx.execute(
        "UPDATE calendars SET role = :role, once_primary = CASE WHEN :role = 'primary' THEN 1 ELSE once_primary END,"
        " last_error = CASE WHEN :role = 'none' THEN NULL ELSE last_error END WHERE id = :id",
        {"id": calendar_id, "role": role},
    )
    if role == Role.NONE:
        forget_sync(tx, calendar_id)
        # If it is chosen again, it counts as never read until it has been read anew.
        tx.execute("UPDATE calendars SET last_success_at = NULL WHERE id = :id", {"id": calendar_id})


def note_written(tx: Tx, calendar_id: str) -> None:
    """Note that the bridge has written events into this Calendar: it was the Primary before, under another id."""
    tx.execute("UPDATE calendars SET once_primary = 1 WHERE id = :id", {"id": calendar_id})


def forget_sync(tx: Tx, calendar_id: str) -> None:
    """Forget ctag and sync-tokens, so that the next mirror run compares with a complete listing."""
    tx.execute(
        "UPDATE calendars SET ctag = NULL, listed_token = NULL, sync_token = NULL, read_at = NULL, reads = reads + 1"
        " WHERE id = :id",
        {"id": calendar_id},
    )


def set_settings(tx: Tx, calendar_id: str, settings: SlotSettings) -> None:
    """Set which events of the Calendar become blocked slots, and what these show."""
    tx.execute(
        "UPDATE calendars SET settings = :settings WHERE id = :id",
        {"id": calendar_id, "settings": json.dumps(asdict(settings))},
    )


def note_success(
    tx: Tx,
    calendar_id: str,
    *,
    ctag: str | None,
    listed_token: str | None,
    sync_token: str | None,
    compared: bool,
    now: int,
) -> None:
    """Note that the Calendar was read completely up to `sync_token`.

    `ctag` and `listed_token` are what its Account's list of calendars said just before. `compared`: it was compared
    with a complete listing.
    """
    tx.execute(
        "UPDATE calendars SET ctag = :ctag, listed_token = :listed_token, sync_token = :sync_token, read_at = :now,"
        " compared_at = CASE WHEN :compared THEN :now ELSE compared_at END, reads = reads + 1, last_attempt_at = :now,"
        " last_success_at = :now, last_error = NULL WHERE id = :id",
        {
            "id": calendar_id,
            "ctag": ctag,
            "listed_token": listed_token,
            "sync_token": sync_token,
            "compared": compared,
            "now": now,
        },
    )


def note_unchanged(tx: Tx, calendar_ids: Iterable[str], *, now: int) -> None:
    """Note that these Calendars were asked for changes and had none."""
    tx.executemany(
        "UPDATE calendars SET last_attempt_at = :now, last_success_at = :now, last_error = NULL WHERE id = :id",
        [{"id": calendar_id, "now": now} for calendar_id in calendar_ids],
    )


def note_overtaken(tx: Tx, calendar_id: str, *, now: int) -> None:
    """Note that the Calendar was read while another run stored what it had read: it is read again."""
    tx.execute(
        "UPDATE calendars SET ctag = NULL, listed_token = NULL, reads = reads + 1, last_attempt_at = :now"
        " WHERE id = :id",
        {"id": calendar_id, "now": now},
    )


def note_failure(tx: Tx, calendar_id: str, error: str, *, now: int) -> None:
    """Note that reading the Calendar failed. What was read before is kept."""
    tx.execute(
        "UPDATE calendars SET last_attempt_at = :now, last_error = :error WHERE id = :id",
        {"id": calendar_id, "error": error, "now": now},
    )


_ACCOUNT = "id, user_id, provider, username, secret, home_url, addresses, state, state_reason, state_since, list_trust"
_CALENDAR = (
    "id, account_id, user_id, url, name, colour, role, writable, ctag, sync_token, settings, present,"
    " last_attempt_at, last_success_at, last_error, listed_token, read_at, compared_at, reads, once_primary"
)


def _account(row: Row) -> Account:
    return Account(
        id=row["id"],
        user_id=row["user_id"],
        provider=row["provider"],
        username=row["username"],
        secret=bytes(row["secret"]),
        home_url=row["home_url"],
        state=AccountState(row["state"]),
        state_reason=row["state_reason"],
        state_since=row["state_since"],
        addresses=tuple(json.loads(row["addresses"])),
        list_trust=ListTrust(row["list_trust"]),
    )


def _calendar(row: Row) -> Calendar:
    settings = json.loads(row["settings"])
    return Calendar(
        id=row["id"],
        account_id=row["account_id"],
        user_id=row["user_id"],
        url=row["url"],
        name=row["name"],
        colour=row["colour"],
        role=Role(row["role"]),
        writable=None if row["writable"] is None else bool(row["writable"]),
        ctag=row["ctag"],
        sync_token=row["sync_token"],
        settings=SlotSettings(**{**settings, "titles": Titles(settings.get("titles", Titles.BUSY))}),
        present=bool(row["present"]),
        last_attempt_at=row["last_attempt_at"],
        last_success_at=row["last_success_at"],
        last_error=row["last_error"],
        listed_token=row["listed_token"],
        read_at=row["read_at"],
        compared_at=row["compared_at"],
        reads=row["reads"],
        once_primary=bool(row["once_primary"]),
    )
