"""The Users that the settings file declares, with their accounts and calendars."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from bridge.domain import time_zones
from bridge.domain.model import USER_ID, Titles, TwoWay
from bridge.settings.base import File, Flag, Table, wrong

Text = Annotated[str, Field(min_length=1)]


class SlotsSettings(Table):
    """Which events of a calendar become blocked slots, and what these show."""

    #: None: as `[defaults] titles`.
    titles: Titles | None = None
    all_day: Flag = True
    unanswered: Flag = True
    tentative: Flag = True
    travel: Flag = True


class AccountSettings(Table):
    """One login, and the roles of its calendars. The password is in a file, or in an environment variable."""

    provider: Text = "icloud"
    username: Text
    password_file: File | None = None
    password_env: Text | None = None
    #: Names or addresses of calendars. None: the user chooses.
    primary: Text | None = None
    conflicts: tuple[Text, ...] | None = None
    #: By name or address of the calendar.
    slots: dict[str, SlotsSettings] = Field(default_factory=dict)


class UserSettings(Table):
    """One user."""

    id: str
    location: Text
    #: Empty: the id is used.
    name: str = ""
    time_zone: str
    #: None: a new user gets `[defaults] two_way`, and it can be changed elsewhere.
    two_way: TwoWay | None = None
    accounts: tuple[AccountSettings, ...] = ()

    @field_validator("id")
    @classmethod
    def _is_an_id(cls, text: str) -> str:
        if not USER_ID.fullmatch(text):
            raise wrong(
                "is not an id", "use 1 to 64 letters, digits, dots, dashes or underscores, a letter or digit first"
            )
        return text

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        if not time_zones.is_time_zone(name):
            raise wrong("is not a time zone", time_zones.advice(name))
        return name
