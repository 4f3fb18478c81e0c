"""One person at the stand-in, and what they do with their devices and on Apple's pages."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote, urlsplit

from tests.upstreams.icloud.state import Account, Collection, Kind, Place, State


class CloudLogin:
    """A login. What it does is no request: nothing of it is recorded."""

    def __init__(self, state: State, account: Account, address_of: Callable[[Account], str], late: int) -> None:
        self._state = state
        self._account = account
        self._address_of = address_of
        self._late = late
        self.username = account.username
        self.password = self.issue_password()

    @property
    def home(self) -> str:
        """Where the calendars are now."""
        return f"{self._address_of(self._account)}{self._account.home}"

    # --- Passwords -----------------------------------------------------------------------------------------------

    def issue_password(self) -> str:
        """Make an app-specific password, beside those there are."""
        password = "-".join("".join(secrets.choice(string.ascii_lowercase) for _ in range(4)) for _ in range(4))
        with self._state.lock:
            assert len(self._account.passwords) < 25, "Apple gives no more than 25"
            self._account.passwords.add(password)
        return password

    def revoke(self, password: str) -> None:
        """Revoke one app-specific password."""
        with self._state.lock:
            self._account.passwords.remove(password)

    def change_password(self) -> None:
        """Change the Apple password, which revokes every app-specific one; and make a new one of those."""
        with self._state.lock:
            self._account.passwords.clear()
        self.password = self.issue_password()

    # --- Calendars -----------------------------------------------------------------------------------------------

    def make_calendar(
        self,
        name: str,
        *,
        colour: str | None = None,
        components: Sequence[str] = ("VEVENT",),
        slug: str | None = None,
        writable: bool = True,
        kind: Kind = "calendar",
    ) -> str:
        """Make a calendar; its address."""
        collection = Collection(name, colour, tuple(components), kind)
        return self._add(slug or secrets.token_hex(8).upper(), Place(collection, writable))

    def share(self, calendar_url: str, other: CloudLogin, *, writable: bool = True) -> str:
        """Share a calendar with somebody; its address in their home."""
        with self._state.lock:
            collection = self._place(calendar_url).collection
        return other._add(secrets.token_hex(32), Place(collection, writable, shared=True))

    def rename_calendar(self, calendar_url: str, name: str, *, colour: str | None = None) -> None:
        """Rename a calendar, or give it another colour."""
        with self._state.lock:
            collection = self._place(calendar_url).collection
            collection.name, collection.colour = name, colour or collection.colour

    def forget_tokens(self) -> None:
        """Forget every sync-token of this account's calendars."""
        with self._state.lock:
            for place in self._account.calendars.values():
                place.collection.forget_tokens()

    # --- Events --------------------------------------------------------------------------------------------------

    def put(self, calendar_url: str, name: str, ics: str) -> None:
        """Put an object into a calendar, or replace it."""
        with self._state.lock:
            self._place(calendar_url).collection.store(name, ics, late=self._late)

    def delete(self, calendar_url: str, name: str = "") -> None:
        """Delete an object, or with no name the calendar."""
        with self._state.lock:
            if name:
                self._place(calendar_url).collection.remove(name)
            else:
                del self._account.calendars[_slug(calendar_url)]

    def move(self, calendar_url: str, name: str, to_url: str, *, new_name: str | None = None) -> None:
        """Move an object to another calendar, or within one to another name."""
        with self._state.lock:
            ics = self._place(calendar_url).collection.objects[name].ics
            self.delete(calendar_url, name)
            self.put(to_url, new_name or name, ics)

    def texts(self, calendar_url: str) -> dict[str, str]:
        """Every object of a calendar: name to text."""
        with self._state.lock:
            return {name: stored.ics for name, stored in self._place(calendar_url).collection.objects.items()}

    def has(self, calendar_url: str) -> bool:
        """Whether this calendar is (still) in the account."""
        with self._state.lock:
            return _slug(calendar_url) in self._account.calendars

    def _add(self, slug: str, place: Place) -> str:
        with self._state.lock:
            self._account.calendars[slug] = place
        return f"{self.home}{quote(slug)}/"

    def _place(self, calendar_url: str) -> Place:
        return self._account.calendars[_slug(calendar_url)]


def _slug(calendar_url: str) -> str:
    return unquote(urlsplit(calendar_url).path.rstrip("/").rpartition("/")[2])
