"""Encryption of stored passwords and webhook secrets, with a key that is not in the store.

The key is 32 random bytes, written as URL-safe base64. It comes from the environment variable BRIDGE_SECRETS_KEY, or
from a file that only its owner can read. The store holds a check value of the key, so that a wrong key is noticed when
the bridge starts rather than at the first poll.
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
# The first byte of every sealed secret: another value can stand for another way of sealing one day.
_FORMAT = b"\x01"
_CHECK = "secrets_key_check"


class Vault:
    """Encrypts ("seals") secrets, each for one Account: AES-256-GCM with the Account's id as associated data.

    So a sealed secret that is copied to the row of another Account can't be opened there.
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
        """Decrypt what was sealed for this Account. Raises `SecretUnreadable`."""
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORMAT or len(nonce) != _NONCE_BYTES:
            raise SecretUnreadable(self._source)
        try:
            return self._cipher.decrypt(nonce, text, account_id.encode()).decode()
        except InvalidTag:
            raise SecretUnreadable(self._source) from None


def open_vault(db: Db, key_file: Path, environment: Mapping[str, str] = os.environ) -> Vault:
    """The vault of this store. Its first use makes a new key and writes it to `key_file`.

    A new key is only made while the store holds no secret: it could not open those that are there. Raises
    `SecretsKeyMissing`; `SecretsKeyRefused` when the file can be read by others or holds no key; `SecretUnreadable`
    when the key is not the one that sealed what is stored.
    """
    text = environment.get(ENVIRONMENT)
    source = ENVIRONMENT if text else str(key_file)
    key = _key(text, source) if text else _from_file(key_file)
    with db.read() as tx:
        usable = _usable(tx, key, source)
    if usable is None:
        with db.write() as tx:
            # Looked at again under the lock: another process may have made a key at the same moment.
            key = key or _from_file(key_file)
            usable = _usable(tx, key, source)
            if usable is None:
                usable = key or _make(key_file, secrets.token_bytes(_KEY_BYTES))
                facts.put(tx, _CHECK, _check_value(usable))
    return Vault(usable, source)


def key_text(key_file: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """The key as text; None where there is none. Raises `SecretsKeyRefused`."""
    text = environment.get(ENVIRONMENT)
    key = _key(text, ENVIRONMENT) if text else _from_file(key_file)
    return None if key is None else _written(key)


def take_key(text: str, key_file: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Write the key `text` to `key_file`. Raises `SecretsKeyRefused` (`another`) if there is a different key."""
    known = key_text(key_file, environment)
    if known is None:
        _make(key_file, _key(text, "the backup"))
    elif known != text:
        raise SecretsKeyRefused(ENVIRONMENT if environment.get(ENVIRONMENT) else str(key_file), "another")


def _usable(tx: Tx, key: bytes | None, source: str) -> bytes | None:
    """The key, if it is this store's; None where the store holds no secret, so that it can get a new key.

    Raises `SecretsKeyMissing` or `SecretUnreadable` where it holds secrets that the key can't open.
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
    """Write the key's file atomically, readable by its owner only. An existing file is never replaced."""
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
    # The file must be on the disk, under its name, before anything is sealed with its key.
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _check_value(key: bytes) -> str:
    """A value that differs from key to key, and from which the key can't be derived."""
    return hmac.digest(key, b"crm-calendar-bridge secrets key", hashlib.sha256).hex()
