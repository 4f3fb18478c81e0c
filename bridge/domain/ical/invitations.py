"""Inviting an appointment's contact: ORGANIZER and ATTENDEE (RFC 5545 section 3.8.4, RFC 6638 section 3.1).

The server sends mail to the people whom an event invites. Only the line of the contact is ever changed: all other
guests were invited by the person themselves.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from bridge.domain.ical import content
from bridge.domain.ical.content import Component, Line
from bridge.domain.ical.editing import Edit

#: An e-mail address as browsers define it (HTML, `type=email`). All of it can be written into a URI with escapes.
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", re.ASCII | re.IGNORECASE)
#: Characters that need no escape in a `mailto:` URI (RFC 6068).
_PLAIN = "@!$'*+"


def can_be_invited(address: str) -> bool:
    """Whether this is an e-mail address that can be written into an event."""
    return _ADDRESS.fullmatch(address) is not None


def organizer(address: str) -> str:
    """The ORGANIZER line for an address."""
    return f"ORGANIZER:mailto:{quote(address, safe=_PLAIN)}"


def attendee(address: str, name: str) -> str:
    """The ATTENDEE line that invites an address and asks for an answer. `name` may be empty."""
    # There is no way to write a quotation mark into a parameter that every server understands.
    name = " ".join(content.clean(name).replace('"', "'").split())
    called = f';CN="{name}"' if name else ""
    return (
        f"ATTENDEE{called};CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE"
        f":mailto:{quote(address, safe=_PLAIN)}"
    )


def is_invited(component: Component, address: str) -> bool:
    """Whether an event invites this address."""
    return any(_is(line, address) for line in component.all("ATTENDEE"))


def answer(component: Component, address: str) -> str | None:
    """What this address answered: a PARTSTAT in lower case, such as `accepted`; None: nothing yet, or not invited."""
    for line in component.all("ATTENDEE"):
        if _is(line, address):
            said = (line.param("PARTSTAT") or "NEEDS-ACTION").lower()
            return None if said == "needs-action" else said
    return None


def invite(edit: Edit, line: str, sender: str) -> None:
    """Add this ATTENDEE line to every event of the object; `sender` is the address that invites."""
    for _ in edit.each():
        edit.set("ATTENDEE", [*edit.get("ATTENDEE"), line])
    sign(edit, sender)


def uninvite(edit: Edit, address: str) -> None:
    """Remove this address from the guests of every event of the object. The server then sends a cancellation.

    ORGANIZER stays, even if no guest is left: without it, a server could not tell who cancels.
    """
    for _ in edit.each():
        edit.set("ATTENDEE", [line for line in edit.get("ATTENDEE") if not _says(line, address)])


def sign(edit: Edit, sender: str) -> None:
    """Add ORGANIZER to every event that has guests but no ORGANIZER (RFC 5545 section 3.8.4.3 requires one)."""
    for _ in edit.each():
        if edit.get("ATTENDEE") and not edit.get("ORGANIZER"):
            edit.set("ORGANIZER", [organizer(sender)])


def unsigned(text: str, invitee: str | None) -> str:
    """The object without ORGANIZER and without its contact as a guest, to be written into another calendar.

    The account of that calendar becomes the organizer, and invites the contact itself.
    """
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
