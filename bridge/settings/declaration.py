"""The Users that a settings file declares, as `domain.declared` has them, with their passwords."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bridge.domain.declared import DeclaredAccount, DeclaredUser, Place, Problem
from bridge.domain.model import SlotSettings, Titles
from bridge.errors import SettingsInvalid
from bridge.settings import checks, file
from bridge.settings.people import AccountSettings, SlotsSettings
from bridge.settings.tables import Settings


def declared(settings: Settings) -> tuple[DeclaredUser, ...]:
    """The Users that the settings declare. The settings must have been loaded with `passwords`."""
    return tuple(
        DeclaredUser(
            id=user.id,
            location_id=user.location,
            name=user.name or user.id,
            time_zone=user.time_zone,
            two_way=user.two_way,
            accounts=tuple(
                _account(account, ("users", number, "accounts", place), settings.defaults.titles)
                for place, account in enumerate(user.accounts)
            ),
            place=("users", number),
        )
        for number, user in enumerate(settings.users)
    )


def refused(path: Path, problems: Iterable[Problem]) -> SettingsInvalid:
    """The error for problems with what the file declares."""
    return file.refused(path, file.text_of(path), problems)


def references(settings: Settings) -> list[Path]:
    """The files that hold declared passwords."""
    named = (account.password_file for user in settings.users for account in user.accounts)
    return [path for path in named if path is not None]


def _account(account: AccountSettings, place: Place, titles: Titles) -> DeclaredAccount:
    return DeclaredAccount(
        provider=account.provider,
        username=account.username.strip(),
        password=checks.password(account.password_file, account.password_env),
        primary=account.primary,
        conflicts=account.conflicts,
        slots={name: _slots(slots, titles) for name, slots in account.slots.items()},
        place=place,
    )


def _slots(slots: SlotsSettings, titles: Titles) -> SlotSettings:
    return SlotSettings(
        titles=slots.titles or titles,
        all_day_blocks=slots.all_day,
        unanswered_blocks=slots.unanswered,
        tentative_blocks=slots.tentative,
        travel_blocks=slots.travel,
    )
