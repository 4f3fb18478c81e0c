"""Checks of the settings file that concern more than one field: what does not fit together, and missing passwords.

The checks work on the parsed TOML, even where single fields are wrong, so that all problems can be reported at once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bridge.domain.declared import Place, Problem

Document = Mapping[str, Any]


def misfits(document: Document) -> Iterator[Problem]:
    """Problems between settings, such as two servers on one port."""
    yield from _listeners(document)
    seen: dict[str, str] = {}
    for place, user in _tables(document, "users"):
        user_id = user.get("id")
        if isinstance(user_id, str):
            # Some clients compare paths without regard to case, so ids must differ in more than case.
            if user_id.casefold() in seen:
                other = seen[user_id.casefold()]
                yield Problem(
                    (*place, "id"), f'is that of another user, "{other}"', "give each user an id of their own"
                )
            seen.setdefault(user_id.casefold(), user_id)
        yield from _accounts(document, place, user)


def _listeners(document: Document) -> Iterator[Problem]:
    found = {}
    for name, default in (("sidecar", 8080), ("radicale", 5232)):
        table = document.get(name, {})
        if not isinstance(table, dict):
            return
        found[name] = (table.get("host", "127.0.0.1"), table.get("port", default))
    if found["sidecar"] == found["radicale"]:
        named = "sidecar" if "port" in document.get("sidecar", {}) else "radicale"
        yield Problem(
            (named, "port"),
            "has sidecar and radicale listen on the same port",
            "give [sidecar] port or [radicale] port another",
        )


def _accounts(document: Document, place: Place, user: Document) -> Iterator[Problem]:
    logins: set[tuple[object, object]] = set()
    accounts = list(_tables(user, "accounts", place))
    primaries = 0
    for at, account in accounts:
        provider, username = account.get("provider", "icloud"), account.get("username")
        if isinstance(provider, str) and isinstance(username, str):
            if (provider, username) in logins:
                yield Problem((*at, "username"), "is that of another account of this user", "declare each account once")
            logins.add((provider, username))
        known = document.get("providers", {})
        if isinstance(provider, str) and provider and isinstance(known, dict):
            names = {"icloud", *known}
            if provider not in names and not provider.startswith("https://"):
                remedy = f"use {', '.join(sorted(names))}, or add a table [providers.{provider}]"
                yield Problem((*at, "provider"), "names no provider", remedy)
        yield from _reference(at, account)
        primary, conflicts = account.get("primary"), account.get("conflicts")
        if primary is not None:
            primaries += 1
            if primaries > 1:
                yield Problem((*at, "primary"), "is the second one of this user", "each user has one Primary calendar")
        if "conflicts" in account and not any("primary" in one for _, one in accounts):
            yield Problem(
                (*at, "conflicts"), "is set without a Primary", "name the user's primary, too, or leave it out"
            )
        if isinstance(conflicts, list):
            if primary in conflicts:
                yield Problem((*at, "conflicts"), "names the Primary, which blocks anyway", "leave it out here")
            if len({str(name) for name in conflicts}) < len(conflicts):
                yield Problem((*at, "conflicts"), "names a calendar twice", "name each once")


def _reference(at: Place, account: Document) -> Iterator[Problem]:
    given = [name for name in ("password_file", "password_env") if name in account]
    if not given and "password" not in account:
        yield Problem((*at, "password_file"), "is missing", "name a file with the password, or set password_env")
    if len(given) > 1:
        yield Problem((*at, "password_env"), "is set in addition to password_file", "keep one of them")


def passwords(document: Document, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Problems with reading the declared passwords, by this process, on this machine."""
    for place, user in _tables(document, "users"):
        for at, account in _tables(user, "accounts", place):
            for name, read in (("password_file", _of_file), ("password_env", _of_environment)):
                value = account.get(name)
                if isinstance(value, str) and value:
                    problem = read(value, environment)[1]
                    if problem is not None:
                        yield Problem((*at, name), *problem)


def password(file: Path | None, variable: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """A declared password; empty where `passwords` reports a problem with it."""
    if file is not None:
        return _of_file(str(file), environment)[0]
    return _of_environment(variable or "", environment)[0]


Read = tuple[str, tuple[str, str] | None]


def _of_file(name: str, _environment: Mapping[str, str]) -> Read:
    path = Path(name)
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IROTH | stat.S_IWOTH):
                return "", ("names a file that everybody can read", f"make it private: chmod o-rw {name}")
            text = file.readline().strip()
    except UnicodeDecodeError:
        return "", ("names a file that is not text", "write the password, and nothing else, into it as UTF-8")
    except OSError as e:
        return "", (f"names a file that can't be read: {e.strerror}", "check the path, and who may read the file")
    return (text, None) if text else ("", ("names a file without a first line", "write the password into it"))


def _of_environment(name: str, environment: Mapping[str, str]) -> Read:
    text = environment.get(name, "").strip()
    return (text, None) if text else ("", ("names a variable that is not set", "set it for the bridge's processes"))


def _tables(document: Document, name: str, above: Place = ()) -> Iterator[tuple[Place, Document]]:
    """The tables of a list of tables, with their places. Anything that is not a table is reported by other checks."""
    listed = document.get(name)
    for number, table in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(table, dict):
            yield (*above, name, number), table
