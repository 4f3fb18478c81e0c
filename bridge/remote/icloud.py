"""What is specific to iCloud beside CalDAV: the provider's name, and passwords. docs/icloud.md has its quirks."""

from __future__ import annotations

import re

#: The provider's name in the settings and in the store.
NAME = "icloud"


_APP_PASSWORD = re.compile(r"[a-z]{16}")


def normalise_app_password(text: str) -> str:
    """An app-specific password as Apple shows it (`abcd-efgh-ijkl-mnop`), from what a person pasted.

    Spaces go, dashes may be missing or be another kind of dash; anything that is no app-specific password is left as
    it was, less the white space around it.
    """
    letters = re.sub(r"[\s\-\u2010-\u2015\u2212]", "", text).lower()
    if not _APP_PASSWORD.fullmatch(letters):
        return text.strip()
    return "-".join(letters[i : i + 4] for i in range(0, 16, 4))


def looks_app_specific(password: str) -> bool:
    """Whether this has the form of an app-specific password: four groups of four letters."""
    return _APP_PASSWORD.fullmatch(password.replace("-", "")) is not None
