"""What the settings file declares of Users, and the plan that makes the store agree with it. Pure.

The plan is what `bridge apply` prints and then carries out. Leaving something out of the file removes nothing: what is
no longer declared stays as it is, and can be changed in other ways from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.domain.model import Role, SlotSettings, TwoWay, User

#: Where in the settings file something stands, such as ("users", 0, "accounts", 1, "primary").
Place = tuple[str | int, ...]


class What(StrEnum):
    """What the file can set for a User, an Account or a Calendar. What it sets can't be changed anywhere else."""

    #: The User exists, with this name and time zone.
    USER = "user"
    TWO_WAY = "two_way"
    #: The Account exists, with this password.
    ACCOUNT = "account"
    #: Which Calendar is the User's Primary.
    PRIMARY = "primary"
    #: Which Calendars of the Account are checked for conflicts.
    CONFLICTS = "conflicts"
    #: Which events of the Calendar block time, and whether blocked slots show titles.
    SLOTS = "slots"


@dataclass(frozen=True, slots=True, order=True)
class DeclaredSetting:
    """Something that the file sets: `what`, for the User, Account or Calendar with the id `subject`."""

    what: What
    user_id: str
    subject: str


@dataclass(frozen=True, slots=True)
class DeclaredAccount:
    """An Account as the file declares it. Its calendars are given by name or by address."""

    provider: str
    username: str
    password: str = field(repr=False)
    #: None: the file does not set it.
    primary: str | None = None
    conflicts: tuple[str, ...] | None = None
    slots: Mapping[str, SlotSettings] = field(default_factory=dict)
    place: Place = ()

    @property
    def login(self) -> tuple[str, str]:
        """What tells it from the User's other Accounts."""
        return self.provider, self.username

    def calendars(self) -> list[tuple[Place, str]]:
        """Every calendar that the file names for this Account, with the place where it does."""
        named = [((*self.place, "primary"), self.primary)] if self.primary is not None else []
        named += [((*self.place, "conflicts"), name) for name in self.conflicts or ()]
        return [*named, *(((*self.place, "slots", name), name) for name in self.slots)]


@dataclass(frozen=True, slots=True)
class DeclaredUser:
    """A User as the file declares them."""

    id: str
    location_id: str
    name: str
    time_zone: str
    #: None: the file does not set it.
    two_way: TwoWay | None = None
    accounts: tuple[DeclaredAccount, ...] = ()
    place: Place = ()

    @property
    def says_primary(self) -> bool:
        """Whether the file chooses the Primary."""
        return any(account.primary is not None for account in self.accounts)


@dataclass(frozen=True, slots=True)
class KnownCalendar:
    """A Calendar of an Account: one from the store, or one that its server has just listed, which has no id yet."""

    id: str | None
    url: str
    name: str
    writable: bool | None
    role: Role
    settings: SlotSettings


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """An Account that is connected, or one whose login was just tried successfully."""

    #: None: it is not in the store yet.
    id: str | None
    provider: str
    username: str
    #: Whether the password in the store is the one that the file refers to.
    same_password: bool
    calendars: tuple[KnownCalendar, ...]
    #: False where its calendars had to be listed by its server, and the server could not be asked.
    listed: bool = True

    @property
    def login(self) -> tuple[str, str]:
        """What tells it from the User's other Accounts."""
        return self.provider, self.username


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A User as they are before the plan is carried out."""

    #: None: they are not in the store yet.
    user: User | None
    two_way: TwoWay
    accounts: tuple[KnownAccount, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a plan: a line that `bridge apply` prints. It never holds a secret."""

    user_id: str
    #: `add`; `set` (a value changes); `fix` (the value stays, and from now on only the file can change it); `release`
    #: (the value stays, and the file no longer sets it).
    action: str
    what: What
    #: What is changed, as people call it: "ada", "icloud ada@icloud.com", "Work".
    subject: str
    #: The value that changes, as people call it, with what it was and what it becomes.
    field: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong in the settings file: where, what, and what to do about it."""

    place: Place
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes to make. With any problem, none of them is made."""

    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]


def by_login(known: KnownUser) -> dict[tuple[str, str], KnownAccount]:
    """A User's Accounts by their login."""
    return {account.login: account for account in known.accounts}


def find(calendars: Iterable[KnownCalendar], name: str) -> list[KnownCalendar]:
    """The calendar with this address, else those with this name."""
    every = list(calendars)
    exact = [one for one in every if name.rstrip("/") == one.url.rstrip("/")]
    return exact or [one for one in every if one.name.casefold() == name.casefold()]


def plan(declared: Sequence[DeclaredUser], known: Mapping[str, KnownUser], fixed: Iterable[DeclaredSetting]) -> Plan:
    """What has to change so that the store agrees with the file.

    `known` has an entry for every declared User and for every User in `fixed`. It also has the Accounts that only the
    file knows so far, with the calendars that their servers list. `fixed` is what the file set when it was last
    applied.
    """
    changes: list[Change] = []
    problems: list[Problem] = []
    before = set(fixed)
    wanted: set[DeclaredSetting] = set()
    for user in declared:
        accounts = by_login(known[user.id])
        _plan_user(user, known[user.id], changes, problems)
        for account in user.accounts:
            _plan_account(user, account, accounts[account.login], changes, problems)
        _plan_roles(user, accounts, changes)
        mine = settings_of(user, accounts)
        if known[user.id].user is not None:  # a new User has nothing yet that could be said to stay as it is
            changes += [_about("fix", setting, accounts.values()) for setting in sorted(mine - before)]
        wanted |= mine
    changes += [_about("release", setting, known[setting.user_id].accounts) for setting in sorted(before - wanted)]
    return Plan(tuple(changes), tuple(problems))


def settings_of(user: DeclaredUser, accounts: Mapping[tuple[str, str], KnownAccount]) -> set[DeclaredSetting]:
    """What the file sets for a User, as far as the Accounts and Calendars are in the store already."""
    found = {DeclaredSetting(What.USER, user.id, user.id)}
    if user.two_way is not None:
        found.add(DeclaredSetting(What.TWO_WAY, user.id, user.id))
    if user.says_primary:
        found.add(DeclaredSetting(What.PRIMARY, user.id, user.id))
    for account in user.accounts:
        known = accounts.get(account.login)
        if known is None or known.id is None:
            continue
        found.add(DeclaredSetting(What.ACCOUNT, user.id, known.id))
        if account.conflicts is not None:
            found.add(DeclaredSetting(What.CONFLICTS, user.id, known.id))
        for name in account.slots:
            found |= {DeclaredSetting(What.SLOTS, user.id, one.id) for one in find(known.calendars, name)[:1] if one.id}
    return found


def _plan_user(user: DeclaredUser, known: KnownUser, changes: list[Change], problems: list[Problem]) -> None:
    if known.user is None:
        changes.append(Change(user.id, "add", What.USER, user.id, after=f"{user.name}, {user.time_zone}"))
        if user.two_way is not None:
            changes.append(_set(user, What.TWO_WAY, user.id, ("changes made in iCloud", "", user.two_way)))
        return
    if known.user.location_id != user.location_id:
        problems.append(
            Problem(
                (*user.place, "location"),
                f"can't be changed: {user.id} belongs to {known.user.location_id}",
                f'write "{known.user.location_id}", or remove the user first: bridge user remove {user.id}',
            )
        )
    for name, before, after in (
        ("name", known.user.name, user.name),
        ("time zone", known.user.time_zone, user.time_zone),
    ):
        if before != after:
            changes.append(_set(user, What.USER, user.id, (name, before, after)))
    if user.two_way is not None and user.two_way != known.two_way:
        changes.append(_set(user, What.TWO_WAY, user.id, ("changes made in iCloud", known.two_way, user.two_way)))


def _plan_account(
    user: DeclaredUser,
    account: DeclaredAccount,
    known: KnownAccount,
    changes: list[Change],
    problems: list[Problem],
) -> None:
    if known.id is None:
        changes.append(Change(user.id, "add", What.ACCOUNT, _login(account)))
    elif not known.same_password:
        changes.append(_set(user, What.ACCOUNT, _login(account), ("password", "", "new")))
    for place, name in account.calendars() if known.listed else ():
        found = find(known.calendars, name)
        if not found:
            there = ", ".join(sorted(f'"{one.name}"' for one in known.calendars)[:20])
            problems.append(
                Problem(place, f'names "{name}", which is no calendar of the account', f"there are {there or 'none'}")
            )
        elif len(found) > 1:
            addresses = ", ".join(sorted(one.url for one in found))
            problems.append(Problem(place, f'names "{name}", as several are called', f"use an address: {addresses}"))
        elif name == account.primary and place[-1] == "primary" and found[0].writable is False:
            problems.append(
                Problem(place, f'names "{name}", which the account can\'t write', "choose one that it can, or share it")
            )
    for name, settings in account.slots.items():
        for calendar in find(known.calendars, name)[:1]:
            values = _settings(calendar.settings, settings)
            changes += [_set(user, What.SLOTS, calendar.name, value) for value in values]


def _plan_roles(user: DeclaredUser, accounts: Mapping[tuple[str, str], KnownAccount], changes: list[Change]) -> None:
    was = next((one for known in accounts.values() for one in known.calendars if one.role == Role.PRIMARY), None)
    will = chosen_primary(user, accounts) if user.says_primary else was
    if will is not None and (was is None or will.url != was.url):
        changes.append(_set(user, What.PRIMARY, user.id, ("Primary", was.name if was else "none", will.name)))
    for account in user.accounts:
        if account.conflicts is None:
            continue
        known = accounts[account.login]
        primary = will.url if will else None
        before = {one.url: one.name for one in known.calendars if one.role == Role.CONFLICT and one.url != primary}
        after = {one.url: one.name for one in chosen_conflicts(account, known) if one.url != primary}
        if before.keys() != after.keys():
            value = ("checked for conflicts", _names(before), _names(after))
            changes.append(_set(user, What.CONFLICTS, _login(account), value))


def chosen_primary(user: DeclaredUser, accounts: Mapping[tuple[str, str], KnownAccount]) -> KnownCalendar | None:
    """The calendar that the file chooses as Primary; None where it chooses none, or the calendar does not exist."""
    for account in user.accounts:
        if account.primary is not None:
            return next(iter(find(accounts[account.login].calendars, account.primary)), None)
    return None


def chosen_conflicts(account: DeclaredAccount, known: KnownAccount) -> list[KnownCalendar]:
    """The calendars of an Account that the file chooses as conflict calendars."""
    return [one for name in account.conflicts or () for one in find(known.calendars, name)[:1]]


def _about(action: str, setting: DeclaredSetting, accounts: Iterable[KnownAccount]) -> Change:
    name = setting.subject
    for account in accounts:
        if account.id == setting.subject:
            name = f"{account.provider} {account.username}"
        name = next((one.name for one in account.calendars if one.id == setting.subject), name)
    return Change(setting.user_id, action, setting.what, name)


def _set(user: DeclaredUser, what: What, subject: str, value: tuple[str, str, str]) -> Change:
    """A `set` step. `value` is the name of the value, what it was, and what it becomes."""
    name, before, after = value
    return Change(user.id, "set", what, subject, name, str(before), str(after))


def _login(account: DeclaredAccount) -> str:
    return f"{account.provider} {account.username}"


def _names(calendars: Mapping[str, str]) -> str:
    return ", ".join(sorted(calendars.values())) or "none"


def _settings(before: SlotSettings, after: SlotSettings) -> list[tuple[str, str, str]]:
    return [
        (label, _word(getattr(before, name)), _word(getattr(after, name)))
        for name, label in _SLOT_WORDS.items()
        if getattr(before, name) != getattr(after, name)
    ]


def _word(value: object) -> str:
    return {True: "block", False: "do not block"}[value] if isinstance(value, bool) else str(value)


_SLOT_WORDS = {
    "titles": "titles",
    "all_day_blocks": "all-day events",
    "unanswered_blocks": "unanswered invitations",
    "tentative_blocks": "tentative events",
    "travel_blocks": "travel time",
}
