"""What is wrong with a remote server or calendar, and what to do about it, in sentences for people."""

from __future__ import annotations

from bridge.errors import (
    AccountNotConnected,
    BadAnswer,
    BridgeError,
    CredentialsWithheld,
    Forbidden,
    NoAnswer,
    NotFound,
    PreconditionFailed,
    Refused,
    SecretUnreadable,
    ServerFault,
    Throttled,
    Unauthorized,
    Unreachable,
)


def sentence(error: BridgeError) -> str:  # noqa: PLR0912 - a table, row by row
    """One sentence on what happened and one on what to do, if anything is to be done. Never an address or a secret."""
    match error:
        case Unauthorized():
            return (
                "The server refuses the user name or password. Reconnect with a new app-specific password"
                " (changing the Apple password revokes all of them)."
            )
        case Forbidden():
            return (
                "The server refuses this, though not for the password: the calendar may be read-only or shared by"
                " somebody."
            )
        case Throttled():
            return "The server asks us to slow down. The bridge waits and tries again by itself."
        case Unreachable():
            return f"{_NO_ANSWER[error.why]} The bridge tries again by itself; what was read before is kept."
        case ServerFault():
            return "The server has a problem of its own. The bridge tries again by itself; what was read before stays."
        case BadAnswer():
            return (
                "The server's answer was incomplete or damaged, so nothing was concluded from it."
                " The bridge tries again."
            )
        case NotFound():
            return "The calendar is no longer there. Choose another one, or make it again."
        case CredentialsWithheld():
            return (
                "The server redirects to another host, to which the password was not sent."
                " If that host is right, the administrator can add it to credential_hosts."
            )
        case SecretUnreadable():
            return (
                "The bridge can't open the stored password, as its secrets key is another one now."
                " Bring the key back, or reconnect."
            )
        case AccountNotConnected():
            return (
                "The bridge's settings no longer say where this kind of account lives."
                f" The administrator can put [providers.{error.provider}] back."
            )
        case PreconditionFailed():
            return (
                "The server says that the event was changed at the same moment elsewhere. The bridge compares and tries"
                " again, a few times; if that does not help, look at the event in the calendar, and retry."
            )
        case Refused():
            return "The server refuses to store this event. See the appointment's details, change it, and retry."
        case _:
            return "Something unexpected went wrong; the log says what."


_NO_ANSWER = {
    NoAnswer.UNKNOWN_HOST: (
        "The server's name can't be found: its address may be wrong, or the bridge's own network in trouble."
    ),
    NoAnswer.NOT_LISTENING: "Nothing answers at the server's address: it may be down, or the port may be wrong.",
    NoAnswer.UNTRUSTED: (
        "The server can't prove who it is, so it was not sent the password. Whoever runs it has to renew its"
        " certificate, or the administrator to name its authority as ca_file."
    ),
    NoAnswer.TIMEOUT: "The server does not answer in time.",
    NoAnswer.BROKEN: "The server can't be reached.",
}


def gone_sentence() -> str:
    """For a calendar that is chosen, but no longer exists on its server."""
    return (
        "The calendar is no longer there. What was last read of it goes on taking time, until another one is chosen in"
        " its place or it is removed from those that are read."
    )


def undelivered_sentence(count: int) -> str:
    """What to say while objects are listed that the server does not deliver."""
    events = "an event" if count == 1 else f"{count} events"
    return f"The server lists {events} that it does not deliver. The bridge asks again by itself."


def held_sentence(count: int) -> str:
    """What to say while objects that seem to be gone are kept."""
    if count == 1:
        return "An event seems to be gone. It is kept until that is certain; the bridge looks again by itself."
    return f"{count} events seem to be gone. They are kept until that is certain; the bridge looks again by itself."


def unread_sentence(count: int) -> str:
    """What to say of an object of several events, so many of which can't be read."""
    if count == 1:
        return "One of its events does not say when it is, and takes the time that was last known of it, if any."
    return f"{count} of its events do not say when they are, and take the time that was last known of them, if any."
