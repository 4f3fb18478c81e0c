"""The composition root: the only place where settings, store, secrets, remotes and clock are put together."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ValidationError

from bridge.domain.addresses import may_reach
from bridge.domain.model import Account
from bridge.errors import AccountNotConnected
from bridge.remote import icloud
from bridge.remote.base import Remote
from bridge.remote.caldav_remote import CaldavRemote
from bridge.remote.policy import ProviderPolicy
from bridge.remote.receivers import Receivers
from bridge.secrets import open_vault
from bridge.service.context import Context, Freshness, Vault
from bridge.settings import ProviderSettings, Settings
from bridge.store.db import Db


@dataclass(frozen=True, slots=True)
class Bridge(Context):
    """The Context of the use cases, the settings that it was made from, and what only the background loops need."""

    settings: Settings
    #: Set when there may be something to push.
    push_wanted: asyncio.Event
    receivers: Receivers


@dataclass(slots=True)
class RemotePool:
    """Opens connections to the configured providers, and keeps those of connected Accounts open."""

    settings: Settings
    vault: Vault
    _open: dict[str, tuple[bytes, Remote]] = field(default_factory=dict)

    def for_login(self, provider: str, username: str, password: str) -> Remote:
        """A connection for a login that is not stored. Raises `AccountNotConnected` for an unknown provider."""
        return CaldavRemote(_policy(provider, self._provider(provider)), username, password)

    def for_account(self, account: Account) -> Remote:
        """The Account's connection; a new one if its secret has changed. Raises `SecretUnreadable`."""
        kept = self._open.get(account.id)
        if kept is not None and kept[0] == account.secret:
            return kept[1]
        password = self.vault.open(account.secret, account_id=account.id)
        remote = self.for_login(account.provider, account.username, password)
        self._open[account.id] = (account.secret, remote)
        return remote

    async def forget(self, account_id: str) -> None:
        """Close and drop the Account's connection."""
        kept = self._open.pop(account_id, None)
        if kept is not None:
            await kept[1].close()

    async def close(self) -> None:
        """Close every connection."""
        for account_id in list(self._open):
            await self.forget(account_id)

    def clean_password(self, provider: str, text: str) -> str:
        """The password as the provider wants it, from what a person pasted."""
        self._provider(provider)
        return icloud.normalise_app_password(text) if provider == icloud.NAME else text

    def is_app_specific(self, provider: str, password: str) -> bool:
        """Whether the provider could take this password: iCloud takes app-specific ones only."""
        return provider != icloud.NAME or icloud.looks_app_specific(password)

    def poll_seconds(self, provider: str) -> int:
        """How often the accounts of a provider are asked for news."""
        return self.settings.poll_seconds(provider)

    def _provider(self, name: str) -> ProviderSettings:
        provider = self.settings.providers.get(name)
        if provider is None and name.startswith("https://"):
            # A server connected by its address: only that host gets the password.
            with contextlib.suppress(ValidationError):
                provider = ProviderSettings(url=name)
        if provider is None:
            raise AccountNotConnected("unknown_provider", name, "", ", ".join(sorted(self.settings.providers)))
        return provider


def _policy(name: str, provider: ProviderSettings) -> ProviderPolicy:
    return ProviderPolicy(
        name=name,
        url=provider.url,
        credential_hosts=tuple(provider.credential_hosts),
        ca_file=str(provider.ca_file) if provider.ca_file else None,
        allow_http=provider.allow_http,
        requests_per_minute=provider.requests_per_minute,
    )


def build(settings: Settings, *, clock: Callable[[], int] = lambda: int(time.time())) -> Bridge:
    """Open the store and the secrets. Raises `StoreUnusable`, `SecretsKeyMissing`, `SecretUnreadable`."""
    db = Db(settings.store.path)
    return _put_together(db, open_vault(db, settings.secrets.key_file), clock, settings)


def with_settings(bridge: Bridge, settings: Settings) -> Bridge:
    """A Bridge with the same store and key, and with new settings for everything else."""
    return _put_together(bridge.db, bridge.vault, bridge.clock, settings)


def _put_together(db: Db, vault: Vault, clock: Callable[[], int], settings: Settings) -> Bridge:
    push_wanted = asyncio.Event()
    return Bridge(
        db=db,
        vault=vault,
        remotes=RemotePool(settings, vault),
        clock=clock,
        default_titles=settings.defaults.titles,
        wake_push=push_wanted.set,
        freshness=Freshness(
            fresh=settings.booking.fresh_seconds,
            patience=settings.booking.ask_seconds,
            stale=settings.booking.stale_seconds,
            last_known_will_do=settings.booking.when_unreachable == "last-known",
        ),
        settings=settings,
        push_wanted=push_wanted,
        receivers=Receivers(
            lambda address, encrypted: may_reach(address, encrypted=encrypted, networks=settings.webhooks.networks)
        ),
    )
