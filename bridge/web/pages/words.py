"""The pages' words for states and troubles."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from bridge.domain.model import Account, AccountState, ItemKind, Role, SlotSettings, SyncState, Titles
from bridge.errors import AccountNotConnected
from bridge.service.webhooks import Webhook

APPLE_PAGE = "https://account.apple.com/"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong, and what to do."""

    title: str
    advice: str


def provider(name: str) -> str:
    """A provider's name for people."""
    if name == "icloud":
        return "iCloud Calendar"
    if name == "other":
        return "Another CalDAV server"
    return urlsplit(name).hostname or name[:1].upper() + name[1:]


def provider_within(name: str) -> str:
    """A provider's name within a sentence."""
    return "another CalDAV server" if name == "other" else provider(name)


def another(name: str) -> str:
    """What to call another account of a provider."""
    return "Another iCloud account" if name == "icloud" else f"Another account at {provider(name)}"


def not_connected(error: AccountNotConnected) -> Trouble:
    """Why an account could not be connected. This never holds the server's own text, nor a secret."""
    if error.provider == "icloud" and error.reason in _NOT_CONNECTED_ICLOUD:
        return _NOT_CONNECTED_ICLOUD[error.reason]
    return _NOT_CONNECTED.get(error.reason, _NOT_CONNECTED["server_error"])


NO_ADDRESS = Trouble("This is no address of a server.", "Type one like https://calendar.example.com/.")
INSECURE = Trouble(
    "Your password would be sent unencrypted.", "Use an address that begins with https://. Nothing was sent."
)

_NOT_CONNECTED_ICLOUD = {
    "bad_password": Trouble(
        "Apple refuses this e-mail address or password.",
        "Use the primary e-mail address of your Apple Account, not an alias, and an app-specific password that you made"
        " just now: changing your Apple password revokes all of them. Nothing was saved.",
    ),
    "not_app_specific_password": Trouble(
        "Apple refuses the password, and it is not an app-specific one.",
        "Your usual Apple password does not work for calendars. Make an app-specific password with the steps below:"
        " it has four groups of four letters. Nothing was saved.",
    ),
    "unreachable": Trouble(
        "Apple can't be reached at the moment.",
        "This says nothing about your password. Try again in a few minutes; if it lasts, tell your administrator.",
    ),
    "unknown_host": Trouble(
        "Apple's server can't be found.",
        "This says nothing about your password: the bridge's own network has trouble. Tell your administrator.",
    ),
    "timeout": Trouble(
        "Apple does not answer in time.", "This says nothing about your password. Try again in a few minutes."
    ),
    "throttled": Trouble(
        "Apple asks us to slow down.",
        "This says nothing about your password. Wait ten minutes, then try again.",
    ),
    "no_calendars": Trouble(
        "The login works, but there is no calendar.",
        "Turn iCloud Calendar on: Settings > your name > iCloud > Calendar. Then connect again.",
    ),
}

_NOT_CONNECTED = {
    "bad_password": Trouble(
        "The server refuses the user name or the password.", "Check both, then try again. Nothing was saved."
    ),
    "wrong_host": Trouble(
        "The server redirects to another host. Your password was not sent there.",
        "If that host is right, your administrator can allow it.",
    ),
    "not_caldav": Trouble(
        "The server does not answer like a calendar server.", "Check the address with whoever runs the server."
    ),
    "no_calendars": Trouble("The login works, but there is no calendar.", "Make one there, then connect again."),
    "unknown_host": Trouble(
        "There is no server of this name.", "Check the address for typing errors. Nothing was saved."
    ),
    "not_listening": Trouble(
        "Nothing answers at this address.",
        "Check the address and its port; if they are right, the server is down: try again later. Nothing was saved.",
    ),
    "untrusted": Trouble(
        "The server can't prove who it is, so it was not sent your password.",
        "Check the address and its port. If they are right, the server's certificate may be out of date or made for"
        " another name: ask whoever runs the server.",
    ),
    "timeout": Trouble(
        "The server does not answer in time.",
        "This says nothing about your password. Check the address, or try again in a few minutes.",
    ),
    "unreachable": Trouble(
        "The server can't be reached.",
        "This says nothing about your password. Check the address, or try again in a few minutes.",
    ),
    "throttled": Trouble(
        "The server asks us to slow down.", "This says nothing about your password. Wait ten minutes, then try again."
    ),
    "forbidden": Trouble(
        "The server refuses access, but not because of the password.",
        "Try again later. If that does not help, ask whoever runs the server.",
    ),
    "insecure_url": INSECURE,
    "unknown_provider": Trouble("There is no such service here.", "Choose one that is listed."),
    "server_error": Trouble("The server has a problem of its own.", "Try again later. Nothing was saved."),
}


def account_state(account_state: AccountState) -> str:
    """An account's state in a few words."""
    return {
        AccountState.CONNECTED: "Connected",
        AccountState.NEEDS_PASSWORD: "Needs a new password",
        AccountState.UNREACHABLE: "Not reachable at the moment",
        AccountState.THROTTLED: "Asked to slow down",
    }[account_state]


def account_advice(account: Account) -> str:
    """What to do about an account that is not connected; empty for one that is."""
    apple = account.provider == "icloud"
    return {
        AccountState.CONNECTED: "",
        AccountState.NEEDS_PASSWORD: (
            "Apple no longer takes the app-specific password. Make a new one and reconnect; everything continues where"
            " it stopped."
            if apple
            else "The server no longer takes the password. Reconnect with the new one; everything continues where it"
            " stopped."
        ),
        AccountState.UNREACHABLE: "The bridge tries again by itself. What was read before is kept.",
        AccountState.THROTTLED: "The bridge waits and tries again by itself. What was read before is kept.",
    }[account.state]


def role(role: Role) -> str:
    """A calendar's role."""
    return {Role.PRIMARY: "Primary", Role.CONFLICT: "Checked for conflicts", Role.NONE: "Not used"}[role]


def kind(kind: ItemKind) -> str:
    """The kind of an item of the merged calendar."""
    return {
        ItemKind.APPOINTMENT: "Appointment",
        ItemKind.CRM: "Blocked in the CRM",
        ItemKind.ICLOUD: "Blocked slot",
    }[kind]


def sync_state(state: SyncState) -> str:
    """Whether an appointment is in the Primary calendar."""
    return {
        SyncState.PENDING: "On its way to your Primary calendar.",
        SyncState.SYNCED: "Written to your Primary calendar.",
        SyncState.FAILED: "Could not be written to your Primary calendar.",
        SyncState.CONFLICT: "Was changed in the CRM and in your calendar at the same time.",
        SyncState.NOT_SYNCED: "Not in your Primary calendar.",
    }[state]


def slot_settings(settings: SlotSettings) -> str:
    """Which events of a calendar block time and what is shown of them, in a sentence."""
    passes = [
        name
        for blocks, name in (
            (settings.all_day_blocks, "all-day events"),
            (settings.unanswered_blocks, "unanswered invitations"),
            (settings.tentative_blocks, "tentative events"),
        )
        if not blocks
    ]
    shown = "Titles are shown" if settings.titles == Titles.TITLE else "Shown as “Busy”"
    ignored = f"; {_list(passes)} don't block" if passes else ""
    travel = "" if settings.travel_blocks else "; travel time doesn't block"
    return f"{shown}{ignored}{travel}."


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def receiver(url: str) -> str:
    """The address of a receiver of webhooks, without its query, which may hold a secret."""
    return url.partition("?")[0]


def webhook_health(webhook: Webhook) -> tuple[str, str]:
    """A receiver's health: `good`, `wait` or `bad`, and a few words."""
    if not webhook.active:
        return "wait", "Paused"
    return {"active": ("good", "OK"), "failing": ("wait", "Failing")}.get(webhook.status, ("bad", "Disabled"))


#: What to say once something is done, by the value of `done` in the address.
DONE = {
    "connected": "Connected. Now choose what each calendar is used for.",
    "disconnected": "Disconnected. The password was erased.",
    "primary": "The Primary calendar is saved.",
    "conflicts": "The calendars to check for conflicts are saved.",
    "unchanged": "It was set like this already: nothing was changed.",
    "settings": "The calendar's settings are saved.",
    "revoked": "Revoked. Programs that use this password are refused from now on.",
    "token-revoked": "Revoked. Programs that use this token are refused from now on.",
    "retried": "It is being tried again.",
    "ended": "Your session had ended, so nothing was saved. Once you are signed in, you can go on where you were.",
    "signed-out": "You are signed out.",
    "signed-out-everywhere": "Every session has ended, this one too.",
    "user-signed-out": "Every session of this user has ended.",
}

#: Why a settings link does not work, by its state.
LINKS = {
    "used": "This link was used already: each works once.",
    "expired": "This link has expired: it works for half an hour.",
    "unknown": "This link does not work: perhaps part of it is missing, or it was withdrawn.",
}
