"""Account passwords at rest: sealed with a key that is not in the store.

The key is 32 random bytes, written as URL-safe base64, from the variable BRIDGE_SECRETS_KEY or from a file that only
its owner can read. The store keeps a check value of it, so that a wrong key is noticed when the bridge starts and not
at the first poll.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.errors import SecretsKeyMissing, SecretsKeyRefused, SecretUnreadable
from bridge.store import accounts, facts, webhooks
from bridge.store.db import Db, Tx

ENVIRONMENT = "BRIDGE_SECRETS_KEY"

_KEY_BYTES = 32
_NONCE_BYTES = 12  # what AES-GCM is specified for (NIST SP 800-38D section 8.2)
# Leads every sealed secret, so that another way of sealing can follow one day.
_FORMAT = b"\x01"
_CHECK = "secrets_key_check"


class Vault:
    """Seals secrets, each for one Account: AES-256-GCM with the Account's id as associated data.

    A sealed secret that was copied to another Account's row does not open there.
    """

    def __init__(self, key: bytes, source: str) -> None:
        """`key` is 32 bytes; `source` says where it came from, for errors."""
        self._cipher = AESGCM(key)
        self._source = source

    def seal(self, secret: str, *, account_id: str) -> bytes:
        """Seal a secret for one Account."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, secret.encode(), account_id.encode())

    def open(self, sealed: bytes, *, account_id: str) -> str:
        """Open what was sealed for this Account. Raises `SecretUnreadable`."""
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORMAT or len(nonce) != _NONCE_BYTES:
            raise SecretUnreadable(self._source)
        try:
            return self._cipher.decrypt(nonce, text, account_id.encode()).decode()
        except InvalidTag:
            raise SecretUnreadable(self._source) from None


def open_vault(db: Db, key_file: Path, environment: Mapping[str, str] = os.environ) -> Vault:
    """The vault of this store; on its very first use, with a new key.

    A new key is made only while the store holds no secret, since it could open none. Raises `SecretsKeyMissing`;
    `SecretsKeyRefused` when the key's file is open to others or holds no key; `SecretUnreadable` when it is another key
    than the one that sealed what is stored.
    """
    text = environment.get(ENVIRONMENT)
    source = ENVIRONMENT if text else str(key_file)
    key = _key(text, source) if text else _from_file(key_file)
    with db.read() as tx:
        usable = _usable(tx, key, source)
    if usable is None:
        with db.write() as tx:
            # Looked at again, alone: another process may have started at the same moment.
            key = key or _from_file(key_file)
            usable = _usable(tx, key, source)
            if usable is None:
                usable = key or _make(key_file, secrets.token_bytes(_KEY_BYTES))
                facts.put(tx, _CHECK, _check_value(usable))
    return Vault(usable, source)


def key_text(key_file: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """The key as it is written down; None where there is none. Raises `SecretsKeyRefused`."""
    text = environment.get(ENVIRONMENT)
    key = _key(text, ENVIRONMENT) if text else _from_file(key_file)
    return None if key is None else _written(key)


def take_key(text: str, key_file: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Let this be the key: write its file, if there is none. Raises `SecretsKeyRefused`: `another` where there is."""
    known = key_text(key_file, environment)
    if known is None:
        _make(key_file, _key(text, "the backup"))
    elif known != text:
        raise SecretsKeyRefused(ENVIRONMENT if environment.get(ENVIRONMENT) else str(key_file), "another")


def _usable(tx: Tx, key: bytes | None, source: str) -> bytes | None:
    """The key, if it is this store's; None where the store, holding no secret, can have any.

    Raises `SecretsKeyMissing` or `SecretUnreadable` where it can't.
    """
    if key is not None and facts.get(tx, _CHECK) == _check_value(key):
        return key
    if accounts.any_secret(tx) or webhooks.any_secret(tx):
        raise SecretsKeyMissing(source) if key is None else SecretUnreadable(source)
    return None


def _from_file(path: Path) -> bytes | None:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise SecretsKeyRefused(str(path), "open_to_others")
            return _key(file.read(), str(path))
    except FileNotFoundError:
        return None
    except OSError as e:
        raise SecretsKeyRefused(str(path), "unreadable", e.strerror or "") from e


def _key(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise SecretsKeyRefused(source, "malformed")
    return key


def _written(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def _make(path: Path, key: bytes) -> bytes:
    """Make the key's file, whole or not at all, readable by its owner alone. One that is there is never replaced."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:  # created with mode 0600
            file.write(_written(key).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            os.link(file.name, path)
        _sync_directory(path.parent)
    except OSError as e:
        raise SecretsKeyRefused(str(path), "not_written", e.strerror or "") from e
    return key


def _sync_directory(path: Path) -> None:
    # The new name must be on the disk before anything is sealed with the key it leads to.
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _check_value(key: bytes) -> str:
    """Tells one key from another; says nothing of the key."""
    return hmac.digest(key, b"crm-calendar-bridge secrets key", hashlib.sha256).hex()
