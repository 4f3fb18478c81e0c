"""Every refusal in words, with what to type or do next. The one place where the command line does so."""

from __future__ import annotations

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
    SettingsInvalid,
    StoreUnusable,
    Unknown,
)


def sentence(error: BridgeError) -> str:
    """What went wrong and what to do about it, for a person at a terminal. Never a secret."""
    match error:
        case SettingsInvalid():
            return _settings(error)
        case SecretsKeyMissing(source):
            return (
                f"The key of the stored passwords is missing: there is none at {source}, and BRIDGE_SECRETS_KEY is not set."
                " Put the key back from your copy. Without it the accounts must be disconnected"
                " (`bridge account disconnect`) and connected again."
            )
        case SecretsKeyRefused():
            return _key_refused(error)
        case SecretUnreadable(source):
            return (
                f"The key from {source} is not the one that the stored passwords were sealed with."
                " Put the right key back, or name its file under [secrets] key_file."
            )
        case StoreUnusable(path, reason):
            return (
                f"The store {path} can't be used: {reason}. Another one is named with --config, or under [store] path."
            )
        case CannotListen(setting, host, port, detail):
            return (
                f"{setting} can't listen at {host}, port {port}: {detail}."
                f" End the program that does, or set another port under [{setting}]."
            )
        case ChildFailed(name, status):
            return (
                f"{name} ended at once with status {status}; it said why above. Try it alone: {_ALONE.get(name, name)}"
            )
        case AccountNotConnected():
            return _not_connected(error)
        case Unknown(kind, id):
            return f'There is no {kind} "{id}".{_shown_by(kind)}'
        case Exists(kind, id):
            return f'There is a {kind} "{id}" already.{_shown_by(kind)}'
        case NotWritable():
            return "This calendar can't be written by the account, so it can't be the Primary. Choose one that can."
        case Invalid(problems):
            return "\n".join(problem.detail for problem in problems)
        case RemoteError():
            return trouble.sentence(error)
        case _:
            return f"{type(error).__name__}: {error}"


def _settings(error: SettingsInvalid) -> str:
    told = []
    for problem in error.problems:
        line = f"line {problem.line}: " if problem.line is not None else ""
        what = f"{problem.where} {problem.problem}" if problem.where else problem.problem
        told.append(f"  {line}{what}; {problem.remedy}")
    return "\n".join((f"{error.path} can't be used:", *told))


def _key_refused(error: SecretsKeyRefused) -> str:
    source = error.source
    match error.reason:
        case "open_to_others":
            return f"The key {source} can be read by others than its owner. Close it: chmod 600 {source}"
        case "malformed":
            return f"{source} holds no key. A key is 32 bytes as URL-safe base64; put it back from your copy."
        case "not_written":
            return f"A key can't be made at {source}: {error.detail}. Name another place under [secrets] key_file."
        case _:
            return f"The key {source} can't be read: {error.detail}. Run the bridge as the user who owns it."


def _not_connected(error: AccountNotConnected) -> str:
    server = error.url or error.provider
    match error.reason:
        case "bad_password":
            return (
                f"{server} refuses the user name or password. Use the Apple Account's primary e-mail address and an"
                " app-specific password from https://account.apple.com (Sign-In and Security)."
                if error.provider == "icloud"
                else f"{server} refuses the user name or password. Check both and try again."
            )
        case "not_app_specific_password":
            return (
                f"{server} refuses this password, and it is not an app-specific one (xxxx-xxxx-xxxx-xxxx)."
                " Make one at https://account.apple.com (Sign-In and Security) and use that."
            )
        case "wrong_host":
            return (
                f"The server leads to another host, which may not receive the password ({error.detail or server})."
                f" If it is right, add it to credential_hosts under [providers.{error.provider}]."
            )
        case "not_caldav":
            return f"{server} does not answer as a CalDAV server. Check url under [providers.{error.provider}]."
        case "no_calendars":
            return f"The login works, but {server} has no calendar for events. Make one there, then connect again."
        case "unreachable":
            return f"{server} can't be reached{_because(error)}. Check the network and the address, then try again."
        case "throttled":
            return f"{server} asks us to slow down. Try again in some minutes; nothing is wrong with the password."
        case "forbidden":
            return f"{server} refuses access, though not for the password. Try again later, or see its administrator."
        case "insecure_url":
            return (
                f"{server} would get the password unencrypted. Use https in url under [providers.{error.provider}],"
                " or allow_http = true if you trust that network."
            )
        case "unknown_provider":
            known = f" Known: {error.detail}." if error.detail else ""
            return f'There is no provider "{error.provider}".{known} Another is a table [providers.{error.provider}].'
        case _:
            return f"{server} has trouble of its own{_because(error)}. Try again later."


def _because(error: AccountNotConnected) -> str:
    return f" ({error.detail})" if error.detail else ""


def _shown_by(kind: str) -> str:
    command = _LISTS.get(kind)
    return f" See: {command}" if command else ""


#: The command that shows what there is of a kind.
_LISTS = {
    "user": "bridge user list",
    "account": "bridge account list",
    "calendar": "bridge calendars list USER",
    "calendar password": "bridge password list USER",
    "token": "bridge token list",
}

_ALONE = {"sidecar": "bridge sidecar", "radicale": "python -m radicale_plugin"}
