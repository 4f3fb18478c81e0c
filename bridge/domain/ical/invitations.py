"""The contact whom an event invites: ORGANIZER and ATTENDEE (RFC 5545 section 3.8.4, RFC 6638 section 3.1).

The server sends mail for them. Everybody else who is invited is the person's own business, and stays as they are.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from bridge.domain.ical import content
from bridge.domain.ical.content import Component, Line
from bridge.domain.ical.editing import Edit

#: What a browser takes for an e-mail address (HTML, `type=email`): nothing in it needs more than escaping for a URI.
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", re.ASCII | re.IGNORECASE)
#: What may stand in a `mailto:` as it is (RFC 6068).
_PLAIN = "@!$'*+"


def can_be_invited(address: str) -> bool:
    """Whether this is an e-mail address that can stand in an event."""
    return _ADDRESS.fullmatch(address) is not None


def organizer(address: str) -> str:
    """Who invites."""
    return f"ORGANIZER:mailto:{quote(address, safe=_PLAIN)}"


def attendee(address: str, name: str) -> str:
    """Who is invited, and asked for an answer."""
    # Nothing in a parameter can say a quotation mark in a way that every server knows.
    name = " ".join(content.clean(name).replace('"', "'").split())
    called = f';CN="{name}"' if name else ""
    return (
        f"ATTENDEE{called};CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE"
        f":mailto:{quote(address, safe=_PLAIN)}"
    )


def is_invited(component: Component, address: str) -> bool:
    """Whether an event invites them."""
    return any(_is(line, address) for line in component.all("ATTENDEE"))


def answer(component: Component, address: str) -> str | None:
    """What they answered, in lower case: `accepted`, `declined`, `tentative` …; None: nothing yet."""
    for line in component.all("ATTENDEE"):
        if _is(line, address):
            said = (line.param("PARTSTAT") or "NEEDS-ACTION").lower()
            return None if said == "needs-action" else said
    return None


def invite(edit: Edit, line: str, sender: str) -> None:
    """Let every event of an object invite one more, by this `ATTENDEE` line."""
    for _ in edit.each():
        edit.set("ATTENDEE", [*edit.get("ATTENDEE"), line])
    sign(edit, sender)


def uninvite(edit: Edit, address: str) -> None:
    """Let no event of an object invite them any more. The server tells them.

    ORGANIZER stays, even alone: without it, a server could not tell who takes the invitation back.
    """
    for _ in edit.each():
        edit.set("ATTENDEE", [line for line in edit.get("ATTENDEE") if not _says(line, address)])


def sign(edit: Edit, sender: str) -> None:
    """Say who invites, in every event that invites somebody and does not say who does (RFC 5545 wants it to)."""
    for _ in edit.each():
        if edit.get("ATTENDEE") and not edit.get("ORGANIZER"):
            edit.set("ORGANIZER", [organizer(sender)])


def unsigned(text: str, invitee: str | None) -> str:
    """An object to be put somewhere else: whoever does that invites, and invites the contact by themselves."""
    edit = Edit(text, 0)
    if invitee is not None:
        uninvite(edit, invitee)
    for _ in edit.each():
        edit.set("ORGANIZER", [])
    return edit.text


def _says(text: str, address: str) -> bool:
    line = content.split(text)
    return line is not None and _is(line, address)


def _is(line: Line, address: str) -> bool:
    said = unquote(line.value.strip()).lower().removeprefix("mailto:")
    return address.lower() in {said, (line.param("EMAIL") or "").lower()}
