"""Sentences for every error, with what to type or do next: for the command line and the log."""

from __future__ import annotations

from functools import singledispatch

from bridge.domain import trouble
from bridge.errors import (
    AccountNotConnected,
    BridgeError,
    CannotListen,
    ChildFailed,
    Exists,
    Invalid,
    NotWritable,
    RemoteError,
    SecretsKeyMissing,
    SecretsKeyRefused,
    SecretUnreadable,
    SetByAdministrator,
    SettingsInvalid,
    StoreUnavailable,
    StoreUnusable,
    Unknown,
)


@singledispatch
def sentence(error: BridgeError) -> str:
    """What went wrong and what to do about it, for a person at a terminal. Never a secret."""
    return f"{type(error).__name__}: {error}"


@sentence.register
def _(error: SettingsInvalid) -> str:
    told = []
    for problem in error.problems:
        line = f"line {problem.line}: " if problem.line is not None else ""
        what = f"{problem.where} {problem.problem}" if problem.where else problem.problem
        told.append(f"  {line}{what}; {problem.remedy}")
    return "\n".join((f"{error.path} can't be used:", *told))


@sentence.register
def _(error: SecretsKeyMissing) -> str:
    return (
        f"The key of the stored passwords is missing: {error.source} does not exist, and BRIDGE_SECRETS_KEY is not set."
        " Restore it from your copy: no other key can decrypt them."
    )


@sentence.register
def _(error: SecretUnreadable) -> str:
    return (
        f"The key from {error.source} is not the one that encrypted the stored passwords."
        " Restore the right one, or name its file under [secrets] key_file."
    )


@sentence.register
def _(error: SecretsKeyRefused) -> str:
    source = error.source
    match error.reason:
        case "open_to_others":
            return f"The key {source} can be read by other users. Only its owner may read it: chmod 600 {source}"
        case "malformed":
            return f"{source} does not hold a key. A key is 32 bytes as URL-safe base64. Restore it from your copy."
        case "not_written":
            return f"A key can't be made at {source}: {error.detail}. Name another place under [secrets] key_file."
        case "another":
            return f"{source} is not the key of the backup. Move it away first, but keep it: the old store needs it."
        case _:
            return f"The key {source} can't be read: {error.detail}. Run the bridge as the user who owns it."


@sentence.register
def _(error: StoreUnusable) -> str:
    return (
        f"The store {error.path} can't be used: {error.reason}."
        " If you mean another store, name its settings file with --config, or set [store] path."
    )


@sentence.register
def _(error: StoreUnavailable) -> str:
    return (
        f"The store {error.path} can't be used at the moment: {error.reason}. Nothing was changed."
        " Make sure that the disk has room and that no other program holds the file, then try again."
    )


@sentence.register
def _(error: CannotListen) -> str:
    return (
        f"{_named(error.setting)} can't listen at {error.host}, port {error.port}: {error.detail}."
        f" Stop the program that uses it, or set another address or port under [{error.setting}]."
    )


@sentence.register
def _(error: ChildFailed) -> str:
    return f"{_named(error.name)} ended with status {error.status} before it answered. Its own message is above."


@sentence.register
def _(error: Unknown) -> str:
    return f'There is no {error.kind} "{error.id}".{_shown_by(error.kind, error.user_id)}'


@sentence.register
def _(error: Exists) -> str:
    next_step = " Choose another name, or move it away." if error.kind == "file" else _shown_by(error.kind)
    return f'There is already a {error.kind} "{error.id}".{next_step}'


@sentence.register
def _(error: SetByAdministrator) -> str:
    return (
        f'The {error.kind} "{error.id}" is set in {error.path}: change it there. A running bridge notices; otherwise'
        " run: bridge apply"
    )


@sentence.register
def _(_error: NotWritable) -> str:
    return "This account may not write to the calendar, so it can't be the Primary. Choose a writable one."


@sentence.register
def _(error: Invalid) -> str:
    return "\n".join(problem.detail for problem in error.problems)


@sentence.register
def _(error: RemoteError) -> str:
    return trouble.sentence(error)


@sentence.register
def _(error: AccountNotConnected) -> str:
    reason = error.reason
    if reason == "bad_password" and error.provider == "icloud":
        reason = "bad_icloud_password"
    return _NOT_CONNECTED[reason].format(
        server=error.url or error.provider,
        provider=error.provider,
        because=f" ({error.detail})" if error.detail else "",
        detail=error.detail,
    )


def _named(server: str) -> str:
    """A server of the bridge at the start of a sentence. Radicale is a name, the others are not."""
    return "Radicale" if server == "radicale" else f"The {server}"


def _shown_by(kind: str, user_id: str | None = None) -> str:
    command = _LISTS.get(kind) or (_LISTS_OF_USER.get(kind) if user_id else None)
    return f" To list them: {command}{f' {user_id}' if user_id else ''}" if command else ""


#: The command that shows what there is of a kind.
_LISTS = {
    "user": "bridge user list",
    "account": "bridge account list",
    "token": "bridge token list",
}
#: The same, for what is listed only for one user.
_LISTS_OF_USER = {"calendar": "bridge calendars list", "calendar password": "bridge password list"}

_NOT_CONNECTED = {
    "bad_password": "{server} refuses the user name or the password. Check both, then try again.",
    "bad_icloud_password": (
        "{server} refuses the user name or the password. The user name is the primary e-mail address of the Apple"
        " Account; the password is an app-specific one from https://account.apple.com (Sign-In and Security)."
        " Changing the Apple password revokes all app-specific ones."
    ),
    "not_app_specific_password": (
        "{server} refuses the password, which is not an app-specific one (xxxx-xxxx-xxxx-xxxx)."
        " Make one at https://account.apple.com (Sign-In and Security), and use that."
    ),
    "wrong_host": (
        "The server redirects to another host, to which the password may not be sent{because}."
        " If that host is right, add it to credential_hosts under [providers.{provider}]."
    ),
    "not_caldav": "{server} does not answer like a CalDAV server{because}. Check url under [providers.{provider}].",
    "no_calendars": "The login works, but {server} has no calendar for events. Make one there, then connect again.",
    "unknown_host": (
        "{server} can't be found: there is no host of that name, or this machine can't look it up. Check url under"
        " [providers.{provider}] and this machine's DNS."
    ),
    "not_listening": (
        "{server} can't be reached: nothing listens there. Check that the server runs, and the port in url under"
        " [providers.{provider}]."
    ),
    "untrusted": (
        "{server} was not sent the password{because}. If its certificate comes from an authority of your own, name that"
        " as ca_file under [providers.{provider}]; otherwise the server's operator has to renew it."
    ),
    "timeout": (
        "{server} does not answer in time. Try again later. If that does not help, check the firewall and url under"
        " [providers.{provider}]."
    ),
    "unreachable": "{server} can't be reached{because}. Check the network and url under [providers.{provider}].",
    "throttled": "{server} asks us to slow down. Try again in a few minutes. This says nothing about the password.",
    "forbidden": (
        "{server} refuses access, but not because of the password{because}."
        " Try again later, or ask the server's operator."
    ),
    "insecure_url": (
        "The password would be sent to {server} unencrypted. Use https in url under [providers.{provider}],"
        " or allow_http = true if you trust that network."
    ),
    "unknown_provider": (
        'There is no provider "{provider}". Use one of these: {detail}; or add a table [providers.{provider}].'
    ),
    "server_error": "{server} has a problem of its own{because}. Try again later.",
}
