"""Refusing to change what the settings file declares: only the file can change that."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain.declared import What
from bridge.errors import SetByAdministrator
from bridge.store import declared
from bridge.store.db import Db, Tx

_KINDS = {
    What.USER: "user",
    What.TWO_WAY: "two-way setting of user",
    What.ACCOUNT: "account",
    What.PRIMARY: "Primary calendar of user",
    What.CONFLICTS: "choice of conflict calendars of account",
    What.SLOTS: "settings of calendar",
}


def refuse_if_fixed(tx: Tx, what: What, subject: str) -> None:
    """Raises `SetByAdministrator` where the settings file sets this."""
    path = declared.path_of(tx, what, subject)
    if path is not None:
        raise SetByAdministrator(_KINDS[what], subject, path)


def refuse_what_is_fixed(db: Db, what: What, subject: str) -> None:
    """As `refuse_if_fixed`, in a transaction of its own, before anything is begun."""
    with db.read() as tx:
        refuse_if_fixed(tx, what, subject)


@dataclass(frozen=True, slots=True)
class Fixed:
    """What the settings file sets for one User. Accounts and Calendars are given by their ids."""

    user: bool
    primary: bool
    accounts: frozenset[str]
    #: The Accounts whose conflict calendars are set, and the Calendars whose settings are.
    conflicts: frozenset[str]
    slots: frozenset[str]


def fixed_of(db: Db, user_id: str) -> Fixed:
    """What the settings file sets for a User."""
    with db.read() as tx:
        settings = declared.settings(tx, user_id)
    of = {what: frozenset(one.subject for one in settings if one.what == what) for what in What}
    return Fixed(
        user=bool(of[What.USER]),
        primary=bool(of[What.PRIMARY]),
        accounts=of[What.ACCOUNT],
        conflicts=of[What.CONFLICTS],
        slots=of[What.SLOTS],
    )
