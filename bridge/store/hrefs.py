"""Lists of hrefs as parameters of statements."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from bridge.store.db import Tx

#: The hrefs of a query, as a JSON list in a single parameter (PostgreSQL: json_array_elements_text). If each were a
#: parameter, SQLite would prepare and keep another statement for each number of hrefs, of up to 130 KB.
HREFS = "(SELECT value FROM json_each(:hrefs))"


def by_href(tx: Tx | sqlite3.Cursor, query: str, user_id: str, hrefs: Iterable[str], **more: object) -> Iterator[Any]:
    """The rows of `query`, which ends with IN, for these hrefs."""
    return tx.execute(f"{query} {HREFS}", {"user_id": user_id, "hrefs": as_list(hrefs), **more})


def as_list(hrefs: Iterable[str]) -> str:
    """The value of `:hrefs`. No item has an href with a NUL, where SQLite would end the text."""
    return json.dumps([href for href in hrefs if "\0" not in href])
