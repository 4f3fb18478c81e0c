"""iCloud's ways as data, each with its evidence.

Grades: M measured against iCloud or shipped in a production client; R a user's report with a trace; C a code comment or
design document. All of it was gathered from public sources and read in November 2026; behave well when it turns out
otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: The provider's name in the settings and in the store.
NAME = "icloud"


@dataclass(frozen=True, slots=True)
class Quirk:
    """One way in which iCloud differs, what we do about it, and how we know."""

    what: str
    we: str
    evidence: str
    grade: str


QUIRKS = (
    Quirk(
        "Home sets are on per-account partitions (pNN-caldav.icloud.com); hrefs may say caldav.icloud.com, or :443",
        "compare hrefs by path; send every request to the calendar's own host",
        "python-caldav compatibility_hints icloud, 2026-10; vdirsyncer #931",
        "M",
    ),
    Quirk(
        "/.well-known/caldav answers 501 on icloud.com",
        "start at the root; an error at the well-known address is no error",
        "DAV-4-TbSync #95",
        "R",
    ),
    Quirk(
        "PROPFIND at Depth 1 on a principal answers 400",
        "Depth 0 there",
        "python-caldav compatibility_hints, 2026-10",
        "M",
    ),
    Quirk(
        "sync-collection lists the collection as a member of itself",
        "leave it out",
        "python-caldav; Thunderbird CalDavRequestHandlers",
        "M",
    ),
    Quirk(
        "A 404 propstat may carry empty properties",
        "read properties from 2xx propstats only",
        "AndroidCaldavSyncAdapater #186",
        "R",
    ),
    Quirk(
        "If-Match: * is inverted: 412 on an existing object, creates a missing one",
        "real ETags only",
        "python-caldav compatibility_hints, 2026-10",
        "M",
    ),
    Quirk(
        "An event without DTEND or DURATION answers 404 or 403",
        "always write DTEND",
        "python-caldav compatibility_hints; davx5-ose #1859",
        "M",
    ),
    Quirk(
        "PUT may answer without an ETag, and the object is rewritten on arrival",
        "read it back after each PUT",
        "Compass #3260",
        "R",
    ),
    Quirk(
        "403 also means a wrong partition, a policy or throttling",
        "never take it for a bad password",
        "kdw2060/hassio-addons #19",
        "R",
    ),
    Quirk("Retry-After is routinely shorter than the throttle", "a floor that doubles", "keeper.sh #890, #932", "M"),
    Quirk("DELETE takes no Depth header", "send none", "Calendar Relay", "C"),
    Quirk(
        "A forgotten sync-token is answered with everything, and no error",
        "believe no deletion without a listing or a look at the object",
        "python-caldav #122",
        "C",
    ),
    Quirk(
        "A multiget leaves objects out, or their hrefs",
        "compare with what was asked for, and GET the missing ones",
        "evolution-data-server, 2017; vdirsyncer #800, 2019; works for Compass and keeper.sh, 2026",
        "R",
    ),
    Quirk(
        "Hrefs are listed before their data is there; until then the old version comes, or a 404",
        "compare ETags with those listed, and ask again",
        "KashCal's live tests",
        "C",
    ),
    Quirk(
        "Deleting a shared calendar's collection leaves it",
        "write to objects directly inside a calendar only",
        "Calendar Relay",
        "C",
    ),
)

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
    """Whether this has the shape of an app-specific password: four groups of four letters."""
    return _APP_PASSWORD.fullmatch(password.replace("-", "")) is not None
