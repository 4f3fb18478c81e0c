"""Apple's configuration profile for a CalDAV account (com.apple.caldav.account). Pure."""

from __future__ import annotations

import plistlib
import uuid
from urllib.parse import urlsplit

MEDIA_TYPE = "application/x-apple-aspen-config"


def profile(
    *, address: str, user_id: str, user_name: str, calendar_name: str, password: str, password_id: str
) -> bytes:
    """A profile that adds the merged calendar to an iPhone, iPad or Mac.

    `address` is that of the CalDAV server, ending in "/". A device that installs another one for the same User replaces
    the first.
    """
    parts = urlsplit(address)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    identifier = f"crm-calendar-bridge.{host}.{user_id}"
    account = {
        "PayloadType": "com.apple.caldav.account",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.caldav",
        "PayloadUUID": _uuid(f"{address}{user_id}/{password_id}/caldav"),
        "PayloadDisplayName": calendar_name,
        "PayloadDescription": "The merged calendar: appointments and blocked slots, to be read.",
        "CalDAVAccountDescription": calendar_name,
        "CalDAVHostName": host,
        "CalDAVPort": parts.port or (443 if secure else 80),
        "CalDAVPrincipalURL": f"{parts.path}{user_id}/",
        "CalDAVUseSSL": secure,
        "CalDAVUsername": user_id,
        "CalDAVPassword": password,
    }
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": identifier,
            "PayloadUUID": _uuid(f"{address}{user_id}/{password_id}"),
            "PayloadDisplayName": f"{calendar_name}: {user_name}",
            "PayloadDescription": "Adds your merged calendar. It can be removed at any time.",
            "PayloadOrganization": calendar_name,
            "PayloadRemovalDisallowed": False,
            "PayloadContent": [account],
        }
    )


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name)).upper()
