"""Our only option in Radicale's configuration: where the store is."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from radicale import config

from bridge.errors import StoreUnusable
from bridge.store.db import Db

_SCHEMA = {
    "storage": {
        "store": {
            "value": "data/bridge.db",
            "help": "the bridge's store; a relative path starts at the current directory",
            "type": config.filepath,
        }
    }
}


def open_store(configuration: config.Configuration) -> Db:
    """The store that `[storage] store` names, read-only, shared by storage and auth.

    Raises `RuntimeError` with a sentence, which Radicale shows before it ends.
    """
    return _open(Path(configuration.copy(_SCHEMA).get("storage", "store")))


@lru_cache(maxsize=8)
def _open(path: Path) -> Db:
    try:
        db = Db(path, read_only=True)
    except StoreUnusable as error:
        raise RuntimeError(f"The bridge's store {error.path} can't be used: {error.reason}") from None
    # A server may fork workers after this, and these must not inherit an open connection.
    db.close()
    return db
